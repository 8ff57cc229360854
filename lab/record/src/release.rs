//! A release of containerd, `2.3`: what an experiment names and what a version belongs to. Pure.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Major and minor number of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Release {
    major: u32,
    minor: u32,
}

/// A text that names no release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no release: write it like \"2.3\"")]
pub struct NoRelease(String);

impl Release {
    /// The release that a version belongs to: `v2.3.7`, and `2.3.7~ds1-2` as a package may say.
    pub fn of_version(version: &str) -> Option<Self> {
        let text = version.trim().trim_start_matches('v');
        let (major, rest) = text.split_once('.')?;
        let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
        Some(Self { major: major.parse().ok()?, minor: rest[..digits].parse().ok()? })
    }
}

impl fmt::Display for Release {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for Release {
    type Err = NoRelease;

    fn from_str(text: &str) -> Result<Self, NoRelease> {
        let number = |part: &str| {
            let plain = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| part.parse().ok()).flatten()
        };
        text.split_once('.')
            .and_then(|(major, minor)| Some(Self { major: number(major)?, minor: number(minor)? }))
            .ok_or_else(|| NoRelease(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Release {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Release {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// The distinct releases of `versions`, ascending.
pub fn releases_of<'a>(versions: impl IntoIterator<Item = &'a str>) -> Vec<Release> {
    let mut releases: Vec<Release> = versions.into_iter().filter_map(Release::of_version).collect();
    releases.sort_unstable();
    releases.dedup();
    releases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_two_numbers() {
        for (text, ok) in [
            ("2.3", true),
            ("10.0", true),
            ("2", false),
            ("2.3.7", false),
            ("v2.3", false),
            ("2.x", false),
            ("+2.3", false),
            ("", false),
        ] {
            let release = text.parse::<Release>();
            assert_eq!(release.is_ok(), ok, "{text}");
            assert!(release.is_err() || release.unwrap().to_string() == text, "{text}");
        }
    }

    #[test]
    fn a_version_belongs_to_a_release() {
        for (version, release) in [
            ("v2.3.7", Some("2.3")),
            ("2.4.2", Some("2.4")),
            ("1.6.20~ds1-1+deb12u1", Some("1.6")),
            ("2.4-rc.1", Some("2.4")),
            ("unknown", None),
            ("", None),
        ] {
            let found = Release::of_version(version).map(|release| release.to_string());
            assert_eq!(found.as_deref(), release, "{version}");
        }
    }

    /// As numbers, not as text.
    #[test]
    fn releases_are_in_order() {
        let found = releases_of(["v2.10.1", "v2.9.0", "v2.10.0", "x"]);
        assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), ["2.9", "2.10"]);
    }
}
