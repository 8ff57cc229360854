//! A mount's options, as containerd and fstab write them.

use crate::error::{Code, Failure, Result};
use nix::mount::MsFlags;

/// Options that are flags, and whether they set or clear them. Source: mount(8),
/// "FILESYSTEM-INDEPENDENT MOUNT OPTIONS"; they are those that containerd knows.
const FLAGS: [(&str, MsFlags, bool); 25] = [
    ("defaults", MsFlags::empty(), true),
    ("ro", MsFlags::MS_RDONLY, true),
    ("rw", MsFlags::MS_RDONLY, false),
    ("bind", MsFlags::MS_BIND, true),
    ("rbind", MsFlags::MS_BIND.union(MsFlags::MS_REC), true),
    ("remount", MsFlags::MS_REMOUNT, true),
    ("nosuid", MsFlags::MS_NOSUID, true),
    ("suid", MsFlags::MS_NOSUID, false),
    ("nodev", MsFlags::MS_NODEV, true),
    ("dev", MsFlags::MS_NODEV, false),
    ("noexec", MsFlags::MS_NOEXEC, true),
    ("exec", MsFlags::MS_NOEXEC, false),
    ("sync", MsFlags::MS_SYNCHRONOUS, true),
    ("async", MsFlags::MS_SYNCHRONOUS, false),
    ("dirsync", MsFlags::MS_DIRSYNC, true),
    ("mand", MsFlags::MS_MANDLOCK, true),
    ("nomand", MsFlags::MS_MANDLOCK, false),
    ("noatime", MsFlags::MS_NOATIME, true),
    ("atime", MsFlags::MS_NOATIME, false),
    ("nodiratime", MsFlags::MS_NODIRATIME, true),
    ("diratime", MsFlags::MS_NODIRATIME, false),
    ("relatime", MsFlags::MS_RELATIME, true),
    ("norelatime", MsFlags::MS_RELATIME, false),
    ("strictatime", MsFlags::MS_STRICTATIME, true),
    ("nostrictatime", MsFlags::MS_STRICTATIME, false),
];

/// Options, told apart.
#[derive(Debug, PartialEq, Eq)]
pub struct Options<'a> {
    /// Of mount(2).
    pub flags: MsFlags,
    /// The source is a file, to be mounted by a loop device.
    pub is_loop: bool,
    /// The loop device is to read and write around the page cache.
    pub direct_io: bool,
    /// `uidmap` and `gidmap`: to whom the files belong.
    pub id_maps: Option<(&'a str, &'a str)>,
    /// For the file system itself.
    pub data: Vec<&'a str>,
}

impl<'a> Options<'a> {
    /// # Errors
    /// One that nobody knows: the kernel refuses those of a file system, but not of a bind mount.
    pub fn parse(options: &'a [String]) -> Result<Self> {
        let none = MsFlags::empty();
        let mut found =
            Self { flags: none, is_loop: false, direct_io: false, id_maps: None, data: Vec::new() };
        let (mut uids, mut gids) = (None, None);
        for option in options {
            let flag = FLAGS.iter().find(|(name, ..)| name == option);
            if let Some((_, flag, on)) = flag {
                found.flags.set(*flag, *on);
            } else if option == "loop" {
                found.is_loop = true;
            } else if let Some(map) = option.strip_prefix("uidmap=") {
                uids = Some(map);
            } else if let Some(map) = option.strip_prefix("gidmap=") {
                gids = Some(map);
            } else if option.starts_with("X-containerd.") {
                return Err(unknown(option, "it is for containerd's own mount manager"));
            } else {
                found.data.push(option);
            }
        }
        found.id_maps = match (uids, gids) {
            (Some(uids), Some(gids)) => Some((uids, gids)),
            (None, None) => None,
            _ => return Err(unknown("uidmap or gidmap", "one is of no use without the other")),
        };
        if found.is_loop {
            let before = found.data.len();
            found.data.retain(|option| *option != "direct-io");
            found.direct_io = found.data.len() < before;
        }
        match found.data.first() {
            Some(option) if found.is_bind() => Err(unknown(option, "a bind mount has no such")),
            _ => Ok(found),
        }
    }

    /// Whether it is a bind mount.
    pub fn is_bind(&self) -> bool {
        self.flags.contains(MsFlags::MS_BIND)
    }
}

fn unknown(option: &str, reason: &str) -> Failure {
    Failure::new(Code::InvalidArgument, format!("mount option {option:?}: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn flags_and_data_are_told_apart() {
        for (given, flags, data) in [
            ("ro rbind", MsFlags::MS_RDONLY | MsFlags::MS_BIND | MsFlags::MS_REC, ""),
            ("ro rw lowerdir=/a:/b", MsFlags::empty(), "lowerdir=/a:/b"),
            ("index=off nodev volatile", MsFlags::MS_NODEV, "index=off,volatile"),
            ("sync noatime nodiratime mand", MsFlags::from_bits_retain(0xc50), ""),
            ("sync async noatime atime nodiratime diratime mand nomand", MsFlags::empty(), ""),
            ("relatime norelatime strictatime nostrictatime", MsFlags::empty(), ""),
            ("remount strictatime", MsFlags::MS_REMOUNT | MsFlags::MS_STRICTATIME, ""),
            ("direct-io", MsFlags::empty(), "direct-io"),
        ] {
            let given = options(given);
            let found = Options::parse(&given).unwrap();
            assert_eq!((found.flags, found.data.join(",")), (flags, data.to_owned()), "{given:?}");
            assert!(!found.is_loop && found.id_maps.is_none(), "{given:?}");
        }
    }

    #[test]
    fn what_the_kernel_does_not_know() {
        let given = options("loop rw direct-io errors=remount-ro");
        let found = Options::parse(&given).unwrap();
        assert!(found.is_loop && found.direct_io && found.flags.is_empty());
        assert_eq!(found.data, ["errors=remount-ro"]);
        let given = options("uidmap=0:9:1,1:20:3 lowerdir=/a gidmap=0:9:1");
        let found = Options::parse(&given).unwrap();
        assert_eq!(found.id_maps, Some(("0:9:1,1:20:3", "0:9:1")));
        assert_eq!(found.data, ["lowerdir=/a"]);
    }

    #[test]
    fn what_nobody_knows_is_refused() {
        for (given, named) in [
            ("X-containerd.mkdir.path=/a", "X-containerd.mkdir.path=/a"),
            ("bind ro volatile", "volatile"),
            ("rbind X-mount.idmap=b:0:9:1", "X-mount.idmap"),
            ("uidmap=0:9:1", "gidmap"),
        ] {
            let failure = Options::parse(&options(given)).unwrap_err();
            assert_eq!(failure.code, Code::InvalidArgument, "{given}");
            assert!(failure.message.contains(named), "{given}: {}", failure.message);
        }
    }
}
