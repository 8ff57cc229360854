//! The privileged tests of wamr-crun with other runtimes: that tests the tests.
//!
//! A test that crun or runc fails either shows a difference that is known, with its reason in
//! `runtime/conformance/privileged.toml`, or asks for more than it should.

pub mod page;
pub mod record;
pub mod run;
