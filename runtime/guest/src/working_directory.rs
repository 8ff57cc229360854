//! What a relative path means, where the working directory is not the root.
//!
//! Preview 1 has no working directory. Runtimes that keep one of their own (Go's) take it from
//! PWD. The C library, and with it Rust and TinyGo, knows only preopens: `open("x")` and
//! `open("/x")` are the same call to it, of `x` below the preopen that has no name, whether that is
//! `/` or `.`, and the last one of both is taken. So where the working directory is not `/`, it is
//! the last preopen, as `.`, and a path below that one is looked for in the root as well.

use std::borrow::Cow;
use std::ffi::{CStr, CString, c_int};

use wamr_plan::PlanRef;

use crate::sys::{Found, find_below};

/// The names of the two preopens.
pub const ROOT: &CStr = c"/";
/// See [`ROOT`].
pub const HERE: &CStr = c".";

/// `PWD=<cwd>`, unless that is the root, where runtimes begin without it, or the environment has a
/// PWD of its own.
pub fn environment_entry(plan: &PlanRef) -> Option<CString> {
    let cwd = plan.cwd.to_bytes();
    let is_own = |entry: &CStr| entry.to_bytes().starts_with(b"PWD=");
    if matches!(cwd, b"" | b"/") || plan.env().any(is_own) {
        return None;
    }
    CString::new([b"PWD=", cwd].concat()).ok()
}

/// Where a path begins that was looked for in the working directory.
#[derive(Debug, PartialEq, Eq)]
pub enum Start<'a> {
    /// There, as it is.
    Here,
    /// In the root, with this path.
    Root(Cow<'a, [u8]>),
}

/// Where `path` begins, which the guest looks for in the working directory `cwd`, open as `here`;
/// `root` is the root.
///
/// A path that exists in the root is that one: an absolute path always means what it says. One
/// that exists in neither and has a directory of its own is made where that directory is; any
/// other is made in the working directory.
pub fn start<'a>(cwd: &[u8], here: c_int, root: c_int, path: &'a [u8]) -> Start<'a> {
    let dotted = path.split(|byte| *byte == b'/').next().unwrap_or_default();
    match dotted {
        b"." | b"" => return Start::Here,
        b".." => return Start::Root(Cow::Owned(up_from(cwd, path))),
        _ => {}
    }
    let in_root = Start::Root(Cow::Borrowed(path));
    if find_below(root, path) != Found::Nothing {
        return in_root;
    }
    if find_below(here, path) != Found::Nothing {
        return Start::Here;
    }
    let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    let Some(slash) = path[..end].iter().rposition(|byte| *byte == b'/') else {
        return Start::Here;
    };
    match find_below(root, &path[..slash]) {
        Found::Nothing => Start::Here,
        Found::Something => in_root,
    }
}

/// The path from the root of `path`, which leaves the directory `cwd` upwards.
fn up_from(cwd: &[u8], path: &[u8]) -> Vec<u8> {
    let is_part = |part: &&[u8]| !matches!(*part, b"" | b".");
    let mut parts: Vec<&[u8]> = cwd.split(|byte| *byte == b'/').filter(is_part).collect();
    let mut rest = path;
    while let Some(after) = rest.strip_prefix(b"..") {
        match after {
            [] | [b'/', ..] => {}
            _ => break,
        }
        // The root is its own parent.
        parts.pop();
        let slashes = after.iter().take_while(|byte| **byte == b'/').count();
        rest = &after[slashes..];
    }
    if !rest.is_empty() {
        parts.push(rest);
    }
    if parts.is_empty() { b".".to_vec() } else { parts.join(&b'/') }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn pwd_is_added_only_where_it_says_something_new() {
        let table: [(&str, &[&str], Option<&CStr>); 4] = [
            ("/srv", &["A=1", "OLDPWD=/x"], Some(c"PWD=/srv")),
            ("/srv", &["PWD=/own"], None),
            ("/", &[], None),
            ("", &[], None),
        ];
        for (cwd, env, want) in table {
            let plan = wamr_plan::Plan {
                module_fd: 0,
                args: vec![],
                env: env.iter().map(|entry| entry.as_bytes().to_vec()).collect(),
                cwd: cwd.into(),
                preopens: vec![],
                socket_networks: vec![],
                socket_names: vec![],
                stack_bytes: 0,
                heap_bytes: 0,
                max_memory_pages: 0,
            };
            let bytes = plan.encode();
            let plan = PlanRef::parse(&bytes).expect("a plan");
            assert_eq!(environment_entry(&plan).as_deref(), want, "{cwd} {env:?}");
        }
    }

    #[test]
    fn a_path_begins_where_it_exists_or_can_be_made() {
        let place = std::env::temp_dir().join(format!("start-{}", std::process::id()));
        for directory in ["app/lib", "app/logs", "app/tmp", "tmp", "etc", "lib"] {
            fs::create_dir_all(place.join(directory)).unwrap();
        }
        for file in ["etc/passwd", "both", "app/both", "app/lib/own", "lib/theirs", "app/input"] {
            fs::write(place.join(file), "").unwrap();
        }
        std::os::unix::fs::symlink("/nowhere", place.join("link")).unwrap();
        let (root, here) = (File::open(&place).unwrap(), File::open(place.join("app")).unwrap());
        let table = [
            ("input", Start::Here),
            ("./both", Start::Here),
            (".", Start::Here),
            ("etc/passwd", root_at("etc/passwd")),
            ("both", root_at("both")),
            ("lib/own", Start::Here),
            ("lib/theirs", root_at("lib/theirs")),
            ("tmp/new", root_at("tmp/new")),
            ("logs/new", Start::Here),
            ("new", Start::Here),
            ("new/", Start::Here),
            ("none/new", Start::Here),
            ("link", root_at("link")),
            ("link/below", root_at("link/below")),
            (".hidden", Start::Here),
            ("..", root_at(".")),
            ("../etc", root_at("etc")),
            ("../../..//etc/", root_at("etc/")),
        ];
        for (path, want) in table {
            let got = start(b"/app", here.as_raw_fd(), root.as_raw_fd(), path.as_bytes());
            assert_eq!(got, want, "{path}");
        }
        fs::remove_dir_all(&place).unwrap();
    }

    fn root_at(path: &str) -> Start<'_> {
        Start::Root(Cow::Borrowed(path.as_bytes()))
    }

    #[test]
    fn the_way_up_ends_at_the_root() {
        for (cwd, path, want) in [
            ("/a/b", "..", "a"),
            ("/a/b/", "../c", "a/c"),
            ("/a/b", "../..", "."),
            ("/a", "../../../x/../y", "x/../y"),
            ("/a/b", "../..hidden", "a/..hidden"),
        ] {
            let got = up_from(cwd.as_bytes(), path.as_bytes());
            assert_eq!(String::from_utf8_lossy(&got), want, "{path} in {cwd}");
        }
    }
}
