//! Kubernetes quantities of memory, as the metrics API prints them. Pure.

/// Bytes of a quantity like `1234Ki`, `56Mi`, `7G`, `128974848`, `129e6` or `500m`.
/// Fractions of a byte are cut. `None` for anything else.
///
/// Source: k8s.io/apimachinery/pkg/api/resource, type Quantity.
pub fn bytes(text: &str) -> Option<u64> {
    const SUFFIXES: [(&str, u128); 12] = [
        ("Ki", 1 << 10),
        ("Mi", 1 << 20),
        ("Gi", 1 << 30),
        ("Ti", 1 << 40),
        ("Pi", 1 << 50),
        ("Ei", 1 << 60),
        ("k", 1_000),
        ("M", 1_000_000),
        ("G", 1_000_000_000),
        ("T", 1_000_000_000_000),
        ("P", 1_000_000_000_000_000),
        ("E", 1_000_000_000_000_000_000),
    ];
    const DIVISORS: [(&str, u128); 3] = [("n", 1_000_000_000), ("u", 1_000_000), ("m", 1_000)];
    for (suffix, factor) in SUFFIXES {
        if let Some(number) = text.strip_suffix(suffix) {
            return scaled(number, factor, 1);
        }
    }
    for (suffix, divisor) in DIVISORS {
        if let Some(number) = text.strip_suffix(suffix) {
            return scaled(number, 1, divisor);
        }
    }
    if let Some((number, exponent)) = text.split_once(['e', 'E']) {
        return scaled(number, 10_u128.checked_pow(exponent.parse().ok()?)?, 1);
    }
    scaled(text, 1, 1)
}

/// `number` × `factor` ÷ `divisor`, without floating point; `number` may have decimals.
fn scaled(number: &str, factor: u128, divisor: u128) -> Option<u64> {
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    let digits: String = [whole, decimals].concat();
    if digits.is_empty() || digits.len() > 30 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value: u128 = digits.parse().ok()?;
    let divisor = divisor.checked_mul(10_u128.checked_pow(decimals.len() as u32)?)?;
    u64::try_from(value.checked_mul(factor)? / divisor).ok()
}

#[test]
fn quantities_of_every_form() {
    let table: &[(&str, Option<u64>)] = &[
        ("0", Some(0)),
        ("128974848", Some(128_974_848)),
        ("1234Ki", Some(1_263_616)),
        ("56Mi", Some(58_720_256)),
        ("1.5Gi", Some(1_610_612_736)),
        ("7G", Some(7_000_000_000)),
        ("129M", Some(129_000_000)),
        ("123k", Some(123_000)),
        ("129e6", Some(129_000_000)),
        ("2E", Some(2_000_000_000_000_000_000)),
        ("500m", Some(0)),
        ("128974848000m", Some(128_974_848)),
        ("1500000000n", Some(1)),
        ("", None),
        ("Ki", None),
        ("-5Ki", None),
        ("1.2.3", None),
        ("5 Mi", None),
        ("99999999999E", None),
        ("1e99", None),
    ];
    for (text, want) in table {
        assert_eq!(bytes(text), *want, "{text}");
    }
}
