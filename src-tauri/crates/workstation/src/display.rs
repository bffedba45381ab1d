//! The display feed of a running session: min/max envelopes at the client's resolution.
//!
//! A feed has a thread of its own that takes blocks from a queue which drops the oldest when it is
//! not read: a slow client never holds up the record.

use crate::error::{Error, Result};
use crate::limits::{DISPLAY_QUEUE, MAX_COLUMNS_PER_S, MIN_COLUMNS_PER_S};
use crate::live::Live;
use acquisition::FeedItem;
use signal::{SampleBlock, SamplingRate, StreamDescription, StreamIndex, UtcNanos};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Columns of one stream.
#[derive(Debug, Clone, PartialEq)]
pub struct EnvelopeColumns {
    /// Stream.
    pub stream: StreamIndex,
    /// Channels (rows).
    pub channels: usize,
    /// Columns.
    pub columns: usize,
    /// Index of the first sample of the first column.
    pub first_index: u64,
    /// Samples a column.
    pub samples_per_column: u32,
    /// Messages dropped before this one because the client was slow.
    pub dropped: u32,
    /// Time of the first sample.
    pub time: UtcNanos,
    /// Min and max in the channel's unit, channels × columns × 2.
    pub values: Vec<f32>,
}

/// What a display feed carries.
#[derive(Debug, Clone, PartialEq)]
pub enum DisplayItem {
    /// Columns.
    Columns(EnvelopeColumns),
    /// The recording ended.
    Ended,
}

/// Starts a feed of `columns_per_s` columns a second for every stream of `live`.
pub(crate) fn subscribe(
    live: &Arc<Live>,
    columns_per_s: u32,
) -> Result<mpsc::Receiver<DisplayItem>> {
    let columns_per_s = columns_per_s.clamp(MIN_COLUMNS_PER_S, MAX_COLUMNS_PER_S);
    let feed = live.subscribe(DISPLAY_QUEUE)?;
    let mut streams: Vec<_> = live
        .device
        .streams
        .iter()
        .enumerate()
        .map(|(index, stream)| StreamColumns::new(index, stream, columns_per_s))
        .collect();
    let (send, receive) = mpsc::channel(DISPLAY_QUEUE);
    let live = live.clone();
    let run = move || {
        let mut dropped = 0_u32;
        loop {
            let item = match feed.next(Duration::from_secs(1)) {
                None if send.is_closed() || live.is_ended() => return,
                None => continue,
                Some(item) => item,
            };
            let item = match item {
                FeedItem::Block(block) => {
                    let time = time_of(&live, &block);
                    let Some(stream) = streams.get_mut(usize::from(block.stream.0)) else {
                        continue;
                    };
                    let Some(mut columns) = stream.push(&block, time) else {
                        continue;
                    };
                    columns.dropped = dropped;
                    DisplayItem::Columns(columns)
                }
                FeedItem::Gap(_) => continue,
                FeedItem::Ended(_) => DisplayItem::Ended,
            };
            let last = item == DisplayItem::Ended;
            match send.try_send(item) {
                Ok(()) => dropped = 0,
                Err(mpsc::error::TrySendError::Full(_)) => dropped = dropped.saturating_add(1),
                Err(mpsc::error::TrySendError::Closed(_)) => return,
            }
            if last {
                return;
            }
        }
    };
    std::thread::Builder::new()
        .name("display".to_owned())
        .spawn(run)
        .map_err(|error| Error::internal("start a display feed", &error))?;
    Ok(receive)
}

fn time_of(live: &Live, block: &SampleBlock) -> UtcNanos {
    let stream = live
        .device
        .streams
        .get(usize::from(block.stream.0))
        .map(|stream| stream.clock);
    match (stream, block.device_time) {
        (Some(signal::ClockSource::Device { epoch }), Some(time)) => epoch.plus_nanos(time.0),
        _ => live.utc_at(block.fitted.unwrap_or(block.arrival)),
    }
}

/// Gathers one stream's samples into columns.
#[derive(Debug)]
struct StreamColumns {
    stream: StreamIndex,
    per_column: u32,
    rate: SamplingRate,
    scales: Vec<signal::Scale>,
    /// Samples in the column under way, and its min and max by channel.
    filled: u32,
    next_index: u64,
    column: Vec<(f32, f32)>,
}

impl StreamColumns {
    fn new(index: usize, stream: &StreamDescription, columns_per_s: u32) -> Self {
        let rate = stream.rate.as_hz().unwrap_or(1.0);
        let per_column = (rate / f64::from(columns_per_s)).round().max(1.0) as u32;
        Self {
            stream: StreamIndex(u16::try_from(index).unwrap_or(u16::MAX)),
            per_column,
            rate: stream.rate,
            scales: stream
                .channels
                .iter()
                .map(|channel| channel.scale)
                .collect(),
            filled: 0,
            next_index: 0,
            column: vec![(f32::INFINITY, f32::NEG_INFINITY); stream.channels.len()],
        }
    }

    /// The whole columns that `block` completes; a jump of the index begins a new column.
    fn push(&mut self, block: &SampleBlock, time: UtcNanos) -> Option<EnvelopeColumns> {
        if block.channels != self.scales.len() {
            return None;
        }
        if block.first_index != self.next_index {
            self.start_column();
        }
        self.next_index = block.end_index();
        let whole = (self.filled as usize + block.len) / self.per_column as usize;
        let mut values = vec![0.0_f32; block.channels * whole * 2];
        let started = self.filled;
        for channel in 0..block.channels {
            let scale = self.scales[channel];
            let (mut low, mut high) = self.column[channel];
            let mut filled = started;
            let mut column = 0;
            for sample in 0..block.len {
                let raw = block
                    .samples
                    .as_f64(channel * block.len + sample)
                    .unwrap_or(f64::NAN);
                let value = scale.apply(raw) as f32;
                low = low.min(value);
                high = high.max(value);
                filled += 1;
                if filled == self.per_column {
                    let at = (channel * whole + column) * 2;
                    values[at] = low;
                    values[at + 1] = high;
                    (low, high, filled) = (f32::INFINITY, f32::NEG_INFINITY, 0);
                    column += 1;
                }
            }
            self.column[channel] = (low, high);
            self.filled = filled;
        }
        (whole > 0).then(|| EnvelopeColumns {
            stream: self.stream,
            channels: block.channels,
            columns: whole,
            first_index: block.first_index.saturating_sub(u64::from(started)),
            samples_per_column: self.per_column,
            dropped: 0,
            time: time.plus_nanos(-self.rate.nanos_of(u64::from(started))),
            values,
        })
    }

    fn start_column(&mut self) {
        self.filled = 0;
        self.column.fill((f32::INFINITY, f32::NEG_INFINITY));
    }
}
