//! What really ran: programs, digests, and how many containers prove their engine.

use std::collections::BTreeSet;

use serde::Serialize;
use wamr_record::reader::CellRecord;

use crate::format::clean;

/// Evidence of all cells of a system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SystemEvidence {
    /// Handlers of its RuntimeClass; more than one would be a surprise.
    pub handlers: Vec<String>,
    /// `/proc/PID/exe` of its containers.
    pub executables: Vec<String>,
    /// The files that run the guests, by name; none in runs that did not record them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub engines: Vec<String>,
    /// Pods of the cells that left evidence.
    pub pods: u64,
    /// Containers that were looked at.
    pub containers: u64,
    /// Containers that prove their engine.
    pub proven: u64,
    /// Containers in their pod's cgroup.
    pub placed: u64,
    /// Every file with its digest.
    pub files: Vec<FileEvidence>,
}

/// A file that took part.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FileEvidence {
    /// What it is to the system.
    pub part: &'static str,
    /// Path on the node or in the image.
    pub path: String,
    /// Its digest.
    pub sha256: String,
}

/// Files above this number are not listed: a system has a handful.
const MAX_FILES: usize = 200;

/// Puts the evidence of `records` together; `None` if no cell left any.
pub fn system_evidence(records: &[&CellRecord]) -> Option<SystemEvidence> {
    let mut handlers = BTreeSet::new();
    let mut executables = BTreeSet::new();
    let mut engines = BTreeSet::new();
    let mut files = BTreeSet::new();
    let (mut pods, mut containers, mut proven, mut placed, mut found) = (0, 0, 0, 0, false);
    for record in records {
        let Some(evidence) = &record.evidence else { continue };
        found = true;
        pods += u64::from(record.cell.pods);
        handlers.insert(clean(&evidence.handler));
        let mut file = |part, path: &str, sha256: &str| {
            if files.len() < MAX_FILES {
                files.insert(FileEvidence { part, path: clean(path), sha256: clean(sha256) });
            }
        };
        for program in &evidence.programs {
            file("runtime", &program.path, &program.sha256);
        }
        file("workload", &evidence.workload.path, &evidence.workload.sha256);
        for container in &evidence.containers {
            containers += 1;
            proven += u64::from(container.engine_proven);
            placed += u64::from(container.cgroup_in_pod);
            if executables.len() < MAX_FILES {
                executables.insert(clean(&container.exe));
                engines.extend(container.engine.as_deref().map(clean));
            }
            file("running process", &container.exe, &container.exe_sha256);
        }
    }
    found.then(|| SystemEvidence {
        handlers: handlers.into_iter().collect(),
        executables: executables.into_iter().collect(),
        engines: engines.into_iter().collect(),
        pods,
        containers,
        proven,
        placed,
        files: files.into_iter().collect(),
    })
}
