//! As much of a module's binary form as WAMR leaves to the runner: the names of its functions, and
//! which functions WAMR must not call. Pure; whatever the bytes say, nothing is read beyond them.

use std::ops::Range;

const CUSTOM: u8 = 0;
const EXPORT: u8 = 7;
/// The part of the section of names that has those of functions.
const FUNCTION_NAMES: u8 = 1;

/// Functions that WAMR calls before `_start` where a module exports them. What they do a command's
/// `_start` does itself; done twice, it is wrong.
const CALLED_BY_WAMR: [&[u8]; 3] = [b"_initialize", b"__wasm_call_ctors", b"__post_instantiate"];

/// Reads from `at` on.
#[derive(Clone)]
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    /// An unsigned LEB128 of 32 bits.
    fn number(&mut self) -> Option<usize> {
        let mut value = 0_u64;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return usize::try_from(value).ok();
            }
        }
        None
    }

    /// Where the next thing of its own length lies; the reader goes on behind it.
    fn sized(&mut self) -> Option<Range<usize>> {
        let length = self.number()?;
        let range = self.at..self.at.checked_add(length)?;
        self.bytes.get(range.clone())?;
        self.at = range.end;
        Some(range)
    }

    /// The parts, each a byte that says what it is and a thing of its own length, up to the end.
    fn find(&mut self, wanted: impl Fn(u8, &Self) -> bool) -> Option<Range<usize>> {
        loop {
            let kind = self.byte()?;
            let range = self.sized()?;
            if wanted(kind, &Reader { bytes: &self.bytes[..range.end], at: range.start }) {
                return Some(range);
            }
        }
    }
}

/// The sections of a module.
fn sections(module: &[u8]) -> Reader<'_> {
    const HEADER_BYTES: usize = 8;
    Reader { bytes: module, at: HEADER_BYTES }
}

/// The name of the function with this index, if the module has the names for debuggers.
pub fn function_name(module: &[u8], index: u32) -> Option<String> {
    let is_names = |kind, content: &Reader| {
        let name = content.clone().sized();
        kind == CUSTOM && name.is_some_and(|range| &content.bytes[range] == b"name")
    };
    let section = sections(module).find(is_names)?;
    let mut names = Reader { bytes: &module[..section.end], at: section.start };
    names.sized()?;
    let functions = names.find(|kind, _| kind == FUNCTION_NAMES)?;
    let mut functions = Reader { bytes: &module[..functions.end], at: functions.start };
    for _ in 0..functions.number()? {
        let (found, name) = (functions.number()?, functions.sized()?);
        if found == index as usize {
            return Some(String::from_utf8_lossy(&module[name]).into_owned());
        }
    }
    None
}

/// Renames the exports of a command that WAMR would call by their names: nobody else asks for them.
pub fn hide_from_wamr(module: &mut [u8]) {
    while let Some(start) = hidden_export(module) {
        module[start] = b'-';
    }
}

/// Where the name begins of an export that is to be hidden.
fn hidden_export(module: &[u8]) -> Option<usize> {
    let section = sections(module).find(|kind, _| kind == EXPORT)?;
    let mut exports = Reader { bytes: &module[..section.end], at: section.start };
    let (mut is_command, mut hidden) = (false, None);
    for _ in 0..exports.number()? {
        let name = exports.sized()?;
        let is_function = exports.byte()? == 0;
        exports.number()?;
        let start = name.start;
        is_command |= is_function && &module[name.clone()] == b"_start";
        if is_function && CALLED_BY_WAMR.contains(&&module[name]) {
            hidden = Some(start);
        }
    }
    hidden.filter(|_| is_command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wat(text: &str) -> Vec<u8> {
        wat::parse_str(text).expect("wat")
    }

    #[test]
    fn functions_have_the_names_that_the_module_gives_them() {
        let module = wat("(module $m (import \"a\" \"b\" (func $imported)) (func) (func $third))");
        let names = [0, 1, 2, 3].map(|index| function_name(&module, index));
        assert_eq!(names, [Some("imported".into()), None, Some("third".into()), None]);
        for length in 0..module.len() {
            let whole = function_name(&module[..length], 2);
            assert_eq!(whole, None, "{length} bytes");
        }
        assert_eq!(function_name(&wat("(module (func))"), 0), None);
    }

    #[test]
    fn a_commands_initialisers_are_hidden_and_a_librarys_are_not() {
        let initialisers = r#"(func (export "_initialize")) (func (export "__wasm_call_ctors"))"#;
        let start = r#"(func (export "_start"))"#;
        for (rest, want) in [(start, 0), ("", 2)] {
            let mut module = wat(&format!("(module {initialisers} {rest})"));
            hide_from_wamr(&mut module);
            let left = |name: &&[u8]| module.windows(name.len()).any(|bytes| *bytes == **name);
            assert_eq!(CALLED_BY_WAMR.iter().filter(|name| left(name)).count(), want, "{rest}");
        }
        for length in 0..40 {
            hide_from_wamr(&mut wat(&format!("(module {initialisers})")).as_mut_slice()[..length]);
        }
    }
}
