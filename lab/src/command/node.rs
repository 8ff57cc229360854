//! `wamr-lab node`

use std::process::{ExitCode, ExitStatus};

use miette::Result;
use wamr_image::peers;
use wamr_node::runtimes::peer_files;
use wamr_node::{ControlPlane, NativeNode, NodeConfig};

use super::{Context, require_root};
use crate::cli::NodeCommand;
use crate::interrupt::Interrupt;

/// Runs the sub-command.
///
/// # Errors
/// As the node does.
pub fn node(context: &Context, command: NodeCommand) -> Result<ExitCode> {
    match command {
        NodeCommand::Up { stay, name } => up(context, &name, stay),
        NodeCommand::Down { name } => {
            require_root("node down")?;
            NativeNode::clean(&name)?;
            anstream::println!("{name}: down");
            Ok(ExitCode::SUCCESS)
        }
        NodeCommand::Status => {
            for (name, up) in NativeNode::names() {
                let state = if up { "up" } else { "dead (`wamr-lab clean` removes it)" };
                anstream::println!("{name}: {state}");
            }
            Ok(ExitCode::SUCCESS)
        }
        NodeCommand::Exec { name, command } => {
            require_root("node exec")?;
            let argv: Vec<&str> = command.iter().map(String::as_str).collect();
            Ok(exit_code(NativeNode::attach(&name)?.exec(&argv)?))
        }
        NodeCommand::Kubectl { name, arguments } => {
            require_root("node kubectl")?;
            let mut argv = vec!["kubectl"];
            argv.extend(arguments.iter().map(String::as_str));
            Ok(exit_code(NativeNode::attach(&name)?.exec(&argv)?))
        }
    }
}

fn up(context: &Context, name: &str, stay: bool) -> Result<ExitCode> {
    require_root("node up")?;
    let image = wamr_image::ensure(&context.cache, &context.progress)?;
    let interrupt = Interrupt::listen()?;
    interrupt.arm();
    let mut runtimes = context.runtimes.clone();
    // Building peers takes long; whoever wants them says so by `peers build`.
    let built = peers::built(&context.cache, &peer_files(&runtimes))?;
    runtimes.retain(|_, row| {
        row.absent.is_none() && row.peer_files().all(|file| built.contains_key(file))
    });
    let mut config = NodeConfig::new(name, image, runtimes, context.programs_dir.clone());
    config.peers = built;
    config.control_plane = ControlPlane::Unthrottled;
    let node = NativeNode::up(&config, &context.progress)?;
    if stay && !interrupt.is_asked() {
        node.stay()?;
        anstream::println!("{name} stays up; `wamr-lab node down --name {name}` takes it down");
        return Ok(ExitCode::SUCCESS);
    }
    anstream::println!(
        "{name} is up; try `wamr-lab node kubectl --name {name} -- get nodes`; Ctrl-C ends it"
    );
    interrupt.block_until_asked()?;
    node.down(&context.progress)?;
    Ok(ExitCode::SUCCESS)
}

/// The status of the command that ran inside; a signal's is 128 + its number, as shells have it.
fn exit_code(status: ExitStatus) -> ExitCode {
    use std::os::unix::process::ExitStatusExt;
    let code = status.code().or_else(|| Some(128 + status.signal()?));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
