//! What an emulated device plays: the physiological simulator or a file.

use crate::Error;
use crate::limits::SOURCE_READ;
use contract::{Collected, Device, Driver as _, Read, Settings, SystemClock};
use signal::{ChannelKind, SampleBlock, SamplingRate};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

/// What to play.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceSpec {
    /// A file (EDF, EDF+, BDF, BDF+) in place of the simulator.
    pub file: Option<PathBuf>,
    /// Seed of the simulator.
    pub seed: u64,
    /// Channels wanted, µV each; where the source has fewer, the others are zero.
    pub channels: usize,
    /// Samples a second, which a file must have.
    pub rate_hz: u32,
}

/// Gives one sample of every channel after the other, for ever; a file begins again at its end.
#[derive(Debug)]
pub struct Source {
    spec: SourceSpec,
    device: Box<dyn Device>,
    stream: usize,
    /// Row and scale of each channel that the source has.
    rows: Vec<(usize, f64, f64)>,
    blocks: VecDeque<SampleBlock>,
    at: usize,
}

fn refused(error: impl std::fmt::Display) -> Error {
    Error::Source(error.to_string())
}

impl Source {
    /// Opens what `spec` names.
    ///
    /// # Errors
    /// The file is not there, is no recording, or has no voltage at the rate wanted.
    pub fn new(spec: SourceSpec) -> Result<Self, Error> {
        let device = open(&spec)?;
        let wanted = SamplingRate::hz(spec.rate_hz);
        let description = device.description();
        let usable = |channel: &signal::Channel| {
            channel.kind != ChannelKind::Trigger && channel.unit.microvolts().is_some()
        };
        let stream = description
            .streams
            .iter()
            .position(|stream| stream.rate == wanted && stream.channels.iter().any(usable))
            .ok_or_else(|| {
                Error::Source(format!("nothing in it is a voltage at {} Hz", spec.rate_hz))
            })?;
        let rows = description.streams[stream]
            .channels
            .iter()
            .enumerate()
            .filter(|(_, channel)| usable(channel))
            .take(spec.channels)
            .map(|(row, channel)| {
                let microvolts = channel.unit.microvolts().unwrap_or(1.0);
                let scale = channel.scale;
                (row, scale.gain * microvolts, scale.offset * microvolts)
            })
            .collect();
        Ok(Self {
            spec,
            device,
            stream,
            rows,
            blocks: VecDeque::new(),
            at: 0,
        })
    }

    /// The next sample, µV, one value a channel; further values of `out` are zero.
    ///
    /// # Errors
    /// The file cannot be read on.
    pub fn next_uv(&mut self, out: &mut [f64]) -> Result<(), Error> {
        out.fill(0.0);
        while self.blocks.front().is_none_or(|block| self.at >= block.len) {
            self.at = 0;
            if self.blocks.pop_front().is_none() || self.blocks.is_empty() {
                self.fetch()?;
            }
        }
        let Some(block) = self.blocks.front() else {
            return Ok(());
        };
        for (value, (row, gain, offset)) in out.iter_mut().zip(&self.rows) {
            let count = block.samples.as_f64(row * block.len + self.at);
            *value = count.unwrap_or(0.0).mul_add(*gain, *offset);
        }
        self.at += 1;
        Ok(())
    }

    /// Reads until a block of the stream is there.
    fn fetch(&mut self) -> Result<(), Error> {
        let mut barren = 0;
        while self.blocks.is_empty() {
            let mut sink = Collected::new(&self.device.description().streams);
            let read = self.device.read(&mut sink, SOURCE_READ).map_err(refused)?;
            let stream = self.stream;
            self.blocks.extend(
                (sink.blocks.into_iter()).filter(|block| usize::from(block.stream.0) == stream),
            );
            if read == Read::Ended && self.blocks.is_empty() {
                barren += 1;
                if barren > 1 {
                    return Err(Error::Source("it holds no sample".to_owned()));
                }
                self.device = open(&self.spec)?;
            }
        }
        Ok(())
    }
}

fn open(spec: &SourceSpec) -> Result<Box<dyn Device>, Error> {
    let clock = Arc::new(SystemClock);
    let mut settings = Settings::from([("speed".to_owned(), "max".to_owned())]);
    let mut device = match &spec.file {
        Some(path) => {
            let path = path
                .to_str()
                .ok_or_else(|| Error::Source("its path is no text".to_owned()))?;
            simulated::Playback.open(path, &settings, clock)
        }
        None => {
            settings.insert("seed".to_owned(), spec.seed.to_string());
            settings.insert("channels".to_owned(), spec.channels.max(1).to_string());
            settings.insert("rate".to_owned(), spec.rate_hz.to_string());
            simulated::Simulator.open("amplifier", &settings, clock)
        }
    }
    .map_err(refused)?;
    device.start().map_err(refused)?;
    Ok(device)
}
