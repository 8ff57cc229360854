//! WAMR's C interface, as far as scripts need it.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;
use std::sync::OnceLock;

use wamrx_sys as c;

use crate::NO_CALL;
use crate::value::Value;

/// As much as the runner gives, and for the native stack below it.
const STACK_BYTES: u32 = 1 << 20;
/// WAMR's numbers for no reference, in the cells of arguments; in results it is address 0.
const NO_FUNCTION: u32 = u32::MAX;
const NO_EXTERN: u64 = u64::MAX;

/// A module; never unloaded, as little as its bytes.
pub struct Loaded(c::wasm_module_t);

/// An instance, and the stack of its calls; never torn down.
#[derive(Clone, Copy)]
pub struct Running {
    instance: c::wasm_module_inst_t,
    environment: c::wasm_exec_env_t,
}

/// WAMR's messages (wamr.cmake names this): a script's refusals are no news.
#[unsafe(no_mangle)]
extern "C" fn wamr_runner_log(_format: *const c_char, _arguments: *mut c_void) -> c_int {
    0
}

/// What `spectest` prints is of no interest; whatever the arguments, nothing is done with them.
extern "C" fn print_nothing(_environment: c::wasm_exec_env_t) {}

/// Starts WAMR, once, and offers the functions of `spectest`. False if that fails.
pub fn start() -> bool {
    static STARTED: OnceLock<bool> = OnceLock::new();
    *STARTED.get_or_init(start_now)
}

fn start_now() -> bool {
    let mut arguments = c::RuntimeInitArgs {
        mem_alloc_type: c::Alloc_With_System_Allocator,
        ..c::RuntimeInitArgs::default()
    };
    let functions = [
        (c"print", c"()"),
        (c"print_i32", c"(i)"),
        (c"print_i64", c"(I)"),
        (c"print_f32", c"(f)"),
        (c"print_f64", c"(F)"),
        (c"print_i32_f32", c"(if)"),
        (c"print_f64_f64", c"(FF)"),
    ];
    let symbols: Vec<c::NativeSymbol> = functions
        .map(|(name, signature)| c::NativeSymbol {
            symbol: name.as_ptr(),
            func_ptr: print_nothing as *mut c_void,
            signature: signature.as_ptr(),
            attachment: ptr::null_mut(),
        })
        .into();
    let symbols = symbols.leak();
    // SAFETY: the structure is complete and not kept; names and symbols live for ever.
    unsafe {
        c::wasm_runtime_full_init(&raw mut arguments)
            && c::wasm_runtime_register_natives(
                c"spectest".as_ptr(),
                symbols.as_mut_ptr(),
                symbols.len() as u32,
            )
    }
}

/// A text that WAMR ends with a zero within the buffer.
fn text(buffer: &[c_char; 256]) -> String {
    let bytes = buffer.map(|byte| byte as u8);
    CStr::from_bytes_until_nul(&bytes).unwrap_or_default().to_string_lossy().into_owned()
}

impl Loaded {
    /// Loads a copy of the bytes, which WAMR may change.
    pub fn of(module: &[u8]) -> Result<Self, String> {
        let bytes = module.to_vec().leak();
        let mut reason = [0; 256];
        // SAFETY: the bytes are writable and live for ever; the buffer has the size that is told.
        let loaded = unsafe {
            c::wasm_runtime_load(
                bytes.as_mut_ptr(),
                bytes.len() as u32,
                reason.as_mut_ptr(),
                reason.len() as u32,
            )
        };
        if loaded.is_null() { Err(text(&reason)) } else { Ok(Self(loaded)) }
    }

    /// Makes an instance; an error is of a segment or of the start function.
    pub fn instantiate(&self) -> Result<Running, String> {
        let mut reason = [0; 256];
        // SAFETY: the module is loaded and never unloaded; the buffer has the size that is told.
        unsafe {
            let instance = c::wasm_runtime_instantiate(
                self.0,
                STACK_BYTES,
                0,
                reason.as_mut_ptr(),
                reason.len() as u32,
            );
            if instance.is_null() {
                return Err(text(&reason));
            }
            let environment = c::wasm_runtime_create_exec_env(instance, STACK_BYTES);
            if environment.is_null() {
                return Err("no memory for the stack".to_owned());
            }
            Ok(Running { instance, environment })
        }
    }
}

impl Running {
    /// Calls an exported function.
    pub fn call(self, name: &str, arguments: &[Value]) -> Result<Vec<Value>, String> {
        let name = CString::new(name).map_err(|_| format!("{NO_CALL}a zero in a name"))?;
        // SAFETY: the instance is live and the name ends with a zero.
        let function = unsafe { c::wasm_runtime_lookup_function(self.instance, name.as_ptr()) };
        if function.is_null() {
            return Err(format!("{NO_CALL}no function {}", name.to_string_lossy()));
        }
        let (parameters, results) = self.types(function);
        let mut cells = Vec::new();
        for (kind, value) in parameters.iter().zip(arguments) {
            push(&mut cells, *kind, *value)?;
        }
        let argument_cells = cells.len() as u32;
        // Room for whatever the results need: at most four cells each.
        cells.resize(cells.len().max(results.len() * 4).max(1), 0);
        // SAFETY: the function is the instance's, and the array has room for its results.
        unsafe {
            c::wasm_runtime_clear_exception(self.instance);
            if !c::wasm_runtime_call_wasm(
                self.environment,
                function,
                argument_cells,
                cells.as_mut_ptr(),
            ) {
                let trap = c::wasm_runtime_get_exception(self.instance);
                return Err(CStr::from_ptr(trap).to_string_lossy().into_owned());
            }
        }
        let mut rest = cells.as_slice();
        results.iter().map(|kind| take(&mut rest, *kind)).collect()
    }

    /// The kinds of a function's parameters and results.
    fn types(self, function: c::wasm_function_inst_t) -> (Vec<u8>, Vec<u8>) {
        // SAFETY: the function is the instance's, and each array has the length that WAMR tells.
        unsafe {
            let count = c::wasm_func_get_param_count(function, self.instance);
            let mut parameters = vec![0; count as usize];
            c::wasm_func_get_param_types(function, self.instance, parameters.as_mut_ptr());
            let count = c::wasm_func_get_result_count(function, self.instance);
            let mut results = vec![0; count as usize];
            c::wasm_func_get_result_types(function, self.instance, results.as_mut_ptr());
            (parameters, results)
        }
    }

    /// The value of an exported global.
    pub fn global(self, name: &str) -> Option<Value> {
        let name = CString::new(name).ok()?;
        let mut found =
            c::wasm_global_inst_t { kind: 0, is_mutable: false, global_data: ptr::null_mut() };
        // SAFETY: the instance is live; WAMR points to data of the size that the kind has.
        unsafe {
            let place = &raw mut found;
            if !c::wasm_runtime_get_export_global_inst(self.instance, name.as_ptr(), place) {
                return None;
            }
            let cells = match u32::from(found.kind) {
                c::WASM_I32 | c::WASM_F32 | c::WASM_FUNCREF => 1,
                c::WASM_V128 => 4,
                c::WASM_EXTERNREF => return None,
                _ => 2,
            };
            let data = std::slice::from_raw_parts(found.global_data.cast::<u32>(), cells);
            take(&mut &data[..], found.kind).ok()
        }
    }
}

/// Appends the cells of an argument.
fn push(cells: &mut Vec<u32>, kind: u8, value: Value) -> Result<(), String> {
    let wide = |bits: u64| [bits as u32, (bits >> 32) as u32];
    match (u32::from(kind), value) {
        (c::WASM_I32, Value::I32(number)) => cells.push(number as u32),
        (c::WASM_F32, Value::F32(bits)) => cells.push(bits),
        (c::WASM_I64, Value::I64(number)) => cells.extend(wide(number as u64)),
        (c::WASM_F64, Value::F64(bits)) => cells.extend(wide(bits)),
        (c::WASM_V128, Value::V128(bits)) => {
            cells.extend(wide(bits as u64));
            cells.extend(wide((bits >> 64) as u64));
        }
        (c::WASM_FUNCREF, Value::Null) => cells.push(NO_FUNCTION),
        (c::WASM_EXTERNREF, Value::Null) => cells.extend(wide(NO_EXTERN)),
        // WAMR takes an address; zero would be none.
        (c::WASM_EXTERNREF, Value::Extern(number)) => cells.extend(wide(u64::from(number) + 1)),
        (kind, value) => return Err(format!("{NO_CALL}{value:?} as an argument of kind {kind}")),
    }
    Ok(())
}

/// Takes the cells of a result.
fn take(cells: &mut &[u32], kind: u8) -> Result<Value, String> {
    let mut cell = || {
        let (first, rest) = cells.split_first().ok_or("too few cells")?;
        *cells = rest;
        Ok::<u64, String>(u64::from(*first))
    };
    Ok(match u32::from(kind) {
        c::WASM_I32 => Value::I32(cell()? as i32),
        c::WASM_F32 => Value::F32(cell()? as u32),
        c::WASM_I64 => Value::I64((cell()? | cell()? << 32) as i64),
        c::WASM_F64 => Value::F64(cell()? | cell()? << 32),
        c::WASM_V128 => {
            let (low, high) = (cell()? | cell()? << 32, cell()? | cell()? << 32);
            Value::V128(u128::from(low) | u128::from(high) << 64)
        }
        c::WASM_FUNCREF => match cell()? as u32 {
            NO_FUNCTION => Value::Null,
            _ => Value::Func,
        },
        c::WASM_EXTERNREF => match cell()? | cell()? << 32 {
            0 => Value::Null,
            address => Value::Extern((address - 1) as u32),
        },
        other => return Err(format!("a result of kind {other}")),
    })
}
