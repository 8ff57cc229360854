//! Which instructions compiled code may use here, and the fingerprint of the compiler for them.

/// A level of processors with a name: code for it runs on all of them.
///
/// Source: System V ABI, AMD64 supplement, "micro-architecture levels".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Any 64-bit Arm processor.
    Aarch64,
    /// Any 64-bit x86 processor.
    X86,
    /// With SSE4.2 and POPCNT.
    X86V2,
    /// With AVX2, BMI and FMA.
    X86V3,
    /// With the AVX-512 of servers.
    X86V4,
}

impl Level {
    /// All, the lowest first.
    pub const ALL: [Self; 5] = [Self::Aarch64, Self::X86, Self::X86V2, Self::X86V3, Self::X86V4];

    /// The highest level that this machine has all of.
    #[cfg(target_arch = "x86_64")]
    pub fn of_this_machine() -> Self {
        macro_rules! has {
            ($($feature:tt)+) => { $(std::arch::is_x86_feature_detected!($feature))&&+ };
        }
        let v2 = has!("sse3" "ssse3" "sse4.1" "sse4.2" "popcnt" "cmpxchg16b");
        let v3 = v2 && has!("avx" "avx2" "bmi1" "bmi2" "fma" "lzcnt");
        let v4 = v3 && has!("avx512f" "avx512bw" "avx512cd" "avx512dq" "avx512vl");
        match (v2, v3, v4) {
            (_, _, true) => Self::X86V4,
            (_, true, _) => Self::X86V3,
            (true, ..) => Self::X86V2,
            _ => Self::X86,
        }
    }

    /// The highest level that this machine has all of.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn of_this_machine() -> Self {
        Self::Aarch64
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aarch64 => "aarch64",
            Self::X86 => "x86-64",
            Self::X86V2 => "x86-64-v2",
            Self::X86V3 => "x86-64-v3",
            Self::X86V4 => "x86-64-v4",
        }
    }

    /// What decides besides whether an artifact runs: Wasmtime's version and its configuration. A
    /// test of `wamr-compile` compares, so a new version is noticed there.
    pub fn fingerprint(self) -> &'static str {
        match self {
            Self::Aarch64 => "0000000000000000",
            Self::X86 => "023eed9d25ae0c85",
            Self::X86V2 => "325cc5f7a35d0137",
            Self::X86V3 => "c516f5b081babfcb",
            Self::X86V4 => "ca3b0886305b3948",
        }
    }
}
