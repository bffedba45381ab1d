//! The path of the samples as the workstation runs it: device thread, journal, analysis, display.

use crate::limits::{COLUMNS_PER_S, PAGE_ROWS};
use crate::measure::{Times, process_s};
use crate::synthetic;
use acquisition::{
    Acquisition, AcquisitionConfig, AcquisitionStats, Analyser, AnalyserFactory, BlockFeed,
    BlockRecorder, Consumers, EndReason, FeedItem, Record, RecorderFailure, RecorderFailureKind,
};
use anyhow::{Context as _, Result, bail};
use contract::{Clock, Device, Driver, Settings, SystemClock};
use dsp::{
    DerivationMatrix, DisplayFilter, EnvelopeColumns, EnvelopeState, FilterSettings, QualityLimits,
    QualityMonitor, QualityVerdict,
};
use recording::{
    Appended, ClockAnchor, OsEntropy, OsStorage, Provenance, Recorder, RecordingError,
};
use signal::{
    Annotation, AnnotationId, HostNanos, Montage, SampleBlock, StreamDescription, as_recorded,
};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) stats: AcquisitionStats,
    pub(crate) reason: EndReason,
    /// Blocks that the journal could not take.
    pub(crate) lost_blocks: u64,
    /// Processor time of the whole process and length of the run, s.
    pub(crate) process_s: f64,
    pub(crate) wall_s: f64,
    /// From a block's arrival until its columns are ready to be drawn.
    pub(crate) display: Times,
    /// Derivations shown.
    pub(crate) derivations: usize,
    /// Blocks that the display did not take in time, and that the analysis did not.
    pub(crate) display_dropped: u64,
    pub(crate) verdicts: u64,
}

pub(crate) fn settings(pairs: &[(&str, &str)]) -> Settings {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// Settings of the load amplifier: a table copied round instead of a simulated brain, so that its
/// own cost stays small.
pub(crate) fn amplifier(channels: usize, rate_hz: u32, seconds: u32) -> Settings {
    settings(&[
        ("channels", &channels.to_string()),
        ("rate", &rate_hz.to_string()),
        ("duration_s", &seconds.to_string()),
        ("pattern", "cheap"),
    ])
}

/// Opens the simulated amplifier.
pub(crate) fn open(settings: &Settings) -> Result<Box<dyn Device>> {
    let device = simulated::Simulator.open("amplifier", settings, Arc::new(SystemClock));
    device.context("cannot open the simulated amplifier")
}

/// Records `device` into `folder` with everything that runs beside it, until it ends by itself.
pub(crate) fn run(device: Box<dyn Device>, folder: &Path) -> Result<Run> {
    let stream = device
        .description()
        .streams
        .first()
        .context("a device without streams")?
        .clone();
    let journal = Journal::create(&device.description().streams, folder)?;
    let lost = Arc::clone(&journal.lost_blocks);
    let verdicts = Arc::new(AtomicU64::new(0));
    let consumers = Consumers {
        recorder: Some(Box::new(journal)),
        analyser: Some(quality(&stream, &verdicts)?),
    };
    let page = Page::new(&stream)?;
    let derivations = page.matrix.len();

    let (begun, before) = (Instant::now(), process_s());
    let clock = Arc::new(SystemClock);
    let handle = Acquisition::start(device, consumers, clock, AcquisitionConfig::default())?;
    let feed = handle.subscribe(acquisition::limits::FEED_QUEUE)?;
    let display = thread::Builder::new()
        .name("display".to_owned())
        .spawn(move || page.show(&feed))
        .context("cannot start the display's thread")?;
    let summary = handle.wait();
    let (wall_s, process_s) = (begun.elapsed().as_secs_f64(), process_s() - before);
    let Ok((display, display_dropped)) = display.join() else {
        bail!("the display's thread panicked");
    };
    if summary.recorder.is_none() {
        bail!("the recorder hung");
    }
    Ok(Run {
        stats: summary.stats,
        reason: summary.reason,
        lost_blocks: lost.load(Ordering::Relaxed),
        process_s,
        wall_s,
        display: display?,
        derivations,
        display_dropped,
        verdicts: verdicts.load(Ordering::Relaxed),
    })
}

/// Records `device` and nothing else.
pub(crate) fn record(device: Box<dyn Device>, folder: &Path) -> Result<()> {
    let journal = Journal::create(&device.description().streams, folder)?;
    let consumers = Consumers {
        recorder: Some(Box::new(journal)),
        analyser: None,
    };
    let clock = Arc::new(SystemClock);
    let handle = Acquisition::start(device, consumers, clock, AcquisitionConfig::default())?;
    match handle.wait().reason {
        EndReason::SourceEnded => Ok(()),
        reason => bail!("the source ended early: {reason:?}"),
    }
}

/// The encrypted journal, written and synced to disk, as acquisition's recorder.
#[derive(Debug)]
pub(crate) struct Journal {
    recorder: Recorder,
    anchor: ClockAnchor,
    last_tick: HostNanos,
    annotations: u64,
    lost_blocks: Arc<AtomicU64>,
}

impl Journal {
    pub(crate) fn create(streams: &[StreamDescription], folder: &Path) -> Result<Self> {
        let anchor = ClockAnchor {
            host: SystemClock.host(),
            utc: SystemClock.utc(),
        };
        let header = synthetic::header(streams.to_vec(), anchor.utc, Provenance::Simulated);
        let (storage, entropy) = (Arc::new(OsStorage), Box::new(OsEntropy));
        let ring = synthetic::ring();
        Ok(Self {
            recorder: Recorder::create(folder, header, &ring, storage, entropy, anchor)?,
            anchor,
            last_tick: anchor.host,
            annotations: 0,
            lost_blocks: Arc::default(),
        })
    }

    fn write(&mut self, record: &Record) -> Result<(), RecordingError> {
        match record {
            Record::Block(block) => {
                if self.recorder.append(block)? == Appended::Lost {
                    self.lost_blocks.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            }
            Record::Gap(gap) => self.recorder.gap(gap),
            Record::Anchor(anchor) => self.recorder.anchor(ClockAnchor {
                host: anchor.host,
                utc: anchor.utc,
            }),
            Record::Annotation(mark) => {
                self.annotations += 1;
                self.recorder.annotate(&Annotation {
                    id: AnnotationId(self.annotations),
                    onset: mark.onset,
                    duration_ns: mark.duration_ns,
                    text: mark.text.clone(),
                    code: mark.code.clone(),
                    origin: mark.origin,
                    channels: mark.channels.clone(),
                    supersedes: None,
                })
            }
            Record::Quality { stream, quality } => self.note(format!("{stream:?} {quality:?}")),
            Record::Event(event) => self.note(format!("{event:?}")),
            Record::End(_) => self.recorder.finish(self.last_tick).map(drop),
        }
    }

    fn note(&mut self, text: String) -> Result<(), RecordingError> {
        let at = self
            .anchor
            .utc
            .plus_nanos(self.last_tick.nanos_since(self.anchor.host));
        self.recorder.mark(&recording::Mark {
            at,
            kind: "acquisition".to_owned(),
            text,
        })
    }
}

fn failure(error: &RecordingError) -> RecorderFailure {
    let kind = match error {
        RecordingError::DiskFull { .. } => RecorderFailureKind::DiskFull,
        RecordingError::Storage { .. } => RecorderFailureKind::Io,
        _ => RecorderFailureKind::Rejected,
    };
    RecorderFailure {
        kind,
        message: error.to_string(),
    }
}

impl BlockRecorder for Journal {
    fn record(&mut self, record: &Record) -> Result<(), RecorderFailure> {
        self.write(record).map_err(|error| failure(&error))
    }

    fn tick(&mut self, now: HostNanos) -> Result<(), RecorderFailure> {
        self.last_tick = now;
        let ticked = self.recorder.tick(now).map_err(|error| failure(&error));
        drop(self.recorder.drain_closed());
        ticked
    }
}

/// The quality of every channel, every second.
struct Quality {
    monitor: QualityMonitor,
    verdicts: Vec<QualityVerdict>,
    count: Arc<AtomicU64>,
}

impl Analyser for Quality {
    fn block(&mut self, block: &SampleBlock) {
        // Only the first stream is watched; the load amplifier has one.
        if block.stream.0 == 0 && self.monitor.push(block, &mut self.verdicts).is_ok() {
            self.count
                .fetch_add(self.verdicts.len() as u64, Ordering::Relaxed);
            self.verdicts.clear();
        }
    }
}

fn quality(stream: &StreamDescription, count: &Arc<AtomicU64>) -> Result<AnalyserFactory> {
    let hz = stream.rate.as_hz().context("an irregular stream")?;
    let monitor = move |stream: &StreamDescription| {
        QualityMonitor::new(&stream.channels, hz, 50.0, QualityLimits::default())
    };
    let mut first = Some(monitor(stream)?);
    let (stream, count) = (stream.clone(), Arc::clone(count));
    Ok(Box::new(move || -> Box<dyn Analyser> {
        // What could be made once can be made again: the arguments are the same.
        let monitor = first.take().or_else(|| monitor(&stream).ok());
        match monitor {
            Some(monitor) => Box::new(Quality {
                monitor,
                verdicts: Vec::new(),
                count: Arc::clone(&count),
            }),
            None => Box::new(Nothing),
        }
    }))
}

struct Nothing;

impl Analyser for Nothing {
    fn block(&mut self, _block: &SampleBlock) {}
}

/// A page as it is drawn: derivations, clinical filters, columns of least and greatest value.
#[derive(Debug)]
struct Page {
    matrix: DerivationMatrix,
    filter: DisplayFilter,
    envelopes: EnvelopeState,
}

impl Page {
    fn new(stream: &StreamDescription) -> Result<Self> {
        let hz = stream.rate.as_hz().context("an irregular stream")?;
        let montage = Montage::by_name("average-10-10").context("no average montage")?;
        let mut shown = montage.resolve(&stream.channels, &[]);
        shown.retain(|derivation| derivation.blank.is_none());
        // Channels that the montage has no place for are shown as recorded.
        let rows = stream.channels.len().min(PAGE_ROWS);
        let left = rows.saturating_sub(shown.len());
        shown.extend(
            as_recorded(&stream.channels, &[])
                .into_iter()
                .rev()
                .take(left),
        );
        let kinds: Vec<_> = shown.iter().map(|derivation| derivation.kind).collect();
        Ok(Self {
            matrix: DerivationMatrix::new(&shown, &stream.channels),
            filter: DisplayFilter::new(hz, &kinds, FilterSettings::default_for)?,
            envelopes: EnvelopeState::new(shown.len(), COLUMNS_PER_S, hz as u32)
                .context("fewer samples than columns")?,
        })
    }

    /// Draws until the feed ends; how long after its arrival each block was ready, and how many
    /// blocks came too thick.
    fn show(mut self, feed: &BlockFeed) -> (Result<Times>, u64) {
        let mut times = Times::default();
        let (mut values, mut columns) = (Vec::new(), EnvelopeColumns::default());
        loop {
            match feed.next(Duration::from_secs(10)) {
                Some(FeedItem::Block(block)) if block.stream.0 == 0 => {
                    if let Err(error) = self.draw(&block, &mut values, &mut columns) {
                        return (Err(error), feed.dropped());
                    }
                    let late = SystemClock.host().seconds_since(block.arrival);
                    times.push_s(late);
                    std::hint::black_box(&columns);
                }
                Some(FeedItem::Gap(_)) => self.filter.gap(),
                Some(FeedItem::Block(_)) => {}
                Some(FeedItem::Ended(_)) | None => return (Ok(times), feed.dropped()),
            }
        }
    }

    fn draw(
        &mut self,
        block: &SampleBlock,
        values: &mut Vec<f64>,
        columns: &mut EnvelopeColumns,
    ) -> Result<()> {
        self.matrix.apply(block, values)?;
        self.filter.process(values, block.len)?;
        self.envelopes
            .push(values, block.len, block.first_index, columns)?;
        Ok(())
    }
}
