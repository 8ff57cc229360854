//! WAMR's C interface, the one place that calls it.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char};

use wamr_guest::sys::{Mapping, claim_stack, stack_boundary};
use wamr_guest::{ExitCode, Failure, stack};
use wamr_plan::PlanRef;
use wamrx_sys as c;

use crate::NAME;
use crate::wasi::Strings;
use crate::{binary, sys};

/// WAMR's texts of traps begin so.
const TRAP: &str = "Exception: ";

/// WAMR writes its reasons into a buffer of the caller.
struct Reason([c_char; 256]);

impl Reason {
    fn new() -> Self {
        Self([0; 256])
    }

    fn size_bytes(&self) -> u32 {
        self.0.len() as u32
    }

    fn text(&mut self) -> String {
        // WAMR ends what it writes; this holds for whatever it did.
        self.0[255] = 0;
        // SAFETY: the array is NUL-terminated by the line above and outlives `text`.
        let text = unsafe { CStr::from_ptr(self.0.as_ptr()) };
        text.to_string_lossy().into_owned()
    }
}

/// Sizes for one instance.
pub struct Limits {
    stack_bytes: u32,
    heap_bytes: u32,
    max_memory_pages: u32,
}

impl Limits {
    pub fn of(plan: &PlanRef) -> Self {
        let &PlanRef { stack_bytes, heap_bytes, max_memory_pages, .. } = plan;
        Self { stack_bytes, heap_bytes, max_memory_pages }
    }
}

/// A loaded module. It points into the mapping, which therefore is never unmapped.
pub struct Module {
    handle: c::wasm_module_t,
    binary: Binary,
}

/// The bytes of the module, of which WAMR has edited some.
#[derive(Clone, Copy)]
struct Binary {
    start: *const u8,
    size_bytes: usize,
}

impl Binary {
    /// The guest's functions at its last trap, a line each.
    fn frames(self) -> String {
        let (indices, more) = sys::at_last_trap();
        // SAFETY: the mapping is never undone, and WAMR, which may edit it, does not run now.
        let module = unsafe { std::slice::from_raw_parts(self.start, self.size_bytes) };
        let line = |index| {
            let name = binary::function_name(module, index);
            stack::frame_line(name.as_deref(), index, None)
        };
        let rest = (more > 0).then(|| format!("\n    and {more} more"));
        indices.into_iter().map(line).chain(rest).collect()
    }
}

/// A module with its memory, ready to run. Never torn down: the process ends with it.
pub struct Instance {
    handle: c::wasm_module_inst_t,
    stacks: Stacks,
    binary: Binary,
}

/// The sizes of the guest's stacks: WAMR's own of operands, and the native one.
#[derive(Clone, Copy)]
struct Stacks {
    operand_bytes: usize,
    native_bytes: usize,
}

impl Stacks {
    /// The text of a trap; where a stack was too small, with its size and what to do.
    fn explain(self, text: &str) -> String {
        if text.ends_with("wasm operand stack overflow") {
            return stack::overflow_text(text, self.operand_bytes);
        }
        if text.ends_with("native stack overflow") {
            return stack::overflow_text(text, self.native_bytes);
        }
        text.to_owned()
    }
}

/// How the guest ended.
pub enum Outcome {
    Exited(u32),
    /// It called `proc_raise`. WASI's numbers of signals are Linux's, as far as WASI has them.
    Raised(i32),
    Trapped(String),
}

/// Starts WAMR on the C library's allocator.
///
/// # Errors
/// WAMR says no more than that it failed: memory.
pub fn start() -> Result<(), Failure> {
    let mut arguments = c::RuntimeInitArgs {
        mem_alloc_type: c::Alloc_With_System_Allocator,
        ..c::RuntimeInitArgs::default()
    };
    // SAFETY: the structure is complete, and WAMR keeps no pointer to it.
    if unsafe { c::wasm_runtime_full_init(&raw mut arguments) } {
        return Ok(());
    }
    Err(Failure::step("start WAMR", "out of memory"))
}

/// Loads the module in `bytes`.
///
/// # Errors
/// WAMR's reason why the bytes are no module that it runs.
pub fn load(bytes: Mapping) -> Result<Module, Failure> {
    const ACT: &str = "load the module";
    let bytes = bytes.leak();
    let Ok(size) = u32::try_from(bytes.len()) else {
        return Err(Failure::step(ACT, "it is larger than 4 GiB"));
    };
    if let [0, b'a', b'o', b't', rest @ ..] = &*bytes {
        let format = rest.first_chunk().map_or(0, |version| u32::from_le_bytes(*version));
        let reason = format!(
            "it is compiled ahead of time (AOT format {format}); this runner has WAMR's \
             interpreter and reads Wasm bytecode, version 1: put the .wasm file into the image"
        );
        return Err(Failure::step(ACT, reason));
    }
    binary::hide_from_wamr(bytes);
    let binary = Binary { start: bytes.as_ptr(), size_bytes: bytes.len() };
    let mut reason = Reason::new();
    let arguments = c::LoadArgs { name: c"".as_ptr().cast_mut(), ..c::LoadArgs::default() };
    // SAFETY: `bytes` is writable and never freed, as WAMR wants of a buffer that it may edit and
    // keep; the other pointers are valid for the call.
    let module = unsafe {
        c::wasm_runtime_load_ex(
            bytes.as_mut_ptr(),
            size,
            &raw const arguments,
            reason.0.as_mut_ptr(),
            reason.size_bytes(),
        )
    };
    if module.is_null() {
        return Err(Failure::step(ACT, reason.text()));
    }
    Ok(Module { handle: module, binary })
}

/// Makes the one instance of `module`.
///
/// # Errors
/// WAMR's reason (memory, a directory, a network), a trap of the guest's start function, or that it
/// is no WASI command. An import that nobody provides is only warned about, and traps when it is
/// called.
pub fn instantiate(module: &Module, wasi: &Strings, limits: &Limits) -> Result<Instance, Failure> {
    const ACT: &str = "instantiate the module";
    let mut arguments = std::ptr::null_mut();
    // SAFETY: `arguments` is a valid place for the pointer.
    if !unsafe { c::wasm_runtime_instantiation_args_create(&raw mut arguments) } {
        return Err(Failure::step(ACT, "out of memory"));
    }
    set_limits(arguments, limits);
    set_wasi(arguments, wasi);
    let mut reason = Reason::new();
    // SAFETY: the module is loaded; `arguments` was created above, the strings it points to live
    // in `wasi`, and WAMR copies them before it returns.
    let instance = unsafe {
        c::wasm_runtime_instantiate_ex2(
            module.handle,
            arguments,
            reason.0.as_mut_ptr(),
            reason.size_bytes(),
        )
    };
    // SAFETY: created above, used by nobody any more.
    unsafe { c::wasm_runtime_instantiation_args_destroy(arguments) };
    let stacks = Stacks {
        operand_bytes: limits.stack_bytes as usize,
        native_bytes: claim_stack(limits.stack_bytes as usize),
    };
    if instance.is_null() {
        let reason = reason.text();
        let Some(begin) = reason.find(TRAP) else { return Err(Failure::step(ACT, reason)) };
        return Err(Failure::Trapped(stacks.explain(&reason[begin..]) + &module.binary.frames()));
    }
    // SAFETY: the instance is live.
    if unsafe { c::wasm_runtime_lookup_wasi_start_function(instance) }.is_null() {
        return Err(Failure::step(ACT, "it exports no function _start, as a WASI command does"));
    }
    // SAFETY: the instance is live. The boundary lies inside the stack of this thread, the only
    // one that runs the guest.
    unsafe {
        let environment = c::wasm_runtime_get_exec_env_singleton(instance);
        if environment.is_null() {
            return Err(Failure::step(ACT, "out of memory for the operand stack"));
        }
        // WAMR would ask pthread_getattr_np, which reads /proc and leaves its heap behind.
        let boundary = stack_boundary(stacks.native_bytes);
        c::wasm_runtime_set_native_stack_boundary(environment, boundary);
    }
    Ok(Instance { handle: instance, stacks, binary: module.binary })
}

fn set_limits(arguments: *mut c::InstantiationArgs2, limits: &Limits) {
    // SAFETY: `arguments` is a live object of WAMR; numbers are copied into it.
    unsafe {
        c::wasm_runtime_instantiation_args_set_default_stack_size(arguments, limits.stack_bytes);
        c::wasm_runtime_instantiation_args_set_host_managed_heap_size(arguments, limits.heap_bytes);
        c::wasm_runtime_instantiation_args_set_max_memory_pages(arguments, limits.max_memory_pages);
    }
}

fn set_wasi(arguments: *mut c::InstantiationArgs2, wasi: &Strings) {
    if !wasi.networks.is_empty() {
        sys::grant_sockets();
    }
    if let Some(directory) = &wasi.working_directory {
        sys::set_working_directory(directory.clone());
    }
    let list = |strings: &Vec<*const c_char>| strings.as_ptr().cast_mut();
    let count = |strings: &Vec<*const c_char>| strings.len() as u32;
    // SAFETY: `arguments` is a live object of WAMR, which keeps these pointers until it is
    // destroyed; `wasi` outlives it. WAMR reads the arrays and strings and changes none.
    unsafe {
        c::wasm_runtime_instantiation_args_set_wasi_arg(
            arguments,
            list(&wasi.args).cast(),
            wasi.args.len() as i32,
        );
        c::wasm_runtime_instantiation_args_set_wasi_env(
            arguments,
            list(&wasi.env),
            count(&wasi.env),
        );
        c::wasm_runtime_instantiation_args_set_wasi_dir(
            arguments,
            list(&wasi.same_dirs),
            count(&wasi.same_dirs),
            list(&wasi.mapped_dirs),
            count(&wasi.mapped_dirs),
        );
        c::wasm_runtime_instantiation_args_set_wasi_stdio(arguments, 0, 1, 2);
        c::wasm_runtime_instantiation_args_set_wasi_addr_pool(
            arguments,
            list(&wasi.networks),
            count(&wasi.networks),
        );
        c::wasm_runtime_instantiation_args_set_wasi_ns_lookup_pool(
            arguments,
            list(&wasi.names),
            count(&wasi.names),
        );
    }
}

/// Runs `_start` to its end.
pub fn execute(instance: &Instance) -> Outcome {
    let &Instance { handle: instance, stacks, binary } = instance;
    // SAFETY: the instance is live, as nothing here destroys it. The exception text belongs to it
    // and is copied at once.
    unsafe {
        if c::wasm_application_execute_main(instance, 0, std::ptr::null_mut()) {
            return Outcome::Exited(c::wasm_runtime_get_wasi_exit_code(instance));
        }
        let text = c::wasm_runtime_get_exception(instance);
        if text.is_null() {
            return Outcome::Trapped("no reason given".to_owned());
        }
        let text = CStr::from_ptr(text).to_string_lossy();
        match raised_signal(&text) {
            Some(signal) => Outcome::Raised(signal),
            None => Outcome::Trapped(stacks.explain(&text) + &binary.frames()),
        }
    }
}

/// WAMR tells of `proc_raise` by the text of an exception, and of traps likewise.
fn raised_signal(text: &str) -> Option<i32> {
    text.strip_prefix("Exception: wasi proc raise ")?.parse().ok()
}

impl Outcome {
    /// The exit status; a trap's text goes to standard error.
    pub fn report(self) -> ExitCode {
        match self {
            Self::Exited(status) => ExitCode::of_guest(status),
            Self::Raised(signal) => ExitCode::of_signal(signal),
            Self::Trapped(text) => Failure::Trapped(text).report(NAME),
        }
    }
}
