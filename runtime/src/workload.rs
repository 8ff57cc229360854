//! Which containers run on the Wasm runner: one pure table, and the annotations it reads.
//!
//! | annotation | value | effect |
//! |---|---|---|
//! | `io.kubernetes.cri.container-type` | `sandbox` | native, whatever else is set |
//! | `io.kubernetes.cri-o.ContainerType` | `sandbox` | the same |
//! | `run.oci.handler` | `wasm`, `wamr` | the entrypoint must be Wasm |
//! | | `wasm-smart` | the entrypoint's first bytes decide |
//! | | anything else | refused |
//! | `module.wasm.image/variant` | `compat` | the entrypoint must be Wasm |
//! | | `compat-smart` | the entrypoint's first bytes decide |
//! | | anything else | refused |
//! | `org.wamr-crun.wasm.engine` | `interpreted`, `compiled`, `auto` | what runs the guest |
//! | `org.wamr-crun.wasm.stack-bytes` | 4096 to 2^30 | the guest's stack; 8388608 |
//! | `org.wamr-crun.wasm.max-memory-pages` | 1 to 65536 | limit of the memory, in 64 KiB |
//! | `org.wamr-crun.wasm.kernel-mounts` | `none`, `all` | mounts such as /proc; none in pods |
//! | `org.wamr-crun.wasm.socket-networks` | CIDRs with commas | networks to use; none |
//! | `org.wamr-crun.wasm.socket-names` | names with commas | host names to resolve; none |
//!
//! A pod's annotations also reach its sandbox container, hence the first rows. Without
//! annotations the entrypoint's first bytes decide: `\0asm` is Wasm, all else is left to the
//! kernel. What was compiled ahead of time is refused.

use crate::error::{Error, Result};
use std::collections::HashMap;
use std::net::IpAddr;
use wamr_engine_conventions::{is_in_pod, is_sandbox};
use wamr_plan::DEFAULT_STACK_BYTES;

const HANDLER: &str = "run.oci.handler";
const VARIANT: &str = "module.wasm.image/variant";
const ENGINE: &str = "org.wamr-crun.wasm.engine";
const STACK: &str = "org.wamr-crun.wasm.stack-bytes";
const PAGES: &str = "org.wamr-crun.wasm.max-memory-pages";
const KERNEL_MOUNTS: &str = "org.wamr-crun.wasm.kernel-mounts";
const NETWORKS: &str = "org.wamr-crun.wasm.socket-networks";
const NAMES: &str = "org.wamr-crun.wasm.socket-names";

/// What Wasmtime writes into its ELF files in the place of an operating system.
///
/// Source: `ELFOSABI_WASMTIME` of the crate wasmtime-environ.
const WASMTIME_OSABI: u8 = 200;

/// The handler that the annotations ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handler {
    /// A sandbox: native.
    Native,
    /// Wasm, or an error.
    Wasm,
    /// What the entrypoint is.
    ByMagic,
}

/// What an entrypoint's first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Magic {
    /// A core Wasm module.
    Module,
    /// A module compiled ahead of time by wamrc.
    Aot,
    /// A module compiled by Wasmtime: an ELF file of a system of its own.
    Cwasm,
    /// A component of the component model, which no engine here runs.
    Component,
    /// Not Wasm.
    Other,
}

/// How a container is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// By execve of its entrypoint.
    Native,
    /// By the runner.
    Wasm,
}

/// What runs a Wasm guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// WAMR's interpreter, always.
    Interpreted,
    /// Wasmtime, on native code; `create` waits until there is some.
    Compiled,
    /// Native code if the node has it; else the interpreter, and native code for the next.
    Auto,
}

impl Engine {
    /// The engine with this name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "interpreted" => Some(Self::Interpreted),
            "compiled" => Some(Self::Compiled),
            "auto" => Some(Self::Auto),
            _ => None,
        }
    }
}

/// What the annotations grant a Wasm guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WasmOptions {
    /// What runs it; nothing: the node's default.
    pub engine: Option<Engine>,
    /// How much stack the guest's calls may use.
    pub stack_bytes: u32,
    /// Upper limit of the linear memory in 64 KiB pages; 0: the module's own.
    pub max_memory_pages: u32,
    /// /proc, /sys and their like are mounted, for native tools that are run in the container.
    pub kernel_mounts: bool,
    /// Networks (CIDR) that the guest may use.
    pub socket_networks: Vec<String>,
    /// Host names that the guest may resolve, `*` in front for any beginning.
    pub socket_names: Vec<String>,
}

type Annotations = HashMap<String, String>;

fn refuse(name: &str, value: &str, reason: &str) -> Error {
    Error::config(format!("annotations.{name} = {value:?}"), reason)
}

/// Reads the annotations that choose a handler. Pure.
///
/// # Errors
/// [`Error::Config`]: a handler or variant that is not here.
pub fn handler(annotations: &Annotations) -> Result<Handler> {
    let get = |name: &str| annotations.get(name).map(String::as_str);
    if is_sandbox(get) {
        return Ok(Handler::Native);
    }
    let by_handler = match get(HANDLER) {
        None | Some("wasm-smart") => Handler::ByMagic,
        Some("wasm" | "wamr") => Handler::Wasm,
        Some(value) => {
            let reason = "this runtime has the handlers wasm, wamr and wasm-smart; use another \
                          runtime class or remove the annotation";
            return Err(refuse(HANDLER, value, reason));
        }
    };
    let variant = match get(VARIANT) {
        None | Some("compat-smart") => Handler::ByMagic,
        Some("compat") => Handler::Wasm,
        Some(value) => return Err(refuse(VARIANT, value, "is none of compat, compat-smart")),
    };
    Ok(if by_handler == Handler::Wasm || variant == Handler::Wasm {
        Handler::Wasm
    } else {
        Handler::ByMagic
    })
}

/// As [`handler`], for a further process of a container: what the init must be, it need not be.
/// Of a Wasm container's image it may run a native tool, and of a native one a module.
///
/// # Errors
/// Those of [`handler`].
pub fn handler_of_exec(annotations: &Annotations) -> Result<Handler> {
    handler(annotations)
        .map(|handler| if handler == Handler::Native { handler } else { Handler::ByMagic })
}

/// What the first bytes of an entrypoint say; 8 bytes are enough. Pure.
///
/// Source: WebAssembly core spec "Modules"; component-model Binary.md "Preamble"; WAMR's
/// aot_runtime.h.
pub fn magic(head: &[u8]) -> Magic {
    match head {
        [0, b'a', b's', b'm', _, _, 1, 0, ..] => Magic::Component,
        [0, b'a', b's', b'm', ..] => Magic::Module,
        [0, b'a', b'o', b't', ..] => Magic::Aot,
        [0x7f, b'E', b'L', b'F', _, _, _, WASMTIME_OSABI, ..] => Magic::Cwasm,
        _ => Magic::Other,
    }
}

/// Decides for the entrypoint `program`. Pure.
///
/// # Errors
/// [`Error::Workload`]: Wasm is wanted but is not there, or is of a kind WAMR does not run.
pub fn decide(handler: Handler, magic: Magic, program: &str) -> Result<Workload> {
    match (handler, magic) {
        (Handler::Native, _) | (Handler::ByMagic, Magic::Other) => Ok(Workload::Native),
        (_, Magic::Module) => Ok(Workload::Wasm),
        (_, Magic::Aot | Magic::Cwasm) => Err(Error::Workload(format!(
            "{program} is a WebAssembly module compiled ahead of time ({}), and native code of an \
             image is not trusted: put the .wasm file into the image; this node compiles it where \
             the annotation {ENGINE} is compiled or auto",
            if magic == Magic::Aot { "by wamrc, .aot" } else { "by Wasmtime, .cwasm" }
        ))),
        (_, Magic::Component) => Err(Error::Workload(format!(
            "{program} is a WebAssembly component, and wamr-crun runs core modules: build it for \
             wasm32-wasip1, or take the core module out of it"
        ))),
        (Handler::Wasm, Magic::Other) => Err(Error::Workload(format!(
            "{program} is no WebAssembly module, but the annotation {HANDLER} or {VARIANT} demands \
             one: use wasm-smart or compat-smart if the pod has native containers too"
        ))),
    }
}

/// Reads the annotations that grant things to a guest. Pure.
///
/// # Errors
/// [`Error::Config`]: a value that is malformed or out of range.
pub fn options(annotations: &Annotations) -> Result<WasmOptions> {
    let number = |name: &str, least: u32, most: u32| {
        let Some(text) = annotations.get(name) else { return Ok(None) };
        let value = text.parse().ok().filter(|value| (least..=most).contains(value));
        let reason = || format!("is no number from {least} to {most}");
        value.map(Some).ok_or_else(|| refuse(name, text, &reason()))
    };
    let list = |name: &str, check: fn(&str) -> std::result::Result<(), &'static str>| {
        let text = annotations.get(name).map(String::as_str).unwrap_or_default();
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let checked = entries.map(|entry| match check(entry) {
            Ok(()) => Ok(entry.to_owned()),
            Err(reason) => Err(refuse(name, text, &format!("{entry:?} {reason}"))),
        });
        checked.collect::<Result<Vec<_>>>()
    };
    let socket_networks = list(NETWORKS, check_network)?;
    let socket_names = list(NAMES, check_name)?;
    if !socket_names.is_empty() && socket_networks.is_empty() {
        let reason = format!("a guest without {NETWORKS} has no use for it");
        return Err(refuse(NAMES, &socket_names.join(", "), &reason));
    }
    let engine = annotations.get(ENGINE).map(|name| {
        let reason = "is none of interpreted, compiled, auto";
        Engine::parse(name).ok_or_else(|| refuse(ENGINE, name, reason))
    });
    let get = |name: &str| annotations.get(name).map(String::as_str);
    let kernel_mounts = match get(KERNEL_MOUNTS) {
        // Podman looks at a container through its own /proc; the kubelet does not.
        None => !is_in_pod(get),
        Some("none") => false,
        Some("all") => true,
        Some(value) => return Err(refuse(KERNEL_MOUNTS, value, "is none of none, all")),
    };
    Ok(WasmOptions {
        engine: engine.transpose()?,
        kernel_mounts,
        stack_bytes: number(STACK, 4096, 1 << 30)?.unwrap_or(DEFAULT_STACK_BYTES),
        max_memory_pages: number(PAGES, 1, 65536)?.unwrap_or(0),
        socket_networks,
        socket_names,
    })
}

fn check_network(text: &str) -> std::result::Result<(), &'static str> {
    const NONE: &str = "is no network such as 10.0.0.0/8 or ::/0";
    let (address, bits) = text.split_once('/').ok_or(NONE)?;
    let address: IpAddr = address.parse().map_err(|_| NONE)?;
    let bits: u8 = bits.parse().map_err(|_| NONE)?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    if bits > most {
        return Err(NONE);
    }
    // WAMR takes the address alone for "any", whatever the mask.
    if address.is_unspecified() && bits != 0 {
        return Err("would let the guest use every address: say 0.0.0.0/0 or ::/0 for that");
    }
    Ok(())
}

/// WAMR knows the star at the start only.
fn check_name(text: &str) -> std::result::Result<(), &'static str> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let rest = text.strip_prefix('*').unwrap_or(text);
    if text.len() <= 254 && rest.bytes().all(known) {
        return Ok(());
    }
    Err("is no host name such as db.example.com, *.example.com or *")
}

#[cfg(test)]
mod tests {
    use super::*;
    use wamr_engine_conventions::{CONTAINER_TYPE, CRIO_CONTAINER_TYPE};

    fn annotations(pairs: &[(&str, &str)]) -> Annotations {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn magic_of_first_bytes() {
        for (head, want) in [
            (&b"\0asm\x01\0\0\0"[..], Magic::Module),
            (b"\0asm\x0d\0\x01\0", Magic::Component),
            (b"\0aot\x03\0\0\0", Magic::Aot),
            (b"\x7fELF\x02\x01\x01\xc8", Magic::Cwasm),
            (b"\x7fELF\x02\x01\x01\0", Magic::Other),
            (b"#!/bin/sh", Magic::Other),
            (b"\0as", Magic::Other),
            (b"", Magic::Other),
        ] {
            assert_eq!(magic(head), want, "{head:?}");
        }
    }

    #[test]
    fn the_table() {
        use Magic::{Aot, Component, Cwasm, Module, Other};
        type Row<'a> = (&'a [(&'a str, &'a str)], Magic, std::result::Result<Workload, &'a str>);
        let sandbox = (CONTAINER_TYPE, "sandbox");
        let rows: &[Row] = &[
            (&[], Module, Ok(Workload::Wasm)),
            (&[], Aot, Err("ahead of time (by wamrc")),
            (&[(VARIANT, "compat-smart")], Cwasm, Err("put the .wasm file into the image")),
            (&[sandbox], Cwasm, Ok(Workload::Native)),
            (&[], Other, Ok(Workload::Native)),
            (&[], Component, Err("component")),
            (&[sandbox, (HANDLER, "wasm")], Other, Ok(Workload::Native)),
            (&[sandbox, (HANDLER, "nonsense")], Other, Ok(Workload::Native)),
            (&[(CRIO_CONTAINER_TYPE, "sandbox"), (VARIANT, "compat")], Other, Ok(Workload::Native)),
            (&[(CONTAINER_TYPE, "container"), (HANDLER, "wasm")], Module, Ok(Workload::Wasm)),
            (&[(HANDLER, "wasm")], Other, Err("no WebAssembly module")),
            (&[(HANDLER, "wamr")], Aot, Err("native code of an image is not trusted")),
            (&[(HANDLER, "wasm-smart")], Other, Ok(Workload::Native)),
            (&[(HANDLER, "wasm-smart")], Module, Ok(Workload::Wasm)),
            (&[(HANDLER, "wasmedge")], Module, Err("run.oci.handler = \"wasmedge\"")),
            (&[(VARIANT, "compat")], Other, Err("no WebAssembly module")),
            (&[(VARIANT, "compat-smart")], Other, Ok(Workload::Native)),
            (&[(VARIANT, "compat-smart"), (HANDLER, "wasm")], Other, Err("no WebAssembly")),
            (&[(VARIANT, "other")], Module, Err("none of compat")),
        ];
        for (pairs, magic, want) in rows {
            let got =
                handler(&annotations(pairs)).and_then(|handler| decide(handler, *magic, "/x"));
            match (got, want) {
                (Ok(got), Ok(want)) => assert_eq!(got, *want, "{pairs:?} {magic:?}"),
                (Err(got), Err(want)) => assert!(got.to_string().contains(want), "{got}"),
                (got, _) => panic!("{pairs:?} {magic:?}: {got:?}"),
            }
        }
    }

    #[test]
    fn a_further_process_is_what_it_is() {
        for (pairs, want) in [
            (&[(HANDLER, "wasm")][..], Handler::ByMagic),
            (&[(VARIANT, "compat")], Handler::ByMagic),
            (&[], Handler::ByMagic),
            (&[(CONTAINER_TYPE, "sandbox")], Handler::Native),
        ] {
            assert_eq!(handler_of_exec(&annotations(pairs)).unwrap(), want, "{pairs:?}");
        }
    }

    #[test]
    fn grants_are_parsed_or_refused() {
        let got = options(&annotations(&[
            (STACK, "131072"),
            (PAGES, "16"),
            (ENGINE, "auto"),
            (NETWORKS, "10.0.0.0/8, ::/0"),
        ]));
        let got = got.unwrap();
        assert_eq!((got.stack_bytes, got.max_memory_pages), (131_072, 16));
        assert_eq!(got.engine, Some(Engine::Auto));
        assert_eq!(options(&annotations(&[])).unwrap().engine, None);
        assert_eq!(got.socket_networks, ["10.0.0.0/8", "::/0"]);
        // What docs/annotations.md promises.
        assert_eq!(options(&annotations(&[])).unwrap().stack_bytes, 8_388_608);
        for (stack, pages) in [("4096", "1"), ("1073741824", "65536")] {
            options(&annotations(&[(STACK, stack), (PAGES, pages)])).unwrap();
        }
        let names = options(&annotations(&[(NETWORKS, "::/0"), (NAMES, "*, a.b,*.c-d")])).unwrap();
        assert_eq!(names.socket_names, ["*", "a.b", "*.c-d"]);
        for pair in [
            (ENGINE, "jit"),
            (ENGINE, "Auto"),
            (STACK, "1k"),
            (STACK, "4095"),
            (STACK, "1073741825"),
            (PAGES, "0"),
            (PAGES, "65537"),
            (NETWORKS, "10.0.0.0"),
            (NETWORKS, "10.0.0.0/33"),
            (NETWORKS, "10.0.0/8"),
            (NETWORKS, "0.0.0.0/32"),
            (NETWORKS, "::/1"),
            (NAMES, "a*"),
            (NAMES, "a b"),
            (NAMES, "good.example.com"),
        ] {
            let error = options(&annotations(&[pair])).unwrap_err().to_string();
            assert!(error.contains(pair.0), "{error}");
        }
    }
}
