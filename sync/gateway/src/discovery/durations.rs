//! Lengths of time as Go's programs write them: `10s`, `1m30s`, `250ms`.

use std::time::Duration;

const UNITS: [(&str, f64); 6] = [
    ("ns", 1e-9),
    ("us", 1e-6),
    ("ms", 1e-3),
    ("h", 3_600.0),
    ("m", 60.0),
    ("s", 1.0),
];

/// Reads one; none if it is none.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest.is_empty() || rest.len() > 64 {
        return None;
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest
            .bytes()
            .take_while(|b| b.is_ascii_digit() || *b == b'.')
            .count();
        let value: f64 = rest.get(..digits)?.parse().ok()?;
        rest = &rest[digits..];
        let (unit, factor) = UNITS.into_iter().find(|(unit, _)| rest.starts_with(unit))?;
        seconds += value * factor;
        rest = &rest[unit.len()..];
    }
    Duration::try_from_secs_f64(seconds).ok()
}

/// Writes one as Go would, in whole seconds or milliseconds.
pub(crate) fn render(length: Duration) -> String {
    if length.subsec_millis() == 0 {
        format!("{}s", length.as_secs())
    } else {
        format!("{}ms", length.as_millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_as_go_writes_them() {
        for (text, ms) in [
            ("10s", 10_000),
            ("1m30s", 90_000),
            ("250ms", 250),
            ("1.5h", 5_400_000),
            ("5m0s", 300_000),
        ] {
            assert_eq!(parse(text), Some(Duration::from_millis(ms)), "{text}");
        }
        for text in [
            "",
            "10",
            "s",
            "-5s",
            "1x",
            "10 s",
            "1e400s",
            "9999999999999999999999h",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(
            (
                render(Duration::from_secs(10)),
                render(Duration::from_millis(1_500))
            ),
            ("10s".into(), "1500ms".into())
        );
    }
}
