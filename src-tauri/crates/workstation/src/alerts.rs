//! What a running session calls people's attention to. No alarms in the sense of IEC 60601-1-8.

use crate::limits::ALERTS_KEPT;
use events::payloads::Severity;
use signal::UtcNanos;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Something that a person should look at.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// Since when.
    pub at: UtcNanos,
    /// Channel, stream or electrode it is about; `None` for the whole session.
    pub channel: Option<String>,
    /// What ('flat', 'no_data', 'disk_low', …).
    pub issue: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What happened and what to do.
    pub text: String,
    /// Whether it still holds.
    pub active: bool,
}

impl Alert {
    /// One that holds from `at` on, about the whole session.
    pub(crate) fn new(
        at: UtcNanos,
        issue: &'static str,
        severity: Severity,
        text: impl Into<String>,
    ) -> Self {
        Self {
            at,
            channel: None,
            issue,
            severity,
            text: text.into(),
            active: true,
        }
    }

    /// The same, about one channel.
    pub(crate) fn of(self, channel: &str) -> Self {
        Self {
            channel: Some(channel.to_owned()),
            ..self
        }
    }

    /// The same, about something that was over at once.
    pub(crate) fn over(self) -> Self {
        Self {
            active: false,
            ..self
        }
    }
}

/// The alerts of one session, oldest first inside.
#[derive(Debug, Default)]
pub(crate) struct AlertBook(Mutex<VecDeque<Alert>>);

impl AlertBook {
    /// Enters an alert; one of the same issue and channel that still holds takes its words and its
    /// severity instead, and keeps its time. Says whether it is a new one.
    pub(crate) fn raise(&self, alert: Alert) -> bool {
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let held = book
            .iter_mut()
            .find(|held| held.active && same(held, alert.channel.as_deref(), alert.issue));
        if let Some(held) = held {
            held.severity = alert.severity;
            held.text = alert.text;
            return false;
        }
        if book.len() >= ALERTS_KEPT {
            // What is over goes first; what holds is the last that may be forgotten.
            let oldest = book.iter().position(|old| !old.active).unwrap_or(0);
            book.remove(oldest);
        }
        book.push_back(alert);
        true
    }

    /// Notes that something is over. Says whether it held until now.
    pub(crate) fn settle(&self, channel: Option<&str>, issue: &str) -> bool {
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held = false;
        for alert in book.iter_mut().filter(|alert| same(alert, channel, issue)) {
            held |= std::mem::take(&mut alert.active);
        }
        held
    }

    /// All, newest first.
    pub(crate) fn newest_first(&self) -> Vec<Alert> {
        let book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        book.iter().rev().cloned().collect()
    }
}

fn same(alert: &Alert, channel: Option<&str>, issue: &str) -> bool {
    alert.issue == issue && alert.channel.as_deref() == channel
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(s: i64, issue: &'static str) -> Alert {
        let at = UtcNanos(s * signal::NANOS_PER_S);
        Alert::new(at, issue, Severity::Warning, "look")
    }

    #[test]
    fn one_that_holds_is_entered_once_and_comes_back_after_it_was_over() {
        let book = AlertBook::default();
        book.raise(alert(1, "flat").of("Fp1"));
        book.raise(alert(2, "flat").of("Fp1"));
        book.raise(alert(3, "flat").of("Fp2"));
        let seen = book.newest_first();
        assert_eq!(seen.len(), 2);
        assert_eq!(seen[1].at, UtcNanos(signal::NANOS_PER_S));
        book.settle(Some("Fp1"), "flat");
        book.raise(alert(4, "flat").of("Fp1"));
        let seen = book.newest_first();
        let held: Vec<_> = seen
            .iter()
            .map(|a| (a.channel.as_deref(), a.active))
            .collect();
        let (one, two) = (Some("Fp1"), Some("Fp2"));
        assert_eq!(held, [(one, true), (two, true), (one, false)]);
    }

    #[test]
    fn what_is_over_is_forgotten_first() {
        let book = AlertBook::default();
        book.raise(alert(0, "no_data"));
        for s in 0..2 * ALERTS_KEPT as i64 {
            book.raise(alert(s, "clock_stepped").over());
        }
        let seen = book.newest_first();
        assert_eq!(seen.len(), ALERTS_KEPT);
        assert_eq!(seen.last().map(|a| a.issue), Some("no_data"));
    }
}
