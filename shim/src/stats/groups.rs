//! Where the control groups of a process are, from /proc/PID/cgroup and /proc/self/mountinfo.

use super::v1::Directories;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Component, Path, PathBuf};

/// The control groups of a process: one allocation, because one is kept for every container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups(Place);

/// The directories, by the version of the hierarchies that count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// One per controller.
    V1(Directories),
    /// One for all.
    V2(Box<Path>),
}

/// The process is gone.
const ESRCH: i32 = 3;

/// In the flags of /proc/PID/stat: the process is ending, or has ended and waits to be reaped.
const PF_EXITING: u32 = 0x4;

impl Groups {
    /// Finds the groups of process `pid`, which must not have ended yet.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`]: the process is gone or ending, or its groups are not mounted
    /// here; others: a file below `proc_root` cannot be read.
    pub fn of_process(proc_root: &Path, pid: u32) -> io::Result<Self> {
        let process = proc_root.join(pid.to_string());
        let listing = text(&process.join("cgroup"))?;
        let wanted = v1_paths(&listing);
        let found = if wanted.iter().any(Option::is_some) {
            if is_ending(&text(&process.join("stat"))?) {
                // Of such a process version 1 says that it is in the top groups.
                return Err(not_found(format!("process {pid} is ending: its groups are not told")));
            }
            v1_directories(proc_root, &wanted)?.map(Place::V1)
        } else {
            v2_directory(proc_root, &listing)?.map(Place::V2)
        };
        found.map(Self).ok_or_else(|| {
            not_found(format!(
                "no control group of process {pid} is below a mount in {}/self/mountinfo: mount \
                 its hierarchies",
                proc_root.display()
            ))
        })
    }

    #[cfg(test)]
    pub(super) fn v1(directories: Directories) -> Self {
        Self(Place::V1(directories))
    }

    /// For the next program: of hierarchies of version 1, or of version 2.
    pub fn saved(&self) -> (Option<String>, Option<String>) {
        match &self.0 {
            Place::V1(directories) => (Some(directories.packed().to_owned()), None),
            Place::V2(directory) => (None, Some(directory.display().to_string())),
        }
    }

    /// What [`Groups::saved`] gave.
    pub fn restored(v1: Option<String>, v2: Option<String>) -> Option<Self> {
        let v1 = v1.map(|packed| Place::V1(Directories::unpacked(packed)));
        v1.or_else(|| v2.map(|path| Place::V2(Path::new(&path).into()))).map(Self)
    }

    pub(super) fn place(&self) -> &Place {
        &self.0
    }

    /// # Errors
    /// [`io::ErrorKind::NotFound`]: a group is gone.
    pub(super) fn check(&self) -> io::Result<()> {
        match &self.0 {
            Place::V1(directories) => directories.all().try_for_each(|path| exists(&path)),
            Place::V2(directory) => exists(directory),
        }
    }
}

fn exists(directory: &Path) -> io::Result<()> {
    match fs::metadata(directory) {
        Ok(_) => Ok(()),
        Err(error) => Err(with_path("find the control group", directory, &error)),
    }
}

/// `error` with what was tried on which file; its kind stays.
fn with_path(act: &str, path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{act} {}: {error}", path.display()))
}

fn not_found(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, reason)
}

/// A file of /proc. A group whose name is no UTF-8 is not found under what this makes of it.
fn text(path: &Path) -> io::Result<String> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.raw_os_error() == Some(ESRCH) => {
            Err(not_found(format!("read {}: the process is gone", path.display())))
        }
        Err(error) => Err(with_path("read", path, &error)),
    }
}

/// `stat`: the text of /proc/PID/stat. The name in it may hold blanks and parentheses.
fn is_ending(stat: &str) -> bool {
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let flags = after_name.split_whitespace().nth(6).and_then(|word| word.parse::<u32>().ok());
    flags.is_some_and(|flags| flags & PF_EXITING != 0)
}

/// `ID:controllers:path`, the lines of /proc/PID/cgroup.
fn lines(listing: &str) -> impl Iterator<Item = (&str, &str)> {
    listing.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        Some((fields.next()?, fields.next()?))
    })
}

/// The process's path in the hierarchy of each of [`Directories::CONTROLLERS`].
fn v1_paths(listing: &str) -> [Option<&str>; Directories::CONTROLLERS.len()] {
    Directories::CONTROLLERS.map(|controller| {
        let mut places = lines(listing).filter(|(names, _)| has(names, controller));
        places.next().map(|(_, path)| path)
    })
}

fn has(controllers: &str, name: &str) -> bool {
    controllers.split(',').any(|controller| controller == name)
}

fn v1_directories(
    proc_root: &Path,
    wanted: &[Option<&str>; Directories::CONTROLLERS.len()],
) -> io::Result<Option<Directories>> {
    let mut found = [const { None }; Directories::CONTROLLERS.len()];
    search(proc_root, |mount| {
        for (index, controller) in Directories::CONTROLLERS.iter().enumerate() {
            let serves = mount.kind == "cgroup" && has(&mount.options, controller);
            if let (None, true, Some(path)) = (&found[index], serves, wanted[index]) {
                found[index] = mount.below(path).map(|below| (mount.point.clone(), below));
            }
        }
        wanted.iter().zip(&found).all(|(wanted, found)| wanted.is_some() == found.is_some())
    })?;
    Ok(Directories::new(&found))
}

fn v2_directory(proc_root: &Path, listing: &str) -> io::Result<Option<Box<Path>>> {
    let Some((_, path)) = lines(listing).find(|(names, _)| names.is_empty()) else {
        return Ok(None);
    };
    let mut found = None;
    search(proc_root, |mount| {
        if mount.kind == "cgroup2" {
            let below = mount.below(path);
            found = below.map(|below| Path::new(&mount.point).join(below).into_boxed_path());
        }
        found.is_some()
    })?;
    Ok(found)
}

/// Shows `is_last` one mount after the other, until it answers yes.
///
/// No further, because a node has a thousand mounts, with those of control groups at the front.
fn search(proc_root: &Path, mut is_last: impl FnMut(&Mount) -> bool) -> io::Result<()> {
    let path = proc_root.join("self/mountinfo");
    let act = |error: io::Error| with_path("read", &path, &error);
    for line in BufReader::new(File::open(&path).map_err(act)?).split(b'\n') {
        let line = line.map_err(act)?;
        let mount = str::from_utf8(&line).ok().and_then(Mount::parse);
        if mount.is_some_and(|mount| is_last(&mount)) {
            break;
        }
    }
    Ok(())
}

/// A line of mountinfo that is about a hierarchy.
#[derive(Debug)]
struct Mount {
    /// The group that the mount shows, as seen from the top of the hierarchy.
    root: String,
    /// Where.
    point: String,
    /// `cgroup` or `cgroup2`.
    kind: String,
    /// Of version 1: the controllers, among others.
    options: String,
}

impl Mount {
    fn parse(line: &str) -> Option<Self> {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let mut file_system = file_system.split(' ');
        let kind = file_system.next().filter(|kind| matches!(*kind, "cgroup" | "cgroup2"))?;
        let options = file_system.nth(1)?.to_owned();
        let (root, point) = (unescape(mount.next()?)?, unescape(mount.next()?)?);
        Some(Self { root, point, kind: kind.to_owned(), options })
    }

    /// `path`, seen from the top of the hierarchy, as seen from the mount point; `None` if it is
    /// not below that, or if something else is mounted over it.
    fn below(&self, path: &str) -> Option<String> {
        let below = Path::new(path).strip_prefix(&self.root).ok()?;
        // The path of a group outside of this process's cgroup namespace.
        let leads_out = below.components().any(|part| part == Component::ParentDir);
        let directory: PathBuf = Path::new(&self.point).join(below);
        (!leads_out && directory.is_dir()).then(|| below.to_str().map(str::to_owned))?
    }
}

/// mountinfo writes blanks and backslashes as `\` and three octal digits.
fn unescape(field: &str) -> Option<String> {
    let mut parts = field.split('\\');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(3)?;
        bytes.push(u8::from_str_radix(digits, 8).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A /proc with process 7, and the mount points below `{top}` that mountinfo names.
    struct Host(tempfile::TempDir);

    impl Host {
        fn new(cgroup: &str, mountinfo: &str, directories: &[&str]) -> Self {
            let host = Self(tempfile::tempdir().unwrap());
            for directory in ["proc/7", "proc/self"].iter().chain(directories) {
                fs::create_dir_all(host.0.path().join(directory)).unwrap();
            }
            host.write("proc/7/cgroup", cgroup);
            host.write("proc/7/stat", "7 (a) b)) S 1 7 7 0 -1 4194560 1 2 3 4\n");
            host.write("proc/self/mountinfo", mountinfo);
            host
        }

        fn write(&self, file: &str, text: &str) {
            let text = text.replace("{top}", self.0.path().to_str().unwrap());
            fs::write(self.0.path().join(file), text).unwrap();
        }

        fn groups(&self) -> io::Result<Groups> {
            Groups::of_process(&self.0.path().join("proc"), 7)
        }

        /// The directories below the top, in the order of the controllers.
        fn found(&self) -> String {
            let show = |path: &Path| {
                let below = path.strip_prefix(self.0.path()).unwrap();
                below.to_str().unwrap().trim_end_matches('/').to_owned()
            };
            match self.groups() {
                Err(error) => format!("{:?}", error.kind()),
                Ok(Groups(Place::V2(directory))) => format!("2 {}", show(&directory)),
                Ok(Groups(Place::V1(directories))) => {
                    let of = |name| directories.of(name).map_or("-".to_owned(), |path| show(&path));
                    format!("1 {}", Directories::CONTROLLERS.map(of).join(" "))
                }
            }
        }
    }

    const V2_MOUNT: &str = "\
        22 1 254:0 / / rw - ext4 /dev/root rw\n\
        30 22 0:26 / {top}/c rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    const V1_MOUNTS: &str = "\
        30 22 0:26 / {top}/c ro - tmpfs tmpfs ro,mode=755\n\
        31 30 0:27 / {top}/c/unified rw - cgroup2 cgroup2 rw\n\
        32 30 0:28 / {top}/c/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
        33 30 0:29 / {top}/c/memory rw shared:9 master:1 - cgroup cgroup rw,memory\n\
        34 30 0:30 / {top}/c/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
        35 30 0:31 / {top}/c/pids rw - cgroup cgroup rw,pids\n";
    const V1_LISTING: &str = "\
        6:pids:/pod/box\n5:cpu,cpuacct:/pod/box\n4:memory:/pod/box\n3:blkio:/\n\
        1:name=systemd:/pod\n0::/pod\n";

    #[test]
    fn groups_are_found_on_every_kind_of_host() {
        let v1 = ["c/memory/pod/box", "c/cpu,cpuacct/pod/box", "c/pids/pod/box", "c/unified/pod"];
        let own = "0::/../box\n";
        let node = V2_MOUNT.replace("0:26 /", "0:26 /node");
        let blank = V2_MOUNT.replace("0:26 /", "0:26 /a\\040b").replace("/c", "/c\\134d");
        let twice = V2_MOUNT.replace("0:26 /", "0:26 /other") + V2_MOUNT;
        let hidden = V2_MOUNT.replace("/c", "/hidden") + &V2_MOUNT.replace("/c", "/d");
        for (what, cgroup, mountinfo, directories, want) in [
            ("v2", "0::/pod/box\n", V2_MOUNT, &["c/pod/box"][..], "2 c/pod/box"),
            ("v2, top", "0::/\n", V2_MOUNT, &["c"], "2 c"),
            ("v2 with a colon", "0::/pod:1/a:b\n", V2_MOUNT, &["c/pod:1/a:b"], "2 c/pod:1/a:b"),
            (
                "v2 beside a v1 that counts nothing",
                "1:net_cls:/\n0::/a\n",
                V2_MOUNT,
                &["c/a"],
                "2 c/a",
            ),
            ("a node in a container", "0::/node/box\n", &node, &["c/box"], "2 c/box"),
            ("a name that only begins alike", "0::/nodes/box\n", &node, &["c/s/box"], "NotFound"),
            ("blanks and backslashes", "0::/a b/x\n", &blank, &["c\\d/x"], "2 c\\d/x"),
            ("a mount of something else first", "0::/box\n", &twice, &["c/box"], "2 c/box"),
            ("a mount that is hidden first", "0::/box\n", &hidden, &["d/box"], "2 d/box"),
            ("outside of the namespace", own, V2_MOUNT, &["c", "box"], "NotFound"),
            (
                "seen from outside",
                own,
                &V2_MOUNT.replace("0:26 /", "0:26 /.."),
                &["c/box"],
                "2 c/box",
            ),
            ("removed", "0::/pod/box (deleted)\n", V2_MOUNT, &["c/pod"], "NotFound"),
            ("v2, not mounted", "0::/\n", "", &["c"], "NotFound"),
            ("no listing", "\n::\n0:\nx\n", V2_MOUNT, &["c"], "NotFound"),
            (
                "v1, hybrid",
                V1_LISTING,
                V1_MOUNTS,
                &v1,
                "1 c/memory/pod/box c/cpu,cpuacct/pod/box c/cpu,cpuacct/pod/box c/pids/pod/box -",
            ),
            (
                "v1, a group in one hierarchy",
                "3:pids:/\n2:cpu:/\n1:memory:/pod/box\n",
                V1_MOUNTS,
                &v1,
                "1 c/memory/pod/box - c/cpu,cpuacct c/pids -",
            ),
            ("v1, not mounted", V1_LISTING, V2_MOUNT, &["c/pod"], "NotFound"),
        ] {
            assert_eq!(Host::new(cgroup, mountinfo, directories).found(), want, "{what}");
        }
    }

    #[test]
    fn mounts_that_are_no_text_or_cut_short_are_passed_over() {
        let host = Host::new("0::/box\n", "", &["c/box"]);
        let text = V2_MOUNT.replace("{top}", host.0.path().to_str().unwrap());
        for line in ["\u{fffd}", "1 2 3 / /x - cgroup2", "1 - cgroup2 x rw", " - ", "\\4 \\"] {
            let bytes = [b"\xff\xfe - cgroup2\n", line.as_bytes(), b"\n", text.as_bytes()].concat();
            fs::write(host.0.path().join("proc/self/mountinfo"), bytes).unwrap();
            assert_eq!(host.found(), "2 c/box", "{line:?}");
        }
        for field in ["\\", "\\04", "\\999", "\\400", "\\377", "\\0\u{e9}"] {
            assert_eq!(unescape(field), None, "{field:?}");
        }
    }

    #[test]
    fn an_ending_process_is_refused_where_its_groups_are_not_told() {
        let host = Host::new(V1_LISTING, V1_MOUNTS, &["c/memory/pod/box"]);
        for (stat, want) in [
            ("7 (a) b)) S 1 7 7 0 -1 4194560 1\n", "1 c/memory/pod/box - - - -"),
            ("7 (a) Z 1 7 7 0 -1 4228108 0\n", "NotFound"),
            ("7 (x) S 1 7 7 0 -1 0 (y) Z 1 7 7 0 -1 4228108\n", "NotFound"),
            ("", "1 c/memory/pod/box - - - -"),
        ] {
            host.write("proc/7/stat", stat);
            assert_eq!(host.found(), want, "{stat:?}");
        }
        fs::remove_file(host.0.path().join("proc/7/stat")).unwrap();
        assert_eq!(host.found(), "NotFound");
    }

    #[test]
    fn one_group_that_is_gone_is_enough() {
        let host = Host::new(V1_LISTING, V1_MOUNTS, &["c/memory/pod/box", "c/pids/pod/box"]);
        let groups = host.groups().unwrap();
        groups.check().unwrap();
        fs::remove_dir(host.0.path().join("c/pids/pod/box")).unwrap();
        let error = groups.check().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().contains("c/pids/pod/box"), "{error}");
    }

    #[test]
    fn groups_are_small() {
        let host = Host::new(V1_LISTING, V1_MOUNTS, &["c/memory/pod/box", "c/pids/pod/box"]);
        let Place::V1(directories) = host.groups().unwrap().0 else { panic!("version 1") };
        assert_eq!(size_of::<Groups>(), 24);
        assert_eq!(directories.packed().matches("pod/box").count(), 1);
    }
}
