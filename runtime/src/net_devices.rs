//! `linux.netDevices`: network devices of the host that move into the container, with their
//! addresses, under a name of its own.
//!
//! Source: runtime-spec config-linux.md "Network Devices"; rtnetlink(7).

use crate::error::{Act, Error, Result};
use crate::namespaces::{self, Namespaces, Opened};
use crate::netlink::{Message, Netlink};
use oci_spec::runtime::LinuxNetDevice;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

const NEW_NET: u64 = libc::CLONE_NEWNET as u64;
/// `IFNAMSIZ` without the closing NUL.
const MAX_NAME: usize = 15;

const NEW_LINK: u16 = 16;
const GET_LINK: u16 = 18;
const NEW_ADDRESS: u16 = 20;
const GET_ADDRESS: u16 = 22;
const LINK_NAME: u16 = 3;
const LINK_NAMESPACE: u16 = 28;
/// `IFA_ADDRESS`, `IFA_LOCAL`, `IFA_BROADCAST`: what makes an address.
const KEPT: [u16; 3] = [1, 2, 4];
const ADDRESS_FLAGS: u16 = 8;
const PERMANENT: u32 = 0x80;
/// Bytes of `struct ifinfomsg` and `struct ifaddrmsg`.
const LINK_HEADER: usize = 16;
const ADDRESS_HEADER: usize = 8;

/// One device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its name on the host.
    pub host: String,
    /// Its name in the container.
    pub container: String,
}

/// The devices of config.json, by their names on the host. Pure.
///
/// # Errors
/// [`Error::Config`]: no network namespace; a name that is none or is taken twice.
pub fn from_spec<'a>(
    devices: impl IntoIterator<Item = (&'a String, &'a LinuxNetDevice)>,
    namespaces: &Namespaces,
) -> Result<Vec<Device>> {
    let mut planned: Vec<Device> = Vec::new();
    for (host, device) in devices {
        let refuse = |reason: String| Error::config(format!("linux.netDevices ({host})"), reason);
        let named = device.name().as_ref().filter(|name| !name.is_empty());
        let container = named.unwrap_or(host).clone();
        for name in [host, &container] {
            if !is_name(name) {
                let reason = format!("{name:?} is no name of a network device");
                return Err(refuse(reason));
            }
        }
        if planned.iter().any(|other| other.container == container) {
            return Err(refuse(format!("the name {container:?} is given twice")));
        }
        if !namespaces.has(NEW_NET) {
            return Err(refuse("needs a network namespace of the container's own".to_owned()));
        }
        planned.push(Device { host: host.clone(), container });
    }
    planned.sort_by(|one, other| one.host.cmp(&other.host));
    Ok(planned)
}

fn is_name(name: &str) -> bool {
    let odd = |c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control();
    !name.is_empty() && name.len() <= MAX_NAME && !matches!(name, "." | "..") && !name.contains(odd)
}

/// Moves `devices` into the network namespace of process `pid` and sets them up there.
///
/// # Errors
/// [`Error::Os`] with the device; [`Error::Config`]: the namespace is the host's own.
pub fn move_to(devices: &[Device], pid: i32) -> Result<()> {
    if devices.is_empty() {
        return Ok(());
    }
    let open = |path: String| File::open(&path).act(|| format!("open the namespace {path}"));
    let target = open(format!("/proc/{pid}/ns/net"))?;
    let own = open("/proc/self/ns/net".to_owned())?;
    let number = |file: &File| file.metadata().map(|found| (found.dev(), found.ino()));
    let act = || "stat the network namespaces".to_owned();
    if number(&target).act(act)? == number(&own).act(act)? {
        let reason = "the container's network namespace is the host's own";
        return Err(Error::config("linux.netDevices", reason));
    }
    let outside = Netlink::open().act(|| "open a netlink socket".to_owned())?;
    let inside = open_in(target.try_clone().act(act)?.into(), own.into())?;
    // The kernel renames after the move: a name that is taken must be found before.
    for Device { host, container } in devices {
        if index_of(&inside, container).is_ok() {
            let reason = format!("the container has a device {container} already");
            return Err(Error::config(format!("linux.netDevices ({host})"), reason));
        }
    }
    for device in devices {
        let Device { host, container } = device;
        move_one(&outside, &inside, device, &target).act(|| {
            format!(
                "move the network device {host} into the container as {container} (it must be \
                 there; this takes CAP_NET_ADMIN)"
            )
        })?;
    }
    Ok(())
}

/// A connection in the namespace `target`; the process itself comes back to `own`.
fn open_in(target: OwnedFd, own: OwnedFd) -> Result<Netlink> {
    namespaces::join(&Opened { flag: NEW_NET, file: target })?;
    let opened = Netlink::open();
    namespaces::join(&Opened { flag: NEW_NET, file: own })?;
    opened.act(|| "open a netlink socket in the container".to_owned())
}

fn move_one(outside: &Netlink, inside: &Netlink, device: &Device, target: &File) -> io::Result<()> {
    let index = index_of(outside, &device.host)?;
    let addresses: Vec<Message> = outside
        .list(&Message::new(GET_ADDRESS, &[0; ADDRESS_HEADER]))?
        .into_iter()
        .filter(|message| is_lasting(message, index))
        .collect();
    let moved = Message::new(NEW_LINK, &link_header(index, false))
        .with(LINK_NAMESPACE, &target.as_raw_fd().to_ne_bytes())
        .with(LINK_NAME, &c_name(&device.container));
    outside.ask(&moved)?;
    let index = index_of(inside, &device.container)?;
    inside.ask(&Message::new(NEW_LINK, &link_header(index, true)))?;
    for address in addresses {
        inside.ask(&again(&address, index))?;
    }
    Ok(())
}

fn c_name(name: &str) -> Vec<u8> {
    [name.as_bytes(), &[0]].concat()
}

/// `struct ifinfomsg`; `up`: sets the device up.
fn link_header(index: i32, up: bool) -> [u8; LINK_HEADER] {
    let mut header = [0; LINK_HEADER];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    let flags = if up { libc::IFF_UP as u32 } else { 0 };
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    header[12..16].copy_from_slice(&flags.to_ne_bytes());
    header
}

fn index_of(netlink: &Netlink, name: &str) -> io::Result<i32> {
    let request = Message::new(GET_LINK, &[0; LINK_HEADER]).with(LINK_NAME, &c_name(name));
    let answer = netlink.ask(&request)?;
    let index = answer.first().and_then(|message| message.body.get(4..8)?.try_into().ok());
    index.map(i32::from_ne_bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Whether an address belongs to the device, is permanent and of global scope.
fn is_lasting(message: &Message, index: i32) -> bool {
    let Some(header) = message.body.first_chunk::<ADDRESS_HEADER>() else { return false };
    let flags = message.attributes(ADDRESS_HEADER).find(|(kind, _)| *kind == ADDRESS_FLAGS);
    let flags = flags.and_then(|(_, value)| value.try_into().ok()).map(u32::from_ne_bytes);
    let flags = flags.unwrap_or(u32::from(header[2]));
    header[3] == 0 && flags & PERMANENT != 0 && header[4..8] == index.to_ne_bytes()
}

/// The request that gives `address` to the device `index` again.
fn again(address: &Message, index: i32) -> Message {
    let mut header = address.body[..ADDRESS_HEADER].to_vec();
    header[2] = 0;
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    let kept = address.attributes(ADDRESS_HEADER).filter(|(kind, _)| KEPT.contains(kind));
    kept.fold(Message::new(NEW_ADDRESS, &header), |message, (kind, value)| {
        message.with(kind, value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn read(json: &str, new: u64) -> Result<Vec<Device>> {
        let devices: BTreeMap<String, LinuxNetDevice> = serde_json::from_str(json).unwrap();
        from_spec(&devices, &Namespaces { new, join: Vec::new() })
    }

    #[test]
    fn names_on_both_sides() {
        let got = read(r#"{"eth1": {"name": "data"}, "eth0": {}}"#, NEW_NET).unwrap();
        let pairs: Vec<_> =
            got.iter().map(|it| (it.host.as_str(), it.container.as_str())).collect();
        assert_eq!(pairs, [("eth0", "eth0"), ("eth1", "data")]);
        for (json, new, want) in [
            (r#"{"eth0": {}}"#, 0, "linux.netDevices (eth0): needs a network namespace"),
            (r#"{"a/b": {}}"#, NEW_NET, "no name of a network device"),
            (r#"{"eth0": {"name": "longer-than-15-chars"}}"#, NEW_NET, "no name of a network"),
            (r#"{"eth0": {"name": "x"}, "eth1": {"name": "x"}}"#, NEW_NET, "given twice"),
        ] {
            let error = read(json, new).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        }
    }

    #[test]
    fn only_lasting_addresses_move() {
        let header = |scope: u8, index: u8| [2, 24, 0x80, scope, index, 0, 0, 0];
        let address =
            Message::new(NEW_ADDRESS, &header(0, 7)).with(1, &[10, 0, 0, 1]).with(3, b"e\0");
        assert!(is_lasting(&address, 7));
        assert!(!is_lasting(&address, 8));
        assert!(!is_lasting(&Message::new(NEW_ADDRESS, &header(253, 7)), 7));
        let lent = address.clone().with(ADDRESS_FLAGS, &0_u32.to_ne_bytes());
        assert!(!is_lasting(&lent, 7));
        let want = Message::new(NEW_ADDRESS, &[2, 24, 0, 0, 9, 0, 0, 0]).with(1, &[10, 0, 0, 1]);
        assert_eq!(again(&address, 9), want);
    }
}
