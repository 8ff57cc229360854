//! The groups below a container's own that `exec --cgroup` names. Pure.
//!
//! Source: runc(8), `exec`: `[CONTROLLER[,CONTROLLER…]:]PATH`, once, or once per hierarchy of v1.

use crate::error::{Error, Result};
use crate::rootfs::mounts::clean;
use std::path::{Path, PathBuf};

/// Paths below the container's groups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubGroups {
    /// For every hierarchy that `by_controller` does not name.
    all: Option<PathBuf>,
    /// For the hierarchies of these controllers.
    by_controller: Vec<(String, PathBuf)>,
}

impl SubGroups {
    /// Reads the values of `--cgroup`; `v1`: the container is in hierarchies of version 1.
    ///
    /// # Errors
    /// [`Error::Usage`]: controllers on v2, a controller or a path for all named twice.
    pub fn parse(values: &[String], v1: bool) -> Result<Self> {
        let refuse =
            |value: &str, reason: &str| Err(Error::Usage(format!("--cgroup {value:?}: {reason}")));
        let mut groups = Self::default();
        for value in values {
            let (controllers, path) = match value.split_once(':') {
                Some((controllers, path)) if !value.starts_with('/') => (controllers, path),
                _ => ("", value.as_str()),
            };
            // Cleaned, no path leads above the container's own group.
            let path = clean(Path::new(path));
            let path = path.strip_prefix("/").unwrap_or(&path).to_owned();
            if controllers.is_empty() {
                if groups.all.replace(path).is_some() {
                    return refuse(value, "a group for all controllers is given twice");
                }
                continue;
            }
            if !v1 {
                return refuse(value, "cgroup v2 has one group for all controllers: give its path");
            }
            for controller in controllers.split(',') {
                if groups.by_controller.iter().any(|(name, _)| name == controller) {
                    return refuse(value, &format!("{controller} is given twice"));
                }
                groups.by_controller.push((controller.to_owned(), path.clone()));
            }
        }
        Ok(groups)
    }

    /// The path in the hierarchy of `controllers`, as /proc/self/cgroup names it; `None`: the
    /// container's own group.
    pub fn path(&self, controllers: &str) -> Option<&Path> {
        let is_of = |name: &str| {
            controllers.split(',').any(|one| one.strip_prefix("name=").unwrap_or(one) == name)
        };
        let named = self.by_controller.iter().find(|(name, _)| is_of(name));
        let path = named.map(|(_, path)| path).or(self.all.as_ref())?;
        (!path.as_os_str().is_empty()).then_some(path)
    }

    /// The first controller that is in none of `hierarchies`.
    pub fn unknown<'a>(&'a self, hierarchies: &[&str]) -> Option<&'a str> {
        let known = |name: &str| {
            let mut all = hierarchies.iter().flat_map(|controllers| controllers.split(','));
            all.any(|one| one.strip_prefix("name=").unwrap_or(one) == name)
        };
        self.by_controller.iter().map(|(name, _)| name.as_str()).find(|name| !known(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(values: &[&str], v1: bool) -> Result<SubGroups> {
        let values: Vec<String> = values.iter().map(|&value| value.to_owned()).collect();
        SubGroups::parse(&values, v1)
    }

    #[test]
    fn a_path_holds_for_all_and_stays_below_the_containers() {
        for (value, want) in
            [("a/b", Some("a/b")), ("/a", Some("a")), ("../../x", Some("x")), ("/", None)]
        {
            for v1 in [true, false] {
                let got = parse(&[value], v1).unwrap();
                assert_eq!(got.path("cpu,cpuacct"), want.map(Path::new), "{value}");
                assert_eq!(got.path(""), want.map(Path::new), "{value}");
            }
        }
        assert_eq!(parse(&[], true).unwrap().path("memory"), None);
    }

    #[test]
    fn hierarchies_may_have_paths_of_their_own() {
        let got = parse(&["memory,cpu:/m/../n", "x", "systemd:s"], true).unwrap();
        for (controllers, want) in
            [("memory", "n"), ("cpu,cpuacct", "n"), ("pids", "x"), ("name=systemd", "s")]
        {
            assert_eq!(got.path(controllers), Some(Path::new(want)), "{controllers}");
        }
        assert_eq!(got.unknown(&["memory", "cpu,cpuacct", "name=systemd"]), None);
        assert_eq!(got.unknown(&["memory", "name=systemd"]), Some("cpu"));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (values, v1, want) in [
            (&["a", "b"][..], true, "given twice"),
            (&["memory:a", "memory:b"], true, "memory is given twice"),
            (&["memory:a"], false, "one group for all"),
        ] {
            let error = parse(values, v1).unwrap_err().to_string();
            assert!(error.contains(want), "{values:?}: {error}");
        }
    }
}
