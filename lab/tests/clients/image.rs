//! Two images of the same program, native and Wasm, as archives that every client can load, and one
//! for the sandbox of a pod.
//!
//! The layout is that of `docker save`: Docker before 25 reads no other. Each image has a busybox,
//! for what is executed beside the container's own program.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::fcntl::{Flock, FlockArg};
use sha2::{Digest, Sha256};

/// Kind of a container's program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A static program.
    Native,
    /// A WebAssembly module.
    Wasm,
}

impl Kind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Native, Self::Wasm];

    fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Wasm => "wasm",
        }
    }

    /// The image's name.
    pub fn reference(self) -> String {
        format!("localhost/guest-{}:1", self.name())
    }

    /// Its archive, in the box.
    pub fn archive(self) -> String {
        format!("/share/{}.tar", self.name())
    }
}

/// The archive's name of an image that only waits.
pub const PAUSE: &str = "pause";

/// Where a guest is linked from.
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/guest.c");

/// Writes the archives of both images into `share`. They are built once for all tests.
pub fn write_all(share: &Path) {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients");
    fs::create_dir_all(&dir).expect("a directory for images");
    // Each test is a process of its own.
    let lock = File::create(dir.join("lock")).expect("a lock");
    let _turn = Flock::lock(lock, FlockArg::LockExclusive).expect("wait for a turn");
    let names = [Kind::Native.name(), Kind::Wasm.name(), PAUSE];
    let archives = names.map(|name| dir.join(format!("{name}.tar")));
    if archives.iter().any(|archive| !is_newer(archive, Path::new(SOURCE))) {
        let waits = ["/bin/busybox", "sleep", "1000000"];
        write(Kind::Native, &dir, PAUSE, "localhost/pause:1", &waits);
        for kind in Kind::ALL {
            write(kind, &dir, kind.name(), &kind.reference(), &["/guest"]);
        }
    }
    for archive in archives {
        let name = archive.file_name().expect("an archive has a name");
        fs::copy(&archive, share.join(name)).expect("copy an image");
    }
}

fn is_newer(made: &Path, source: &Path) -> bool {
    let modified = |path: &Path| fs::metadata(path).and_then(|found| found.modified()).ok();
    modified(made).is_some_and(|made| modified(source).is_some_and(|source| made > source))
}

fn write(kind: Kind, dir: &Path, name: &str, reference: &str, entry: &[&str]) {
    let guest = compile(kind, dir);
    let layer = layer(&guest).expect("a layer of programs that are there");
    let digits: Vec<_> = Sha256::digest(&layer).iter().map(|byte| format!("{byte:02x}")).collect();
    let digest = digits.concat();
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux",
        "config": { "Entrypoint": entry, "Env": ["PATH=/bin"] },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{digest}")] },
    });
    let manifest = serde_json::json!([{
        "Config": "config.json", "RepoTags": [reference], "Layers": ["layer.tar"],
    }]);
    let file = File::create(dir.join(format!("{name}.tar"))).expect("create an archive");
    let mut archive = tar::Builder::new(file);
    let parts = [
        ("config.json", config.to_string().into_bytes()),
        ("manifest.json", manifest.to_string().into_bytes()),
        ("layer.tar", layer),
    ];
    for (name, bytes) in parts {
        append(&mut archive, name, 0o644, &bytes).expect("write an archive");
    }
    archive.finish().expect("write an archive");
}

fn compile(kind: Kind, dir: &Path) -> PathBuf {
    let program = dir.join(format!("guest-{}", kind.name()));
    let mut command = match kind {
        Kind::Native => Command::new("gcc"),
        Kind::Wasm => Command::new("clang"),
    };
    command.args(match kind {
        Kind::Native => ["-static"].as_slice(),
        Kind::Wasm => &["--target=wasm32-wasi", "--sysroot=/usr"],
    });
    command.args(["-O2", "-s", SOURCE, "-o"]).arg(&program);
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    program
}

fn layer(guest: &Path) -> std::io::Result<Vec<u8>> {
    let mut layer = tar::Builder::new(Vec::new());
    append(&mut layer, "guest", 0o755, &fs::read(guest)?)?;
    append(&mut layer, "bin/busybox", 0o755, &fs::read("/bin/busybox")?)?;
    for applet in ["bin/sh", "bin/echo", "bin/true"] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        layer.append_link(&mut header, applet, "busybox")?;
    }
    layer.into_inner()
}

fn append<W: std::io::Write>(
    archive: &mut tar::Builder<W>,
    path: &str,
    mode: u32,
    bytes: &[u8],
) -> std::io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(mode);
    archive.append_data(&mut header, path, bytes)
}
