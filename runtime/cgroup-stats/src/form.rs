//! The forms in which the kernel prints counts. Pure.

/// Lines of `name number`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts(String);

impl From<String> for Counts {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl Counts {
    /// The number beside `name`; `None` if there is none.
    pub fn get(&self, name: &str) -> Option<u64> {
        let number = |line: &str| value(line.strip_prefix(name)?.strip_prefix(' ')?);
        self.0.lines().find_map(number)
    }

    /// The same, where a missing count is 0.
    pub fn or_zero(&self, name: &str) -> u64 {
        self.get(name).unwrap_or(0)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.lines().filter_map(pair)
    }
}

fn pair(line: &str) -> Option<(&str, u64)> {
    let (name, number) = line.split_once(' ')?;
    Some((name, value(number)?))
}

fn value(number: &str) -> Option<u64> {
    number.trim().parse().ok()
}

/// How long some, or all, processes waited for a resource.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pressure {
    /// At least one waited.
    pub some: Stalls,
    /// All waited.
    pub full: Stalls,
}

/// Shares of the last seconds in percent, and the sum.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Stalls {
    /// Of 10 s.
    pub avg10: f64,
    /// Of 60 s.
    pub avg60: f64,
    /// Of 300 s.
    pub avg300: f64,
    /// In all, in microseconds.
    pub total_us: u64,
}

/// `None` for a text that names nothing.
pub fn pressure(text: &str) -> Option<Pressure> {
    let mut found = None;
    for line in text.lines() {
        let mut words = line.split(' ');
        let kind = words.next()?;
        let mut stalls = Stalls::default();
        for (key, value) in words.filter_map(|word| word.split_once('=')) {
            match key {
                "avg10" => stalls.avg10 = value.parse().unwrap_or(0.0),
                "avg60" => stalls.avg60 = value.parse().unwrap_or(0.0),
                "avg300" => stalls.avg300 = value.parse().unwrap_or(0.0),
                "total" => stalls.total_us = value.parse().unwrap_or(0),
                _ => {}
            }
        }
        let pressure: &mut Pressure = found.get_or_insert_default();
        match kind {
            "some" => pressure.some = stalls,
            "full" => pressure.full = stalls,
            _ => {}
        }
    }
    found
}

/// A list such as `0-2,7`.
pub fn list(text: &str) -> Vec<u32> {
    let mut found = Vec::new();
    for part in text.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.parse::<u32>(), last.parse::<u32>()) {
            // No machine has more; a wild range must not fill the memory.
            found.extend(first..=last.min(first.saturating_add(65_535)));
        }
    }
    found
}

/// `MAJOR:MINOR` as two numbers.
pub fn device(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Remote direct memory access: what is held of one device, or may be; `None`: no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RdmaDevice {
    /// The device's name.
    pub device: String,
    /// Handles.
    pub hca_handle: Option<u32>,
    /// Objects.
    pub hca_object: Option<u32>,
}

/// Lines of `DEVICE hca_handle=N hca_object=max`.
pub fn rdma(text: &str) -> Vec<RdmaDevice> {
    let entry = |line: &str| {
        let (device, rest) = line.split_once(' ')?;
        let value = |name: &str| {
            let words = rest.split(' ').filter_map(|word| word.split_once('='));
            words.filter(|(key, _)| *key == name).find_map(|(_, value)| value.parse().ok())
        };
        let (hca_handle, hca_object) = (value("hca_handle"), value("hca_object"));
        Some(RdmaDevice { device: device.to_owned(), hca_handle, hca_object })
    };
    text.lines().filter_map(entry).collect()
}

/// SIZE in a name `hugetlb.SIZE.{suffix}`.
pub fn huge_page_size<'a>(file: &'a str, suffix: &str) -> Option<&'a str> {
    let size = file.strip_prefix("hugetlb.")?.strip_suffix(suffix)?.strip_suffix('.')?;
    (!size.contains('.')).then_some(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_numbers() {
        let text = "usage_usec -5\n\u{fffd}\nuser_usec max\nsystem_usec  7 \nnr_periods\n \n= =\n\
            file x\nslab 99999999999999999999\nanon_thp 3\nanon 2\n";
        let counts = Counts::from(text.to_owned());
        for (name, want) in [
            ("system_usec", Some(7)),
            ("anon", Some(2)),
            ("anon_thp", Some(3)),
            ("usage_usec", None),
            ("user_usec", None),
            ("nr_periods", None),
            ("file", None),
            ("slab", None),
            ("absent", None),
        ] {
            assert_eq!(counts.get(name), want, "{name}");
            assert_eq!(counts.or_zero(name), want.unwrap_or(0), "{name}");
        }
        let all: Vec<_> = counts.iter().collect();
        assert_eq!(all, [("system_usec", 7), ("anon_thp", 3), ("anon", 2)]);
    }

    #[test]
    fn lists_of_cpus() {
        for (text, want) in [("0-2,7\n", vec![0, 1, 2, 7]), ("\n", vec![]), ("x,3-1,4", vec![4])] {
            assert_eq!(list(text), want, "{text:?}");
        }
        assert!(list("0-4294967295").len() <= 65_536);
    }

    #[test]
    fn pressure_as_the_kernel_prints_it() {
        let text = "some avg10=0.50 avg60=1.25 avg300=0.00 total=1234\n\
            full avg10=0.00 avg60=0.00 avg300=0.00 total=99\n";
        let got = pressure(text).unwrap();
        assert_eq!((got.some.total_us, got.full.total_us), (1234, 99));
        assert!((got.some.avg60 - 1.25).abs() < 1e-9);
        assert_eq!(pressure(""), None);
    }

    #[test]
    fn devices() {
        for (text, want) in
            [("254:0", Some((254, 0))), ("8:x", None), ("8", None), (":", None), ("8:1:2", None)]
        {
            assert_eq!(device(text), want, "{text:?}");
        }
    }

    #[test]
    fn rdma_without_a_limit() {
        let got = rdma("mlx4_0 hca_handle=2 hca_object=max\n");
        assert_eq!(got[0].device, "mlx4_0");
        assert_eq!((got[0].hca_handle, got[0].hca_object), (Some(2), None));
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_wild(text in "[a-z0-9:=., \\-\n]{0,200}") {
            drop((list(&text), pressure(&text), rdma(&text), device(&text)));
            let counts = Counts::from(text);
            for (name, number) in counts.iter() {
                // A name that comes twice is that of its first line.
                proptest::prop_assert!(counts.get(name).is_some(), "{name} {number}");
            }
        }
    }
}
