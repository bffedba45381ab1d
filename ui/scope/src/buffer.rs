//! The columns kept of one stream: a ring of min/max pairs for each row.

use ui_types::feed::Envelope;

use crate::limits::{MAX_KEPT_VALUES, MIN_KEPT_COLUMNS, SINGLE_SAMPLE};

/// Ring of a stream's newest columns. Columns are numbered as the feed numbers them.
#[derive(Debug, Clone, Default)]
pub(crate) struct StreamBuffer {
    rows: usize,
    rate_hz: f64,
    capacity: usize,
    column_ns: f64,
    /// Where within it a column is drawn, ns from its begin.
    place_ns: i64,
    /// Numbers of the columns held: `first..next`.
    first: u64,
    next: u64,
    /// What is added to the feed's numbers: where samples are missing that nobody counted, a column ends
    /// early and its number comes again, elsewhere in time.
    shift: u64,
    /// Begin of each column, ns since 1970 UTC.
    times: Vec<i64>,
    /// Min and max; the columns of row 0, then those of row 1, …
    values: Vec<[f32; 2]>,
    /// First column that came or changed since [`Self::take_changed`].
    changed: Option<u64>,
}

impl StreamBuffer {
    pub(crate) fn new(rows: usize, rate_hz: f64) -> Self {
        Self {
            rows,
            rate_hz,
            ..Self::default()
        }
    }

    /// Takes the columns in; `keep_ns` is the length that shall be kept. False when they cannot belong to
    /// this stream.
    pub(crate) fn accept(&mut self, envelope: &Envelope, keep_ns: f64) -> bool {
        let columns = envelope.columns as usize;
        let Some(first_column) = self.number(envelope) else {
            return false;
        };
        let Some(end) = first_column.checked_add(columns as u64) else {
            return false;
        };
        if envelope.rows as usize != self.rows
            || !(envelope.column_ns.is_finite() && envelope.column_ns >= 1.0)
            || envelope.values.len() != self.rows * columns * 2
        {
            return false;
        }
        if columns == 0 || self.rows == 0 {
            return true;
        }
        let other_length = (envelope.column_ns / self.column_ns - 1.0).abs() > 1e-6;
        if self.capacity == 0 || other_length {
            self.begin(envelope, first_column, keep_ns);
        }
        if end <= self.first {
            return true; // older than what is kept
        }
        if first_column.saturating_sub(self.next) >= self.capacity as u64 || self.next == self.first
        {
            self.first = first_column;
            self.next = first_column;
        }
        // Columns that never came: blank, at the times they would have had.
        while self.next < first_column {
            let back = (first_column - self.next) as f64 * self.column_ns;
            let time = envelope.time_utc_ns.saturating_sub(back as i64);
            self.put(self.next, time, |_| [f32::NAN; 2]);
        }
        for column in 0..columns {
            let number = first_column + column as u64;
            if number < self.first {
                continue;
            }
            let time = envelope
                .time_utc_ns
                .saturating_add((column as f64 * envelope.column_ns) as i64);
            self.put(number, time, |row| {
                let at = (row * columns + column) * 2;
                [envelope.values[at], envelope.values[at + 1]]
            });
        }
        true
    }

    /// Our number of the first column: the feed's, unless that one is held and stands elsewhere in time.
    fn number(&mut self, envelope: &Envelope) -> Option<u64> {
        let number = envelope.first_column.checked_add(self.shift)?;
        let elsewhere = self.held().contains(&number)
            && self.time(number).abs_diff(envelope.time_utc_ns) as f64 > self.column_ns;
        if !elsewhere {
            return Some(number);
        }
        self.shift = self.shift.checked_add(self.next - number)?;
        Some(self.next)
    }

    fn begin(&mut self, envelope: &Envelope, first_column: u64, keep_ns: f64) {
        let wanted = (keep_ns / envelope.column_ns).ceil().max(0.0) as usize;
        let most = (MAX_KEPT_VALUES / self.rows.max(1)).max(MIN_KEPT_COLUMNS);
        self.capacity = wanted.clamp(MIN_KEPT_COLUMNS, most);
        self.column_ns = envelope.column_ns;
        // A column of many samples stands at its middle; one that is a single sample at the sample's time,
        // and a little after it, so that rounding does not put it into the pixel before.
        let single = (self.column_ns * self.rate_hz / 1e9 - 1.0).abs() < SINGLE_SAMPLE;
        let part = if single { 0.01 } else { 0.5 };
        self.place_ns = (self.column_ns * part) as i64;
        self.first = first_column;
        self.next = first_column;
        self.times = vec![0; self.capacity];
        self.values = vec![[f32::NAN; 2]; self.capacity * self.rows];
        self.changed = None;
    }

    fn put(&mut self, number: u64, time: i64, value: impl Fn(usize) -> [f32; 2]) {
        let slot = (number % self.capacity as u64) as usize;
        self.times[slot] = time;
        for row in 0..self.rows {
            let [low, high] = value(row);
            // What cannot be drawn is blank; and min stands before max, whatever came.
            self.values[row * self.capacity + slot] = if low.is_finite() && high.is_finite() {
                [low.min(high), low.max(high)]
            } else {
                [f32::NAN; 2]
            };
        }
        self.changed = Some(self.changed.map_or(number, |earlier| earlier.min(number)));
        if number >= self.next {
            self.next = number + 1;
            self.first = self
                .first
                .max(self.next.saturating_sub(self.capacity as u64));
        }
    }

    /// Number of the first column that came or changed since the last call.
    pub(crate) fn take_changed(&mut self) -> Option<u64> {
        self.changed.take().map(|number| number.max(self.first))
    }

    /// Numbers of the columns held.
    pub(crate) fn held(&self) -> std::ops::Range<u64> {
        self.first..self.next
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Length of a column, ns; 0 before the first.
    pub(crate) fn column_ns(&self) -> f64 {
        self.column_ns
    }

    /// Begin of a column that is held.
    pub(crate) fn time(&self, number: u64) -> i64 {
        self.times[(number % self.capacity.max(1) as u64) as usize]
    }

    /// Time at which a column that is held is drawn.
    pub(crate) fn place(&self, number: u64) -> i64 {
        self.time(number).saturating_add(self.place_ns)
    }

    /// Min and max of a row in a column that is held; NaN where there is nothing.
    pub(crate) fn value(&self, row: usize, number: u64) -> [f32; 2] {
        self.values[row * self.capacity + (number % self.capacity.max(1) as u64) as usize]
    }

    /// The first column held that is drawn at or after `time`, else the end.
    pub(crate) fn at_or_after(&self, time: i64) -> u64 {
        let (mut low, mut high) = (self.first, self.next);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.place(middle) < time {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// End of the newest column.
    pub(crate) fn newest_ns(&self) -> Option<i64> {
        (self.next > self.first).then(|| {
            self.time(self.next - 1)
                .saturating_add(self.column_ns as i64)
        })
    }

    /// Begin of the oldest column held.
    pub(crate) fn oldest_ns(&self) -> Option<i64> {
        (self.next > self.first).then(|| self.time(self.first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(first: u64, values: &[f32]) -> Envelope {
        Envelope {
            rows: 1,
            columns: values.len() as u32,
            first_column: first,
            time_utc_ns: first as i64 * 1_000,
            column_ns: 1_000.0,
            values: values.iter().flat_map(|&value| [value, value]).collect(),
            ..Envelope::default()
        }
    }

    #[test]
    fn columns_are_kept_by_number_and_the_oldest_give_way() {
        let mut buffer = StreamBuffer::new(1, 0.0);
        for first in 0..MIN_KEPT_COLUMNS as u64 + 10 {
            assert!(buffer.accept(&envelope(first, &[first as f32]), 1.0));
        }
        assert_eq!(buffer.held(), 10..MIN_KEPT_COLUMNS as u64 + 10);
        assert_eq!(buffer.value(0, 10), [10.0, 10.0]);
        assert_eq!(buffer.take_changed(), Some(10));
        assert_eq!(buffer.take_changed(), None);
        // One that came before comes again with more in it.
        assert!(buffer.accept(&envelope(20, &[99.0]), 1.0));
        assert_eq!(buffer.value(0, 20), [99.0, 99.0]);
        assert_eq!(buffer.take_changed(), Some(20));
        assert_eq!(buffer.at_or_after(21_000), 21);
    }

    #[test]
    fn columns_that_never_came_are_blank_at_their_time() {
        let mut buffer = StreamBuffer::new(1, 0.0);
        assert!(buffer.accept(&envelope(5, &[1.0]), 1.0));
        assert!(buffer.accept(&envelope(8, &[2.0]), 1.0));
        assert_eq!(buffer.held(), 5..9);
        assert!(buffer.value(0, 6)[0].is_nan() && buffer.value(0, 7)[0].is_nan());
        assert_eq!(buffer.time(7), 7_000);
    }

    #[test]
    fn a_number_that_comes_again_elsewhere_in_time_is_another_column() {
        let mut buffer = StreamBuffer::new(1, 0.0);
        assert!(buffer.accept(&envelope(5, &[1.0, 2.0]), 1.0));
        // A minute is missing that no sample number tells of; column 6 was cut short.
        let mut later = envelope(6, &[3.0, 4.0]);
        later.time_utc_ns += 60_000_000;
        assert!(buffer.accept(&later, 1.0));
        assert_eq!(buffer.held(), 5..9);
        assert_eq!(
            (buffer.value(0, 6), buffer.value(0, 7)),
            ([2.0; 2], [3.0; 2])
        );
        let mut more = envelope(8, &[5.0]);
        more.time_utc_ns += 60_000_000;
        assert!(buffer.accept(&more, 1.0));
        assert_eq!(buffer.value(0, 9), [5.0; 2]);
    }

    #[test]
    fn what_cannot_be_is_refused_or_blank() {
        let mut buffer = StreamBuffer::new(1, 0.0);
        assert!(!buffer.accept(&envelope(u64::MAX, &[1.0, 2.0]), 1.0));
        let mut odd = envelope(0, &[1.0]);
        odd.column_ns = f64::NAN;
        assert!(!buffer.accept(&odd, 1.0));
        assert!(buffer.accept(&envelope(0, &[f32::INFINITY]), 1.0));
        assert!(buffer.value(0, 0)[0].is_nan());
        assert!(buffer.accept(&envelope(u64::MAX - 2, &[1.0]), 1.0));
        assert_eq!(buffer.held(), u64::MAX - 2..u64::MAX - 1);
    }
}
