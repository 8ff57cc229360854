//! `vm-images/workloads/lock.toml`: the digests of the Wasm workload images. The same compiler
//! makes the same bytes of them on any machine.

use std::collections::BTreeMap;

use miette::{Context as _, IntoDiagnostic as _, Result};
use serde::Deserialize;

use crate::{NodeImage, recipes};

const LOCK: &str = "workloads/lock.toml";

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// Compiler → version, as in [`NodeImage::versions`].
    pub compilers: BTreeMap<String, String>,
    /// Workload image → digest of its manifest.
    pub images: BTreeMap<String, String>,
}

/// How an image agrees with the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Agreement {
    /// Other compilers made it: nothing can be said.
    OtherCompilers,
    /// The workloads whose bytes are others than in the lock; none, if all is well.
    Differing(Vec<String>),
}

/// Reads the lock that this program was built with.
///
/// # Errors
/// It is not what this version understands.
pub fn read() -> Result<Lock> {
    let text = recipes::text(LOCK)?;
    toml::from_str(text).into_diagnostic().with_context(|| format!("cannot read {LOCK}"))
}

impl Lock {
    /// Holds an image against the lock. Pure.
    pub fn agreement(&self, image: &NodeImage) -> Agreement {
        let same = |(name, version): (&String, &String)| image.versions.get(name) == Some(version);
        if !self.compilers.iter().all(same) {
            return Agreement::OtherCompilers;
        }
        let differs = |(name, digest): &(&String, &String)| {
            image.workloads.get(*name).is_none_or(|workload| workload.manifest_digest != **digest)
        };
        let differing = self.images.iter().filter(differs);
        Agreement::Differing(differing.map(|(name, _)| name.clone()).collect())
    }
}

#[cfg(test)]
mod tests {
    use wamr_record::cell::Program;

    use super::*;
    use crate::WorkloadImage;

    fn image(clang: &str, digest: &str) -> NodeImage {
        let workload = WorkloadImage {
            archive: "a.tar".into(),
            reference: "r".to_owned(),
            manifest_digest: digest.to_owned(),
            program: Program { path: "/p".to_owned(), sha256: String::new() },
        };
        NodeImage {
            rootfs: "/".into(),
            versions: BTreeMap::from([("clang".to_owned(), clang.to_owned())]),
            programs: Vec::new(),
            workloads: BTreeMap::from([("w".to_owned(), workload)]),
        }
    }

    #[test]
    fn an_image_agrees_differs_or_cannot_be_compared() {
        let lock: Lock =
            toml::from_str("[compilers]\nclang = \"14\"\n[images]\nw = \"sha256:1\"\n").unwrap();
        let differing =
            |names: &[&str]| Agreement::Differing(names.iter().map(ToString::to_string).collect());
        assert_eq!(lock.agreement(&image("14", "sha256:1")), differing(&[]));
        assert_eq!(lock.agreement(&image("14", "sha256:2")), differing(&["w"]));
        assert_eq!(lock.agreement(&image("19", "sha256:2")), Agreement::OtherCompilers);
        let none = NodeImage { workloads: BTreeMap::new(), ..image("14", "") };
        assert_eq!(lock.agreement(&none), differing(&["w"]), "a missing image differs");
    }

    /// An image that is not in the lock would never be compared.
    #[test]
    fn the_lock_names_every_wasm_image() {
        let lock = read().unwrap();
        let workloads = crate::workloads::read().unwrap();
        let wasm = workloads.iter().filter(|(_, workload)| workload.is_wasm());
        assert!(lock.images.keys().eq(wasm.map(|(name, _)| name)), "{lock:?}");
    }
}
