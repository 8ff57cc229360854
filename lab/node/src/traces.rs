//! What a node leaves on the host, and its removal. Mounts, network and processes are not among
//! it: they end with the node's namespaces.

use std::fs;
use std::io;
use std::path::Path;

use miette::{IntoDiagnostic, Result, WrapErr, bail};

use crate::cgroups;
use crate::layout::Layout;

/// Removes control groups and directories of the node `name`; nothing there is fine.
///
/// # Errors
/// Something is still in use.
pub fn remove(name: &str) -> Result<()> {
    let layout = Layout::new(name);
    cgroups::remove(&cgroups::hierarchies()?, &layout.cgroup())?;
    // The run directory reserves the name, so it goes last.
    for dir in [layout.state(), layout.run()] {
        refuse_mounts_below(&dir)?;
        match fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error)
                    .into_diagnostic()
                    .wrap_err_with(|| format!("remove {}", dir.display()));
            }
            _ => {}
        }
    }
    for parent in Layout::shared_parents() {
        // Another node may be using it.
        drop(fs::remove_dir(parent));
    }
    Ok(())
}

/// Copies the logs out of what is about to be removed. Best effort: an error is on its way.
pub fn keep_logs(name: &str) {
    let layout = Layout::new(name);
    let to = layout.failed_log();
    let copy = || -> io::Result<()> {
        // A keeper may have moved them already: what it kept must stay.
        if !fs::read_dir(layout.log()).is_ok_and(|mut logs| logs.next().is_some()) {
            return Ok(());
        }
        if to.exists() {
            fs::remove_dir_all(&to)?;
        }
        fs::create_dir_all(&to)?;
        for entry in fs::read_dir(layout.log())? {
            let entry = entry?;
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
        Ok(())
    };
    if let Err(error) = copy() {
        eprintln!("keep the node's logs in {}: {error}", to.display());
    }
}

/// Deleting through a mount would delete what is mounted.
fn refuse_mounts_below(dir: &Path) -> Result<()> {
    let text = fs::read_to_string("/proc/self/mountinfo")
        .into_diagnostic()
        .wrap_err("read /proc/self/mountinfo")?;
    if let Some(at) = mount_below(&text, dir) {
        bail!("{at} is a mount point: unmount it, then clean the node again");
    }
    Ok(())
}

fn mount_below<'a>(mountinfo: &'a str, dir: &Path) -> Option<&'a str> {
    mountinfo
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .find(|at| Path::new(at).starts_with(dir))
}

#[test]
fn mounts_below_a_directory_are_seen() {
    let text = "1 0 0:1 / / rw - ext4 x rw\n2 1 0:2 / /var/lib/n/demo/root rw - overlay o rw\n";
    assert_eq!(mount_below(text, Path::new("/var/lib/n/demo")), Some("/var/lib/n/demo/root"));
    assert_eq!(mount_below(text, Path::new("/var/lib/n/dem")), None);
}
