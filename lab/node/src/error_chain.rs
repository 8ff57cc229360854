//! An error on one line.

/// An error with its causes on one line, to be sent.
pub fn chain(error: &miette::Report) -> String {
    error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
