//! Calls of WASI with places and numbers that no compiler makes: each gives an error number, and
//! none ends the runner.

use std::fmt::Write;

use wamr_plan::Plan;

use crate::support::{error_text, plan, preopen, run};

/// Each function of preview 1 that returns, and its arguments: `i` 32 bits, `l` 64.
const FUNCTIONS: [(&str, &str); 44] = [
    ("args_get", "ii"),
    ("args_sizes_get", "ii"),
    ("clock_res_get", "ii"),
    ("clock_time_get", "ili"),
    ("environ_get", "ii"),
    ("environ_sizes_get", "ii"),
    ("fd_advise", "illi"),
    ("fd_allocate", "ill"),
    ("fd_close", "i"),
    ("fd_datasync", "i"),
    ("fd_fdstat_get", "ii"),
    ("fd_fdstat_set_flags", "ii"),
    ("fd_fdstat_set_rights", "ill"),
    ("fd_filestat_get", "ii"),
    ("fd_filestat_set_size", "il"),
    ("fd_filestat_set_times", "illi"),
    ("fd_pread", "iiili"),
    ("fd_prestat_dir_name", "iii"),
    ("fd_prestat_get", "ii"),
    ("fd_pwrite", "iiili"),
    ("fd_read", "iiii"),
    ("fd_readdir", "iiili"),
    ("fd_renumber", "ii"),
    ("fd_seek", "ilii"),
    ("fd_sync", "i"),
    ("fd_tell", "ii"),
    ("fd_write", "iiii"),
    ("path_create_directory", "iii"),
    ("path_filestat_get", "iiiii"),
    ("path_filestat_set_times", "iiiilli"),
    ("path_link", "iiiiiii"),
    ("path_open", "iiiiillii"),
    ("path_readlink", "iiiiii"),
    ("path_remove_directory", "iii"),
    ("path_rename", "iiiiii"),
    ("path_symlink", "iiiii"),
    ("path_unlink_file", "iii"),
    ("poll_oneoff", "iiii"),
    ("random_get", "ii"),
    ("sched_yield", ""),
    ("sock_accept", "iii"),
    ("sock_recv", "iiiiii"),
    ("sock_send", "iiiii"),
    ("sock_shutdown", "ii"),
];

const NUMBERS: [i64; 14] =
    [0, 1, 3, 8, 24, 65528, 65535, 65536, 0x7fff_ffff, -0x8000_0000, -48, -32, -8, -1];

/// A call for each argument and number, the others being `other`.
fn calls(types: &str, other: i64) -> Vec<Vec<i64>> {
    let mut lists = Vec::new();
    for place in 0..types.len() {
        for number in NUMBERS {
            let mut list = vec![other; types.len()];
            list[place] = number;
            lists.push(list);
        }
    }
    lists.extend(NUMBERS.map(|number| vec![number; types.len()]));
    lists
}

/// A module that makes all calls of `functions`.
fn module<'a>(functions: impl Iterator<Item = &'a (&'a str, &'a str)>, pages: u32) -> Vec<u8> {
    let (mut imports, mut body) = (String::new(), String::new());
    for (name, types) in functions {
        let word = |one: char| if one == 'i' { "i32" } else { "i64" };
        let parameters: Vec<_> = types.chars().map(word).collect();
        let import = format!(r#"(import "wasi_snapshot_preview1" "{name}""#);
        let parameters = parameters.join(" ");
        writeln!(imports, "{import} (func ${name} (param {parameters}) (result i32)))").unwrap();
        // Descriptor 3 is the directory; 8 is a place in memory that holds nothing.
        for list in [3, 8].into_iter().flat_map(|other| calls(types, other)) {
            write!(body, "(drop (call ${name}").unwrap();
            for (one, number) in types.chars().zip(list) {
                write!(body, " ({}.const {number})", word(one)).unwrap();
            }
            body.push_str("))\n");
        }
    }
    let text = format!(
        r#"(module {imports} (memory (export "memory") {pages}) (func (export "_start") {body}))"#
    );
    wat::parse_str(&text).expect("wat")
}

#[test]
fn no_call_ends_the_runner() {
    for pages in [1, 65536] {
        // Random bytes for 4 GiB take long, and two functions close what the others use.
        let usual = FUNCTIONS.iter().filter(|(name, _)| {
            !matches!(*name, "fd_close" | "fd_renumber") && (pages == 1 || *name != "random_get")
        });
        let closing = FUNCTIONS.iter().filter(|(name, _)| name.starts_with("fd_"));
        for guest in [module(usual, pages), module(closing, pages)] {
            let directory = tempfile::tempdir().expect("a temporary directory");
            let preopens = vec![preopen("/", directory.path())];
            let output = run(&guest, Plan { preopens, ..plan() });
            assert_eq!(output.status.code(), Some(0), "{pages} pages: {}", error_text(&output));
        }
    }
}
