//! Configuration of a node that something else has rendered, like the NixOS modules: a directory
//! with `containerd.toml`, `kubelet.json`, `cni/` and `runtimeclasses.json` (a List). Keys, flags,
//! addresses and programs remain the node's own, so the files must fit them.

use std::fs;
use std::path::{Path, PathBuf};

use miette::{IntoDiagnostic, Result, WrapErr, bail};
use serde_json::Value;

/// What takes the place of the node's own words.
#[derive(Debug, PartialEq, Eq)]
pub struct ProvidedConfig {
    /// The text of containerd.toml.
    pub containerd: String,
    /// The text of the KubeletConfiguration.
    pub kubelet: String,
    /// Files of the network directory: name, text.
    pub networks: Vec<(String, String)>,
    /// RuntimeClass objects.
    pub runtime_classes: Vec<Value>,
}

/// Reads the directory.
///
/// # Errors
/// A file is missing, or `runtimeclasses.json` is no list of objects.
pub fn read(dir: &Path) -> Result<ProvidedConfig> {
    let classes = text(&dir.join("runtimeclasses.json"))?;
    let classes: Value = serde_json::from_str(&classes)
        .into_diagnostic()
        .wrap_err_with(|| dir.join("runtimeclasses.json").display().to_string())?;
    let Some(items) = classes["items"].as_array() else {
        bail!("{}: there are no items", dir.join("runtimeclasses.json").display());
    };
    let networks = files(&dir.join("cni"))?;
    if networks.is_empty() {
        bail!("{} has no network: pods would wait for one", dir.join("cni").display());
    }
    Ok(ProvidedConfig {
        containerd: text(&dir.join("containerd.toml"))?,
        kubelet: text(&dir.join("kubelet.json"))?,
        networks,
        runtime_classes: items.clone(),
    })
}

fn text(path: &Path) -> Result<String> {
    fs::read_to_string(path).into_diagnostic().wrap_err_with(|| format!("read {}", path.display()))
}

/// Names and texts of the files of a directory, sorted.
fn files(dir: &Path) -> Result<Vec<(String, String)>> {
    let failed = || format!("read {}", dir.display());
    let listed = fs::read_dir(dir).into_diagnostic().wrap_err_with(failed)?;
    let mut paths = Vec::<PathBuf>::new();
    for entry in listed {
        paths.push(entry.into_diagnostic().wrap_err_with(failed)?.path());
    }
    paths.sort();
    let named = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok((name, text(path)?))
    };
    paths.iter().map(named).collect()
}

#[test]
fn a_directory_is_taken_whole_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("cni")).unwrap();
    let files = [
        ("containerd.toml", "version = 3"),
        ("kubelet.json", "{}"),
        ("cni/11-bridge.conf", "{}"),
        ("runtimeclasses.json", r#"{"items": [{"kind": "RuntimeClass"}]}"#),
    ];
    for (name, content) in files {
        fs::write(at(name), content).unwrap();
    }
    let provided = read(dir.path()).unwrap();
    assert_eq!(provided.containerd, "version = 3");
    assert_eq!(provided.networks, [("11-bridge.conf".to_owned(), "{}".to_owned())]);
    assert_eq!(provided.runtime_classes[0]["kind"], "RuntimeClass");
    for (name, content) in files {
        fs::remove_file(at(name)).unwrap();
        let error = format!("{:?}", read(dir.path()).unwrap_err());
        let want = name.split('/').next().unwrap();
        assert!(error.contains(want), "{name}: {error}");
        fs::write(at(name), content).unwrap();
    }
    fs::write(at("runtimeclasses.json"), "[]").unwrap();
    assert!(read(dir.path()).unwrap_err().to_string().contains("no items"));
}
