//! The way from nothing to a native node whose init runs; `start` has the rest of the way.

use miette::{Result, miette};
use wamr_progress::Progress;

use crate::config::NodeConfig;
use crate::error_chain::chain;
use crate::layout::Layout;
use crate::member::Member;
use crate::native_node::NativeNode;
use crate::reservation::reserve;
use crate::site::Site;
use crate::spawn::spawn_init;
use crate::start::start_all;
use crate::workers::join;
use crate::{member, prepare, traces};

impl NativeNode {
    /// Brings a node up. It returns when the Node object is Ready, the images are imported, the
    /// RuntimeClasses exist and pods can be created. metrics-server runs then, but answers only
    /// after its second scrape.
    ///
    /// # Errors
    /// The configuration is wrong, the name is taken, or a daemon did not come up: the text says
    /// which, ends with its last log lines, and its help names the directory of all logs.
    pub fn up(config: &NodeConfig, progress: &Progress) -> Result<Self> {
        bring_up(config, progress)
    }
}

fn bring_up(config: &NodeConfig, progress: &Progress) -> Result<NativeNode> {
    config.check()?;
    if !nix::unistd::geteuid().is_root() {
        return Err(miette!(
            help = "run it with sudo",
            "a node needs root: it mounts, and makes namespaces and control groups"
        ));
    }
    reserve_all(config)?;
    let step = progress.step("namespaces");
    let begun = prepare::write_files(config).and_then(|prepared| {
        prepare::refuse_overlay(&Layout::new(&config.name).state())?;
        let own = Member::control_plane(&config.name);
        Ok((spawn_init(config, own, &prepared.daemons)?, prepared))
    });
    let (mut node, prepared) = match begun {
        Ok(begun) => begun,
        Err(error) => {
            step.failed("the node is removed");
            return Err(give_up(config, error));
        }
    };
    step.done(&format!("PID 1 of the node is {}", node.init_pid()));
    let workloads = &config.image.workloads;
    let started = start_all(&Site::Native(&node), &prepared, workloads, progress)
        .and_then(|()| join(config, &mut node, &prepared, progress));
    match started {
        Ok(()) => Ok(node),
        Err(error) => {
            for name in names(config) {
                traces::keep_logs(&name);
            }
            drop(node);
            // Of workers that did not get a process.
            let rest = workers(config).iter().try_for_each(|name| traces::remove(name));
            Err(with_log_help(
                config,
                &match rest {
                    Ok(()) => error,
                    Err(rest) => error.wrap_err(chain(&rest)),
                },
            ))
        }
    }
}

fn workers(config: &NodeConfig) -> Vec<String> {
    member::workers(&config.name, config.workers).into_iter().map(|worker| worker.name).collect()
}

/// The node and its workers.
fn names(config: &NodeConfig) -> Vec<String> {
    std::iter::once(config.name.clone()).chain(workers(config)).collect()
}

/// Takes all names, or none.
fn reserve_all(config: &NodeConfig) -> Result<()> {
    let names = names(config);
    for (index, name) in names.iter().enumerate() {
        if let Err(error) = reserve(name) {
            return match names[..index].iter().try_for_each(|name| traces::remove(name)) {
                Ok(()) => Err(error),
                Err(second) => Err(error.wrap_err(chain(&second))),
            };
        }
    }
    Ok(())
}

/// Removes a node of which no process runs yet.
fn give_up(config: &NodeConfig, error: miette::Report) -> miette::Report {
    traces::keep_logs(&config.name);
    match names(config).iter().try_for_each(|name| traces::remove(name)) {
        Ok(()) => error,
        Err(second) => error.wrap_err(format!("then, removing the node: {}", chain(&second))),
    }
}

/// The same error, with where the logs are.
pub fn with_log_help(config: &NodeConfig, error: &miette::Report) -> miette::Report {
    let logs = Layout::new(&config.name).failed_log();
    miette!(help = format!("all logs of the node: {}", logs.display()), "{}", chain(error))
}
