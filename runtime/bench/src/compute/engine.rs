//! What runs the programs, and the containers it is given.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use miette::{IntoDiagnostic, Result, miette};
use serde_json::json;

use super::program::{Program, Side};
use crate::peers::OURS;

/// Where the peers' files appear inside the arena: where the lab's nodes have them.
pub const PEERS: &str = wamr_image::peers::DIRECTORY;

/// Where the programs appear inside the arena.
pub const PROGRAMS: &str = "/opt/wamr/compute";

/// What runs a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Engine {
    /// Its name in the raw data.
    pub name: &'static str,
    /// As tables have it.
    pub title: &'static str,
    program: Runtime,
    annotation: Option<(&'static str, &'static str)>,
    /// What it runs.
    pub side: Side,
    /// Whether the code that the node has compiled is removed before each run.
    pub cold: bool,
}

/// The OCI runtime that an engine is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Runtime {
    Ours,
    /// Debian's.
    Crun,
    /// A peer's program.
    Peer(&'static str),
}

const ENGINE: &str = "org.wamr-crun.wasm.engine";
/// What crun is told by.
const VARIANT: (&str, &str) = ("module.wasm.image/variant", "compat-smart");

const fn ours(name: &'static str, title: &'static str, engine: &'static str) -> Engine {
    let annotation = Some((ENGINE, engine));
    Engine { name, title, program: Runtime::Ours, annotation, side: Side::Wasm, cold: false }
}

const fn crun(name: &'static str, title: &'static str, program: Runtime) -> Engine {
    Engine { name, title, program, annotation: Some(VARIANT), side: Side::Wasm, cold: false }
}

/// What the others are compared with.
pub const NATIVE: &str = "native";
/// The engine that compiles once per node.
pub const COMPILED: &str = "compiled";
/// The same with nothing compiled yet.
pub const COLD: &str = "compiled-cold";
/// The interpreter.
pub const INTERPRETED: &str = "interpreted";
/// The peer that the compiled engine is held against.
pub const CRUN_WASMTIME: &str = "crun-wasmtime";

/// All of them, in the order of tables.
pub const ENGINES: [Engine; 7] = [
    Engine {
        name: NATIVE,
        title: "native",
        program: Runtime::Ours,
        annotation: None,
        side: Side::Native,
        cold: false,
    },
    ours(COMPILED, "wamr-crun, compiled", "compiled"),
    Engine { cold: true, ..ours(COLD, "wamr-crun, compiled at its first start", "compiled") },
    ours(INTERPRETED, "wamr-crun, interpreted", "interpreted"),
    crun(CRUN_WASMTIME, "crun-Wasmtime", Runtime::Peer("bin/crun-wasmtime")),
    crun("crun-wasmer", "crun-Wasmer", Runtime::Peer("bin/crun-wasmer")),
    crun("crun-wasmedge", "crun-WasmEdge", Runtime::Crun),
];

/// The files of peers that engines need.
pub const PEER_FILES: [&str; 4] =
    ["bin/crun-wasmtime", "lib/libwasmtime.so", "bin/crun-wasmer", "lib/libwasmer.so"];

/// The engines of these names; all without any.
///
/// # Errors
/// A name is in no row.
pub fn chosen(names: &[String]) -> Result<Vec<&'static Engine>> {
    if let Some(name) = names.iter().find(|name| ENGINES.iter().all(|it| it.name != **name)) {
        let known: Vec<_> = ENGINES.iter().map(|engine| engine.name).collect();
        return Err(miette!(help = known.join(", "), "no engine is called {name:?}"));
    }
    let wanted = |it: &&Engine| names.is_empty() || names.iter().any(|name| name == it.name);
    Ok(ENGINES.iter().filter(wanted).collect())
}

impl Engine {
    /// The runtime's program, inside the arena.
    pub fn runtime(&self) -> PathBuf {
        match self.program {
            Runtime::Ours => Path::new(OURS).join("wamr-crun"),
            Runtime::Crun => "/usr/bin/crun".into(),
            Runtime::Peer(file) => Path::new(PEERS).join(file),
        }
    }

    /// Where this engine's native code is kept, if it keeps any.
    pub fn cache(&self) -> PathBuf {
        Path::new(PROGRAMS).join(if self.cold { "cold" } else { "compiled" })
    }

    /// Writes a bundle into `directory`: a container with a PID and a mount namespace, no limits
    /// and no profile, so that only the program counts.
    ///
    /// # Errors
    /// Those of the system.
    pub fn write_bundle(
        &self,
        program: &Program,
        words: &[String],
        directory: &Path,
    ) -> Result<()> {
        let root = Path::new(PROGRAMS).join(program.name).join(self.side.folder());
        let config = json!({
            "ociVersion": "1.0.2",
            "root": {"path": root, "readonly": false},
            "process": {
                "user": {"uid": 0, "gid": 0}, "cwd": "/", "args": words,
                "env": ["PATH=/usr/bin:/bin"], "capabilities": {},
            },
            "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
            "annotations": self.annotation.into_iter().collect::<BTreeMap<_, _>>(),
            "linux": {
                "cgroupsPath": "/compute",
                "namespaces": [{"type": "pid"}, {"type": "mount"}],
            },
        });
        fs::create_dir_all(directory).into_diagnostic()?;
        fs::write(directory.join("config.json"), config.to_string()).into_diagnostic()
    }
}

#[test]
fn engines_have_different_names_and_one_runs_natively() {
    for (place, engine) in ENGINES.iter().enumerate() {
        assert!(ENGINES[..place].iter().all(|other| other.name != engine.name), "{engine:?}");
        assert_eq!(engine.name == NATIVE, engine.side == Side::Native);
    }
    let parts = wamr_image::peers::read().unwrap();
    let given = wamr_image::peers::all_files(&parts);
    for file in PEER_FILES {
        assert!(given.contains(&file), "{file}");
    }
}
