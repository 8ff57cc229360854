//! Numbers and names as people read them: fixed digits, units, nothing that can break a line.

/// A megabyte of this report, in bytes.
pub const MB: f64 = 1e6;

/// What stands where there is no value.
pub const NONE: &str = "–";

/// Megabytes of 10^6 bytes with two decimals, without the unit.
pub fn mb(bytes: f64) -> String {
    fixed(bytes / MB, 2)
}

/// Kilobytes of 1000 bytes without decimals, without the unit.
pub fn kb(bytes: f64) -> String {
    fixed(bytes / 1e3, 0)
}

/// Milliseconds without decimals, without the unit.
pub fn ms(nanoseconds: f64) -> String {
    fixed(nanoseconds / 1e6, 0)
}

/// A ratio with two decimals and the sign for "times".
pub fn times(ratio: f64) -> String {
    format!("{} ×", fixed(ratio, 2))
}

/// `value` with `decimals` digits after the point and commas between thousands.
pub fn fixed(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    let digits = format!("{:.decimals$}", value.abs());
    let (whole, rest) = digits.split_once('.').unwrap_or((&digits, ""));
    let mut text = String::new();
    if value < 0.0 && digits.chars().any(|digit| matches!(digit, '1'..='9')) {
        text.push('−');
    }
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if !rest.is_empty() {
        text.push('.');
        text.push_str(rest);
    }
    text
}

/// A machine's memory: whole gigabytes would hide too much, three digits do not.
pub fn gb(bytes: u64) -> String {
    format!("{} GB", fixed(bytes as f64 / 1e9, 1))
}

/// A length of time in words: `47 s`, `12 min 5 s`, `3 h 20 min`.
pub fn duration(nanoseconds: f64) -> String {
    let seconds = (nanoseconds / 1e9).round().clamp(0.0, 1e12) as u64;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A wall-clock time in UTC, to the second.
pub fn utc(nanoseconds: i64) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(nanoseconds))
        .map_or_else(|_| NONE.to_owned(), |time| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

/// A name from a file without what could move a cursor, break a line or an XML parser.
pub fn clean(text: &str) -> String {
    let bad = |character: char| {
        character.is_control()
            || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}')
            || matches!(character, '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
    };
    text.chars().map(|character| if bad(character) { '\u{fffd}' } else { character }).collect()
}

/// At most `limit` characters of `text`, with an ellipsis if some are missing.
pub fn shorten(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let kept: String = text.chars().take(limit.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// `1 pod`, `2 pods`.
pub fn count(number: usize, one: &str, many: &str) -> String {
    format!("{} {}", fixed(number as f64, 0), if number == 1 { one } else { many })
}

/// `a`, `a and b`, `a, b and c`.
pub fn join(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [only] => only.clone(),
        [init @ .., last] => format!("{} and {last}", init.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_fixed_digits_and_commas() {
        let table: &[(f64, usize, &str)] = &[
            (0.0, 2, "0.00"),
            (-0.001, 2, "0.00"),
            (-1.5, 1, "−1.5"),
            (999.995, 1, "1,000.0"),
            (1_234_567.0, 0, "1,234,567"),
            (123_456.0, 0, "123,456"),
            (12.0, 0, "12"),
            (f64::NAN, 1, NONE),
        ];
        for &(value, decimals, want) in table {
            assert_eq!(fixed(value, decimals), want, "{value}");
        }
    }

    #[test]
    fn lengths_of_time() {
        let table =
            [(47e9, "47 s"), (725e9, "12 min 5 s"), (12_000e9, "3 h 20 min"), (-1.0, "0 s")];
        for (nanoseconds, want) in table {
            assert_eq!(duration(nanoseconds), want);
        }
        assert_eq!(utc(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(utc(i64::MAX), "2262-04-11 23:47:16 UTC");
    }

    #[test]
    fn names_cannot_move_the_cursor() {
        assert_eq!(clean("a\u{1b}[31mb\nc\u{202e}"), "a\u{fffd}[31mb\u{fffd}c\u{fffd}");
        assert_eq!(shorten("wamr-crun", 5), "wamr…");
        assert_eq!(join(&["a".into(), "b".into(), "c".into()]), "a, b and c");
    }
}
