//! A recording in memory.

use export::{Provenance, Run, Source, SourceError, SourceInfo};
use signal::{
    Annotation, AnnotationId, AnnotationOrigin, Channel, ClockSource, Gap, GapCause, Missing,
    NANOS_PER_S, Reference, SampleType, Samples, SamplingRate, StreamDescription, StreamIndex,
    StreamRole, UtcNanos, ZoneOffset,
};

/// 2026-11-23T12:00:00 UTC.
pub(crate) const START: i64 = 1_795_435_200 * NANOS_PER_S;

/// Rows of one stream over its whole index range; runs say which part exists.
pub(crate) struct Memory {
    pub(crate) info: SourceInfo,
    pub(crate) rows: Vec<Rows>,
    pub(crate) runs: Vec<Vec<Run>>,
    pub(crate) annotations: Vec<Annotation>,
}

#[derive(Clone)]
pub(crate) enum Rows {
    I16(Vec<Vec<i16>>),
    I24(Vec<Vec<i32>>),
    I32(Vec<Vec<i32>>),
    F32(Vec<Vec<f32>>),
    F64(Vec<Vec<f64>>),
}

impl Rows {
    fn sample_type(&self) -> SampleType {
        match self {
            Self::I16(_) => SampleType::I16,
            Self::I24(_) => SampleType::I24,
            Self::I32(_) => SampleType::I32,
            Self::F32(_) => SampleType::F32,
            Self::F64(_) => SampleType::F64,
        }
    }

    fn count(&self) -> usize {
        match self {
            Self::I16(rows) => rows.len(),
            Self::I24(rows) | Self::I32(rows) => rows.len(),
            Self::F32(rows) => rows.len(),
            Self::F64(rows) => rows.len(),
        }
    }

    /// Row `c` as integers, from `first`, `len` of them.
    pub(crate) fn integers(&self, c: usize, first: u64, len: u64) -> Vec<i32> {
        let range = first as usize..(first + len) as usize;
        match self {
            Self::I16(rows) => rows[c][range].iter().map(|v| i32::from(*v)).collect(),
            Self::I24(rows) | Self::I32(rows) => rows[c][range].to_vec(),
            _ => panic!("floats have no integers"),
        }
    }
}

impl Memory {
    pub(crate) fn new() -> Self {
        Self {
            info: SourceInfo {
                recording_id: "00000000-0000-7000-8000-000000000000".to_owned(),
                provenance: Provenance::Device,
                device_model: "Test Amplifier".to_owned(),
                zone: ZoneOffset(3_600),
                streams: Vec::new(),
            },
            rows: Vec::new(),
            runs: Vec::new(),
            annotations: Vec::new(),
        }
    }

    /// Adds a stream whose runs are given as start in ns after [`START`] and length in samples.
    pub(crate) fn stream(
        mut self,
        name: &str,
        rate: SamplingRate,
        rows: Rows,
        runs: &[(i64, u64)],
    ) -> Self {
        let channels = (0..rows.count())
            .map(|c| Channel::eeg(&format!("C{}", c + 1), 0.1, Reference::Unknown))
            .collect();
        self.info.streams.push(StreamDescription {
            name: name.to_owned(),
            role: StreamRole::Signal,
            sample_type: rows.sample_type(),
            rate,
            counter: None,
            clock: ClockSource::HostArrival,
            channels,
        });
        self.rows.push(rows);
        let mut first_index = 0;
        self.runs.push(
            runs.iter()
                .map(|(start, len)| {
                    let run = Run {
                        first_index,
                        len: *len,
                        start: UtcNanos(START + start),
                        end: None,
                    };
                    first_index += len;
                    run
                })
                .collect(),
        );
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
}

impl Source for Memory {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn runs(&self, stream: StreamIndex) -> Result<Vec<Run>, SourceError> {
        Ok(self.runs[usize::from(stream.0)].clone())
    }

    fn gaps(&self) -> Result<Vec<Gap>, SourceError> {
        let mut gaps = Vec::new();
        for (stream, runs) in self.runs.iter().enumerate() {
            let rate = self.info.streams[stream].rate;
            for pair in runs.windows(2) {
                gaps.push(Gap {
                    stream: StreamIndex(stream as u16),
                    first_missing: pair[0].first_index + pair[0].len,
                    resumes_at: pair[1].first_index,
                    missing: Missing::Unknown,
                    from: pair[0].start.plus_nanos(rate.nanos_of(pair[0].len)),
                    until: pair[1].start,
                    cause: GapCause::Transport,
                });
            }
        }
        Ok(gaps)
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
        let range = first_index as usize..first_index as usize + len;
        *out = match &self.rows[usize::from(stream.0)] {
            Rows::I16(rows) => Samples::I16(
                rows.iter()
                    .flat_map(|r| r[range.clone()].to_vec())
                    .collect(),
            ),
            Rows::I24(rows) => Samples::I24(
                rows.iter()
                    .flat_map(|r| r[range.clone()].to_vec())
                    .collect(),
            ),
            Rows::I32(rows) => Samples::I32(
                rows.iter()
                    .flat_map(|r| r[range.clone()].to_vec())
                    .collect(),
            ),
            Rows::F32(rows) => Samples::F32(
                rows.iter()
                    .flat_map(|r| r[range.clone()].to_vec())
                    .collect(),
            ),
            Rows::F64(rows) => Samples::F64(
                rows.iter()
                    .flat_map(|r| r[range.clone()].to_vec())
                    .collect(),
            ),
        };
        Ok(())
    }
}
