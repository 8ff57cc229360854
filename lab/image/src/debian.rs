//! Debian file systems, made by mmdebstrap from `vm-images/node/packages.toml`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use miette::{Context as _, IntoDiagnostic as _, Result};
use serde::{Deserialize, Serialize};

use crate::cache::Bench;
use crate::recipes::{self, Inputs};
use crate::requirements::KEYRING;
use crate::tool;

/// Names another mirror than the machine's own.
const MIRROR_VARIABLE: &str = "WAMR_LAB_DEBIAN_MIRROR";
/// Names another mirror of the security updates.
const SECURITY_MIRROR_VARIABLE: &str = "WAMR_LAB_DEBIAN_SECURITY_MIRROR";
const MIRROR: &str = "http://deb.debian.org/debian";
const SECURITY_MIRROR: &str = "http://deb.debian.org/debian-security";

const PACKAGES: &str = "node/packages.toml";

/// `packages.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Which Debian.
    pub debian: Debian,
    /// What a node needs.
    pub node: Vec<Package>,
    /// What a node needs on top to boot as a machine.
    pub vm: Vec<Package>,
}

/// What all Debian file systems here have in common.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Debian {
    suite: String,
    architecture: String,
    /// Time stamp of generated files, seconds since the epoch.
    pub source_date_epoch: u64,
    excluded_paths: Vec<String>,
    included_paths: Vec<String>,
}

/// A package and the reason for it. What is serialized makes a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Name in the archive.
    pub name: String,
    /// Why it is needed.
    #[serde(skip_serializing)]
    pub why: String,
}

/// How much of Debian a file system is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// A system that can run: everything essential, configured.
    Essential,
    /// Only the files of the named packages and of what they depend on.
    Extract,
}

impl Recipe {
    /// Reads the recipe.
    ///
    /// # Errors
    /// It is not what this version understands.
    pub fn read() -> Result<Self> {
        Self::parse(recipes::text(PACKAGES)?).with_context(|| format!("cannot read {PACKAGES}"))
    }

    fn parse(text: &str) -> Result<Self> {
        let recipe: Self = toml::from_str(text).into_diagnostic()?;
        for package in recipe.packages() {
            package.check()?;
        }
        Ok(recipe)
    }

    /// Everything that is installed.
    pub fn packages(&self) -> impl Iterator<Item = &Package> {
        self.node.iter().chain(&self.vm)
    }
}

impl Package {
    /// Refuses what would be read by mmdebstrap as more than one package, and a missing reason.
    ///
    /// # Errors
    /// The name is not a package's, or no reason is given.
    pub fn check(&self) -> Result<()> {
        let fits = |letter: char| {
            letter.is_ascii_lowercase() || letter.is_ascii_digit() || "+-.".contains(letter)
        };
        if self.name.len() < 2 || !self.name.chars().all(fits) {
            miette::bail!("{:?} is not the name of a Debian package", self.name);
        }
        if self.why.trim().is_empty() {
            miette::bail!("package {} gives no reason (`why`)", self.name);
        }
        Ok(())
    }
}

impl Debian {
    /// Adds what decides about a file system's content, apart from its packages.
    pub fn inputs(&self, inputs: Inputs) -> Inputs {
        // The machine's own mirror has what every mirror has; one that the user names may be a
        // snapshot of another day.
        let named = |variable| std::env::var(variable).unwrap_or_default();
        inputs
            .value("debian", &format!("{self:?}"))
            .value(MIRROR_VARIABLE, &named(MIRROR_VARIABLE))
            .value(SECURITY_MIRROR_VARIABLE, &named(SECURITY_MIRROR_VARIABLE))
    }

    /// Makes a file system with `packages` in the folder `root`, which must not exist.
    ///
    /// # Errors
    /// mmdebstrap fails; the error has what it said.
    pub fn install(
        &self,
        bench: &mut Bench<'_>,
        variant: Variant,
        packages: &[Package],
        root: &Path,
    ) -> Result<()> {
        // mmdebstrap mounts /proc and parts of /dev below the root: in namespaces that end with
        // it, however it ends, so that nothing is left mounted when a half-made root is removed.
        let mut command = tool::command("unshare");
        command.args(["--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--"]);
        command.arg("mmdebstrap").args(self.arguments(variant, packages));
        command.args(proxy_options()).arg(&self.suite).arg(root).args(self.sources());
        command.env("SOURCE_DATE_EPOCH", self.source_date_epoch.to_string());
        command.env("LC_ALL", "C.UTF-8");
        let step = bench.step;
        bench.log.run(command, |line| {
            if let Some(act) = line.strip_prefix("I: ") {
                step.set(act);
            }
        })
    }

    fn arguments(&self, variant: Variant, packages: &[Package]) -> Vec<String> {
        let variant = match variant {
            Variant::Essential => "essential",
            Variant::Extract => "extract",
        };
        let names: Vec<_> = packages.iter().map(|package| package.name.as_str()).collect();
        let mut arguments: Vec<String> = [
            "--mode=root",
            "--format=directory",
            &format!("--variant={variant}"),
            &format!("--architectures={}", self.architecture),
            &format!("--keyring={KEYRING}"),
            &format!("--include={}", names.join(",")),
            r#"--aptopt=Apt::Install-Recommends "false""#,
            r#"--aptopt=Acquire::Retries "3""#,
        ]
        .map(str::to_owned)
        .into();
        let rule = |kind: &str, path: &String| format!("--dpkgopt={kind}={path}");
        arguments.extend(self.excluded_paths.iter().map(|path| rule("path-exclude", path)));
        arguments.extend(self.included_paths.iter().map(|path| rule("path-include", path)));
        arguments
    }

    /// The lines of sources.list.
    fn sources(&self) -> [String; 3] {
        let suite = &self.suite;
        let variable = |name, default: &dyn Fn() -> String| {
            std::env::var(name).ok().filter(|url| !url.is_empty()).unwrap_or_else(default)
        };
        let mirror = mirror();
        let security = variable(SECURITY_MIRROR_VARIABLE, &|| {
            machine_mirror("Debian-Security", SECURITY_MIRROR)
        });
        [
            format!("deb {mirror} {suite} main"),
            format!("deb {mirror} {suite}-updates main"),
            format!("deb {security} {suite}-security main"),
        ]
    }
}

/// Where Debian's packages and sources come from: the mirror that the environment names, else the
/// one that this machine uses.
pub fn mirror() -> String {
    let named = std::env::var(MIRROR_VARIABLE).ok().filter(|url| !url.is_empty());
    named.unwrap_or_else(|| machine_mirror("Debian", MIRROR))
}

/// The mirror that this machine's apt uses for the archive with this label.
fn machine_mirror(label: &str, default: &str) -> String {
    let mut command = Command::new("apt-get");
    command.args(["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]);
    command.args(["Origin: Debian", &format!("Label: {label}")]);
    first_mirror(&tool::output(command).unwrap_or_default()).unwrap_or(default).to_owned()
}

/// The first address that apt reaches by HTTP: `cdrom:` and `file:` need not have other suites.
fn first_mirror(addresses: &str) -> Option<&str> {
    let by_http =
        |address: &&str| address.starts_with("http://") || address.starts_with("https://");
    addresses.lines().map(|address| address.trim_end_matches('/')).find(by_http)
}

/// The machine's apt proxy: mmdebstrap does not read apt's configuration.
fn proxy_options() -> Vec<String> {
    ["http", "https"]
        .iter()
        .filter_map(|scheme| {
            let name = format!("Acquire::{scheme}::Proxy");
            let mut command = Command::new("apt-config");
            command.args(["shell", "PROXY", &name]);
            let answer = tool::output(command).ok()?;
            let proxy = answer.trim().strip_prefix("PROXY='")?.strip_suffix('\'')?.to_owned();
            Some(format!("--aptopt={name} \"{proxy}\""))
        })
        .collect()
}

/// Name → version of everything that dpkg installed below `root`.
///
/// # Errors
/// dpkg-query fails.
pub fn installed(root: &Path) -> Result<BTreeMap<String, String>> {
    let mut command = Command::new("dpkg-query");
    command.arg("--admindir").arg(root.join("var/lib/dpkg"));
    command.args(["--show", "--showformat=${Package} ${Version}\\n"]);
    let listing = tool::output(command)?;
    let pairs = listing.lines().filter_map(|line| line.split_once(' '));
    Ok(pairs.map(|(name, version)| (name.to_owned(), version.to_owned())).collect())
}

/// What `program` in the file system `root` prints, run there with a /proc.
///
/// # Errors
/// It fails.
pub fn output_inside(root: &Path, program: &str, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new("unshare");
    let mut into = std::ffi::OsString::from("--root=");
    into.push(root);
    command.args(["--mount", "--pid", "--fork", "--mount-proc"]).arg(into);
    command.args(["--", program]).args(arguments);
    tool::output(command)
}

/// A path inside of `root`: `path` is absolute there.
pub fn inside(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipe_is_readable_and_gives_reasons() {
        let recipe = Recipe::read().unwrap();
        assert!(recipe.node.iter().any(|package| package.name == "crun"));
        for packages in [&recipe.node, &recipe.vm] {
            let names: Vec<_> = packages.iter().map(|package| &package.name).collect();
            assert!(names.is_sorted(), "sorted by name: {names:?}");
        }
    }

    #[test]
    fn packages_are_checked() {
        let table: &[(&str, &str, &str)] = &[
            ("libstdc++6", "because", ""),
            ("a", "because", "not the name"),
            ("two,packages", "because", "not the name"),
            ("Upper", "because", "not the name"),
            ("crun", " ", "no reason"),
        ];
        for (name, why, want) in table {
            let package = Package { name: (*name).to_owned(), why: (*why).to_owned() };
            let said = package.check().map_or_else(|error| error.to_string(), |()| String::new());
            assert!(if want.is_empty() { said.is_empty() } else { said.contains(want) }, "{name}");
        }
    }

    #[test]
    fn bad_recipes_are_refused() {
        let good = recipes::text(PACKAGES).unwrap();
        assert!(Recipe::parse(good).is_ok());
        let table = [
            ("no packages", good.replace("[[node]]", "[[other]]")),
            ("no reason", good.replace("why =", "because =")),
            ("not a name", good.replace("\"crun\"", "\"crun runc\"")),
            ("no suite", good.replace("suite =", "suit =")),
        ];
        for (case, text) in table {
            assert!(Recipe::parse(&text).is_err(), "{case}");
        }
    }

    #[test]
    fn mirrors_are_taken_from_apt() {
        let table = [
            ("", None),
            ("file:/srv/debian/\nhttp://a.example/debian/\n", Some("http://a.example/debian")),
            ("cdrom:[Debian]/\n", None),
            ("https://b.example/x\nhttp://c.example/\n", Some("https://b.example/x")),
        ];
        for (addresses, want) in table {
            assert_eq!(first_mirror(addresses), want, "{addresses:?}");
        }
    }

    #[test]
    fn arguments_name_the_packages() {
        let recipe = Recipe::read().unwrap();
        let arguments = recipe.debian.arguments(Variant::Extract, &recipe.node[..2]);
        assert!(arguments.contains(&"--include=ca-certificates,crun".to_owned()), "{arguments:?}");
        assert!(arguments.contains(&"--variant=extract".to_owned()), "{arguments:?}");
    }
}
