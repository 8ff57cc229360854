//! What is said of the guest's stack when it traps. Pure.

/// The reason `text` of a trap, and what to do about a stack of `bytes`.
pub fn overflow_text(text: &str, bytes: usize) -> String {
    format!(
        "{text}: the guest's calls need more than the {bytes} bytes of its stack; the annotation \
         org.wamr-crun.wasm.stack-bytes sets another size"
    )
}

/// A line below a trap's reason: a function of the guest by its name, or else by its index, and the
/// place in the module where that is known.
pub fn frame_line(name: Option<&str>, index: u32, offset: Option<usize>) -> String {
    // A module says what its functions are called, and this goes to terminals and logs.
    let shown = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let function = match name {
        Some(name) => name.chars().map(shown).collect(),
        None => format!("function {index}"),
    };
    match offset {
        Some(offset) => format!("\n    at {function} (offset {offset:#x})"),
        None => format!("\n    at {function}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_a_line_each_whatever_functions_are_called() {
        assert_eq!(frame_line(Some("main"), 7, None), "\n    at main");
        assert_eq!(frame_line(None, 7, Some(0x1f)), "\n    at function 7 (offset 0x1f)");
        let hostile = frame_line(Some("a\n\x1b[2Jb"), 7, None);
        assert_eq!(hostile, "\n    at a\u{fffd}\u{fffd}[2Jb");
    }
}
