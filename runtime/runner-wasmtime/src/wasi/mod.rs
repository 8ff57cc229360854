//! WASI preview 1 for the guest: who asks for what is here, what is done in the neighbours.
//!
//! Written for this runner because its memory counts in every container: the library of the engine
//! brings an executor, threads and the component model, and lets a guest walk into /proc. It says
//! and refuses what `wamr-runner` does; docs/wasi.md lists both, and one test asks both.

mod clock;
mod descriptor;
mod errno;
mod files;
mod memory;
mod path;
mod paths;
mod poll;
mod strings;

use std::ffi::CStr;

use rustix::fs::{Mode, OFlags};
use wamr_guest::sys::exit_now;
use wamr_guest::{ExitCode, Failure, preopen, working_directory};
use wamr_plan::PlanRef;
use wasmtime::{Caller, Extern, Func, FuncType, ResourceLimiter, Store, Val, ValType};

use descriptor::{Blocking, Descriptor, Table};
use errno::{Errno, Result};
use memory::Memory;
use strings::Strings;

/// The module of all imports.
pub const MODULE: &str = "wasi_snapshot_preview1";

/// What the guest was given.
pub struct Host {
    args: Strings,
    env: Strings,
    table: Table,
    /// The path of the working directory.
    cwd: Box<[u8]>,
    pub limits: Limits,
    /// The guest's memory, from when its instance is there.
    pub memory: Option<wasmtime::Memory>,
}

/// How far a memory may grow.
pub struct Limits {
    most_bytes: usize,
}

impl ResourceLimiter for Limits {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= self.most_bytes && maximum.is_none_or(|maximum| desired <= maximum))
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(maximum.is_none_or(|maximum| desired <= maximum))
    }
}

impl Host {
    /// Gathers what `plan` says, and opens its directories.
    ///
    /// # Errors
    /// A directory that is missing.
    pub fn new(plan: &PlanRef) -> std::result::Result<Self, Failure> {
        let pwd = working_directory::environment_entry(plan);
        let env = plan.env().chain(pwd.as_deref());
        let most_bytes = match plan.max_memory_pages {
            0 => usize::MAX,
            pages => pages as usize * 65536,
        };
        let mut host = Self {
            args: Strings::of(plan.args()),
            env: Strings::of(env),
            table: Table::default(),
            cwd: plan.cwd.to_bytes().into(),
            limits: Limits { most_bytes },
            memory: None,
        };
        for number in 0..3 {
            let stream = wamr_guest::sys::take_stream(number);
            let stream = stream.map_err(|error| stream_failure(number, &error))?;
            host.insert_stream(stream).map_err(|error| stream_failure(number, &error))?;
        }
        for (guest, container) in plan.preopens() {
            if preopen::can_open(container)? {
                host.preopen(guest, container)?;
            }
        }
        Ok(host)
    }

    fn insert_stream(&mut self, file: std::os::fd::OwnedFd) -> std::io::Result<()> {
        let to_io = |error: Errno| std::io::Error::other(format!("WASI error {}", error.0));
        let mut descriptor = Descriptor::new(file).map_err(to_io)?;
        descriptor.blocking = Blocking::Yes;
        self.table.insert(descriptor).map(drop).map_err(to_io)
    }

    fn preopen(&mut self, guest: &CStr, container: &CStr) -> std::result::Result<(), Failure> {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::open(container, flags, Mode::empty());
        let directory = opened.map_err(Errno::from).and_then(Descriptor::new);
        let inserted = directory.and_then(|mut directory| {
            directory.preopen = Some(guest.to_bytes().into());
            self.table.insert(directory)
        });
        let path = container.to_string_lossy();
        inserted.map(drop).map_err(|error| {
            let act = format!("open {path} for the guest as a directory");
            Failure::step(act, format!("WASI error {}", error.0))
        })
    }
}

fn stream_failure(number: i32, error: &std::io::Error) -> Failure {
    Failure::step(format!("give the guest its descriptor {number}"), error)
}

/// The arguments of one call.
struct Arguments<'a>(&'a [Val]);

impl Arguments<'_> {
    /// The argument at `index`; its type was checked when the module was linked.
    fn u32(&self, index: usize) -> u32 {
        self.0.get(index).and_then(Val::i32).unwrap_or(0) as u32
    }

    fn u64(&self, index: usize) -> u64 {
        self.0.get(index).and_then(Val::i64).unwrap_or(0) as u64
    }
}

type Call = fn(&mut Host, &mut Memory, &Arguments) -> Result<()>;

/// The functions: name, arguments (`i` 32 bits, `l` 64), what it does. Each gives an error number.
const FUNCTIONS: [(&str, &str, Call); 44] = [
    ("args_get", "ii", strings::args_get),
    ("args_sizes_get", "ii", strings::args_sizes_get),
    ("clock_res_get", "ii", clock::resolution),
    ("clock_time_get", "ili", clock::time),
    ("environ_get", "ii", strings::environ_get),
    ("environ_sizes_get", "ii", strings::environ_sizes_get),
    ("fd_advise", "illi", files::advise),
    ("fd_allocate", "ill", files::allocate),
    ("fd_close", "i", files::close),
    ("fd_datasync", "i", files::data_sync),
    ("fd_fdstat_get", "ii", files::descriptor_status),
    ("fd_fdstat_set_flags", "ii", files::set_flags),
    ("fd_fdstat_set_rights", "ill", files::set_rights),
    ("fd_filestat_get", "ii", files::status),
    ("fd_filestat_set_size", "il", files::set_size),
    ("fd_filestat_set_times", "illi", files::set_times),
    ("fd_pread", "iiili", files::read_at),
    ("fd_prestat_dir_name", "iii", files::preopen_name),
    ("fd_prestat_get", "ii", files::preopen_status),
    ("fd_pwrite", "iiili", files::write_at),
    ("fd_read", "iiii", files::read),
    ("fd_readdir", "iiili", paths::list),
    ("fd_renumber", "ii", files::renumber),
    ("fd_seek", "ilii", files::seek),
    ("fd_sync", "i", files::sync),
    ("fd_tell", "ii", files::tell),
    ("fd_write", "iiii", files::write),
    ("path_create_directory", "iii", paths::create_directory),
    ("path_filestat_get", "iiiii", paths::status),
    ("path_filestat_set_times", "iiiilli", paths::set_times),
    ("path_link", "iiiiiii", paths::link),
    ("path_open", "iiiiillii", paths::open),
    ("path_readlink", "iiiiii", paths::read_link),
    ("path_remove_directory", "iii", paths::remove_directory),
    ("path_rename", "iiiiii", paths::rename),
    ("path_symlink", "iiiii", paths::symlink),
    ("path_unlink_file", "iii", paths::unlink),
    ("poll_oneoff", "iiii", poll::poll),
    ("random_get", "ii", clock::random),
    ("sched_yield", "", clock::give_way),
    ("sock_accept", "iii", no_socket),
    ("sock_recv", "iiiiii", no_socket),
    ("sock_send", "iiiii", no_socket),
    ("sock_shutdown", "ii", no_socket),
];

/// Preview 1 can use sockets that it was given, and it is given none.
fn no_socket(host: &mut Host, _: &mut Memory, arguments: &Arguments) -> Result<()> {
    host.table.get(arguments.u32(0), 0)?;
    Err(Errno::NOTSOCK)
}

/// The function `name` of preview 1, if it has one. Its type is preview 1's: a module that imports
/// it with another one is refused when it is linked.
pub fn function(store: &mut Store<Host>, name: &str) -> Option<Func> {
    match name {
        "proc_exit" => return Some(Func::wrap(store, exit)),
        "proc_raise" => return Some(Func::wrap(store, raise)),
        _ => {}
    }
    let (_, types, call) = *FUNCTIONS.iter().find(|(known, ..)| *known == name)?;
    let types = types.bytes().map(|one| if one == b'i' { ValType::I32 } else { ValType::I64 });
    let ty = FuncType::new(store.engine(), types, [ValType::I32]);
    Some(Func::new(store, ty, move |mut caller: Caller<'_, Host>, arguments, results| {
        let memory = memory_of(&mut caller)?;
        let (bytes, host) = memory.data_and_store_mut(&mut caller);
        let error = call(host, &mut Memory(bytes), &Arguments(arguments));
        results[0] = Val::I32(error.err().map_or(0, |error| i32::from(error.0)));
        Ok(())
    }))
}

/// Nothing of the guest's is kept anywhere but in the kernel: the process may end as it is.
fn exit(_: Caller<'_, Host>, status: i32) {
    exit_now(ExitCode::of_guest(status as u32))
}

/// WASI's numbers of signals are Linux's, as far as WASI has them.
fn raise(_: Caller<'_, Host>, signal: i32) -> i32 {
    exit_now(ExitCode::of_signal(signal))
}

fn memory_of(caller: &mut Caller<'_, Host>) -> wasmtime::Result<wasmtime::Memory> {
    if let Some(memory) = caller.data().memory {
        return Ok(memory);
    }
    // A start function runs before the instance is there.
    match caller.get_export("memory") {
        Some(Extern::Memory(memory)) => Ok(memory),
        _ => Err(wasmtime::Error::msg("a WASI function was called, but no memory is exported")),
    }
}
