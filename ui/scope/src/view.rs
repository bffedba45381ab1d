//! What is shown of a session or a page: rows, their columns, gaps and annotations, as the messages of one
//! generation have built it up.

use std::collections::BTreeMap;

use ui_types::feed::{Envelope, Message};
use ui_types::{AnnotationMark, GapMark, RowView, ViewDescription};

use crate::buffer::StreamBuffer;
use crate::limits::{MAX_MARKS, MAX_ROWS, MAX_STREAMS};

/// One row on the canvas: where its columns are.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    /// Index into [`View::streams`].
    pub(crate) stream: usize,
    /// Row within the stream.
    pub(crate) row: usize,
    pub(crate) view: RowView,
}

#[derive(Debug, Clone)]
pub(crate) struct Stream {
    /// The feed's number of it.
    pub(crate) index: u16,
    pub(crate) rate_hz: f64,
    pub(crate) buffer: StreamBuffer,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    pub(crate) generation: u32,
    pub(crate) description: Option<ViewDescription>,
    pub(crate) streams: Vec<Stream>,
    /// From the top of the canvas to its bottom.
    pub(crate) rows: Vec<Row>,
    pub(crate) gaps: Vec<GapMark>,
    pub(crate) annotations: BTreeMap<u64, AnnotationMark>,
    /// A column that is no history has come.
    pub(crate) live: bool,
    pub(crate) ended: bool,
    /// Begin of a page, by the finest columns in it: there they are numbered from it. And their length.
    page_begin: Option<(i64, f64)>,
    /// Messages that the feed dropped because this page was slow.
    pub(crate) dropped: u64,
    /// Counts changes of what rows there are.
    pub(crate) rows_changed: u64,
}

impl View {
    pub(crate) fn new(generation: u32) -> Self {
        Self {
            generation,
            ..Self::default()
        }
    }

    /// Takes a message in; false when it makes no sense here.
    pub(crate) fn accept(&mut self, message: Message, keep_ns: f64) -> bool {
        match message {
            Message::Description(description) => self.describe(description),
            Message::Envelope(envelope) => self.columns(&envelope, keep_ns),
            Message::Gap(gap) => self.gap(gap),
            Message::Annotation(mark) => {
                if self.annotations.len() >= MAX_MARKS && !self.annotations.contains_key(&mark.id) {
                    return false;
                }
                self.annotations.insert(mark.id, mark);
                true
            }
            Message::End => {
                self.ended = true;
                true
            }
        }
    }

    fn describe(&mut self, description: ViewDescription) -> bool {
        let rows: usize = description
            .streams
            .iter()
            .map(|stream| stream.rows.len())
            .sum();
        if rows > MAX_ROWS || description.streams.len() > MAX_STREAMS {
            return false;
        }
        if self
            .description
            .as_ref()
            .is_none_or(|old| old.streams != description.streams)
        {
            self.rows_changed += 1;
            let mut old = std::mem::take(&mut self.streams);
            for stream in &description.streams {
                let kept = old.iter().position(|known| {
                    known.index == stream.stream
                        && known.rate_hz == stream.rate_hz
                        && known.buffer.rows() == stream.rows.len()
                });
                let buffer = kept.map_or_else(
                    || StreamBuffer::new(stream.rows.len(), stream.rate_hz),
                    |at| old.swap_remove(at).buffer,
                );
                self.streams.push(Stream {
                    index: stream.stream,
                    rate_hz: stream.rate_hz,
                    buffer,
                });
            }
            self.rows = order(&description);
        }
        self.description = Some(description);
        true
    }

    fn columns(&mut self, envelope: &Envelope, keep_ns: f64) -> bool {
        self.dropped += u64::from(envelope.dropped);
        let Some(stream) = self
            .streams
            .iter_mut()
            .find(|stream| stream.index == envelope.stream)
        else {
            return false;
        };
        let taken = stream.buffer.accept(envelope, keep_ns);
        self.live |= taken && !envelope.history;
        let finer = self
            .page_begin
            .is_none_or(|(_, column_ns)| envelope.column_ns < column_ns);
        if taken && envelope.columns > 0 && finer {
            let ahead = envelope.first_column as f64 * envelope.column_ns;
            let begin = envelope.time_utc_ns.saturating_sub(ahead.round() as i64);
            self.page_begin = Some((begin, envelope.column_ns));
        }
        taken
    }

    /// A gap that lasts is told again when its end is known: same stream, same begin.
    fn gap(&mut self, gap: GapMark) -> bool {
        let known = self
            .gaps
            .iter_mut()
            .rev()
            .find(|known| known.stream == gap.stream && known.from_utc_ns == gap.from_utc_ns);
        if let Some(known) = known {
            *known = gap;
            return true;
        }
        if self.gaps.len() >= MAX_MARKS {
            self.gaps.remove(0);
        }
        self.gaps.push(gap);
        true
    }

    /// End of the newest column of any stream.
    pub(crate) fn newest_ns(&self) -> Option<i64> {
        self.streams
            .iter()
            .filter_map(|stream| stream.buffer.newest_ns())
            .max()
    }

    /// Where the newest column of any stream is drawn.
    pub(crate) fn newest_middle_ns(&self) -> Option<i64> {
        let newest = self.streams.iter().filter_map(|stream| {
            let held = stream.buffer.held();
            (!held.is_empty()).then(|| stream.buffer.place(held.end - 1))
        });
        newest.max()
    }

    /// Begin of a page; of a feed it says nothing.
    pub(crate) fn page_begin_ns(&self) -> Option<i64> {
        self.page_begin.map(|(begin, _)| begin)
    }

    /// Begin of the oldest column of any stream.
    pub(crate) fn oldest_ns(&self) -> Option<i64> {
        self.streams
            .iter()
            .filter_map(|stream| stream.buffer.oldest_ns())
            .min()
    }

    /// End of a gap: its own, else where the stream goes on, else the newest column of the page.
    pub(crate) fn gap_end(&self, gap: &GapMark) -> i64 {
        gap.duration_ns.map_or_else(
            || self.newest_ns().unwrap_or(gap.from_utc_ns),
            |duration| gap.from_utc_ns.saturating_add(duration.max(0)),
        )
    }

    /// Annotations in force; one without text and code withdraws another.
    pub(crate) fn marks(&self) -> impl Iterator<Item = &AnnotationMark> {
        self.annotations.values().filter(|mark| {
            mark.superseded_by.is_none() && !(mark.text.is_empty() && mark.code.is_none())
        })
    }

    /// The column that a time lies in although it is drawn before.
    pub(crate) fn column_before(&self, row: &Row, time_ns: i64) -> Option<[f32; 2]> {
        let buffer = &self.streams.get(row.stream)?.buffer;
        let number = buffer.at_or_after(time_ns).checked_sub(1)?;
        let reaches = buffer.held().contains(&number)
            && time_ns.saturating_sub(buffer.time(number)) as f64 <= buffer.column_ns();
        reaches
            .then(|| buffer.value(row.row, number))
            .filter(|value| !value[0].is_nan())
    }

    pub(crate) fn newest_column(&self, row: &Row) -> Option<[f32; 2]> {
        let buffer = &self.streams.get(row.stream)?.buffer;
        let held = buffer.held();
        (!held.is_empty()).then(|| buffer.value(row.row, held.end - 1))
    }
}

/// Rows as the description orders them, those of the ECG at the bottom.
fn order(description: &ViewDescription) -> Vec<Row> {
    let rows = description
        .streams
        .iter()
        .enumerate()
        .flat_map(|(stream, rows)| {
            rows.rows.iter().enumerate().map(move |(row, view)| Row {
                stream,
                row,
                view: view.clone(),
            })
        });
    let (ecg, mut others): (Vec<_>, Vec<_>) = rows.partition(|row| is_ecg(&row.view));
    others.extend(ecg);
    others
}

pub(crate) fn is_ecg(row: &RowView) -> bool {
    row.kind == "ecg" || row.colour == "ecg"
}
