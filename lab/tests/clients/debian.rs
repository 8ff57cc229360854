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

/// The root file system of `suite`, made if it is not in the cache.
pub fn root(suite: Suite) -> PathBuf {
    let cache = wamr_image::default_cache().join("clients");
    fs::create_dir_all(&cache).expect("a directory in the cache");
    // Two suites at once take a mirror longer than one after the other.
    let lock = File::create(cache.join("lock")).expect("a lock in the cache");
    let _turn = Flock::lock(lock, FlockArg::LockExclusive).expect("wait for a turn");
    let root = cache.join(suite.name());
    let made_of = cache.join(format!("{}.packages", suite.name()));
    let packages = suite.packages();
    if fs::read_to_string(&made_of).is_ok_and(|text| text == packages) && root.is_dir() {
        return root;
    }
    make(suite, &packages, &root);
    fs::write(&made_of, packages).expect("note the packages");
    root
}

fn make(suite: Suite, packages: &str, root: &Path) {
    let half_made = root.with_extension("new");
    for old in [root, &half_made] {
        if old.exists() {
            fs::remove_dir_all(old).expect("remove an older root file system");
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
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "mmdebstrap {}: {said}", suite.name());
    fs::rename(&half_made, root).expect("put the root file system into its place");
}

/// The mirror that the environment names, as for the node image; else mmdebstrap's own.
fn mirror() -> Option<String> {
    std::env::var("WAMR_LAB_DEBIAN_MIRROR").ok().filter(|url| !url.is_empty())
}
