//! The trace that a call belongs to (W3C Trace Context).
//!
//! The client records no spans of its own, so it hands on what it was given, unchanged (section 3.4).

use std::future::Future;

use crate::limits;

tokio::task_local! {
    static CURRENT: TraceContext;
}

/// `traceparent` and `tracestate` of whoever is being worked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    traceparent: String,
    tracestate: Option<String>,
}

impl TraceContext {
    /// From the headers of a request. `None` where `traceparent` is not valid: then `tracestate` means
    /// nothing either (section 3.2.2.5). A `tracestate` that is not valid is left out.
    pub fn parse(traceparent: &str, tracestate: Option<&str>) -> Option<Self> {
        if !valid(traceparent) {
            return None;
        }
        let sound = |state: &&str| {
            !state.is_empty()
                && state.len() <= limits::TRACESTATE
                && state.bytes().all(|byte| (0x20..0x7f).contains(&byte))
        };
        Some(Self {
            traceparent: traceparent.to_owned(),
            tracestate: tracestate.filter(sound).map(str::to_owned),
        })
    }

    /// The header's value.
    pub fn traceparent(&self) -> &str {
        &self.traceparent
    }

    /// The header's value, if there is one.
    pub fn tracestate(&self) -> Option<&str> {
        self.tracestate.as_deref()
    }

    /// Every call that is made while this future runs belongs to the trace. Tasks that it spawns do not.
    pub fn scope<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        CURRENT.scope(self.clone(), work)
    }
}

pub(crate) fn current() -> Option<TraceContext> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Version, trace, parent and flags in lower-case hexadecimal; later versions may add to that (section 3.2).
fn valid(text: &str) -> bool {
    let fields: Vec<&str> = text.split('-').collect();
    let [version, trace, parent, flags, more @ ..] = fields.as_slice() else {
        return false;
    };
    let hex = |field: &str, length: usize| {
        field.len() == length
            && field
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let known = |field: &str, length| hex(field, length) && field.bytes().any(|byte| byte != b'0');
    hex(version, 2)
        && *version != "ff"
        && known(trace, 32)
        && known(parent, 16)
        && hex(flags, 2)
        && (more.is_empty() || *version != "00")
        && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const PARENT: &str = "b7ad6b7169203331";

    #[test]
    fn a_trace_that_is_not_valid_is_none() {
        let taken = |text: &str| TraceContext::parse(text, None).is_some();
        assert!(taken(&format!("00-{TRACE}-{PARENT}-01")));
        assert!(taken(&format!("01-{TRACE}-{PARENT}-01-more")));
        let zero = "0".repeat(32);
        for bad in [
            String::new(),
            format!("00-{TRACE}-{PARENT}"),
            format!("00-{TRACE}-{PARENT}-01-more"),
            format!("ff-{TRACE}-{PARENT}-01"),
            format!("00-{zero}-{PARENT}-01"),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{}-{PARENT}-01", TRACE.to_uppercase()),
            format!("01-{TRACE}-{PARENT}-01-a\r\nb: c"),
        ] {
            assert!(!taken(&bad), "{bad}");
        }
    }

    #[test]
    fn a_state_that_is_not_valid_is_left_out() {
        let parent = format!("00-{TRACE}-{PARENT}-01");
        let state = |text: &str| {
            let trace = TraceContext::parse(&parent, Some(text));
            trace.and_then(|trace| trace.tracestate().map(str::to_owned))
        };
        assert_eq!(state("a=1,b=2").as_deref(), Some("a=1,b=2"));
        for bad in ["", "a=1\nb", "ä=1", &"a".repeat(513)] {
            assert_eq!(state(bad), None, "{bad}");
        }
    }
}
