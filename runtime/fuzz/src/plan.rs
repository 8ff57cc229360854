//! Any bytes as a plan: refused, or a plan of exactly these bytes. Never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wamr_plan::{Plan, PlanRef};

fuzz_target!(|bytes: &[u8]| {
    let Ok(read) = PlanRef::parse(bytes) else { return };
    let counted = read.args().len() + read.env().len() + read.preopens().len();
    let found = read.args().count() + read.env().count() + read.preopens().count();
    assert_eq!(counted, found, "as many strings as the plan promised");
    assert_eq!(read.to_plan().encode(), bytes, "nothing is skipped or made up");
    assert_eq!(Plan::decode(bytes).as_ref(), Ok(&read.to_plan()));
});
