//! containerd by its own client `ctr`, with its own shim and with ours.

use std::fs;

use crate::boxed::{Machine, Said, eventually};
use crate::image::Kind;

const LIMIT_BYTES: u64 = 64 << 20;
const TERMINATED: i32 = 128 + 15;
const KILLED: i32 = 128 + 9;

/// What is between containerd and the runtime.
#[derive(Debug, Clone, Copy)]
pub enum Shim {
    /// containerd's for runc, told of another binary.
    Runc,
    /// containerd-shim-wamr-crun-v1.
    Wamr,
}

impl Shim {
    /// `ctr run` as every case calls it.
    fn run(self) -> [&'static str; 3] {
        match self {
            Self::Runc => ["ctr", "run", "--runc-binary=/opt/wamr/wamr-crun"],
            Self::Wamr => ["ctr", "run", "--runtime=io.containerd.wamr-crun.v1"],
        }
    }
}

/// Starts containerd and waits until it answers.
pub fn start(machine: &Machine) {
    machine.daemon(&["containerd"]);
    eventually("containerd answers", || (machine.run(&["ctr", "version"]).code == 0).then_some(()));
}

/// Everything that is asked of containerd, for both kinds of image.
pub fn scenario(machine: &Machine, shim: Shim) {
    // containerd looks for shims in PATH.
    machine.done(&["ln", "-s", "/opt/wamr/containerd-shim-wamr-crun-v1", "/usr/local/bin/"]);
    start(machine);
    // From the beginning, so that it listens when something is to be heard.
    machine.daemon(&["ctr", "events"]);
    for kind in Kind::ALL {
        machine.done(&["ctr", "images", "import", &kind.archive()]);
        let image = kind.reference();
        runs_and_reports_the_status(machine, shim, &image);
        serves(machine, shim, &image);
        has_a_terminal(machine, shim, &image);
        tells_of_exhausted_memory(machine, shim, &image, &format!("greedy-{kind:?}"));
        assert_eq!(machine.done(&["ctr", "containers", "ls", "-q"]).trim(), "", "{kind:?}");
    }
}

fn run(
    machine: &Machine,
    shim: Shim,
    flags: &[&str],
    image: &str,
    name: &str,
    program: &[&str],
) -> Said {
    let words = shim.run().into_iter().chain(flags.iter().copied()).chain([image, name, "/guest"]);
    let words: Vec<&str> = words.chain(program.iter().copied()).collect();
    machine.run(&words)
}

/// One container by this client, to the end.
pub fn runs_and_reports_the_status(machine: &Machine, shim: Shim, image: &str) {
    let said = run(machine, shim, &["--rm", "--env=SAID=world"], image, "short", &["exit", "7"]);
    assert_eq!(said.code, 7, "{said:?}\n{}", machine.logs());
    assert_eq!(said.out, "hello world\n", "{said:?}");
    assert!(said.err.contains("leaving"), "{said:?}");
}

fn serves(machine: &Machine, shim: Shim, image: &str) {
    let limit = format!("--memory-limit={LIMIT_BYTES}");
    let flags = ["--detach", "--log-uri=file:///share/c.log", limit.as_str()];
    let said = run(machine, shim, &flags, image, "c", &["serve"]);
    assert_eq!(said.code, 0, "{said:?}\n{}", machine.logs());
    let log = machine.share().join("c.log");
    eventually("the log has what the program said", || {
        fs::read_to_string(&log).unwrap_or_default().contains("ready").then_some(())
    });
    assert_eq!(machine.memory_limit_bytes("/default/c"), LIMIT_BYTES);
    is_changed_while_it_runs(machine);
    machine.done(&["ctr", "task", "kill", "--signal=SIGTERM", "c"]);
    eventually("the task has ended", || (status(machine, "c") == "STOPPED").then_some(()));
    // ctr has a warning for it, no exit status.
    let deleted = machine.run(&["ctr", "task", "delete", "c"]);
    assert!(deleted.err.contains(&TERMINATED.to_string()), "{deleted:?}");
    machine.done(&["ctr", "containers", "delete", "c"]);
    drop(fs::remove_file(log));
}

/// What goes beyond the start and the end.
fn is_changed_while_it_runs(machine: &Machine) {
    let exec = |id: &str, program: &[&str]| {
        let words = ["ctr", "task", "exec", "--exec-id", id, "c"];
        machine.run(&words.iter().chain(program).copied().collect::<Vec<_>>())
    };
    assert_eq!(exec("one", &["/bin/echo", "beside"]).out, "beside\n");
    assert_eq!(exec("two", &["/bin/sh", "-c", "exit 5"]).code, 5);
    assert_eq!(exec("three", &["/guest", "exit", "6"]).code, 6);

    machine.done(&["ctr", "task", "pause", "c"]);
    assert_eq!(status(machine, "c"), "PAUSED");
    machine.done(&["ctr", "task", "resume", "c"]);
    assert_eq!(status(machine, "c"), "RUNNING");
    let metrics = machine.done(&["ctr", "task", "metrics", "c"]);
    assert!(metrics.contains("memory"), "{metrics}");
    let listed = machine.done(&["ctr", "task", "ps", "c"]);
    assert_eq!(listed.lines().count(), 2, "{listed}");
}

fn status(machine: &Machine, name: &str) -> String {
    let listed = machine.done(&["ctr", "task", "ls"]);
    let line = listed.lines().find(|line| line.split_whitespace().next() == Some(name));
    line.and_then(|line| line.split_whitespace().last()).unwrap_or_default().to_owned()
}

fn has_a_terminal(machine: &Machine, shim: Shim, image: &str) {
    let words =
        shim.run().into_iter().chain(["--rm", "--tty", image, "terminal", "/guest", "repeat"]);
    let said = machine.on_terminal(&words.collect::<Vec<_>>(), "one\nend\n");
    assert_eq!(said.code, 9, "{said:?}\n{}", machine.logs());
    assert!(said.out.contains("terminal, got one"), "{image}: {said:?}");
}

fn tells_of_exhausted_memory(machine: &Machine, shim: Shim, image: &str, name: &str) {
    let said = run(machine, shim, &["--rm", "--memory-limit=33554432"], image, name, &["grow"]);
    assert_eq!(said.code, KILLED, "{said:?}\n{}", machine.logs());
    let events = machine.share().join("ctr.log");
    eventually("containerd tells of it", || {
        let text = fs::read_to_string(&events).unwrap_or_default();
        text.lines().any(|line| line.contains("/tasks/oom") && line.contains(name)).then_some(())
    });
}
