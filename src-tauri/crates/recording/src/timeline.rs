//! Stretches of time: which indices stand in them, and their envelopes in columns of equal time.
//!
//! A stream's index runs on through a gap whose length is not known, and a device's clock drifts
//! from its nominal rate; so time is taken from where the recording states it, once a segment, and
//! counted on from there.

use crate::error::{RecordingError, Result};
use crate::overview::{Axis, Canvas};
use crate::read::is_text;
use crate::reader::{Recording, Run};
use crate::view::Envelopes;
use signal::{SamplingRate, StreamIndex, UtcNanos};
use std::ops::Range;

/// How far counted times may be from stated ones where indices are looked up, ns: far below a
/// sample of EEG.
const LOOK_UP_NS: i64 = 100_000;

impl Recording {
    /// Unbroken parts of a stream whose samples stand where the nominal rate says, within
    /// `tolerance_ns`.
    fn timed_parts(&self, stream: StreamIndex, tolerance_ns: i64) -> Result<Vec<Run>> {
        let (description, segments) = self.stream(stream)?;
        let runs = self.runs(stream)?;
        let begins = |index: u64| runs.binary_search_by_key(&index, |r| r.first_index).is_ok();
        let mut parts: Vec<Run> = Vec::new();
        for run in segments.iter().flat_map(|segment| &segment.runs) {
            if let Some(last) = parts.last_mut() {
                // What a repair cut short left in two segments counts once.
                if run.first_index < last.end_index {
                    last.end_index = last.end_index.max(run.end_index);
                    continue;
                }
                let passed = description
                    .rate
                    .nanos_of(run.first_index - last.first_index);
                let late = run.start.nanos_since(last.start.plus_nanos(passed));
                let follows = last.end_index == run.first_index && !begins(run.first_index);
                if follows && late.saturating_abs() <= tolerance_ns {
                    last.end_index = run.end_index;
                    continue;
                }
            }
            parts.push(*run);
        }
        Ok(parts)
    }

    /// A range of indices that holds every sample from `from` to before `until`, and at most a
    /// fraction of a second more; `None` when nothing was recorded then. What is between them in
    /// index and not in time, where a clock was set back, is in the range as well.
    ///
    /// # Errors
    /// [`RecordingError::UnknownStream`].
    pub fn indices_between(
        &self,
        stream: StreamIndex,
        from: UtcNanos,
        until: UtcNanos,
    ) -> Result<Option<Range<u64>>> {
        let rate = self.stream(stream)?.0.rate;
        let mut found: Option<Range<u64>> = None;
        let parts = self.timed_parts(stream, LOOK_UP_NS)?;
        for (at, part) in parts.iter().enumerate() {
            let whole = part.first_index..part.end_index;
            let inside = if rate == SamplingRate::Irregular {
                // Stamps say when; here it is known only where the next part begins.
                let end = parts.get(at + 1).map_or(i64::MAX, |next| next.start.0);
                if part.start >= until || end < from.0 {
                    continue;
                }
                whole
            } else {
                // One sample of slack at either end for what the tolerance moves.
                let len = part.end_index - part.first_index;
                let ahead = |time: UtcNanos| rate.index_at(time.nanos_since(part.start));
                let first = ahead(from).saturating_sub(2);
                let end = ahead(until).saturating_add(2).min(len);
                if part.start >= until || first >= len {
                    continue;
                }
                part.first_index + first..part.first_index + end
            };
            found = Some(match found {
                Some(known) => known.start.min(inside.start)..known.end.max(inside.end),
                None => inside,
            });
        }
        Ok(found)
    }

    /// Min/max envelopes of all channels of a regular stream in `columns` columns of equal time,
    /// unscaled, as [`Self::overview`] draws them. A sample stands in the column of its time to a
    /// quarter of a column.
    ///
    /// # Errors
    /// As [`Self::overview`].
    pub fn overview_between(
        &self,
        stream: StreamIndex,
        (from, duration_ns): (UtcNanos, i64),
        columns: usize,
    ) -> Result<Envelopes> {
        let (description, _) = self.stream(stream)?;
        let SamplingRate::Regular { samples, seconds } = description.rate else {
            return Err(RecordingError::IsText(stream));
        };
        if is_text(description) {
            return Err(RecordingError::IsText(stream));
        }
        let channels = 0..description.channels.len();
        let duration_ns = duration_ns.max(1);
        let until = from.plus_nanos(duration_ns);
        let tolerance = (duration_ns / (4 * columns.max(1) as i64)).max(LOOK_UP_NS);
        let width = description.rate.index_at(duration_ns) / columns.max(1) as u64;
        let level = Self::level_for(width);
        let mut canvas = Canvas::new(Axis::Indices(0..1), columns, channels.len())?;
        for part in self.timed_parts(stream, tolerance)? {
            let len = part.end_index - part.first_index;
            let ahead = |time: UtcNanos| description.rate.index_at(time.nanos_since(part.start));
            let first = ahead(from).saturating_sub(1).min(len);
            let end = ahead(until).saturating_add(1).min(len);
            if part.start >= until || first >= end {
                continue;
            }
            canvas.axis = Axis::Times {
                from,
                duration_ns,
                start: part.start,
                first_index: part.first_index,
                rate: (samples, seconds),
            };
            let range = part.first_index + first..part.first_index + end;
            self.fill(stream, &channels, level, range, &mut canvas)?;
        }
        Ok(canvas.finish(0..0, level))
    }
}
