//! Mount options as attributes, propagation and data. Pure.
//!
//! Source: runtime-spec config.md "Mounts", config-linux.md; mount(8); mount_setattr(2).

use crate::sys::mount::MountAttr;

const RDONLY: u64 = 0x1;
const NOSUID: u64 = 0x2;
const NODEV: u64 = 0x4;
const NOEXEC: u64 = 0x8;
const ATIME_MASK: u64 = 0x70;
const RELATIME: u64 = 0x0;
const NOATIME: u64 = 0x10;
const STRICTATIME: u64 = 0x20;
const NODIRATIME: u64 = 0x80;
const NOSYMFOLLOW: u64 = 0x0020_0000;

/// What the options of one mount mean.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// `Some(recursive)` for a bind mount.
    pub bind: Option<bool>,
    /// Attributes of the mount itself.
    pub attr: MountAttr,
    /// Attributes of the mount and of all below it (`rro` and the like).
    pub recursive_attr: MountAttr,
    /// Propagation changes in their order: `MS_*` and whether recursive.
    pub propagation: Vec<(u64, bool)>,
    /// What is left for the file system: `key` or `key=value`.
    pub data: Vec<String>,
    /// `Some(recursive)` for an id-mapped mount.
    pub id_map: Option<bool>,
    /// Fill a new tmpfs with what the image has at its destination.
    pub copy_up: bool,
    /// Parameters of a file system (`key=value`) given to a bind mount, which has none.
    pub passed_over: Vec<String>,
}

impl Options {
    /// Whether the mount itself shall be read-only.
    pub fn read_only(&self) -> bool {
        self.attr.set & RDONLY != 0
    }
}

/// One option, decoded.
enum Effect {
    Bind(bool),
    Set(u64),
    Clear(u64),
    Atime(u64),
    Propagation(u64, bool),
    CopyUp,
    IdMap(bool),
    Nothing,
}

fn effect(option: &str) -> Option<Effect> {
    use Effect::{Atime, Bind, Clear, CopyUp, IdMap, Nothing, Propagation, Set};
    Some(match option {
        // What a mount does anyway.
        "defaults" | "loud" | "silent" | "noiversion" => Nothing,
        "idmap" => IdMap(false),
        "ridmap" => IdMap(true),
        "bind" => Bind(false),
        "rbind" => Bind(true),
        "ro" => Set(RDONLY),
        "rw" => Clear(RDONLY),
        "nosuid" => Set(NOSUID),
        "suid" => Clear(NOSUID),
        "nodev" => Set(NODEV),
        "dev" => Clear(NODEV),
        "noexec" => Set(NOEXEC),
        "exec" => Clear(NOEXEC),
        "noatime" => Atime(NOATIME),
        // Without relatime a mount is what the kernel makes it, which is relatime, as with runc.
        "relatime" | "norelatime" | "atime" | "nostrictatime" => Atime(RELATIME),
        "strictatime" => Atime(STRICTATIME),
        "nodiratime" => Set(NODIRATIME),
        "diratime" => Clear(NODIRATIME),
        "nosymfollow" => Set(NOSYMFOLLOW),
        "symfollow" => Clear(NOSYMFOLLOW),
        "private" => Propagation(libc::MS_PRIVATE, false),
        "rprivate" => Propagation(libc::MS_PRIVATE, true),
        "shared" => Propagation(libc::MS_SHARED, false),
        "rshared" => Propagation(libc::MS_SHARED, true),
        "slave" => Propagation(libc::MS_SLAVE, false),
        "rslave" => Propagation(libc::MS_SLAVE, true),
        "unbindable" => Propagation(libc::MS_UNBINDABLE, false),
        "runbindable" => Propagation(libc::MS_UNBINDABLE, true),
        "tmpcopyup" => CopyUp,
        _ => return None,
    })
}

/// The options that mean something to this runtime, or to every file system, sorted.
pub fn recognized() -> Vec<String> {
    const ATTRIBUTES: [&str; 18] = [
        "atime",
        "dev",
        "diratime",
        "exec",
        "noatime",
        "nodev",
        "nodiratime",
        "noexec",
        "norelatime",
        "nostrictatime",
        "nosuid",
        "nosymfollow",
        "relatime",
        "ro",
        "rw",
        "strictatime",
        "suid",
        "symfollow",
    ];
    const PROPAGATION: [&str; 4] = ["private", "shared", "slave", "unbindable"];
    const ALONE: [&str; 15] = [
        "async",
        "bind",
        "defaults",
        "dirsync",
        "idmap",
        "lazytime",
        "loud",
        "mand",
        "noiversion",
        "nolazytime",
        "nomand",
        "rbind",
        "ridmap",
        "silent",
        "sync",
    ];
    let both = ATTRIBUTES.into_iter().chain(PROPAGATION);
    let both = both.flat_map(|name| [name.to_owned(), format!("r{name}")]);
    let alone = ALONE.into_iter().chain(["tmpcopyup"]).map(str::to_owned);
    let mut names: Vec<String> = both.chain(alone).collect();
    names.sort();
    names
}

/// Why an option of the specification cannot be honoured.
fn refusal(option: &str) -> Option<&'static str> {
    match option {
        "remount" => Some("each entry is a mount of its own; put its options there"),
        "iversion" => Some("the kernel decides on it by the file system's type"),
        _ => None,
    }
}

/// Options of a file system that a bind mount has anyway: it shares what is mounted already.
const DEFAULTS_OF_BIND: [&str; 3] = ["async", "nolazytime", "nomand"];

fn change(attr: &mut MountAttr, effect: &Effect) {
    match *effect {
        Effect::Set(bits) => {
            attr.set |= bits;
            attr.clear &= !bits;
        }
        Effect::Clear(bits) => {
            attr.clear |= bits;
            attr.set &= !bits;
        }
        Effect::Atime(value) => {
            attr.clear |= ATIME_MASK;
            attr.set = attr.set & !ATIME_MASK | value;
        }
        _ => {}
    }
}

/// Whether `option` is `key=value` for a file system, and not for the mount itself.
fn is_parameter(option: &str) -> bool {
    let own = ["idmap", "ridmap"];
    option.split_once('=').is_some_and(|(key, _)| !own.contains(&key) && !key.starts_with("X-"))
}

/// Decodes `options`; a later one overrides an earlier one.
///
/// # Errors
/// The reason why an option cannot be honoured.
pub fn parse<S: AsRef<str>>(options: &[S]) -> Result<Options, String> {
    let mut parsed = Options::default();
    for option in options.iter().map(AsRef::as_ref) {
        if let Some(reason) = refusal(option) {
            return Err(format!("option {option}: {reason}"));
        }
        if let Some(effect) = effect(option) {
            match effect {
                Effect::Bind(recursive) => parsed.bind = Some(recursive),
                Effect::Propagation(kind, recursive) => parsed.propagation.push((kind, recursive)),
                Effect::CopyUp => parsed.copy_up = true,
                Effect::IdMap(recursive) => parsed.id_map = Some(recursive),
                other => change(&mut parsed.attr, &other),
            }
            continue;
        }
        // `rro`, `rnosuid`, ...: the plain option, for the whole tree below.
        let recursive = option.strip_prefix('r').and_then(effect);
        match recursive {
            Some(other @ (Effect::Set(_) | Effect::Clear(_) | Effect::Atime(_))) => {
                change(&mut parsed.recursive_attr, &other);
            }
            _ => parsed.data.push(option.to_owned()),
        }
    }
    if parsed.bind.is_some() {
        parsed.data.retain(|option| !DEFAULTS_OF_BIND.contains(&option.as_str()));
        // The kernel passes over them, too. A word alone is refused below: it may be a misspelt
        // `ro`.
        parsed.passed_over = parsed.data.extract_if(.., |option| is_parameter(option)).collect();
    }
    if let (Some(_), Some(unknown)) = (parsed.bind, parsed.data.first()) {
        return Err(format!("option {unknown:?} has no meaning for a bind mount: remove it"));
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attr(set: u64, clear: u64) -> MountAttr {
        MountAttr { set, clear, ..MountAttr::default() }
    }

    #[test]
    fn options_become_attributes() {
        let table: &[(&[&str], MountAttr, MountAttr)] = &[
            (&["nosuid", "noexec", "nodev", "ro"], attr(0xf, 0), attr(0, 0)),
            (&["ro", "rw"], attr(0, RDONLY), attr(0, 0)),
            (&["rw", "ro"], attr(RDONLY, 0), attr(0, 0)),
            (&["noatime", "relatime"], attr(0, ATIME_MASK), attr(0, 0)),
            (&["strictatime"], attr(STRICTATIME, ATIME_MASK), attr(0, 0)),
            (&["rro", "rnosuid"], attr(0, 0), attr(RDONLY | NOSUID, 0)),
            (&["rrelatime"], attr(0, 0), attr(0, ATIME_MASK)),
            (&["rstrictatime", "rnorelatime"], attr(0, 0), attr(0, ATIME_MASK)),
        ];
        for (options, want, want_recursive) in table {
            let got = parse(options).unwrap();
            assert_eq!((got.attr, got.recursive_attr), (*want, *want_recursive), "{options:?}");
        }
    }

    #[test]
    fn every_recursive_option_is_known() {
        let plain = ["ro", "nosuid", "nodev", "noexec", "noatime", "strictatime", "nodiratime"];
        let clear = ["rw", "suid", "dev", "exec", "atime", "relatime", "diratime", "symfollow"];
        let other = ["nosymfollow", "norelatime", "nostrictatime"];
        for option in plain.into_iter().chain(clear).chain(other) {
            let alone = parse(&["bind", option]).unwrap();
            let recursive = parse(&["bind".to_owned(), format!("r{option}")]).unwrap();
            assert_eq!(recursive.recursive_attr, alone.attr, "{option}");
            assert_eq!(recursive.attr, MountAttr::default(), "{option}");
            assert_ne!(alone.attr, MountAttr::default(), "{option}");
        }
    }

    #[test]
    fn what_a_mount_does_anyway_is_no_option() {
        let got = parse(&["rbind", "async", "nolazytime", "loud", "ridmap"]).unwrap();
        let want = Options { bind: Some(true), id_map: Some(true), ..Options::default() };
        assert_eq!(got, want);
    }

    #[test]
    fn the_rest_is_data_of_the_file_system() {
        let got = parse(&["nosuid", "mode=755", "size=65536k", "rw"]).unwrap();
        assert_eq!(got.data, ["mode=755", "size=65536k"]);
        let got = parse(&["rbind", "rprivate", "ro"]).unwrap();
        assert_eq!((got.bind, got.read_only()), (Some(true), true));
        assert_eq!(got.propagation, [(libc::MS_PRIVATE, true)]);
    }

    #[test]
    fn parameters_of_a_file_system_do_not_reach_a_bind_mount() {
        let got = parse(&["mode=755", "bind", "ro", "size=1k"]).unwrap();
        assert_eq!((got.data.len(), got.read_only()), (0, true));
        assert_eq!(got.passed_over, ["mode=755", "size=1k"]);
        assert!(parse(&["mode=755"]).unwrap().passed_over.is_empty());
    }

    #[test]
    fn what_cannot_be_honoured_is_refused() {
        assert!(parse(&["bind", "idmap=uids=0-1-2"]).unwrap_err().contains("idmap=uids"));
        assert!(parse(&["bind", "readonly"]).unwrap_err().contains("readonly"));
        assert!(parse(&["bind", "sync"]).unwrap_err().contains("sync"));
        assert!(parse(&["bind", "remount"]).unwrap_err().contains("option remount"));
        assert!(parse(&["iversion"]).unwrap_err().contains("option iversion"));
    }
}
