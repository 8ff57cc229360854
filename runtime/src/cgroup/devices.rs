//! `linux.resources.devices`: lines for cgroup v1, a BPF program for cgroup v2. Pure.
//!
//! Both versions answer as the v1 list does: the last rule that says something about an access
//! decides it. After the bundle's rules come those for the devices every container has.
//!
//! Source: runtime-spec config-linux.md "Allowed Device list"; kernel cgroup-v1/devices.rst,
//! include/uapi/linux/bpf.h (`struct bpf_cgroup_dev_ctx`).

use crate::error::{Error, Result};
use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType};

/// Read, write and mknod of one device or a range of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Permit, or forbid.
    pub allow: bool,
    /// `b'a'` (both), `b'b'` or `b'c'`.
    pub kind: u8,
    /// `None`: every major number.
    pub major: Option<u32>,
    /// `None`: every minor number.
    pub minor: Option<u32>,
    /// Bits [`MKNOD`], [`READ`] and [`WRITE`].
    pub access: u32,
}

/// Making a node, as the kernel numbers it for BPF.
pub const MKNOD: u32 = 1;
/// Opening for reading.
pub const READ: u32 = 2;
/// Opening for writing.
pub const WRITE: u32 = 4;
const ALL: u32 = MKNOD | READ | WRITE;

const fn default(kind: u8, major: Option<u32>, minor: Option<u32>, access: u32) -> Rule {
    Rule { allow: true, kind, major, minor, access }
}

/// What every container may do: make any node, and use the default devices and its terminals.
const DEFAULT: [Rule; 11] = [
    default(b'c', None, None, MKNOD),
    default(b'b', None, None, MKNOD),
    default(b'c', Some(1), Some(3), ALL),
    default(b'c', Some(1), Some(5), ALL),
    default(b'c', Some(1), Some(7), ALL),
    default(b'c', Some(1), Some(8), ALL),
    default(b'c', Some(1), Some(9), ALL),
    default(b'c', Some(5), Some(0), ALL),
    default(b'c', Some(5), Some(1), ALL),
    default(b'c', Some(5), Some(2), ALL),
    default(b'c', Some(136), None, ALL),
];

/// The rules of config.json followed by the default ones; none at all if config.json has none.
///
/// # Errors
/// [`Error::Config`]: an access or a number that cannot be.
pub fn rules(devices: &[LinuxDeviceCgroup]) -> Result<Vec<Rule>> {
    let mut rules = Vec::with_capacity(devices.len() + DEFAULT.len());
    for (index, device) in devices.iter().enumerate() {
        rules.push(rule(device).map_err(|reason| {
            Error::config(format!("linux.resources.devices[{index}]"), reason)
        })?);
    }
    if !rules.is_empty() {
        rules.extend(DEFAULT);
    }
    Ok(rules)
}

fn rule(device: &LinuxDeviceCgroup) -> std::result::Result<Rule, String> {
    let kind = match device.typ() {
        None | Some(LinuxDeviceType::A) => b'a',
        Some(LinuxDeviceType::B) => b'b',
        Some(LinuxDeviceType::C | LinuxDeviceType::U) => b'c',
        Some(LinuxDeviceType::P) => return Err("a FIFO is no device".to_owned()),
    };
    let number = |value: Option<i64>, name: &str| match value {
        None | Some(-1) => Ok(None),
        Some(value) => {
            u32::try_from(value).map(Some).map_err(|_| format!("{name} = {value} out of range"))
        }
    };
    let mut access = 0;
    for letter in device.access().as_deref().unwrap_or("rwm").chars() {
        access |= match letter {
            'r' => READ,
            'w' => WRITE,
            'm' => MKNOD,
            _ => return Err(format!("access {letter:?} is none of r, w, m")),
        };
    }
    let (major, minor) = (number(device.major(), "major")?, number(device.minor(), "minor")?);
    Ok(Rule { allow: device.allow(), kind, major, minor, access })
}

/// Whether it is about every access to every device.
pub fn is_everything(rule: &Rule) -> bool {
    rule.kind == b'a' && rule.major.is_none() && rule.minor.is_none() && rule.access == ALL
}

/// The file and line of each rule for the v1 controller.
pub fn v1_lines(rules: &[Rule]) -> Vec<(&'static str, String)> {
    let number = |value: Option<u32>| value.map_or("*".to_owned(), |value| value.to_string());
    let line = |rule: &Rule| {
        let file = if rule.allow { "devices.allow" } else { "devices.deny" };
        if is_everything(rule) {
            return (file, "a".to_owned());
        }
        let mut text =
            format!("{} {}:{} ", rule.kind as char, number(rule.major), number(rule.minor));
        for (bit, letter) in [(READ, 'r'), (WRITE, 'w'), (MKNOD, 'm')] {
            if rule.access & bit != 0 {
                text.push(letter);
            }
        }
        (file, text)
    };
    // What precedes the last rule about everything has no effect.
    let from = rules.iter().rposition(is_everything).unwrap_or(0);
    rules[from..].iter().map(line).collect()
}

// Opcodes: class | size or operation | source.
const LOAD_WORD: u8 = 0x61;
const MOVE_REG: u8 = 0xbf;
const MOVE_IMM: u8 = 0xb7;
const AND_IMM: u8 = 0x57;
const RIGHT_SHIFT_IMM: u8 = 0x77;
const JUMP_NOT_EQUAL_IMM: u8 = 0x55;
const JUMP_EQUAL_IMM: u8 = 0x15;
const EXIT: u8 = 0x95;

const RESULT: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;
const SCRATCH: u8 = 6;

/// One instruction as the kernel lays it out on a little-endian machine.
fn instruction(code: u8, target: u8, source: u8, offset: i16, immediate: i32) -> u64 {
    u64::from(code)
        | u64::from(target) << 8
        | u64::from(source) << 12
        | u64::from(offset as u16) << 16
        | u64::from(immediate as u32) << 32
}

/// The program that decides like the list of `rules`: 1 permits, 0 forbids.
pub fn v2_program(rules: &[Rule]) -> Vec<u64> {
    let mut program = vec![
        instruction(LOAD_WORD, KIND, CONTEXT, 0, 0),
        instruction(MOVE_REG, ACCESS, KIND, 0, 0),
        instruction(AND_IMM, KIND, 0, 0, 0xffff),
        instruction(RIGHT_SHIFT_IMM, ACCESS, 0, 0, 16),
        instruction(LOAD_WORD, MAJOR, CONTEXT, 4, 0),
        instruction(LOAD_WORD, MINOR, CONTEXT, 8, 0),
    ];
    let from = rules.iter().rposition(is_everything);
    let decisive = &rules[from.map_or(0, |index| index + 1)..];
    for rule in decisive.iter().rev() {
        append(&mut program, rule);
    }
    let verdict = from.is_none_or(|index| rules[index].allow);
    program.push(instruction(MOVE_IMM, RESULT, 0, 0, verdict.into()));
    program.push(instruction(EXIT, 0, 0, 0, 0));
    program
}

/// The tests of one rule; each jumps behind the rule if it does not match.
fn append(program: &mut Vec<u64>, rule: &Rule) {
    let mut tests: Vec<(u8, u8, i32)> = Vec::new();
    match rule.kind {
        b'b' => tests.push((JUMP_NOT_EQUAL_IMM, KIND, 1)),
        b'c' => tests.push((JUMP_NOT_EQUAL_IMM, KIND, 2)),
        _ => {}
    }
    for (register, number) in [(MAJOR, rule.major), (MINOR, rule.minor)] {
        if let Some(number) = number {
            tests.push((JUMP_NOT_EQUAL_IMM, register, number as i32));
        }
    }
    // Allowed: nothing beyond the rule's access is asked for. Denied: something of it is.
    let (mask, jump) = if rule.allow {
        (!rule.access & ALL, JUMP_NOT_EQUAL_IMM)
    } else {
        (rule.access, JUMP_EQUAL_IMM)
    };
    let access_test = if rule.access == ALL { 0 } else { 3 };
    let total = tests.len() + access_test + 2;
    for (index, (code, register, number)) in tests.into_iter().enumerate() {
        let offset = (total - index - 1) as i16;
        program.push(instruction(code, register, 0, offset, number));
    }
    if access_test != 0 {
        program.push(instruction(MOVE_REG, SCRATCH, ACCESS, 0, 0));
        program.push(instruction(AND_IMM, SCRATCH, 0, 0, mask as i32));
        program.push(instruction(jump, SCRATCH, 0, 2, 0));
    }
    program.push(instruction(MOVE_IMM, RESULT, 0, 0, rule.allow.into()));
    program.push(instruction(EXIT, 0, 0, 0, 0));
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENY_ALL: Rule = Rule { allow: false, kind: b'a', major: None, minor: None, access: ALL };

    /// Runs a program as the kernel would, on an access to a device.
    fn run(program: &[u64], kind: u32, access: u32, major: u32, minor: u32) -> bool {
        let context = [access << 16 | kind, major, minor];
        let mut registers = [0_u64; 11];
        let mut at = 0;
        loop {
            let word = program[at];
            let (target, source) = ((word >> 8 & 0xf) as usize, (word >> 12 & 0xf) as usize);
            let offset = i64::from((word >> 16) as i16);
            let immediate = (word >> 32) as u32;
            let mut jump = false;
            match word as u8 {
                LOAD_WORD => registers[target] = u64::from(context[offset as usize / 4]),
                MOVE_REG => registers[target] = registers[source],
                MOVE_IMM => registers[target] = u64::from(immediate),
                AND_IMM => registers[target] &= u64::from(immediate),
                RIGHT_SHIFT_IMM => registers[target] >>= immediate,
                JUMP_NOT_EQUAL_IMM => jump = registers[target] != u64::from(immediate),
                JUMP_EQUAL_IMM => jump = registers[target] == u64::from(immediate),
                EXIT => return registers[0] == 1,
                code => panic!("opcode {code:#x}"),
            }
            at = (at as i64 + 1 + if jump { offset } else { 0 }) as usize;
        }
    }

    /// The v1 list, straight from its description: the last rule that speaks decides.
    fn oracle(rules: &[Rule], kind: u32, access: u32, major: u32, minor: u32) -> bool {
        let mut verdict = true;
        for rule in rules {
            let same_kind = match rule.kind {
                b'b' => kind == 1,
                b'c' => kind == 2,
                _ => true,
            };
            let matches = same_kind
                && rule.major.is_none_or(|number| number == major)
                && rule.minor.is_none_or(|number| number == minor);
            let speaks =
                if rule.allow { access & !rule.access == 0 } else { access & rule.access != 0 };
            if matches && speaks {
                verdict = rule.allow;
            }
        }
        verdict
    }

    fn any_rule() -> impl proptest::strategy::Strategy<Value = Rule> {
        use proptest::prelude::*;
        (
            any::<bool>(),
            prop::sample::select(vec![b'a', b'b', b'c']),
            prop::option::of(0_u32..3),
            prop::option::of(0_u32..3),
            1_u32..8,
        )
            .prop_map(|(allow, kind, major, minor, access)| Rule {
                allow,
                kind,
                major,
                minor,
                access,
            })
    }

    proptest::proptest! {
        #[test]
        fn the_program_decides_like_the_list(
            rules in proptest::collection::vec(any_rule(), 0..8),
            kind in 1_u32..3, access in 1_u32..8, major in 0_u32..3, minor in 0_u32..3,
        ) {
            let program = v2_program(&rules);
            let got = run(&program, kind, access, major, minor);
            proptest::prop_assert_eq!(got, oracle(&rules, kind, access, major, minor));
        }
    }

    #[test]
    fn what_containerd_sends() {
        let json = r#"[{"allow": false, "access": "rwm"},
            {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw"}]"#;
        let devices: Vec<LinuxDeviceCgroup> = serde_json::from_str(json).unwrap();
        let rules = rules(&devices).unwrap();
        assert_eq!(rules[0], DENY_ALL);
        let lines = v1_lines(&rules);
        assert_eq!(lines[0], ("devices.deny", "a".to_owned()));
        assert_eq!(lines[1], ("devices.allow", "c 10:229 rw".to_owned()));
        assert_eq!(lines[2], ("devices.allow", "c *:* m".to_owned()));
        let program = v2_program(&rules);
        assert!(run(&program, 2, READ | WRITE, 10, 229));
        assert!(run(&program, 2, READ, 1, 3));
        assert!(!run(&program, 1, READ, 8, 0));
    }

    #[test]
    fn no_rules_no_program() {
        assert!(rules(&[]).unwrap().is_empty());
        let bad = r#"[{"allow": true, "access": "rx"}]"#;
        let devices: Vec<LinuxDeviceCgroup> = serde_json::from_str(bad).unwrap();
        assert!(rules(&devices).unwrap_err().to_string().contains("devices[0]: access 'x'"));
    }
}
