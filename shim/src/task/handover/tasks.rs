//! A container and its processes.

use crate::api::Timestamp;
use crate::api::task::Status;
use crate::error::Result;
use crate::handover::descriptors::{Kept, claim_any};
use crate::handover::saved;
use crate::sandbox::Namespaces;
use crate::spec::IdMapping;
use crate::stats::Groups;
use crate::stdio::StreamNames;
use crate::task::table::{Exec, Exit, Process, Sandbox, Task};

impl Task {
    /// For the next program.
    pub fn save<'a>(&'a self, id: &str, kept: &mut Kept<'a>) -> saved::Task {
        let mut processes = vec![self.init.save("", &[], kept)];
        let further = self.execs.iter();
        processes.extend(further.map(|(name, exec)| exec.process.save(name, &exec.spec, kept)));
        let (groups_v1, group_v2) = self.groups.as_ref().map(Groups::saved).unwrap_or_default();
        let [uid_map, gid_map] = self.id_maps.each_ref().map(|map| {
            map.iter().flat_map(|entry| [entry.container_id, entry.host_id, entry.size]).collect()
        });
        saved::Task {
            id: id.to_owned(),
            bundle: self.bundle.display().to_string(),
            pod: self.pod.as_ref().map(ToString::to_string),
            sandbox: self.sandbox.as_ref().map(|sandbox| saved::Sandbox {
                rootfs: sandbox.rootfs.clone(),
                is_container: sandbox.is_container,
                ..sandbox.namespaces.save(kept)
            }),
            processes,
            groups_v1,
            group_v2,
            has_own_pids: self.has_own_pids,
            uid_map,
            gid_map,
            is_for_systemd: self.is_for_systemd,
            is_mounted: self.is_mounted,
        }
    }

    /// As the program before has had it.
    ///
    /// # Errors
    /// A descriptor is not there.
    pub fn restore(saved: saved::Task) -> Result<Self> {
        let mut task = Self::new(&saved.bundle, StreamNames::default());
        for mut saved in saved.processes {
            let (name, spec) =
                (std::mem::take(&mut saved.exec_id), std::mem::take(&mut saved.spec).into());
            let process = Process::restore(saved)?;
            if name.is_empty() {
                task.init = process;
            } else {
                task.execs.insert(name.into(), Exec { process, spec });
            }
        }
        if let Some(saved) = saved.sandbox {
            let namespaces = Namespaces::restore(&saved)?;
            let saved::Sandbox { rootfs, is_container, .. } = saved;
            task.sandbox = Some(Box::new(Sandbox { namespaces, rootfs, is_container }));
        }
        task.pod = saved.pod.map(Into::into);
        task.groups = Groups::restored(saved.groups_v1, saved.group_v2);
        task.has_own_pids = saved.has_own_pids;
        task.id_maps = [saved.uid_map, saved.gid_map].map(|numbers| {
            let entry = |numbers: &[u32; 3]| {
                let [container_id, host_id, size] = *numbers;
                IdMapping { container_id, host_id, size }
            };
            numbers.as_chunks::<3>().0.iter().map(entry).collect()
        });
        task.is_for_systemd = saved.is_for_systemd;
        task.is_mounted = saved.is_mounted;
        Ok(task)
    }
}

impl Process {
    fn save<'a>(&'a self, name: &str, spec: &[u8], kept: &mut Kept<'a>) -> saved::Process {
        saved::Process {
            exec_id: name.to_owned(),
            pid: self.pid,
            status: self.status as i32,
            stdin: self.stream_names.stdin.to_string(),
            stdout: self.stream_names.stdout.to_string(),
            stderr: self.stream_names.stderr.to_string(),
            has_terminal: self.stream_names.terminal,
            input_fd: kept.keep_any(self.keep_input.as_ref()),
            terminal: self.terminal,
            is_starting: self.is_starting,
            held_exit: self.held_exit.map(Exit::save),
            exit: self.exit.map(Exit::save),
            waiters: self.waiters.clone(),
            spec: spec.to_vec(),
        }
    }

    fn restore(saved: saved::Process) -> Result<Self> {
        let stream_names = StreamNames {
            stdin: saved.stdin.into(),
            stdout: saved.stdout.into(),
            stderr: saved.stderr.into(),
            terminal: saved.has_terminal,
        };
        Ok(Self {
            pid: saved.pid,
            status: Status::try_from(saved.status).unwrap_or(Status::Unknown),
            stream_names,
            keep_input: claim_any(saved.input_fd)?,
            terminal: saved.terminal,
            is_starting: saved.is_starting,
            held_exit: saved.held_exit.map(Exit::restore),
            exit: saved.exit.map(Exit::restore),
            waiters: saved.waiters,
        })
    }
}

impl Exit {
    /// For the next program.
    pub fn save(self) -> saved::Exit {
        let Self { status, at: Timestamp { seconds, nanos } } = self;
        saved::Exit { status, seconds, nanos }
    }

    /// As the program before has had it.
    pub fn restore(saved: saved::Exit) -> Self {
        let saved::Exit { status, seconds, nanos } = saved;
        Self { status, at: Timestamp { seconds, nanos } }
    }
}
