//! From samples to columns: on a grid of indices for feeds, on a grid of time for pages.

use crate::error::{Error, Result};
use crate::limits::MESSAGE_COLUMNS;
use crate::view::hub::is_regular;
use crate::view::messages::Envelope;
use crate::view::plan::{Rendering, StreamPlan};
use dsp::{EnvelopeColumns, EnvelopeState};
use signal::{NANOS_PER_S, Samples, SamplingRate, StreamIndex, UtcNanos};
use std::ops::Range;

/// Consecutive samples of one stream.
#[derive(Debug)]
pub(crate) struct Chunk<'a> {
    /// Channels × `len`.
    pub(crate) samples: &'a Samples,
    pub(crate) len: usize,
    pub(crate) first_index: u64,
    /// UTC of the first sample.
    pub(crate) time: UtcNanos,
    /// Stamps of an irregular stream.
    pub(crate) stamps: &'a [i64],
    /// Which of the samples are shown; those before only bring the filters into their state.
    pub(crate) show: Range<usize>,
}

/// Terms whose quotient a rate in columns a second is kept to: half of 2⁻²⁰ columns a second, a
/// tenth of a millisecond a day.
const RATIO_SCALE: f64 = (1_u64 << 20) as f64;

/// How columns stand to samples: `columns` every `samples`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ratio {
    columns: u64,
    samples: u64,
}

impl Ratio {
    /// A column for every sample.
    pub(crate) const SAMPLES: Self = Self {
        columns: 1,
        samples: 1,
    };

    /// `columns_per_s` columns a second, or one a sample where there are not so many samples.
    pub(crate) fn new(columns_per_s: f64, rate: SamplingRate) -> Self {
        let SamplingRate::Regular { samples, seconds } = rate else {
            return Self::SAMPLES;
        };
        let columns = (columns_per_s * RATIO_SCALE).round().max(1.0) as u64;
        let columns = columns.saturating_mul(seconds);
        let samples = samples.saturating_mul(RATIO_SCALE as u64);
        if columns >= samples {
            return Self::SAMPLES;
        }
        Self { columns, samples }
    }

    /// Length of a column, ns.
    fn column_ns(self, rate: SamplingRate) -> f64 {
        let period_ns = NANOS_PER_S as f64 / rate.as_hz().unwrap_or(1.0);
        period_ns * self.samples as f64 / self.columns as f64
    }

    /// From sample `index` to the begin of column `column`, ns.
    fn offset_ns(self, column: u64, index: u64, rate: SamplingRate) -> i64 {
        let SamplingRate::Regular { samples, seconds } = rate else {
            return 0;
        };
        let wide = i128::from;
        let ahead = wide(column) * wide(self.samples) - wide(index) * wide(self.columns);
        let nanos = ahead
            .saturating_mul(wide(seconds) * i128::from(NANOS_PER_S))
            .div_euclid((wide(self.columns) * wide(samples)).max(1));
        i64::try_from(nanos).unwrap_or(0)
    }
}

/// Columns that are ready, in the order of time, one column after another.
#[derive(Debug, Default)]
struct Ready {
    first_column: u64,
    columns: usize,
    time: UtcNanos,
    values: Vec<f32>,
}

/// One stream's rows on the grid of its indices, so that any feed of the same columns a second has
/// the same columns for ever.
#[derive(Debug)]
pub(crate) struct IndexColumns {
    stream: StreamIndex,
    rows: usize,
    rate: SamplingRate,
    rendering: Rendering,
    ratio: Ratio,
    column_ns: f64,
    state: EnvelopeState,
    /// Index that would come next.
    next: Option<u64>,
    /// An index of the block before and its time.
    base: (u64, UtcNanos),
    out: EnvelopeColumns,
    shown: Vec<f64>,
    ready: Ready,
    done: Vec<Envelope>,
}

impl IndexColumns {
    /// # Errors
    /// A filter that cannot be designed.
    pub(crate) fn new(plan: &StreamPlan, ratio: Ratio, irregular_column_ns: f64) -> Result<Self> {
        let rows = plan.rows.len();
        let state = EnvelopeState::with_ratio(rows, ratio.columns, ratio.samples);
        Ok(Self {
            stream: plan.stream,
            rows,
            rate: plan.rate,
            rendering: Rendering::new(plan)?,
            ratio,
            column_ns: if is_regular(plan.rate) {
                ratio.column_ns(plan.rate)
            } else {
                irregular_column_ns
            },
            state: state.ok_or_else(|| {
                Error::new(crate::ErrorKind::Internal, "more columns than samples", "")
            })?,
            next: None,
            base: (0, UtcNanos(0)),
            out: EnvelopeColumns::default(),
            shown: Vec::new(),
            ready: Ready::default(),
            done: Vec::new(),
        })
    }

    /// Samples before the first one shown that the filters need.
    pub(crate) fn warm_up(&self) -> u64 {
        self.rendering.warm_up(self.rate)
    }

    /// First index of the column that holds `index`.
    pub(crate) fn column_start(&self, index: u64) -> u64 {
        self.state.start_of(self.state.column_of(index))
    }

    /// Takes samples in. Those that were there before are left out, those that are missing make a
    /// gap.
    ///
    /// # Errors
    /// Samples of another shape than the plan's.
    pub(crate) fn push(&mut self, chunk: &Chunk<'_>) -> Result<()> {
        let known = self.next.unwrap_or(0).saturating_sub(chunk.first_index);
        let known = usize::try_from(known).unwrap_or(usize::MAX).min(chunk.len);
        if known == chunk.len {
            return Ok(());
        }
        if known > 0 {
            let samples = chunk.samples.columns(chunk.len, known..chunk.len);
            let passed = match (chunk.stamps.first(), chunk.stamps.get(known)) {
                (Some(first), Some(here)) => here - first,
                _ => self.rate.nanos_of(known as u64),
            };
            let show = &chunk.show;
            return self.push(&Chunk {
                samples: &samples,
                len: chunk.len - known,
                first_index: chunk.first_index + known as u64,
                time: chunk.time.plus_nanos(passed),
                stamps: chunk.stamps.get(known..).unwrap_or_default(),
                show: show.start.saturating_sub(known)..show.end.saturating_sub(known),
            });
        }
        if self.next.is_some_and(|next| chunk.first_index > next) {
            self.rendering.gap();
        }
        self.next = Some(chunk.first_index + chunk.len as u64);
        let values = self.rendering.apply(chunk.samples, chunk.len)?;
        let show = chunk.show.start.min(chunk.len)..chunk.show.end.min(chunk.len);
        if show.is_empty() {
            return Ok(());
        }
        self.shown.clear();
        for row in values.chunks_exact(chunk.len) {
            self.shown.extend_from_slice(&row[show.clone()]);
        }
        let first = chunk.first_index + show.start as u64;
        if !is_regular(self.rate) {
            self.points(chunk, &show);
            return Ok(());
        }
        let old = self.base;
        let time = (chunk.time).plus_nanos(self.rate.nanos_of(show.start as u64));
        let mut out = std::mem::take(&mut self.out);
        let before = self
            .state
            .push(&self.shown, show.len(), first, &mut out)
            .map_err(|error| Error::internal("compute a display's columns", &error))?;
        if let Some(before) = before {
            self.take(&before, old);
        }
        self.base = (first, time);
        if out.columns > 0 {
            self.take(&out, self.base);
        }
        self.out = out;
        // A column that is full need not wait for the sample behind it.
        let end = first + show.len() as u64;
        if self.column_start(end) == end {
            self.flush();
        }
        Ok(())
    }

    /// Every sample of an irregular stream is a column of its own.
    fn points(&mut self, chunk: &Chunk<'_>, show: &Range<usize>) {
        let zero = chunk.stamps.first().copied().unwrap_or(0);
        for (at, sample) in show.clone().enumerate() {
            let passed = chunk.stamps.get(sample).map_or(0, |stamp| stamp - zero);
            let values = (self.shown.chunks_exact(show.len()))
                .flat_map(|row| [row[at] as f32; 2])
                .collect();
            self.done.push(Envelope {
                stream: self.stream,
                rows: self.rows,
                columns: 1,
                first_column: chunk.first_index + sample as u64,
                time: chunk.time.plus_nanos(passed),
                column_ns: self.column_ns,
                values,
                ..Envelope::default()
            });
        }
    }

    /// Samples are missing before the next ones. Where no index tells so, the column under way ends
    /// here, because what follows stands elsewhere in time.
    pub(crate) fn gap(&mut self, in_index: bool) {
        self.rendering.gap();
        if !in_index {
            self.flush();
        }
    }

    /// Ends the column under way.
    pub(crate) fn flush(&mut self) {
        if let Some(column) = self.state.flush() {
            self.take(&column, self.base);
        }
    }

    fn take(&mut self, columns: &EnvelopeColumns, base: (u64, UtcNanos)) {
        let offset = self
            .ratio
            .offset_ns(columns.first_column, base.0, self.rate);
        let time = base.1.plus_nanos(offset);
        let follows = columns.first_column == self.ready.first_column + self.ready.columns as u64;
        let due = self.ready.columns as f64 * self.column_ns;
        let late = time.nanos_since(self.ready.time) as f64 - due;
        let fits = self.ready.columns > 0
            && follows
            && late.abs() <= self.column_ns / 2.0
            && self.ready.columns + columns.columns <= MESSAGE_COLUMNS;
        if !fits {
            self.finish_ready();
            self.ready.first_column = columns.first_column;
            self.ready.time = time;
        }
        self.ready.columns += columns.columns;
        self.ready.values.extend_from_slice(&columns.values);
    }

    fn finish_ready(&mut self) {
        let columns = std::mem::take(&mut self.ready.columns);
        if columns == 0 {
            return;
        }
        let mut values = Vec::with_capacity(self.ready.values.len());
        for row in 0..self.rows {
            let pairs = self.ready.values.chunks_exact(2).skip(row);
            values.extend(pairs.step_by(self.rows).flatten());
        }
        self.ready.values.clear();
        self.done.push(Envelope {
            stream: self.stream,
            rows: self.rows,
            columns,
            first_column: self.ready.first_column,
            time: self.ready.time,
            column_ns: self.column_ns,
            values,
            ..Envelope::default()
        });
    }

    /// The columns that are ready.
    pub(crate) fn drain(&mut self) -> std::vec::Drain<'_, Envelope> {
        self.finish_ready();
        self.done.drain(..)
    }
}

/// Rows of one stream on a grid of time: `columns` equal columns from `from` on.
#[derive(Debug)]
pub(crate) struct TimeColumns {
    rows: usize,
    columns: usize,
    from: UtcNanos,
    duration_ns: i64,
    values: Vec<f32>,
}

impl TimeColumns {
    pub(crate) fn new(rows: usize, columns: usize, from: UtcNanos, duration_ns: i64) -> Self {
        Self {
            rows,
            columns,
            from,
            duration_ns: duration_ns.max(1),
            values: vec![f32::NAN; rows * columns * 2],
        }
    }

    /// Column at `time`, which was rounded down to a nanosecond: the next one counts, so that a
    /// sample which stands exactly at a column's begin is not drawn in the one before.
    fn column(&self, time: UtcNanos) -> i128 {
        let passed = i128::from(time.nanos_since(self.from)) + 1;
        (passed * self.columns as i128).div_euclid(i128::from(self.duration_ns))
    }

    /// Takes rows × `len` values whose samples stand at `time_of` their position, in order.
    pub(crate) fn put(&mut self, values: &[f64], len: usize, time_of: impl Fn(usize) -> UtcNanos) {
        let mut at = 0;
        while at < len {
            let column = self.column(time_of(at));
            let until =
                at + 1 + partition(len - at - 1, |k| self.column(time_of(at + 1 + k)) <= column);
            if let Ok(column) = usize::try_from(column)
                && column < self.columns
            {
                for (row, samples) in values.chunks_exact(len).enumerate() {
                    let place = (row * self.columns + column) * 2;
                    for value in &samples[at..until] {
                        let value = *value as f32;
                        // NaN, which marks an empty column, gives way to any number.
                        self.values[place] = self.values[place].min(value);
                        self.values[place + 1] = self.values[place + 1].max(value);
                    }
                }
            }
            at = until;
        }
    }

    /// Sets a column of a row.
    pub(crate) fn set(&mut self, row: usize, column: usize, least: f32, greatest: f32) {
        let place = (row * self.columns + column) * 2;
        self.values[place] = least;
        self.values[place + 1] = greatest;
    }

    /// The columns of all rows, as messages.
    pub(crate) fn envelopes(self, stream: StreamIndex) -> Vec<Envelope> {
        let column_ns = self.duration_ns as f64 / self.columns.max(1) as f64;
        let each = (MESSAGE_VALUES / self.rows.max(1)).clamp(1, self.columns.max(1));
        let mut messages = Vec::new();
        let mut first = 0;
        while first < self.columns {
            let columns = each.min(self.columns - first);
            let mut values = Vec::with_capacity(self.rows * columns * 2);
            for row in self.values.chunks_exact(self.columns * 2) {
                values.extend_from_slice(&row[first * 2..(first + columns) * 2]);
            }
            messages.push(Envelope {
                stream,
                rows: self.rows,
                columns,
                first_column: first as u64,
                time: self
                    .from
                    .plus_nanos((first as f64 * column_ns).round() as i64),
                column_ns,
                values,
                ..Envelope::default()
            });
            first += columns;
        }
        messages
    }
}

/// Pairs in one message: what the readers accept.
const MESSAGE_VALUES: usize = 4_096 * 512;

/// How many of `0..len` fulfil `holds`, which the first ones do and the rest do not.
fn partition(len: usize, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_rate_of_columns_is_kept_for_ever() {
        let rate = SamplingRate::hz(256);
        let ratio = Ratio::new(190.0, rate);
        // After a day, column 190 × 86,400 begins at sample 256 × 86,400 exactly.
        let (column, index) = (190 * 86_400, 256 * 86_400);
        assert_eq!(ratio.offset_ns(column, index, rate), 0);
        assert_eq!(ratio.offset_ns(column + 190, index, rate), NANOS_PER_S);
        assert!((ratio.column_ns(rate) - 1e9 / 190.0).abs() < 1e-3);
        assert_eq!(Ratio::new(300.0, rate), Ratio::SAMPLES);
        assert_eq!(Ratio::new(1.0, SamplingRate::Irregular), Ratio::SAMPLES);
    }

    #[test]
    fn a_sample_at_a_columns_begin_is_drawn_there() {
        // 300 samples and 150 columns a second: every second sample begins a column.
        let rate = SamplingRate::hz(300);
        let mut canvas = TimeColumns::new(1, 150, UtcNanos(0), NANOS_PER_S);
        let values: Vec<f64> = (0..300).map(f64::from).collect();
        canvas.put(&values, 300, |k| UtcNanos(rate.nanos_of(k as u64)));
        let drawn = &canvas.envelopes(StreamIndex(0))[0].values;
        for (column, pair) in drawn.chunks_exact(2).enumerate() {
            let first = 2.0 * column as f32;
            assert_eq!(pair, [first, first + 1.0], "column {column}");
        }
    }
}
