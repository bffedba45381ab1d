//! Canonical JSON after RFC 8785 (JCS): one byte sequence for one value, so that it can be hashed.
//!
//! Allowed: null, booleans, strings, arrays, objects, and numbers up to 2^53 − 1 in magnitude.
//! Refused: larger numbers (a reader that keeps doubles would see another value), and nesting or
//! sizes beyond [`crate::limits`]. Object members are ordered by the UTF-16 code units of their
//! names (RFC 8785 section 3.2.3); numbers are written as ECMAScript writes them (3.2.2.3).

use std::{fmt::Write as _, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Number, Value};

use crate::limits::{MAX_PAYLOAD_BYTES, MAX_PAYLOAD_DEPTH, MAX_SAFE_INTEGER};

/// A JSON text in canonical form. It serialises as a string that holds that very text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CanonicalJson(Arc<str>);

/// Why a value has no canonical form, or a text is not in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CanonicalError {
    /// A number beyond ±(2^53 − 1).
    #[error("canonical JSON: {0} is beyond ±(2^53 − 1); write it as a string")]
    NumberTooLarge(String),
    /// Nested too deeply.
    #[error("canonical JSON: nested deeper than {MAX_PAYLOAD_DEPTH} levels")]
    TooDeep,
    /// Too long.
    #[error("canonical JSON: {0} bytes, of at most {MAX_PAYLOAD_BYTES}")]
    TooLong(usize),
    /// Not JSON at all.
    #[error("canonical JSON: the text does not parse")]
    Parse(#[source] serde_json::Error),
    /// JSON, but spelled otherwise (spaces, order of members, numbers, escapes, repeated members).
    #[error("canonical JSON: the text is not in canonical form")]
    NotCanonical,
}

impl CanonicalJson {
    /// The canonical form of `value`.
    pub fn from_value(value: &Value) -> Result<Self, CanonicalError> {
        let mut out = String::new();
        write_value(&mut out, value, 0)?;
        if out.len() > MAX_PAYLOAD_BYTES {
            return Err(CanonicalError::TooLong(out.len()));
        }
        Ok(Self(out.into()))
    }

    /// Takes a text that must already be canonical, byte for byte.
    pub fn parse(text: &str) -> Result<Self, CanonicalError> {
        if text.len() > MAX_PAYLOAD_BYTES {
            return Err(CanonicalError::TooLong(text.len()));
        }
        let value = serde_json::from_str(text).map_err(CanonicalError::Parse)?;
        let canonical = Self::from_value(&value)?;
        if canonical.as_str() == text {
            Ok(canonical)
        } else {
            Err(CanonicalError::NotCanonical)
        }
    }

    /// Takes a text as it stands, to be judged by [`crate::Entry::check`]: for what was read from
    /// a store, where a changed text must be reported and not hidden behind a read error.
    pub fn unchecked(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, shared: clones of it cost nothing.
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// The value it spells.
    pub fn to_value(&self) -> Result<Value, CanonicalError> {
        serde_json::from_str(&self.0).map_err(CanonicalError::Parse)
    }
}

impl Serialize for CanonicalJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for CanonicalJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

fn write_value(out: &mut String, value: &Value, depth: usize) -> Result<(), CanonicalError> {
    if depth > MAX_PAYLOAD_DEPTH {
        return Err(CanonicalError::TooDeep);
    }
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => write_number(out, number)?,
        Value::String(text) => write_string(out, text),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_value(out, item, depth + 1)?;
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            out.push('{');
            for (i, (name, member)) in sorted.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_string(out, name);
                out.push(':');
                write_value(out, member, depth + 1)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

fn write_number(out: &mut String, number: &Number) -> Result<(), CanonicalError> {
    let too_large = || CanonicalError::NumberTooLarge(number.to_string());
    if let Some(whole) = number.as_i64() {
        if whole.unsigned_abs() > MAX_SAFE_INTEGER.unsigned_abs() {
            return Err(too_large());
        }
        let _ = write!(out, "{whole}"); // a String takes every write
        return Ok(());
    }
    let float = number.as_f64().ok_or_else(too_large)?;
    // Every double from 2^53 on is whole, and would be read back as an integer that is refused.
    if !float.is_finite() || float.abs() > MAX_SAFE_INTEGER as f64 {
        return Err(too_large());
    }
    write_ecmascript(out, float);
    Ok(())
}

/// ECMAScript's Number::toString for a finite number (ECMA-262 section 6.1.6.1.20): Rust's shortest
/// round-trip digits are those of the standard, but for a tie between two of them, and laid out
/// otherwise.
fn write_ecmascript(out: &mut String, float: f64) {
    if float == 0.0 {
        out.push('0'); // also for −0
        return;
    }
    let shortest = format!("{:e}", float.abs());
    // Of two shortest forms equally near, the even one is due (RFC 8785 section 3.2.2.3, note 2);
    // correct rounding to that many digits gives it, and the same digits where there is no tie.
    let decimals = shortest
        .bytes()
        .take_while(|b| *b != b'e')
        .count()
        .saturating_sub(2);
    let rounded = format!("{:.decimals$e}", float.abs());
    let same = rounded
        .parse::<f64>()
        .is_ok_and(|value| value == float.abs());
    let scientific = if same { rounded } else { shortest };
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let digits = mantissa.replace('.', "");
    let count = digits.len() as i32;
    // The decimal point stands after `point` digits.
    let point = exponent.parse::<i32>().unwrap_or(0) + 1;
    if float < 0.0 {
        out.push('-');
    }
    if count <= point && point <= 21 {
        out.push_str(&digits);
        out.extend(std::iter::repeat_n('0', (point - count) as usize));
    } else if 0 < point && point <= 21 {
        let (whole, fraction) = digits.split_at(point as usize);
        let _ = write!(out, "{whole}.{fraction}");
    } else if -6 < point && point <= 0 {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', -point as usize));
        out.push_str(&digits);
    } else {
        let (first, rest) = digits.split_at(1);
        let dot = if rest.is_empty() { "" } else { "." };
        let _ = write!(out, "{first}{dot}{rest}e{:+}", point - 1);
    }
}

fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_rfc_8785_appendix_b() {
        let cases: [(u64, &str); 21] = [
            (0x0000000000000000, "0"),
            (0x8000000000000000, "0"),
            (0x0000000000000001, "5e-324"),
            (0x8000000000000001, "-5e-324"),
            (0x7fefffffffffffff, "1.7976931348623157e+308"),
            (0xffefffffffffffff, "-1.7976931348623157e+308"),
            (0x4340000000000000, "9007199254740992"),
            (0xc340000000000000, "-9007199254740992"),
            (0x4430000000000000, "295147905179352830000"),
            (0x44b52d02c7e14af5, "9.999999999999997e+22"),
            (0x44b52d02c7e14af6, "1e+23"),
            (0x44b52d02c7e14af7, "1.0000000000000001e+23"),
            (0x444b1ae4d6e2ef4e, "999999999999999700000"),
            (0x444b1ae4d6e2ef4f, "999999999999999900000"),
            (0x444b1ae4d6e2ef50, "1e+21"),
            (0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7"),
            (0x3eb0c6f7a0b5ed8d, "0.000001"),
            (0x41b3de4355555553, "333333333.3333332"),
            (0x41b3de4355555555, "333333333.3333333"),
            (0xbecbf647612f3696, "-0.0000033333333333333333"),
            (0x43143ff3c1cb0959, "1424953923781206.2"),
        ];
        for (bits, expected) in cases {
            let mut out = String::new();
            write_ecmascript(&mut out, f64::from_bits(bits));
            assert_eq!(out, expected, "bits {bits:016x}");
        }
    }
}
