//! The directories of a process's groups in the hierarchies of cgroup v1, packed. Pure.

use std::path::{Path, PathBuf};

/// A directory for each controller that is mounted.
///
/// One string, because there is one of these for every container, and because the path below the
/// mount point, the longest part, is nearly always the same in all hierarchies. That path is the
/// first line. The others are for the controllers in their order: a mount point with a slash, to
/// which the first line is to be added, or a whole directory, or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directories(Box<str>);

impl Directories {
    /// The controllers that count. The first to be found gives the path that is stored once.
    pub const CONTROLLERS: [&str; 5] = ["memory", "cpuacct", "cpu", "pids", "blkio"];

    /// Packs mount points and the paths below them; `None` if there are none.
    pub fn new(places: &[Option<(String, String)>; Self::CONTROLLERS.len()]) -> Option<Self> {
        // A mount point with a line feed in its name would be taken for two.
        let usable =
            |(point, below): &&(String, String)| !point.contains('\n') && !below.contains('\n');
        let (_, shared) = places.iter().flatten().find(usable)?;
        let mut text = shared.clone();
        for place in places {
            text.push('\n');
            let Some((point, below)) = place.as_ref().filter(usable) else { continue };
            text.push_str(point);
            if below == shared {
                text.push('/');
            } else if !below.is_empty() {
                text.push('/');
                text.push_str(below);
            }
        }
        Some(Self(text.into_boxed_str()))
    }

    /// The directory with the files of `controller`.
    pub fn of(&self, controller: &str) -> Option<PathBuf> {
        let index = Self::CONTROLLERS.iter().position(|known| *known == controller)?;
        self.at(index)
    }

    /// All there are; one twice if two controllers are mounted together.
    pub fn all(&self) -> impl Iterator<Item = PathBuf> {
        (0..Self::CONTROLLERS.len()).filter_map(|index| self.at(index))
    }

    /// All of them in one text.
    pub fn packed(&self) -> &str {
        &self.0
    }

    /// What [`Directories::packed`] gave.
    pub fn unpacked(text: String) -> Self {
        Self(text.into_boxed_str())
    }

    fn at(&self, index: usize) -> Option<PathBuf> {
        let mut lines = self.0.split('\n');
        let shared = lines.next()?;
        let line = lines.nth(index).filter(|line| !line.is_empty())?;
        Some(if line.ends_with('/') { Path::new(line).join(shared) } else { line.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_out_again() {
        let place = |point: &str, below: &str| Some((point.to_owned(), below.to_owned()));
        for (places, want) in [
            (
                [
                    place("/c/memory", "pod/box"),
                    place("/c/cpu,cpuacct", "pod/box"),
                    place("/c/cpu,cpuacct", "pod/box"),
                    None,
                    place("/c/blkio", ""),
                ],
                "/c/memory/pod/box, /c/cpu,cpuacct/pod/box, /c/cpu,cpuacct/pod/box, -, /c/blkio",
            ),
            (
                [place("/m", ""), None, place("/c", "pod"), place("/p", ""), None],
                "/m/, -, /c/pod, /p/, -",
            ),
            (
                [place("/a\nb", "box"), place("/c", "box"), None, None, place("/d e", "other box")],
                "-, /c/box, -, -, /d e/other box",
            ),
        ] {
            let got = Directories::new(&places).unwrap();
            let show = |path: PathBuf| path.into_os_string().into_string().unwrap();
            let of = |controller| got.of(controller).map_or("-".to_owned(), show);
            assert_eq!(Directories::CONTROLLERS.map(of).join(", "), want);
            assert_eq!(got.all().count(), want.split(", ").filter(|word| *word != "-").count());
        }
        assert_eq!(Directories::new(&[const { None }; 5]), None);
    }
}
