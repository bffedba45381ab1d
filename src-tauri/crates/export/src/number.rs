//! Numbers in eight characters.

use crate::limits::NUMBER_CHARS;

/// The decimal nearest to `value` that fits eight characters, without exponent; `None` when there is
/// none (too large, or not finite). Trailing zeros are dropped.
pub(crate) fn fit(value: f64) -> Option<String> {
    if !value.is_finite() {
        return None;
    }
    (0..NUMBER_CHARS)
        .rev()
        .map(|decimals| trim(&format!("{value:.decimals$}")))
        .find(|text| text.len() <= NUMBER_CHARS)
}

fn trim(text: &str) -> String {
    let kept = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        text
    };
    if kept == "-0" {
        "0".to_owned()
    } else {
        kept.to_owned()
    }
}

/// `ticks` of 100 ns as decimal seconds with its sign, as annotations need it ('+12.5', '-0.25').
/// 100 ns is what EDFlib resolves.
pub(crate) fn signed_ticks(ticks: i64) -> String {
    let sign = if ticks < 0 { '-' } else { '+' };
    format!("{sign}{}", unsigned_ticks(ticks.unsigned_abs()))
}

/// `ticks` of 100 ns as decimal seconds without sign ('12.5').
pub(crate) fn unsigned_ticks(ticks: u64) -> String {
    let (whole, rest) = (ticks / TICKS_PER_S, ticks % TICKS_PER_S);
    trim(&format!("{whole}.{rest:07}"))
}

/// Ticks of 100 ns in a second.
pub(crate) const TICKS_PER_S: u64 = 10_000_000;

/// Nanoseconds in a tick.
pub(crate) const NANOS_PER_TICK: i64 = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn eight_characters() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (-6389.76, "-6389.76"),
            (187_499.977_648, "187500"),
            (-187_500.0, "-187500"),
            (0.015_625, "0.015625"),
            (-0.015_626, "-0.01563"),
            (1e-9, "0"),
            (99_999_999.0, "99999999"),
        ] {
            assert_eq!(fit(value).as_deref(), Some(text), "{value}");
        }
        assert_eq!(fit(1e8), None);
        assert_eq!(fit(-1e7), None);
        assert_eq!(fit(f64::NAN), None);
    }

    #[test]
    fn ticks_as_seconds() {
        assert_eq!(signed_ticks(-2_500_000), "-0.25");
        assert_eq!(signed_ticks(0), "+0");
        assert_eq!(signed_ticks(123_456_789), "+12.3456789");
        assert_eq!(unsigned_ticks(20_000_000), "2");
    }

    proptest! {
        #[test]
        fn the_error_is_below_the_last_character(value in -9_999_999.0_f64..99_999_999.0) {
            let text = fit(value).unwrap();
            prop_assert!(text.len() <= 8);
            let read: f64 = text.parse().unwrap();
            // Seven significant characters at worst: the eighth may be the sign or the point.
            prop_assert!((read - value).abs() <= (value.abs() * 1e-5).max(5e-6), "{value} {text}");
        }
    }
}
