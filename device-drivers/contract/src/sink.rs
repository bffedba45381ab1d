//! Where a device's blocks and events go.

use signal::{AnnotationOrigin, DeviceNanos, GapCause, Missing, SampleBlock, StreamIndex};

/// What a device says beside samples.
#[derive(Debug, Clone, PartialEq)]
pub enum DeviceEvent {
    /// A mark with the device's own time (file annotation, patient's button).
    Annotation {
        /// When, by the stream's device clock.
        onset: DeviceNanos,
        /// How long, ns.
        duration_ns: Option<i64>,
        /// What.
        text: String,
        /// Who made it.
        origin: AnnotationOrigin,
    },
    /// A mark at a sample. Sent after the block that holds the sample, before the stream's next one.
    MarkAt {
        /// Which stream.
        stream: StreamIndex,
        /// Samples from the first one of the stream's last block.
        offset: i64,
        /// How many samples it lasts; `None` when it is a point.
        samples: Option<u64>,
        /// What.
        text: String,
        /// Who made it.
        origin: AnnotationOrigin,
    },
    /// The next block of `stream` does not continue the last one, and the device knows why. Sent
    /// before that block; the counter jump alone would be taken for transport loss.
    Discontinuity {
        /// Which stream.
        stream: StreamIndex,
        /// Why.
        cause: GapCause,
        /// What is known of the number missing.
        missing: Missing,
    },
    /// A stream's channel no longer delivers new values (a lost half of a paired packet).
    Stale {
        /// Which stream.
        stream: StreamIndex,
        /// Which channel.
        channel: u16,
        /// Raw counter of the sample.
        counter: Option<u64>,
    },
    /// Battery level, per cent.
    Battery(u8),
    /// Bytes that made no packet were skipped.
    Garbage {
        /// How many.
        bytes: u64,
    },
    /// Something a person should read.
    Warning(String),
}

/// Takes what a device delivers. Lends blocks from a pool, so that reading allocates nothing.
pub trait Sink {
    /// Lends an empty block of `stream`, lets `fill` write samples, counter, arrival and device
    /// time, and takes it. A block left with `len` 0 is dropped.
    fn block(&mut self, stream: StreamIndex, fill: &mut dyn FnMut(&mut SampleBlock));

    /// Takes an event.
    fn event(&mut self, event: DeviceEvent);
}

/// A sink that keeps everything; for tests and one-off reads.
#[derive(Debug, Default)]
pub struct Collected {
    /// Blocks in the order of arrival.
    pub blocks: Vec<SampleBlock>,
    /// Events in the order of arrival, each with the number of blocks before it.
    pub events: Vec<(usize, DeviceEvent)>,
    templates: Vec<SampleBlock>,
}

impl Collected {
    /// A sink for a device with these streams.
    #[must_use]
    pub fn new(streams: &[signal::StreamDescription]) -> Self {
        let templates = streams
            .iter()
            .enumerate()
            .map(|(index, stream)| {
                SampleBlock::with_capacity(
                    StreamIndex(u16::try_from(index).unwrap_or(u16::MAX)),
                    stream.sample_type,
                    stream.channels.len(),
                    0,
                )
            })
            .collect();
        Self {
            blocks: Vec::new(),
            events: Vec::new(),
            templates,
        }
    }
}

impl Sink for Collected {
    fn block(&mut self, stream: StreamIndex, fill: &mut dyn FnMut(&mut SampleBlock)) {
        let Some(template) = self.templates.get(usize::from(stream.0)) else {
            return;
        };
        let mut block = template.clone();
        fill(&mut block);
        if block.len > 0 {
            self.blocks.push(block);
        }
    }

    fn event(&mut self, event: DeviceEvent) {
        self.events.push((self.blocks.len(), event));
    }
}
