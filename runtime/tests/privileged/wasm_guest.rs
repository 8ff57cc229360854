//! A Wasm container, and guests in C for it.

use super::container::{Container, is_ours, skip};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A container whose runtime has the runner beside it.
pub fn container() -> Option<Container> {
    if !is_ours() {
        skip("the runner belongs to our runtime");
        return None;
    }
    let Some(runner) = std::env::var_os("WAMR_RUNNER").map(PathBuf::from) else {
        skip("WAMR_RUNNER does not name the Wasm runner");
        return None;
    };
    let mut container = Container::empty()?;
    let bin = container.bundle.path().join("bin");
    fs::create_dir(&bin).unwrap();
    // By a process of its own: a descriptor open for writing here could leak into another test's
    // child, and the exec fail with ETXTBSY.
    let programs = [container.runtime().to_owned(), runner];
    let copied = Command::new("cp").args(programs).arg(&bin).status().unwrap();
    assert!(copied.success(), "cp to {}", bin.display());
    container.use_runtime(&bin.join("wamr-crun"));
    Some(container)
}

/// A container with the C program `source` as /guest.wasm; `None` (and a line) without a compiler.
pub fn compiled(source: &Path) -> Option<Container> {
    let mut container = container()?;
    container.set("/process/args", json!(["/guest.wasm"]));
    let module = container.rootfs().join("guest.wasm");
    if let Some(ready) = std::env::var_os("WAMR_TEST_GUESTS").map(PathBuf::from) {
        let name = Path::new(source.file_name().unwrap()).with_extension("wasm");
        fs::copy(ready.join(name), module).unwrap();
        return Some(container);
    }
    let built = Command::new("clang")
        .args(["--target=wasm32-wasi", "--sysroot=/usr", "-mcpu=mvp", "-Os", "-s", "-o"])
        .args([&module, source])
        .output();
    if !built.is_ok_and(|output| output.status.success()) {
        skip(
            "clang cannot build for wasm32-wasi (apt-get install clang lld wasi-libc \
             libclang-rt-14-dev-wasm32)",
        );
        return None;
    }
    Some(container)
}

/// A C program of these tests.
pub fn guest(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/privileged/guests").join(name)
}

/// A container whose guest does as `guests/act.c` says.
pub fn acting(arguments: &[&str]) -> Option<Container> {
    let mut container = compiled(&guest("act.c"))?;
    let words: Vec<_> = [&["/guest.wasm"], arguments].concat();
    container.set("/process/args", json!(words));
    Some(container)
}

/// A container with a workload of the lab's.
pub fn workload(source: &str) -> Option<Container> {
    let workloads = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vm-images/workloads");
    compiled(&workloads.join(source))
}
