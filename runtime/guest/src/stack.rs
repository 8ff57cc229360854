//! What is said when the guest's calls have used up its stack. Pure.

/// The reason `text` of a trap, and what to do about a stack of `bytes`.
pub fn overflow_text(text: &str, bytes: usize) -> String {
    format!(
        "{text}: the guest's calls need more than the {bytes} bytes of its stack; the annotation \
         org.wamr-crun.wasm.stack-bytes sets another size"
    )
}
