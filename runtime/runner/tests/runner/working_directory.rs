//! A relative path means the working directory, to a guest whose C library has none.

use std::fs;
use std::path::Path;

use wamr_plan::Plan;

use crate::support::{compiled, error_text, plan, preopen, run};

const NOWHERE: &str = "No such file or directory";

/// What the guest says of each act, in a root whose directory `app` is the working directory.
fn acts(root: &Path, acts: &[[&str; 3]]) -> Option<Vec<String>> {
    let module = compiled("relative")?;
    let words = std::iter::once("/relative.wasm").chain(acts.as_flattened().iter().copied());
    let plan = Plan {
        args: words.map(|word| word.as_bytes().to_vec()).collect(),
        cwd: b"/app".to_vec(),
        preopens: vec![
            preopen("/", root),
            preopen("/volume", &root.join("volume")),
            preopen(".", &root.join("app")),
        ],
        ..plan()
    };
    let output = run(&module, plan);
    assert_eq!(output.status.code(), Some(0), "{}", error_text(&output));
    let text = String::from_utf8(output.stdout).expect("the test's own texts");
    Some(text.lines().map(str::to_owned).collect())
}

fn root() -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a temporary directory");
    for directory in ["app/lib", "etc", "lib", "tmp", "volume"] {
        fs::create_dir_all(root.path().join(directory)).expect("a writable directory");
    }
    for (path, text) in [
        ("app/input", "of the application"),
        ("app/lib/own", "own"),
        ("app/both", "not this one"),
        ("both", "of the root"),
        ("etc/passwd", "root:x:0"),
        ("lib/system", "of the system"),
        ("volume/data", "of the volume"),
    ] {
        fs::write(root.path().join(path), text).expect("a writable directory");
    }
    std::os::unix::fs::symlink("/etc/passwd", root.path().join("app/link")).expect("a link");
    root
}

#[test]
fn a_path_is_found_where_it_exists() {
    let table = [
        (["show", "input", ""], "of the application"),
        (["show", "./input", ""], "of the application"),
        (["show", "/app/input", ""], "of the application"),
        (["show", "lib/own", ""], "own"),
        (["show", "../app/input", ""], "of the application"),
        (["show", "../etc/passwd", ""], "root:x:0"),
        (["show", "../../../etc/passwd", ""], "root:x:0"),
        (["show", "/etc/passwd", ""], "root:x:0"),
        (["show", "/lib/system", ""], "of the system"),
        (["show", "/volume/data", ""], "of the volume"),
        (["show", "/both", ""], "of the root"),
        (["show", "./both", ""], "not this one"),
        (["show", "none", ""], NOWHERE),
        (["show", "none/none", ""], NOWHERE),
        (["show", "link", ""], "Capabilities insufficient"),
        (["list", ".", ""], "input"),
        (["list", "..", ""], "no input"),
        (["list", "app", ""], "input"),
        (["stat", "lib", ""], "done"),
    ];
    let root = root();
    let Some(said) = acts(root.path(), &table.map(|(act, _)| act)) else { return };
    for ((act, want), said) in table.iter().zip(said) {
        assert_eq!(said, *want, "{act:?}");
    }
}

#[test]
fn what_is_made_is_made_where_it_belongs() {
    let table = [
        (["store", "new", ""], "app/new"),
        (["store", "/tmp/new", ""], "tmp/new"),
        (["store", "lib/new", ""], "lib/new"),
        (["store", "/app/lib/new", ""], "app/lib/new"),
        (["mkdir", "directory", ""], "app/directory"),
        (["store", "directory/new", ""], "app/directory/new"),
        (["store", "../above", ""], "above"),
        (["store", "/both", ""], "both"),
        (["rename", "input", "output"], "app/output"),
        (["rename", "/etc/passwd", "/etc/shadow"], "etc/shadow"),
        (["link", "output", "hard"], "app/hard"),
        (["symlink", "output", "soft"], "app/soft"),
        (["times", "output", ""], "app/output"),
    ];
    let root = root();
    let Some(said) = acts(root.path(), &table.map(|(act, _)| act)) else { return };
    for ((act, path), said) in table.iter().zip(said) {
        assert_eq!(said, "done", "{act:?}");
        assert!(root.path().join(path).symlink_metadata().is_ok(), "{act:?}: {path} is not there");
    }
    for path in ["new", "directory", "output", "hard", "soft", "app/input"] {
        assert!(root.path().join(path).symlink_metadata().is_err(), "{path} is there");
    }
    let gone = [["unlink", "new", ""], ["unlink", "directory/new", ""], ["rmdir", "directory", ""]];
    let said = acts(root.path(), &gone).expect("it compiled before");
    assert_eq!(said, ["done"; 3]);
    assert!(!root.path().join("app/new").exists() && !root.path().join("app/directory").exists());
    let said = acts(root.path(), &[["symlink", "/etc/passwd", "absolute"]]);
    assert_eq!(said.expect("it compiled before"), ["Operation not permitted"]);
}
