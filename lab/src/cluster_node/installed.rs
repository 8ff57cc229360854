//! What is put on a host, and how it is taken away again so that nothing is left.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use miette::{IntoDiagnostic, Result, WrapErr, bail, miette};
use serde::{Deserialize, Serialize};

use super::containerd::{self, Change, Containerd};

const PROGRAM_DIR: &str = "/usr/local/bin";
/// What was done to the host. It is written before anything else, so that a half-done installation
/// can be undone.
const RECORD: &str = "/var/lib/wamr-crun/installed.json";
/// Where the runtime keeps its state, and in it native code that is of no use to anybody else.
const STATE: &str = "/var/lib/wamr-crun";
const COMPILED: &str = "/var/lib/wamr-crun/compiled";

/// The record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    /// Programs that were copied.
    pub programs: Vec<String>,
    /// What containerd was told.
    pub change: Change,
    /// Directories that had to be made, parents first.
    pub directories: Vec<String>,
}

/// The record of the host at `root`; `None` if nothing is installed.
///
/// # Errors
/// It cannot be read.
pub fn record(root: &Path) -> Result<Option<Installed>> {
    let Some(text) = containerd::read(&below(root, RECORD))? else { return Ok(None) };
    serde_json::from_str(&text).map(Some).into_diagnostic().wrap_err(RECORD)
}

/// Copies `programs` (name, content) to the host at `root` and writes what containerd needs. It
/// knows the handler after its next start.
///
/// # Errors
/// Something is there already, or the host refuses; then nothing is left.
pub fn install(
    root: &Path,
    programs: Vec<(String, File)>,
    containerd: &Containerd,
) -> Result<Installed> {
    if record(root)?.is_some() {
        bail!("it is installed on this node already: uninstall it first");
    }
    let text = containerd::read(&below(root, &containerd.config))?;
    let change = containerd::plan(&containerd.config, text.as_deref(), PROGRAM_DIR)?;
    let targets: Vec<String> =
        programs.iter().map(|(name, _)| format!("{PROGRAM_DIR}/{name}")).collect();
    let new = match &change {
        Change::File { path, .. } => Some(path),
        Change::Block { .. } => None,
    };
    for path in targets.iter().chain(new) {
        if below(root, path).symlink_metadata().is_ok() {
            return Err(miette!(
                help = "remove it first: what is there already would not come back",
                "{path} exists on this node"
            ));
        }
    }
    let mut directories = Vec::new();
    for path in targets.iter().map(String::as_str).chain([change.path(), RECORD]) {
        missing_parents(root, path, &mut directories);
    }
    let installed = Installed { programs: targets, change, directories };
    let written = write_all(root, &installed, programs);
    if let Err(error) = written {
        uninstall(root).wrap_err_with(|| format!("after: {error:?}"))?;
        return Err(error);
    }
    Ok(installed)
}

fn write_all(root: &Path, installed: &Installed, programs: Vec<(String, File)>) -> Result<()> {
    for directory in &installed.directories {
        let directory = below(root, directory);
        fs::create_dir(&directory)
            .into_diagnostic()
            .wrap_err_with(|| format!("make {}", directory.display()))?;
    }
    let text = serde_json::to_string_pretty(installed).into_diagnostic()?;
    write_new(&below(root, RECORD), text.as_bytes(), 0o644)?;
    for (path, (_, mut content)) in installed.programs.iter().zip(programs) {
        let path = below(root, path);
        let mut to = create_new(&path, 0o755)?;
        io::copy(&mut content, &mut to)
            .into_diagnostic()
            .wrap_err_with(|| format!("copy to {}", path.display()))?;
    }
    match &installed.change {
        Change::File { path, text } => write_new(&below(root, path), text.as_bytes(), 0o644),
        Change::Block { path, text } => rewrite(&below(root, path), |old| Some(old + text)),
    }
}

/// Takes away what [`install`] brought; true if there was anything.
///
/// # Errors
/// The host refuses, or somebody has changed what was written. The record then stays.
pub fn uninstall(root: &Path) -> Result<bool> {
    let Some(installed) = record(root)? else { return Ok(false) };
    match &installed.change {
        Change::File { path, .. } => remove(&below(root, path))?,
        Change::Block { path, text } => rewrite(&below(root, path), |old| {
            // A broken-off installation had not come to that.
            Some(old.replacen(text.as_str(), "", 1)).filter(|new| *new != old)
        })?,
    }
    for path in &installed.programs {
        remove(&below(root, path))?;
    }
    if installed.directories.iter().any(|directory| directory == STATE) {
        match fs::remove_dir_all(below(root, COMPILED)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).into_diagnostic().wrap_err_with(|| format!("remove {COMPILED}"));
            }
            _ => {}
        }
    }
    remove(&below(root, RECORD))?;
    for directory in installed.directories.iter().rev() {
        // Somebody else may use it by now.
        drop(fs::remove_dir(below(root, directory)));
    }
    Ok(true)
}

fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// Appends the directories above `path` that are not there.
fn missing_parents(root: &Path, path: &str, found: &mut Vec<String>) {
    let mut missing: Vec<String> = Path::new(path)
        .ancestors()
        .skip(1)
        .map(|parent| parent.display().to_string())
        .take_while(|parent| !below(root, parent).exists())
        .filter(|parent| !found.contains(parent))
        .collect();
    missing.reverse();
    found.extend(missing);
}

fn create_new(path: &Path, mode: u32) -> Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let file = file.into_diagnostic().wrap_err_with(|| format!("create {}", path.display()))?;
    // The mask does not apply to what is asked for here.
    file.set_permissions(fs::Permissions::from_mode(mode)).into_diagnostic()?;
    Ok(file)
}

fn write_new(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    create_new(path, mode)?
        .write_all(content)
        .into_diagnostic()
        .wrap_err_with(|| format!("write {}", path.display()))
}

/// Changes a file by way of a new one beside it: containerd never sees half of it.
fn rewrite(path: &Path, change: impl FnOnce(String) -> Option<String>) -> Result<()> {
    let shown = || format!("change {}", path.display());
    let old = fs::read_to_string(path).into_diagnostic().wrap_err_with(shown)?;
    let Some(new) = change(old) else { return Ok(()) };
    let beside = path.with_extension("wamr-lab-new");
    let written = fs::metadata(path)
        .and_then(|metadata| {
            fs::write(&beside, new)?;
            fs::set_permissions(&beside, metadata.permissions())
        })
        .and_then(|()| fs::rename(&beside, path));
    written.into_diagnostic().wrap_err_with(shown)
}

/// Removes a file; one that is not there is fine.
fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).into_diagnostic().wrap_err_with(|| format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const CONFIG: &str = "/etc/containerd/config.toml";

    fn containerd() -> Containerd {
        Containerd {
            process: "1:1".into(),
            program: "/usr/bin/containerd".into(),
            config: CONFIG.into(),
            unit: "containerd.service".into(),
        }
    }

    /// A host with that configuration, or none.
    fn host(config: Option<&str>) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for dir in ["usr/local/bin", "etc/containerd", "var/lib"] {
            fs::create_dir_all(root.path().join(dir)).unwrap();
        }
        if let Some(text) = config {
            fs::write(below(root.path(), CONFIG), text).unwrap();
        }
        root
    }

    fn programs(root: &Path) -> Vec<(String, File)> {
        let open = |name: &str| {
            let source = root.join(format!("../{}-{name}", root.file_name().unwrap().display()));
            fs::write(&source, name).unwrap();
            let file = File::open(&source).unwrap();
            fs::remove_file(source).unwrap();
            (name.to_owned(), file)
        };
        super::super::programs::PROGRAMS.map(open).into()
    }

    /// Every path below `root` with its content.
    fn files(root: &Path) -> BTreeMap<PathBuf, Option<String>> {
        let mut found = BTreeMap::new();
        let mut left = vec![root.to_owned()];
        while let Some(dir) = left.pop() {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                found.insert(path.clone(), fs::read_to_string(&path).ok());
                left.extend(path.is_dir().then_some(path));
            }
        }
        found
    }

    #[test]
    fn what_was_installed_goes_without_a_trace() {
        let imports = "version = 3\nimports = [\"/etc/containerd/conf.d/*.toml\"]\n";
        for config in [None, Some("version = 2"), Some("version = 3\n"), Some(imports)] {
            let host = host(config);
            let root = host.path();
            let before = files(root);
            let installed = install(root, programs(root), &containerd()).unwrap();
            let program = root.join("usr/local/bin/wamr-crun");
            assert_eq!(fs::metadata(program).unwrap().permissions().mode() & 0o777, 0o755);
            let told = fs::read_to_string(below(root, installed.change.path())).unwrap();
            assert!(told.contains("BinaryName = \"/usr/local/bin/wamr-crun\""), "{told}");
            told.parse::<toml::Table>().unwrap();
            let again = install(root, programs(root), &containerd()).unwrap_err();
            assert!(again.to_string().contains("already"), "{again}");
            // What the runtime does meanwhile.
            let compiled = below(root, COMPILED).join("x86-64-v2-1");
            fs::create_dir_all(&compiled).unwrap();
            fs::write(compiled.join("1.json"), "{}").unwrap();
            assert!(uninstall(root).unwrap());
            assert_eq!(files(root), before, "{config:?}");
            assert!(!uninstall(root).unwrap());
        }
    }

    #[test]
    fn what_is_there_already_stays() {
        let host = host(None);
        let root = host.path();
        fs::write(root.join("usr/local/bin/wamr-runner"), "mine").unwrap();
        let before = files(root);
        let error = install(root, programs(root), &containerd()).unwrap_err();
        assert!(error.to_string().contains("/usr/local/bin/wamr-runner exists"), "{error}");
        assert_eq!(files(root), before);
    }
}
