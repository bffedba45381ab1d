//! The timing certificate: what this machine makes of a signal that arrives at a known rate.
//!
//! The simulated amplifier runs in real time through the very path of a session: device thread,
//! encrypted journal on this disk, analysis queue, display. What is certified holds for this machine
//! as it was loaded then; the certificate says so.

use crate::documents;
use crate::engine_room::Room;
use crate::error::{Error, ErrorKind, Result};
use crate::facade::Workstation;
use crate::limits::{
    CERTIFY_CHANNELS, CERTIFY_DRIFT_PPM, CERTIFY_LINK_JITTER_MS, CERTIFY_RATE_HZ, CLOCK_SETTLES,
    LONGEST_CERTIFY, MARK_QUEUE, SEGMENT_QUEUE, SHORTEST_CERTIFY, TIMING_COLUMNS_PER_S,
};
use crate::recorder::{JournalRecorder, RecorderView, Replayed};
use acquisition::{Acquisition, AcquisitionConfig, BlockFeed, Consumers, FeedItem};
use contract::{Clock, Settings};
use dsp::{DerivationMatrix, DisplayFilter, EnvelopeColumns, EnvelopeState, FilterSettings};
use events::Timestamp;
use events::payloads::TimingCertified;
use logstore::UnitOfWork;
use recording::{
    ClockAnchor, DeviceNote, KeyRing, OsEntropy, OsStorage, Provenance, Recorder, RecordingHeader,
    RecordingId,
};
use report::{Fact, Notice, Section, render_notice_pdf};
use sha2::{Digest, Sha256};
use signal::{HostNanos, StreamDescription, as_recorded};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use store::rows::{DocumentId, DocumentKind, DocumentRow, UserId};
use store::write;
use uuid::Uuid;

/// What was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct TimingFigures {
    /// Channels measured with.
    pub channels: u32,
    /// Rate, Hz.
    pub rate_hz: f64,
    /// Measured for, s.
    pub duration_s: f64,
    /// From a block's arrival from the device to its columns being ready to be drawn, ms: median.
    pub latency_p50_ms: f64,
    /// 99th percentile.
    pub latency_p99_ms: f64,
    /// Greatest.
    pub latency_max_ms: f64,
    /// Standard deviation of what this machine adds to the interval between two blocks, ms.
    pub jitter_ms: f64,
    /// Samples due, per channel.
    pub samples_due: u64,
    /// Samples lost, per channel.
    pub samples_lost: u64,
    /// Error of the fitted clock, µs, 99th percentile.
    pub clock_error_p99_us: f64,
}

/// A certificate.
#[derive(Debug, Clone, PartialEq)]
pub struct TimingCertificate {
    /// What was measured.
    pub figures: TimingFigures,
    /// The PDF.
    pub path: PathBuf,
    /// SHA-256 of it, hexadecimal.
    pub sha256: String,
}

/// What the display saw.
#[derive(Debug, Default)]
struct Seen {
    latencies_s: Vec<f64>,
    /// From a block's arrival until the display had it.
    delays_s: Vec<f64>,
    /// Index of a block's first sample, and when the fitted clock says that it was taken.
    fitted: Vec<(u64, HostNanos)>,
}

impl Workstation {
    /// Measures this machine's timing on the simulator and certifies it.
    ///
    /// # Errors
    /// An impossible length, a session that records, a file in the way, no space; the store.
    pub async fn certify_timing(
        &self,
        duration_s: f64,
        path: Option<PathBuf>,
        progress: impl Fn(u64, u64) + Send + 'static,
    ) -> Result<TimingCertificate> {
        let bounds = SHORTEST_CERTIFY.as_secs_f64()..=LONGEST_CERTIFY.as_secs_f64();
        if !bounds.contains(&duration_s) {
            let message = format!(
                "a measurement takes {} to {} s",
                SHORTEST_CERTIFY.as_secs(),
                LONGEST_CERTIFY.as_secs()
            );
            return Err(Error::new(ErrorKind::Invalid, message, ""));
        }
        if !self.room.live.sessions().is_empty() {
            return Err(Error::new(
                ErrorKind::Conflict,
                "a session is recording",
                "Measure when none does: neither should disturb the other.",
            ));
        }
        let busy = || Error::new(ErrorKind::Conflict, "a measurement is under way", "");
        let _alone = self.room.measuring.try_lock().map_err(|_| busy())?;
        let id = Uuid::now_v7();
        let target = path.unwrap_or_else(|| {
            let exports = self.room.config.exports();
            exports.join(format!("timing-certificate-{id}.pdf"))
        });
        // Said before a minute is spent, and again by whoever writes it.
        documents::refuse_existing(&target)?;
        let (room, seconds) = (self.room.clone(), duration_s.ceil() as u32);
        let figures = documents::blocking("measure the timing", move || {
            measure(&room, seconds, &progress)
        });
        let figures = figures.await?;
        let notice = self.certificate(id, &figures);
        let at = target.clone();
        let sha256 = documents::blocking("write the certificate", move || {
            let pdf = render_notice_pdf(&notice)
                .map_err(|error| Error::internal("typeset the certificate", &error))?;
            documents::write_out(&at, &pdf)?;
            Ok(documents::hex(&Sha256::digest(&pdf)))
        });
        let sha256 = sha256.await?;
        self.note_certificate(id, &figures, &target, &sha256)
            .await?;
        Ok(TimingCertificate {
            figures,
            path: target,
            sha256,
        })
    }

    async fn note_certificate(
        &self,
        id: Uuid,
        figures: &TimingFigures,
        path: &Path,
        sha256: &str,
    ) -> Result<()> {
        let by = self.room.by_user_id();
        let row = DocumentRow {
            id: DocumentId(id),
            kind: DocumentKind::Certificate,
            session_id: None,
            recording_id: None,
            format: "pdf".to_owned(),
            identified: false,
            path: path.to_string_lossy().into_owned(),
            sha256: sha256.to_owned(),
            by_user_id: by.map(UserId),
            created_at: Timestamp(self.room.clock.utc().0),
        };
        let payload = TimingCertified {
            document_id: id,
            sha256: sha256.to_owned(),
            duration_ms: (figures.duration_s * 1e3) as u64,
            latency_p99_us: (figures.latency_p99_ms * 1e3) as u64,
            samples_due: figures.samples_due,
            samples_lost: figures.samples_lost,
            by_user_id: by,
        };
        let unit = UnitOfWork::new()
            .statement(write::insert_document(&row))
            .event(self.event_of(id, &payload)?);
        self.room.store()?.commit(unit).await?;
        Ok(())
    }

    fn certificate(&self, id: Uuid, figures: &TimingFigures) -> Notice {
        let now = self.room.clock.utc();
        let printed = documents::printed(now, crate::times::zone_at(now));
        let row = |what: &str, value: String| vec![what.to_owned(), value];
        let ms = |value: f64| format!("{value:.3} ms");
        Notice {
            title: "Timing certificate".to_owned(),
            banner: "Timing certificate of this machine".to_owned(),
            sections: vec![
                Section {
                    heading: "Measured".to_owned(),
                    columns: vec![("What".to_owned(), false), ("Value".to_owned(), true)],
                    rows: vec![
                        row("Latency, median", ms(figures.latency_p50_ms)),
                        row("Latency, 99th percentile", ms(figures.latency_p99_ms)),
                        row("Latency, greatest", ms(figures.latency_max_ms)),
                        row(
                            "Jitter added to the interval between blocks",
                            ms(figures.jitter_ms),
                        ),
                        row("Samples due, per channel", figures.samples_due.to_string()),
                        row(
                            "Samples lost, per channel",
                            figures.samples_lost.to_string(),
                        ),
                        row(
                            "Error of the fitted clock, 99th percentile",
                            format!("{:.1} µs", figures.clock_error_p99_us),
                        ),
                    ],
                    ..Section::default()
                },
                Section {
                    heading: "How".to_owned(),
                    text: method(figures),
                    ..Section::default()
                },
                Section {
                    heading: "Machine".to_owned(),
                    facts: machine(),
                    ..Section::default()
                },
            ],
            document_id: id.to_string(),
            software: documents::SOFTWARE.to_owned(),
            created_at: now,
            created: printed,
            ..Notice::default()
        }
    }
}

fn method(figures: &TimingFigures) -> String {
    format!(
        "The simulated amplifier sent {} channels at {} Hz for {} s in real time, through the path of a \
         session: the device's thread, the encrypted journal on this machine's disk, derivations, \
         display filters and envelopes. Its clock ran {CERTIFY_DRIFT_PPM} ppm fast, and its link \
         delayed each block by up to {CERTIFY_LINK_JITTER_MS} ms.\n\
         Latency is counted from the arrival of a block until its columns are ready to be drawn; what a \
         device's own transport and the screen add is not in it. Jitter is the standard deviation of \
         what this machine adds to the interval between two blocks. Lost are samples that were due and \
         are not in the record. The clock's error is how far the fitted times of blocks stray from the \
         device's true rate, after {} s to settle.\n\
         The figures hold for this machine as it was loaded at that time.",
        figures.channels,
        figures.rate_hz,
        figures.duration_s,
        CLOCK_SETTLES.as_secs()
    )
}

/// What the figures were measured on. Nothing of it names a person.
fn machine() -> Vec<Fact> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let processor = read("/proc/cpuinfo")
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or_else(|| "unknown".to_owned(), |(_, name)| name.trim().to_owned());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let kernel = read("/proc/sys/kernel/osrelease").trim().to_owned();
    let load = read("/proc/loadavg");
    let load = load
        .split_whitespace()
        .next()
        .unwrap_or("unknown")
        .to_owned();
    vec![
        Fact::new("Processor", processor),
        Fact::new("Cores", cores.to_string()),
        Fact::new("System", format!("{} {kernel}", std::env::consts::OS)),
        Fact::new("Load afterwards", load),
    ]
}

/// A recording that is measured on and thrown away, whatever happens.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "the measurement's recording is not removed");
        }
    }
}

fn measure(room: &Room, seconds: u32, progress: &dyn Fn(u64, u64)) -> Result<TimingFigures> {
    let settings: Settings = [
        ("channels", CERTIFY_CHANNELS.to_string()),
        ("rate", CERTIFY_RATE_HZ.to_string()),
        ("duration_s", seconds.to_string()),
        ("jitter_ms", CERTIFY_LINK_JITTER_MS.to_string()),
        ("drift_ppm", CERTIFY_DRIFT_PPM.to_string()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    let device = room.drivers.open("simulated:amplifier", &settings)?;
    let stream = device.description().streams.first().cloned();
    let stream =
        stream.ok_or_else(|| Error::new(ErrorKind::Internal, "the amplifier has no stream", ""))?;
    let folder = Scratch(room.config.data_dir.join("timing"));
    // What a crash may have left.
    drop(Scratch(folder.0.clone()));
    let anchor = ClockAnchor {
        host: room.clock.host(),
        utc: room.clock.utc(),
    };
    let header = RecordingHeader {
        id: RecordingId(Uuid::now_v7()),
        created: anchor.utc,
        zone: crate::times::zone_at(anchor.utc),
        streams: vec![stream.clone()],
        provenance: Provenance::Simulated,
        device: DeviceNote {
            id: device.description().id.clone(),
            model: device.description().model.clone(),
            serial: String::new(),
            firmware: String::new(),
            class: "simulated".to_owned(),
        },
        notes: BTreeMap::new(),
    };
    let ring = KeyRing {
        station: room.station_key()?,
        recovery: None,
        site: None,
    };
    let recorder = Recorder::create(
        &folder.0,
        header,
        &ring,
        Arc::new(OsStorage),
        Box::new(OsEntropy),
        anchor,
    )?;
    let (_marks, marked) = crossbeam_channel::bounded(MARK_QUEUE);
    let (closed, segments) = crossbeam_channel::bounded(SEGMENT_QUEUE);
    let view = Arc::new(RecorderView::starting_at(1));
    let journal = JournalRecorder::new(recorder, marked, closed, view, anchor, Replayed::default());
    let consumers = Consumers {
        recorder: Some(Box::new(journal)),
        analyser: None,
    };
    let handle = Acquisition::start(
        device,
        consumers,
        room.clock.clone(),
        AcquisitionConfig::default(),
    )
    .map_err(|error| Error::internal("start the measurement", &error))?;
    let feed = handle
        .subscribe(acquisition::limits::FEED_QUEUE)
        .map_err(|error| Error::internal("start the measurement", &error))?;
    let (page, clock) = (Page::new(&stream)?, room.clock.clone());
    let display = std::thread::Builder::new()
        .name("display".to_owned())
        .spawn(move || page.show(&feed, clock.as_ref()))
        .map_err(|error| Error::internal("start the measurement", &error))?;
    let began = room.clock.host();
    while !handle.is_ended() {
        room.clock.sleep(Duration::from_millis(250));
        let done = room.clock.host().seconds_since(began) as u64;
        progress(done.min(u64::from(seconds)), u64::from(seconds));
        // Closed segments of a measurement are nobody's evidence.
        while segments.try_recv().is_ok() {}
    }
    let stats = handle.wait().stats;
    let seen = display
        .join()
        .map_err(|_| Error::new(ErrorKind::Internal, "the measurement's display failed", ""))?;
    let stream_stats = stats.streams.first();
    let recorded = stream_stats.map_or(0, |stats| stats.samples.saturating_sub(stats.unrecorded));
    let due = u64::from(seconds) * u64::from(CERTIFY_RATE_HZ);
    figures(&seen, (due, recorded), seconds)
}

fn figures(seen: &Seen, (due, recorded): (u64, u64), seconds: u32) -> Result<TimingFigures> {
    let mut latencies: Vec<f64> = seen.latencies_s.iter().map(|s| s * 1e3).collect();
    if latencies.len() < 2 {
        return Err(Error::new(
            ErrorKind::Internal,
            "the measurement saw no blocks",
            "Measure again when the machine is less busy.",
        ));
    }
    latencies.sort_by(f64::total_cmp);
    Ok(TimingFigures {
        channels: CERTIFY_CHANNELS,
        rate_hz: f64::from(CERTIFY_RATE_HZ),
        duration_s: f64::from(seconds),
        latency_p50_ms: quantile(&latencies, 0.5),
        latency_p99_ms: quantile(&latencies, 0.99),
        latency_max_ms: quantile(&latencies, 1.0),
        jitter_ms: jitter_ms(&seen.delays_s),
        samples_due: due,
        samples_lost: due.saturating_sub(recorded),
        clock_error_p99_us: clock_error_p99_us(&seen.fitted, true_rate_hz()),
    })
}

/// The smallest of the sorted values that at least this share of them do not exceed.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    let at = rank.saturating_sub(1).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or(0.0)
}

/// Standard deviation of how much later or earlier than the block before it a block is seen, beyond
/// the interval in which they arrived.
fn jitter_ms(delays_s: &[f64]) -> f64 {
    let added: Vec<f64> = delays_s
        .windows(2)
        .map(|pair| (pair[1] - pair[0]) * 1e3)
        .collect();
    if added.is_empty() {
        return 0.0;
    }
    let count = added.len() as f64;
    let mean = added.iter().sum::<f64>() / count;
    let variance = added.iter().map(|ms| (ms - mean).powi(2)).sum::<f64>() / count;
    variance.sqrt()
}

/// The simulated device's rate by the host's clock.
fn true_rate_hz() -> f64 {
    f64::from(CERTIFY_RATE_HZ) * (1.0 + CERTIFY_DRIFT_PPM * 1e-6)
}

/// How far the fitted times stray from the true rate: from their own median offset to it, since when
/// the device began is not known any better.
fn clock_error_p99_us(fitted: &[(u64, HostNanos)], rate_hz: f64) -> f64 {
    let Some((first, begin)) = fitted.first() else {
        return 0.0;
    };
    let settles = (CLOCK_SETTLES.as_secs_f64() * rate_hz) as u64;
    let mut offsets: Vec<f64> = fitted
        .iter()
        .filter(|(index, _)| index.saturating_sub(*first) >= settles)
        .map(|(index, time)| {
            let true_s = (index - first) as f64 / rate_hz;
            (time.seconds_since(*begin) - true_s) * 1e6
        })
        .collect();
    offsets.sort_by(f64::total_cmp);
    let median = quantile(&offsets, 0.5);
    let mut errors: Vec<f64> = offsets.iter().map(|o| (o - median).abs()).collect();
    errors.sort_by(f64::total_cmp);
    quantile(&errors, 0.99)
}

/// A page as it is drawn: rows, clinical filters, columns of least and greatest value.
struct Page {
    matrix: DerivationMatrix,
    filter: DisplayFilter,
    envelopes: EnvelopeState,
}

impl Page {
    fn new(stream: &StreamDescription) -> Result<Self> {
        let hz = f64::from(CERTIFY_RATE_HZ);
        let shown = as_recorded(&stream.channels, &[]);
        let kinds: Vec<_> = shown.iter().map(|row| row.kind).collect();
        let wrong = |error: &dsp::DspError| Error::internal("set up the measurement's page", error);
        let envelopes = EnvelopeState::new(shown.len(), TIMING_COLUMNS_PER_S, CERTIFY_RATE_HZ);
        Ok(Self {
            matrix: DerivationMatrix::new(&shown, &stream.channels),
            filter: DisplayFilter::new(hz, &kinds, FilterSettings::default_for)
                .map_err(|error| wrong(&error))?,
            envelopes: envelopes
                .ok_or_else(|| Error::new(ErrorKind::Internal, "fewer samples than columns", ""))?,
        })
    }

    fn show(mut self, feed: &BlockFeed, clock: &dyn Clock) -> Seen {
        let mut seen = Seen::default();
        let (mut values, mut columns) = (Vec::new(), EnvelopeColumns::default());
        loop {
            match feed.next(Duration::from_secs(10)) {
                Some(FeedItem::Block(block)) if block.stream.0 == 0 => {
                    let had = clock.host().seconds_since(block.arrival);
                    let drawn = self
                        .matrix
                        .apply(&block, &mut values)
                        .and_then(|()| self.filter.process(&mut values, block.len));
                    if let Err(error) = drawn {
                        tracing::error!(%error, "draw a block of the measurement");
                        return seen;
                    }
                    let first = block.first_index;
                    if self
                        .envelopes
                        .push(&values, block.len, first, &mut columns)
                        .is_err()
                    {
                        return seen;
                    }
                    std::hint::black_box(&columns);
                    seen.latencies_s
                        .push(clock.host().seconds_since(block.arrival));
                    seen.delays_s.push(had);
                    seen.fitted
                        .extend(block.fitted.map(|fitted| (first, fitted)));
                }
                Some(FeedItem::Gap(_)) => self.filter.gap(),
                Some(FeedItem::Block(_)) => {}
                Some(FeedItem::Ended(_)) | None => return seen,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_values_themselves() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(quantile(&values, 0.5), 50.0);
        assert_eq!(quantile(&values, 0.99), 99.0);
        assert_eq!(quantile(&values, 1.0), 100.0);
        assert_eq!(quantile(&[], 0.5), 0.0);
    }

    #[test]
    fn jitter_is_the_spread_of_what_is_added() {
        assert_eq!(jitter_ms(&[0.004; 9]), 0.0);
        let uneven = jitter_ms(&[0.001, 0.002, 0.001, 0.002, 0.001]);
        assert!((uneven - 1.0).abs() < 1e-9, "{uneven}");
    }

    #[test]
    fn a_clock_that_runs_true_has_no_error_whenever_it_began() {
        let fitted = |error_us: fn(u64) -> i64| -> Vec<_> {
            (0..256 * 60)
                .step_by(8)
                .map(|index| {
                    let true_ns = index as i64 * 1_000_000_000 / 256;
                    (
                        index,
                        HostNanos(77_000_000_000 + true_ns + error_us(index) * 1_000),
                    )
                })
                .collect()
        };
        assert!(clock_error_p99_us(&fitted(|_| 0), 256.0) < 0.01);
        let straying =
            clock_error_p99_us(&fitted(|index| if index % 16 == 0 { 40 } else { 0 }), 256.0);
        assert!((straying - 40.0).abs() < 1.0, "{straying}");
        // One block in a hundred does not make the 99th percentile.
        let rare = clock_error_p99_us(
            &fitted(|index| if index % 4_096 == 0 { 900 } else { 0 }),
            256.0,
        );
        assert!(rare < 1.0, "{rare}");
    }
}
