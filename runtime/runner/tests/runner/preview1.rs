//! Every function of WASI preview 1, by a guest that checks one at a time; docs/wasi.md must say
//! the same.

use std::collections::BTreeMap;
use std::path::Path;

use wamr_plan::Plan;

use crate::support::{compiled, error_text, plan, preopen, run};

/// The functions of preview 1 in WASI's own list.
///
/// Source: WASI `preview1/witx/wasi_snapshot_preview1.witx`.
const FUNCTIONS: [&str; 46] = [
    "args_get",
    "args_sizes_get",
    "clock_res_get",
    "clock_time_get",
    "environ_get",
    "environ_sizes_get",
    "fd_advise",
    "fd_allocate",
    "fd_close",
    "fd_datasync",
    "fd_fdstat_get",
    "fd_fdstat_set_flags",
    "fd_fdstat_set_rights",
    "fd_filestat_get",
    "fd_filestat_set_size",
    "fd_filestat_set_times",
    "fd_pread",
    "fd_prestat_dir_name",
    "fd_prestat_get",
    "fd_pwrite",
    "fd_read",
    "fd_readdir",
    "fd_renumber",
    "fd_seek",
    "fd_sync",
    "fd_tell",
    "fd_write",
    "path_create_directory",
    "path_filestat_get",
    "path_filestat_set_times",
    "path_link",
    "path_open",
    "path_readlink",
    "path_remove_directory",
    "path_rename",
    "path_symlink",
    "path_unlink_file",
    "poll_oneoff",
    "proc_exit",
    "proc_raise",
    "random_get",
    "sched_yield",
    "sock_accept",
    "sock_recv",
    "sock_send",
    "sock_shutdown",
];

/// Rows of the first table of docs/wasi.md: function, then whether it works.
fn documented() -> BTreeMap<String, bool> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/wasi.md");
    let text = std::fs::read_to_string(path).expect("the document is there");
    let rows = text.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split('|').map(str::trim);
        let names = cells.next()?.trim_end_matches('`');
        let works = match cells.next()? {
            "yes" => true,
            "no" => false,
            _ => return None,
        };
        Some(names.split("`, `").map(move |name| (name.to_owned(), works)).collect::<Vec<_>>())
    });
    rows.flatten().collect()
}

/// The check's exit status and what it and the runner wrote.
fn check(module: &[u8], function: &str) -> (Option<i32>, String) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let plan = Plan {
        args: vec![b"/preview1.wasm".to_vec(), function.into()],
        env: vec![b"NAME=value".to_vec(), b"OTHER=".to_vec()],
        preopens: vec![preopen("/", directory.path())],
        ..plan()
    };
    let output = run(module, plan);
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &error_text(&output);
    (output.status.code(), text)
}

#[test]
fn the_functions_work_as_documented() {
    let Some(module) = compiled("preview1") else { return };
    let documented = documented();
    let names: Vec<_> = documented.keys().map(String::as_str).collect();
    assert_eq!(names, FUNCTIONS, "the rows of docs/wasi.md");
    for (function, works) in &documented {
        // These two end the guest.
        let want = match function.as_str() {
            "proc_exit" => continue, // exit.rs
            "proc_raise" => Some(143),
            _ => Some(0),
        };
        let (status, text) = check(&module, function);
        assert_eq!(status == want, *works, "{function}: {status:?} {text}");
    }
    let (status, text) = check(&module, "no such function");
    assert_eq!(status, Some(2), "a check that is missing shows: {text}");
}

#[test]
fn a_sleep_on_the_real_time_clock_ends() {
    let Some(module) = compiled("preview1") else { return };
    let (status, text) = check(&module, "poll_oneoff_realtime");
    assert_eq!(status, Some(0), "{text}");
}
