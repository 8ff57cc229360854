//! `wamr-lab cluster`: the runtime on the nodes of a cluster that exists already.

use std::fs::File;
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use miette::{IntoDiagnostic, Result, WrapErr, bail, miette};
use tokio::time::{Instant, sleep};
use wamr_image::program_image::{self, ProgramImage};
use wamr_node::NativeNode;

use super::{Context, on_node};
use crate::cli::{ClusterCommand, TargetArgs};
use crate::cluster::installer::Installer;
use crate::cluster::installer_objects::{LAB, NAME, NODE_LABEL};
use crate::cluster::namespace_thread;
use crate::cluster::remote_exec::RemoteExec;
use crate::cluster::target::Target;
use crate::cluster_node::programs::{HANDLER, HANDLERS, PROGRAMS};
use crate::cluster_node::restart::Standing;

const RESTART_LIMIT: Duration = Duration::from_mins(3);
const POLL: Duration = Duration::from_secs(1);

/// Runs the sub-command.
///
/// # Errors
/// As the cluster refuses.
pub fn cluster(context: &Context, command: &ClusterCommand) -> Result<ExitCode> {
    match command {
        ClusterCommand::Image { out } => {
            write_image(context, out)?;
            anstream::println!("{}: {}", out.display(), reference());
            Ok(ExitCode::SUCCESS)
        }
        ClusterCommand::Install { target, image, yes } => {
            let target = Target::open(target)?;
            if !yes {
                return refuse(&target, &plan_of_install(&target, image.as_deref()));
            }
            if let Some(node) = &target.native {
                import(context, node)?;
            }
            let image = image.clone().unwrap_or_else(reference);
            namespace_thread::block_on(target.network.as_ref(), || {
                install(context, &target, &image)
            })
        }
        ClusterCommand::Uninstall { target, yes } => {
            let target = Target::open(target)?;
            if !yes {
                return refuse(&target, &plan_of_uninstall());
            }
            namespace_thread::block_on(target.network.as_ref(), || uninstall(context, &target))?;
            target.native.as_ref().map_or(Ok(()), forget_image)?;
            Ok(ExitCode::SUCCESS)
        }
        ClusterCommand::Status { target } => status(target),
    }
}

/// The name that the image is known by.
fn reference() -> String {
    format!("localhost/wamr-lab/node:{}", env!("CARGO_PKG_VERSION"))
}

/// Writes the image of the lab's pods: this program, and those that it installs.
fn write_image(context: &Context, to: &Path) -> Result<()> {
    let lab = std::env::current_exe().into_diagnostic().wrap_err("find this program")?;
    let mut programs = vec![(lab, LAB.to_owned())];
    for name in PROGRAMS {
        programs.push((context.programs_dir.join(name), format!("{}/{name}", on_node::PAYLOAD)));
    }
    program_image::write(
        to,
        &ProgramImage { reference: reference(), entrypoint: vec![LAB.to_owned()], programs },
    )
}

/// Gives the image to the workers of a native cluster; no registry is needed there.
fn import(context: &Context, node: &NativeNode) -> Result<()> {
    let dir = tempfile::tempdir().into_diagnostic().wrap_err("make a temporary directory")?;
    let archive = dir.path().join("node.tar");
    write_image(context, &archive)?;
    for worker in members(node) {
        let file = File::open(&archive).into_diagnostic()?;
        ctr(worker, &["import", "-"], Stdio::from(file))?;
    }
    Ok(())
}

fn forget_image(node: &NativeNode) -> Result<()> {
    let reference = reference();
    members(node)
        .try_for_each(|worker| ctr(worker, &["remove", "--sync", &reference], Stdio::null()))
}

/// Those of a native cluster that take pods.
fn members(node: &NativeNode) -> impl Iterator<Item = &NativeNode> {
    let alone = node.workers().is_empty();
    node.workers().iter().chain(alone.then_some(node))
}

fn ctr(node: &NativeNode, arguments: &[&str], input: Stdio) -> Result<()> {
    let begin = ["ctr", "--namespace", "k8s.io", "images"];
    let argv: Vec<&str> = begin.iter().chain(arguments).copied().collect();
    let output =
        node.command(&argv).stdin(input).output().into_diagnostic().wrap_err("start ctr")?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    bail!("{} on {}: {}", argv.join(" "), node.name(), said.trim())
}

/// Says what would be done to a cluster.
///
/// # Errors
/// Always: it was not meant.
pub fn refuse(target: &Target, plan: &[String]) -> Result<ExitCode> {
    anstream::println!("On {} this would be done:", target.name());
    for line in plan {
        anstream::println!("  {line}");
    }
    Err(miette!(help = "say --yes if you mean it", "nothing was done to the cluster"))
}

fn plan_of_install(target: &Target, image: Option<&str>) -> Vec<String> {
    let image = image.map_or_else(reference, str::to_owned);
    let mut plan = vec![
        format!("make the namespace {NAME} and a DaemonSet of privileged pods of {image} in it"),
        format!("on each node that takes pods: copy {} to /usr/local/bin,", PROGRAMS.join(", ")),
        format!("  write the handlers {} for it, and restart containerd", HANDLERS.join(", ")),
        format!("label these nodes {}={}", NODE_LABEL.0, NODE_LABEL.1),
        format!("make the RuntimeClasses {}, and runc where there is none", HANDLERS.join(", ")),
    ];
    if target.native.is_some() {
        plan.insert(0, format!("import {image} into the nodes"));
    }
    plan
}

fn plan_of_uninstall() -> Vec<String> {
    vec![
        format!("see that no pod uses the RuntimeClasses {}", HANDLERS.join(", ")),
        "on each node with a pod of the lab: remove the programs and the handlers,".to_owned(),
        "  and restart containerd".to_owned(),
        "remove the nodes' label".to_owned(),
        format!("delete the RuntimeClasses that were made, and the namespace {NAME}"),
    ]
}

async fn install(context: &Context, target: &Target, image: &str) -> Result<ExitCode> {
    let installer = Installer::new(target.client().await?);
    let step = context.progress.step("pods of the lab");
    let pods = installer.deploy(image).await;
    match &pods {
        Ok(pods) => step.done(&format!("on {} nodes", pods.len())),
        Err(_) => step.failed("they do not run"),
    }
    let pods = pods?;
    for (node, pod) in &pods {
        let step = context.progress.step(node);
        let done = install_on(&installer, node, pod).await;
        match &done {
            Ok(text) => step.done(text),
            Err(_) => step.failed("nothing was installed there"),
        }
        done.wrap_err_with(|| format!("install on {node}; `cluster uninstall` undoes the rest"))?;
    }
    installer.make_classes().await?;
    anstream::println!(
        "pods with runtimeClassName: {} run on {} nodes",
        HANDLERS.join(" or "),
        pods.len()
    );
    Ok(ExitCode::SUCCESS)
}

async fn install_on(installer: &Installer, node: &str, pod: &str) -> Result<&'static str> {
    let before = standing(&installer.exec, pod).await?;
    if before.installed {
        installer.label(node, true).await?;
        return Ok("was installed before");
    }
    installer.exec.run(pod, &["install"]).await?;
    let after = restart(&installer.exec, pod, &before).await?;
    if !after.installed {
        bail!("containerd did not come up with the handler; it runs as before");
    }
    installer.label(node, true).await?;
    Ok("installed")
}

async fn uninstall(context: &Context, target: &Target) -> Result<()> {
    let installer = Installer::new(target.client().await?);
    let users = installer.users().await?;
    if !users.is_empty() {
        return Err(miette!(
            help = "delete them first: without the runtime they could not even be stopped",
            "{} pods use it: {}",
            users.len(),
            users.join(", ")
        ));
    }
    for (node, pod) in installer.exec.running().await? {
        let step = context.progress.step(&node);
        let done = uninstall_on(&installer, &node, &pod).await;
        match &done {
            Ok(text) => step.done(text),
            Err(_) => step.failed("something is left there"),
        }
        done.wrap_err_with(|| format!("uninstall on {node}"))?;
    }
    let step = context.progress.step("objects");
    let gone = installer.remove_objects().await;
    match &gone {
        Ok(()) => step.done("deleted"),
        Err(_) => step.failed("some are left"),
    }
    gone
}

async fn uninstall_on(installer: &Installer, node: &str, pod: &str) -> Result<&'static str> {
    let before = standing(&installer.exec, pod).await?;
    // First the label: no pod must come that could not run.
    installer.label(node, false).await?;
    if !before.installed {
        return Ok("nothing was installed");
    }
    installer.exec.run(pod, &["uninstall"]).await?;
    restart(&installer.exec, pod, &before).await?;
    Ok("as it was before")
}

async fn standing(exec: &RemoteExec, pod: &str) -> Result<Standing> {
    let text = exec.run(pod, &["status"]).await?;
    serde_json::from_str(&text).into_diagnostic().wrap_err_with(|| format!("{pod} says {text}"))
}

/// Has containerd restarted and waits for the new one. Meanwhile nothing can be run in a pod.
async fn restart(exec: &RemoteExec, pod: &str, before: &Standing) -> Result<Standing> {
    exec.run(pod, &["restart"]).await?;
    let begun = Instant::now();
    loop {
        sleep(POLL).await;
        let now = standing(exec, pod).await;
        match now {
            Ok(now) if now.listens && now.containerd != before.containerd => return Ok(now),
            Ok(_) | Err(_) if begun.elapsed() < RESTART_LIMIT => {}
            Ok(_) => bail!("containerd was not restarted"),
            Err(error) => return Err(error),
        }
    }
}

fn status(target: &TargetArgs) -> Result<ExitCode> {
    let target = Target::open(target)?;
    namespace_thread::block_on(target.network.as_ref(), || async {
        let installer = Installer::new(target.client().await?);
        let pods = installer.exec.running().await?;
        for node in installer.nodes().await? {
            let Some(name) = node.metadata.name else { continue };
            let text = match pods.get(&name) {
                None => "no pod of the lab".to_owned(),
                Some(pod) => match standing(&installer.exec, pod).await {
                    Ok(Standing { installed: true, .. }) => format!("{HANDLER} is installed"),
                    Ok(_) => "a pod of the lab, nothing is installed".to_owned(),
                    Err(error) => format!("{error}"),
                },
            };
            anstream::println!("{name}: {text}");
        }
        Ok(ExitCode::SUCCESS)
    })
}

#[test]
fn the_plans_name_what_they_touch() {
    let text = plan_of_uninstall().join("\n");
    for part in [HANDLER, NAME, "restart containerd", "label"] {
        assert!(text.contains(part), "{part}");
    }
}
