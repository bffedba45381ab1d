//! The records of a file: read and encoded a chunk at a time on several threads, written in order.

use crate::encode::{Axis, Target};
use crate::limits::{THREADS, WRITE_CHUNK_BYTES};
use crate::plan::FilePlan;
use crate::source::Source;
use crate::stage::Staged;
use crate::survey::Surveyed;
use crate::tal::Layout;
use crate::{ExportError, Progress};
use signal::Samples;
use std::ops::ControlFlow;
use std::sync::mpsc;
use std::thread;

/// Reports how far the export has come; breaking stops it.
pub(crate) struct Meter<'a> {
    pub(crate) done: Progress,
    pub(crate) report: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
}

impl Meter<'_> {
    pub(crate) fn add(&mut self, samples: u64) -> Result<(), ExportError> {
        self.done.samples += samples;
        match (self.report)(self.done) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(ExportError::Cancelled),
        }
    }
}

/// Consecutive records of one segment.
#[derive(Debug, Clone, Copy)]
struct Chunk {
    segment: usize,
    /// Records of the segment before it.
    done: u64,
    count: usize,
    /// Number of its first record in the file.
    record: u64,
}

/// What every chunk of a file has in common.
struct Encoder<'a> {
    source: &'a dyn Source,
    plan: &'a FilePlan,
    members: Vec<&'a Surveyed>,
    /// Samples a record of each member.
    per_record: Vec<usize>,
    axis: &'a Axis,
    layout: &'a Layout,
    /// Bytes a value.
    width: usize,
    /// Values a record, of all channels.
    values: usize,
    record_bytes: usize,
}

/// Writes all records of `plan`.
pub(crate) fn write(
    source: &dyn Source,
    plan: &FilePlan,
    streams: &[Surveyed],
    (axis, layout): (&Axis, &Layout),
    bdf: bool,
    file: &mut Staged,
    meter: &mut Meter<'_>,
) -> Result<(), ExportError> {
    let encoder = Encoder::new(source, plan, streams, (axis, layout), bdf);
    let chunks = encoder.chunks();
    let mut write = |chunk: &Chunk, bytes: &[u8]| {
        file.write(bytes)?;
        meter.add((chunk.count * encoder.values) as u64)
    };
    let workers = thread::available_parallelism().map_or(1, |cores| cores.get().min(THREADS));
    if workers.min(chunks.len()) < 2 {
        let mut buffers = encoder.buffers();
        for chunk in &chunks {
            encoder.encode(chunk, &mut buffers)?;
            write(chunk, &buffers.bytes)?;
        }
        return Ok(());
    }
    thread::scope(|scope| {
        let mut ready = Vec::new();
        for worker in 0..workers {
            // One chunk waits to be written while the next is made.
            let (finished, queue) = mpsc::sync_channel(1);
            let (used, returned) = mpsc::sync_channel(1);
            ready.push((queue, used));
            let (encoder, chunks) = (&encoder, &chunks);
            scope.spawn(move || {
                let mut buffers = encoder.buffers();
                for chunk in chunks.iter().skip(worker).step_by(workers) {
                    buffers.bytes = returned.try_recv().unwrap_or_default();
                    let result = encoder.encode(chunk, &mut buffers);
                    let failed = result.is_err();
                    let made = result.map(|()| std::mem::take(&mut buffers.bytes));
                    // The writer gave up: so does this thread.
                    if finished.send(made).is_err() || failed {
                        return;
                    }
                }
            });
        }
        for (chunk, (queue, used)) in chunks.iter().zip(ready.iter().cycle()) {
            let stopped = |_| ExportError::Source {
                operation: "read samples",
                source: "a thread of the export ended early".into(),
            };
            let bytes: Vec<u8> = queue.recv().map_err(stopped)??;
            write(chunk, &bytes)?;
            // Memory to be used again; the thread may have ended, or have enough.
            let _ = used.try_send(bytes);
        }
        Ok(())
    })
}

/// Memory that a thread uses again.
struct Buffers {
    samples: Vec<Samples>,
    bytes: Vec<u8>,
}

impl<'a> Encoder<'a> {
    fn new(
        source: &'a dyn Source,
        plan: &'a FilePlan,
        streams: &'a [Surveyed],
        (axis, layout): (&'a Axis, &'a Layout),
        bdf: bool,
    ) -> Self {
        let width = if bdf { 3 } else { 2 };
        let members: Vec<&Surveyed> = plan.members.iter().map(|m| &streams[m.stream]).collect();
        let per_record: Vec<usize> = plan
            .members
            .iter()
            .map(|m| usize::try_from(m.per_record).unwrap_or(usize::MAX))
            .collect();
        let values: usize = members
            .iter()
            .zip(&per_record)
            .map(|(stream, per)| stream.signals.len() * per)
            .sum();
        Self {
            source,
            plan,
            members,
            per_record,
            axis,
            layout,
            width,
            values,
            record_bytes: values * width + layout.bytes,
        }
    }

    fn chunks(&self) -> Vec<Chunk> {
        let most = (WRITE_CHUNK_BYTES / self.record_bytes).max(1);
        let mut chunks = Vec::new();
        let mut record = 0;
        for (segment, of) in self.plan.segments.iter().enumerate() {
            let mut done = 0;
            while done < of.records {
                let left = usize::try_from(of.records - done).unwrap_or(usize::MAX);
                let count = left.min(most);
                chunks.push(Chunk {
                    segment,
                    done,
                    count,
                    record,
                });
                done += count as u64;
                record += count as u64;
            }
        }
        chunks
    }

    fn buffers(&self) -> Buffers {
        let empty = |stream: &&Surveyed| Samples::with_capacity(stream.sample_type, 0);
        Buffers {
            samples: self.members.iter().map(empty).collect(),
            bytes: Vec::new(),
        }
    }

    /// The records of `chunk` into `bytes` of the buffers, which hold nothing else then.
    fn encode(&self, chunk: &Chunk, buffers: &mut Buffers) -> Result<(), ExportError> {
        let Buffers { samples, bytes } = buffers;
        bytes.resize(chunk.count * self.record_bytes, 0);
        let segment = &self.plan.segments[chunk.segment];
        let mut column = 0;
        for (position, stream) in self.members.iter().enumerate() {
            let per = self.per_record[position];
            let first = segment.first[position] + chunk.done * per as u64;
            self.source
                .read(
                    stream.index,
                    first,
                    chunk.count * per,
                    &mut samples[position],
                )
                .map_err(|source| ExportError::Source {
                    operation: "read samples",
                    source,
                })?;
            for channel in 0..stream.signals.len() {
                let target = Target {
                    bytes: bytes.as_mut_slice(),
                    record_bytes: self.record_bytes,
                    column,
                    per,
                    count: chunk.count,
                };
                let from = channel * chunk.count * per;
                let encoding = stream.encodings[channel];
                target.put(&samples[position], from, encoding, self.width, channel)?;
                column += per * self.width;
            }
        }
        for (record, out) in (chunk.record..).zip(bytes.chunks_exact_mut(self.record_bytes)) {
            let out = &mut out[column..column + self.layout.bytes];
            self.layout.fill(record, self.axis.onset(record), out);
        }
        Ok(())
    }
}
