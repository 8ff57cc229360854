//! The conditions under which a test may be skipped: `.config/skips.toml`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::record::tell;

const LIST: &str = include_str!("../../.config/skips.toml");

/// A condition, by its name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Condition {
    /// What is so on the machines where tests are skipped.
    when: String,
    /// Why this is no fault of the machine, and where such a test does run.
    because: String,
}

fn list() -> BTreeMap<String, Condition> {
    toml::from_str(LIST).expect(".config/skips.toml is valid")
}

/// Says that the calling test is not run here, for a reason of the list.
///
/// # Panics
/// If the list has no such `condition`.
pub fn skip(condition: &str) {
    let list = list();
    let known = list.get(condition);
    let known = known.unwrap_or_else(|| panic!(".config/skips.toml has no {condition:?}"));
    tell(condition, &format!("{}; {}", known.when, known.because));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_condition_is_explained() {
        let list = list();
        assert!(!list.is_empty());
        for (name, condition) in &list {
            assert!(condition.when.len() > 10 && condition.because.len() > 20, "{name}");
        }
    }

    #[test]
    #[should_panic(expected = "has no \"just because\"")]
    fn what_is_not_listed_is_not_skipped() {
        skip("just because");
    }
}
