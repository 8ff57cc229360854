//! Docker and Podman: one command line, two engines.

use crate::boxed::{Machine, Said, eventually};
use crate::image::Kind;

/// What only the limit of the test's own making can exhaust.
const LIMIT: &str = "64m";
const RAISED: (&str, u64) = ("128m", 128 << 20);
const KILLED: i32 = 128 + 9;
const TERMINATED: i32 = 128 + 15;
/// What is not there, by name and by path, and a directory; with the engines' exit statuses.
const NO_PROGRAMS: [(&str, i32); 3] = [("not-there", 127), ("/not/there", 127), ("/bin", 126)];

/// An engine in a box.
pub struct Engine<'a> {
    machine: &'a Machine,
    /// The command and its flags of every call.
    command: Vec<&'static str>,
    /// Flags of `run`.
    run_flags: Vec<&'static str>,
    /// Who looks after health: a daemon, or somebody who calls `healthcheck run`.
    daemon: bool,
}

/// Docker: a daemon that is told of the runtime.
pub fn docker(machine: &Machine) -> Engine<'_> {
    machine.daemon(&[
        "dockerd",
        "--host=unix:///run/docker.sock",
        "--add-runtime=wamr-crun=/opt/wamr/wamr-crun",
        "--exec-opt=native.cgroupdriver=cgroupfs",
        "--storage-driver=overlay2",
        "--bridge=none",
        "--iptables=false",
        "--ip6tables=false",
    ]);
    eventually("dockerd answers", || (machine.run(&["docker", "info"]).code == 0).then_some(()));
    let run_flags = vec!["--runtime=wamr-crun", "--network=none"];
    Engine { machine, command: vec!["docker"], run_flags, daemon: true }
}

/// Podman: every command is told of the runtime.
pub fn podman(machine: &Machine) -> Engine<'_> {
    let command = vec!["podman", "--cgroup-manager=cgroupfs", "--runtime=/opt/wamr/wamr-crun"];
    Engine { machine, command, run_flags: vec!["--network=none"], daemon: false }
}

impl Engine<'_> {
    fn words<'w>(&self, words: &[&'w str]) -> Vec<&'w str> {
        self.command.iter().chain(words).copied().collect()
    }

    fn call(&self, words: &[&str]) -> Said {
        self.machine.run(&self.words(words))
    }

    fn done(&self, words: &[&str]) -> String {
        self.machine.done(&self.words(words))
    }

    fn run_words<'w>(
        &self,
        flags: &[&'w str],
        image: &'w str,
        program: &[&'w str],
    ) -> Vec<&'w str> {
        let run = ["run"].iter().chain(&self.run_flags).chain(flags);
        let all: Vec<&str> = run.copied().chain([image]).chain(program.iter().copied()).collect();
        self.words(&all)
    }

    fn inspect(&self, name: &str, field: &str) -> String {
        self.done(&["inspect", "--format", field, name]).trim().to_owned()
    }

    /// Everything that is asked of an engine, for both kinds of image.
    pub fn scenario(&self) {
        for kind in Kind::ALL {
            self.done(&["load", "-i", &kind.archive()]);
            let image = kind.reference();
            self.runs_and_reports_the_status(&image);
            self.serves(&image, kind);
            self.tells_what_is_no_program(&image);
            self.has_a_terminal(&image);
            self.ends_with_exhausted_memory(&image);
            let left = self.done(&["ps", "--all", "--quiet"]);
            assert_eq!(left.trim(), "", "{kind:?}: containers are left");
        }
        // Podman leaves the runtime its own place for state; filters alone are kept there.
        let left = self.machine.run(&["ls", "/run/wamr-crun"]);
        let left = left.out.trim();
        assert!(["", "@seccomp"].contains(&left), "the runtime has left {left}");
    }

    fn runs_and_reports_the_status(&self, image: &str) {
        let words = self.run_words(&["--rm", "--env", "SAID=world"], image, &["exit", "7"]);
        let said = self.machine.run(&words);
        assert_eq!(said.code, 7, "{said:?}\n{}", self.machine.logs());
        assert_eq!(said.out, "hello world\n", "{said:?}");
        assert!(said.err.contains("leaving"), "{said:?}");
        let words = self.run_words(&["--rm", "--interactive"], image, &["repeat"]);
        let said = self.machine.run_with_input(&words, "one\nend\n");
        assert_eq!(said.code, 9, "{said:?}");
        assert_eq!(said.out, "pipe, got one\npipe, got end\n", "{said:?}");
    }

    /// The life of a container that stays.
    fn serves(&self, image: &str, kind: Kind) {
        let limits = ["--detach", "--name=guest", "--memory", LIMIT, "--memory-swap", LIMIT];
        let health = ["--health-cmd=/bin/true", "--health-interval=1s"];
        let flags: Vec<&str> = limits.into_iter().chain(health).collect();
        let id = self.machine.done(&self.run_words(&flags, image, &["serve"]));
        let id = id.trim();
        eventually("the log has what the program said", || {
            self.done(&["logs", "guest"]).contains("ready").then_some(())
        });
        assert_eq!(self.machine.memory_limit_bytes(id), 64 << 20);
        self.is_changed_while_it_runs(id, kind);
        self.done(&["stop", "--time=20", "guest"]);
        let code = self.inspect("guest", "{{.State.ExitCode}}");
        assert_eq!(code, TERMINATED.to_string(), "stopped by SIGTERM");
        // Once more: the container is there still.
        self.done(&["start", "guest"]);
        self.done(&["kill", "--signal=KILL", "guest"]);
        self.done(&["wait", "guest"]);
        assert_eq!(self.inspect("guest", "{{.State.ExitCode}}"), KILLED.to_string());
        self.done(&["rm", "guest"]);
    }

    /// What goes beyond the start and the end.
    fn is_changed_while_it_runs(&self, id: &str, kind: Kind) {
        self.executes_beside();
        self.is_healthy();
        self.done(&["update", "--memory", RAISED.0, "--memory-swap", RAISED.0, "guest"]);
        assert_eq!(self.machine.memory_limit_bytes(id), RAISED.1);

        self.done(&["pause", "guest"]);
        assert_eq!(self.inspect("guest", "{{.State.Status}}"), "paused");
        let refused = self.call(&["exec", "guest", "/bin/true"]);
        assert_ne!(refused.code, 0, "exec in a paused container: {refused:?}");
        self.done(&["unpause", "guest"]);
        assert_eq!(self.inspect("guest", "{{.State.Status}}"), "running");

        let used = self.done(&["stats", "--no-stream", "--format", "{{.MemUsage}}", "guest"]);
        assert!(used.contains('/') && !used.starts_with("0B"), "stats: {used}");
        // Both engines ask the runtime, or ps(1) for what the runtime's cgroup lists.
        let listed = self.done(&["top", "guest"]);
        let program = if kind == Kind::Wasm { "wamr-runner" } else { "/guest" };
        assert!(listed.lines().count() == 2, "top: {listed}");
        assert!(listed.contains(program) || listed.contains("guest"), "top: {listed}");
    }

    fn executes_beside(&self) {
        assert_eq!(self.done(&["exec", "guest", "/bin/echo", "beside"]), "beside\n");
        assert_eq!(self.call(&["exec", "guest", "/bin/sh", "-c", "exit 5"]).code, 5);
        let words = self.words(&["exec", "--interactive", "guest", "/bin/busybox", "cat"]);
        assert_eq!(self.machine.run_with_input(&words, "through\n").out, "through\n");
        let words = self.words(&["exec", "guest", "/guest", "exit", "6"]);
        let said = self.machine.run(&words);
        assert_eq!(said.code, 6, "the container's own program, once more: {said:?}");
        for (program, code) in NO_PROGRAMS {
            let refused = self.call(&["exec", "guest", program]);
            // Docker of these releases has one status for all that cannot be executed beside.
            let code = if self.daemon { 126 } else { code };
            assert_eq!(refused.code, code, "{program}: {refused:?}");
        }
    }

    /// The engine reads in the runtime's message why, and says it by its own exit status.
    fn tells_what_is_no_program(&self, image: &str) {
        for (program, code) in NO_PROGRAMS {
            let flags = ["--rm", "--entrypoint", program];
            let refused = self.machine.run(&self.run_words(&flags, image, &[]));
            assert_eq!(refused.code, code, "{program}: {refused:?}");
        }
    }

    fn is_healthy(&self) {
        if !self.daemon {
            self.done(&["healthcheck", "run", "guest"]);
            return;
        }
        eventually("the container is healthy", || {
            (self.inspect("guest", "{{.State.Health.Status}}") == "healthy").then_some(())
        });
    }

    fn has_a_terminal(&self, image: &str) {
        let words = self.run_words(&["--rm", "--interactive", "--tty"], image, &["repeat"]);
        let said = self.machine.on_terminal(&words, "one\nend\n");
        assert_eq!(said.code, 9, "{said:?}\n{}", self.machine.logs());
        assert!(said.out.contains("terminal, got one"), "{image}: {said:?}");
    }

    fn ends_with_exhausted_memory(&self, image: &str) {
        let flags = ["--name=greedy", "--memory=32m", "--memory-swap=32m"];
        let said = self.machine.run(&self.run_words(&flags, image, &["grow"]));
        assert_eq!(said.code, KILLED, "{said:?}\n{}", self.machine.logs());
        // Podman's conmon misses it on cgroup v1 with runc as well, so there is nothing to ask.
        if self.daemon {
            assert_eq!(self.inspect("greedy", "{{.State.OOMKilled}}"), "true");
        }
        self.done(&["rm", "greedy"]);
    }
}
