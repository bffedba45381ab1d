//! The engine killed at random instants of a session: nothing that was recorded is lost or
//! changed, and the session goes on where it was.

use end_to_end::{Station, recordings, soak};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use recording::Recording;
use serde_json::Value;
use signal::{GapCause, Samples, StreamIndex};
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Kills that must meet a recording whose loss can be told; `cargo xtask soak` asks for the long run.
const KILLS: usize = 50;
const KILLS_IN_SOAK: usize = 1_000;

/// Kills of one session once its recording has ended. On a slow machine no life is long enough for a
/// report; an activity that was interrupted twenty times is given up, as it should be.
const KILLS_AFTER_THE_END: usize = 8;
/// Of all kills, those that meet no recording (before it begins, while it is prepared, after its end)
/// are at most this many times the others; more means that this test misses what it aims at.
const KILLS_FOR_ONE: usize = 3;
/// Sum of all lives, and what starting, judging and ending take, for one kill that counts.
const PATIENCE_A_KILL: Duration = Duration::from_secs(6);
/// What may be missing before the instant of a kill.
const MAY_MISS_NS: i64 = 1_000_000_000;
/// How long a session may take to end once nobody kills it any more.
const PATIENCE: Duration = Duration::from_secs(90);
/// Pause between two looks at a session that is about to be killed.
const LOOK: Duration = Duration::from_millis(150);

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

/// What the kills came to.
#[derive(Debug, Default)]
struct Tally {
    kills: usize,
    /// Met a recording: what was missing was measured and asserted.
    judged: usize,
    /// Met none: it was not begun, or not taken up again yet.
    too_early: usize,
    /// Met none: it was over.
    too_late: usize,
    worst_ms: i64,
    unfinished: usize,
}

/// Kills the engine that serves the station, and yields the instant of it.
fn kill(station: &Station, engine: &mut Child) -> i64 {
    let serving = station.engine_pid();
    assert_eq!(serving, Some(engine.id()), "the engine to kill serves");
    engine.kill().unwrap();
    let at = now_ns();
    engine.wait().unwrap();
    at
}

/// Lets the engine live for `life`. Yields when a client was first told that more is recorded than
/// this engine found.
fn live(station: &Station, id: &str, life: Duration) -> Option<i64> {
    let began = Instant::now();
    let recorded = || {
        let shown = station.cli(&["--no-start", "session", "show", id]);
        let session = (shown.code == 0).then(|| shown.json())?;
        session["recorded_s"].as_f64()
    };
    let found = recorded();
    let mut told = None;
    while began.elapsed() + LOOK < life {
        std::thread::sleep(LOOK);
        if told.is_none() && recorded().zip(found).is_some_and(|(now, then)| now > then) {
            told = Some(now_ns());
        }
    }
    std::thread::sleep(life.saturating_sub(began.elapsed()));
    told
}

/// Measures what a kill cost a recording: everything since the engine that began at `began_ns` took it
/// up must be there but for the last second.
fn judge(
    station: &Station,
    recording: &Recording,
    (began_ns, told_ns, killed_ns): (i64, Option<i64>, i64),
    tally: &mut Tally,
) {
    if recording.finished().is_some() || marked(recording, "end", began_ns) {
        tally.too_late += 1;
        return;
    }
    let mut anchors = recording.anchors().iter().map(|anchor| anchor.utc.0);
    let Some(since) = anchors.find(|since| *since >= began_ns) else {
        let silent_ns = told_ns.map_or(0, |told| killed_ns - told);
        assert!(
            silent_ns <= MAY_MISS_NS,
            "recording for {silent_ns} ns and nothing of it is stored\n{}",
            station.log()
        );
        tally.too_early += 1;
        return;
    };
    let stored = end_ns(recording, StreamIndex(0)).unwrap_or(0);
    let missing = killed_ns - stored.max(since);
    assert!(
        missing <= MAY_MISS_NS,
        "{missing} ns are missing\n{}",
        station.log()
    );
    tally.judged += 1;
    tally.worst_ms = tally.worst_ms.max(missing / 1_000_000);
}

/// Kills the engine of a session again and again, until the session has ended or `wanted` kills of all
/// have been judged.
fn kill_again_and_again(
    station: &Station,
    arguments: &[&str],
    wanted: usize,
    longest_life_ms: u64,
    rng: &mut StdRng,
    tally: &mut Tally,
) -> (String, Child) {
    let mut began_ns = now_ns();
    let mut engine = station.engine();
    let started = station.ok(arguments);
    let id = started["id"].as_str().unwrap().to_owned();
    let mut before = Held::new();
    let mut after_the_end = 0;
    while tally.judged < wanted && after_the_end < KILLS_AFTER_THE_END {
        let life = Duration::from_millis(rng.random_range(0..longest_life_ms));
        let told_ns = live(station, &id, life);
        let killed_ns = kill(station, &mut engine);
        tally.kills += 1;
        if let Some(recording) = open(station, &id) {
            assert_kept(&before, &recording);
            before = held(&recording);
            after_the_end += usize::from(recording.finished().is_some());
            judge(station, &recording, (began_ns, told_ns, killed_ns), tally);
        } else {
            assert!(before.is_empty(), "the recording is gone");
            assert_eq!(told_ns, None, "a recording was told of that is not there");
            tally.too_early += 1;
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
    (id, engine)
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
    while tally.judged < wanted {
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
        let life_ms = if sessions % 4 == 3 { 3_000 } else { 1_800 };
        if sessions % 4 != 3 {
            arguments.push("--now");
        }
        let (id, mut engine) =
            kill_again_and_again(&station, &arguments, wanted, life_ms, &mut rng, &mut tally);
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
            2 * sessions,
            "one report a session: its PDF and its page"
        );
        station.ok(&["--no-start", "engine", "stop"]);
        engine.wait().unwrap();
        let patience = PATIENCE_A_KILL * wanted as u32;
        assert!(
            began.elapsed() < patience && tally.kills < KILLS_FOR_ONE * wanted,
            "{wanted} kills that met a recording were not reached: {tally:?}"
        );
    }
    eprintln!(
        "{sessions} sessions, {tally:?}, {:.0} s",
        began.elapsed().as_secs_f64()
    );
    assert_eq!(tally.judged, wanted);
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
        kill(station, &mut engine);
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
