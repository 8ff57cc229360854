//! Whether the interpreter may be given a module, found before it sees a byte of it. Pure.
//!
//! A module is validated with just the proposals that WAMR is built with (`runtime/runner`): what
//! it would answer with "invalid section id" is told in words, and its loader, which is C, never
//! parses what no compiler makes. What is refused here may still run compiled.

use std::fmt;
use wasmparser::{
    BinaryReaderError, Export, ExternalKind, FuncValidatorAllocations, FunctionBody, Operator,
    Parser, Payload, ValidPayload, Validator, WasmFeatures,
};

/// What the interpreter is built with.
const INTERPRETER: WasmFeatures = WasmFeatures::WASM1
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::SIMD)
    .union(WasmFeatures::TAIL_CALL)
    .union(WasmFeatures::EXTENDED_CONST);

/// What Wasmtime as it is configured here runs beyond that.
const COMPILED_TOO: WasmFeatures = WasmFeatures::EXCEPTIONS
    .union(WasmFeatures::MEMORY64)
    .union(WasmFeatures::MULTI_MEMORY)
    .union(WasmFeatures::RELAXED_SIMD)
    .union(WasmFeatures::FUNCTION_REFERENCES)
    .union(WasmFeatures::GC);

/// Proposals in words, the more telling first: a module that needs one often needs a later one too.
const WORDS: [(WasmFeatures, &str); 13] = [
    (WasmFeatures::LEGACY_EXCEPTIONS, "exception handling in its old form (try and catch)"),
    (WasmFeatures::EXCEPTIONS, "exception handling (exnref)"),
    (WasmFeatures::SHARED_EVERYTHING_THREADS, "shared-everything threads"),
    (WasmFeatures::THREADS, "threads (shared memory and atomic instructions)"),
    (WasmFeatures::STACK_SWITCHING, "stack switching"),
    (WasmFeatures::GC, "garbage collection"),
    (WasmFeatures::FUNCTION_REFERENCES, "typed function references"),
    (WasmFeatures::MEMORY64, "64-bit memory (memory64)"),
    (WasmFeatures::MULTI_MEMORY, "several memories"),
    (WasmFeatures::RELAXED_SIMD, "relaxed SIMD"),
    (WasmFeatures::CUSTOM_PAGE_SIZES, "custom page sizes"),
    (WasmFeatures::WIDE_ARITHMETIC, "wide arithmetic"),
    (WasmFeatures::MEMORY_CONTROL, "memory control"),
];

/// The interpreter's loader reads a function twice, and gives each constant a place in a frame of
/// at most so many cells: beyond it the two passes differ, and the second writes past its buffer.
///
/// Source: CVE-2026-54912; `wasm_loader_get_const_offset` in WAMR's `wasm_loader.c`.
const MOST_CONSTANT_CELLS: usize = i16::MAX as usize - 2;

/// Why the interpreter is not given a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Objection {
    /// It is no module of any kind.
    Invalid(String),
    /// It has no function that a container could start.
    NoStart {
        /// It has the function by which libraries are prepared.
        is_reactor: bool,
    },
    /// It needs proposals that the interpreter lacks.
    Proposals {
        /// Which, in words.
        words: String,
        /// Where the first of them was found.
        offset: usize,
        /// Whether it runs compiled.
        runs_compiled: bool,
    },
    /// A function has more constants than the interpreter's loader can be trusted with.
    Constants {
        /// The function's index.
        function: usize,
        /// Where its body begins.
        offset: usize,
    },
}

impl Objection {
    /// Whether the module may run compiled.
    pub fn runs_compiled(&self) -> bool {
        matches!(self, Self::Proposals { runs_compiled: true, .. } | Self::Constants { .. })
    }
}

impl fmt::Display for Objection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(reason) => write!(formatter, "is no valid WebAssembly module: {reason}"),
            Self::NoStart { is_reactor } => {
                let what = if *is_reactor { "is a library (a reactor)" } else { "is no program" };
                write!(
                    formatter,
                    "{what}: it exports no function _start, where a container's guest begins; \
                     build it as a WASI command, from sources with a main function"
                )
            }
            Self::Proposals { words, offset, runs_compiled: true } => write!(
                formatter,
                "uses {words} (at byte {offset:#x}), which wamr-crun's interpreter does not run"
            ),
            Self::Proposals { words, offset, runs_compiled: false } => write!(
                formatter,
                "uses {words} (at byte {offset:#x}), which wamr-crun does not run: build it without"
            ),
            Self::Constants { function, offset } => write!(
                formatter,
                "has too many constants in function {function} (at byte {offset:#x}) for \
                 wamr-crun's interpreter"
            ),
        }
    }
}

/// Objects to `module` if the interpreter must not be given it.
///
/// # Errors
/// The first [`Objection`].
pub fn check(module: &[u8]) -> Result<(), Objection> {
    let mut features = INTERPRETER;
    let mut first = None;
    loop {
        match (validate(module, features), first) {
            (Ok(found), None) => return found.objection().map_or(Ok(()), Err),
            (Ok(_), Some(offset)) => {
                return Err(proposals(features.difference(INTERPRETER), offset));
            }
            (Err(error), first_offset) => {
                let Some(missing) = missing(module, features, &error) else {
                    return Err(invalid(&error));
                };
                features |= missing;
                first = first_offset.or(Some(error.offset()));
            }
        }
    }
}

fn invalid(error: &BinaryReaderError) -> Objection {
    // A message may hold names of the module's, and goes to terminals and logs.
    let shown = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let message: String = error.message().chars().map(shown).take(200).collect();
    Objection::Invalid(format!("{message} (at byte {:#x})", error.offset()))
}

fn proposals(used: WasmFeatures, offset: usize) -> Objection {
    let named = WORDS.iter().filter(|(feature, _)| used.contains(*feature));
    let implied = |feature: WasmFeatures| match feature {
        WasmFeatures::EXCEPTIONS => used.contains(WasmFeatures::LEGACY_EXCEPTIONS),
        WasmFeatures::FUNCTION_REFERENCES => used.contains(WasmFeatures::GC),
        _ => false,
    };
    let words: Vec<_> =
        named.filter(|(feature, _)| !implied(*feature)).map(|(_, words)| *words).collect();
    Objection::Proposals {
        words: words.join(" and "),
        offset,
        runs_compiled: COMPILED_TOO.contains(used),
    }
}

/// The proposal without which `error` comes; nothing if none helps.
fn missing(
    module: &[u8],
    features: WasmFeatures,
    error: &BinaryReaderError,
) -> Option<WasmFeatures> {
    let helps = |feature: &WasmFeatures| {
        let tried = validate(module, features.union(*feature));
        tried.map_or_else(|later| later.offset() > error.offset(), |_| true)
    };
    let unknown = || WORDS.iter().map(|(feature, _)| *feature).find(helps);
    let told = error.missing_wasm_feature().filter(|told| WORDS.iter().any(|(one, _)| one == told));
    told.or_else(unknown).filter(|feature| !features.contains(*feature))
}

/// What a valid module has and lacks.
#[derive(Default)]
struct Found {
    is_command: bool,
    is_reactor: bool,
    constants: Option<(usize, usize)>,
}

impl Found {
    fn objection(self) -> Option<Objection> {
        if !self.is_command {
            return Some(Objection::NoStart { is_reactor: self.is_reactor });
        }
        self.constants.map(|(function, offset)| Objection::Constants { function, offset })
    }

    fn note_export(&mut self, export: &Export<'_>) {
        let is_function = matches!(export.kind, ExternalKind::Func | ExternalKind::FuncExact);
        self.is_command |= is_function && export.name == "_start";
        self.is_reactor |= is_function && export.name == "_initialize";
    }
}

fn validate(module: &[u8], features: WasmFeatures) -> Result<Found, BinaryReaderError> {
    let mut found = Found::default();
    let mut validator = Validator::new_with_features(features);
    let mut allocations = FuncValidatorAllocations::default();
    let mut parser = Parser::new(0);
    parser.set_features(features);
    for payload in parser.parse_all(module) {
        let payload = payload?;
        if let Payload::ExportSection(section) = &payload {
            for export in section.clone() {
                found.note_export(&export?);
            }
        }
        if let ValidPayload::Func(function, body) = validator.payload(&payload)? {
            let index = function.index as usize;
            let mut function = function.into_validator(allocations);
            function.validate(&body)?;
            allocations = function.into_allocations();
            if found.constants.is_none() && has_too_many_constants(&body)? {
                found.constants = Some((index, body.range().start));
            }
        }
    }
    Ok(found)
}

/// Counts equal constants each time: the loader merges the first few only.
fn has_too_many_constants(body: &FunctionBody<'_>) -> Result<bool, BinaryReaderError> {
    // No constant takes fewer bytes than cells.
    if body.range().len() <= MOST_CONSTANT_CELLS {
        return Ok(false);
    }
    let (mut cells, mut vector_cells) = (0, 0);
    for operator in body.get_operators_reader()? {
        match operator? {
            Operator::I32Const { .. } | Operator::F32Const { .. } => cells += 1,
            Operator::I64Const { .. } | Operator::F64Const { .. } => cells += 2,
            Operator::V128Const { .. } => vector_cells += 4,
            _ => {}
        }
    }
    Ok(cells > MOST_CONSTANT_CELLS || vector_cells > MOST_CONSTANT_CELLS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_text(text: &str) -> Result<(), Objection> {
        check(&wat::parse_str(text).unwrap_or_else(|error| panic!("{text}: {error}")))
    }

    #[test]
    fn what_the_interpreter_lacks_is_told_in_words() {
        let start = r#"(func (export "_start"))"#;
        for (declared, words, runs_compiled) in [
            ("(tag (param i32))", "exception handling (exnref)", true),
            ("(func (block (try_table (catch_all 0))))", "exception handling (exnref)", true),
            (
                "(func try catch_all end)",
                "exception handling in its old form (try and catch)",
                false,
            ),
            ("(memory 1 1 shared)", "threads (shared memory and atomic instructions)", false),
            (
                "(memory 1) (func (drop (i32.atomic.load (i32.const 0))))",
                "threads (shared memory and atomic instructions)",
                false,
            ),
            ("(memory i64 1)", "64-bit memory (memory64)", true),
            ("(memory 1) (memory 1)", "several memories", true),
            ("(type (struct (field i32)))", "garbage collection", true),
            ("(type $f (func)) (func (param (ref $f)))", "typed function references", true),
            (
                "(func (param v128) (drop (i8x16.relaxed_swizzle (local.get 0) (local.get 0))))",
                "relaxed SIMD",
                true,
            ),
            ("(memory 1 (pagesize 1))", "custom page sizes", false),
            (
                "(func (param i64) (i64.mul_wide_s (local.get 0) (local.get 0)) drop drop)",
                "wide arithmetic",
                false,
            ),
            (
                "(memory i64 1) (memory 1) (tag)",
                "exception handling (exnref) and 64-bit memory (memory64) and several memories",
                true,
            ),
        ] {
            match of_text(&format!("(module {declared} {start})")) {
                Err(Objection::Proposals { words: got, offset, runs_compiled: compiled }) => {
                    assert_eq!((got.as_str(), compiled), (words, runs_compiled), "{declared}");
                    assert!(offset >= 8, "{declared}: at byte {offset}");
                }
                other => panic!("{declared}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_guest_begins_at_start() {
        let table = [
            (r#"(func (export "_start"))"#, None),
            (r#"(func (export "_start")) (func (export "_initialize"))"#, None),
            (r#"(func (export "_initialize"))"#, Some(true)),
            (r#"(func (export "main"))"#, Some(false)),
            (r#"(memory (export "_start") 1)"#, Some(false)),
        ];
        for (declared, want) in table {
            let want = want.map_or(Ok(()), |is_reactor| Err(Objection::NoStart { is_reactor }));
            assert_eq!(of_text(&format!("(module {declared})")), want, "{declared}");
        }
    }

    #[test]
    fn what_is_no_module_is_invalid_and_says_where() {
        let whole = wat::parse_str(r#"(module (func (export "_start") (drop (i32.const 1))))"#);
        let whole = whole.unwrap();
        for length in 0..whole.len() {
            let cut = check(&whole[..length]);
            // Without the code the functions are only declared; the header alone is a module.
            let is_objected = matches!(cut, Err(Objection::Invalid(_) | Objection::NoStart { .. }));
            assert!(is_objected, "{length} bytes: {cut:?}");
        }
        let text = of_text(r#"(module (func (export "_start") (result i32)))"#).unwrap_err();
        assert!(text.to_string().contains("(at byte 0x"), "{text}");
        let twice = r#"(module (func) (export "\1b[2J" (func 0)) (export "\1b[2J" (func 0)))"#;
        let text = of_text(twice).unwrap_err().to_string();
        assert!(text.contains("[2J") && !text.contains('\x1b'), "{text}");
    }

    /// One below the limit, and one above it, by each kind of constant.
    #[test]
    fn constants_are_counted_as_the_loader_does() {
        for (constant, cells) in [
            ("(drop (i32.const 1))", 1),
            ("(drop (f32.const 1))", 1),
            ("(drop (i64.const 1))", 2),
            ("(drop (f64.const 1))", 2),
            ("(drop (v128.const i64x2 1 1))", 4),
        ] {
            let most = MOST_CONSTANT_CELLS / cells;
            for (count, is_objected) in [(most, false), (most + 1, true)] {
                let body = constant.repeat(count);
                let module = format!(r#"(module (func) (func (export "_start") {body}))"#);
                let got = of_text(&module);
                let objected = matches!(got, Err(Objection::Constants { function: 1, .. }));
                assert_eq!(objected, is_objected, "{count} times {constant}: {got:?}");
            }
        }
    }
}
