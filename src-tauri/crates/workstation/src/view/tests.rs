//! Feeds and pages over a journal and a hub that are written by hand, sample by sample.

use super::feed::{self, FeedRequest, Source};
use super::hub::{Hub, HubStart};
use super::messages::{Envelope, MarkView, ViewMessage, ViewMessages};
use super::page::{self, PageRequest};
use super::plan::ViewSpec;
use super::shelf::{Kept, Shelf};
use crate::error::{ErrorKind, Result};
use crate::limits::OUTBOX_COLUMNS;
use dsp::FilterSettings;
use recording::{
    ClockAnchor, DeviceNote, KeyRing, OsEntropy, OsStorage, Provenance, Recorder, Recording,
    RecordingHeader, RecordingId, StationKey, Unlock,
};
use signal::{
    Annotation, AnnotationId, AnnotationOrigin, Channel, ChannelKind, ClockSource, CounterSpec,
    Gap, GapCause, HostNanos, Missing, NANOS_PER_S, Reference, SampleBlock, SampleType, Samples,
    SamplingRate, StreamDescription, StreamIndex, StreamRole, Unit, UtcNanos, ZoneOffset,
};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use uuid::Uuid;

const START: UtcNanos = UtcNanos(1_795_435_200 * NANOS_PER_S);
/// Samples a block.
const BLOCK: u64 = 16;

fn key() -> StationKey {
    StationKey::from_bytes([7; 32])
}

/// A recording under way: journal and hub, and the clock that both go by.
struct Desk {
    folder: TempDir,
    streams: Vec<StreamDescription>,
    recorder: Option<Recorder>,
    hub: Arc<Hub>,
    shelf: Shelf,
    id: RecordingId,
    resumed: bool,
    /// Samples a block.
    block: u64,
    /// By stream: index that comes next, and how far its time is ahead of the nominal rate, ns.
    next: Vec<(u64, i64)>,
}

/// The value of a channel's sample, in counts.
type Signal = fn(channel: usize, index: u64) -> i32;

/// Numbers: each sample says which it is.
fn numbered(channel: usize, index: u64) -> i32 {
    i32::try_from(index).unwrap() * if channel.is_multiple_of(2) { 1 } else { -1 }
}

/// Something like EEG: a slow wave under an offset, and noise that follows from the index.
fn wavy(channel: usize, index: u64) -> i32 {
    let slow = (index as f64 * 0.05 + channel as f64).sin() * 400.0;
    let noise = (index.wrapping_mul(2_654_435_761) >> 7) % 101;
    50_000 + slow as i32 + noise as i32
}

fn stream(channels: usize, hz: u32) -> StreamDescription {
    const NAMES: [&str; 19] = [
        "Fp1", "Fp2", "F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2", "F7", "F8", "T7", "T8", "P7",
        "P8", "Fz", "Cz", "Pz",
    ];
    let channel = |index: usize| match NAMES.get(index) {
        Some(name) => Channel::eeg(name, 1.0, Reference::Named("A1".to_owned())),
        None => Channel::eeg(&format!("E{index}"), 1.0, Reference::Named("A1".to_owned())),
    };
    StreamDescription {
        name: "eeg".to_owned(),
        role: StreamRole::Signal,
        sample_type: SampleType::I32,
        rate: SamplingRate::hz(hz),
        counter: Some(CounterSpec::SAMPLE),
        clock: ClockSource::HostArrival,
        channels: (0..channels).map(channel).collect(),
    }
}

impl Desk {
    fn new(streams: Vec<StreamDescription>) -> Self {
        let folder = TempDir::new().unwrap();
        let id = RecordingId(Uuid::from_u128(9));
        let header = RecordingHeader {
            id,
            created: START,
            zone: ZoneOffset(3_600),
            streams: streams.clone(),
            provenance: Provenance::Simulated,
            device: DeviceNote::default(),
            notes: BTreeMap::new(),
        };
        let ring = KeyRing {
            station: key(),
            recovery: None,
            site: None,
        };
        let (storage, entropy) = (Arc::new(OsStorage), Box::new(OsEntropy));
        let at = folder.path().join("r");
        let recorder = Recorder::create(&at, header, &ring, storage, entropy, anchor()).unwrap();
        Self {
            folder,
            hub: hub(&streams, vec![0; streams.len()]),
            next: vec![(0, 0); streams.len()],
            streams,
            recorder: Some(recorder),
            shelf: Shelf::default(),
            id,
            resumed: false,
            block: BLOCK,
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("r")
    }

    /// Delivers `seconds` of a stream.
    fn deliver(&mut self, stream: usize, seconds: f64, signal: Signal) {
        let description = self.streams[stream].clone();
        let (mut next, shift) = self.next[stream];
        let samples = (seconds * description.rate.as_hz().unwrap()).round() as u64;
        let end = next + samples;
        let channels = description.channels.len();
        while next < end {
            let len = self.block.min(end - next);
            let rows = (0..channels).flat_map(|c| (next..next + len).map(move |i| signal(c, i)));
            let at = |index| HostNanos(description.rate.nanos_of(index) + shift);
            let block = SampleBlock {
                stream: StreamIndex(stream as u16),
                channels,
                len: len as usize,
                first_index: next,
                counter: Some(next),
                arrival: at(next + len),
                device_time: None,
                fitted: Some(at(next)),
                stamps: Vec::new(),
                samples: Samples::I32(rows.collect()),
            };
            if let Some(recorder) = &mut self.recorder {
                recorder.append(&block).unwrap();
                recorder.tick(block.arrival).unwrap();
            }
            self.hub.block(&block);
            next += len;
        }
        self.next[stream] = (next, shift);
    }

    /// Loses `samples`; `counted` says whether the index tells of it.
    fn lose(&mut self, stream: usize, samples: u64, counted: bool) {
        let rate = self.streams[stream].rate;
        let (next, shift) = self.next[stream];
        let due = rate.nanos_of(next) + shift;
        let (index, shift) = if counted {
            (next + samples, shift)
        } else {
            (next, shift + rate.nanos_of(samples))
        };
        let gap = Gap {
            stream: StreamIndex(stream as u16),
            first_missing: next,
            resumes_at: index,
            missing: if counted {
                Missing::Exact(samples)
            } else {
                Missing::Unknown
            },
            from: START.plus_nanos(due),
            until: START.plus_nanos(due + rate.nanos_of(samples)),
            cause: GapCause::Transport,
        };
        if let Some(recorder) = &mut self.recorder {
            recorder.gap(&gap).unwrap();
        }
        self.hub.gap(&gap);
        self.next[stream] = (index, shift);
    }

    fn mark(&mut self, id: u64, text: &str, supersedes: Option<u64>) {
        let annotation = Annotation {
            id: AnnotationId(id),
            onset: START.plus_nanos(self.streams[0].rate.nanos_of(self.next[0].0)),
            duration_ns: None,
            text: text.to_owned(),
            code: None,
            origin: AnnotationOrigin::Person,
            channels: Vec::new(),
            supersedes: supersedes.map(AnnotationId),
        };
        if let Some(recorder) = &mut self.recorder {
            recorder.annotate(&annotation).unwrap();
        }
        self.hub.mark(MarkView {
            annotation,
            superseded_by: None,
        });
    }

    fn feed(&self, spec: ViewSpec, columns_per_s: f64, history_s: f64) -> Result<ViewMessages> {
        let (shelf, id, path) = (self.shelf.clone(), self.id, self.path());
        let journal =
            move || -> Result<Arc<Kept>> { shelf.take(id, &path, &Unlock::Station(key()), true) };
        let source = Source {
            hub: self.hub.clone(),
            streams: self.hub.streams().to_vec(),
            provenance: Provenance::Simulated,
            zone: ZoneOffset(3_600),
            started: START,
            resumed: self.resumed,
            journal: Box::new(journal),
        };
        let request = FeedRequest {
            spec,
            columns_per_s,
            history_s,
        };
        feed::open(source, &request)
    }

    fn finish(&mut self) {
        if let Some(mut recorder) = self.recorder.take() {
            let (next, shift) = self.next[0];
            let at = HostNanos(self.streams[0].rate.nanos_of(next) + shift);
            recorder.finish(at).unwrap();
        }
        self.hub.end();
    }

    fn open(&self) -> Recording {
        Recording::open(&self.path(), &Unlock::Station(key()), Arc::new(OsStorage)).unwrap()
    }

    /// The columns of a page of the first stream.
    fn page(&self, spec: ViewSpec, from: UtcNanos, duration_s: f64, columns: u32) -> Vec<Envelope> {
        let request = PageRequest {
            spec,
            from: Some(from),
            duration_s: Some(duration_s),
            columns,
        };
        envelopes(page::render(&self.open(), &request).unwrap())
    }
}

fn anchor() -> ClockAnchor {
    ClockAnchor {
        host: HostNanos(0),
        utc: START,
    }
}

fn hub(streams: &[StreamDescription], skip: Vec<u64>) -> Arc<Hub> {
    Arc::new(Hub::new(HubStart {
        streams: streams.to_vec(),
        anchor: anchor(),
        skip,
    }))
}

/// Everything as recorded, and no filter.
fn raw() -> ViewSpec {
    ViewSpec {
        filters: BTreeMap::from([("eeg".to_owned(), FilterSettings::OFF)]),
        ..ViewSpec::as_recorded()
    }
}

async fn all(mut messages: ViewMessages) -> Vec<ViewMessage> {
    let mut found = Vec::new();
    while let Some(message) = messages.next().await {
        found.push(message);
    }
    found
}

fn envelopes(messages: Vec<ViewMessage>) -> Vec<Envelope> {
    let columns = messages.into_iter().filter_map(|message| match message {
        ViewMessage::Columns(envelope) => Some(envelope),
        _ => None,
    });
    columns.collect()
}

/// Every column of a row, in the order in which they came: number, time, least, greatest.
fn columns(envelopes: &[Envelope], row: usize) -> Vec<(u64, UtcNanos, f32, f32)> {
    let mut found = Vec::new();
    for envelope in envelopes {
        assert_eq!(envelope.values.len(), envelope.rows * envelope.columns * 2);
        for column in 0..envelope.columns {
            let at = (row * envelope.columns + column) * 2;
            let ahead = (column as f64 * envelope.column_ns).round() as i64;
            found.push((
                envelope.first_column + column as u64,
                envelope.time.plus_nanos(ahead),
                envelope.values[at],
                envelope.values[at + 1],
            ));
        }
    }
    found
}

/// Asserts that `found` has every column of the indices from `from` on that were delivered, once
/// and in order, each with the numbers of its samples.
#[track_caller]
fn assert_numbered(
    found: &[(u64, UtcNanos, f32, f32)],
    ratio: (u64, u64),
    from: u64,
    lost: &[std::ops::Range<u64>],
    end: u64,
) {
    let mut expected: Vec<(u64, f32, f32)> = Vec::new();
    for index in (from..end).filter(|i| !lost.iter().any(|gap| gap.contains(i))) {
        let (column, value) = (index * ratio.0 / ratio.1, index as f32);
        match expected.last_mut() {
            Some(last) if last.0 == column => last.2 = value,
            _ => expected.push((column, value, value)),
        }
    }
    let found: Vec<_> = found
        .iter()
        .map(|(c, _, low, high)| (*c, *low, *high))
        .collect();
    let differs = found.iter().zip(&expected).position(|(a, b)| a != b);
    assert_eq!(
        differs.map(|at| (found[at], expected[at])),
        None,
        "first difference"
    );
    assert_eq!(found.len(), expected.len());
}

#[tokio::test]
async fn history_and_live_have_every_column_once() {
    // 64 s, of which memory holds the last 20 and the journal the rest; a gap in either.
    let mut desk = Desk::new(vec![stream(2, 256)]);
    desk.deliver(0, 20.0, numbered);
    desk.lose(0, 1_000, true);
    desk.deliver(0, 35.0, numbered);
    desk.lose(0, 5, true);
    desk.deliver(0, 5.0, numbered);
    let feed = desk.feed(raw(), 100.0, 55.0).unwrap();
    let now = desk.next[0].0;
    desk.deliver(0, 1.0, numbered);
    desk.lose(0, 300, true);
    desk.deliver(0, 2.0, numbered);
    let end = desk.next[0].0;
    desk.finish();
    let messages = all(feed).await;
    assert!(matches!(messages[0], ViewMessage::Description(_)));
    assert_eq!(messages.last(), Some(&ViewMessage::End));
    let gaps = messages.iter().filter(|m| matches!(m, ViewMessage::Gap(_)));
    assert_eq!(gaps.count(), 3);
    let drawn = envelopes(messages);
    let history: usize = drawn.iter().filter(|e| e.history).map(|e| e.columns).sum();
    assert!(
        (4_500..5_600).contains(&history),
        "{history} columns of history"
    );
    let first = (now - 55 * 256) * 100 / 256;
    let (one, two) = (20 * 256, 20 * 256 + 1_000 + 35 * 256);
    let three = two + 5 + 6 * 256;
    let lost = [one..one + 1_000, two..two + 5, three..three + 300];
    let from = (first * 256_u64).div_ceil(100);
    assert_numbered(&columns(&drawn, 0), (100, 256), from, &lost, end);
    // Each column stands at the time of its samples.
    for (column, time, ..) in columns(&drawn, 0) {
        let due = column as f64 / 100.0 * 1e9;
        let found = time.nanos_since(START) as f64;
        assert!(
            (found - due).abs() < 1e3,
            "column {column}: {found} and {due}"
        );
    }
}

#[tokio::test]
async fn a_gap_that_no_index_tells_moves_what_follows_in_time() {
    let mut desk = Desk::new(vec![stream(1, 250)]);
    let feed = desk.feed(raw(), 50.0, 0.0).unwrap();
    desk.deliver(0, 1.0, numbered);
    desk.lose(0, 500, false);
    desk.deliver(0, 1.0, numbered);
    desk.finish();
    let drawn = envelopes(all(feed).await);
    assert_numbered(&columns(&drawn, 0), (50, 250), 0, &[], 500);
    let times: Vec<_> = columns(&drawn, 0)
        .iter()
        .map(|c| c.1.nanos_since(START))
        .collect();
    assert_eq!((times[49], times[50]), (980_000_000, 3_000_000_000));
    // The page knows it too: two seconds without a sample.
    let page = desk.page(raw(), START, 4.0, 200);
    let page = columns(&page, 0);
    assert_eq!((page[49].2, page[49].3), (245.0, 249.0));
    assert!(page[50..150].iter().all(|column| column.2.is_nan()));
    assert_eq!((page[150].2, page[150].3), (250.0, 254.0));
}

#[tokio::test]
async fn a_resumed_recording_is_one_history() {
    let mut desk = Desk::new(vec![stream(2, 256)]);
    desk.deliver(0, 30.0, numbered);
    // The engine died: journal and hub begin anew, and the samples meanwhile are lost.
    desk.recorder = None;
    desk.resumed = true;
    let (path, unlock) = (desk.path(), Unlock::Station(key()));
    let (storage, entropy) = (Arc::new(OsStorage), Box::new(OsEntropy));
    let recorder = Recorder::resume(&path, &unlock, storage, entropy, anchor()).unwrap();
    let kept = recorder.resume_points()[0].next_index;
    desk.recorder = Some(recorder);
    desk.hub = hub(&desk.streams, vec![0]);
    // Its history counts back from when its thread begins: once it has sent some, that is past.
    let mut empty = desk.feed(raw(), 64.0, 10.0).unwrap();
    let mut begun = Vec::new();
    while !matches!(begun.last(), Some(ViewMessage::Columns(_))) {
        begun.push(empty.next().await.expect("the feed has history"));
    }
    desk.next[0].0 = kept;
    desk.lose(0, 2_000, true);
    desk.deliver(0, 5.0, numbered);
    let feed = desk.feed(raw(), 64.0, 30.0).unwrap();
    desk.deliver(0, 1.0, numbered);
    let end = desk.next[0].0;
    desk.finish();
    let from = kept + 2_000 + 5 * 256 - 30 * 256;
    let drawn = envelopes(all(feed).await);
    let lost = kept..kept + 2_000;
    let lost = std::slice::from_ref(&lost);
    assert_numbered(&columns(&drawn, 0), (64, 256), from / 4 * 4, lost, end);
    // A feed that was opened before anything came shows what was recorded before the crash.
    let from = (kept - 10 * 256) / 4 * 4;
    begun.extend(all(empty).await);
    assert_numbered(&columns(&envelopes(begun), 0), (64, 256), from, lost, end);
}

#[tokio::test]
async fn a_file_that_is_played_again_shows_nothing_twice() {
    let mut desk = Desk::new(vec![stream(1, 256)]);
    desk.recorder = None;
    desk.hub = hub(&desk.streams, vec![1_000]);
    let feed = desk.feed(raw(), 64.0, 10.0).unwrap();
    desk.deliver(0, 10.0, numbered);
    desk.finish();
    let found = columns(&envelopes(all(feed).await), 0);
    assert_numbered(&found, (64, 256), 1_000, &[], 2_560);
}

#[tokio::test]
async fn a_slow_client_loses_old_columns_and_the_record_none() {
    let mut desk = Desk::new(vec![stream(1, 256)]);
    desk.deliver(0, 2.0, numbered);
    let mut feed = desk.feed(raw(), 256.0, 2.0).unwrap();
    // Read up to the end of the history, so that the feed's thread stands at the queue.
    loop {
        match feed.next().await {
            Some(ViewMessage::Columns(envelope)) if envelope.history => break,
            Some(_) => {}
            None => panic!("the feed ended"),
        }
    }
    // One message a block, of which the outbox holds so many; delivered no faster than the feed's
    // own queue allows.
    let blocks = OUTBOX_COLUMNS as u64 + 100;
    for _ in 0..blocks {
        desk.deliver(0, BLOCK as f64 / 256.0, numbered);
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(Duration::from_millis(500));
    desk.finish();
    let drawn = envelopes(all(feed).await);
    let dropped: u32 = drawn.iter().map(|envelope| envelope.dropped).sum();
    assert_eq!(
        drawn[0].dropped, dropped,
        "told at once with the first that came through"
    );
    assert_eq!(u64::from(dropped) + drawn.len() as u64, blocks);
    assert!(dropped >= 100, "{dropped}");
    // What came through is the latest, without a hole.
    let from = 512 + u64::from(dropped) * BLOCK;
    let end = desk.next[0].0;
    assert_numbered(&columns(&drawn, 0), (256, 256), from, &[], end);
    let runs = desk.open().runs(StreamIndex(0)).unwrap().to_vec();
    assert_eq!(
        (runs.len(), runs[0].first_index, runs[0].end_index),
        (1, 0, end)
    );
}

/// Longitudinal bipolar under the default filters.
fn bipolar() -> ViewSpec {
    ViewSpec {
        montage: "longitudinal-bipolar-10-20".to_owned(),
        filters: BTreeMap::new(),
    }
}

#[tokio::test]
async fn a_switch_of_montage_leaves_no_jump_and_review_shows_the_same() {
    let mut desk = Desk::new(vec![stream(19, 256)]);
    // So few blocks that a feed which nobody reads meanwhile drops none.
    desk.block = 300;
    let always = desk.feed(bipolar(), 128.0, 0.0).unwrap();
    desk.deliver(0, 45.0, wavy);
    let switched = desk.feed(bipolar(), 128.0, 10.0).unwrap();
    let long = desk.feed(bipolar(), 128.0, 30.0).unwrap();
    desk.deliver(0, 5.0, wavy);
    desk.finish();
    let always = envelopes(all(always).await);
    for feed in [switched, long] {
        let drawn = envelopes(all(feed).await);
        for row in [0, 7, 17] {
            let known = columns(&always, row);
            let found = columns(&drawn, row);
            assert_eq!(found.last().map(|c| c.0), known.last().map(|c| c.0));
            let known = &known[known.len() - found.len()..];
            assert_close(&found, known);
        }
    }
    // A page of the same columns: 10 s, far from the recording's begin.
    let page = desk.page(bipolar(), START.plus_nanos(30 * NANOS_PER_S), 10.0, 1_280);
    for row in [0, 7, 17] {
        let known = columns(&always, row);
        let found = columns(&page, row);
        assert_eq!(found.len(), 1_280);
        assert_close(&found, &known[30 * 128..40 * 128]);
    }
    // And near its begin, where both start from the same sample, to the last bit.
    let page = desk.page(bipolar(), START, 5.0, 640);
    let known = &columns(&always, 3)[..640];
    let same = |a: &[(u64, UtcNanos, f32, f32)]| -> Vec<_> {
        a.iter()
            .map(|c| (c.1, c.2.to_bits(), c.3.to_bits()))
            .collect()
    };
    assert_eq!(same(&columns(&page, 3)), same(known));
}

/// The filters' states differ by less than the last digits of a 32-bit float.
#[track_caller]
fn assert_close(found: &[(u64, UtcNanos, f32, f32)], known: &[(u64, UtcNanos, f32, f32)]) {
    assert!(
        found.iter().any(|column| column.2 < column.3 - 1.0),
        "nothing moves"
    );
    for (found, known) in found.iter().zip(known) {
        assert_eq!(found.1, known.1);
        let off = (found.2 - known.2).abs().max((found.3 - known.3).abs());
        assert!(off < 2e-5, "{found:?} {known:?}");
    }
}

#[tokio::test]
async fn marks_come_with_the_history_and_as_they_are_made() {
    let mut desk = Desk::new(vec![stream(1, 256)]);
    desk.deliver(0, 1.0, numbered);
    desk.mark(1, "long ago", None);
    desk.deliver(0, 30.0, numbered);
    desk.mark(2, "wrong", None);
    desk.mark(3, "right", Some(2));
    let old = desk.hub.find_mark(AnnotationId(2)).unwrap();
    desk.hub.mark(MarkView {
        superseded_by: Some(AnnotationId(3)),
        ..old
    });
    desk.deliver(0, 1.0, numbered);
    let feed = desk.feed(raw(), 100.0, 10.0).unwrap();
    desk.mark(4, "now", None);
    desk.deliver(0, 1.0, numbered);
    desk.finish();
    let marks: Vec<_> = (all(feed).await.into_iter())
        .filter_map(|message| match message {
            ViewMessage::Mark(mark) => Some(mark.annotation.text),
            _ => None,
        })
        .collect();
    assert_eq!(marks, ["right", "now"]);
}

#[test]
fn kinds_keep_their_units_and_only_potentials_are_filtered() {
    let mut mixed = stream(2, 256);
    mixed.channels[1] = Channel {
        label: "SpO2".to_owned(),
        kind: ChannelKind::VitalSign,
        unit: Unit::Percent,
        electrode: None,
        ..mixed.channels[1].clone()
    };
    let mut desk = Desk::new(vec![mixed, stream(1, 32)]);
    desk.deliver(0, 4.0, |channel, _| if channel == 1 { 97 } else { 3_000 });
    desk.deliver(1, 4.0, numbered);
    desk.finish();
    let request = PageRequest {
        spec: ViewSpec::as_recorded(),
        from: None,
        duration_s: None,
        columns: 400,
    };
    let messages = page::render(&desk.open(), &request).unwrap();
    let ViewMessage::Description(described) = &messages[0] else {
        panic!("no description first");
    };
    assert_eq!(described.streams.len(), 2);
    let row = &described.streams[0].rows[1];
    assert_eq!((row.kind, row.unit.as_str()), ("vital_sign", "%"));
    assert_eq!(described.filters.keys().collect::<Vec<_>>(), ["eeg"]);
    assert_eq!(
        (described.begin, described.end),
        (START, START.plus_nanos(4 * NANOS_PER_S))
    );
    let drawn = envelopes(messages);
    let first: Vec<_> = drawn.iter().filter(|e| e.stream.0 == 0).cloned().collect();
    assert!(
        columns(&first, 1)
            .iter()
            .all(|c| (c.2, c.3) == (97.0, 97.0))
    );
    // A constant offset is what the low frequency filter takes away.
    assert!(
        columns(&first, 0)
            .iter()
            .all(|c| c.2.abs() < 1e-6 && c.3.abs() < 1e-6)
    );
    // 32 samples a second in 100 columns a second: a column a sample.
    let second: Vec<_> = drawn.iter().filter(|e| e.stream.0 == 1).cloned().collect();
    let second = columns(&second, 0);
    assert_eq!(second.len(), 128);
    assert_eq!(second[3].1, START.plus_nanos(3 * 31_250_000));
}

#[test]
fn long_pages_show_the_overview_and_keep_a_marked_sample() {
    fn marked(_: usize, index: u64) -> i32 {
        if index == 123_456 {
            -77_777
        } else {
            (index % 100) as i32
        }
    }
    let mut desk = Desk::new(vec![stream(19, 256)]);
    desk.deliver(0, 300.0, marked);
    desk.lose(0, 999, true);
    desk.deliver(0, 300.0, marked);
    desk.finish();
    let request = PageRequest {
        spec: bipolar(),
        from: None,
        duration_s: None,
        columns: 1_000,
    };
    let messages = page::render(&desk.open(), &request).unwrap();
    let ViewMessage::Description(described) = &messages[0] else {
        panic!("no description first");
    };
    assert!(described.overview);
    assert_eq!(described.montage, "as-recorded");
    assert!(
        described
            .filters
            .values()
            .all(|f| *f == FilterSettings::OFF)
    );
    assert_eq!(described.notes.len(), 1);
    let seconds = described.end.seconds_since(described.begin);
    let drawn = columns(&envelopes(messages), 5);
    assert_eq!(drawn.len(), 1_000);
    // The marked sample lies behind the gap.
    let at = 123_456.0 / 256.0;
    let column = (at / seconds * 1_000.0) as usize;
    assert_eq!(drawn[column].2, -77_777.0);
    let elsewhere = drawn
        .iter()
        .enumerate()
        .filter(|(at, _)| at.abs_diff(column) > 1);
    assert!(
        elsewhere.clone().all(|(_, c)| c.2.is_nan() || c.2 >= 0.0),
        "only there"
    );
    let gap = (300.0 / seconds * 1_000.0) as usize + 2;
    assert!(drawn[gap].2.is_nan(), "{:?}", drawn[gap]);
    // A short page has it in the very column, and no neighbour.
    let from = START.plus_nanos(480 * NANOS_PER_S);
    let short = columns(&desk.page(raw(), from, 10.0, 1_000), 5);
    let column = ((at - 480.0) * 100.0) as usize;
    assert_eq!(short[column].2, -77_777.0);
    assert_eq!(short.iter().filter(|c| c.2 < 0.0).count(), 1);
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let mut desk = Desk::new(vec![stream(19, 256)]);
    desk.deliver(0, 1.0, numbered);
    let spec = |montage: &str, kind: &str, hz: f64| ViewSpec {
        montage: montage.to_owned(),
        filters: BTreeMap::from([(
            kind.to_owned(),
            FilterSettings {
                lff_hz: Some(hz),
                ..FilterSettings::OFF
            },
        )]),
    };
    let specs = [
        spec("no-such-montage", "eeg", 1.0),
        spec("as-recorded", "no_such_kind", 1.0),
        spec("as-recorded", "eeg", f64::NAN),
        spec("as-recorded", "eeg", -1.0),
        spec("as-recorded", "eeg", f64::INFINITY),
    ];
    let numbers = [f64::NAN, f64::INFINITY, -1.0, 0.0, 1e300, f64::MIN_POSITIVE];
    let feed = |spec: ViewSpec, columns: f64, history: f64| {
        desk.feed(spec, columns, history)
            .map(drop)
            .unwrap_err()
            .kind()
    };
    let page = |spec: ViewSpec, from: Option<i64>, duration_s: Option<f64>, columns: u32| {
        let request = PageRequest {
            spec,
            from: from.map(UtcNanos),
            duration_s,
            columns,
        };
        page::render(&desk.open(), &request)
            .map(drop)
            .unwrap_err()
            .kind()
    };
    for spec in specs {
        assert_eq!(feed(spec.clone(), 100.0, 1.0), ErrorKind::Invalid);
        assert_eq!(page(spec, None, None, 100), ErrorKind::Invalid);
    }
    for number in numbers {
        assert_eq!(feed(raw(), number, 1.0), ErrorKind::Invalid);
        assert_eq!(page(raw(), None, Some(number), 100), ErrorKind::Invalid);
    }
    for history in [f64::NAN, f64::INFINITY, -1.0, 1e9] {
        assert_eq!(feed(raw(), 100.0, history), ErrorKind::Invalid);
    }
    for columns in [0, 16_385, u32::MAX] {
        assert_eq!(page(raw(), None, None, columns), ErrorKind::Invalid);
    }
    assert_eq!(
        page(raw(), Some(i64::MAX), Some(1.0), 10),
        ErrorKind::Invalid
    );
    // Far from anything recorded is no error: an empty page.
    let page = desk.page(raw(), UtcNanos(i64::MIN), 1.0, 10);
    assert!(page[0].values.iter().all(|value| value.is_nan()));
}

/// A device that is too wide for what was asked is refused before anything is computed.
#[test]
fn too_much_at_once_is_refused() {
    let desk = Desk::new(vec![stream(1_000, 1_000)]);
    let error = desk.feed(raw(), 1_000.0, 600.0).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let request = PageRequest {
        spec: raw(),
        from: None,
        duration_s: Some(10.0),
        columns: 16_384,
    };
    let error = page::render(&desk.open(), &request).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

/// The whole of a new page of 10 s: filtered, derived and drawn, its history behind it.
#[tokio::test]
async fn a_new_feed_has_its_history_at_once() {
    for (channels, hz) in [(32, 256), (64, 1_000)] {
        let mut desk = Desk::new(vec![stream(channels, hz)]);
        desk.deliver(0, 25.0, wavy);
        let began = Instant::now();
        let mut feed = desk.feed(ViewSpec::as_recorded(), 190.0, 10.0).unwrap();
        let mut columns = 0;
        while columns < 1_890 {
            match feed.next().await {
                Some(ViewMessage::Columns(envelope)) => columns += envelope.columns,
                Some(_) => {}
                None => panic!("the feed ended"),
            }
        }
        let took = began.elapsed();
        // 100 ms is the promise of a release build; this one is not optimised and has neighbours.
        assert!(
            took < Duration::from_secs(2),
            "{channels} x {hz} Hz: {took:?}"
        );
    }
}
