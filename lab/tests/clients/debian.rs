//! The root file systems that clients live in: a Debian with the clients' packages.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::fcntl::{Flock, FlockArg};

/// A release of Debian.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Suite {
    /// Debian 12: containerd 1.6, Podman 4.3, Docker 20.10.
    Bookworm,
    /// Debian 13: containerd 1.7, Podman 5.4, Docker 26.1.
    Trixie,
}

impl Suite {
    fn name(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
        }
    }

    /// What is installed, beyond what these need.
    fn packages(self) -> String {
        let both = "containerd,docker.io,podman,runc,iproute2,iptables,procps,uidmap";
        let own = match self {
            Self::Bookworm => "slirp4netns",
            // The command `docker` has a package of its own there.
            Self::Trixie => "docker-cli,passt",
        };
        format!("{both},{own}")
    }
}

/// The root file system of `suite`, made if it is not in the cache; an error says what it lacks.
pub fn root(suite: Suite) -> Result<PathBuf, String> {
    let cache = wamr_image::default_cache().join("clients");
    let said = |error: std::io::Error| format!("{}: {error}", cache.display());
    fs::create_dir_all(&cache).map_err(said)?;
    // Tests run side by side, and two suites take a mirror longer than one after the other.
    let lock = File::create(cache.join("lock")).map_err(said)?;
    let _turn = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, e)| said(e.into()))?;
    let root = cache.join(suite.name());
    let made_of = cache.join(format!("{}.packages", suite.name()));
    let packages = suite.packages();
    if fs::read_to_string(&made_of).is_ok_and(|text| text == packages) && root.is_dir() {
        return Ok(root);
    }
    make(suite, &packages, &root)?;
    fs::write(&made_of, packages).map_err(said)?;
    Ok(root)
}

fn make(suite: Suite, packages: &str, root: &Path) -> Result<(), String> {
    let half_made = root.with_extension("new");
    for old in [root, &half_made] {
        if old.exists() {
            fs::remove_dir_all(old).map_err(|error| format!("{}: {error}", old.display()))?;
        }
    }
    println!("note: making Debian {} with {packages}, once", suite.name());
    // In namespaces that end with it: nothing stays mounted, however it ends.
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--"]);
    command.args(["mmdebstrap", "--mode=root", "--format=directory", "--variant=minbase"]);
    command.arg(format!("--include={packages}")).arg("--aptopt=Acquire::Retries \"3\"");
    command.arg("--keyring=/usr/share/keyrings/debian-archive-keyring.gpg");
    command.arg(suite.name()).arg(&half_made).args(mirror());
    let output = command.output().map_err(|error| format!("unshare mmdebstrap: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let tail: Vec<&str> = said.lines().rev().take(3).collect();
        return Err(format!("mmdebstrap {}: {}", suite.name(), tail.join("; ")));
    }
    fs::rename(&half_made, root).map_err(|error| format!("{}: {error}", root.display()))
}

/// The mirror that the environment names, as for the node image; else mmdebstrap's own.
fn mirror() -> Option<String> {
    std::env::var("WAMR_LAB_DEBIAN_MIRROR").ok().filter(|url| !url.is_empty())
}
