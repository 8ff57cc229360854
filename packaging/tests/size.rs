//! The promised sizes of the programs that stay in memory. Pages of a program that nobody else runs
//! are memory of the first container, so a dependency more is a cost of each node.
//!
//! Tier: test

use std::fs;

/// A program, and the most bytes that it may have.
const MOST_BYTES: [(&str, u64); 4] = [
    ("wamr-crun", 5_800_000),
    ("wamr-runner", 1_600_000),
    ("wasmtime-runner", 1_750_000),
    ("containerd-shim-wamr-crun-v1", 1_700_000),
];
/// PT_INTERP of the program headers: the dynamic linker.
const INTERPRETER: u32 = 3;

/// The types of an ELF program's segments, of 64 bits and little endian.
fn segment_types(program: &[u8]) -> Vec<u32> {
    let number = |at: usize, length: usize| {
        let bytes = &program[at..at + length];
        bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
    };
    let (begin, size, count) = (number(0x20, 8), number(0x36, 2), number(0x38, 2));
    (0..count).map(|index| number(begin + index * size, 4) as u32).collect()
}

#[test]
fn the_resident_programs_are_static_and_small() {
    for (name, most_bytes) in MOST_BYTES {
        let Some(path) = wamr_testing::program(name) else { return };
        let program = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(program[..4], *b"\x7fELF", "{}", path.display());
        let is_static = !segment_types(&program).contains(&INTERPRETER);
        assert!(is_static, "{} needs a dynamic linker", path.display());
        let size_bytes = program.len() as u64;
        println!("{}: {size_bytes} bytes of {most_bytes}", path.display());
        assert!(size_bytes <= most_bytes, "{}: {size_bytes} bytes", path.display());
    }
}

#[test]
fn a_dynamic_program_is_told() {
    let this = fs::read(std::env::current_exe().unwrap()).unwrap();
    assert!(segment_types(&this).contains(&INTERPRETER), "cargo links tests dynamically");
}
