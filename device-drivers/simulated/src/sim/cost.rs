//! What computing the samples costs, so that load figures can leave it out.

use super::Simulator;
use contract::{Clock, DeviceError, DeviceEvent, Driver, ErrorKind, Read, Settings, Sink};
use signal::{SampleBlock, StreamDescription, StreamIndex};
use std::sync::Arc;
use std::time::Duration;

/// A run of the generator alone, on one thread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GeneratorCost {
    /// Values computed, over all streams and channels.
    pub values: u64,
    /// Device time that they cover, s.
    pub device_s: f64,
    /// Time that it took, s.
    pub elapsed_s: f64,
}

impl GeneratorCost {
    /// Nanoseconds a value.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn ns_per_value(&self) -> f64 {
        self.elapsed_s * 1e9 / self.values.max(1) as f64
    }

    /// Part of one core that generating in real time takes.
    #[must_use]
    pub fn core_share(&self) -> f64 {
        self.elapsed_s / self.device_s
    }
}

struct Counting {
    blocks: Vec<SampleBlock>,
    values: u64,
}

impl Counting {
    fn new(streams: &[StreamDescription]) -> Self {
        let block = |(index, stream): (u16, &StreamDescription)| {
            let channels = stream.channels.len();
            SampleBlock::with_capacity(StreamIndex(index), stream.sample_type, channels, 0)
        };
        Self {
            blocks: (0_u16..).zip(streams).map(block).collect(),
            values: 0,
        }
    }
}

impl Sink for Counting {
    fn block(&mut self, stream: StreamIndex, fill: &mut dyn FnMut(&mut SampleBlock)) {
        if let Some(block) = self.blocks.get_mut(usize::from(stream.0)) {
            block.reset();
            fill(block);
            self.values += block.samples.len() as u64;
        }
    }

    fn event(&mut self, _event: DeviceEvent) {}
}

/// Generates `device_s` seconds of the simulated device at `address` as fast as possible, discards
/// them, and measures by `clock` how long that took. Opening (tables) is not counted.
///
/// # Errors
/// As opening and reading the device.
pub fn generator_cost(
    address: &str,
    settings: &Settings,
    device_s: f64,
    clock: Arc<dyn Clock>,
) -> Result<GeneratorCost, DeviceError> {
    let mut settings = settings.clone();
    settings.insert("speed".into(), "max".into());
    settings.insert("duration_s".into(), device_s.to_string());
    let mut device = Simulator.open(address, &settings, Arc::clone(&clock))?;
    let mut sink = Counting::new(&device.description().streams);
    device.start()?;
    let begin = clock.host();
    loop {
        match device.read(&mut sink, Duration::ZERO) {
            Ok(Read::Ended) => break,
            Ok(_) => {}
            Err(error) if error.kind == ErrorKind::Disconnected => device.start()?,
            Err(error) => return Err(error),
        }
    }
    Ok(GeneratorCost {
        values: sink.values,
        device_s,
        elapsed_s: clock.host().seconds_since(begin),
    })
}
