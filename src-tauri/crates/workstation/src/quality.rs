//! Quality of a running session's channels: judged every second on the thread `signal`, and held
//! against rules before anyone is called.
//!
//! The board outlives the analyser, which may panic and is then made anew: what was found stays,
//! and the new one goes on judging. The record knows nothing of either.

use crate::alerts::Alert;
use crate::limits::{QUALITY_RULES, QualityRule, STALE_AFTER};
use acquisition::{Analyser, AnalyserFactory};
use contract::{Clock, DeviceDescription};
use dsp::{QualityFlags, QualityLimits, QualityMeasures, QualityMonitor, QualityVerdict};
use events::payloads::{QualityIssue, Severity};
use signal::{HostNanos, SampleBlock, SampleType, StreamIndex, StreamRole, UtcNanos};
use std::sync::{Arc, Mutex, PoisonError};

/// How good a channel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grade {
    /// Nothing was found.
    Good,
    /// Still the patient's signal, with something in it.
    Poor,
    /// Not the patient's signal.
    Unusable,
    /// Nothing arrives.
    Stale,
}

/// One channel over the last second that was judged.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelQuality {
    /// Stream.
    pub stream: StreamIndex,
    /// Label.
    pub label: String,
    /// Grade.
    pub grade: Grade,
    /// What was found.
    pub findings: Vec<QualityIssue>,
}

/// An issue of a channel that has held long enough to be told, or no longer holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Held {
    pub(crate) stream: StreamIndex,
    pub(crate) channel: usize,
    pub(crate) label: String,
    pub(crate) issue: QualityIssue,
    /// The figure behind it, in the unit of its kind.
    pub(crate) value: Option<f64>,
}

/// The word of an issue, as alerts and the wire have it.
pub(crate) const fn word(issue: QualityIssue) -> &'static str {
    match issue {
        QualityIssue::Flat => "flat",
        QualityIssue::Railed => "railed",
        QualityIssue::Mains => "mains",
        QualityIssue::Muscle => "muscle",
        QualityIssue::ElectrodePop => "electrode_pop",
        QualityIssue::Impedance => "impedance",
        QualityIssue::GelBridge => "gel_bridge",
        QualityIssue::Gap => "gap",
        QualityIssue::NoData => "no_data",
        QualityIssue::Excessive => "excessive",
    }
}

fn found(flags: QualityFlags, issue: QualityIssue) -> bool {
    match issue {
        QualityIssue::Flat => flags.flat,
        QualityIssue::Railed => flags.railed,
        QualityIssue::Mains => flags.mains,
        QualityIssue::Muscle => flags.muscle,
        QualityIssue::ElectrodePop => flags.electrode_pop,
        QualityIssue::Excessive => flags.excessive,
        QualityIssue::Gap => flags.gap,
        QualityIssue::Impedance | QualityIssue::GelBridge | QualityIssue::NoData => false,
    }
}

fn figure(measures: &QualityMeasures, issue: QualityIssue) -> Option<f64> {
    match issue {
        QualityIssue::Flat | QualityIssue::Excessive => measures.peak_to_peak_uv,
        QualityIssue::Railed => Some(measures.railed_share),
        QualityIssue::Mains => measures.mains_uv,
        QualityIssue::Muscle => measures.muscle_uv,
        QualityIssue::ElectrodePop => measures.step_uv,
        QualityIssue::Gap => Some(measures.missing_share),
        QualityIssue::Impedance | QualityIssue::GelBridge | QualityIssue::NoData => None,
    }
}

/// How much an issue of one channel matters.
pub(crate) const fn severity(issue: QualityIssue) -> Severity {
    match issue {
        QualityIssue::Muscle => Severity::Info,
        _ => Severity::Warning,
    }
}

/// The alert of an issue that holds since `at`.
pub(crate) fn alert(held: &Held, at: UtcNanos) -> Alert {
    let label = &held.label;
    let text = match held.issue {
        QualityIssue::Flat => {
            format!("{label} shows no signal: see whether its electrode is on and plugged in.")
        }
        QualityIssue::Railed => {
            format!(
                "{label} is at the end of its range: see to its electrode and to the reference."
            )
        }
        QualityIssue::Mains => format!(
            "{label} carries mains hum above its signal: see to its electrode, cables and ground."
        ),
        QualityIssue::Muscle => format!("{label} is covered by muscle activity."),
        QualityIssue::ElectrodePop => {
            format!("{label} keeps popping: see to its electrode and lead.")
        }
        QualityIssue::Excessive => {
            format!("{label} is larger than any EEG: see to its electrode and to movement.")
        }
        QualityIssue::Impedance
        | QualityIssue::GelBridge
        | QualityIssue::Gap
        | QualityIssue::NoData => format!("{label}: {}.", word(held.issue)),
    };
    Alert::new(at, word(held.issue), severity(held.issue), text).of(label)
}

/// What is known of one rule for one channel.
#[derive(Debug, Clone, Copy, Default)]
struct Watched {
    /// The last seconds, the newest in the lowest bit.
    seconds: u32,
    /// How many of them were judged.
    judged: u32,
    holds: bool,
    value: Option<f64>,
}

impl Watched {
    fn judge(&mut self, rule: &QualityRule, found: bool, value: Option<f64>) {
        self.seconds = (self.seconds << 1) | u32::from(found);
        self.judged = self.judged.saturating_add(1);
        let of_last = |seconds: u32| (self.seconds & ((1 << seconds) - 1)).count_ones();
        if of_last(rule.of_s) >= rule.found_s {
            self.holds = true;
        } else if self.judged >= rule.clear_s && of_last(rule.clear_s) == 0 {
            self.holds = false;
        }
        if found {
            self.value = value;
        }
    }
}

#[derive(Debug)]
struct Channel {
    label: String,
    flags: Option<QualityFlags>,
    watched: [Watched; QUALITY_RULES.len()],
}

#[derive(Debug)]
struct Stream {
    index: StreamIndex,
    /// When its last block came, by the host's clock.
    heard: HostNanos,
    channels: Vec<Channel>,
}

/// Verdicts of a session's streams, kept for whoever asks.
#[derive(Debug)]
pub(crate) struct QualityBoard {
    streams: Mutex<Vec<Stream>>,
    /// Whether silence means anything: a file may be played at any pace.
    paced: bool,
}

impl QualityBoard {
    /// A board for the streams of `device` that are judged.
    pub(crate) fn new(device: &DeviceDescription, now: HostNanos) -> Self {
        let judged = device.streams.iter().enumerate();
        let streams = judged
            .filter(|(_, stream)| is_judged(stream))
            .map(|(position, stream)| Stream {
                index: index(position),
                heard: now,
                channels: stream
                    .channels
                    .iter()
                    .map(|channel| Channel {
                        label: channel.label.clone(),
                        flags: None,
                        watched: [Watched::default(); QUALITY_RULES.len()],
                    })
                    .collect(),
            })
            .collect();
        Self {
            streams: Mutex::new(streams),
            paced: device.pacing == contract::Pacing::RealTime,
        }
    }

    fn hear(&self, stream: StreamIndex, now: HostNanos, verdicts: &[QualityVerdict]) {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(stream) = streams.iter_mut().find(|known| known.index == stream) else {
            return;
        };
        stream.heard = now;
        for verdict in verdicts {
            let Some(channel) = stream.channels.get_mut(verdict.channel) else {
                continue;
            };
            channel.flags = Some(verdict.flags);
            for (rule, watched) in QUALITY_RULES.iter().zip(&mut channel.watched) {
                let (found, value) = (
                    found(verdict.flags, rule.issue),
                    figure(&verdict.measures, rule.issue),
                );
                watched.judge(rule, found, value);
            }
        }
    }

    /// Gives a channel another label.
    pub(crate) fn relabel(&self, from: &str, to: &str) {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let channels = streams.iter_mut().flat_map(|stream| &mut stream.channels);
        for channel in channels.filter(|channel| channel.label == from) {
            to.clone_into(&mut channel.label);
        }
    }

    /// Forgets everything that was found: the patient is off the device, or back.
    pub(crate) fn reset(&self, now: HostNanos) {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        for stream in streams.iter_mut() {
            stream.heard = now;
            for channel in &mut stream.channels {
                channel.flags = None;
                channel.watched = [Watched::default(); QUALITY_RULES.len()];
            }
        }
    }

    /// Every channel that was judged, or of which nothing is heard.
    pub(crate) fn channels(&self, now: HostNanos) -> Vec<ChannelQuality> {
        let streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = Vec::new();
        for stream in streams.iter() {
            let silent = now.nanos_since(stream.heard) > STALE_AFTER.as_nanos() as i64;
            let stale = self.paced && silent;
            for channel in &stream.channels {
                if let Some((grade, findings)) = judged(channel.flags, stale) {
                    all.push(ChannelQuality {
                        stream: stream.index,
                        label: channel.label.clone(),
                        grade,
                        findings,
                    });
                }
            }
        }
        all
    }

    /// Everything that has held long enough to be told.
    pub(crate) fn held(&self) -> Vec<Held> {
        let streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = Vec::new();
        for stream in streams.iter() {
            for (position, channel) in stream.channels.iter().enumerate() {
                let rules = QUALITY_RULES.iter().zip(&channel.watched);
                all.extend(
                    rules
                        .filter(|(_, watched)| watched.holds)
                        .map(|(rule, watched)| Held {
                            stream: stream.index,
                            channel: position,
                            label: channel.label.clone(),
                            issue: rule.issue,
                            value: watched.value,
                        }),
                );
            }
        }
        all
    }
}

fn judged(flags: Option<QualityFlags>, stale: bool) -> Option<(Grade, Vec<QualityIssue>)> {
    if stale {
        return Some((Grade::Stale, Vec::new()));
    }
    let flags = flags?;
    let grade = match (flags.is_clean(), flags.is_usable()) {
        (true, _) => Grade::Good,
        (false, true) => Grade::Poor,
        (false, false) => Grade::Unusable,
    };
    let findings = [
        QualityIssue::Flat,
        QualityIssue::Railed,
        QualityIssue::Mains,
        QualityIssue::Muscle,
        QualityIssue::ElectrodePop,
        QualityIssue::Excessive,
        QualityIssue::Gap,
    ];
    let findings = findings.into_iter().filter(|issue| found(flags, *issue));
    Some((grade, findings.collect()))
}

fn is_judged(stream: &signal::StreamDescription) -> bool {
    stream.role == StreamRole::Signal
        && stream.sample_type != SampleType::Text
        && stream.rate.as_hz().is_some()
}

fn index(position: usize) -> StreamIndex {
    StreamIndex(u16::try_from(position).unwrap_or(u16::MAX))
}

/// Judges blocks on the thread `signal` and enters the verdicts on the board.
struct Watcher {
    monitors: Vec<Option<QualityMonitor>>,
    board: Arc<QualityBoard>,
    clock: Arc<dyn Clock>,
    verdicts: Vec<QualityVerdict>,
}

impl Analyser for Watcher {
    fn block(&mut self, block: &SampleBlock) {
        let monitor = self.monitors.get_mut(usize::from(block.stream.0));
        let Some(monitor) = monitor.and_then(Option::as_mut) else {
            return;
        };
        self.verdicts.clear();
        if let Err(error) = monitor.push(block, &mut self.verdicts) {
            tracing::warn!(%error, stream = block.stream.0, "quality is not judged");
        }
        self.board
            .hear(block.stream, self.clock.host(), &self.verdicts);
    }
}

/// Makes the analyser of a session, again after each panic. Hum is looked for about `mains_hz`.
pub(crate) fn analyser(
    device: &DeviceDescription,
    mains_hz: f64,
    board: Arc<QualityBoard>,
    clock: Arc<dyn Clock>,
) -> AnalyserFactory {
    let streams = device.streams.clone();
    Box::new(move || {
        let monitors = streams.iter().map(|stream| {
            let rate_hz = stream.rate.as_hz().filter(|_| is_judged(stream))?;
            let limits = QualityLimits::default();
            QualityMonitor::new(&stream.channels, rate_hz, mains_hz, limits)
                .map_err(|error| tracing::warn!(%error, stream = stream.name, "not judged"))
                .ok()
        });
        Box::new(Watcher {
            monitors: monitors.collect(),
            board: board.clone(),
            clock: clock.clone(),
            verdicts: Vec::new(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder::{JournalRecorder, RecorderView, Replayed};
    use acquisition::{Acquisition, AcquisitionConfig, Consumers};
    use contract::{Settings, SystemClock};
    use recording::{
        ClockAnchor, DeviceNote, KeyRing, OsEntropy, OsStorage, Provenance, Recorder, Recording,
        RecordingHeader, RecordingId, StationKey, Unlock,
    };
    use signal::ZoneOffset;
    use std::collections::BTreeMap;
    use uuid::Uuid;

    const FLAT: usize = 0;

    fn rule(issue: QualityIssue) -> QualityRule {
        QUALITY_RULES
            .into_iter()
            .find(|r| r.issue == issue)
            .unwrap()
    }

    /// Seconds, from 1, in which the rule holds after `found` says what was found in each.
    fn holds(rule: &QualityRule, found: &str) -> Vec<usize> {
        let mut watched = Watched::default();
        let mut held = Vec::new();
        for (second, found) in found.bytes().enumerate() {
            watched.judge(rule, found == b'x', None);
            if watched.holds {
                held.push(second + 1);
            }
        }
        held
    }

    #[test]
    fn what_lasts_is_told_and_what_comes_and_goes_is_not() {
        let flat = rule(QualityIssue::Flat);
        assert_eq!(holds(&flat, ".x.x.x."), Vec::<usize>::new());
        assert_eq!(holds(&flat, ".xx....x....."), (3..=12).collect::<Vec<_>>());
        let pop = rule(QualityIssue::ElectrodePop);
        assert_eq!(holds(&pop, "x...x...x"), [9]);
        assert_eq!(holds(&pop, "x.....x.....x"), Vec::<usize>::new());
        assert_eq!(QUALITY_RULES[FLAT].issue, QualityIssue::Flat);
    }

    #[test]
    fn every_rule_of_a_pulled_electrode_tells_within_five_seconds() {
        // A second may have begun when it was pulled; telling takes a beat.
        let left = 5.0 - 1.0 - crate::limits::COLLECT_BEAT.as_secs_f64();
        for issue in [
            QualityIssue::Flat,
            QualityIssue::Railed,
            QualityIssue::Mains,
            QualityIssue::Excessive,
        ] {
            assert!(f64::from(rule(issue).found_s) <= left, "{issue:?}");
        }
    }

    /// Its first three fail at their thirtieth block.
    struct Failing {
        inner: Box<dyn Analyser>,
        blocks: u32,
        fails: bool,
    }

    impl Analyser for Failing {
        fn block(&mut self, block: &SampleBlock) {
            self.blocks += 1;
            assert!(!self.fails || self.blocks < 30, "fails on purpose");
            self.inner.block(block);
        }
    }

    #[test]
    fn analysis_that_fails_again_and_again_costs_no_sample_and_still_finds_the_electrode() {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let settings = Settings::from([
            ("speed".to_owned(), "4".to_owned()),
            ("duration_s".to_owned(), "24".to_owned()),
            ("artifacts".to_owned(), "off".to_owned()),
            (
                "script".to_owned(),
                "[[impedance]]\nat_s = 4.0\nelectrode = 'C3'\n".to_owned(),
            ),
        ]);
        let drivers = crate::devices::Drivers::new(clock.clone());
        let device = drivers.open("simulated:headset", &settings).unwrap();
        let description = device.description().clone();
        let board = Arc::new(QualityBoard::new(&description, clock.host()));
        let mut inner = analyser(&description, 50.0, board.clone(), clock.clone());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("recording");
        let key = || StationKey::from_bytes([7; 32]);
        let anchor = ClockAnchor {
            host: clock.host(),
            utc: clock.utc(),
        };
        let header = RecordingHeader {
            id: RecordingId(Uuid::now_v7()),
            created: anchor.utc,
            zone: ZoneOffset(0),
            streams: description.streams.clone(),
            provenance: Provenance::Simulated,
            device: DeviceNote {
                id: description.id.clone(),
                model: String::new(),
                serial: String::new(),
                firmware: String::new(),
                class: "simulated".to_owned(),
            },
            notes: BTreeMap::new(),
        };
        let ring = KeyRing {
            station: key(),
            recovery: None,
            site: None,
        };
        let storage = Arc::new(OsStorage);
        let recorder = Recorder::create(
            &path,
            header,
            &ring,
            storage.clone(),
            Box::new(OsEntropy),
            anchor,
        )
        .unwrap();
        let (_marks, marked) = crossbeam_channel::bounded(1);
        let (closed, _segments) = crossbeam_channel::bounded(64);
        let view = Arc::new(RecorderView::starting_at(1));
        let journal =
            JournalRecorder::new(recorder, marked, closed, view, anchor, Replayed::default());
        let mut made = 0;
        let consumers = Consumers {
            recorder: Some(Box::new(journal)),
            analyser: Some(Box::new(move || {
                made += 1;
                Box::new(Failing {
                    inner: inner(),
                    blocks: 0,
                    fails: made <= 3,
                })
            })),
        };
        let handle =
            Acquisition::start(device, consumers, clock, AcquisitionConfig::default()).unwrap();
        let summary = handle.wait();
        assert!(summary.stats.analysis_restarts == 3, "{:?}", summary.stats);
        let recording = Recording::open(&path, &Unlock::Station(key()), storage).unwrap();
        assert!(recording.gaps().is_empty(), "{:?}", recording.gaps());
        let runs = recording.runs(StreamIndex(0)).unwrap();
        assert_eq!(
            runs.iter()
                .map(|r| r.end_index - r.first_index)
                .sum::<u64>(),
            24 * 256
        );
        let held: Vec<_> = board
            .held()
            .into_iter()
            .map(|h| (h.label, h.issue))
            .collect();
        assert!(held.iter().any(|(label, _)| label == "C3"), "{held:?}");
        assert!(held.iter().all(|(label, _)| label == "C3"), "{held:?}");
    }
}
