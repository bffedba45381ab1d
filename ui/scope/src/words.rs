//! What the canvas writes: words that the page may put into another language, times, values.

use ui_types::ScopeSettings;

/// English, by the key that the page translates.
const ENGLISH: &[(&str, &str)] = &[
    ("uncalibrated", "uncalibrated screen"),
    ("gap", "gap"),
    ("lasts", "lasts"),
    ("no_data", "no data"),
    ("negative_up", "negative up"),
    ("positive_up", "positive up"),
    ("frozen", "frozen"),
    ("waiting", "waiting for data"),
    ("simulated", "SIMULATED"),
    ("playback", "PLAYBACK"),
    ("overview", "overview: as recorded, unfiltered"),
    ("stale", "stale"),
    ("railed", "railed"),
    ("flat", "flat"),
    ("noisy", "noisy"),
    ("unreadable", "messages could not be read"),
];

/// The page's word for a key, else ours, else the key itself.
pub(crate) fn word<'a>(settings: &'a ScopeSettings, key: &'a str) -> &'a str {
    if let Some(word) = settings.words.get(key) {
        return word;
    }
    ENGLISH
        .iter()
        .find(|(known, _)| *known == key)
        .map_or(key, |(_, word)| word)
}

/// The unit as it is printed.
pub(crate) fn unit(unit: &str) -> &str {
    match unit {
        "uV" | "\u{3bc}V" => "µV",
        other => other,
    }
}

/// A value, or the least and the greatest where they differ visibly.
pub(crate) fn value([low, high]: [f32; 2], symbol: &str) -> String {
    let apart = (high - low).abs();
    let size = low.abs().max(high.abs());
    let text = if apart <= size * 0.05 || apart < 0.05 {
        number(f64::midpoint(f64::from(low), f64::from(high)))
    } else {
        format!("{} … {}", number(low.into()), number(high.into()))
    };
    format!("{text} {}", unit(symbol)).trim_end().to_owned()
}

/// Three significant figures at most, with a true minus sign.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    let decimals = if size >= 100.0 {
        0
    } else if size >= 10.0 {
        1
    } else {
        2
    };
    let text = format!("{value:.decimals$}");
    // −0.00 is zero.
    if text
        .trim_start_matches('-')
        .chars()
        .all(|c| matches!(c, '0' | '.'))
    {
        return "0".to_owned();
    }
    text.replace('-', "−")
}

/// A setting or a scale, as short as it can be written.
pub(crate) fn setting(value: f64) -> String {
    let text = number(value);
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// A length of time.
pub(crate) fn seconds(value: f64) -> String {
    if value < 1.0 {
        format!("{:.0} ms", value * 1e3)
    } else if value < 60.0 {
        format!("{value:.1} s")
    } else {
        let whole = value.round() as i64;
        if whole < 3_600 {
            format!("{} min {:02} s", whole / 60, whole % 60)
        } else {
            format!("{} h {:02} min", whole / 3_600, whole / 60 % 60)
        }
    }
}

/// Time of day in a zone; with milliseconds where asked.
pub(crate) fn clock(utc_ns: i64, zone_offset_min: i32, millis: bool) -> String {
    let local_ms = utc_ns.div_euclid(1_000_000) + i64::from(zone_offset_min) * 60_000;
    let day_ms = local_ms.rem_euclid(86_400_000);
    let (hours, minutes, seconds) = (
        day_ms / 3_600_000,
        day_ms / 60_000 % 60,
        day_ms / 1_000 % 60,
    );
    if millis {
        format!("{hours:02}:{minutes:02}:{seconds:02}.{:03}", day_ms % 1_000)
    } else {
        format!("{hours:02}:{minutes:02}:{seconds:02}")
    }
}

/// Time since the recording's begin.
pub(crate) fn elapsed(ns: i64) -> String {
    let sign = if ns < 0 { "−" } else { "+" };
    let ms = ns.unsigned_abs() / 1_000_000;
    format!(
        "{sign}{:02}:{:02}:{:02}.{:03}",
        ms / 3_600_000,
        ms / 60_000 % 60,
        ms / 1_000 % 60,
        ms % 1_000
    )
}

/// 'UTC+02:00'.
pub(crate) fn zone(offset_min: i32) -> String {
    let sign = if offset_min < 0 { '−' } else { '+' };
    let minutes = offset_min.unsigned_abs();
    format!("UTC{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

/// At most so many characters, with a sign where something is left out.
pub(crate) fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(most.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_values_read_well() {
        assert_eq!(clock(1_700_000_000_123_000_000, 60, true), "23:13:20.123");
        assert_eq!(clock(-1, -90, false), "22:29:59");
        assert_eq!(elapsed(3_723_004_000_000), "+01:02:03.004");
        assert_eq!(zone(-90), "UTC−01:30");
        assert_eq!(seconds(0.0351), "35 ms");
        assert_eq!(seconds(2.345), "2.3 s");
        assert_eq!(seconds(125.0), "2 min 05 s");
        assert_eq!(value([-23.0, -23.0], "uV"), "−23.0 µV");
        assert_eq!(value([-20.0, 120.4], "µV"), "−20.0 … 120 µV");
        assert_eq!(number(-0.001), "0");
        assert_eq!(
            [0.5, 1.0, 50.0, 100.0].map(setting),
            ["0.5", "1", "50", "100"]
        );
        assert_eq!(short("Hyperventilation", 5), "Hype…");
    }
}
