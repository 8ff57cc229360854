//! containerd's configuration, from the table of runtimes. Pure.
//! Source: containerd docs/cri/config.md, config version 3 (containerd 2.x).

use std::collections::BTreeMap;

use miette::{IntoDiagnostic, Result, miette};
use serde_json::json;
use toml::{Table, Value};

use crate::cgroups::CgroupDriver;
use crate::daemon::Daemon;
use crate::layout::{CONFIG_DIR, CONTAINERD_SOCKET, DEBUG_SOCKET};
use crate::runtimes::{RuntimeKind, RuntimeTable, program_path};

/// The handler of pods without a RuntimeClass.
const DEFAULT_HANDLER: &str = "runc";
const DEFAULT_BINARY: &str = "/usr/local/bin/runc";

/// What containerd itself begins a container's configuration with: `ctr oci spec` of the release in
/// vm-images/stack, without the limit on open files, which it takes away where there is no base.
const BASE_SPEC: &str = include_str!("base_spec.json");

/// What nothing on the node uses; each costs memory or start time.
const DISABLED_PLUGINS: [&str; 8] = [
    "io.containerd.internal.v1.opt",
    "io.containerd.internal.v1.tracing",
    "io.containerd.tracing.processor.v1.otlp",
    "io.containerd.monitor.container.v1.restart",
    "io.containerd.nri.v1.nri",
    "io.containerd.snapshotter.v1.native",
    "io.containerd.snapshotter.v1.blockfile",
    "io.containerd.snapshotter.v1.erofs",
];

/// Further files of configuration.
const DROP_INS: &str = "/etc/containerd/conf.d/*.toml";

/// What a handler runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handler {
    /// How containerd drives it.
    pub kind: RuntimeKind,
    /// Its program inside the node.
    pub path: String,
    /// What its containers are annotated with, and their sandboxes are not.
    pub container_annotations: BTreeMap<String, String>,
}

/// Handler by name; `runc` is always there.
///
/// # Errors
/// Two rows give one handler different programs or annotations.
pub fn handlers(runtimes: &RuntimeTable) -> Result<BTreeMap<String, Handler>> {
    let mut handlers = BTreeMap::new();
    for (name, row) in runtimes {
        let handler = Handler {
            kind: match row.kind {
                // containerd drives both alike.
                RuntimeKind::Oci | RuntimeKind::Sandbox => RuntimeKind::Oci,
                RuntimeKind::Shim => RuntimeKind::Shim,
            },
            path: program_path(&row.binary),
            container_annotations: row.container_annotations.clone(),
        };
        let other = handlers.entry(row.handler.clone()).or_insert_with(|| handler.clone());
        if other.path != handler.path {
            return Err(miette!(
                help = "give each program a handler of its own in runtimes.toml",
                "runtime {name}: handler {} is {} already, not {}",
                row.handler,
                other.path,
                handler.path
            ));
        }
        if *other != handler {
            return Err(miette!(
                help = "give it a handler of its own in runtimes.toml",
                "runtime {name}: handler {} has other container_annotations already",
                row.handler
            ));
        }
    }
    let runc = || Handler {
        kind: RuntimeKind::Oci,
        path: DEFAULT_BINARY.to_owned(),
        container_annotations: BTreeMap::new(),
    };
    handlers.entry(DEFAULT_HANDLER.to_owned()).or_insert_with(runc);
    Ok(handlers)
}

/// The text of containerd.toml.
///
/// # Errors
/// Two rows give one handler different programs.
pub fn render(
    runtimes: &RuntimeTable,
    pause_reference: &str,
    driver: CgroupDriver,
) -> Result<String> {
    let mut by_handler = Table::new();
    for (name, handler) in handlers(runtimes)? {
        let row = runtime(&name, &handler, driver)?;
        by_handler.insert(name, row);
    }
    let cri_runtime = Table::from_iter([
        // Needs CAP_SYS_RESOURCE otherwise, which not every root has.
        ("restrict_oom_score_adj".to_owned(), Value::Boolean(true)),
        ("enable_selinux".to_owned(), Value::Boolean(false)),
        ("enable_cdi".to_owned(), Value::Boolean(false)),
        (
            "cni".to_owned(),
            table([
                ("bin_dirs", Value::Array(vec!["/opt/cni/bin".into()])),
                ("conf_dir", "/etc/cni/net.d".into()),
            ]),
        ),
        (
            "containerd".to_owned(),
            table([
                ("default_runtime_name", DEFAULT_HANDLER.into()),
                ("runtimes", Value::Table(by_handler)),
            ]),
        ),
    ]);
    let cri_images = table([
        ("snapshotter", "overlayfs".into()),
        ("pinned_images", table([("sandbox", pause_reference.into())])),
    ]);
    let config = Table::from_iter([
        ("version".to_owned(), Value::Integer(3)),
        // For handlers that are installed later, as on any other node.
        ("imports".to_owned(), vec![DROP_INS].into()),
        ("root".to_owned(), "/var/lib/containerd".into()),
        ("state".to_owned(), "/run/containerd".into()),
        ("disabled_plugins".to_owned(), DISABLED_PLUGINS.to_vec().into()),
        ("grpc".to_owned(), table([("address", CONTAINERD_SOCKET.into())])),
        // The lab can have it collect its heap before a level of memory is read.
        ("debug".to_owned(), table([("address", DEBUG_SOCKET.into())])),
        (
            "plugins".to_owned(),
            table([
                ("io.containerd.cri.v1.images", cri_images),
                ("io.containerd.cri.v1.runtime", Value::Table(cri_runtime)),
            ]),
        ),
    ]);
    Ok(config.to_string())
}

/// One handler.
fn runtime(name: &str, handler: &Handler, driver: CgroupDriver) -> Result<Value> {
    // In containerd's patterns '*' stops at a '/', which most annotations have one of.
    let every = || Value::Array(vec!["*".into(), "*/*".into()]);
    let path = handler.path.as_str();
    let annotations = [("pod_annotations", every()), ("container_annotations", every())];
    let systemd = ("SystemdCgroup", Value::Boolean(driver == CgroupDriver::Systemd));
    let own = match handler.kind {
        RuntimeKind::Oci | RuntimeKind::Sandbox => {
            let options = [("BinaryName", path.into()), systemd];
            vec![("runtime_type", "io.containerd.runc.v2".into()), ("options", table(options))]
        }
        RuntimeKind::Shim => {
            let kind = shim_type(path).ok_or_else(|| {
                miette!(
                    help = "containerd names a shim containerd-shim-NAME-vN",
                    "{path} is not the name of a shim"
                )
            })?;
            let mut own = vec![("runtime_type", kind.into()), ("runtime_path", path.into())];
            if driver == CgroupDriver::Systemd {
                // The word that runwasi's shims know, too.
                own.push(("options", table([systemd])));
            }
            own
        }
    };
    let base = (!handler.container_annotations.is_empty())
        .then(|| ("base_runtime_spec", Value::String(base_spec_path(name))));
    let entries = own.into_iter().chain(annotations).chain(base);
    Ok(Value::Table(entries.map(|(key, value)| (key.to_owned(), value)).collect()))
}

/// Path in the node → text of what the containers of handlers with annotations of their own are
/// made from. containerd makes a sandbox without it, and passes on annotations of a pod to both.
///
/// # Errors
/// Two rows give one handler different programs or annotations.
pub fn base_specs(runtimes: &RuntimeTable) -> Result<Vec<(String, String)>> {
    let mut specs = Vec::new();
    for (name, handler) in handlers(runtimes)? {
        if handler.container_annotations.is_empty() {
            continue;
        }
        let mut spec: serde_json::Value = serde_json::from_str(BASE_SPEC).into_diagnostic()?;
        spec["annotations"] = json!(handler.container_annotations);
        specs.push((base_spec_path(&name), format!("{spec:#}\n")));
    }
    Ok(specs)
}

fn base_spec_path(handler: &str) -> String {
    format!("{CONFIG_DIR}/base-{handler}.json")
}

/// `io.containerd.NAME.vN` of a shim's program `…/containerd-shim-NAME-vN`.
///
/// Source: containerd core/runtime/v2/README.md, "Runtime binary naming".
fn shim_type(path: &str) -> Option<String> {
    let file = path.rsplit('/').next()?;
    let (name, version) = file.strip_prefix("containerd-shim-")?.rsplit_once('-')?;
    let numbered = version.strip_prefix('v')?.parse::<u32>().is_ok();
    numbered.then(|| format!("io.containerd.{name}.{version}"))
}

fn table<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Table(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// Where the node has the file.
pub fn config_path() -> String {
    format!("{CONFIG_DIR}/containerd.toml")
}

/// containerd itself.
pub fn daemon() -> Daemon {
    let flags = [format!("--config={}", config_path()), "--log-level=warn".to_owned()];
    Daemon::new("containerd", "/usr/local/bin/containerd", flags)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtimes::parse_table;

    fn shipped() -> RuntimeTable {
        parse_table(include_str!("../../runtimes.toml")).unwrap()
    }

    #[test]
    fn the_configuration_of_the_shipped_table() {
        let render = |driver| render(&shipped(), "localhost/wamr-lab/pause:1", driver).unwrap();
        let cgroupfs = render(CgroupDriver::Cgroupfs);
        let handlers = handlers(&shipped()).unwrap().len();
        let systemd = render(CgroupDriver::Systemd);
        assert_eq!(systemd.matches("SystemdCgroup = true").count(), handlers);
        insta::assert_snapshot!(cgroupfs);
    }

    #[test]
    fn shims_are_named_as_containerd_wants() {
        for (path, want) in [
            ("/opt/peers/bin/containerd-shim-wasmtime-v1", Some("io.containerd.wasmtime.v1")),
            ("containerd-shim-a-b-v2", Some("io.containerd.a-b.v2")),
            ("/usr/bin/crun", None),
            ("containerd-shim-x-y", None),
        ] {
            assert_eq!(shim_type(path).as_deref(), want, "{path}");
        }
    }

    #[test]
    fn a_handler_with_two_programs_is_refused() {
        let mut table = shipped();
        let mut row = table["runc-python"].clone();
        row.binary = "/usr/bin/other".to_owned();
        table.insert("runc-other".to_owned(), row);
        let error = handlers(&table).unwrap_err();
        assert!(error.to_string().contains("handler runc"), "{error}");
    }

    #[test]
    fn annotations_of_containers_alone_are_in_a_base_for_containers() {
        let table = shipped();
        let specs = base_specs(&table).unwrap();
        let (path, text) = specs.iter().find(|(path, _)| path.contains("youki")).unwrap();
        let spec: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(spec["annotations"]["run.oci.handler"], "wasm");
        assert_eq!(spec["root"]["path"], "rootfs");
        let config = render(&table, "pause", CgroupDriver::Cgroupfs).unwrap();
        assert!(config.contains(&format!("base_runtime_spec = \"{path}\"")), "{config}");
        assert_eq!(config.matches("base_runtime_spec").count(), specs.len());

        let mut table = table;
        let mut row = table["youki-wasmtime"].clone();
        row.container_annotations.clear();
        table.insert("youki-other".to_owned(), row);
        let error = handlers(&table).unwrap_err().to_string();
        assert!(error.contains("container_annotations"), "{error}");
    }

    #[test]
    fn pods_without_a_class_have_a_handler_with_an_empty_table() {
        let handlers = handlers(&RuntimeTable::new()).unwrap();
        assert_eq!(handlers["runc"].path, DEFAULT_BINARY);
    }
}
