//! Paging through a recording: where a page begins, where a jump leads, what the overview bar shows.

use crate::format::{ns_of, seconds_between};
use crate::limits::PAGE_OVERLAP;

/// A stretch of a recording on the page.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Stretch {
    /// First sample of the recording, ns since 1970 UTC.
    pub begin_ns: i64,
    /// Last sample known, ns since 1970 UTC.
    pub end_ns: i64,
    /// Begin of the page, ns since 1970 UTC.
    pub from_ns: i64,
    /// Length of the page, s.
    pub page_s: f64,
}

impl Stretch {
    /// Latest begin of a page: the last page ends where the recording does.
    #[must_use]
    pub fn last_from(&self) -> i64 {
        (self.end_ns - ns_of(self.page_s)).max(self.begin_ns)
    }

    fn to(mut self, from_ns: i64) -> Self {
        self.from_ns = from_ns.clamp(self.begin_ns, self.last_from());
        self
    }

    /// So many pages on (or back).
    #[must_use]
    pub fn pages(self, count: i8) -> Self {
        let step = self.page_s * (1.0 - PAGE_OVERLAP);
        self.to(self.from_ns + ns_of(step * f64::from(count)))
    }

    /// So many seconds on (or back).
    #[must_use]
    pub fn seconds(self, count: i8) -> Self {
        self.to(self.from_ns + ns_of(f64::from(count)))
    }

    /// To the begin.
    #[must_use]
    pub fn first(self) -> Self {
        self.to(self.begin_ns)
    }

    /// To the end.
    #[must_use]
    pub fn last(self) -> Self {
        self.to(self.last_from())
    }

    /// To a page with this moment at a quarter of it, so that what led to it is seen as well.
    #[must_use]
    pub fn around(self, ns: i64) -> Self {
        self.to(ns - ns_of(self.page_s / 4.0))
    }

    /// To a page that begins there.
    #[must_use]
    pub fn at(self, from_ns: i64) -> Self {
        self.to(from_ns)
    }

    /// Another time base, with the middle of the page kept.
    #[must_use]
    pub fn with_page(mut self, page_s: f64) -> Self {
        let middle = self.from_ns + ns_of(self.page_s / 2.0);
        self.page_s = page_s;
        self.to(middle - ns_of(page_s / 2.0))
    }

    /// Length of the recording, s.
    #[must_use]
    pub fn whole_s(&self) -> f64 {
        seconds_between(self.begin_ns, self.end_ns).max(0.0)
    }

    /// Part of the recording, 0 to 1, at which a moment lies.
    #[must_use]
    pub fn part(&self, ns: i64) -> f64 {
        let whole = self.whole_s();
        if whole <= 0.0 {
            return 0.0;
        }
        (seconds_between(self.begin_ns, ns) / whole).clamp(0.0, 1.0)
    }

    /// The moment at a part of the recording.
    #[must_use]
    pub fn moment(&self, part: f64) -> i64 {
        self.begin_ns + ns_of(self.whole_s() * part.clamp(0.0, 1.0))
    }

    /// The nearest of `moments` after (1) or before (-1) the page's first quarter, where a jump puts its aim.
    #[must_use]
    pub fn next(&self, moments: impl Iterator<Item = i64>, direction: i8) -> Option<i64> {
        let here = self.from_ns + ns_of(self.page_s / 4.0);
        let slack = ns_of(0.001); // a jump that was rounded does not find its own aim again
        if direction >= 0 {
            moments.filter(|ns| *ns > here + slack).min()
        } else {
            moments.filter(|ns| *ns < here - slack).max()
        }
    }
}

/// The next choice of a menu after (1) or before (-1) the one in force, which may stand between two.
#[must_use]
pub fn step(choices: &[f64], now: f64, direction: i8) -> f64 {
    let mut sorted = choices.to_vec();
    sorted.sort_by(f64::total_cmp);
    let found = if direction >= 0 {
        sorted.into_iter().find(|choice| *choice > now + 1e-9)
    } else {
        sorted.into_iter().rev().find(|choice| *choice < now - 1e-9)
    };
    found.unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    fn minute() -> Stretch {
        Stretch {
            begin_ns: 100 * S,
            end_ns: 160 * S,
            from_ns: 100 * S,
            page_s: 10.0,
        }
    }

    #[test]
    fn paging_stays_within_the_recording() {
        assert_eq!(minute().pages(-1).from_ns, 100 * S);
        assert_eq!(minute().pages(1).from_ns, 110 * S);
        assert_eq!(minute().last().from_ns, 150 * S);
        assert_eq!(minute().last().pages(1).from_ns, 150 * S);
        assert_eq!(minute().last().seconds(-1).from_ns, 149 * S);
        let short = Stretch {
            end_ns: 104 * S,
            ..minute()
        };
        assert_eq!(short.last().from_ns, 100 * S);
    }

    #[test]
    fn a_jump_shows_what_led_to_it_and_the_time_base_keeps_the_middle() {
        assert_eq!(minute().around(130 * S).from_ns, 130 * S - S * 5 / 2);
        let page = minute().at(120 * S).with_page(20.0);
        assert_eq!(page.from_ns, 115 * S);
        assert_eq!(minute().with_page(3600.0).from_ns, 100 * S);
    }

    #[test]
    fn the_next_mark_is_found_in_both_directions() {
        let marks = [105 * S, 130 * S, 150 * S];
        let page = minute().around(130 * S);
        assert_eq!(page.next(marks.into_iter(), 1), Some(150 * S));
        assert_eq!(page.next(marks.into_iter(), -1), Some(105 * S));
        assert_eq!(minute().next([101 * S].into_iter(), 1), None);
    }

    #[test]
    fn the_bar_and_the_recording_agree() {
        assert!((minute().part(130 * S) - 0.5).abs() < 1e-12);
        assert_eq!(minute().moment(0.5), 130 * S);
        let empty = Stretch::default();
        assert_eq!(empty.part(5), 0.0);
    }

    #[test]
    fn menus_step_and_stop_at_their_ends() {
        let choices = [1.0, 2.0, 5.0, 7.0, 10.0];
        assert_eq!(step(&choices, 7.0, 1), 10.0);
        assert_eq!(step(&choices, 7.0, -1), 5.0);
        assert_eq!(step(&choices, 6.0, 1), 7.0);
        assert_eq!(step(&choices, 10.0, 1), 10.0);
        assert_eq!(step(&choices, 1.0, -1), 1.0);
    }
}
