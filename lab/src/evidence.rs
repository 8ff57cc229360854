//! Proof of what really ran: digests and mappings of the running processes, their control groups.
//! Annotations and RuntimeClasses only say what was asked for.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use miette::{IntoDiagnostic, Result, WrapErr};
use wamr_node::runtimes::{EngineEvidence, RuntimeUnderTest, program_path};
use wamr_record::cell::{ContainerEvidence, Evidence, Pod, Program};
use wamr_record::manifest::digest_reader;

use crate::node_view::NodeView;
use crate::processes::{open_in_root, program_name_of};
use crate::smaps::executable_files;

/// What a container's process is held against.
struct Expected<'a> {
    /// What the table demands.
    demanded: &'a EngineEvidence,
    /// The runtime's files on the node.
    programs: &'a [Program],
    /// The workload's program.
    workload: &'a Program,
}

/// Reads the evidence of all `pods`, whose processes must be known; `program` is the workload's in
/// its image.
///
/// # Errors
/// A program of the runtime, or the workload's program, cannot be read.
pub fn collect(
    node: &NodeView,
    runtime: &RuntimeUnderTest,
    program: &str,
    pods: &[Pod],
) -> Result<Evidence> {
    let programs = programs(node, runtime)?;
    let inside = |pod: &Pod| node.proc.open_inside(pod.pid?, program).ok();
    let workload = pods
        .iter()
        .find_map(inside)
        .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
        .and_then(digest_reader)
        .into_diagnostic()
        .wrap_err_with(|| format!("read {program} inside a container"))?;
    let workload = Program { path: program.to_owned(), sha256: workload.sha256 };
    let expected =
        Expected { demanded: &runtime.evidence, programs: &programs, workload: &workload };
    let mut digests = Digests::default();
    let containers =
        pods.iter().filter_map(|pod| container_evidence(node, &expected, pod, &mut digests));
    let containers = containers.collect();
    Ok(Evidence { handler: runtime.handler.clone(), programs, workload, containers })
}

/// The runtime's files on the node.
fn programs(node: &NodeView, runtime: &RuntimeUnderTest) -> Result<Vec<Program>> {
    let mut programs = Vec::new();
    for program in runtime.programs() {
        let path = program_path(program);
        let digest = open_program(&node.root, &path)
            .and_then(digest_reader)
            .into_diagnostic()
            .wrap_err_with(|| format!("read {path} on the node"))?;
        programs.push(Program { path, sha256: digest.sha256 });
    }
    Ok(programs)
}

/// Opens a program of the node. Nodes that the lab did not make have theirs wherever their
/// distribution puts them.
fn open_program(root: &Path, path: &str) -> io::Result<File> {
    const ELSEWHERE: [&str; 4] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"];
    let given = open_in_root(root, path);
    let elsewhere = || {
        let paths = ELSEWHERE.iter().map(|dir| format!("{dir}/{}", program_name_of(path)));
        paths.into_iter().find_map(|path| open_in_root(root, &path).ok())
    };
    given.or_else(|error| elsewhere().ok_or(error))
}

/// `None` if the process is gone.
fn container_evidence(
    node: &NodeView,
    expected: &Expected<'_>,
    pod: &Pod,
    digests: &mut Digests,
) -> Option<ContainerEvidence> {
    let pid = pod.pid?;
    let exe = node.proc.exe(pid)?;
    let exe_sha256 = digests.of(File::open(node.proc.path(pid, "exe")).ok()?).ok()?;
    let mapped_programs = executable_files(&node.proc.text(pid, "maps")?);
    let engine_proven = proves(expected, &exe, &exe_sha256, &mapped_programs);
    let engine = Some(engine(expected, &exe, &exe_sha256, &mapped_programs));
    let cgroup_in_pod = pod.cgroup.as_ref().is_some_and(|cgroup| is_in_pod(cgroup, &pod.uid));
    let pod = pod.name.clone();
    Some(ContainerEvidence {
        pod,
        pid,
        exe,
        exe_sha256,
        mapped_programs,
        engine,
        engine_proven,
        cgroup_in_pod,
    })
}

/// Whether the process runs the engine that the table demands. Pure.
///
/// A program of the runtime's row is told by its digest: its path may be `/` (a detached mount) or
/// anything else. A program that the row does not list, like an interpreter inside the image, is
/// told by its name.
fn proves(
    expected: &Expected<'_>,
    exe: &str,
    exe_sha256: &str,
    mapped_programs: &[String],
) -> bool {
    match expected.demanded {
        EngineEvidence::Workload => exe_sha256 == expected.workload.sha256,
        EngineEvidence::Exe(name) => {
            let listed =
                expected.programs.iter().find(|program| program_name_of(&program.path) == name);
            match listed {
                Some(program) => program.sha256 == exe_sha256,
                None => program_name_of(exe) == name,
            }
        }
        EngineEvidence::Maps(begin) => {
            mapped_programs.iter().any(|file| program_name_of(file).starts_with(begin))
        }
    }
}

/// The name of the file that runs the guest. Pure.
///
/// A mapped library of the row comes before the program that has mapped it: it is the engine.
fn engine(
    expected: &Expected<'_>,
    exe: &str,
    exe_sha256: &str,
    mapped_programs: &[String],
) -> String {
    let named = |path: &str| program_name_of(path).to_owned();
    if let EngineEvidence::Maps(begin) = expected.demanded
        && let Some(file) =
            mapped_programs.iter().find(|file| program_name_of(file).starts_with(begin))
    {
        return named(file);
    }
    let mut known = expected.programs.iter().chain([expected.workload]);
    let listed = known.find(|program| program.sha256 == exe_sha256);
    listed.map_or_else(|| named(exe), |program| named(&program.path))
}

/// Whether `cgroup` lies below the group of the pod `uid`. Pure.
///
/// The kubelet names it `podUID`, with the systemd driver `…-podUID.slice` with `_` for `-`.
pub fn is_in_pod(cgroup: &str, uid: &str) -> bool {
    if uid.is_empty() {
        return false;
    }
    let plain = format!("pod{uid}");
    let slice = format!("-pod{}.slice", uid.replace('-', "_"));
    let mut above = cgroup.split('/').collect::<Vec<_>>();
    above.pop();
    above.iter().any(|part| *part == plain || part.ends_with(&slice))
}

/// Digests by file, so that 400 containers of one program cost one reading.
#[derive(Default)]
struct Digests(BTreeMap<(u64, u64), String>);

impl Digests {
    fn of(&mut self, file: File) -> io::Result<String> {
        let metadata = file.metadata()?;
        let key = (metadata.dev(), metadata.ino());
        if let Some(digest) = self.0.get(&key) {
            return Ok(digest.clone());
        }
        let digest = digest_reader(file)?.sha256;
        self.0.insert(key, digest.clone());
        Ok(digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, what the table demands, exe, its digest, mappings, whether it is proven, the engine.
    type Case<'a> = (&'a str, EngineEvidence, &'a str, &'a str, &'a [String], bool, &'a str);

    #[test]
    fn an_engine_is_proven_by_digest_name_or_mapping() {
        let programs = [
            Program { path: "/usr/local/bin/wamr-crun".into(), sha256: "aa".into() },
            Program { path: "/usr/local/bin/wamr-runner".into(), sha256: "bb".into() },
        ];
        let exe = |name: &str| EngineEvidence::Exe(name.to_owned());
        let maps = || EngineEvidence::Maps("libwasmedge.so".to_owned());
        let lib = ["/usr/lib/libwasmedge.so.0.1.1".to_owned()];
        let table: &[Case] = &[
            ("by digest", exe("wamr-runner"), "/", "bb", &[], true, "wamr-runner"),
            ("another file", exe("wamr-runner"), "/x/wamr-runner", "cc", &[], false, "wamr-runner"),
            ("the runtime", exe("wamr-runner"), "/", "aa", &[], false, "wamr-crun"),
            ("by name", exe("python3.13"), "/usr/bin/python3.13", "dd", &[], true, "python3.13"),
            ("other", exe("python3.13"), "/usr/bin/python3.11", "dd", &[], false, "python3.11"),
            ("mapped", maps(), "/usr/bin/crun", "ee", &lib, true, "libwasmedge.so.0.1.1"),
            ("not mapped", maps(), "/usr/bin/crun", "ee", &[], false, "crun"),
            ("the workload", EngineEvidence::Workload, "/", "ff", &[], true, "app"),
            ("another program", EngineEvidence::Workload, "/app", "ee", &[], false, "app"),
        ];
        let workload = Program { path: "/app".into(), sha256: "ff".into() };
        for (case, demanded, path, sha256, mapped, want, name) in table {
            let expected = Expected { demanded, programs: &programs, workload: &workload };
            assert_eq!(proves(&expected, path, sha256, mapped), *want, "{case}");
            assert_eq!(engine(&expected, path, sha256, mapped), *name, "{case}");
        }
    }

    #[test]
    fn a_container_must_lie_below_its_pod() {
        let uid = "12ab-34cd";
        let table: &[(&str, bool)] = &[
            ("/kubepods/besteffort/pod12ab-34cd/c1", true),
            ("/kubepods.slice/kubepods-pod12ab_34cd.slice/cri-containerd-c1.scope", true),
            ("/kubepods.slice/kubepods-besteffort-pod12ab_34cd.slice/c.scope", true),
            ("/kubepods/besteffort/pod12ab-34cd", false),
            ("/kubepods-besteffort-pod12ab_34cd.slice:cri-containerd:c1", false),
            ("/kubepods/podffff-ffff/c1", false),
            ("/", false),
        ];
        for (cgroup, want) in table {
            assert_eq!(is_in_pod(cgroup, uid), *want, "{cgroup}");
        }
        assert!(!is_in_pod("/kubepods/pod/c1", ""));
    }
}
