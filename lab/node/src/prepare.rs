//! Writes everything that a node needs to start, before any process of it exists.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use serde_json::Value;
use wamr_image::WorkloadImage;

use crate::config::{ControlPlane, NodeConfig, PAUSE};
use crate::daemon::Daemon;
use crate::layout::{ADMIN_KUBECONFIG, CONFIG_DIR, LOG_DIR, Layout, PKI_DIR, STATE_DIRS};
use crate::member::Member;
use crate::pki::Pki;
use crate::provided_config::ProvidedConfig;
use crate::runtimes::{Origin, origin, program_path};
use crate::scale::PodNetwork;
use crate::{
    containerd, control_plane, kubeconfig, kubelet, member, metrics_server, network, objects,
    provided_config,
};

/// f_type of overlayfs. Source: statfs(2).
const OVERLAYFS_MAGIC: i64 = 0x794c_7630;

/// What is left to do once the files are there.
#[derive(Debug)]
pub struct Prepared {
    /// All daemons, in the order of their start.
    pub daemons: Vec<Daemon>,
    /// Objects for the API server.
    pub objects: Value,
    /// The workers.
    pub workers: Vec<PreparedWorker>,
}

/// A worker whose files are there.
#[derive(Debug)]
pub struct PreparedWorker {
    /// Which one.
    pub member: Member,
    /// Its daemons, in the order of their start.
    pub daemons: Vec<Daemon>,
}

/// Writes all files below the reserved names.
///
/// # Errors
/// A part of the image or a program is missing, or a file cannot be written.
pub fn write_files(config: &NodeConfig) -> Result<Prepared> {
    let workers = member::workers(&config.name, config.workers);
    let pki = Pki::generate(&config.name, &workers)?;
    let own = Member::control_plane(&config.name);
    let configuration = configuration(config, &own)?;
    let root = write_member(config, &own, &configuration)?;
    write_identity(&root, &pki, &Layout::new(&config.name))?;
    let speed = config.control_plane;
    if speed == ControlPlane::None {
        let daemons = vec![containerd::daemon()];
        return Ok(Prepared { daemons, objects: Value::Null, workers: Vec::new() });
    }
    Ok(Prepared {
        daemons: vec![
            containerd::daemon(),
            control_plane::etcd(),
            control_plane::apiserver(),
            control_plane::controller_manager(speed),
            control_plane::scheduler(speed),
            kubelet::daemon(&own),
            metrics_server::daemon(config.metric_resolution_s),
        ],
        objects: objects::all(configuration.runtime_classes, &pki.ca_certificate),
        workers: workers
            .into_iter()
            .map(|worker| prepare_worker(config, worker, &pki))
            .collect::<Result<_>>()?,
    })
}

fn prepare_worker(config: &NodeConfig, member: Member, pki: &Pki) -> Result<PreparedWorker> {
    let root = write_member(config, &member, &configuration(config, &member)?)?;
    write_secrets(&root, pki.worker_files(&member.name))?;
    let client = pki.worker_client(&member.name);
    let text = kubeconfig::render_with(&pki.ca_certificate, client, "kubelet");
    root.write(&format!("{CONFIG_DIR}/kubelet.kubeconfig"), &text, 0o600)?;
    // For whoever works inside: a command there has it in KUBECONFIG.
    let admin = kubeconfig::render(pki, "admin", "admin");
    root.write(ADMIN_KUBECONFIG, &admin, 0o600)?;
    let daemons = vec![containerd::daemon(), kubelet::daemon(&member)];
    Ok(PreparedWorker { member, daemons })
}

/// What every node has: directories, configuration, programs.
fn write_member(config: &NodeConfig, member: &Member, words: &ProvidedConfig) -> Result<Upper> {
    let layout = Layout::new(&member.name);
    make_directories(&layout)?;
    let root = Upper { dir: layout.upper() };
    write_configuration(&root, config, member, words)?;
    install_programs(&root, config)?;
    Ok(root)
}

fn make_directories(layout: &Layout) -> Result<()> {
    let state = layout.state();
    make_dir(&state, 0o700)?;
    for dir in [layout.upper(), layout.work(), layout.root()] {
        make_dir(&dir, 0o755)?;
    }
    for (name, _) in STATE_DIRS {
        make_dir(&layout.state_dir(name), if name == "etcd" { 0o700 } else { 0o755 })?;
    }
    Ok(())
}

/// Refuses a place that cannot carry the overlay of a native node.
///
/// # Errors
/// `state` is on an overlay itself.
pub fn refuse_overlay(state: &Path) -> Result<()> {
    let stat = nix::sys::statfs::statfs(state)
        .into_diagnostic()
        .wrap_err_with(|| format!("statfs {}", state.display()))?;
    if stat.filesystem_type().0 == OVERLAYFS_MAGIC {
        return Err(miette!(
            help = "mount a volume or a disk at /var/lib/wamr-lab",
            "{} is on an overlay, which cannot carry another",
            state.display()
        ));
    }
    Ok(())
}

/// Makes a directory with exactly this mode, whatever the umask says.
///
/// # Errors
/// The system refuses.
pub fn make_dir(dir: &Path, mode: u32) -> Result<()> {
    fs::create_dir_all(dir)
        .and_then(|()| fs::set_permissions(dir, fs::Permissions::from_mode(mode)))
        .into_diagnostic()
        .wrap_err_with(|| format!("make {}", dir.display()))
}

/// The overlay's upper directory, or what a virtual machine unpacks over its disk: what is written
/// here is what the node sees.
pub struct Upper {
    /// That directory.
    pub dir: PathBuf,
}

impl Upper {
    /// The host's path of an absolute path of the node, with its directories made.
    ///
    /// # Errors
    /// A directory cannot be made.
    pub fn place(&self, path: &str) -> Result<PathBuf> {
        let mut at = self.dir.clone();
        let mut parts = Path::new(path.trim_start_matches('/')).components().peekable();
        while let Some(part) = parts.next() {
            at.push(part);
            if parts.peek().is_some() && !at.is_dir() {
                // An upper directory lends its mode to the merged one.
                make_dir(&at, 0o755)?;
            }
        }
        Ok(at)
    }

    /// Writes a file of the node.
    ///
    /// # Errors
    /// The system refuses.
    pub fn write(&self, path: &str, content: &str, mode: u32) -> Result<()> {
        let at = self.place(path)?;
        fs::write(&at, content)
            .and_then(|()| fs::set_permissions(&at, fs::Permissions::from_mode(mode)))
            .into_diagnostic()
            .wrap_err_with(|| format!("write {}", at.display()))
    }
}

/// The daemons' configuration: the node's own, or that which was provided.
fn configuration(config: &NodeConfig, member: &Member) -> Result<ProvidedConfig> {
    if let Some(dir) = &config.config_from {
        return provided_config::read(dir);
    }
    let pause: &WorkloadImage = config.image.workloads.get(PAUSE).ok_or_else(|| {
        miette!(
            help = "build it again: wamr-lab image build",
            "the node image has no {PAUSE} image"
        )
    })?;
    let network = format!("{:#}\n", network::cni_conflist(member, PodNetwork::of(config.max_pods)));
    Ok(ProvidedConfig {
        containerd: containerd::render(&config.runtimes, &pause.reference, config.cgroup_driver)?,
        kubelet: format!("{:#}\n", kubelet::config(config)),
        networks: vec![("10-lab.conflist".to_owned(), network)],
        runtime_classes: objects::runtime_classes(&config.runtimes),
    })
}

fn write_configuration(
    root: &Upper,
    config: &NodeConfig,
    member: &Member,
    words: &ProvidedConfig,
) -> Result<()> {
    let hosts = format!("127.0.0.1 localhost\n{} {}\n", member.address(), member.name);
    for (name, content) in &words.networks {
        root.write(&format!("/etc/cni/net.d/{name}"), content, 0o644)?;
    }
    let files = [
        (containerd::config_path(), words.containerd.clone()),
        (kubelet::config_path(), words.kubelet.clone()),
        ("/etc/hosts".to_owned(), hosts),
        ("/etc/hostname".to_owned(), format!("{}\n", member.name)),
        // The kubelet hands it to every pod; there is no name server.
        ("/etc/resolv.conf".to_owned(), "# This node has no name server.\n".to_owned()),
        ("/etc/machine-id".to_owned(), format!("{}\n", machine_id(&member.name))),
    ];
    for (path, content) in files.into_iter().chain(containerd::base_specs(&config.runtimes)?) {
        root.write(&path, &content, 0o644)?;
    }
    make_dir(&root.place(LOG_DIR)?, 0o755)
}

/// 32 hex digits from the name: stable, and unlike those of nodes with other names.
fn machine_id(name: &str) -> String {
    let number = name
        .bytes()
        .fold(0_u128, |number, byte| number.wrapping_mul(257).wrapping_add(u128::from(byte)));
    format!("{number:032x}")
}

fn write_identity(root: &Upper, pki: &Pki, layout: &Layout) -> Result<()> {
    write_secrets(root, pki.files())?;
    for stem in ["kubelet", "controller-manager", "scheduler", "metrics-server"] {
        let text = kubeconfig::render(pki, stem, stem);
        root.write(&format!("{CONFIG_DIR}/{stem}.kubeconfig"), &text, 0o600)?;
    }
    let admin = kubeconfig::render(pki, "admin", "admin");
    root.write(ADMIN_KUBECONFIG, &admin, 0o600)?;
    let outside = Upper { dir: layout.run() };
    outside.write("admin.kubeconfig", &admin, 0o600)
}

fn write_secrets(root: &Upper, files: Vec<(String, &str)>) -> Result<()> {
    for (name, content) in files {
        root.write(&format!("{PKI_DIR}/{name}"), content, 0o600)?;
    }
    make_dir(&root.place(PKI_DIR)?, 0o700)
}

/// Copies `dist:` and `peer:` programs and sees that the others are in the image.
fn install_programs(root: &Upper, config: &NodeConfig) -> Result<()> {
    for (name, row) in &config.runtimes {
        for program in row.programs() {
            let inside = program_path(program);
            match origin(program) {
                Origin::Dist(file) => {
                    install(&config.dist_bin.join(file), &root.place(&inside)?)?;
                    continue;
                }
                Origin::Peer(file) => {
                    let built = config.peers.get(file).ok_or_else(|| {
                        miette!(
                            help = "wamr-lab peers build",
                            "runtime {name}: {file} is not built"
                        )
                    })?;
                    install(built, &root.place(&inside)?)?;
                    continue;
                }
                Origin::Image(_) => {}
            }
            let in_image = config.image.rootfs.join(inside.trim_start_matches('/'));
            // A link may well be absolute, and then leads elsewhere on the host: do not follow it.
            in_image
                .symlink_metadata()
                .into_diagnostic()
                .wrap_err_with(|| format!("runtime {name}: look for {inside} in the node image"))?;
        }
    }
    Ok(())
}

/// Copies a program, or a link as it is.
///
/// # Errors
/// It is not there.
pub fn install(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        // Another row has brought it.
        return Ok(());
    }
    if let Ok(target) = fs::read_link(from) {
        return symlink(&target, to)
            .into_diagnostic()
            .wrap_err_with(|| format!("link {} to {}", to.display(), target.display()));
    }
    fs::copy(from, to)
        .and_then(|_| fs::set_permissions(to, fs::Permissions::from_mode(0o755)))
        .map(drop)
        .map_err(|error| {
            miette!(
                help = "build the programs first: make build",
                "copy {} to {}: {error}",
                from.display(),
                to.display()
            )
        })
}

#[test]
fn a_machine_id_has_32_hex_digits() {
    assert_eq!(machine_id("a"), "00000000000000000000000000000061");
    assert_ne!(machine_id("ab"), machine_id("ba"));
    assert_eq!(machine_id(&"n".repeat(40)).len(), 32);
}
