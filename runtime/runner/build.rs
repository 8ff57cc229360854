//! Checks that WAMR was configured for the runner, and adapts the link of the static program.

use std::env;
use std::path::Path;

/// What the build of WAMR depends on besides its own sources.
const CONFIGURATION: [&str; 5] = ["wamr.cmake", "copy.h", "stack.h", "pages.h", "frames.h"];

/// Functions of WAMR, but for the first of its WASI library, that the files below src/sys answer.
const INTERCEPTED: [&str; 27] = [
    // frames.rs
    "wasm_set_exception",
    // intercept.rs
    "os_openat",
    "os_socket_create",
    "os_socket_bind",
    "os_socket_listen",
    // poll.rs
    "blocking_op_poll",
    "wasmtime_ssp_poll_oneoff",
    // streams.rs
    "os_fstat",
    "os_is_stdin_handle",
    "os_is_stdout_handle",
    "os_is_stderr_handle",
    "os_file_get_fdflags",
    "os_file_set_fdflags",
    "os_readv",
    "os_writev",
    // paths.rs
    "wasmtime_ssp_path_create_directory",
    "wasmtime_ssp_path_remove_directory",
    "wasmtime_ssp_path_unlink_file",
    "wasmtime_ssp_path_filestat_get",
    "wasmtime_ssp_path_filestat_set_times",
    "wasmtime_ssp_path_readlink",
    "wasmtime_ssp_path_open",
    "wasmtime_ssp_path_link",
    "wasmtime_ssp_path_rename",
    "wasmtime_ssp_path_symlink",
    "wasmtime_ssp_fd_close",
    "wasmtime_ssp_fd_renumber",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for file in CONFIGURATION {
        println!("cargo::rerun-if-changed={file}");
    }
    println!("cargo::rerun-if-env-changed=CMAKE_TOOLCHAIN_FILE");
    println!("cargo::rerun-if-env-changed=WAMR_SHARED_PLATFORM_CONFIG");
    let problems = [configuration_is_ours(), configuration_is_current()];
    for problem in problems.into_iter().filter_map(Result::err) {
        println!("cargo::error={problem}");
    }
    for function in INTERCEPTED {
        println!("cargo::rustc-link-arg-bins=-Wl,--wrap={function}");
    }
    let features = env::var("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
    if features.split(',').any(|feature| feature == "crt-static") {
        // wamrx-sys asks for a dynamic libm. Finding it, LLD takes the program for one with a
        // dynamic linker and leaves undefined weak symbols to it; the program has none and would
        // call its own ELF header before main.
        println!("cargo::rustc-link-arg-bins=-Wl,-z,nodynamic-undefined-weak");
    }
}

/// WAMR as wamrx-sys alone builds it costs each container 8 MiB: no build is better than that.
fn configuration_is_ours() -> Result<(), String> {
    let toolchain = env::var_os("CMAKE_TOOLCHAIN_FILE").unwrap_or_default();
    if Path::new(&toolchain).ends_with("runtime/runner/wamr.cmake") {
        return Ok(());
    }
    Err("WAMR must be built with runtime/runner/wamr.cmake: run cargo inside the repository, \
         where .cargo/config.toml names it, and leave CMAKE_TOOLCHAIN_FILE unset"
        .to_owned())
}

/// Cargo does not see that wamrx-sys depends on these files, but rebuilds it when this variable
/// changes. So the variable carries their hash.
fn configuration_is_current() -> Result<(), String> {
    let fnv_1a = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let read = |file| std::fs::read(file).map_err(|error| format!("{file}: {error}"));
    let text = CONFIGURATION.map(read).into_iter().collect::<Result<Vec<_>, _>>()?.concat();
    let hash = format!("{:016x}", text.iter().fold(0xcbf2_9ce4_8422_2325, fnv_1a));
    if env::var("WAMR_SHARED_PLATFORM_CONFIG").is_ok_and(|set| set == hash) {
        return Ok(());
    }
    Err(format!(
        "WAMR's configuration has changed: set WAMR_SHARED_PLATFORM_CONFIG = \"{hash}\" in \
         .cargo/config.toml, so that WAMR is built anew"
    ))
}
