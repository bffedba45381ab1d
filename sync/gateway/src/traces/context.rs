//! The context of a trace as it crosses the wire: W3C Trace Context, `traceparent`.

use std::fmt;

use axum::http::{HeaderMap, HeaderName};

pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub(crate) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Flag of a trace that is recorded (section 3.2.2.5).
const SAMPLED: u8 = 1;

/// A place in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    pub(super) trace: [u8; 16],
    pub(super) span: [u8; 8],
    pub(super) sampled: bool,
}

impl Context {
    /// Reads a `traceparent`; none where it does not hold (section 3.2.2).
    pub fn parse(value: &[u8]) -> Option<Self> {
        let fields: Vec<&[u8]> = value.split(|&b| b == b'-').collect();
        let [version, trace, span, flags, rest @ ..] = fields.as_slice() else {
            return None;
        };
        let [version] = bytes::<1>(version)?;
        // Later versions may add fields; this one has four.
        if version == 0xff || (version == 0 && !rest.is_empty()) {
            return None;
        }
        let [flags] = bytes::<1>(flags)?;
        let context = Self {
            trace: bytes(trace)?,
            span: bytes(span)?,
            sampled: flags & SAMPLED != 0,
        };
        let set = |id: &[u8]| id.iter().any(|&b| b != 0);
        (set(&context.trace) && set(&context.span)).then_some(context)
    }

    /// That of a request; none where it says none, or two.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut all = headers.get_all(TRACEPARENT).iter();
        let one = all.next().filter(|_| all.next().is_none());
        Self::parse(one?.as_bytes())
    }

    /// The trace's id, as logs and receivers name it.
    pub fn trace_id(&self) -> String {
        crate::trust::hex(&self.trace)
    }

    /// Whether the trace is recorded.
    pub fn is_sampled(&self) -> bool {
        self.sampled
    }
}

/// As `traceparent` says it.
impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("00-")?;
        self.trace.iter().try_for_each(|b| write!(f, "{b:02x}"))?;
        f.write_str("-")?;
        self.span.iter().try_for_each(|b| write!(f, "{b:02x}"))?;
        write!(f, "-{:02x}", u8::from(self.sampled))
    }
}

/// Bytes as small hexadecimal digits alone write them.
fn bytes<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = (digit(pair[0])? << 4) | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_that_holds_is_read_and_no_other() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(Context::parse(good.as_bytes()).unwrap().to_string(), good);
        let later = format!("{}-more", good.replacen("00", "01", 1));
        assert_eq!(Context::parse(later.as_bytes()).unwrap().to_string(), good);
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        ] {
            assert_eq!(Context::parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
