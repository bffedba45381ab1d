//! The prefiltering field.

use signal::HardwareFilter;

/// Reads texts such as 'HP:0.1Hz LP:75Hz N:50Hz', 'HP: DC; LP: 417 Hz' and
/// 'BP:0.2-128Hz Notch:50Hz'; what is not understood stays in the text alone.
#[must_use]
pub fn parse_prefilter(text: &str) -> HardwareFilter {
    let mut filter = HardwareFilter {
        text: text.to_owned(),
        ..HardwareFilter::default()
    };
    let upper = text.to_ascii_uppercase();
    filter.high_pass_hz = after(&upper, &["HP"]);
    filter.low_pass_hz = after(&upper, &["LP"]);
    filter.notch_hz = after(&upper, &["NOTCH", "N"]);
    if let Some((low, high)) = band(&upper) {
        filter.high_pass_hz = Some(low);
        filter.low_pass_hz = Some(high);
    }
    filter
}

/// The number after one of the names and a colon; 'DC' is 0 Hz.
fn after(text: &str, names: &[&str]) -> Option<f64> {
    let value = value_text(text, names)?;
    if value.starts_with("DC") {
        return Some(0.0);
    }
    leading_number(value).map(|(number, _)| number)
}

fn value_text<'a>(text: &'a str, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| {
        text.match_indices(name).find_map(|(at, _)| {
            let whole_word = !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
            let rest = text[at + name.len()..].trim_start().strip_prefix(':')?;
            whole_word.then(|| rest.trim_start())
        })
    })
}

fn band(text: &str) -> Option<(f64, f64)> {
    let (low, rest) = leading_number(value_text(text, &["BP"])?)?;
    let rest = rest.trim_start_matches("HZ").trim_start();
    let (high, _) = leading_number(rest.strip_prefix('-')?.trim_start())?;
    Some((low, high))
}

fn leading_number(text: &str) -> Option<(f64, &str)> {
    let end = (text.find(|c: char| !c.is_ascii_digit() && c != '.')).unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    let rest = &text[end..];
    let scale = if rest.trim_start().starts_with("KHZ") {
        1e3
    } else {
        1.0
    };
    Some((number * scale, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_met_in_practice() {
        for (text, high_pass, low_pass, notch) in [
            ("HP:0.1Hz LP:75Hz N:50Hz", Some(0.1), Some(75.0), Some(50.0)),
            (
                "HP:0.500000Hz LP:45.000000Hz R",
                Some(0.5),
                Some(45.0),
                None,
            ),
            ("HP: DC; LP: 417 Hz", Some(0.0), Some(417.0), None),
            (
                "BP:0.2-128Hz Notch:50Hz",
                Some(0.2),
                Some(128.0),
                Some(50.0),
            ),
            ("BP:0.1-1.6Hz", Some(0.1), Some(1.6), None),
            ("UNKNOWN", None, None, None),
            ("No filtering", None, None, None),
            ("", None, None, None),
        ] {
            let filter = parse_prefilter(text);
            let found = (filter.high_pass_hz, filter.low_pass_hz, filter.notch_hz);
            assert_eq!(found, (high_pass, low_pass, notch), "{text}");
            assert_eq!(filter.text, text);
        }
    }
}
