//! Plans that `wamr-crun` never writes: each ends in an exit status and a text, never in a crash.
//!
//! Tier: quick

use std::os::unix::process::ExitStatusExt;

use crate::engine;
use crate::support::{Handover, error_text, plan};

#[test]
fn damaged_plans_are_refused() {
    let good = wamr_plan::Plan { cwd: b"/srv".to_vec(), ..plan() }.encode();
    let mut table: Vec<(String, Vec<u8>)> = (1..good.len())
        .map(|length| (format!("cut to {length} bytes"), good[..length].to_vec()))
        .collect();
    table.push(("a plan and more".to_owned(), [&good[..], b"more"].concat()));
    table.push(("a megabyte of nothing".to_owned(), vec![0; 1 << 20]));
    table.push(("a module".to_owned(), b"\0asm\x01\0\0\0".to_vec()));
    for (case, bytes) in table {
        let output = Handover::of_bytes(&bytes).command(&[]).output().expect("the runner starts");
        let text = error_text(&output);
        assert_eq!(output.status.code(), Some(126), "{case}: {text}");
        assert!(text.starts_with(&format!("{}: read the plan", engine::NAME)), "{case}: {text}");
    }
}

#[test]
fn no_single_bit_of_a_plan_crashes_the_runner() {
    let good = wamr_plan::Plan {
        args: vec![b"a".to_vec(), b"b".to_vec()],
        env: vec![b"A=1".to_vec()],
        preopens: vec![crate::support::preopen("/", std::path::Path::new("/"))],
        socket_networks: vec![b"10.0.0.0/8".to_vec()],
        socket_names: vec![b"*".to_vec()],
        ..plan()
    }
    .encode();
    for bit in 0..good.len() * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let output = Handover::of_bytes(&bytes).command(&[]).output().expect("the runner starts");
        assert_eq!(output.status.signal(), None, "bit {bit}: {}", error_text(&output));
        let plausible = matches!(output.status.code(), Some(0 | 126));
        assert!(plausible, "bit {bit}: {:?} {}", output.status, error_text(&output));
    }
}

#[test]
fn sizes_beyond_reason_are_refused_in_words() {
    let huge = |stack_bytes, heap_bytes| wamr_plan::Plan { stack_bytes, heap_bytes, ..plan() };
    for (case, plan) in [("stack", huge(u32::MAX, 0)), ("heap", huge(1 << 16, u32::MAX))] {
        let guest = crate::support::module("return", &[]);
        let output = crate::support::run(&guest, plan);
        assert_eq!(output.status.signal(), None, "{case}: {}", error_text(&output));
    }
}
