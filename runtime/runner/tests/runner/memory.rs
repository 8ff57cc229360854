//! The promised number: private memory of an idle container.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use wamr_plan::{DEFAULT_STACK_BYTES, Plan};

use crate::engine;
use crate::support::{Handover, Running, plan, preopen, runner_is_static};

const RUNNERS: usize = 5;

/// The microservice that the lab measures, compiled as for its image.
fn microservice(directory: &Path) -> Option<PathBuf> {
    let source =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vm-images/workloads/microservice.c");
    let module = directory.join("microservice.wasm");
    let arguments = ["--target=wasm32-wasi", "-Os", "-s", "-o"];
    match Command::new("clang").args(arguments).arg(&module).arg(source).output() {
        Ok(output) if output.status.success() => {
            let prepared = engine::prepare(&fs::read(&module).expect("clang made it"));
            fs::write(&module, prepared).expect("a writable directory");
            Some(module)
        }
        Ok(output) => panic!("clang: {}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => {
            wamr_testing::lacking(format!("clang cannot be started: {error}"));
            None
        }
    }
}

/// A runner of the module file, past its first line of output.
fn start(module: &Path, stack_bytes: u32) -> Running {
    let file = File::open(module).expect("clang made it");
    fcntl(&file, FcntlArg::F_SETFD(FdFlag::empty())).expect("the descriptor is open");
    let plan = Plan {
        module_fd: file.as_raw_fd() as u32,
        args: vec![b"/microservice.wasm".to_vec()],
        env: vec![b"PATH=/usr/bin:/bin".to_vec(), b"HOSTNAME=microservice".to_vec()],
        preopens: vec![preopen("/", Path::new("/"))],
        stack_bytes,
        ..plan()
    };
    let handover = Handover::of_bytes(&plan.encode());
    let mut command = handover.command(&[]);
    let mut running = Running(command.stdout(Stdio::piped()).spawn().expect("the runner starts"));
    let mut line = String::new();
    let stdout = running.0.stdout.as_mut().expect("a pipe was asked for");
    BufReader::new(stdout).read_line(&mut line).expect("the guest writes");
    assert!(line.starts_with("start_ns="), "{line}");
    running
}

/// The process sleeps in a system call: nothing more of it will be touched.
fn wait_until_blocked(pid: u32) {
    loop {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the runner is there");
        if stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" S")) {
            return;
        }
        std::thread::yield_now();
    }
}

/// Private_Clean + Private_Dirty of smaps_rollup.
fn private_kb(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("procfs");
    let private = text.lines().filter(|line| line.starts_with("Private_"));
    private
        .filter(|line| !line.starts_with("Private_Hugetlb"))
        .filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
        .sum()
}

/// Whatever stack the guest may use: it pays for what it does use.
#[test]
fn an_idle_container_keeps_its_promise() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let Some(module) = microservice(directory.path()) else { return };
    for stack_bytes in [64 << 10, DEFAULT_STACK_BYTES, 64 << 20] {
        let running: Vec<_> = (0..RUNNERS).map(|_| start(&module, stack_bytes)).collect();
        for one in &running {
            wait_until_blocked(one.0.id());
        }
        let mut private: Vec<u64> = running.iter().map(|one| private_kb(one.0.id())).collect();
        drop(running);
        private.sort_unstable();
        println!("private kB of {RUNNERS} idle containers, {stack_bytes} bytes: {private:?}");
        if !runner_is_static() {
            return wamr_testing::lacking("the limit holds for the resident build: use make");
        }
        // The median: pages of a file that just one of the runners happens to map count as its own.
        assert!(private[RUNNERS / 2] <= engine::MOST_PRIVATE_KB, "{private:?} kB");
    }
}

/// Grows page by page to 64 MiB of which it touches little. Where the memory was copied at each
/// step, all of it would have been there, twice.
#[test]
fn memory_that_grows_costs_what_is_touched() {
    let guest = wat::parse_str(
        r#"(module
        (import "wasi_snapshot_preview1" "fd_read"
            (func $read (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "_start")
            (loop $more
                (i32.store (i32.shl (memory.grow (i32.const 1)) (i32.const 16)) (i32.const 1))
                (br_if $more (i32.lt_u (memory.size) (i32.const 1024))))
            (i32.store (i32.const 4) (i32.const 1))
            (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))))"#,
    );
    let handover = Handover::new(&guest.expect("wat"), plan());
    let mut command = handover.command(&[]);
    let running = Running(command.stdin(Stdio::piped()).spawn().expect("the runner starts"));
    let size = |name: &str| {
        let path = format!("/proc/{}/status", running.0.id());
        let text = fs::read_to_string(path).expect("procfs");
        let line = text.lines().find(|line| line.starts_with(name)).expect("a line of each size");
        line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).expect("kB")
    };
    // A page of 4 KiB for each of the guest's, and what any guest needs.
    let touched_kb = 1024 * 4;
    while size("RssAnon:") < touched_kb {
        std::thread::yield_now();
    }
    wait_until_blocked(running.0.id());
    let peak_kb = size("VmHWM:");
    println!("at most {peak_kb} kB");
    assert!(peak_kb < touched_kb + (4 << 10), "{peak_kb} kB");
}
