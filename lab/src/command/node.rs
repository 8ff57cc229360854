//! `wamr-lab node`

use std::path::PathBuf;
use std::process::ExitCode;

use miette::{Result, bail};
use wamr_image::peers;
use wamr_node::runtimes::peer_files;
use wamr_node::{ControlPlane, MachineNode, NativeNode, Node, NodeConfig};

use super::virtual_run::{self, Wanted};
use super::{Context, require_root};
use crate::cli::{NodeCommand, NodeProvider};
use crate::interrupt::{EXIT_INTERRUPTED, Interrupt};

/// Runs the sub-command.
///
/// # Errors
/// As the node does.
pub fn node(context: &Context, command: NodeCommand) -> Result<ExitCode> {
    match command {
        NodeCommand::Up { stay, provider, profile, experiment, no_wait, config_from, name } => {
            require_root("node up")?;
            let interrupt = Interrupt::listen()?;
            let node = match provider {
                NodeProvider::Native => {
                    up_native(context, &name, config_from, &interrupt).map(Node::Native)
                }
                NodeProvider::Vm if config_from.is_some() => {
                    bail!("--config-from is for nodes with --provider native")
                }
                NodeProvider::Vm => {
                    let wanted = Wanted { name: &name, profile: &profile, experiment, no_wait };
                    virtual_run::node_up(context, &wanted, &interrupt).map(Node::Vm)
                }
            };
            if node.is_err() && interrupt.is_asked() {
                return Ok(EXIT_INTERRUPTED.into());
            }
            keep(context, &name, node?, stay, &interrupt)
        }
        NodeCommand::Down { name } => {
            require_root("node down")?;
            Node::clean(&name)?;
            anstream::println!("{name}: down");
            Ok(ExitCode::SUCCESS)
        }
        NodeCommand::Status => {
            for (name, up) in Node::names() {
                let state = match Node::attach(&name) {
                    Ok(node) if up => format!("up ({})", node.kind()),
                    _ => "dead (`wamr-lab clean` removes it)".to_owned(),
                };
                anstream::println!("{name}: {state}");
            }
            Ok(ExitCode::SUCCESS)
        }
        NodeCommand::Exec { name, command } => {
            require_root("node exec")?;
            let argv: Vec<&str> = command.iter().map(String::as_str).collect();
            exec(&name, &argv)
        }
        NodeCommand::Kubectl { name, arguments } => {
            require_root("node kubectl")?;
            let mut argv = vec!["kubectl"];
            argv.extend(arguments.iter().map(String::as_str));
            exec(&name, &argv)
        }
        NodeCommand::Logs { name, daemon } => {
            require_root("node logs")?;
            anstream::print!("{}", Node::attach(&name)?.log_text(&daemon)?);
            Ok(ExitCode::SUCCESS)
        }
        NodeCommand::Assemble => {
            MachineNode::open()?.assemble(&context.progress)?;
            Ok(ExitCode::SUCCESS)
        }
        NodeCommand::Agent => {
            wamr_node::vm::agent::serve()?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Runs a program inside; the exit status is the program's own.
fn exec(name: &str, argv: &[&str]) -> Result<ExitCode> {
    let code = Node::attach(name)?.exec(argv)?;
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

fn up_native(
    context: &Context,
    name: &str,
    config_from: Option<PathBuf>,
    interrupt: &Interrupt,
) -> Result<NativeNode> {
    let mut config = config_of_all(context, name)?;
    config.config_from = config_from;
    interrupt.arm();
    NativeNode::up(&config, &context.progress)
}

/// A node with every runtime that is there.
///
/// # Errors
/// The node image cannot be built.
pub fn config_of_all(context: &Context, name: &str) -> Result<NodeConfig> {
    let image = wamr_image::ensure(&context.cache, &context.progress)?;
    let mut runtimes = context.runtimes.clone();
    // Building peers takes long; whoever wants them says so by `peers build`.
    let built = peers::built(&context.cache, &peer_files(&runtimes))?;
    runtimes.retain(|_, row| {
        row.absent.is_none() && row.peer_files().all(|file| built.contains_key(file))
    });
    let mut config = NodeConfig::new(name, image, runtimes, context.programs_dir.clone());
    config.peers = built;
    config.control_plane = ControlPlane::Unthrottled;
    Ok(config)
}

/// Leaves the node up, or waits for the user to end it.
fn keep(
    context: &Context,
    name: &str,
    node: Node,
    stay: bool,
    interrupt: &Interrupt,
) -> Result<ExitCode> {
    if stay && !interrupt.is_asked() {
        match node {
            Node::Native(node) => node.stay()?,
            Node::Vm(node) => node.stay()?,
        }
        anstream::println!("{name} stays up; `wamr-lab node down --name {name}` takes it down");
        return Ok(ExitCode::SUCCESS);
    }
    anstream::println!(
        "{name} is up; try `wamr-lab node kubectl --name {name} -- get nodes`; Ctrl-C ends it"
    );
    interrupt.block_until_asked()?;
    match node {
        Node::Native(node) => node.down(&context.progress)?,
        Node::Vm(node) => node.down(&context.progress)?,
    }
    Ok(ExitCode::SUCCESS)
}
