//! `upgrade`: processes that serve go on as this program.

use crate::api::rpc::{Request, Response};
use crate::api::shim::{SERVICE, Upgrade, Upgraded};
use crate::error::Code;
use crate::shard::{Home, Shard};
use crate::sys;
use crate::ttrpc::frame;
use prost::Message;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// It tries this program first, for which it has ten seconds.
const PATIENCE: Duration = Duration::from_secs(15);

/// Has all processes that serve, or those of the named directories, go on as this program. What
/// became of each is a line of standard output.
///
/// # Errors
/// One of them has refused, or does not answer. All are asked in any case.
pub fn upgrade(directories: &[PathBuf]) -> Result<(), String> {
    let own = std::env::current_exe().map_err(|error| format!("find this program: {error}"))?;
    let named = directories.iter().map(|directory| Shard::at(directory.clone()));
    let mut shards: Vec<Shard> = named.collect();
    if shards.is_empty() {
        shards = Home::all().flat_map(|home| home.shards().collect::<Vec<_>>()).collect();
    }
    let mut refusals = 0;
    for shard in shards {
        let directory = shard.directory().display();
        let line = match become_this(&shard, &own) {
            Ok(Some(Upgraded { version, before, pid })) => {
                format!("{directory}: process {pid} was {before} and is {version}")
            }
            Ok(None) if directories.is_empty() => continue,
            Ok(None) => format!("{directory}: no process serves there"),
            Err(reason) => {
                refusals += 1;
                format!("{directory}: stays what it is: {reason}")
            }
        };
        writeln!(io::stdout(), "{line}").map_err(|error| format!("standard output: {error}"))?;
    }
    match refusals {
        0 => Ok(()),
        _ => Err("not all processes go on as this program: see docs/shim.md, Upgrades".to_owned()),
    }
}

/// `None`: there is no process, or it has just ended.
fn become_this(shard: &Shard, own: &Path) -> Result<Option<Upgraded>, String> {
    let response = match ask(shard, own) {
        Ok(response) => response,
        Err(error) => {
            return match error.kind() {
                ErrorKind::NotFound | ErrorKind::ConnectionRefused => Ok(None),
                ErrorKind::UnexpectedEof if !shard.socket().exists() => Ok(None),
                ErrorKind::WouldBlock => {
                    Err(format!("it has not answered within {} seconds", PATIENCE.as_secs()))
                }
                _ => Err(format!("ask it on {}: {error}", shard.socket().display())),
            };
        }
    };
    match response.status {
        None => Upgraded::decode(&*response.payload)
            .map(Some)
            .map_err(|error| format!("its answer: {error}")),
        Some(status) if status.code == Code::Unimplemented as i32 => {
            Err("it is of a version that cannot be replaced while it serves".to_owned())
        }
        Some(status) => Err(status.message),
    }
}

fn ask(shard: &Shard, own: &Path) -> io::Result<Response> {
    let mut stream = sys::connect_at_once(&shard.socket())?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let payload = Upgrade { program: own.display().to_string() }.encode_to_vec();
    let (service, method) = (SERVICE.to_owned(), "Upgrade".to_owned());
    let request = Request { service, method, payload, timeout_ns: 0 };
    let mut bytes = Vec::new();
    frame::put(&mut bytes, 1, frame::REQUEST, &request.encode_to_vec());
    stream.write_all(&bytes)?;
    bytes.clear();
    let mut piece = [0; 4096];
    loop {
        let invalid = |reason: String| io::Error::new(ErrorKind::InvalidData, reason);
        if let Some(frame) = frame::take(&mut bytes).map_err(|error| invalid(error.to_string()))? {
            return Response::decode(&*frame.data).map_err(|error| invalid(error.to_string()));
        }
        match stream.read(&mut piece)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            count => bytes.extend_from_slice(&piece[..count]),
        }
    }
}
