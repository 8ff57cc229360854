//! What docs/proposals.md says of each of WebAssembly's proposals, asked of this engine.

use crate::engine;
use crate::support::{Handover, plan};

const PAGE: &str = include_str!("../../../../docs/proposals.md");

/// A proposal as the page calls it, declarations, and the body of `_start`, which traps where the
/// result is wrong.
const TABLE: [(&str, &str, &str); 19] = [
    (
        "mutable globals",
        r#"(global $g (export "g") (mut i32) (i32.const 1))"#,
        "(global.set $g (i32.const 2))
         (br_if 0 (i32.eq (global.get $g) (i32.const 2))) unreachable",
    ),
    (
        "sign extension",
        "",
        "(br_if 0 (i32.eq (i32.extend8_s (i32.const 255)) (i32.const -1))) unreachable",
    ),
    (
        "conversions that saturate",
        "",
        "(br_if 0 (i32.eq (i32.trunc_sat_f32_u (f32.const -1)) (i32.const 0))) unreachable",
    ),
    (
        "several results",
        "(func $two (result i32 i32) (i32.const 3) (i32.const 4))",
        "(call $two) i32.sub (i32.const -1) i32.eq (br_if 0) unreachable",
    ),
    (
        "bulk memory",
        "",
        "(memory.fill (i32.const 8) (i32.const 7) (i32.const 2))
         (br_if 0 (i32.eq (i32.load (i32.const 8)) (i32.const 0x0707))) unreachable",
    ),
    (
        "reference types",
        "(table $t 1 externref)",
        "(table.set $t (i32.const 0) (ref.null extern))
         (br_if 0 (ref.is_null (table.get $t (i32.const 0)))) unreachable",
    ),
    (
        "SIMD",
        "",
        "(br_if 0 (i32.eq (i32x4.extract_lane 3 (i32x4.add (v128.const i32x4 1 2 3 4)
            (v128.const i32x4 1 2 3 4))) (i32.const 8))) unreachable",
    ),
    (
        "tail calls",
        "(func $down (param i32) (result i32)
            (if (i32.eqz (local.get 0)) (then (return (i32.const 5))))
            (return_call $down (i32.sub (local.get 0) (i32.const 1))))",
        "(br_if 0 (i32.eq (call $down (i32.const 1000000)) (i32.const 5))) unreachable",
    ),
    (
        "extended constants",
        "(global $g i32 (i32.add (i32.const 1) (i32.mul (i32.const 2) (i32.const 3))))",
        "(br_if 0 (i32.eq (global.get $g) (i32.const 7))) unreachable",
    ),
    (
        "exception handling (exnref)",
        "(tag $e (param i32))",
        "(block $caught (result i32)
            (try_table (catch $e $caught) (throw $e (i32.const 7))) unreachable)
         (i32.const 7) i32.eq (br_if 0) unreachable",
    ),
    (
        "exception handling in its old form (try and catch)",
        "(tag $e)",
        "try (throw $e) catch $e return end unreachable",
    ),
    ("64-bit memory (memory64)", "(memory $m i64 1)", "(i32.store $m (i64.const 0) (i32.const 1))"),
    (
        "several memories",
        "(memory $m 1)",
        "(i32.store $m (i32.const 0) (i32.const 9))
         (br_if 0 (i32.eq (i32.load $m (i32.const 0)) (i32.const 9))) unreachable",
    ),
    (
        "garbage collection",
        "(type $pair (struct (field i32) (field i32)))",
        "(br_if 0 (i32.eq (struct.get $pair 1 (struct.new $pair (i32.const 1) (i32.const 2)))
            (i32.const 2))) unreachable",
    ),
    (
        "typed function references",
        "(type $f (func (result i32))) (func $six (type $f) (i32.const 6))
         (elem declare func $six)",
        "(br_if 0 (i32.eq (call_ref $f (ref.func $six)) (i32.const 6))) unreachable",
    ),
    (
        "relaxed SIMD",
        "",
        "(br_if 0 (i32.eq (i32x4.extract_lane 0 (i32x4.relaxed_trunc_f32x4_s
            (v128.const f32x4 5 0 0 0))) (i32.const 5))) unreachable",
    ),
    (
        "threads (shared memory and atomic instructions)",
        "(memory $m 1 1 shared)",
        "(drop (i32.atomic.rmw.add $m (i32.const 0) (i32.const 1)))",
    ),
    (
        "custom page sizes",
        "(memory $m 8 (pagesize 1))",
        "(i32.store8 $m (i32.const 7) (i32.const 1))",
    ),
    (
        "wide arithmetic",
        "",
        "(i64.mul_wide_u (i64.const -1) (i64.const 2)) i32.wrap_i64 (i32.const 1) i32.eq
         (br_if 1) unreachable",
    ),
];

/// Whether a guest of these parts runs to a good end.
fn runs(declared: &str, body: &str) -> bool {
    // A second memory is a proposal of its own.
    let memory = if declared.contains("(memory $m 1)") || !declared.contains("(memory") {
        r#"(memory (export "memory") 1)"#
    } else {
        r#"(export "memory" (memory $m))"#
    };
    let text = format!(r#"(module {memory} {declared} (func (export "_start") {body}))"#);
    let module = wat::parse_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let Some(prepared) = engine::try_prepare(&module) else { return false };
    let handover = Handover::unprepared(&prepared, plan());
    let output = handover.command(&[]).output().expect("the runner starts");
    match output.status.code() {
        Some(0) => true,
        Some(126) => false,
        other => panic!("{declared}: {other:?} {}", crate::support::error_text(&output)),
    }
}

#[test]
fn the_page_says_what_this_engine_runs() {
    let table = PAGE.lines().skip_while(|line| !line.starts_with('|'));
    let rows = table.take_while(|line| line.starts_with('|')).filter(|line| line.contains(" | "));
    let cells: Vec<Vec<_>> = rows.map(|row| row.split('|').map(str::trim).collect()).collect();
    let column = cells[0].iter().position(|cell| *cell == engine::COLUMN).expect("a column");
    for (proposal, declared, body) in TABLE {
        let row = cells.iter().find(|row| row[1] == proposal);
        let said = row.unwrap_or_else(|| panic!("no row {proposal}"))[column];
        let found = if runs(declared, body) { "yes" } else { "no" };
        assert_eq!(said, found, "{proposal}, {}", engine::COLUMN);
    }
    assert_eq!(cells.len(), TABLE.len() + 1, "a row of the page is not tested");
}
