//! Two images of the same program, native and Wasm, as archives that every client can load, and one
//! for the sandbox of a pod.
//!
//! The layout is that of `docker save`: Docker before 25 reads no other. Each image has a busybox,
//! for what is executed beside the container's own program.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

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

/// Writes the archives of both images into `share`; an error says what is lacking.
pub fn write_all(share: &Path) -> Result<(), String> {
    static BUILT: OnceLock<Result<(), String>> = OnceLock::new();
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients");
    let built = BUILT.get_or_init(|| {
        fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        let waits = ["/bin/busybox", "sleep", "1000000"];
        write(Kind::Native, &dir, PAUSE, "localhost/pause:1", &waits)?;
        let guest = |kind: Kind| write(kind, &dir, kind.name(), &kind.reference(), &["/guest"]);
        Kind::ALL.into_iter().try_for_each(guest)
    });
    built.clone()?;
    for name in [Kind::Native.name(), Kind::Wasm.name(), PAUSE] {
        let name = format!("{name}.tar");
        fs::copy(dir.join(&name), share.join(name)).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn write(
    kind: Kind,
    dir: &Path,
    name: &str,
    reference: &str,
    entry: &[&str],
) -> Result<(), String> {
    let guest = compile(kind, dir)?;
    let failed = |error: std::io::Error| format!("an image in {}: {error}", dir.display());
    let layer = layer(&guest).map_err(failed)?;
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
    let file = File::create(dir.join(format!("{name}.tar"))).map_err(failed)?;
    let mut archive = tar::Builder::new(file);
    let parts = [
        ("config.json", config.to_string().into_bytes()),
        ("manifest.json", manifest.to_string().into_bytes()),
        ("layer.tar", layer),
    ];
    for (name, bytes) in parts {
        append(&mut archive, name, 0o644, &bytes).map_err(failed)?;
    }
    archive.finish().map_err(failed)
}

fn compile(kind: Kind, dir: &Path) -> Result<PathBuf, String> {
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
    match command.output() {
        Ok(output) if output.status.success() => Ok(program),
        // A missing compiler is the machine's, a program that does not compile is not.
        Ok(output) => panic!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => Err(format!("{command:?}: {error}")),
    }
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
