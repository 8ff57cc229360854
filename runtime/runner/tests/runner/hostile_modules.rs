//! Modules that no compiler makes: each ends in a status and a text, never by a signal that tells
//! of corrupted memory. `make fuzz` looks for more of them.
//!
//! Tier: quick

use crate::limits::{survive, wat};
use crate::support::{error_text, module, plan};

#[test]
fn a_module_cut_anywhere_is_refused() {
    let whole = module("strings", &[("LIST", "args")]);
    for length in 1..whole.len() {
        let output = survive(&format!("{length} bytes"), &whole[..length], plan(), &[]);
        let text = error_text(&output);
        // Without the names for debuggers, a section of kind 0 at its end, it is whole.
        if output.status.code() == Some(0) && whole[length] == 0 {
            continue;
        }
        assert_eq!(output.status.code(), Some(126), "{length} bytes: {text}");
        assert!(text.contains("wamr-runner: "), "{length} bytes: {text}");
    }
}

#[test]
fn no_byte_of_a_module_crashes_the_runner() {
    let whole = module("strings", &[("LIST", "args")]);
    for place in 0..whole.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[place] ^= flip;
            survive(&format!("byte {place} ^ {flip:#x}"), &bytes, plan(), &[]);
        }
    }
}

#[test]
fn blocks_within_blocks_do_not_use_up_the_native_stack() {
    for depth in [1000, 20_000] {
        // Bytes, as the parser of text would recurse itself.
        let mut body = vec![0];
        body.extend([0x02, 0x40].repeat(depth));
        body.extend([0x0b].repeat(depth + 1));
        let mut guest = wat(r#"(module (memory (export "memory") 1) (export "_start" (func 0))
            (func))"#);
        // The code section is the last one: its content is one function of an empty body.
        guest.truncate(guest.len() - 6);
        let mut code = vec![1];
        code.extend(leb(body.len()));
        code.extend(body);
        guest.push(10);
        guest.extend(leb(code.len()));
        guest.extend(code);
        let case = format!("{depth} blocks");
        let output = survive(&case, &guest, plan(), &["--stack=131072"]);
        assert_eq!(output.status.code(), Some(0), "{case}: {}", error_text(&output));
    }
}

fn leb(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}
