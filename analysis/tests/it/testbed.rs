//! The paper's nine systems, ours and the controls, with figures that keep every claim.

use super::synthetic::{Model, Recipe, models};

/// A system: row, title, language, MB of free and of metrics-server and start times relative to
/// crun-WAMR at ten and at 400 pods, private kB.
type Row = (&'static str, &'static str, &'static str, f64, f64, f64, f64, u64);

const ROWS: [Row; 14] = [
    ("crun-wamr", "crun-WAMR", "wasm", 13.0, 9.16, 1.0, 1.0, 8_500),
    ("crun-wasmtime", "crun-Wasmtime", "wasm", 26.0, 24.0, 1.028, 0.935_2, 15_000),
    ("crun-wasmer", "crun-Wasmer", "wasm", 23.5, 21.0, 1.06, 0.97, 13_000),
    ("crun-wasmedge", "crun-WasmEdge", "wasm", 21.8, 18.6, 1.08, 0.98, 9_700),
    (
        "containerd-shim-wasmtime",
        "containerd-shim-wasmtime",
        "wasm",
        14.63,
        11.66,
        0.9,
        1.396_3,
        6_000,
    ),
    ("containerd-shim-wasmer", "containerd-shim-wasmer", "wasm", 57.9, 48.0, 1.2, 1.5, 30_000),
    (
        "containerd-shim-wasmedge",
        "containerd-shim-wasmedge",
        "wasm",
        26.5,
        24.5,
        0.885_5,
        1.231_8,
        14_000,
    ),
    ("crun-python", "crun-Python", "python", 15.6, 11.2, 1.04, 1.1, 3_300),
    ("runc-python", "runC-Python", "python", 15.9, 11.25, 1.05, 1.21, 3_350),
    ("wamr-shim", "wamr-crun with its shim", "wasm", 2.2, 1.9, 0.6, 0.65, 250),
    ("wamr-crun", "wamr-crun", "wasm", 6.0, 4.4, 0.8, 0.85, 250),
    ("youki-wasmtime", "youki-Wasmtime", "wasm", 19.0, 16.0, 1.1, 1.2, 12_000),
    ("pause", "pause only", "native", 5.6, 4.0, 0.7, 0.75, 44),
    ("native", "native", "native", 5.8, 4.1, 0.75, 0.8, 90),
];

/// The systems; `step_ns` is what a container of crun-WAMR takes to start after the one before it.
pub fn systems(step_ns: i64) -> Vec<Model> {
    let template = models().remove(0);
    let model = |&(runtime, title, language, free, metrics, few, many, private): &Row| Model {
        runtime,
        title,
        language,
        workload: if language == "python" { "microservice-python" } else { "microservice-wasm" },
        ours: matches!(runtime, "wamr-shim" | "wamr-crun"),
        free_bytes: (free * 1e6) as i64,
        available_bytes: (metrics * 1e6) as i64,
        private_bytes: private * 1000,
        start_step_ns: (few * step_ns as f64) as i64,
        dense_step_ns: Some((many * step_ns as f64) as i64),
        ..template.clone()
    };
    ROWS.iter().map(model).collect()
}

/// All systems at the paper's densities, `repetitions` times.
pub fn recipe(repetitions: u32, step_ns: i64) -> Recipe {
    Recipe {
        models: systems(step_ns),
        densities: vec![10, 100, 400],
        repetitions,
        samples: 2,
        pods_in_metrics: 5,
        noise_bytes: 80_000,
        ..Recipe::demo()
    }
}
