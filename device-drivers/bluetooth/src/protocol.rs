//! What the kinds of device differ in.

use crate::link::Link;
use contract::{DeviceDescription, DeviceError, Sink};
use signal::{HostNanos, SampleBlock, Samples, StreamIndex};
use std::fmt::Debug;
use std::time::Duration;
use uuid::Uuid;

/// Input (an index into the electrodes) and its kΩ, when a number came.
pub(crate) type Input = (usize, Option<f64>);

/// How test currents are switched, and how what they measure is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ImpedanceTest {
    pub(crate) on: &'static [u8],
    pub(crate) off: &'static [u8],
    /// What a notification tells, when it is of the test.
    pub(crate) read: fn(&[u8]) -> Option<Input>,
    /// Inputs that it measures; further electrodes have none.
    pub(crate) inputs: usize,
}

/// One kind of device.
pub(crate) trait Protocol: Send + Debug {
    fn description(&self) -> &DeviceDescription;

    /// The characteristics to subscribe.
    fn sources(&self) -> Vec<Uuid>;

    /// Where commands go.
    fn control(&self) -> Option<Uuid>;

    /// Commands that begin streaming; none where subscribing does.
    fn start(&self) -> Vec<Vec<u8>>;

    /// Commands that end it.
    fn stop(&self) -> Vec<Vec<u8>>;

    /// What is sent every so often while it streams.
    fn keep_alive(&self) -> Option<(Duration, Vec<u8>)> {
        None
    }

    /// A connection is new: what the device forgets with it is asked or set again.
    ///
    /// # Errors
    /// The device does not answer.
    fn connected(&mut self, _operation: &str, _link: &mut Link) -> Result<(), DeviceError> {
        Ok(())
    }

    /// Streaming begins anew: what waited is forgotten.
    fn begin(&mut self);

    /// A notification; whether anything was given.
    fn take(&mut self, source: Uuid, bytes: &[u8], at: HostNanos, sink: &mut dyn Sink) -> bool;

    /// Gives what has waited since before `since`; whether there was anything.
    fn flush(&mut self, _since: HostNanos, _sink: &mut dyn Sink) -> bool {
        false
    }

    /// The electrodes in the order of the test's inputs, and the test; where there is one.
    fn impedance(&self) -> Option<(Vec<String>, ImpedanceTest)> {
        None
    }
}

/// Where a block belongs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) stream: StreamIndex,
    pub(crate) channels: usize,
    pub(crate) len: usize,
    pub(crate) counter: Option<u64>,
    pub(crate) at: HostNanos,
}

/// Gives a block whose sample `i` of channel `c` is `value(c, i)`; of a stream without a counter each is stamped
/// with its arrival.
#[allow(clippy::cast_possible_truncation)] // 16-bit streams are given 16-bit values.
pub(crate) fn give(sink: &mut dyn Sink, place: Place, value: impl Fn(usize, usize) -> i32) {
    sink.block(place.stream, &mut |block: &mut SampleBlock| {
        block.channels = place.channels;
        block.len = place.len;
        block.counter = place.counter;
        block.arrival = place.at;
        if place.counter.is_none() {
            block.stamps.extend((0..place.len).map(|_| place.at.0));
        }
        let all = (0..place.channels).flat_map(|c| (0..place.len).map(move |i| (c, i)));
        match &mut block.samples {
            Samples::I16(values) => values.extend(all.map(|(c, i)| value(c, i) as i16)),
            Samples::I24(values) | Samples::I32(values) => {
                values.extend(all.map(|(c, i)| value(c, i)));
            }
            _ => block.len = 0,
        }
    });
}
