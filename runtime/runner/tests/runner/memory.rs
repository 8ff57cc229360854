//! The promised number: private memory of an idle container.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use wamr_plan::Plan;

use crate::support::{Handover, Running, plan, preopen, runner_is_static};

/// Private_Clean + Private_Dirty of smaps_rollup.
const MOST_PRIVATE_KB: u64 = 210;
const RUNNERS: usize = 5;

/// The microservice that the lab measures, compiled as for its image.
fn microservice(directory: &Path) -> Option<PathBuf> {
    let source =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vm-images/workloads/microservice.c");
    let module = directory.join("microservice.wasm");
    let arguments = ["--target=wasm32-wasi", "-Os", "-s", "-o"];
    match Command::new("clang").args(arguments).arg(&module).arg(source).output() {
        Ok(output) if output.status.success() => Some(module),
        Ok(output) => panic!("clang: {}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => {
            wamr_testing::lacking(format!("clang cannot be started: {error}"));
            None
        }
    }
}

/// A runner of the module file, past its first line of output.
fn start(module: &Path) -> Running {
    let file = File::open(module).expect("clang made it");
    fcntl(&file, FcntlArg::F_SETFD(FdFlag::empty())).expect("the descriptor is open");
    let plan = Plan {
        module_fd: file.as_raw_fd() as u32,
        args: vec![b"/microservice.wasm".to_vec()],
        env: vec![b"PATH=/usr/bin:/bin".to_vec(), b"HOSTNAME=microservice".to_vec()],
        preopens: vec![preopen("/", Path::new("/"))],
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

fn private_kb(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("procfs");
    let private = text.lines().filter(|line| line.starts_with("Private_"));
    private
        .filter(|line| !line.starts_with("Private_Hugetlb"))
        .filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
        .sum()
}

#[test]
fn an_idle_container_keeps_its_promise() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let Some(module) = microservice(directory.path()) else { return };
    let running: Vec<Running> = (0..RUNNERS).map(|_| start(&module)).collect();
    for one in &running {
        wait_until_blocked(one.0.id());
    }
    let mut private: Vec<u64> = running.iter().map(|one| private_kb(one.0.id())).collect();
    drop(running);
    private.sort_unstable();
    println!("private kB of {RUNNERS} idle containers: {private:?}");
    if !runner_is_static() {
        return wamr_testing::lacking("the limit holds for the resident build: use make");
    }
    // The median: pages of a file that just one of the runners happens to map count as its own.
    assert!(private[RUNNERS / 2] <= MOST_PRIVATE_KB, "{private:?} kB");
}
