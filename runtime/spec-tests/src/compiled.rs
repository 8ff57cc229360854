//! Wasmtime in the configuration of the runner and the compiler.

use wasmtime::{
    AnyRef, ExternRef, Func, Global, GlobalType, HeapType, Instance, Linker, Memory, MemoryType,
    Module, Mutability, Ref, RefType, Rooted, Store, Table, TableType, ThrownException, Trap, Val,
    ValType,
};

use crate::value::Value;
use crate::{Engine, NO_CALL, Refusal};

/// As much as the runner gives a guest where the limit is the usual one.
const STACK_BYTES: usize = 4 << 20;

/// An engine, a store for all instances of a script, and what they may import.
pub struct Compiled {
    store: Store<()>,
    linker: Linker<()>,
}

impl Compiled {
    /// # Errors
    /// Wasmtime's.
    pub fn new() -> wasmtime::Result<Self> {
        let engine = wasmtime::Engine::new(&wamr_engine::runner_config(STACK_BYTES))?;
        let mut store = Store::new(&engine, ());
        let mut linker = Linker::new(&engine);
        linker.allow_shadowing(true);
        offer(&mut store, &mut linker)?;
        Ok(Self { store, linker })
    }
}

/// The module `spectest`, which scripts import from.
///
/// Source: the specification's interpreter, README, "Spectest host module".
fn offer(store: &mut Store<()>, linker: &mut Linker<()>) -> wasmtime::Result<()> {
    const HOST: &str = "spectest";
    linker.func_wrap(HOST, "print", || {})?;
    linker.func_wrap(HOST, "print_i32", |_: i32| {})?;
    linker.func_wrap(HOST, "print_i64", |_: i64| {})?;
    linker.func_wrap(HOST, "print_f32", |_: f32| {})?;
    linker.func_wrap(HOST, "print_f64", |_: f64| {})?;
    linker.func_wrap(HOST, "print_i32_f32", |_: i32, _: f32| {})?;
    linker.func_wrap(HOST, "print_f64_f64", |_: f64, _: f64| {})?;
    let globals = [
        ("global_i32", Val::I32(666)),
        ("global_i64", Val::I64(666)),
        ("global_f32", Val::F32(666.6_f32.to_bits())),
        ("global_f64", Val::F64(666.6_f64.to_bits())),
    ];
    for (name, value) in globals {
        let kind = GlobalType::new(value.ty(&*store)?, Mutability::Const);
        let global = Global::new(&mut *store, kind, value)?;
        linker.define(&*store, HOST, name, global)?;
    }
    let memory = Memory::new(&mut *store, MemoryType::new(1, Some(2)))?;
    linker.define(&*store, HOST, "memory", memory)?;
    let kind = TableType::new(RefType::FUNCREF, 10, Some(20));
    let table = Table::new(&mut *store, kind, Ref::Func(None))?;
    linker.define(&*store, HOST, "table", table)?;
    let kind = TableType::new64(RefType::FUNCREF, 10, Some(20));
    let table = Table::new(&mut *store, kind, Ref::Func(None))?;
    linker.define(&*store, HOST, "table64", table)?;
    Ok(())
}

impl Engine for Compiled {
    type Instance = Instance;

    fn instantiate(&mut self, module: &[u8]) -> Result<Instance, Refusal> {
        let module = Module::new(self.store.engine(), module)
            .map_err(|error| Refusal::Module(format!("{error:#}")))?;
        self.linker.instantiate(&mut self.store, &module).map_err(|error| {
            if error.is::<Trap>() || error.is::<ThrownException>() {
                return Refusal::Trap(format!("{error:#}"));
            }
            Refusal::Link(format!("{error:#}"))
        })
    }

    fn check(&mut self, module: &[u8]) -> Result<(), String> {
        Module::validate(self.store.engine(), module).map_err(|error| format!("{error:#}"))
    }

    fn call(
        &mut self,
        instance: Instance,
        name: &str,
        arguments: &[Value],
    ) -> Result<Vec<Value>, String> {
        let function = instance
            .get_func(&mut self.store, name)
            .ok_or_else(|| format!("{NO_CALL}no function {name}"))?;
        self.call_function(&function, arguments).map_err(|error| format!("{error:#}"))
    }

    fn global(&mut self, instance: Instance, name: &str) -> Option<Value> {
        let global = instance.get_global(&mut self.store, name)?;
        let value = global.get(&mut self.store);
        self.seen(&value).ok()
    }

    fn register(&mut self, name: &str, instance: Instance) -> bool {
        self.linker.instance(&mut self.store, name, instance).is_ok()
    }
}

impl Compiled {
    fn call_function(
        &mut self,
        function: &Func,
        arguments: &[Value],
    ) -> wasmtime::Result<Vec<Value>> {
        let kind = function.ty(&self.store);
        let arguments: Vec<Val> = kind
            .params()
            .zip(arguments)
            .map(|(kind, value)| self.given(&kind, *value))
            .collect::<wasmtime::Result<_>>()?;
        let mut results = vec![Val::I32(0); kind.results().len()];
        function.call(&mut self.store, &arguments, &mut results)?;
        results.iter().map(|value| self.seen(value)).collect()
    }

    /// A script's value as Wasmtime's, of the type that the function takes.
    fn given(&mut self, kind: &ValType, value: Value) -> wasmtime::Result<Val> {
        Ok(match value {
            Value::I32(number) => Val::I32(number),
            Value::I64(number) => Val::I64(number),
            Value::F32(bits) => Val::F32(bits),
            Value::F64(bits) => Val::F64(bits),
            Value::V128(bits) => Val::V128(bits.into()),
            Value::Extern(number) => Val::ExternRef(Some(ExternRef::new(&mut self.store, number)?)),
            Value::Host(number) => {
                let outer = ExternRef::new(&mut self.store, number)?;
                Val::AnyRef(Some(AnyRef::convert_extern(&mut self.store, outer)?))
            }
            _ => match kind.as_ref().map(|kind| kind.heap_type().top()) {
                Some(HeapType::Func) => Val::FuncRef(None),
                Some(HeapType::Extern) => Val::ExternRef(None),
                Some(HeapType::Exn) => Val::ExnRef(None),
                _ => Val::AnyRef(None),
            },
        })
    }

    /// Wasmtime's value as a script's.
    fn seen(&mut self, value: &Val) -> wasmtime::Result<Value> {
        Ok(match value {
            Val::I32(number) => Value::I32(*number),
            Val::I64(number) => Value::I64(*number),
            Val::F32(bits) => Value::F32(*bits),
            Val::F64(bits) => Value::F64(*bits),
            Val::V128(bits) => Value::V128(bits.as_u128()),
            Val::FuncRef(None)
            | Val::ExternRef(None)
            | Val::AnyRef(None)
            | Val::ExnRef(None)
            | Val::ContRef(None) => Value::Null,
            Val::FuncRef(Some(_)) => Value::Func,
            Val::ExternRef(Some(outer)) => {
                self.number(*outer)?.map_or(Value::Extern(0), Value::Extern)
            }
            Val::AnyRef(Some(inner)) => self.kind(*inner)?,
            _ => Value::Other,
        })
    }

    fn number(&self, outer: Rooted<ExternRef>) -> wasmtime::Result<Option<u32>> {
        let data = outer.data(&self.store)?;
        Ok(data.and_then(|data| data.downcast_ref::<u32>().copied()))
    }

    fn kind(&mut self, inner: Rooted<AnyRef>) -> wasmtime::Result<Value> {
        if inner.is_i31(&self.store)? {
            return Ok(Value::I31);
        }
        if inner.is_struct(&self.store)? {
            return Ok(Value::Struct);
        }
        if inner.is_array(&self.store)? {
            return Ok(Value::Array);
        }
        let outer = ExternRef::convert_any(&mut self.store, inner)?;
        Ok(self.number(outer)?.map_or(Value::Other, Value::Host))
    }
}
