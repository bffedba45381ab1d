//! A recording of ours as a [`Source`].

use crate::SourceError;
use crate::source::{Provenance, Run, Source, SourceInfo};
use recording::{Piece, Recording, StreamQuality};
use signal::{Annotation, Gap, SampleType, Samples, StreamIndex, UtcNanos};

/// Reads a recording piece by piece, in bounded memory.
#[derive(Debug)]
pub struct RecordingSource<'a> {
    recording: &'a Recording,
    info: SourceInfo,
}

impl<'a> RecordingSource<'a> {
    /// Wraps an open recording.
    #[must_use]
    pub fn new(recording: &'a Recording) -> Self {
        let header = recording.header();
        let info = SourceInfo {
            recording_id: header.id.to_string(),
            provenance: match header.provenance {
                recording::Provenance::Live => Provenance::Device,
                recording::Provenance::Simulated => Provenance::Simulated,
                recording::Provenance::Playback => Provenance::Playback,
            },
            device_model: header.device.model.clone(),
            zone: header.zone,
            streams: recording.streams().to_vec(),
        };
        Self { recording, info }
    }

    /// When the sample after the last of a run would have been taken: on from the last sample, by as
    /// much as the samples before it were apart.
    fn end(
        &self,
        stream: StreamIndex,
        run: recording::Run,
    ) -> Result<Option<UtcNanos>, SourceError> {
        let len = run.end_index - run.first_index;
        if len < 2 {
            return Ok(None);
        }
        let Some(last) = self.recording.time_of(stream, run.end_index - 1)? else {
            return Ok(None);
        };
        let span = i128::from(last.nanos_since(run.start));
        let whole = span * i128::from(len) / i128::from(len - 1);
        Ok(i64::try_from(whole)
            .ok()
            .map(|nanos| run.start.plus_nanos(nanos)))
    }
}

impl Source for RecordingSource<'_> {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn runs(&self, stream: StreamIndex) -> Result<Vec<Run>, SourceError> {
        let runs = self.recording.runs(stream)?;
        runs.iter()
            .filter(|run| run.end_index > run.first_index)
            .map(|run| {
                Ok(Run {
                    first_index: run.first_index,
                    len: run.end_index - run.first_index,
                    start: run.start,
                    end: self.end(stream, *run)?,
                })
            })
            .collect()
    }

    fn gaps(&self) -> Result<Vec<Gap>, SourceError> {
        Ok(self
            .recording
            .gaps()
            .into_iter()
            .map(|known| known.gap)
            .collect())
    }

    fn quality(&self, stream: StreamIndex) -> Result<Option<StreamQuality>, SourceError> {
        Ok(Some(recording::stream_quality(self.recording, stream)?))
    }

    fn annotations(&self) -> Result<Vec<Annotation>, SourceError> {
        Ok(self.recording.standing_annotations())
    }

    fn read(
        &self,
        stream: StreamIndex,
        first_index: u64,
        len: usize,
        out: &mut Samples,
    ) -> Result<(), SourceError> {
        let description = self
            .info
            .streams
            .get(usize::from(stream.0))
            .ok_or("no such stream in the recording")?;
        let rows = description.channels.len();
        resize(out, description.sample_type, rows * len)?;
        let mut done = 0;
        for piece in self
            .recording
            .pieces(stream, first_index..first_index + len as u64)?
        {
            let piece = piece?;
            if piece.first_index != first_index + done as u64 || piece.channels != rows {
                return Err("the recording has a hole within a run".into());
            }
            copy(&piece, rows, (done, len), out)?;
            done += piece.len;
        }
        if done < len {
            return Err("the recording ends before its run does".into());
        }
        Ok(())
    }
}

/// Copies `piece` to column `done` of `out`, which has `len`.
fn copy(
    piece: &Piece,
    rows: usize,
    (done, len): (usize, usize),
    out: &mut Samples,
) -> Result<(), SourceError> {
    for row in 0..rows {
        let from = row * piece.len..(row + 1) * piece.len;
        let to = row * len + done..row * len + done + piece.len;
        match (&piece.samples, &mut *out) {
            (Samples::I16(a), Samples::I16(b)) => b[to].copy_from_slice(&a[from]),
            (Samples::I24(a), Samples::I24(b)) | (Samples::I32(a), Samples::I32(b)) => {
                b[to].copy_from_slice(&a[from]);
            }
            (Samples::F32(a), Samples::F32(b)) => b[to].copy_from_slice(&a[from]),
            (Samples::F64(a), Samples::F64(b)) => b[to].copy_from_slice(&a[from]),
            _ => return Err("a piece has another sample type than its stream".into()),
        }
    }
    Ok(())
}

/// Makes `out` hold `values` of `sample_type`, keeping its allocation where it can.
fn resize(out: &mut Samples, sample_type: SampleType, values: usize) -> Result<(), SourceError> {
    if out.sample_type() != sample_type {
        *out = Samples::with_capacity(sample_type, values);
    }
    match out {
        Samples::I16(v) => v.resize(values, 0),
        Samples::I24(v) | Samples::I32(v) => v.resize(values, 0),
        Samples::F32(v) => v.resize(values, 0.0),
        Samples::F64(v) => v.resize(values, 0.0),
        Samples::Text(_) => return Err("texts cannot be read as samples".into()),
    }
    Ok(())
}
