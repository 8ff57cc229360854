//! Sizes of virtual nodes: `vm-images/vm/profiles.toml`.

use std::collections::BTreeMap;

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use serde::{Deserialize, Serialize};

/// A row of profiles.toml.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// What a person reads.
    pub title: String,
    /// Virtual processors.
    pub vcpus: u32,
    /// Memory of the machine.
    pub memory_mib: u64,
    /// QEMU's model of the processor with KVM.
    pub cpu: String,
    /// The model without.
    pub emulated_cpu: String,
}

/// All profiles, by name.
///
/// # Errors
/// The built-in table is broken.
pub fn profiles() -> Result<BTreeMap<String, Profile>> {
    toml::from_str(wamr_image::PROFILES).into_diagnostic().wrap_err("read profiles.toml")
}

/// The profile `name`.
///
/// # Errors
/// There is none of that name.
pub fn profile(name: &str) -> Result<Profile> {
    let mut all = profiles()?;
    all.remove(name).ok_or_else(|| {
        let known: Vec<&str> = all.keys().map(String::as_str).collect();
        miette!(
            help = format!("profiles.toml has: {}", known.join(", ")),
            "no profile is called {name:?}"
        )
    })
}

impl Profile {
    /// Refuses a machine that does not fit into the memory of this one.
    ///
    /// # Errors
    /// It does not fit; `meminfo` is the text of /proc/meminfo.
    pub fn check_fits(&self, meminfo: &str) -> Result<()> {
        let total_kib: u64 = meminfo
            .lines()
            .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB"))
            .and_then(|text| text.trim().parse().ok())
            .ok_or_else(|| miette!("/proc/meminfo has no MemTotal"))?;
        if self.memory_mib * 1024 < total_kib {
            return Ok(());
        }
        Err(miette!(
            help = "take --profile small, or a larger machine",
            "the profile wants {} MiB of memory, this machine has {} MiB",
            self.memory_mib,
            total_kib / 1024
        ))
    }
}

#[test]
fn the_shipped_profiles() {
    let paper = profile("xeon-4210r").unwrap();
    assert_eq!((paper.vcpus, paper.memory_mib), (20, 256 * 1024));
    assert!(paper.cpu.starts_with("Cascadelake"));
    assert!(profile("small").unwrap().emulated_cpu.contains("-cx16"));
    let error = profile("big").unwrap_err();
    assert!(error.help().unwrap().to_string().contains("small"), "{error:?}");
}

#[test]
fn a_machine_must_fit() {
    let small = profile("small").unwrap();
    assert!(small.check_fits("MemTotal:       16000000 kB\n").is_ok());
    let error = small.check_fits("MemFree: 1 kB\nMemTotal:        4000000 kB\n").unwrap_err();
    assert!(error.to_string().contains("3906 MiB"), "{error}");
    assert!(small.check_fits("").is_err());
}
