//! What a module must export to be a guest, and may import to run without the interpreter. Pure.

use wasmparser::{Parser, Payload, TypeRef};

/// The module of WASI preview 1.
const PREVIEW1: &str = "wasi_snapshot_preview1";
/// Its functions whose names begin like WAMR's own.
const SOCKETS: [&str; 4] = ["sock_accept", "sock_recv", "sock_send", "sock_shutdown"];

const NO_START: &str = "it exports no function _start, where a container's guest begins: it is a \
                        library; build it as a WASI command";

/// Refuses what is no command, what only the interpreter provides, and what nobody does. Imports of
/// functions that nobody provides pass: they trap when they are called, as they do in the
/// interpreter.
///
/// # Errors
/// What it is, and what to do.
pub fn check(module: &[u8]) -> Result<(), String> {
    let mut is_command = false;
    for payload in Parser::new(0).parse_all(module) {
        // What is wrong with it the compiler says, with more words.
        let Ok(payload) = payload else { return Ok(()) };
        match payload {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let Ok(import) = import else { return Ok(()) };
                    check_import(import.module, import.name, &import.ty)?;
                }
            }
            Payload::ExportSection(section) => {
                let names = section.into_iter().flatten().map(|export| export.name);
                is_command = names.into_iter().any(|name| name == "_start");
            }
            _ => {}
        }
    }
    if is_command { Ok(()) } else { Err(NO_START.to_owned()) }
}

fn check_import(module: &str, name: &str, ty: &TypeRef) -> Result<(), String> {
    const REMEDY: &str = "the interpreter alone has it: leave the annotation \
                          org.wamr-crun.wasm.engine out, or set it to interpreted";
    match ty {
        TypeRef::Func(_) | TypeRef::FuncExact(_) => {}
        _ => return Err(format!("it imports ({module}, {name}), which is no function")),
    }
    if module == "wasi_unstable" {
        return Err(format!("it imports WASI's first draft, {module}: {REMEDY}"));
    }
    if module == PREVIEW1 && name.starts_with("sock_") && !SOCKETS.contains(&name) {
        return Err(format!("it imports the socket function {name}: {REMEDY}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_interpreter_alone_has_is_named() {
        for (import, want) in [
            (r#""wasi_snapshot_preview1" "fd_write" (func)"#, None),
            (r#""wasi_snapshot_preview1" "sock_recv" (func)"#, None),
            (r#""wasi_snapshot_preview1" "sock_open" (func)"#, Some("function sock_open")),
            (r#""wasi_unstable" "fd_write" (func)"#, Some("first draft")),
            (r#""env" "anything" (func)"#, None),
            (r#""env" "memory" (memory 1)"#, Some("(env, memory), which is no function")),
        ] {
            let start = r#"(func (export "_start"))"#;
            let module = wat::parse_str(format!("(module (import {import}) {start})")).unwrap();
            match (check(&module), want) {
                (Ok(()), None) => {}
                (Err(text), Some(want)) => assert!(text.contains(want), "{text}"),
                (got, _) => panic!("{import}: {got:?}"),
            }
        }
        assert_eq!(check(b"no module"), Ok(()), "the compiler's to say");
        let library = wat::parse_str(r#"(module (func (export "_initialize")))"#).unwrap();
        assert_eq!(check(&library), Err(NO_START.to_owned()));
    }
}
