//! What the guest sees: strings, directories, files, standard streams, limits, networks.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use wamr_plan::Plan;

use crate::support::{
    Handover, error_text, module, plan, preopen, run, run_in, runner, runner_is_static,
};

fn strings(list: &[&str]) -> Vec<Vec<u8>> {
    list.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// The output of a guest that prints a NUL after each string.
fn printed(module: &[u8], plan: Plan) -> Vec<String> {
    let output = run(module, plan);
    assert_eq!(output.status.code(), Some(0), "{}", error_text(&output));
    let text = String::from_utf8(output.stdout).expect("the test's own strings");
    text.split_terminator('\0').map(str::to_owned).collect()
}

#[test]
fn arguments_arrive_verbatim() {
    let arguments = ["/app/server.wasm", "", "two words", "--x=a::b", "\u{fc}"];
    let guest = module("strings", &[("LIST", "args")]);
    assert_eq!(printed(&guest, Plan { args: strings(&arguments), ..plan() }), arguments);
}

#[test]
fn the_environment_is_the_plans_and_a_working_directory_that_is_not_the_root() {
    let guest = module("strings", &[("LIST", "environ")]);
    let environment = |env: &[&str], cwd: &str| {
        printed(&guest, Plan { env: strings(env), cwd: cwd.into(), ..plan() })
    };
    assert_eq!(environment(&["B=2", "A=", "A=x=y"], "/srv"), ["B=2", "A=", "A=x=y", "PWD=/srv"]);
    assert_eq!(environment(&["PWD=/own"], "/srv"), ["PWD=/own"]);
    assert_eq!(environment(&["PWD=/own"], "/"), ["PWD=/own"]);
    // Every runtime begins at the root without being told. The runner's own environment (PATH, from
    // the test) is not the guest's.
    assert!(environment(&[], "/").is_empty());
}

#[test]
fn preopens_carry_the_names_of_the_plan() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let preopens = vec![preopen("/", Path::new("/")), preopen("/data", directory.path())];
    let names = printed(&module("preopens", &[]), Plan { preopens, ..plan() });
    assert_eq!(names, ["/", "/data"]);
    assert!(printed(&module("preopens", &[]), plan()).is_empty(), "none are granted by default");
}

fn copy(from: &str, to: &str) -> Vec<u8> {
    let lengths = (from.len().to_string(), to.len().to_string());
    let words = [
        ("PATH_IN", from),
        ("PATH_OUT", to),
        ("LENGTH_IN", lengths.0.as_str()),
        ("LENGTH_OUT", lengths.1.as_str()),
    ];
    module("copy", &words)
}

#[test]
fn files_of_a_preopen_are_read_and_written() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    fs::write(directory.path().join("in"), "content").expect("a writable directory");
    let preopens = vec![preopen("/data", directory.path())];
    let output = run(&copy("in", "out"), Plan { preopens, ..plan() });
    assert_eq!(output.status.code(), Some(0), "{}", error_text(&output));
    let copied = fs::read(directory.path().join("out")).expect("the guest made it");
    assert_eq!(copied, b"content");
}

#[test]
fn a_guest_does_not_leave_its_preopen() {
    const NOTCAPABLE: i32 = 76;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let inner = directory.path().join("inner");
    fs::create_dir(&inner).expect("a writable directory");
    fs::write(directory.path().join("in"), "secret").expect("a writable directory");
    std::os::unix::fs::symlink("../in", inner.join("link")).expect("a writable directory");
    for path in ["../in", "link", "/etc/passwd"] {
        let preopens = vec![preopen("/", &inner)];
        let output = run(&copy(path, "out"), Plan { preopens, ..plan() });
        assert_eq!(output.status.code(), Some(NOTCAPABLE), "{path}: {}", error_text(&output));
    }
}

#[test]
fn a_missing_preopen_is_named_and_a_forbidden_one_left_out() {
    let preopens = vec![preopen("/x", Path::new("/no/such/directory"))];
    let output = run(&module("return", &[]), Plan { preopens, ..plan() });
    assert_eq!(output.status.code(), Some(126));
    let text = error_text(&output);
    assert!(text.contains("/no/such/directory") && text.contains("No such file"), "{text}");

    if !wamr_testing::is_root() {
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (open, closed) = (directory.path().join("open"), directory.path().join("closed"));
    for (path, mode) in [(&open, 0o755), (&closed, 0o700), (&directory.path().into(), 0o755)] {
        fs::create_dir_all(path).expect("a writable directory");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        fs::set_permissions(path, mode).expect("the directory is this process's own");
    }
    let preopens = vec![preopen("/closed", &closed), preopen("/open", &open)];
    let plan = Plan { preopens, ..plan() };
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let runner = runner_for_everybody(directory.path());
    let handover = Handover::new(&module("preopens", &[]), plan);
    let words = [runner.as_str(), &handover.argument()];
    let mut command = Command::new(nobody[0]);
    let output = command.args(&nobody[1..]).args(words).output().expect("setpriv starts");
    assert_eq!(output.status.code(), Some(0), "{}", error_text(&output));
    assert_eq!(output.stdout, b"/open\0");
}

/// A copy of the runner that any user may execute. A process of its own makes it: a descriptor
/// open for writing here could leak into another test's child, and the exec fail with ETXTBSY.
fn runner_for_everybody(directory: &Path) -> String {
    let copy = directory.join("runner");
    let status = Command::new("cp").arg(runner()).arg(&copy).status().expect("cp starts");
    assert!(status.success(), "cp to {}: {status}", copy.display());
    copy.to_str().expect("test paths are UTF-8").to_owned()
}

#[test]
fn standard_streams_work_and_may_be_closed() {
    let guest = module("stdio", &[]);
    let output = run(&guest, plan());
    assert_eq!(output.status.code(), Some(0), "{}", error_text(&output));
    assert_eq!((&output.stdout[..], &output.stderr[..]), (&b"out"[..], &b"err"[..]));

    // With /dev/null in their place, reads give the end and writes succeed.
    let closed = ["sh", "-c", "exec \"$@\" <&- >&- 2>&-", "sh"];
    assert_eq!(run_in(&closed, &guest, plan()).status.code(), Some(0));

    // The first directory opened must not become standard output.
    let preopens = vec![preopen("/", Path::new("/"))];
    let output = run_in(&closed, &guest, Plan { preopens, ..plan() });
    assert_eq!(output.status.code(), Some(0));

    // A reader that went away is the guest's EPIPE, not the end of the container.
    let handover = Handover::new(&guest, plan());
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let status = handover.command(&[]).stdout(Stdio::from(writer)).status();
    assert_eq!(status.expect("the runner starts").code(), Some(1));
}

#[test]
fn an_empty_root_is_enough() {
    if !wamr_testing::is_root() {
        return;
    }
    if !runner_is_static() {
        return wamr_testing::lacking("the runner under test needs a dynamic linker: use make");
    }
    let root = tempfile::tempdir().expect("a temporary directory");
    runner_for_everybody(root.path());
    let path = root.path().to_str().expect("test paths are UTF-8");
    let guest = module("stdio", &[]);
    let start = |redirections: &str| {
        let preopens = vec![preopen("/", Path::new("/"))];
        let handover = Handover::new(&guest, Plan { preopens, ..plan() });
        let script = format!("exec chroot {path} /runner {} {redirections}", handover.argument());
        let output = Command::new("sh").args(["-c", &script]).output();
        output.expect("sh starts").status.code()
    };
    assert_eq!(start(""), Some(0), "neither /proc nor /dev");
    // No /dev/null: reads end, writes fail with EPIPE.
    assert_eq!(start("<&- >&- 2>&-"), Some(3), "closed streams and no /dev");
}

#[test]
fn memory_grows_up_to_the_limit_of_the_plan() {
    for (pages, max_memory_pages, want) in [("9", 0, 0), ("9", 10, 0), ("10", 10, 1)] {
        let output = run(&module("grow", &[("PAGES", pages)]), Plan { max_memory_pages, ..plan() });
        assert_eq!(output.status.code(), Some(want), "{pages} more, {max_memory_pages} at most");
    }
}

#[test]
fn the_instructions_of_todays_compilers_run() {
    let output = run(&module("simd", &[]), plan());
    assert_eq!(output.status.code(), Some(42), "{}", error_text(&output));
}
