//! The command line of `wamr-lab`, for the program itself and for its manual.

pub mod cli;
