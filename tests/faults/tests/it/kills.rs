//! The engine killed at random instants of a session: nothing that was recorded is lost or
//! changed, and the session goes on where it was.

use end_to_end::{Station, recordings, soak};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use recording::Recording;
use serde_json::Value;
use signal::{GapCause, Samples, StreamIndex};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Kills altogether; `cargo xtask soak` asks for the long run.
const KILLS: usize = 50;
const KILLS_IN_SOAK: usize = 1_000;
/// What may be missing before the instant of a kill.
const MAY_MISS_NS: i64 = 1_000_000_000;
/// How long a session may take to end once nobody kills it any more.
const PATIENCE: Duration = Duration::from_secs(90);

fn seed() -> u64 {
    let given = std::env::var("NEURASCALE_SEED")
        .ok()
        .and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(|| now_ns().unsigned_abs());
    eprintln!("kills by seed: NEURASCALE_SEED={seed}");
    seed
}

#[allow(
    clippy::disallowed_methods,
    reason = "compared with the times in a real engine's record"
)]
fn now_ns() -> i64 {
    i64::try_from(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_nanos(),
    )
    .unwrap()
}

/// What a recording held: by stream, its unbroken pieces.
type Held = Vec<Vec<recording::Piece>>;

fn held(recording: &Recording) -> Held {
    (0..recording.streams().len())
        .map(|stream| {
            recording
                .read(StreamIndex(stream as u16), 0..u64::MAX)
                .unwrap()
        })
        .collect()
}

/// Everything in `before` must be in `recording` still, bit for bit.
fn assert_kept(before: &Held, recording: &Recording) {
    for (stream, pieces) in before.iter().enumerate() {
        for piece in pieces {
            let range = piece.first_index..piece.first_index + piece.len as u64;
            let now = recording
                .read(StreamIndex(stream as u16), range.clone())
                .unwrap();
            assert_eq!(
                now.len(),
                1,
                "samples {range:?} of stream {stream} are torn apart"
            );
            assert!(
                now[0].samples == piece.samples && now[0].first_index == piece.first_index,
                "samples {range:?} of stream {stream} were changed"
            );
        }
    }
}

/// The channel `number` counts without a fault within every unbroken piece, and begins anew at
/// most where the device was opened anew.
fn assert_numbered(recording: &Recording) {
    let stream = &recording.streams()[0];
    let channel = stream
        .channels
        .iter()
        .position(|channel| channel.label == "number")
        .unwrap();
    for piece in recording
        .read_channel(StreamIndex(0), channel, 0..u64::MAX)
        .unwrap()
    {
        let (Samples::I24(values) | Samples::I32(values)) = piece.samples else {
            panic!("numbers are whole");
        };
        let broken = values
            .windows(2)
            .position(|pair| pair[1] != pair[0] + 1 && pair[1] != 0);
        assert_eq!(broken, None, "from sample {} on", piece.first_index);
    }
}

/// The one session's recording folder, before the engine would say so.
fn open(station: &Station, id: &str) -> Option<Recording> {
    let folders = std::fs::read_dir(station.path().join("recordings")).ok()?;
    let paths = folders.flatten().map(|entry| entry.path());
    // A folder that was killed while it was being made holds nothing yet.
    let mut all = paths.filter_map(|path| try_open(station, &path));
    all.find(|recording| {
        recording
            .header()
            .notes
            .get("session")
            .is_some_and(|of| of == id)
    })
}

fn try_open(station: &Station, folder: &Path) -> Option<Recording> {
    let unlock = recording::Unlock::Station(station.recording_key());
    let storage = std::sync::Arc::new(recording::OsStorage);
    match Recording::open(folder, &unlock, storage) {
        Ok(recording) => Some(recording),
        Err(recording::RecordingError::NotARecording) => None,
        Err(error) => panic!("{} does not open: {error}", folder.display()),
    }
}

/// When the last stored sample of a stream was due to be over.
fn end_ns(recording: &Recording, stream: StreamIndex) -> Option<i64> {
    let end = recording.runs(stream).unwrap().last()?.end_index;
    recording
        .time_of(stream, end - 1)
        .unwrap()
        .map(|time| time.0)
}

/// What the kills of one session came to.
#[derive(Debug, Default)]
struct Tally {
    kills: usize,
    while_recording: usize,
    worst_ms: i64,
    unfinished: usize,
}

/// Kills the engine of a session again and again until the session has ended or `most` is reached.
fn kill_again_and_again(
    station: &Station,
    arguments: &[&str],
    most: usize,
    longest_life_ms: u64,
    rng: &mut StdRng,
    tally: &mut Tally,
) -> String {
    let mut engine = station.engine();
    let mut began_ns = now_ns();
    let started = station.ok(arguments);
    let id = started["id"].as_str().unwrap().to_owned();
    let mut before = Held::new();
    for _ in 0..most {
        std::thread::sleep(Duration::from_millis(rng.random_range(0..longest_life_ms)));
        engine.kill().unwrap();
        let killed_ns = now_ns();
        engine.wait().unwrap();
        tally.kills += 1;
        if let Some(recording) = open(station, &id) {
            assert_kept(&before, &recording);
            before = held(&recording);
            // Recording since this engine took the recording up, unless it has ended already.
            let since = recording.anchors().last().map(|anchor| anchor.utc.0);
            if let Some(since) = since.filter(|since| *since >= began_ns)
                && recording.finished().is_none()
                && !marked(&recording, "end", since)
            {
                let stored = end_ns(&recording, StreamIndex(0)).unwrap_or(0);
                let missing = killed_ns - stored.max(since);
                assert!(
                    missing <= MAY_MISS_NS,
                    "{missing} ns are missing\n{}",
                    station.log()
                );
                tally.while_recording += 1;
                tally.worst_ms = tally.worst_ms.max(missing / 1_000_000);
            }
        } else {
            assert!(before.is_empty(), "the recording is gone");
        }
        began_ns = now_ns();
        engine = station.engine();
        if station.session(&id)["state"] != "running" {
            break;
        }
        tally.unfinished += 1;
    }
    let session = station.finished(&id, PATIENCE);
    assert_eq!(
        session["state"],
        "completed",
        "{session:#}\n{}",
        station.log()
    );
    assert_kept(&before, &station.recording(&session));
    let _ = station.cli(&["engine", "stop"]);
    engine.wait().unwrap();
    id
}

fn marked(recording: &Recording, kind: &str, since: i64) -> bool {
    recording
        .marks()
        .iter()
        .any(|mark| mark.kind == kind && mark.at.0 >= since)
}

/// What must hold of a session whatever happened to its engine.
fn assert_whole(station: &Station, id: &str) {
    let verified = station.ok(&["recording", "verify", id]);
    assert_eq!(verified["sound"], true, "{verified:#}");
    assert_eq!(verified["in_ledger"], verified["segments"], "{verified:#}");
    let replayed = station.ok(&["workflow", "replay", id]);
    assert_eq!(replayed["agrees"], true, "{replayed:#}");
    for kind in [
        "session.started",
        "session.completed",
        "recording.finished",
        "report.created",
    ] {
        let events = station.ok(&["events", "replay", "--type", kind, "--correlation", id]);
        assert_eq!(
            events["events"].as_array().unwrap().len(),
            1,
            "{kind}: {events:#}"
        );
    }
    assert_eq!(station.ok(&["ledger", "verify"])["sound"], true);
}

fn count(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

#[test]
fn an_engine_killed_at_random_loses_at_most_a_second() {
    let mut rng = StdRng::seed_from_u64(seed());
    let (wanted, began) = (if soak() { KILLS_IN_SOAK } else { KILLS }, Instant::now());
    let station = Station::new();
    let mut tally = Tally::default();
    let mut sessions = 0;
    while tally.kills < wanted {
        let mut arguments = vec![
            "session",
            "start",
            "--training",
            "--set",
            "numbered=true",
            "--duration",
            "9",
        ];
        // Every fourth prepares as well: impedances and calibration, which take ten seconds.
        let (most, life_ms) = if sessions % 4 == 3 {
            (10, 4_000)
        } else {
            (12, 2_200)
        };
        if sessions % 4 != 3 {
            arguments.push("--now");
        }
        let most = most.min(wanted - tally.kills);
        let id = kill_again_and_again(&station, &arguments, most, life_ms, &mut rng, &mut tally);
        sessions += 1;
        let session = station.session(&id);
        let recording = station.recording(&session);
        assert_numbered(&recording);
        for known in recording.gaps() {
            assert_eq!(known.gap.cause, GapCause::Restarted, "{known:?}");
        }
        assert_whole(&station, &id);
        assert_eq!(
            count(&station.path().join("reports")),
            sessions,
            "one report a session"
        );
    }
    eprintln!(
        "{sessions} sessions, {tally:?}, {:.0} s",
        began.elapsed().as_secs_f64()
    );
    assert!(
        tally.while_recording * 10 >= tally.kills,
        "too few kills met a recording: {tally:?}"
    );
    assert!(tally.unfinished > 0);
}

/// Values of the file, as the same driver delivers them to a session that nobody kills.
fn undisturbed(path: &str) -> Held {
    let station = Station::new();
    let session: Value = station.ok(&[
        "session",
        "run",
        "--training",
        "--now",
        "--device",
        path,
        "--set",
        "speed=max",
        "--duration",
        "unlimited",
    ]);
    assert_eq!(
        session["state"],
        "completed",
        "{session:#}\n{}",
        station.log()
    );
    let found = held(&station.recording(&session));
    station.ok(&["engine", "stop"]);
    found
}

#[test]
fn a_file_played_to_an_engine_that_is_killed_comes_out_whole() {
    let Some(folder) = recordings() else { return };
    let file = folder.join("clinical/epviz_seizure.edf");
    if !file.is_file() {
        eprintln!("SKIPPED: {} is not there", file.display());
        return;
    }
    let device = format!("playback:{}", file.display());
    let expected = undisturbed(&device);
    let mut rng = StdRng::seed_from_u64(seed());
    let station = Station::new();
    let arguments = [
        "session",
        "start",
        "--training",
        "--now",
        "--device",
        &device,
        "--set",
        "speed=30",
        "--duration",
        "unlimited",
    ];
    let mut tally = Tally::default();
    let id = kill_until_played(&station, &arguments, &mut rng, &mut tally);
    let session = station.session(&id);
    let recording = station.recording(&session);
    assert!(recording.gaps().is_empty(), "{:?}", recording.gaps());
    let found = held(&recording);
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found.len(), 1, "one unbroken piece a stream");
        assert!(
            found[0].samples == expected[0].samples,
            "values differ from the file's"
        );
    }
    assert_whole(&station, &id);
    eprintln!("{tally:?}");
}

/// As [`kill_again_and_again`], without the measure of time: a file is never late.
fn kill_until_played(
    station: &Station,
    arguments: &[&str],
    rng: &mut StdRng,
    tally: &mut Tally,
) -> String {
    let mut engine = station.engine();
    let started = station.ok(arguments);
    let id = started["id"].as_str().unwrap().to_owned();
    let mut before = Held::new();
    for _ in 0..8 {
        std::thread::sleep(Duration::from_millis(rng.random_range(0..1_200)));
        engine.kill().unwrap();
        engine.wait().unwrap();
        tally.kills += 1;
        if let Some(recording) = open(station, &id) {
            assert_kept(&before, &recording);
            before = held(&recording);
        }
        engine = station.engine();
        if station.session(&id)["state"] != "running" {
            break;
        }
        tally.unfinished += 1;
    }
    let session = station.finished(&id, PATIENCE);
    assert_eq!(
        session["state"],
        "completed",
        "{session:#}\n{}",
        station.log()
    );
    let _ = station.cli(&["engine", "stop"]);
    engine.wait().unwrap();
    id
}
