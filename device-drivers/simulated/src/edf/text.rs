//! Texts of headers and annotations: ASCII by the standard, UTF-8 or Latin-1 in practice.

/// UTF-8 where it is, else Latin-1, whose bytes are the first 256 code points.
pub(super) fn decode(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

/// A header field: decoded, without the spaces (or zero bytes) that fill it.
pub(super) fn field(bytes: &[u8]) -> String {
    decode(bytes)
        .trim_matches(|c: char| c == '\0' || c.is_whitespace())
        .to_owned()
}

/// A label fit for an error message.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}
