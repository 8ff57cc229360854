//! Writes a synthetic run directory, to look at a report without measuring anything:
//! `cargo run -p wamr-report --example synthetic_run -- DIR [demo|sweep|empty|paper|nine]`.

#[path = "../tests/it/surroundings.rs"]
mod surroundings;
#[path = "../tests/it/synthetic.rs"]
mod synthetic;
#[path = "../tests/it/testbed.rs"]
mod testbed;

use std::path::PathBuf;

use synthetic::{Recipe, write_run};
use wamr_record::cell::{Fault, Verdict};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let dir = PathBuf::from(arguments.next().expect("give the directory to write"));
    let reasons = |text: &str| vec![text.to_owned()];
    let recipe = match arguments.next().as_deref() {
        Some("sweep") => Recipe {
            densities: vec![10, 100, 400],
            repetitions: 5,
            samples: 20,
            noise_bytes: 900_000,
            drift_bytes_per_s: 2_000,
            verdicts: vec![
                (
                    "crun-wasmedge",
                    400,
                    2,
                    Verdict::Failed { reasons: reasons("37 of 400 pods had not started in 120 s") },
                ),
                (
                    "runc-python",
                    100,
                    4,
                    Verdict::Invalid {
                        reasons: reasons("the baseline never became level"),
                        fault: Fault::Cell,
                    },
                ),
            ],
            absent: vec![("wamr-crun", 400, 5)],
            ..Recipe::demo()
        },
        Some(size @ ("paper" | "nine")) => {
            let mut recipe = Recipe {
                samples: 30,
                noise_bytes: 300_000,
                pods_in_metrics: u32::MAX,
                ..testbed::recipe(5, 60_000_000)
            };
            if size == "nine" {
                recipe.models.truncate(9);
            }
            recipe
        }
        Some("empty") => Recipe {
            emulated: true,
            verdicts: vec![
                ("wamr-crun", 10, 1, Verdict::Failed { reasons: reasons("no pod started") }),
                (
                    "crun-wasmedge",
                    10,
                    1,
                    Verdict::Invalid { reasons: reasons("engine not proven"), fault: Fault::Cell },
                ),
                ("runc-python", 10, 1, Verdict::Failed { reasons: reasons("no pod started") }),
            ],
            ..Recipe::demo()
        },
        _ => Recipe { samples: 30, noise_bytes: 300_000, ..Recipe::demo() },
    };
    write_run(&dir, &recipe);
}
