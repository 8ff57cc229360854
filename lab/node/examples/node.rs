//! Tries a node by hand, without the lab.
//!
//! ```text
//! cargo run -p wamr-node --example node -- up NAME [DIST_BIN]
//! cargo run -p wamr-node --example node -- exec NAME kubectl get pods -A
//! cargo run -p wamr-node --example node -- hold NAME [DIST_BIN]   the node ends with this process
//! cargo run -p wamr-node --example node -- status|down|clean NAME
//! ```
//! It takes the finished node image of the cache. Runtimes whose programs are not in DIST_BIN
//! (default `dist/bin`) are left out, which is told.

use std::path::{Path, PathBuf};
use std::process::exit;
use std::time::Instant;

use miette::{IntoDiagnostic, Result, WrapErr, bail};
use wamr_image::NodeImage;
use wamr_node::runtimes::{RuntimeTable, parse_table};
use wamr_node::{NativeNode, Node, NodeConfig};
use wamr_progress::Progress;

fn main() -> Result<()> {
    wamr_node::entry::enter_if_asked();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["up", name, rest @ ..] => up(name, rest)?.stay(),
        ["hold", name, rest @ ..] => {
            let node = up(name, rest)?;
            println!("press Enter to take it down");
            std::io::stdin().read_line(&mut String::new()).into_diagnostic()?;
            node.down(&Progress::new())
        }
        ["exec", name, argv @ ..] if !argv.is_empty() => {
            exit(NativeNode::attach(name)?.exec(argv)?.code().unwrap_or(1))
        }
        ["status"] => {
            for (name, up) in Node::names() {
                println!("{name}\t{}", if up { "up" } else { "dead" });
            }
            Ok(())
        }
        ["down", name] => NativeNode::attach(name)?.down(&Progress::new()),
        ["clean", name] => NativeNode::clean(name),
        _ => bail!(
            "usage: node up|hold NAME [DIST_BIN] | exec NAME PROGRAM… | down|clean NAME | status"
        ),
    }
}

fn up(name: &str, rest: &[&str]) -> Result<NativeNode> {
    let dist_bin = PathBuf::from(rest.first().unwrap_or(&"dist/bin"));
    let image = finished_image()?;
    let config = NodeConfig::new(name, image, runtimes(&dist_bin)?, dist_bin);
    let begun = Instant::now();
    let node = NativeNode::up(&config, &Progress::new())?;
    println!(
        "node {name} takes pods after {:.1} s; PID 1 is {}; logs in {}",
        begun.elapsed().as_secs_f64(),
        node.init_pid(),
        node.log_dir().display()
    );
    Ok(node)
}

fn finished_image() -> Result<NodeImage> {
    let path = wamr_image::description_path(&wamr_image::default_cache());
    let text = std::fs::read_to_string(&path).into_diagnostic().wrap_err_with(|| {
        format!("read {}: build the node image with `wamr-lab image build`", path.display())
    })?;
    serde_json::from_str(&text).into_diagnostic().wrap_err_with(|| path.display().to_string())
}

fn runtimes(dist_bin: &Path) -> Result<RuntimeTable> {
    let mut table = parse_table(include_str!("../../runtimes.toml"))?;
    table.retain(|name, row| {
        if row.absent.is_some() || row.peer_files().next().is_some() {
            return false;
        }
        let programs = std::iter::once(&row.binary).chain(&row.extra_programs);
        let missing = programs
            .filter_map(|program| program.strip_prefix("dist:"))
            .find(|program| !dist_bin.join(program).exists());
        if let Some(program) = missing {
            eprintln!("{name} is left out: no {program} in {}", dist_bin.display());
        }
        missing.is_none()
    });
    Ok(table)
}
