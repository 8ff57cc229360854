//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use wamr_record::release::Release;

/// Brings up a Kubernetes node on this machine, runs Wasm and native pods on it, and records what
/// each costs in memory and time.
#[derive(Debug, Parser)]
#[command(name = "wamr-lab", version, arg_required_else_help = true, after_help = EXAMPLES)]
pub struct Cli {
    /// Where finished parts of the node image are kept
    /// [default: $WAMR_LAB_CACHE, else /var/cache/wamr-lab]
    #[arg(long, global = true, value_name = "DIR")]
    pub cache: Option<PathBuf>,

    /// Directory of this project's other programs [default: that of this program]
    #[arg(long, global = true, value_name = "DIR")]
    pub programs: Option<PathBuf>,

    /// Table of runtimes to use instead of the built-in one
    #[arg(long, global = true, value_name = "FILE")]
    pub runtimes: Option<PathBuf>,

    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  wamr-lab doctor                      what does this machine lack?
  wamr-lab demo                        a small comparison in minutes, with a report at the end
  wamr-lab run my.toml --dry-run       which cells, in which order, how long
  wamr-lab run my.toml --out runs/a    measure them
  wamr-lab node up                     a node to try things on; in another terminal:
  wamr-lab node kubectl -- get pods -A

Exit status:
  0    every cell is valid
  1    an error; its text says what to do
  2    the command line is wrong
  3    the run is complete, but some cells are invalid or failed
  4    the run is complete, but something else on the machine disturbed some cells
  5    the run is complete, but pods took longer than a threshold of the experiment allows
  130  interrupted; the node is down, and run --resume goes on

Everything needs root except --help, doctor, --dry-run and commands for existing clusters. Whatever
a command creates is in /var/lib/wamr-lab, /run/wamr-lab, the cache or the run directory.";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build the image, bring up a node, measure ten pods each of four systems, write a report
    #[command(after_help = "\
Example:
  sudo wamr-lab demo

The first run builds the node image, which takes about 10 minutes; later runs take about 4 in all.
The report is runs/DATE-TIME-demo/report/index.html.")]
    Demo(DemoArgs),
    /// Measure an experiment
    #[command(after_help = "\
Examples:
  sudo wamr-lab run demo                    the built-in experiment
  sudo wamr-lab run my.toml --out runs/a
  wamr-lab run my.toml --dry-run            only prints what would be done; needs no root
  sudo wamr-lab run --resume runs/a         after an interruption, a crash or a power cut
  sudo wamr-lab run my.toml --only wamr-crun --only n100
  wamr-lab run cluster.toml --kubeconfig FILE --yes     after `cluster install`

An experiment lists series (a runtime with a workload), densities (pods at once) and repetitions.
Each repetition runs every series at every density once, in a seeded random order. To see the
built-in experiment: wamr-lab run demo --dry-run --show")]
    Run(RunArgs),
    /// Replace pods again and again, and record what each start leaves behind
    #[command(after_help = "\
Examples:
  sudo wamr-lab churn                                  three systems, some hours
  sudo wamr-lab churn wamr-shim --pods 20 --starts 200 --out runs/churn
  sudo wamr-lab churn wamr-shim runc-native:http-native

Each system gets a node of its own: so many pods, of which the oldest tenth is deleted and replaced
until that many containers were started. In between the node is read: memory, descriptors, mounts,
control groups, network namespaces. The report says how many bytes a start leaves behind. Ctrl-C
takes the node down and keeps what was read.")]
    Churn(ChurnArgs),
    /// Show the progress of a run, finished or still under way
    Status(StatusArgs),
    /// Work with the node image
    #[command(subcommand)]
    Image(ImageCommand),
    /// List the runtimes under test, and build those that are not packaged
    #[command(
        subcommand,
        after_help = "\
Examples:
  wamr-lab peers list                       all of them, and which are available
  sudo wamr-lab peers build                 from source, into the cache; slow the first time
  sudo wamr-lab peers verify crun-wamr      runs one pod of it and proves its engine"
    )]
    Peers(PeersCommand),
    /// Work with a node without an experiment
    #[command(
        subcommand,
        after_help = "\
Examples:
  sudo wamr-lab node up                     until Ctrl-C
  sudo wamr-lab node up --stay              until `node down`
  sudo wamr-lab node up --containerd 2.4    with another release than the node image's own
  sudo wamr-lab node up --workers 2         a control plane and two nodes for pods
  sudo wamr-lab node up --provider vm       in a virtual machine
  sudo wamr-lab node kubectl -- get nodes
  sudo wamr-lab node exec -- ctr -n k8s.io containers ls
  sudo wamr-lab node exec --node worker1 -- ip route
  sudo wamr-lab node down"
    )]
    Node(NodeCommand),
    /// Install the runtime on the nodes of an existing cluster, or remove it
    #[command(
        subcommand,
        after_help = "\
Examples:
  wamr-lab cluster image --out node.tar     an image to push to the cluster's registry
  wamr-lab cluster install --image REGISTRY/wamr-lab-node:1       prints what it would do
  wamr-lab cluster install --image REGISTRY/wamr-lab-node:1 --yes
  wamr-lab cluster uninstall --yes
  sudo wamr-lab cluster install --node lab --yes    the cluster of `node up --workers 2`

install creates privileged pods, writes to each node's disk and restarts its containerd. Without
--yes nothing is done. docs/cluster.md describes what is changed and how it is undone."
    )]
    Cluster(ClusterCommand),
    /// What runs in the lab's pod on a node of a cluster
    #[command(subcommand, hide = true)]
    OnNode(OnNodeCommand),
    /// Check whether this machine meets the requirements, and list what is missing
    Doctor,
    /// Take down nodes whose lab died, and remove what they left behind
    Clean,
}

/// `demo`
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// The run directory [default: runs/DATE-TIME-demo]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// `run`
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The experiment's file; `demo` is the built-in one
    #[arg(value_name = "EXPERIMENT.toml", required_unless_present = "resume")]
    pub experiment: Option<PathBuf>,
    /// Resume an interrupted run; finished cells are kept
    #[arg(long, value_name = "DIR", conflicts_with_all = ["experiment", "out", "dry_run"])]
    pub resume: Option<PathBuf>,
    /// Measure only cells whose name contains this, such as wamr-crun or n100; may be repeated
    #[arg(long, value_name = "PART")]
    pub only: Vec<String>,
    /// The run directory [default: runs/DATE-TIME-NAME]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Only print the cells in their order, with an estimate of time and memory
    #[arg(long)]
    pub dry_run: bool,
    /// Measure this machine, which is a node already, whatever provider the experiment names
    #[arg(long)]
    pub here: bool,
    /// With --dry-run: also print the experiment's text
    #[arg(long, requires = "dry_run")]
    pub show: bool,
    /// With provider = "cluster"
    #[command(flatten)]
    pub cluster: OnCluster,
}

/// With provider = "cluster": which one, and whether it is meant.
#[derive(Debug, Args)]
pub struct OnCluster {
    /// The cluster
    #[command(flatten)]
    pub target: TargetArgs,
    /// With provider = "cluster": do it; otherwise only print what would be done
    #[arg(long)]
    pub yes: bool,
}

/// `churn`
#[derive(Debug, Args)]
pub struct ChurnArgs {
    /// Systems, one after the other: rows of runtimes.toml, each with a workload if not its first
    #[arg(
        value_name = "RUNTIME[:WORKLOAD]",
        default_values_t = ["wamr-shim", "wamr-crun", "runc-native"].map(str::to_owned),
    )]
    pub systems: Vec<String>,
    /// Pods at once
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub pods: u32,
    /// Percent of them that are replaced together
    #[arg(long, value_name = "PERCENT", default_value_t = 10)]
    pub share: u32,
    /// Containers to start of each system
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    pub starts: u32,
    /// Readings of the node, spread over the starts
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub readings: u32,
    /// Have the daemons collect their heaps before each reading
    #[arg(long)]
    pub collect_heaps: bool,
    /// The run directory [default: runs/DATE-TIME-churn]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// `status`
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// The run directory
    #[arg(value_name = "DIR")]
    pub run: PathBuf,
}

/// `image`
#[derive(Debug, Subcommand)]
pub enum ImageCommand {
    /// Build the missing parts of the node image
    Build {
        /// Also build the disk for virtual nodes
        #[arg(long)]
        disk: bool,
        /// Also build it with this release of containerd, such as 2.4; may be repeated
        #[arg(long, value_name = "RELEASE")]
        containerd: Vec<Release>,
    },
}

/// `peers`
#[derive(Debug, Subcommand)]
pub enum PeersCommand {
    /// Print the table: handler, whether its programs are available, and why not
    List,
    /// Build the named runtimes, or all that are missing, and print where each file is
    Build {
        /// Rows of runtimes.toml or of peers.toml
        names: Vec<String>,
    },
    /// Run one pod of each named runtime, or of all, on a node and prove its engine
    Verify {
        /// Rows of runtimes.toml
        names: Vec<String>,
        /// Keep the run directory here
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
}

/// `node`
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// Bring up a node, and take it down on Ctrl-C
    Up(UpArgs),
    /// Take a node down
    Down {
        /// The node's name
        #[arg(long, default_value = NODE)]
        name: String,
    },
    /// List the nodes of this machine
    Status,
    /// Run a program inside a node
    Exec {
        /// The node's name
        #[arg(long, default_value = NODE)]
        name: String,
        /// One of its members, such as worker1, if it has workers
        #[arg(long, value_name = "MEMBER")]
        node: Option<String>,
        /// Program and arguments
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Print the log of a daemon of a node
    Logs {
        /// The node's name
        #[arg(long, default_value = NODE)]
        name: String,
        /// One of its members, such as worker1, if it has workers
        #[arg(long, value_name = "MEMBER")]
        node: Option<String>,
        /// containerd, etcd, kube-apiserver, kubelet, …
        daemon: String,
    },
    /// Bring up the node that this machine is; a unit of a virtual node runs it
    #[command(hide = true)]
    Assemble,
    /// Run what comes through this machine's ports; a unit of a virtual node runs it
    #[command(hide = true)]
    Agent,
    /// Run kubectl inside a node
    Kubectl {
        /// The node's name
        #[arg(long, default_value = NODE)]
        name: String,
        /// kubectl's arguments
        #[arg(last = true, required = true)]
        arguments: Vec<String>,
    },
}

/// `node up`
#[derive(Debug, Args)]
pub struct UpArgs {
    /// Leave it running; `node down` takes it down
    #[arg(long)]
    pub stay: bool,
    /// Where it lives
    #[arg(long, value_enum, default_value_t)]
    pub provider: NodeProvider,
    /// With --provider native: number of further nodes, which run the pods
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub workers: u32,
    /// With --provider vm: size and processor, a row of vm-images/vm/profiles.toml
    #[arg(long, default_value = "small")]
    pub profile: String,
    /// With --provider vm: only the runtimes and workloads of this experiment
    #[arg(long = "for", value_name = "EXPERIMENT.toml")]
    pub experiment: Option<PathBuf>,
    /// With --provider vm: return as soon as the machine runs commands
    #[arg(long)]
    pub no_wait: bool,
    /// With --provider vm: systemd without Kubernetes
    #[arg(long)]
    pub bare: bool,
    /// Directory of configuration rendered elsewhere: containerd.toml, kubelet.json, cni/ and
    /// runtimeclasses.json replace the node's own
    #[arg(long, value_name = "DIR", conflicts_with = "experiment")]
    pub config_from: Option<PathBuf>,
    /// Release of containerd, such as 2.4; built the first time that it is asked for [default: the
    /// node image's own]
    #[arg(long, value_name = "RELEASE", conflicts_with = "experiment")]
    pub containerd: Option<Release>,
    /// The node's name
    #[arg(long, default_value = NODE)]
    pub name: String,
}

/// Which cluster is meant.
#[derive(Debug, Clone, Args)]
pub struct TargetArgs {
    /// Its kubeconfig [default: $KUBECONFIG, else ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig [default: its current one]
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// The cluster of the node of this name, from `node up`
    #[arg(long, value_name = "NAME", conflicts_with_all = ["kubeconfig", "context"])]
    pub node: Option<String>,
}

/// `cluster`
#[derive(Debug, Subcommand)]
pub enum ClusterCommand {
    /// Write the image of the lab's pods as an OCI archive
    Image {
        /// The archive
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Install wamr-crun and its shim on the nodes that take pods, with handlers and RuntimeClasses
    Install {
        /// The cluster
        #[command(flatten)]
        target: TargetArgs,
        /// The image of the lab's pods, as the nodes can pull it
        #[arg(long, value_name = "REFERENCE")]
        image: Option<String>,
        /// Do it; otherwise only print what would be done
        #[arg(long)]
        yes: bool,
    },
    /// Undo what install did
    Uninstall {
        /// The cluster
        #[command(flatten)]
        target: TargetArgs,
        /// Do it; otherwise only print what would be done
        #[arg(long)]
        yes: bool,
    },
    /// Show which nodes have the runtime
    Status {
        /// The cluster
        #[command(flatten)]
        target: TargetArgs,
    },
}

/// `on-node`
#[derive(Debug, Subcommand)]
pub enum OnNodeCommand {
    /// Wait for ever: what the pod itself does
    Idle,
    /// Copy the programs and write the handler
    Install,
    /// Undo that
    Uninstall,
    /// Print how the host stands
    Status,
    /// Answer questions about the host that come as lines of JSON
    Observe,
    /// Print the images that the host's containerd has
    Images,
    /// Give the host's containerd an image that comes as an OCI archive
    Import,
    /// Have the host's containerd forget images
    Forget {
        /// Their names
        references: Vec<String>,
    },
    /// Have containerd restarted, by a process that outlives this one
    Restart {
        /// In this process
        #[arg(long)]
        now: bool,
    },
}

/// Where a node of `node up` lives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum NodeProvider {
    /// In namespaces of this machine.
    #[default]
    Native,
    /// In a virtual machine, under QEMU.
    Vm,
    /// On a cluster that exists: `cluster install`, `status` and `uninstall` are its verbs.
    Cluster,
}

/// The node of `node up`; runs use names of their own, so both can be there at once.
const NODE: &str = "lab";

#[test]
fn the_command_line_is_consistent() {
    use clap::CommandFactory;
    Cli::command().debug_assert();
}
