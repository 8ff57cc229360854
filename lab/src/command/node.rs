//! `wamr-lab node`

use std::process::ExitCode;

use miette::{Result, bail, miette};
use wamr_node::{MachineNode, NativeNode, Node, NodeConfig, name_of};

use super::{Context, node_config, require_root, virtual_run};
use crate::cli::{NodeCommand, NodeProvider, UpArgs};
use crate::interrupt::{EXIT_INTERRUPTED, Interrupt};

/// Runs the sub-command.
///
/// # Errors
/// As the node does.
pub fn node(context: &Context, command: NodeCommand) -> Result<ExitCode> {
    match command {
        NodeCommand::Up(arguments) => up(context, &arguments),
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
        NodeCommand::Exec { name, node, command } => {
            require_root("node exec")?;
            let name = node.map_or(name.clone(), |member| name_of(&name, &member));
            let argv: Vec<&str> = command.iter().map(String::as_str).collect();
            exec(&name, &argv)
        }
        NodeCommand::Kubectl { name, arguments } => {
            require_root("node kubectl")?;
            let mut argv = vec!["kubectl"];
            argv.extend(arguments.iter().map(String::as_str));
            exec(&name, &argv)
        }
        NodeCommand::Logs { name, node, daemon } => {
            require_root("node logs")?;
            let name = node.map_or(name.clone(), |member| name_of(&name, &member));
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

fn up(context: &Context, arguments: &UpArgs) -> Result<ExitCode> {
    require_root("node up")?;
    let UpArgs { stay, provider, workers, config_from, containerd, name, .. } = arguments;
    refuse_workers(*provider, *workers)?;
    let interrupt = Interrupt::listen()?;
    let node = match provider {
        NodeProvider::Native => {
            let config = node_config::of_all(context, name, *containerd).map(|config| NodeConfig {
                workers: *workers,
                config_from: config_from.clone(),
                ..config
            });
            up_native(context, &config?, &interrupt).map(Node::Native)
        }
        NodeProvider::Vm if config_from.is_some() => {
            bail!("--config-from is for nodes with --provider native")
        }
        NodeProvider::Vm => virtual_run::node_up(context, arguments, &interrupt).map(Node::Vm),
        NodeProvider::Cluster => Err(miette!(
            help = "wamr-lab cluster install --help; then wamr-lab run with provider = \"cluster\"",
            "a cluster that exists is not brought up"
        )),
    };
    if node.is_err() && interrupt.is_asked() {
        return Ok(EXIT_INTERRUPTED.into());
    }
    keep(context, name, node?, *stay, &interrupt)
}

/// A virtual machine is one node.
fn refuse_workers(provider: NodeProvider, workers: u32) -> Result<()> {
    if provider == NodeProvider::Native || workers == 0 {
        return Ok(());
    }
    Err(miette!(
        help = "bring a cluster up with --provider native, or leave --workers out",
        "a node in a virtual machine has no workers"
    ))
}

/// Runs a program inside; the exit status is the program's own.
fn exec(name: &str, argv: &[&str]) -> Result<ExitCode> {
    let code = Node::attach(name)?.exec(argv)?;
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

fn up_native(context: &Context, config: &NodeConfig, interrupt: &Interrupt) -> Result<NativeNode> {
    interrupt.arm();
    NativeNode::up(config, &context.progress)
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
