//! Samples a second of an EDF+ export: `cargo run --release -p export --example throughput -- FOLDER`
//! writes an hour of 32 channels × 256 Hz from memory. What is timed is the whole export: files are
//! hashed, synced and moved into place.

#![allow(clippy::print_stdout, reason = "a measurement is for reading")]

use export::{ExportOptions, Provenance, Run, Source, SourceError, SourceInfo, export_edf};
use signal::{
    Annotation, Channel, ClockSource, Gap, Reference, SampleType, Samples, SamplingRate,
    StreamDescription, StreamIndex, StreamRole, UtcNanos, ZoneOffset,
};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

const CHANNELS: usize = 32;
const RATE_HZ: u32 = 256;
const SECONDS: usize = 3_600;

struct Memory {
    info: SourceInfo,
    rows: Vec<Vec<i16>>,
}

impl Source for Memory {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn runs(&self, _: StreamIndex) -> Result<Vec<Run>, SourceError> {
        let len = self.rows[0].len() as u64;
        Ok(vec![Run {
            first_index: 0,
            len,
            start: UtcNanos(0),
            end: None,
        }])
    }

    fn gaps(&self) -> Result<Vec<Gap>, SourceError> {
        Ok(Vec::new())
    }

    fn annotations(&self) -> Result<Vec<Annotation>, SourceError> {
        Ok(Vec::new())
    }

    fn read(
        &self,
        _: StreamIndex,
        first_index: u64,
        len: usize,
        out: &mut Samples,
    ) -> Result<(), SourceError> {
        let from = usize::try_from(first_index)?;
        if let Samples::I16(values) = out {
            values.clear();
            self.rows
                .iter()
                .for_each(|row| values.extend_from_slice(&row[from..from + len]));
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args_os()
        .nth(1)
        .map(PathBuf::from)
        .ok_or("name a folder")?;
    let stream = StreamDescription {
        name: "eeg".to_owned(),
        role: StreamRole::Signal,
        sample_type: SampleType::I16,
        rate: SamplingRate::hz(RATE_HZ),
        counter: None,
        clock: ClockSource::HostArrival,
        channels: (0..CHANNELS)
            .map(|n| Channel::eeg(&format!("E{n}"), 0.1, Reference::Unknown))
            .collect(),
    };
    let len = SECONDS * RATE_HZ as usize;
    let value = |c: usize, i: usize| ((i * 31 + c * 7_919) ^ (i >> 3)) as i16;
    let memory = Memory {
        info: SourceInfo {
            recording_id: "throughput".to_owned(),
            provenance: Provenance::Simulated,
            device_model: String::new(),
            zone: ZoneOffset(0),
            streams: vec![stream],
        },
        rows: (0..CHANNELS)
            .map(|c| (0..len).map(|i| value(c, i)).collect())
            .collect(),
    };
    let mut options = ExportOptions::deidentified("throughput", "bench", 0);
    options.overwrite = true;
    for _ in 0..5 {
        let begun = Instant::now();
        let export = export_edf(&memory, &folder, &options, &mut |_| {
            ControlFlow::Continue(())
        })?;
        let seconds = begun.elapsed().as_secs_f64();
        let rate = export.samples as f64 / seconds / 1e6;
        println!(
            "{} samples in {seconds:.3} s: {rate:.1} million samples/s",
            export.samples
        );
    }
    Ok(())
}
