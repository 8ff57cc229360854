//! Any bytes as a plan: refused, or a plan of exactly these bytes. Never a panic.
//!
//! Each input is tried twice: as it is, and with the magic, version and length of a plan in front,
//! which would else keep nearly all inputs out of what comes after them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wamr_plan::{Plan, PlanRef};

const LENGTH_ENDS: usize = 12;

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    let mut repaired = head();
    repaired.extend((LENGTH_ENDS as u32 + bytes.len() as u32).to_le_bytes());
    repaired.extend(bytes);
    check(&repaired);
});

/// What every plan starts with, up to its length.
fn head() -> Vec<u8> {
    let empty = Plan {
        module_fd: 0,
        args: vec![],
        env: vec![],
        cwd: vec![],
        preopens: vec![],
        socket_networks: vec![],
        socket_names: vec![],
        stack_bytes: 0,
        heap_bytes: 0,
        max_memory_pages: 0,
    };
    empty.encode()[..LENGTH_ENDS - 4].to_vec()
}

fn check(bytes: &[u8]) {
    let Ok(read) = PlanRef::parse(bytes) else { return };
    let counted = read.args().len() + read.env().len() + read.preopens().len();
    let found = read.args().count() + read.env().count() + read.preopens().count();
    assert_eq!(counted, found, "as many strings as the plan promised");
    assert_eq!(read.to_plan().encode(), bytes, "nothing is skipped or made up");
    assert_eq!(Plan::decode(bytes).as_ref(), Ok(&read.to_plan()));
}
