//! `linux.intelRdt`: a group of the resctrl file system for the container's share of cache and
//! memory bandwidth, and one that measures its use.
//!
//! Source: runtime-spec config-linux.md "IntelRdt"; kernel Documentation/filesystems/resctrl.rst.

use crate::error::{Act, Error, Result};
use oci_spec::runtime::LinuxIntelRdt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A class of service (CLOS), as config.json asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// The group's name below the file system's top.
    pub group: String,
    /// Lines for its `schemata`; without any the group must be there already.
    pub schemata: Vec<String>,
    /// The name of a group in its `mon_groups`.
    pub monitor: Option<String>,
    /// The group is the container's own, not one that `closID` names.
    own: bool,
}

fn refuse(field: &str, reason: impl Into<String>) -> Error {
    Error::config(format!("linux.intelRdt.{field}"), reason)
}

/// Reads `wanted` for the container `id`. Pure.
///
/// # Errors
/// [`Error::Config`]: a name that leads elsewhere, a line that is none.
pub fn from_spec(wanted: &LinuxIntelRdt, id: &str) -> Result<Class> {
    let named = wanted.clos_id().as_deref().filter(|name| !name.is_empty());
    if let Some(name) = named
        && (name.contains(['/', '\n']) || matches!(name, "." | ".."))
    {
        return Err(refuse("closID", format!("{name:?} is no name of a group")));
    }
    let mut schemata = Vec::new();
    let (cache, bandwidth) = (wanted.l3_cache_schema(), wanted.mem_bw_schema());
    // Old configurations have lines for the bandwidth in the cache's; the spec leaves them out.
    let cache = cache.iter().flat_map(|text| text.lines()).filter(|line| !line.starts_with("MB:"));
    schemata.extend(cache.map(str::to_owned));
    if let Some(line) = bandwidth {
        if !line.starts_with("MB:") || line.contains('\n') {
            return Err(refuse("memBwSchema", format!("{line:?} is no line that begins MB:")));
        }
        schemata.push(line.clone());
    }
    for line in wanted.schemata().iter().flatten() {
        if line.contains('\n') {
            return Err(refuse("schemata", format!("{line:?} is more than one line")));
        }
        schemata.push(line.clone());
    }
    schemata.retain(|line| !line.is_empty());
    let monitors = [wanted.enable_monitoring(), wanted.enable_cmt(), wanted.enable_mbm()];
    let monitors = monitors.into_iter().any(|switch| *switch == Some(true));
    Ok(Class {
        group: named.unwrap_or(id).to_owned(),
        schemata,
        monitor: monitors.then(|| id.to_owned()),
        own: named.is_none(),
    })
}

/// Where this host mounts resctrl. `mountinfo`: the text of /proc/self/mountinfo. Pure.
fn mount_point(mountinfo: &str) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        kind.starts_with("resctrl ").then(|| place.split(' ').nth(4).map(PathBuf::from))?
    })
}

/// Finds the file system.
///
/// # Errors
/// [`Error::Config`]: it is not mounted.
pub fn find() -> Result<PathBuf> {
    let mountinfo = fs::read_to_string("/proc/self/mountinfo")
        .act(|| "read /proc/self/mountinfo".to_owned())?;
    mount_point(&mountinfo).ok_or_else(|| {
        let reason = "resctrl is not mounted: the host needs a CPU with it, and \
                      mount -t resctrl resctrl /sys/fs/resctrl";
        Error::config("linux.intelRdt", reason)
    })
}

/// Makes the groups of `class` below `top` and puts process `pid` into them. What was made is
/// added to `made`, also after an error.
///
/// # Errors
/// [`Error::Config`]: a group that should be there is not; [`Error::Os`] with the file.
pub fn set_up(class: &Class, top: &Path, pid: i32, made: &mut Vec<PathBuf>) -> Result<()> {
    let group = top.join(&class.group);
    if class.schemata.is_empty() && !class.own && !group.is_dir() {
        let reason = format!("{} is not there, and no schema says what to make", group.display());
        return Err(refuse("closID", reason));
    }
    make(&group, made)?;
    if !class.schemata.is_empty() {
        write_schemata(class, &group)?;
    }
    if let Some(name) = &class.monitor {
        make(&group.join("mon_groups").join(name), made)?;
    }
    join(class, top, pid)
}

fn write_schemata(class: &Class, group: &Path) -> Result<()> {
    let text = class.schemata.join("\n") + "\n";
    let file = group.join("schemata");
    fs::write(&file, &text).act(|| format!("write {text:?} to {}", file.display()))
}

/// Writes the lines of `class` to the container's own group, one of those that were `made` for it.
///
/// # Errors
/// [`Error::Usage`]: it has none; [`Error::Os`] with the file.
pub fn update(class: &Class, made: &[PathBuf]) -> Result<()> {
    let measures = |group: &&PathBuf| group.parent().is_some_and(|it| it.ends_with("mon_groups"));
    match made.iter().find(|group| !measures(group)) {
        Some(group) => write_schemata(class, group),
        None => Err(Error::Usage(
            "--l3-cache-schema and --mem-bw-schema change the resctrl group that linux.intelRdt \
             made, and none was made for this container"
                .to_owned(),
        )),
    }
}

/// Puts process `pid` into the groups of `class`, which are there.
///
/// # Errors
/// [`Error::Os`] with the file.
pub fn join(class: &Class, top: &Path, pid: i32) -> Result<()> {
    let group = top.join(&class.group);
    enter(&group, pid)?;
    let Some(name) = &class.monitor else { return Ok(()) };
    enter(&group.join("mon_groups").join(name), pid)
}

fn make(group: &Path, made: &mut Vec<PathBuf>) -> Result<()> {
    match fs::create_dir(group) {
        Ok(()) => made.push(group.to_owned()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => {
            return Err(error).act(|| format!("make the resctrl group {}", group.display()));
        }
    }
    Ok(())
}

fn enter(group: &Path, pid: i32) -> Result<()> {
    let file = group.join("tasks");
    fs::write(&file, pid.to_string()).act(|| format!("write {pid} to {}", file.display()))
}

/// Removes what [`set_up`] made, the last first; what is gone already is fine.
///
/// # Errors
/// [`Error::Os`] with the group.
pub fn remove(made: &[PathBuf]) -> Result<()> {
    for group in made.iter().rev() {
        match fs::remove_dir(group) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).act(|| format!("remove the resctrl group {}", group.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Class> {
        from_spec(&serde_json::from_str(json).unwrap(), "box")
    }

    #[test]
    fn groups_and_lines() {
        let got = read(
            r#"{"l3CacheSchema": "L3:0=f\nMB:0=9", "memBwSchema": "MB:0=20",
                "schemata": ["L2:0=3"], "enableMonitoring": true}"#,
        )
        .unwrap();
        assert_eq!((got.group.as_str(), got.monitor.as_deref()), ("box", Some("box")));
        assert_eq!(got.schemata, ["L3:0=f", "MB:0=20", "L2:0=3"]);
        assert_eq!(read(r#"{"closID": "gold"}"#).unwrap().group, "gold");
        for (json, want) in [
            (r#"{"closID": "../x"}"#, "linux.intelRdt.closID"),
            (r#"{"closID": ".."}"#, "linux.intelRdt.closID"),
            (r#"{"memBwSchema": "L3:0=f"}"#, "linux.intelRdt.memBwSchema"),
            (r#"{"schemata": ["a\nb"]}"#, "linux.intelRdt.schemata"),
        ] {
            let error = read(json).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        }
    }

    #[test]
    fn the_file_system_is_found_wherever_it_is() {
        let line = "37 28 0:33 / /mnt/r rw,nosuid shared:9 - resctrl resctrl rw\n";
        let text = format!("22 1 8:1 / / rw - ext4 /dev/x rw\n{line}");
        assert_eq!(mount_point(&text), Some(PathBuf::from("/mnt/r")));
        assert_eq!(mount_point("22 1 8:1 / / rw - ext4 /dev/x rw\n"), None);
    }

    #[test]
    fn what_is_made_is_written_entered_and_removed() {
        let top = tempfile::tempdir().unwrap();
        let mut made = Vec::new();
        let class = read(r#"{"memBwSchema": "MB:0=20"}"#).unwrap();
        set_up(&class, top.path(), 7, &mut made).unwrap();
        let group = top.path().join("box");
        assert_eq!(fs::read_to_string(group.join("schemata")).unwrap(), "MB:0=20\n");
        assert_eq!(fs::read_to_string(group.join("tasks")).unwrap(), "7");
        let narrower = read(r#"{"l3CacheSchema": "L3:0=1"}"#).unwrap();
        update(&narrower, &made).unwrap();
        assert_eq!(fs::read_to_string(group.join("schemata")).unwrap(), "L3:0=1\n");
        let measured = [top.path().join("gold/mon_groups/box")];
        assert!(update(&narrower, &measured).unwrap_err().to_string().contains("none was made"));
        // The kernel's files go with the directory; plain ones do not.
        fs::remove_file(group.join("schemata")).unwrap();
        fs::remove_file(group.join("tasks")).unwrap();
        remove(&made).unwrap();
        assert!(!group.exists());
        remove(&made).unwrap();
    }

    #[test]
    fn a_group_of_somebody_else_is_joined_and_stays() {
        let top = tempfile::tempdir().unwrap();
        let class = read(r#"{"closID": "gold", "enableMonitoring": true}"#).unwrap();
        let mut made = Vec::new();
        let error = set_up(&class, top.path(), 7, &mut made).unwrap_err().to_string();
        assert!(error.contains("closID") && made.is_empty(), "{error}");
        fs::create_dir_all(top.path().join("gold/mon_groups")).unwrap();
        set_up(&class, top.path(), 7, &mut made).unwrap();
        assert_eq!(made, [top.path().join("gold/mon_groups/box")]);
        assert_eq!(fs::read_to_string(top.path().join("gold/tasks")).unwrap(), "7");
    }
}
