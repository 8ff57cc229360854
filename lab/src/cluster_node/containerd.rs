//! The host's containerd: which process it is, where its configuration is, and what has to be
//! written so that it knows a handler.

use std::fs;
use std::path::Path;

use miette::{IntoDiagnostic, Result, WrapErr, bail, miette};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::programs::{HANDLER, HANDLERS, SHIM_HANDLER};
use crate::processes::Proc;

const DEFAULT_CONFIG: &str = "/etc/containerd/config.toml";
const DEFAULT_SOCKET: &str = "/run/containerd/containerd.sock";
/// The file of a handler among those that the configuration imports.
const DROP_IN: &str = "50-wamr-crun.toml";

/// A running containerd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Containerd {
    /// Its process and when that began: another one after a restart.
    pub process: String,
    /// Its program.
    pub program: String,
    /// Its configuration; the file need not exist.
    pub config: String,
    /// The unit that runs it, where systemd does.
    pub unit: String,
}

/// Finds the host's containerd. Another one may run inside a container: only one that has the mount
/// namespace of PID 1 counts.
///
/// # Errors
/// There is none, or one whose configuration is rewritten behind everybody's back.
pub fn find(proc: &Proc) -> Result<Containerd> {
    let namespace = |pid| fs::read_link(proc.path(pid, "ns/mnt")).ok();
    let host = namespace(1);
    let pids = proc.pids().into_diagnostic().wrap_err("list the host's processes")?;
    let found = pids.into_iter().find(|pid| {
        proc.program_name(*pid).as_deref() == Some("containerd") && namespace(*pid) == host
    });
    let pid = found.ok_or_else(|| {
        miette!(
            help = "nodes with CRI-O or Docker alone are not supported",
            "no containerd runs on this node"
        )
    })?;
    let arguments = proc.arguments(pid).unwrap_or_default();
    let config = config_path(&arguments);
    if config.contains("/rancher/") {
        bail!("k3s and RKE2 write {config} anew at every start: install by their own templates");
    }
    let stat = proc.text(pid, "stat").unwrap_or_default();
    // Source: proc_pid_stat(5), field 22.
    let started = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(19));
    let cgroup = proc.text(pid, "cgroup").unwrap_or_default();
    Ok(Containerd {
        process: format!("{pid}:{}", started.unwrap_or_default()),
        program: proc.exe(pid).unwrap_or_else(|| "containerd".to_owned()),
        config,
        unit: unit_of(&cgroup),
    })
}

/// `--config FILE`, `--config=FILE`, `-c FILE` of a command line.
fn config_path(arguments: &[String]) -> String {
    for (index, argument) in arguments.iter().enumerate() {
        let split = argument.split_once('=');
        let (flag, value) = match split {
            Some((flag, value)) => (flag, Some(value.to_owned())),
            None => (argument.as_str(), arguments.get(index + 1).cloned()),
        };
        if let (true, Some(value)) = (["--config", "-config", "-c"].contains(&flag), value) {
            return value;
        }
    }
    DEFAULT_CONFIG.to_owned()
}

/// The innermost unit of a process, by `/proc/PID/cgroup`.
fn unit_of(cgroup: &str) -> String {
    let parts = cgroup.lines().flat_map(|line| line.rsplit('/'));
    let unit = parts.into_iter().find(|part| part.ends_with(".service"));
    unit.unwrap_or("containerd.service").to_owned()
}

/// What makes containerd know a handler.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Change {
    /// A new file: one that the configuration imports, or the configuration itself.
    File {
        /// Where.
        path: String,
        /// All of it.
        text: String,
    },
    /// A block at the end of a file.
    Block {
        /// Where.
        path: String,
        /// What is appended.
        text: String,
    },
}

impl Change {
    /// The file that it makes or changes.
    pub fn path(&self) -> &str {
        match self {
            Self::File { path, .. } | Self::Block { path, .. } => path,
        }
    }
}

/// Decides how to tell containerd of the handlers, whose programs are in the directory `programs`;
/// `text` is its present configuration. Pure.
///
/// A file of its own is used only where the configuration imports some and is of version 3: before
/// that, an imported table of plugins took the place of the whole one.
///
/// # Errors
/// The configuration is none, is too old, or has a handler of such a name already.
pub fn plan(config: &str, text: Option<&str>, programs: &str) -> Result<Change> {
    let Some(text) = text else {
        // Both containerd 1 and 2 read version 2.
        let text = format!("version = 2\n{}", handlers(2, programs, false));
        return Ok(Change::File { path: config.to_owned(), text });
    };
    let table: Table = text.parse().into_diagnostic().wrap_err_with(|| config.to_owned())?;
    let version = table.get("version").and_then(Value::as_integer).unwrap_or(1);
    if !(2..=3).contains(&version) {
        return Err(miette!(
            help = "containerd config migrate prints it in a version that is known",
            "{config} is of version {version}; 2 and 3 are known"
        ));
    }
    let runtimes = table
        .get("plugins")
        .and_then(|plugins| plugins.get(plugin(version))?.get("containerd")?.get("runtimes"));
    let taken = |name: &&str| runtimes.is_some_and(|runtimes| runtimes.get(name).is_some());
    if let Some(name) = HANDLERS.iter().find(|name| taken(name)) {
        bail!("{config} has a handler {name} already");
    }
    // Containers of one pod must be in groups of one driver.
    let systemd = runtimes
        .and_then(|runtimes| runtimes.get("runc")?.get("options")?.get("SystemdCgroup")?.as_bool())
        .unwrap_or(false);
    let imports = table.get("imports").and_then(Value::as_array);
    let mut patterns = imports.into_iter().flatten().filter_map(Value::as_str);
    let directory = patterns.find_map(|pattern| pattern.strip_suffix("/*.toml"));
    if let (3, Some(directory)) = (version, directory) {
        let path = format!("{directory}/{DROP_IN}");
        let text = format!("version = 3\n{}", handlers(version, programs, systemd));
        return Ok(Change::File { path, text });
    }
    let newline = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    let block = format!("{newline}{}", handlers(version, programs, systemd));
    let whole = format!("{text}{block}");
    whole.parse::<Table>().into_diagnostic().wrap_err_with(|| {
        format!("{config} has tables in a form that nothing can be appended to")
    })?;
    Ok(Change::Block { path: config.to_owned(), text: block })
}

/// The plugin that knows handlers. Source: containerd docs/PLUGINS.md, versions of configuration.
fn plugin(version: i64) -> &'static str {
    match version {
        3 => "io.containerd.cri.v1.runtime",
        _ => "io.containerd.grpc.v1.cri",
    }
}

/// The runtime behind containerd's own shim, and the shim that runs it by itself.
fn handlers(version: i64, programs: &str, systemd: bool) -> String {
    let tables = format!("plugins.\"{}\".containerd.runtimes", plugin(version));
    let annotations =
        "pod_annotations = [\"*\", \"*/*\"]\ncontainer_annotations = [\"*\", \"*/*\"]\n";
    format!(
        "\n# Written by wamr-lab cluster install; wamr-lab cluster uninstall removes it.\n\
         [{tables}.{HANDLER}]\nruntime_type = \"io.containerd.runc.v2\"\n{annotations}\n\
         [{tables}.{HANDLER}.options]\nBinaryName = \"{programs}/wamr-crun\"\n\
         SystemdCgroup = {systemd}\n\n\
         [{tables}.{SHIM_HANDLER}]\nruntime_type = \"io.containerd.wamr-crun.v1\"\n\
         runtime_path = \"{programs}/containerd-shim-wamr-crun-v1\"\n{annotations}"
    )
}

/// Where containerd listens, by its configuration.
pub fn socket(text: Option<&str>) -> String {
    let table: Option<Table> = text.and_then(|text| text.parse().ok());
    let address = table.as_ref().and_then(|table| table.get("grpc")?.get("address")?.as_str());
    address.unwrap_or(DEFAULT_SOCKET).to_owned()
}

/// The text of a file of the host; `None` if there is no such file.
///
/// # Errors
/// It cannot be read.
pub fn read(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).into_diagnostic().wrap_err_with(|| path.display().to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V2: &str = "version = 2\n\
        [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc.options]\n\
        SystemdCgroup = true";
    const V3: &str = "version = 3\nimports = [\"/etc/containerd/conf.d/*.toml\"]\n";

    #[test]
    fn each_configuration_gets_what_it_reads() {
        let show = |title: &str, text: Option<&str>| {
            let change = plan("/etc/containerd/config.toml", text, "/b");
            format!("== {title}\n{}\n", serde_json::to_string_pretty(&change.unwrap()).unwrap())
        };
        let all = [
            show("none", None),
            show("version 2, systemd", Some(V2)),
            show("version 3 with imports", Some(V3)),
            show("version 3 without", Some("version = 3\n")),
        ];
        insta::assert_snapshot!(all.concat().replace("\\n", "\n"));
    }

    #[test]
    fn what_could_break_containerd_is_refused() {
        let name = plugin(3);
        let inline = format!("version = 3\nplugins = {{ \"{name}\" = {{ containerd = {{}} }} }}\n");
        let taken = format!("version = 3\n[plugins.\"{name}\".containerd.runtimes.wamr-crun]\n");
        for (text, want) in [
            ("", "version 1"),
            ("version = 4", "version 4"),
            ("version =", "c"),
            (&inline, "appended"),
            (&taken, "already"),
        ] {
            let error = plan("c", Some(text), "/b").unwrap_err();
            assert!(format!("{error:?}").contains(want), "{text}: {error:?}");
        }
    }

    #[test]
    fn command_lines_and_units() {
        let path =
            |text: &str| config_path(&text.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(path("containerd --config=/a"), "/a");
        assert_eq!(path("containerd --log-level debug -c /b"), "/b");
        assert_eq!(path("containerd"), DEFAULT_CONFIG);
        assert_eq!(unit_of("0::/system.slice/containerd.service\n"), "containerd.service");
        assert_eq!(unit_of("1:name=systemd:/a.slice/cri.service/x\n"), "cri.service");
        assert_eq!(unit_of("4:memory:/\n"), "containerd.service");
        assert_eq!(socket(Some("[grpc]\naddress = \"/x\"\n")), "/x");
        assert_eq!(socket(None), DEFAULT_SOCKET);
    }
}
