//! What the program does for each of its longer commands.

pub mod check;
