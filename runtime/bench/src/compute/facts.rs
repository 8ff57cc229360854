//! What the figures depend on besides the programs: the machine and the compilers.

use std::fs;
use std::process::Command;

use super::Fact;

/// The facts of this machine. What cannot be found out is left out.
pub fn of_this_machine() -> Vec<Fact> {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processors = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let facts = [
        ("processor", field(&cpuinfo, "model name")),
        ("processors", Some(processors.to_string())),
        ("kernel", Some(kernel.trim().to_owned())),
        ("gcc", said("gcc", &["-dumpfullversion"])),
        ("clang", said("clang", &["-dumpversion"])),
        ("go", said("go", &["env", "GOVERSION"])),
    ];
    let known = facts.into_iter().filter_map(|(fact, value)| Some(new(fact, &value?)));
    known.collect()
}

/// A fact.
pub fn new(fact: &str, value: &str) -> Fact {
    Fact { fact: fact.to_owned(), value: value.to_owned() }
}

/// The first value of a field of /proc/cpuinfo.
fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

#[test]
fn a_field_of_cpuinfo() {
    let text = "processor\t: 0\nmodel name\t: A B\nprocessor\t: 1\nmodel name\t: C\n";
    assert_eq!(field(text, "model name").as_deref(), Some("A B"));
    assert_eq!(field(text, "flags"), None);
}
