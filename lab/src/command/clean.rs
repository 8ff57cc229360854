//! `wamr-lab clean`

use std::process::ExitCode;

use miette::Result;
use wamr_node::Node;

use super::require_root;

/// Removes nodes that are dead. A living one belongs to somebody.
///
/// # Errors
/// Something could not be removed.
pub fn clean() -> Result<ExitCode> {
    require_root("clean")?;
    let nodes = Node::names();
    for (name, up) in &nodes {
        if *up {
            anstream::println!("{name}: is up, left alone (`wamr-lab node down --name {name}`)");
        } else {
            Node::clean(name)?;
            anstream::println!("{name}: removed what it left");
        }
    }
    if nodes.is_empty() {
        anstream::println!("nothing is left of any node");
    }
    Ok(ExitCode::SUCCESS)
}
