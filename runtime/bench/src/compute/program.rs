//! The programs that are run.

use miette::{Result, miette};

/// A program, as it is run natively and as a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program {
    /// Its name in the raw data, and its folder.
    pub name: &'static str,
    /// As tables have it.
    pub title: &'static str,
    /// Which table it is in.
    pub kind: Kind,
    /// What it is made of.
    pub source: Source,
    /// How much it is to do.
    pub size: &'static str,
}

/// The two kinds of programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A loop that compilers are good at: its own clock counts.
    Kernel,
    /// What people run: the whole run counts, from the runtime's start to its end.
    Real,
}

/// What a program is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// C, compiled by gcc and by clang for WASI.
    C {
        /// The file, from the repository's root.
        file: &'static str,
        /// With 128-bit vectors of WebAssembly.
        simd: bool,
    },
    /// SQLite from its crate, and the file that drives it.
    Sqlite(&'static str),
    /// Go, a file from the repository's root.
    Go(&'static str),
    /// A script, a file from the repository's root, read by a module of wheels.toml.
    Script {
        /// The row.
        wheel: &'static str,
        /// The file.
        file: &'static str,
        /// Whether Debian's interpreter, of the Python images, can run it natively.
        python: bool,
    },
}

const fn kernel(
    name: &'static str,
    title: &'static str,
    file: &'static str,
    size: &'static str,
) -> Program {
    Program { name, title, kind: Kind::Kernel, source: Source::C { file, simd: false }, size }
}

/// All of them. Sizes are such that a kernel takes some tenths of a second natively.
pub const PROGRAMS: [Program; 12] = [
    kernel("cpu", "integers and a table", "vm-images/workloads/cpu.c", "2000"),
    kernel("sha256", "SHA-256", "runtime/bench/kernels/sha256.c", "20000"),
    kernel("nbody", "n-body", "runtime/bench/kernels/nbody.c", "4000000"),
    kernel("mandelbrot", "Mandelbrot", "runtime/bench/kernels/mandelbrot.c", "1400"),
    Program {
        name: "mandelbrot-simd",
        title: "Mandelbrot, SIMD",
        kind: Kind::Kernel,
        source: Source::C { file: "runtime/bench/kernels/mandelbrot_simd.c", simd: true },
        size: "3200",
    },
    kernel("sort", "sort in growing memory", "runtime/bench/kernels/sort.c", "1500"),
    Program {
        name: "small",
        title: "a small C program",
        kind: Kind::Real,
        source: Source::C { file: "vm-images/workloads/cpu.c", simd: false },
        size: "1",
    },
    Program {
        name: "sqlite",
        title: "SQLite",
        kind: Kind::Real,
        source: Source::Sqlite("runtime/bench/kernels/sqlite.c"),
        size: "100000",
    },
    Program {
        name: "go",
        title: "Go: JSON and regexp",
        kind: Kind::Real,
        source: Source::Go("vm-images/workloads/service.go"),
        size: "10000",
    },
    Program {
        name: "quickjs",
        title: "QuickJS",
        kind: Kind::Real,
        source: Source::Script {
            wheel: "quickjs",
            file: "runtime/bench/programs/task.js",
            python: false,
        },
        size: "300",
    },
    Program {
        name: "cpython-start",
        title: "CPython, its start",
        kind: Kind::Real,
        source: Source::Script {
            wheel: "cpython",
            file: "runtime/bench/programs/task.py",
            python: true,
        },
        size: "0",
    },
    Program {
        name: "cpython",
        title: "CPython",
        kind: Kind::Real,
        source: Source::Script {
            wheel: "cpython",
            file: "runtime/bench/programs/task.py",
            python: true,
        },
        size: "200",
    },
];

/// The programs of these names; all without any.
///
/// # Errors
/// A name is in no row.
pub fn named(names: &[String]) -> Result<Vec<&'static Program>> {
    if let Some(name) = names.iter().find(|name| PROGRAMS.iter().all(|it| it.name != **name)) {
        let known: Vec<_> = PROGRAMS.iter().map(|program| program.name).collect();
        return Err(miette!(help = known.join(", "), "no program is called {name:?}"));
    }
    let wanted = |it: &&Program| names.is_empty() || names.iter().any(|name| name == it.name);
    Ok(PROGRAMS.iter().filter(wanted).collect())
}

/// Which side of a program an engine runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// A static program, or Debian's Python.
    Native,
    /// The module.
    Wasm,
}

impl Side {
    /// Its folder below the program's.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Wasm => "wasm",
        }
    }
}

impl Program {
    /// What its container is started with; `None`: it has no such side.
    pub fn command(&self, side: Side) -> Option<Vec<String>> {
        let script = match self.source {
            Source::Script { file, python, .. } => {
                if side == Side::Native && !python {
                    return None;
                }
                Some(format!("/{}", file.rsplit('/').next().unwrap_or(file)))
            }
            Source::C { .. } | Source::Sqlite(_) | Source::Go(_) => None,
        };
        let program = match (side, &script) {
            (Side::Wasm, _) => "/program.wasm",
            (Side::Native, None) => "/program",
            (Side::Native, Some(_)) => "/usr/bin/python3.13",
        };
        let words = [Some(program.to_owned()), script, Some(self.size.to_owned())];
        Some(words.into_iter().flatten().collect())
    }
}

#[test]
fn every_program_has_a_name_a_source_and_its_commands() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let wheels = wamr_image::wheel::read().unwrap();
    for (place, program) in PROGRAMS.iter().enumerate() {
        assert!(PROGRAMS[..place].iter().all(|other| other.name != program.name), "{program:?}");
        let file = match program.source {
            Source::C { file, .. } | Source::Sqlite(file) | Source::Go(file) => file,
            Source::Script { wheel, file, .. } => {
                assert!(wheels.contains_key(wheel), "{wheel}");
                file
            }
        };
        assert!(root.join(file).is_file(), "{file}");
        assert_eq!(program.command(Side::Wasm).unwrap()[0], "/program.wasm");
    }
    let named = |name: &str| named(&[name.to_owned()]).unwrap()[0];
    assert_eq!(named("quickjs").command(Side::Native), None);
    let python = named("cpython").command(Side::Native).unwrap();
    assert_eq!(python, ["/usr/bin/python3.13", "/task.py", "200"]);
    assert_eq!(named("cpu").command(Side::Native).unwrap(), ["/program", "2000"]);
    assert!(super::program::named(&["nothing".to_owned()]).is_err());
}
