//! Texts from outside: cut, and without characters that steer a reader.

use crate::limits::{MAX_FIELD_CHARS, MAX_TEXT_CHARS};

/// `text` on one line, without control and direction characters, no longer than a field may be.
pub(crate) fn field(text: &str) -> String {
    let mut out: String = text
        .chars()
        .take(MAX_FIELD_CHARS + 1)
        .map(|c| {
            if c.is_control() || c.is_whitespace() {
                ' '
            } else {
                c
            }
        })
        .filter(|c| !steering(*c))
        .collect();
    if out.chars().count() > MAX_FIELD_CHARS {
        out = out.chars().take(MAX_FIELD_CHARS - 1).chain(['…']).collect();
    }
    out
}

/// The lines of a longer text, each cleaned like a [`field`] and not cut; blank ones are left out.
pub(crate) fn paragraphs(text: &str) -> Vec<String> {
    let text: String = text.chars().take(MAX_TEXT_CHARS).collect();
    text.lines()
        .map(|line| {
            line.chars()
                .map(|c| {
                    if c.is_control() || c.is_whitespace() {
                        ' '
                    } else {
                        c
                    }
                })
                .filter(|c| !steering(*c))
                .collect::<String>()
        })
        .map(|line| line.trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect()
}

/// Characters that turn the direction of what follows or are not seen: a name could hide another.
const fn steering(c: char) -> bool {
    matches!(c,
        '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffc}' | '\u{ad}' | '\u{61c}' | '\u{e0000}'..='\u{e007f}')
}

/// A number with as many decimals as its size needs.
pub(crate) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 0.1 || v == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// A share as per cent.
pub(crate) fn percent(share: f64) -> String {
    if share.is_finite() {
        format!("{:.0} %", share * 100.0)
    } else {
        "–".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_keep_their_lines() {
        let text = format!("a\u{202e}b\r\n\n  c\td \n{}", "x".repeat(1_000));
        let lines = paragraphs(&text);
        assert_eq!(lines[..2], ["ab", "c d"]);
        assert_eq!(lines[2].len(), 1_000, "longer than a field");
        let length: usize = paragraphs(&"y".repeat(100_000))
            .iter()
            .map(String::len)
            .sum();
        assert_eq!(length, MAX_TEXT_CHARS);
    }

    #[test]
    fn fields_stay_on_their_line() {
        assert_eq!(field("a\u{202e}b\nc\u{0}d"), "ab c d");
        assert_eq!(field(&"x".repeat(5_000)).chars().count(), MAX_FIELD_CHARS);
    }
}
