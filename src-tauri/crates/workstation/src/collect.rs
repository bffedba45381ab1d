//! The collection: a device recorded into the journal until told to end.

use crate::bedside;
use crate::disk::DiskWatch;
use crate::engine_room::Room;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{COLLECT_BEAT, HUB_QUEUE, MARK_QUEUE, REOPEN_PAUSE, SEGMENT_QUEUE};
use crate::live::{Ends, Live};
use crate::notary::public_device_id;
use crate::outlet;
use crate::policies::Policies;
use crate::quality::{self, QualityBoard};
use crate::recorder::{JournalRecorder, RecorderView, Replayed, program_mark};
use crate::records::{Checks, SessionRecord};
use crate::relabel;
use crate::view::{Hub, HubStart};
use acquisition::{
    Acquisition, AcquisitionConfig, AcquisitionEvent, Consumers, EndReason, StreamResume,
};
use clinic::{Collection, CollectionEnd};
use contract::{Device, DeviceClass, DeviceDescription};
use crossbeam_channel::Receiver;
use events::payloads;
use recording::{
    ClockAnchor, ClosedSegment, DeviceNote, KeyRing, OsEntropy, OsStorage, Provenance, Recorder,
    Recording, RecordingError, RecordingHeader, RecordingId, SegmentState, Unlock,
};
use signal::{AnnotationOrigin, ClockSource, GapCause, ImpedanceLimits, UtcNanos};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use workflow::ActivityContext;

/// Who asked for a collection: is told that it is alive, and may take the device back.
pub(crate) trait Beat: Send + Sync {
    /// So much is recorded.
    fn beat(&self, recorded_ns: i64);
    /// Whether the collection is to give way.
    fn is_cancelled(&self) -> bool;
}

impl Beat for ActivityContext {
    fn beat(&self, recorded_ns: i64) {
        self.heartbeat(&recorded_ns);
    }

    fn is_cancelled(&self) -> bool {
        Self::is_cancelled(self)
    }
}

/// Records one session's collection. Called again after a crash it resumes the same recording.
pub(crate) async fn collect(
    room: &Room,
    ctx: &dyn Beat,
    session: &SessionRecord,
) -> Result<Collection> {
    if session.without_store {
        return collected(room, session).await;
    }
    let _awake = room.awake.hold();
    let (live, segments, events) = match begin(room, ctx, session).await? {
        Some(begun) => begun,
        None => return Err(given_way()),
    };
    let ended = watch(room, ctx, session, &live, &segments, &events).await;
    room.safety.leave(session.id);
    let result = close(room, session, &live, &segments, ended).await;
    room.live.leave(session.id);
    result
}

/// The activity was cancelled: the engine stops. What is recorded is whole.
fn given_way() -> Error {
    Error::new(
        ErrorKind::Conflict,
        "the engine stops; the recording goes on at its next start",
        "",
    )
}

type Begun = (
    Arc<Live>,
    Receiver<ClosedSegment>,
    Receiver<AcquisitionEvent>,
);

/// Opens device and journal and starts acquiring; `None` when told to give way before.
async fn begin(room: &Room, ctx: &dyn Beat, session: &SessionRecord) -> Result<Option<Begun>> {
    let Some(device) = open_device(room, ctx, session).await? else {
        return Ok(None);
    };
    room.safety
        .enter(session.id, &session.device, device.safety());
    let policies = crate::policies::in_force(room).await;
    // What was measured before stands in the record too; it is none the worse for its absence.
    let checked = match room.records() {
        Ok(records) => records.checks(session.id).await.unwrap_or_default(),
        Err(_) => Checks::default(),
    };
    let (room, session) = (room.clone(), session.clone());
    let begun =
        tokio::task::spawn_blocking(move || start(&room, &session, device, (&checked, &policies)))
            .await
            .map_err(|error| Error::internal("start recording", &error))??;
    Ok(Some(begun))
}

/// Opens the device, again and again while it is missing: it may be on its way.
async fn open_device(
    room: &Room,
    ctx: &dyn Beat,
    session: &SessionRecord,
) -> Result<Option<Box<dyn Device>>> {
    let mut attempt = 0_u32;
    loop {
        ctx.beat(0);
        if ctx.is_cancelled() {
            return Ok(None);
        }
        let (drivers, id) = (room.drivers.clone(), session.device.clone());
        let settings = session.settings.clone();
        let opened = tokio::task::spawn_blocking(move || drivers.open(&id, &settings))
            .await
            .map_err(|error| Error::internal("open the device", &error))?;
        let error = match opened {
            Ok(device) => return Ok(Some(device)),
            Err(error) => error,
        };
        // What no waiting mends is final; nothing has been recorded yet, or it stays recorded.
        if error.kind() == ErrorKind::Invalid || room.live.end_was_asked(session.id) {
            return Err(error);
        }
        attempt += 1;
        if attempt == 1 || attempt.is_power_of_two() {
            room.tell(
                session.id,
                &payloads::DeviceRetrying {
                    device_id: public_device_id(&session.device),
                    attempt,
                    next_attempt_ms: REOPEN_PAUSE.as_millis() as u64,
                    session_id: Some(session.id.0),
                },
            );
        }
        if error.kind() == ErrorKind::NotFound && session.device_class == DeviceClass::Playback {
            return Err(error);
        }
        tokio::time::sleep(REOPEN_PAUSE).await;
    }
}

/// Blocking part: journal, threads, boards.
fn start(
    room: &Room,
    session: &SessionRecord,
    device: Box<dyn Device>,
    (checked, policies): (&Checks, &Policies),
) -> Result<Begun> {
    let description = device.description().clone();
    let folder = folder(room, session.recording);
    let anchor = ClockAnchor {
        host: room.clock.host(),
        utc: room.clock.utc(),
    };
    let storage = Arc::new(OsStorage);
    let unlock = Unlock::Station(room.key_of(session.recording)?);
    let resumed = Recorder::resume(
        &folder,
        &unlock,
        storage.clone(),
        Box::new(OsEntropy),
        anchor,
    );
    let (recorder, resuming) = match resumed {
        Ok(recorder) => (recorder, true),
        Err(RecordingError::NotARecording) => {
            let ring = KeyRing {
                station: room.key_of(session.recording)?,
                recovery: None,
                site: None,
            };
            let header = header(session, &description, anchor.utc);
            let recorder =
                Recorder::create(&folder, header, &ring, storage, Box::new(OsEntropy), anchor)?;
            (recorder, false)
        }
        Err(error) => return Err(error.into()),
    };
    let mut before = vec![0; description.streams.len()];
    let mut config = AcquisitionConfig::default();
    let mut replayed = Replayed::default();
    let mut next_annotation = 1;
    let (mut relabels, mut paused) = (Vec::new(), None);
    if resuming {
        let record = Recording::open(&folder, &unlock, Arc::new(OsStorage))?;
        let known = record.annotations();
        relabels = relabel::relabels(&record);
        paused = bedside::open_pause(&record);
        next_annotation = known
            .iter()
            .map(|a| a.annotation.id.0 + 1)
            .max()
            .unwrap_or(1);
        for point in recorder.resume_points() {
            if let Some(slot) = before.get_mut(usize::from(point.stream.0)) {
                *slot = point.next_index;
            }
            let stream = description.streams.get(usize::from(point.stream.0));
            let again = description.class == DeviceClass::Playback
                && stream.is_some_and(|s| matches!(s.clock, ClockSource::Device { .. }));
            match (again, point.due) {
                // A file begins anew: what is recorded is left out, and nothing is missing.
                (true, _) => {}
                (false, Some(due)) => config.resume.push(StreamResume {
                    stream: point.stream,
                    next_index: point.next_index,
                    due,
                }),
                (false, None) => {}
            }
        }
        if config.resume.is_empty() && description.class == DeviceClass::Playback {
            replayed.before.clone_from(&before);
            replayed.annotations = known
                .iter()
                .filter(|a| a.annotation.origin == AnnotationOrigin::Source)
                .map(|a| (a.annotation.onset, a.annotation.text.clone()))
                .collect();
        }
    }
    let view = Arc::new(RecorderView::starting_at(next_annotation));
    let (marks, marked) = crossbeam_channel::bounded(MARK_QUEUE);
    let (closed, segments) = crossbeam_channel::bounded(SEGMENT_QUEUE);
    let board = Arc::new(QualityBoard::new(&description, anchor.host));
    let hub = Arc::new(Hub::new(HubStart {
        streams: description.streams.clone(),
        anchor,
        skip: replayed.before.clone(),
    }));
    let journal = JournalRecorder::new(recorder, marked, closed, view.clone(), anchor, replayed)
        .telling(hub.clone());
    let consumers = Consumers {
        recorder: Some(Box::new(journal)),
        analyser: Some(quality::analyser(
            &description,
            policies.mains_hz,
            board.clone(),
            room.clock.clone(),
        )),
    };
    let clock = room.clock.clone();
    let (handle, blocks) = Acquisition::start_watched(device, consumers, clock, config, HUB_QUEUE)
        .map_err(|error| Error::internal("start recording", &error))?;
    hub.run(blocks)?;
    let events = handle.events();
    let published = (policies.lsl_outlet)
        .then(|| outlet::publish(&handle, &description, session.recording, &room.clock))
        .flatten();
    let live = Arc::new(Live::new(
        resuming,
        session.recording,
        anchor,
        before,
        Ends {
            view,
            marks,
            quality: board,
            hub,
            zone: session.zone,
            limits: limits_of(room, session),
        },
        handle,
    ));
    live.know_relabels(relabels);
    if let Some(published) = published {
        live.publish_marks(published);
    }
    if paused.is_some() {
        live.set_paused(paused, room.clock.host());
    }
    room.live.enter(session.id, live.clone());
    if !resuming && !checked.impedances.is_empty() {
        live.record_impedances(checked.impedances.clone());
    }
    if resuming {
        let text = "The engine was not running; recording goes on.";
        if let Err(error) = live.annotate(program_mark(anchor.utc, "resumed", text)) {
            tracing::warn!(%error, "note the resumption");
        }
    }
    Ok((live, segments, events))
}

fn limits_of(room: &Room, session: &SessionRecord) -> ImpedanceLimits {
    let protocol = room.protocol(&session.protocol);
    protocol.map_or_else(|_| ImpedanceLimits::default(), |p| p.impedance_limits())
}

pub(crate) fn folder(room: &Room, recording: RecordingId) -> PathBuf {
    room.config.recordings().join(recording.to_string())
}

fn header(
    session: &SessionRecord,
    device: &DeviceDescription,
    created: UtcNanos,
) -> RecordingHeader {
    let class = match device.class {
        DeviceClass::Medical => "medical device",
        DeviceClass::Research => "research only",
        DeviceClass::Simulated => "simulated",
        DeviceClass::Playback => "playback",
    };
    RecordingHeader {
        id: session.recording,
        created,
        zone: session.zone,
        streams: device.streams.clone(),
        provenance: provenance(device.class),
        device: DeviceNote {
            id: device.id.clone(),
            model: device.model.clone(),
            serial: device.serial.clone(),
            firmware: device.firmware.clone(),
            class: class.to_owned(),
        },
        notes: BTreeMap::from([
            ("protocol".to_owned(), session.protocol.clone()),
            ("session".to_owned(), session.id.to_string()),
        ]),
    }
}

pub(crate) const fn provenance(class: DeviceClass) -> Provenance {
    match class {
        DeviceClass::Medical | DeviceClass::Research => Provenance::Live,
        DeviceClass::Simulated => Provenance::Simulated,
        DeviceClass::Playback => Provenance::Playback,
    }
}

/// How watching ended: by itself, or because the engine stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Watched {
    Ended(CollectionEnd),
    GaveWay,
}

/// Beats, passes events and segment hashes on, and notices the end.
async fn watch(
    room: &Room,
    ctx: &dyn Beat,
    session: &SessionRecord,
    live: &Arc<Live>,
    segments: &Receiver<ClosedSegment>,
    events: &Receiver<AcquisitionEvent>,
) -> Watched {
    let planned_ns = session
        .duration_ms
        .map(|ms| i64::try_from(ms).unwrap_or(i64::MAX) * 1_000_000);
    let warning_hours = crate::policies::in_force(room).await.disk_warning_hours;
    let mut disk = DiskWatch::default();
    let mut beat = tokio::time::interval(COLLECT_BEAT);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        let recorded_ns = live.recorded_ns();
        ctx.beat(recorded_ns);
        pass_on(room, session, live, segments, events).await;
        crate::watching::quality(room, session, live).await;
        crate::watching::awake(room, live);
        let bytes = || folder_bytes(&folder(room, live.recording));
        let (now, recorded_s) = (room.clock.host(), recorded_ns as f64 / 1e9);
        if let Some(low) = disk.look(now, &room.config.data_dir, recorded_s, warning_hours, bytes) {
            room.tell(session.id, &low);
            crate::watching::disk_low(room, live, &low);
        }
        if ctx.is_cancelled() {
            return Watched::GaveWay;
        }
        if live.is_stopped() || room.live.end_was_asked(session.id) {
            return Watched::Ended(CollectionEnd::Stopped);
        }
        if live.is_ended() {
            return Watched::Ended(CollectionEnd::SourceEnded);
        }
        let elapsed_ns = match live.device.pacing {
            // A device that is away does not prolong a planned recording.
            contract::Pacing::RealTime => {
                let here = now.nanos_since(live.anchor.host);
                let passed = recorded_ns.max(live.before_ns().saturating_add(here));
                // A patient who is away for a while is still to be recorded as long as planned.
                passed - live.paused_ns(now)
            }
            contract::Pacing::AsFastAsPossible => recorded_ns,
        };
        if planned_ns.is_some_and(|planned| elapsed_ns >= planned) {
            return Watched::Ended(CollectionEnd::Completed);
        }
    }
}

async fn pass_on(
    room: &Room,
    session: &SessionRecord,
    live: &Live,
    segments: &Receiver<ClosedSegment>,
    events: &Receiver<AcquisitionEvent>,
) {
    while let Ok(segment) = segments.try_recv() {
        note_segment(room, session, live, &segment).await;
    }
    while let Ok(event) = events.try_recv() {
        crate::watching::pass_on(room, session, live, event).await;
    }
}

async fn note_segment(room: &Room, session: &SessionRecord, live: &Live, segment: &ClosedSegment) {
    let stream = match segment.stream {
        Some(index) => live
            .device
            .streams
            .get(usize::from(index.0))
            .map_or_else(|| index.0.to_string(), |stream| stream.name.clone()),
        None => "events".to_owned(),
    };
    let payload = segment_closed(session, &stream, segment);
    let key = segment_key(session, segment);
    room.tell_once(session.id, &key, &payload);
}

/// What a session recorded while the store was closed: its segments are noted now.
async fn collected(room: &Room, session: &SessionRecord) -> Result<Collection> {
    note_closed_segments(room, session).await?;
    let (reading, of) = (room.clone(), session.clone());
    let counted = tokio::task::spawn_blocking(move || -> Result<(u64, u64, f64)> {
        let record = crate::documents::open(&reading, &of)?;
        let (mut samples, mut longest_s) = (0, 0.0_f64);
        for (index, stream) in record.streams().iter().enumerate() {
            let index = signal::StreamIndex(u16::try_from(index).unwrap_or(u16::MAX));
            let runs = record.runs(index)?;
            samples = samples.max(runs.iter().map(|r| r.end_index - r.first_index).sum());
            let end = runs.last().map_or(0, |run| run.end_index);
            longest_s = longest_s.max(stream.rate.nanos_of(end) as f64 / 1e9);
        }
        Ok((samples, record.gaps().len() as u64, longest_s))
    });
    let (samples, gaps, recorded_s) = counted
        .await
        .map_err(|error| Error::internal("look at the recording", &error))??;
    room.records()?.keep_length(session.id, recorded_s).await?;
    room.flush().await;
    Ok(Collection {
        recording: session.recording.to_string(),
        end: CollectionEnd::Stopped,
        samples,
        gaps,
        notes: vec!["Recorded while the store was closed.".to_owned()],
    })
}

/// Named by its file: a segment found again after a crash is the same fact.
pub(crate) fn segment_key(session: &SessionRecord, segment: &ClosedSegment) -> String {
    format!("segment/{}/{}", session.recording, segment.file)
}

pub(crate) fn segment_closed(
    session: &SessionRecord,
    stream: &str,
    segment: &ClosedSegment,
) -> payloads::RecordingSegmentClosed {
    payloads::RecordingSegmentClosed {
        recording_id: session.recording.0,
        stream: stream.to_owned(),
        segment: segment.number,
        sha256: crate::documents::hex(&segment.sha256),
        size_bytes: segment.bytes,
        first_counter: Some(segment.first_index),
        samples: segment.end_index.saturating_sub(segment.first_index),
    }
}

/// Segments that were closed, and whose engine died before it could say so: the record knows them.
/// Those that were said are left out by the log.
async fn note_closed_segments(room: &Room, session: &SessionRecord) -> Result<()> {
    for (stream, segment) in closed_segments(room, session).await? {
        let payload = segment_closed(session, &stream, &segment);
        let key = segment_key(session, &segment);
        room.tell_once(session.id, &key, &payload);
    }
    Ok(())
}

/// Every closed segment of a recording, with its stream's name.
pub(crate) async fn closed_segments(
    room: &Room,
    session: &SessionRecord,
) -> Result<Vec<(String, ClosedSegment)>> {
    let (reading, of) = (room.clone(), session.clone());
    let known = move || -> Result<Vec<(String, ClosedSegment)>> {
        let record = crate::documents::open(&reading, &of)?;
        let mut closed = Vec::new();
        for segment in record.segments() {
            // One that no catalog knows yet is hashed as it lies there.
            let sha256 = match (segment.sha256, segment.state) {
                (Some(hash), _) => hash,
                (None, SegmentState::Closed) => record.hash_segment(&segment)?,
                (None, _) => continue,
            };
            let streams = record.streams();
            let name = segment.stream.map_or("events".to_owned(), |index| {
                (streams.get(usize::from(index.0)))
                    .map_or_else(|| index.0.to_string(), |stream| stream.name.clone())
            });
            let found = ClosedSegment {
                stream: segment.stream,
                number: segment.number,
                file: segment.file,
                first_index: segment.first_index,
                end_index: segment.end_index,
                sha256,
                bytes: segment.bytes,
                complete: true,
            };
            closed.push((name, found));
        }
        Ok(closed)
    };
    tokio::task::spawn_blocking(known)
        .await
        .map_err(|error| Error::internal("look for segments", &error))?
}

/// Stops the device, lets the queues drain, and notes the last segments.
async fn close(
    room: &Room,
    session: &SessionRecord,
    live: &Arc<Live>,
    segments: &Receiver<ClosedSegment>,
    watched: Watched,
) -> Result<Collection> {
    let handle = live.take_handle().ok_or_else(given_way)?;
    let events = handle.events();
    let summary = tokio::task::spawn_blocking(move || {
        let summary = handle.stop();
        (summary.reason, summary.stats)
    })
    .await
    .map_err(|error| Error::internal("end the recording", &error))?;
    let (reason, stats) = summary;
    pass_on(room, session, live, segments, &events).await;
    if live.resumed {
        note_closed_segments(room, session).await?;
    }
    let end = match (watched, &reason) {
        (Watched::GaveWay, _) => return Err(given_way()),
        (_, EndReason::DeviceFailed { .. } | EndReason::DriverPanicked) => {
            CollectionEnd::DeviceFailed
        }
        (Watched::Ended(CollectionEnd::SourceEnded), EndReason::Stopped) => CollectionEnd::Stopped,
        (Watched::Ended(end), _) => end,
    };
    let mut notes = live.warnings();
    if let EndReason::DeviceFailed { message, .. } = &reason {
        notes.push(format!("The device failed: {message}"));
    }
    if live.view.summary().is_none() {
        notes.push(format!(
            "The recording could not be closed{}; what was stored until then is safe.",
            live.view
                .problem()
                .map_or_else(String::new, |problem| format!(" ({problem})"))
        ));
    }
    let lost = live.gaps();
    let lost = lost.iter().filter(|g| g.cause == GapCause::RecorderFull);
    let unrecorded: u64 = lost.map(|gap| gap.resumes_at - gap.first_missing).sum();
    if unrecorded > 0 {
        notes.push(format!(
            "{unrecorded} samples were not recorded: the disk was too slow or full."
        ));
    }
    let gaps: u64 = stats.streams.iter().map(|stream| stream.gaps).sum();
    let size = folder_bytes(&folder(room, live.recording));
    room.tell_once(
        session.id,
        "recording/finished",
        &payloads::RecordingFinished {
            recording_id: live.recording.0,
            segments: live
                .view
                .summary()
                .map_or(0, |summary| summary.closed.len() as u64),
            gaps,
            duration_ms: (live.recorded_ns_of(&stats) / 1_000_000).unsigned_abs(),
            size_bytes: size,
        },
    );
    let recorded_s = live.recorded_ns_of(&stats) as f64 / 1e9;
    // Without a store there is nothing to keep it in; it is found again when it is taken in.
    if let Ok(records) = room.records()
        && let Err(error) = records.keep_length(session.id, recorded_s).await
    {
        tracing::warn!(%error, "keep the length of the recording");
    }
    room.live.forget_end(session.id);
    room.flush().await;
    let samples = stats
        .streams
        .iter()
        .zip(&live.before)
        .map(|(s, before)| s.samples + before);
    Ok(Collection {
        recording: live.recording.to_string(),
        end,
        samples: samples.max().unwrap_or(0),
        gaps,
        notes,
    })
}

pub(crate) fn folder_bytes(folder: &std::path::Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    entries
        .flatten()
        .filter_map(|entry| entry.metadata().ok())
        .map(|data| data.len())
        .sum()
}
