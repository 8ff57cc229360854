//! Starts the runner the way `wamr-crun` does.

use std::ffi::CStr;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};

use nix::sys::memfd::{MFdFlags, memfd_create};
use wamr_plan::{DEFAULT_STACK_BYTES, Plan, Preopen};

use crate::engine;

/// Where the guests' sources are.
pub const GUESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../runner/tests/runner/guests");

/// The program under test.
pub fn runner() -> PathBuf {
    let built = || PathBuf::from(engine::BUILT);
    std::env::var_os(engine::VARIABLE).map_or_else(built, PathBuf::from)
}

/// Whether the program under test needs no dynamic linker, as the resident build does not.
pub fn runner_is_static() -> bool {
    let program = std::fs::read(runner()).expect("the runner can be read");
    // Without an interpreter the program's headers name none; strings elsewhere do not end so.
    !program[..4096].windows(9).any(|bytes| bytes == b"/ld-linux")
}

/// A plan for a guest that needs nothing; its module descriptor is filled in later.
pub fn plan() -> Plan {
    Plan {
        module_fd: 0,
        args: vec![b"/guest.wasm".to_vec()],
        env: vec![],
        cwd: b"/".to_vec(),
        preopens: vec![],
        socket_networks: vec![],
        socket_names: vec![],
        stack_bytes: DEFAULT_STACK_BYTES,
        heap_bytes: 0,
        max_memory_pages: 0,
    }
}

/// A directory of this machine under a name of the guest's.
pub fn preopen(guest_path: &str, container_path: &Path) -> Preopen {
    let container_path = container_path.to_str().expect("test paths are UTF-8").as_bytes().to_vec();
    Preopen { guest_path: guest_path.as_bytes().to_vec(), container_path }
}

/// The module `guests/<name>.wat`, with each word of `words` replaced.
pub fn module(name: &str, words: &[(&str, &str)]) -> Vec<u8> {
    let path = Path::new(GUESTS).join(name).with_extension("wat");
    let text = std::fs::read_to_string(&path).expect("the guest's source is there");
    let text = words.iter().fold(text, |text, (word, by)| text.replace(word, by));
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The C program `guests/<name>.c` as a module, if there is a compiler.
pub fn compiled(name: &str) -> Option<Vec<u8>> {
    compile(&Path::new(GUESTS).join(name).with_extension("c"))
}

/// A C program as a module, if there is a compiler.
pub fn compile(source: &Path) -> Option<Vec<u8>> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let module = directory.path().join("module.wasm");
    let arguments = ["--target=wasm32-wasi", "-mcpu=mvp", "-Os", "-Wall", "-Werror", "-s", "-o"];
    match Command::new("clang").args(arguments).arg(&module).arg(source).output() {
        Ok(output) if output.status.success() => {}
        Ok(output) => panic!("{}: {}", source.display(), error_text(&output)),
        Err(error) => {
            wamr_testing::lacking(format!("clang cannot be started: {error}"));
            return None;
        }
    }
    Some(std::fs::read(module).expect("clang made it"))
}

/// The two descriptors of one start, open until this is dropped.
pub struct Handover {
    plan: OwnedFd,
    _module: OwnedFd,
}

impl Handover {
    /// A module and a plan, which is told the module's descriptor.
    pub fn new(module: &[u8], plan: Plan) -> Self {
        Self::unprepared(&engine::prepare(module), plan)
    }

    /// As `new`, for what a runner is given as it is.
    pub fn unprepared(module: &[u8], plan: Plan) -> Self {
        let module = inherited_file(c"module", module);
        let plan = Plan { module_fd: module.as_raw_fd() as u32, ..plan };
        Self { plan: inherited_file(c"plan", &plan.encode()), _module: module }
    }

    /// Any bytes in the plan's place; the module is one that runs.
    pub fn of_bytes(plan: &[u8]) -> Self {
        let module = inherited_file(c"module", &engine::prepare(&module("return", &[])));
        Self { plan: inherited_file(c"plan", plan), _module: module }
    }

    /// The plan's descriptor as the runner's argument.
    pub fn argument(&self) -> String {
        self.plan.as_raw_fd().to_string()
    }

    /// The runner with this plan; `wrapper` is a program and its arguments that execs the rest.
    pub fn command(&self, wrapper: &[&str]) -> Command {
        let runner = runner();
        let runner = runner.to_str().expect("test paths are UTF-8");
        let argument = self.argument();
        let words = [wrapper, &[runner, &argument, "/guest.wasm"]].concat();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command
    }
}

fn inherited_file(name: &CStr, content: &[u8]) -> OwnedFd {
    let fd = memfd_create(name, MFdFlags::empty()).expect("memfd_create");
    let mut file = File::from(fd);
    file.write_all(content).expect("a memfd takes what memory holds");
    file.into()
}

/// Runs a guest to its end.
pub fn run(module: &[u8], plan: Plan) -> Output {
    run_in(&[], module, plan)
}

/// Runs a guest to its end below `wrapper`.
pub fn run_in(wrapper: &[&str], module: &[u8], plan: Plan) -> Output {
    Handover::new(module, plan).command(wrapper).output().expect("the runner starts")
}

/// Standard error as text.
pub fn error_text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A running guest, killed when its test ends, however that is.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
