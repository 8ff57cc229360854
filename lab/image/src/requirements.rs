//! What the building machine must have, and which Debian package brings it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest Go that fetches the toolchain which a `go.mod` asks for.
const OLDEST_GO: (u32, u32) = (1, 21);

/// Debian's archive keys, on Debian and Ubuntu alike.
pub const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Something that the build uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requirement {
    /// A program on `PATH`, or what a person calls the thing.
    pub name: &'static str,
    /// The package of Debian and Ubuntu.
    pub package: &'static str,
    /// What the build does with it.
    pub purpose: &'static str,
    presence: Presence,
}

/// How to tell that it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    /// A program of that name on `PATH`.
    Program,
    /// A Go that is new enough.
    Go,
    /// A file at this path.
    File(&'static str),
    /// A file at this path below `/usr/include`.
    Header(&'static str),
    /// A file that gcc finds among its libraries.
    GccLibrary(&'static str),
    /// The compiler's own library for WASI, which clang names itself.
    WasmBuiltins,
}

/// How a machine meets a requirement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked for.
    pub requirement: Requirement,
    /// Where it is; or why the machine lacks it and what to do.
    pub result: Result<PathBuf, String>,
}

const fn need(
    name: &'static str,
    package: &'static str,
    purpose: &'static str,
    presence: Presence,
) -> Requirement {
    Requirement { name, package, purpose, presence }
}

/// Everything that a build from an empty cache uses.
pub const REQUIREMENTS: &[Requirement] = &[
    need("go", "golang-go", "builds Kubernetes, containerd, etcd, runc", Presence::Go),
    need("gcc", "gcc", "builds runc and the native workloads", Presence::Program),
    need(
        "static C library",
        "libc6-dev",
        "is linked into runc and the native workloads",
        Presence::GccLibrary("libc.a"),
    ),
    need(
        "static libseccomp",
        "libseccomp-dev",
        "is linked into runc",
        Presence::GccLibrary("libseccomp.a"),
    ),
    need("pkg-config", "pkgconf", "finds libseccomp for runc", Presence::Program),
    need("clang", "clang", "compiles the Wasm workload", Presence::Program),
    need("wasm-ld", "lld", "links the Wasm workload", Presence::Program),
    need(
        "C library for WASI",
        "wasi-libc",
        "is linked into the Wasm workload",
        Presence::File("/usr/lib/wasm32-wasi/libc.a"),
    ),
    need(
        "compiler library for WASI",
        "libclang-rt-dev-wasm32",
        "is linked into the Wasm workload",
        Presence::WasmBuiltins,
    ),
    need("mmdebstrap", "mmdebstrap", "makes the Debian file systems", Presence::Program),
    need(
        "Debian's archive keys",
        "debian-archive-keyring",
        "prove that the packages are Debian's",
        Presence::File(KEYRING),
    ),
    need(
        "unshare",
        "util-linux",
        "keeps mounts of the build away from the host",
        Presence::Program,
    ),
    need("mke2fs", "e2fsprogs", "makes the disk of a virtual node", Presence::Program),
    need("xz", "xz-utils", "unpacks a driver of a virtual node's kernel", Presence::Program),
    need(
        "busybox",
        "busybox-static",
        "is the first program of a virtual node",
        Presence::File("/bin/busybox"),
    ),
    need("setpriv", "util-linux", "ends a tool together with this program", Presence::Program),
];

/// What a build of peers uses.
const FOR_PEERS: &[Requirement] = &[
    need("cargo", "rustup", "builds the peers in Rust", Presence::Program),
    need("gcc", "gcc", "builds crun", Presence::Program),
    need("make", "make", "builds crun and WAMR", Presence::Program),
    need("cmake", "cmake", "builds WAMR", Presence::Program),
    need("pkg-config", "pkgconf", "finds the libraries", Presence::Program),
    need("protoc", "protobuf-compiler", "reads what containerd asks a shim", Presence::Program),
    need(
        "libdbus",
        "libdbus-1-dev",
        "is asked by the library of shims",
        header("dbus-1.0/dbus/dbus.h"),
    ),
    need("libseccomp", "libseccomp-dev", "is linked into crun and shims", header("seccomp.h")),
    need("libcap", "libcap-dev", "is linked into crun", header("sys/capability.h")),
    need("libsystemd", "libsystemd-dev", "is linked into crun", header("systemd/sd-bus.h")),
    need("yajl", "libyajl-dev", "is linked into crun", header("yajl/yajl_tree.h")),
    need("SIMDe", "libsimde-dev", "is SIMD of WAMR's interpreter", header("simde/wasm/simd128.h")),
];

/// What fetching a module from PyPI uses.
const FOR_WHEELS: &[Requirement] = &[
    need("pip3", "python3-pip", "fetches packages from PyPI", Presence::Program),
    need("python3", "python3", "unpacks them", Presence::Program),
];

/// A C header below `/usr/include`.
const fn header(path: &'static str) -> Presence {
    Presence::Header(path)
}

/// Looks for everything in [`REQUIREMENTS`].
pub fn check() -> Vec<Finding> {
    find_all(REQUIREMENTS)
}

fn find_all(requirements: &[Requirement]) -> Vec<Finding> {
    requirements
        .iter()
        .map(|requirement| Finding {
            requirement: *requirement,
            result: find(requirement).map_err(|reason| {
                format!("{reason}; `apt-get install {}` brings it", requirement.package)
            }),
        })
        .collect()
}

/// Refuses to begin a build that would fail halfway.
///
/// # Errors
/// What is missing, and one command that installs it.
pub fn require() -> miette::Result<()> {
    refuse_without("the node image", check())
}

/// Refuses to begin a build of peers that would fail halfway.
///
/// # Errors
/// What is missing, and one command that installs it.
pub fn require_for_peers() -> miette::Result<()> {
    refuse_without("peers", find_all(FOR_PEERS))
}

/// Refuses to begin fetching a package from PyPI that would fail halfway.
///
/// # Errors
/// What is missing, and one command that installs it.
pub fn require_for_wheels() -> miette::Result<()> {
    refuse_without("images with modules from PyPI", find_all(FOR_WHEELS))
}

fn refuse_without(what: &str, findings: Vec<Finding>) -> miette::Result<()> {
    let missing: Vec<_> = findings.into_iter().filter(|finding| finding.result.is_err()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: BTreeSet<_> = missing.iter().map(|finding| finding.requirement.package).collect();
    let packages: Vec<_> = packages.into_iter().collect();
    let reasons: Vec<_> = missing.into_iter().filter_map(|finding| finding.result.err()).collect();
    Err(miette::miette!(
        help = format!("apt-get install {}", packages.join(" ")),
        "this machine cannot build {what}:\n{}",
        reasons.join("\n")
    ))
}

/// What to do when `program` is not installed.
pub fn advice(program: &str) -> String {
    let mut all = REQUIREMENTS.iter().chain(FOR_PEERS).chain(FOR_WHEELS);
    let known = all.find(|requirement| requirement.name == program);
    known.map_or_else(
        || format!("install {program} and have it on PATH"),
        |requirement| format!("`apt-get install {}` brings it", requirement.package),
    )
}

fn find(requirement: &Requirement) -> Result<PathBuf, String> {
    match requirement.presence {
        Presence::Program => on_path(requirement.name),
        Presence::Go => on_path(requirement.name).and_then(new_enough),
        Presence::File(path) => existing(PathBuf::from(path)),
        Presence::Header(path) => existing(Path::new("/usr/include").join(path)),
        Presence::GccLibrary(file) => {
            existing(asked("gcc", &[&format!("-print-file-name={file}")])?)
        }
        Presence::WasmBuiltins => existing(asked(
            "clang",
            &["--target=wasm32-wasi", "--rtlib=compiler-rt", "-print-libgcc-file-name"],
        )?),
    }
}

fn on_path(program: &str) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| is_program(file))
        .ok_or_else(|| format!("{program} is not on PATH"))
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// gcc and clang answer with the bare name when they know no such file.
fn existing(path: PathBuf) -> Result<PathBuf, String> {
    if path.is_absolute() && path.is_file() {
        return Ok(path);
    }
    Err(format!("{} is not there", path.display()))
}

fn asked(program: &str, arguments: &[&str]) -> Result<PathBuf, String> {
    let answer = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|error| format!("{program} cannot be asked for it: {error}"))?;
    Ok(PathBuf::from(String::from_utf8_lossy(&answer.stdout).trim()))
}

fn new_enough(go: PathBuf) -> Result<PathBuf, String> {
    let answer = asked("go", &["env", "GOVERSION"])?;
    let version = answer.to_string_lossy();
    let (major, minor) = OLDEST_GO;
    match go_version(&version) {
        Some(found) if found >= OLDEST_GO => Ok(go),
        _ => Err(format!(
            "{} is {version}, but {major}.{minor} or newer is needed, which fetches the toolchain \
             that a module names (Debian 12 has one in bookworm-backports)",
            go.display()
        )),
    }
}

/// Major and minor of `go1.26.8`.
fn go_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.strip_prefix("go")?.split('.');
    let major = numbers.next()?.parse().ok()?;
    // A release candidate is `go1.22rc1`.
    let minor = numbers.next()?;
    let digits = minor.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(minor.len());
    Some((major, minor[..digits].parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_go() {
        let table: &[(&str, Option<(u32, u32)>)] = &[
            ("go1.26.8", Some((1, 26))),
            ("go1.19", Some((1, 19))),
            ("go1.22rc1", Some((1, 22))),
            ("devel +abc", None),
            ("go", None),
            ("", None),
        ];
        for (text, want) in table {
            assert_eq!(go_version(text), *want, "{text:?}");
        }
    }

    #[test]
    fn what_is_missing_is_named_with_its_package() {
        assert!(on_path("no-such-program").unwrap_err().contains("no-such-program"));
        assert!(on_path("sh").unwrap().is_absolute());
        assert!(existing(PathBuf::from("libnothing.a")).unwrap_err().contains("libnothing.a"));
        assert!(advice("wasm-ld").contains("lld"));
        assert!(advice("frobnicate").contains("frobnicate"));
    }

    #[test]
    fn every_requirement_is_looked_for() {
        let findings = check();
        assert_eq!(findings.len(), REQUIREMENTS.len());
        for Finding { requirement, result } in findings {
            if let Err(reason) = result {
                assert!(reason.contains(requirement.package), "{reason}");
            }
        }
    }
}
