//! Which time stands at which pixel: sweep, scroll and page are the same strip of pixel columns, counted
//! without end, seen through windows of different kinds.

use ui_types::ScopeMode;

/// Nanoseconds in a second.
pub(crate) const SECOND_NS: f64 = 1e9;

/// The strip of pixel columns and the part of it that is shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Window {
    mode: ScopeMode,
    /// Physical pixels of a page.
    width: i64,
    /// Time of a pixel column, ns.
    px_ns: f64,
    /// Begin of pixel column 0, ns since 1970 UTC.
    origin_ns: i64,
    /// Newest pixel column.
    head: i64,
    /// Columns left blank ahead of the write position of a sweep.
    blank: i64,
}

impl Window {
    /// A live strip whose pages begin at multiples of the page's length, so that seconds stand still while
    /// pages are written over, shifted by less than a pixel to where `column_ns` begins: a column of the
    /// feed then covers a column of pixels.
    pub(crate) fn live(
        mode: ScopeMode,
        width: usize,
        page_s: f64,
        column_ns: i64,
        blank: usize,
    ) -> Self {
        let width = i64::try_from(width).unwrap_or(1).max(1);
        let page_ns = page_s * SECOND_NS;
        let px_ns = page_ns / width as f64;
        let grid_ns = ((column_ns as f64 / page_ns).floor() * page_ns) as i64;
        let into_px = (column_ns.saturating_sub(grid_ns) as f64).rem_euclid(px_ns);
        Self {
            mode,
            width,
            px_ns,
            origin_ns: grid_ns.saturating_add(into_px as i64),
            head: i64::MIN / 4,
            blank: if mode == ScopeMode::Sweep {
                i64::try_from(blank).unwrap_or(0).min(width / 4)
            } else {
                0
            },
        }
    }

    /// A page that begins at `from_ns`.
    pub(crate) fn page(width: usize, page_s: f64, from_ns: i64) -> Self {
        let width = i64::try_from(width).unwrap_or(1).max(1);
        Self {
            mode: ScopeMode::Review,
            width,
            px_ns: page_s * SECOND_NS / width as f64,
            origin_ns: from_ns,
            head: width - 1,
            blank: 0,
        }
    }

    /// Makes the pixel column that holds `newest_ns` the newest.
    pub(crate) fn advance(&mut self, newest_ns: i64) {
        if self.mode != ScopeMode::Review {
            self.head = self.pixel(newest_ns);
        }
    }

    /// Whether a pixel column is the same moment on both, however far either has been written.
    pub(crate) fn is_same_strip(&self, other: &Self) -> bool {
        let strip = |window: &Self| (window.mode, window.width, window.px_ns, window.origin_ns);
        strip(self) == strip(other)
    }

    pub(crate) fn head(&self) -> i64 {
        self.head
    }

    pub(crate) fn width(&self) -> i64 {
        self.width
    }

    pub(crate) fn blank(&self) -> i64 {
        self.blank
    }

    pub(crate) fn px_ns(&self) -> f64 {
        self.px_ns
    }

    pub(crate) fn page_s(&self) -> f64 {
        self.px_ns * self.width as f64 / SECOND_NS
    }

    /// The pixel columns shown, in order of time.
    pub(crate) fn columns(&self) -> std::ops::Range<i64> {
        self.head + 1 - self.width + self.blank..self.head + 1
    }

    /// The pixel column that holds a time.
    pub(crate) fn pixel(&self, utc_ns: i64) -> i64 {
        self.position(utc_ns).floor() as i64
    }

    /// Where a time stands on the strip, in pixel columns.
    pub(crate) fn position(&self, utc_ns: i64) -> f64 {
        // Beyond this nothing is drawn, and differences of columns stay far from overflow.
        const FAR: f64 = (1_i64 << 40) as f64;
        (utc_ns.saturating_sub(self.origin_ns) as f64 / self.px_ns).clamp(-FAR, FAR)
    }

    /// Begin of a pixel column, ns since 1970 UTC; also between columns.
    pub(crate) fn time(&self, position: f64) -> i64 {
        self.origin_ns
            .saturating_add((position * self.px_ns) as i64)
    }

    /// Where a column is kept in the ring of columns that has been drawn.
    pub(crate) fn slot(&self, column: i64) -> usize {
        usize::try_from(column.rem_euclid(self.width)).unwrap_or(0)
    }

    /// Ring position that stands at the left edge.
    pub(crate) fn left_slot(&self) -> usize {
        match self.mode {
            ScopeMode::Scroll => self.slot(self.head + 1 - self.width),
            ScopeMode::Sweep | ScopeMode::Review => 0,
        }
    }

    /// Distance of a strip position from the left edge, pixels, when it is shown.
    pub(crate) fn x(&self, position: f64) -> Option<f64> {
        let columns = self.columns();
        if !(position >= columns.start as f64 && position <= columns.end as f64) {
            return None;
        }
        Some(match self.mode {
            ScopeMode::Sweep => position.rem_euclid(self.width as f64),
            ScopeMode::Scroll | ScopeMode::Review => position - columns.start as f64,
        })
    }

    /// The strip position at a distance from the left edge; `None` in the blank band of a sweep.
    pub(crate) fn at_x(&self, x: f64) -> Option<f64> {
        if !(0.0..=self.width as f64).contains(&x) {
            return None;
        }
        let columns = self.columns();
        match self.mode {
            ScopeMode::Sweep => {
                let page = (self.head as f64 / self.width as f64).floor() * self.width as f64;
                let this = page + x;
                let position = if this < columns.end as f64 {
                    this
                } else {
                    this - self.width as f64
                };
                (position >= columns.start as f64).then_some(position)
            }
            ScopeMode::Scroll | ScopeMode::Review => Some(columns.start as f64 + x),
        }
    }

    /// A stretch of time as one or two stretches of the screen, pixels from the left edge.
    pub(crate) fn spans(&self, from_ns: i64, to_ns: i64) -> impl Iterator<Item = (f64, f64)> {
        let columns = self.columns();
        let from = self.position(from_ns).max(columns.start as f64);
        let to = self.position(to_ns).min(columns.end as f64);
        let width = self.width as f64;
        let (first, second) = if from >= to {
            (None, None)
        } else if self.mode == ScopeMode::Sweep {
            let page = (from / width).floor() * width;
            if to > page + width {
                (Some((from - page, width)), Some((0.0, to - page - width)))
            } else {
                (Some((from - page, to - page)), None)
            }
        } else {
            let left = columns.start as f64;
            (Some((from - left, to - left)), None)
        };
        first.into_iter().chain(second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: i64 = 1_700_000_003_000_000_000;

    fn sweep() -> Window {
        let mut window = Window::live(ScopeMode::Sweep, 1_000, 10.0, BEGIN, 20);
        window.advance(BEGIN + 12_999_999_999);
        window
    }

    #[test]
    fn a_sweep_writes_over_and_leaves_a_band() {
        let window = sweep();
        // 16 s after a multiple of 10 s: the write position stands at 6 of 10 s.
        assert_eq!(window.slot(window.head()), 599);
        assert_eq!(window.columns().count(), 980);
        let newest = window
            .x(window.position(BEGIN + 13_000_000_000))
            .expect("shown");
        assert!((newest - 600.0).abs() < 0.01);
        let old = window
            .x(window.position(BEGIN + 3_500_000_000))
            .expect("the old page, right");
        assert!((old - 650.0).abs() < 0.01, "{old}");
        assert_eq!(
            window.x(window.position(BEGIN + 3_100_000_000)),
            None,
            "in the band"
        );
        assert_eq!(window.at_x(610.0), None);
        let back = window.time(window.at_x(650.0).expect("shown"));
        assert!((back - BEGIN - 3_500_000_000).abs() < 10_000_000);
    }

    #[test]
    fn a_stretch_over_the_edge_is_two() {
        let window = sweep();
        let spans: Vec<_> = window
            .spans(BEGIN + 6_000_000_000, BEGIN + 8_000_000_000)
            .collect();
        assert_eq!(spans.len(), 2, "{spans:?}");
        assert!((spans[0].0 - 900.0).abs() < 0.01 && (spans[0].1 - 1_000.0).abs() < 0.01);
        assert!((spans[1].0).abs() < 0.01 && (spans[1].1 - 100.0).abs() < 0.01);
    }

    #[test]
    fn the_newest_stands_at_the_right_of_a_scroll() {
        let mut window = Window::live(ScopeMode::Scroll, 1_000, 10.0, BEGIN, 20);
        window.advance(BEGIN + 12_999_999_999);
        let newest = window
            .x(window.position(BEGIN + 13_000_000_000))
            .expect("shown");
        assert!((newest - 1_000.0).abs() < 0.01);
        assert_eq!(window.columns().count(), 1_000);
    }

    #[test]
    fn a_column_of_the_feed_covers_a_column_of_pixels() {
        let begin = BEGIN + 123_456_789;
        for width in [777, 1_900, 3_840] {
            let window = Window::live(ScopeMode::Sweep, width, 10.0, begin, 0);
            let first = window.pixel(begin);
            for column in 0..10_000_i64 {
                let middle = begin + ((column as f64 + 0.5) * window.px_ns()) as i64;
                assert_eq!(window.pixel(middle), first + column);
            }
        }
    }

    #[test]
    fn times_beyond_reason_do_no_harm() {
        for time in [i64::MIN, i64::MAX, 0] {
            let mut window = Window::live(ScopeMode::Sweep, 100, 10.0, time, 3);
            window.advance(i64::MAX);
            window.advance(i64::MIN);
            assert!(window.spans(i64::MIN, i64::MAX).count() <= 2);
        }
    }
}
