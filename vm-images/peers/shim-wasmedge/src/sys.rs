//! The calls of WasmEdge's C interface that run a WASI command, in the library of the node.
//!
//! Source: wasmedge/wasmedge.h of WasmEdge 0.14.

use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr;

use anyhow::{Context as _, Result, bail};
use libloading::Library;

/// As Debian's package libwasmedge0 has it.
const LIBRARY: &str = "libwasmedge.so.0";

/// `WasmEdge_HostRegistration_Wasi`.
const WASI: u32 = 0;

/// A configuration, a virtual machine, a module instance: WasmEdge says no more of them.
type Opaque = *mut c_void;

/// `WasmEdge_Result`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Outcome {
    code: u32,
}

/// `WasmEdge_String`: not ended by a zero.
#[repr(C)]
struct Text {
    length: u32,
    bytes: *const c_char,
}

/// The functions, and how they are found.
macro_rules! calls {
    ($($name:ident = $symbol:literal: ($($argument:ty),*) -> $result:ty;)*) => {
        struct Calls {
            $($name: unsafe extern "C" fn($($argument),*) -> $result,)*
        }

        impl Calls {
            fn of(library: &Library) -> Result<Self> {
                // SAFETY: the types are those of the header that the module names.
                Ok(Self { $($name: unsafe { *library.get($symbol)? },)* })
            }
        }
    };
}

calls! {
    log_errors = b"WasmEdge_LogSetErrorLevel\0": () -> ();
    is_ok = b"WasmEdge_ResultOK\0": (Outcome) -> bool;
    message = b"WasmEdge_ResultGetMessage\0": (Outcome) -> *const c_char;
    new_configuration = b"WasmEdge_ConfigureCreate\0": () -> Opaque;
    register_host = b"WasmEdge_ConfigureAddHostRegistration\0": (Opaque, u32) -> ();
    new_machine = b"WasmEdge_VMCreate\0": (Opaque, Opaque) -> Opaque;
    host_module = b"WasmEdge_VMGetImportModuleContext\0": (Opaque, u32) -> Opaque;
    init_wasi = b"WasmEdge_ModuleInstanceInitWASI\0": (
        Opaque,
        *const *const c_char,
        u32,
        *const *const c_char,
        u32,
        *const *const c_char,
        u32
    ) -> ();
    load = b"WasmEdge_VMLoadWasmFromBuffer\0": (Opaque, *const u8, u32) -> Outcome;
    validate = b"WasmEdge_VMValidate\0": (Opaque) -> Outcome;
    instantiate = b"WasmEdge_VMInstantiate\0": (Opaque) -> Outcome;
    execute = b"WasmEdge_VMExecute\0": (
        Opaque,
        Text,
        *const c_void,
        u32,
        *mut c_void,
        u32
    ) -> Outcome;
    exit_code = b"WasmEdge_ModuleInstanceWASIGetExitCode\0": (Opaque) -> u32;
}

/// The loaded library.
pub struct WasmEdge {
    calls: Calls,
    _library: Library,
}

impl WasmEdge {
    /// Loads the library.
    ///
    /// # Errors
    /// It is not installed, or lacks a function.
    pub fn open() -> Result<Self> {
        // SAFETY: the initialisers are those of the C++ runtime; nothing runs beside them yet.
        let library =
            unsafe { Library::new(LIBRARY) }.with_context(|| format!("open {LIBRARY}"))?;
        let calls = Calls::of(&library).with_context(|| format!("look into {LIBRARY}"))?;
        // SAFETY: takes nothing and sets a level.
        unsafe { (calls.log_errors)() };
        Ok(Self { calls, _library: library })
    }

    /// Runs `function` of a module with `/` as its root, and returns its exit code. What it takes
    /// is given back when the process ends.
    ///
    /// # Errors
    /// The module is refused or traps; a string has a zero in it.
    pub fn run(
        &self,
        module: &[u8],
        function: &str,
        args: &[String],
        envs: &[String],
    ) -> Result<i32> {
        let calls = &self.calls;
        let (args, envs) = (Strings::new(args)?, Strings::new(envs)?);
        let roots = Strings::new(&["/:/".to_owned()])?;
        let name = Text { length: length(function.len())?, bytes: function.as_ptr().cast() };
        // SAFETY: every pointer is to memory that lives until the end of this function, with its
        // length beside it; a null store and null parameters are what the header allows.
        unsafe {
            let configuration = (calls.new_configuration)();
            (calls.register_host)(configuration, WASI);
            let machine = (calls.new_machine)(configuration, ptr::null_mut());
            let wasi = (calls.host_module)(machine, WASI);
            let ((args, argc), (envs, envc), (roots, rootc)) =
                (args.parts()?, envs.parts()?, roots.parts()?);
            (calls.init_wasi)(wasi, args, argc, envs, envc, roots, rootc);
            let size = length(module.len())?;
            self.check("load", (calls.load)(machine, module.as_ptr(), size))?;
            self.check("validate", (calls.validate)(machine))?;
            self.check("instantiate", (calls.instantiate)(machine))?;
            let ended = (calls.execute)(machine, name, ptr::null(), 0, ptr::null_mut(), 0);
            self.check("run", ended)?;
            Ok((calls.exit_code)(wasi).cast_signed())
        }
    }

    /// A guest that called `proc_exit` counts as well: its outcome is "terminated".
    fn check(&self, what: &str, outcome: Outcome) -> Result<()> {
        // SAFETY: takes a number; the message is static text.
        unsafe {
            if (self.calls.is_ok)(outcome) {
                return Ok(());
            }
            let message = CStr::from_ptr((self.calls.message)(outcome));
            bail!("WasmEdge cannot {what} the module: {}", message.to_string_lossy())
        }
    }
}

/// Strings as C takes them.
struct Strings {
    _owned: Vec<CString>,
    pointers: Vec<*const c_char>,
}

impl Strings {
    fn new(texts: &[String]) -> Result<Self> {
        let owned = texts.iter().map(|text| CString::new(text.as_str()));
        let owned = owned.collect::<Result<Vec<_>, _>>()?;
        let pointers = owned.iter().map(|text| text.as_ptr()).collect();
        Ok(Self { _owned: owned, pointers })
    }

    fn parts(&self) -> Result<(*const *const c_char, u32)> {
        Ok((self.pointers.as_ptr(), length(self.pointers.len())?))
    }
}

fn length(value: usize) -> Result<u32> {
    value.try_into().context("longer than WasmEdge can say")
}
