//! A guest with the whole root preopened reaches no file that shows the kernel or a process.

use std::os::unix::fs::symlink;
use std::path::Path;

use wamr_plan::Plan;

use crate::support::{compiled, error_text, plan, preopen, run};

const NOTCAPABLE: &str = "76";

/// What a guest sees of each path: the errors of open, stat and readlink.
fn look(preopens: &[(&str, &Path)], paths: &[&str]) -> Option<Vec<(String, [String; 3])>> {
    let module = compiled("look")?;
    let args = ["/look.wasm"].iter().chain(paths).map(|path| path.as_bytes().to_vec()).collect();
    let preopens = preopens.iter().map(|(guest, path)| preopen(guest, path)).collect();
    let output = run(&module, Plan { args, preopens, ..plan() });
    assert_eq!(output.status.code(), Some(0), "{}", error_text(&output));
    let text = String::from_utf8(output.stdout).expect("the test's own paths");
    let lines = text.lines().map(|line| {
        let mut words = line.split(' ').map(str::to_owned);
        let mut next = || words.next().expect("a path and three numbers");
        (next(), [next(), next(), next()])
    });
    Some(lines.collect())
}

#[test]
fn proc_and_sys_are_out_of_reach_through_the_root() {
    let paths = [
        "/proc/self/exe",
        "/proc/self/mem",
        "/proc/self/environ",
        "/proc/self/fd/1",
        "/proc/1/root/etc/passwd",
        "/proc/self/root/proc/self/mem",
        "/proc/self/cwd",
        "/proc/thread-self/maps",
        "/proc/sys/kernel/hostname",
        "/proc/.",
        "/proc/../proc/version",
        "/tmp/../proc/version",
        "/etc/..//./proc///version",
        "/sys/kernel",
        "/sys/fs/cgroup",
        "/dev/fd/0",
    ];
    let Some(seen) = look(&[("/", Path::new("/"))], &paths) else { return };
    assert_eq!(seen.len(), paths.len());
    for (path, errors) in seen {
        assert_eq!(errors, [NOTCAPABLE; 3], "{path}");
    }
    // The names themselves are there, as entries of the root: no more.
    let seen = look(&[("/", Path::new("/"))], &["/proc", "/sys"]).expect("it compiled before");
    for (path, [opened, ..]) in seen {
        assert_eq!(opened, NOTCAPABLE, "{path}");
    }
}

#[test]
fn links_and_preopens_lead_nowhere_else() {
    let directory = tempfile::tempdir_in("/tmp").expect("a temporary directory");
    let up = "../".repeat(directory.path().components().count());
    let inside = directory.path().strip_prefix("/").expect("absolute").display().to_string();
    for (name, target) in [
        ("absolute", "/proc/self/exe".to_owned()),
        ("relative", format!("{up}proc/self/exe")),
        ("directory", format!("{up}proc/self")),
        ("chain", "directory".to_owned()),
    ] {
        symlink(target, directory.path().join(name)).expect("a writable directory");
    }
    let path = |name: &str| format!("/{inside}/{name}");
    let paths = [path("absolute"), path("relative"), path("directory/exe"), path("chain/mem")];
    let names: Vec<&str> = paths.iter().map(String::as_str).collect();
    let Some(seen) = look(&[("/", Path::new("/"))], &names) else { return };
    for (path, [opened, looked, _]) in seen {
        assert_eq!([opened.as_str(), looked.as_str()], [NOTCAPABLE; 2], "{path}");
    }
    // A plan that grants /proc by another name grants nothing.
    let preopens = [("/p", Path::new("/proc")), ("/me", Path::new("/proc/self"))];
    for (path, errors) in look(&preopens, &["/p/version", "/me/mem"]).expect("it compiled before") {
        assert!(errors.iter().all(|error| error != "0"), "{path}: {errors:?}");
    }
}

/// Images hold absolute links; a guest may see where they lead.
#[test]
fn a_link_is_read_wherever_it_leads() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (name, target) in [("absolute", "/etc/passwd"), ("out", "../../etc/passwd")] {
        symlink(target, directory.path().join(name)).expect("a writable directory");
    }
    let paths = ["/absolute", "/out"];
    let Some(seen) = look(&[("/", directory.path())], &paths) else { return };
    for (path, errors) in seen {
        assert_eq!(errors, [NOTCAPABLE, NOTCAPABLE, "0"], "{path}");
    }
}

#[test]
fn other_files_are_where_they_were() {
    let paths = ["/etc/passwd", "/dev/null", "/tmp/.", "/usr/../etc/passwd"];
    let Some(seen) = look(&[("/", Path::new("/"))], &paths) else { return };
    for (path, [opened, looked, _]) in seen {
        assert_eq!([opened.as_str(), looked.as_str()], ["0", "0"], "{path}");
    }
}
