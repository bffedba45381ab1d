//! A writer in a process of its own, killed at random instants.

use crate::common::*;
use recording::{OsStorage, Recorder, verify};
use signal::{HostNanos, SampleType, SamplingRate, StreamDescription, StreamIndex};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const FOLDER: &str = "RECORDING_KILL_FOLDER";
const START: &str = "RECORDING_KILL_START_NS";

fn description() -> StreamDescription {
    stream("eeg", SampleType::I24, 8, SamplingRate::hz(1000))
}

/// Not a test of its own: the process that the test below kills.
#[test]
#[ignore = "runs as the child of the kill test"]
fn writer() {
    let (Ok(folder), Ok(start)) = (std::env::var(FOLDER), std::env::var(START)) else {
        return;
    };
    let (folder, start) = (Path::new(&folder), start.parse::<i64>().unwrap());
    let mut recorder = if folder.exists() {
        Recorder::resume(
            folder,
            &unlock(),
            Arc::new(OsStorage),
            Box::new(Seeded(start as u64)),
            ANCHOR,
        )
        .unwrap()
    } else {
        create(folder, header(vec![description()]), Arc::new(OsStorage)).unwrap()
    };
    let (description, begun) = (description(), Instant::now());
    let mut next = description.rate.index_at(start);
    loop {
        std::thread::sleep(Duration::from_millis(10));
        let now = HostNanos(start + begun.elapsed().as_nanos() as i64);
        let until = description.rate.index_at(now.0);
        if until > next {
            recorder
                .append(&block(0, &description, next, (until - next) as usize))
                .unwrap();
            next = until;
        }
        recorder.tick(now).unwrap();
        println!(
            "at {} {}",
            now.0,
            recorder.stored_until().map_or(0, |t| t.0)
        );
        std::io::stdout().flush().unwrap();
    }
}

#[test]
fn killed_ten_times_at_most_a_second_is_gone_each_time() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("r");
    let mut random = Seeded(42);
    let mut start = 0_i64;
    let mut runs_before = 0;
    for round in 0..10 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::writer", "--ignored", "--nocapture"])
            .env(FOLDER, &folder)
            .env(START, start.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let lives = Duration::from_millis(250 + random.next() % 1000);
        let begun = Instant::now();
        let (mut now, mut stored) = (0, 0);
        while begun.elapsed() < lives || now == 0 {
            let line = lines.next().unwrap().unwrap();
            let words: Vec<&str> = line.split(' ').collect();
            if let ["at", a, b] = words[..] {
                (now, stored) = (a.parse().unwrap(), b.parse().unwrap());
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let recording = open(&folder, Arc::new(OsStorage)).unwrap();
        prove(&recording, 0);
        let runs = recording.runs(StreamIndex(0)).unwrap();
        let end = runs.last().map_or(0, |r| r.end_index);
        let rate = description().rate;
        assert!(
            end >= rate.index_at(stored),
            "round {round}: {end} of {stored}"
        );
        if now - start > 1_000_000_000 {
            assert!(
                end >= rate.index_at(now - 1_000_000_000),
                "round {round}: {end} at {now}"
            );
        }
        assert!(runs.len() >= runs_before, "round {round}");
        runs_before = runs.len();
        start = now + 2_000_000_000;
    }
    let entropy = Box::new(Seeded(77));
    let mut recorder =
        Recorder::resume(&folder, &unlock(), Arc::new(OsStorage), entropy, ANCHOR).unwrap();
    assert!(recorder.drain_closed().iter().any(|c| !c.complete));
    recorder.finish(HostNanos(start)).unwrap();
    assert!(
        verify(&folder, &unlock(), Arc::new(OsStorage), &mut |_, _| {})
            .unwrap()
            .problems
            .iter()
            .all(|p| !p.loses_data)
    );
}
