//! An image of programs of this machine, with the shared libraries that they need and nothing else.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::Command;

use miette::{Context as _, IntoDiagnostic as _, Result, bail};

use crate::archive::{self, ImageConfig, Layer};
use crate::layer::{self, Rules};

/// What an image is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramImage {
    /// The name it is imported under.
    pub reference: String,
    /// Program and arguments.
    pub entrypoint: Vec<String>,
    /// Programs of this machine, and where the image has them.
    pub programs: Vec<(PathBuf, String)>,
}

/// Files of one time: the same programs give the same image.
const RULES: Rules<'_> = Rules { mtime_s: 0, excluded: &[] };

/// Writes the image as an OCI archive.
///
/// # Errors
/// A program or a library is missing, or the archive cannot be written.
pub fn write(to: &Path, image: &ProgramImage) -> Result<()> {
    let mut files = BTreeMap::new();
    for (source, path) in &image.programs {
        files.extend(libraries(source)?.into_iter().map(|library| (library.clone(), library)));
        files.insert(PathBuf::from(path), source.clone());
    }
    let layer = Layer::build(|layer| {
        for (path, source) in &files {
            let inside = path.strip_prefix("/").unwrap_or(path);
            layer::add_file(layer, RULES, source, inside, 0o755)?;
        }
        Ok(())
    });
    let layer = layer.into_diagnostic().wrap_err("collect the programs of an image")?;
    let config = ImageConfig {
        reference: image.reference.clone(),
        entrypoint: image.entrypoint.clone(),
        created_s: RULES.mtime_s,
    };
    let file = File::create(to).into_diagnostic().wrap_err_with(|| to.display().to_string())?;
    archive::write(&mut BufWriter::new(file), &config, &mut [layer]).map(drop)
}

/// The shared libraries of a program and its loader.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    if !program.is_file() {
        bail!(help = "build the programs first: make build", "{} is not there", program.display());
    }
    let output =
        Command::new("ldd").arg(program).output().into_diagnostic().wrap_err("start ldd")?;
    // It fails for a static program and says so.
    let text = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() && !said.contains("not a dynamic executable") {
        bail!("ldd {}: {}", program.display(), said.trim());
    }
    parse(&text).wrap_err_with(|| format!("libraries of {}", program.display()))
}

/// The paths in the output of ldd(1).
fn parse(text: &str) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for line in text.lines().map(str::trim) {
        let (name, found) = line.split_once(" => ").unwrap_or((line, line));
        let path = found.split(" (").next().unwrap_or_default();
        if path == "not found" {
            bail!("{name} is not found");
        }
        if path.starts_with('/') {
            paths.push(PathBuf::from(path));
        }
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_libraries_of_a_program() {
        let text = "\tlinux-vdso.so.1 (0x00007ffd)\n\
            \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\
            \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        let want = ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"];
        assert_eq!(parse(text).unwrap(), want.map(PathBuf::from));
        assert_eq!(parse("\tstatically linked\n").unwrap(), Vec::<PathBuf>::new());
        let error = parse("\tlibx.so => not found\n").unwrap_err();
        assert_eq!(error.to_string(), "libx.so is not found");
    }

    #[test]
    fn a_program_comes_with_its_libraries() {
        let dir = tempfile::tempdir().unwrap();
        let archive = dir.path().join("i.tar");
        let own = std::env::current_exe().unwrap();
        let image = ProgramImage {
            reference: "localhost/x:1".to_owned(),
            entrypoint: vec!["/x".to_owned()],
            programs: vec![(own, "/x".to_owned())],
        };
        write(&archive, &image).unwrap();
        let first = std::fs::read(&archive).unwrap();
        let has = |name: &str| first.windows(name.len()).any(|part| part == name.as_bytes());
        assert!(has("libc.so.6") && has("ld-linux"));
        let missing = ProgramImage { programs: vec![("/no/such".into(), "/x".into())], ..image };
        assert!(write(&archive, &missing).unwrap_err().to_string().contains("/no/such"));
    }
}
