//! A recording in memory, small enough to be told to another program as JSON.

use export::{Provenance, Run, Source, SourceError, SourceInfo};
use signal::{
    Annotation, AnnotationId, AnnotationOrigin, Channel, ClockSource, Gap, NANOS_PER_S, Reference,
    SampleType, Samples, SamplingRate, StreamDescription, StreamIndex, StreamRole, UtcNanos,
    ZoneOffset,
};

/// 2026-11-23T12:00:00 UTC; the zone makes it 13:00.
pub(crate) const START: i64 = 1_795_435_200 * NANOS_PER_S;

/// Streams as rows of integers over all their runs.
pub(crate) struct Memory {
    info: SourceInfo,
    rows: Vec<Vec<Vec<i32>>>,
    runs: Vec<Vec<Run>>,
    annotations: Vec<Annotation>,
}

impl Memory {
    pub(crate) fn new() -> Self {
        Self {
            info: SourceInfo {
                recording_id: "interop".to_owned(),
                provenance: Provenance::Simulated,
                device_model: "Test amplifier".to_owned(),
                zone: ZoneOffset(3_600),
                streams: Vec::new(),
            },
            rows: Vec::new(),
            runs: Vec::new(),
            annotations: Vec::new(),
        }
    }

    /// A stream of pseudo-random counts; runs as start in ns after [`START`] and samples.
    pub(crate) fn stream(
        mut self,
        sample_type: SampleType,
        rate: SamplingRate,
        gains_uv: &[f64],
        runs: &[(i64, u64)],
    ) -> Self {
        let total: u64 = runs.iter().map(|(_, len)| len).sum();
        let span = if sample_type == SampleType::I16 {
            1 << 16
        } else {
            1 << 24
        };
        let mut state = 0x9E37_79B9_7F4A_7C15_u64 ^ self.rows.len() as u64;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            ((state >> 33) % span) as i32 - (span / 2) as i32
        };
        let rows = gains_uv
            .iter()
            .map(|_| (0..total).map(|_| next()).collect())
            .collect();
        let n = self.rows.len();
        self.info.streams.push(StreamDescription {
            name: format!("s{n}"),
            role: StreamRole::Signal,
            sample_type,
            rate,
            counter: None,
            clock: ClockSource::HostArrival,
            channels: gains_uv
                .iter()
                .enumerate()
                .map(|(c, gain)| {
                    Channel::eeg(
                        ["Fp1", "Fp2", "Cz", "O1"][(n + c) % 4],
                        *gain,
                        Reference::Unknown,
                    )
                })
                .collect(),
        });
        self.rows.push(rows);
        let mut first_index = 0;
        let place = |(start, len): &(i64, u64)| {
            let run = Run {
                first_index,
                len: *len,
                start: UtcNanos(START + start),
                end: None,
            };
            first_index += len;
            run
        };
        self.runs.push(runs.iter().map(place).collect());
        self
    }

    pub(crate) fn mark(mut self, at_ns: i64, duration_ns: Option<i64>, text: &str) -> Self {
        self.annotations.push(Annotation {
            id: AnnotationId(self.annotations.len() as u64),
            onset: UtcNanos(START + at_ns),
            duration_ns,
            text: text.to_owned(),
            code: None,
            origin: AnnotationOrigin::Person,
            channels: Vec::new(),
            supersedes: None,
        });
        self
    }

    pub(crate) fn channel(&self, stream: StreamIndex, channel: usize) -> (&[i32], SamplingRate) {
        let stream = usize::from(stream.0);
        (&self.rows[stream][channel], self.info.streams[stream].rate)
    }

    pub(crate) fn marks(&self) -> &[Annotation] {
        &self.annotations
    }
}

impl Source for Memory {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn runs(&self, stream: StreamIndex) -> Result<Vec<Run>, SourceError> {
        Ok(self.runs[usize::from(stream.0)].clone())
    }

    fn gaps(&self) -> Result<Vec<Gap>, SourceError> {
        Ok(Vec::new())
    }

    fn annotations(&self) -> Result<Vec<Annotation>, SourceError> {
        Ok(self.annotations.clone())
    }

    fn read(
        &self,
        stream: StreamIndex,
        first_index: u64,
        len: usize,
        out: &mut Samples,
    ) -> Result<(), SourceError> {
        let from = first_index as usize;
        let rows = self.rows[usize::from(stream.0)].iter();
        let values = rows.flat_map(|row| row[from..from + len].iter().copied());
        *out = match self.info.streams[usize::from(stream.0)].sample_type {
            SampleType::I16 => Samples::I16(values.map(|value| value as i16).collect()),
            _ => Samples::I24(values.collect()),
        };
        Ok(())
    }
}
