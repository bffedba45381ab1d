//! The process is killed while it publishes: whatever it had acknowledged is there.

use std::{
    collections::BTreeSet,
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use events::{EventLog, Filter, Payload, Position, payloads::SessionStep};
use logstore::LedgerStore as _;
use rand::RngExt;

use crate::support::{open, rng, step};

const FOLDER: &str = "NEURASCALE_TEST_CRASH_FOLDER";
const ROUNDS: u32 = 6;

/// Not a test by itself: the process that is killed. It prints the number of every event that was
/// acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by the test below, in a process of its own"]
async fn publishes_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    let store = open(&folder).await;
    let begin = store.log().ledger_size().await.unwrap() as u32;
    let tasks: Vec<_> = (0..8_u32)
        .map(|task| {
            let publisher = store.bus().publisher("crash");
            tokio::spawn(async move {
                for number in 0.. {
                    let number = begin * 8 + number * 8 + task;
                    publisher.publish(&step(number)).await.unwrap();
                    // One write, so that a kill cannot cut a line of another task.
                    let line = format!("{number}\n");
                    std::io::stdout().write_all(line.as_bytes()).unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn everything_acknowledged_before_a_kill_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut rng = rng(77);
    let mut acknowledged = BTreeSet::new();
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "crash::publishes_until_it_is_killed",
                "--ignored",
                "--nocapture",
            ])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Starting takes some of it; the kill falls anywhere in opening or publishing.
        std::thread::sleep(Duration::from_millis(rng.random_range(60..900)));
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        acknowledged.extend(whole.lines().filter_map(|line| line.parse::<u32>().ok()));

        let store = open(folder.path()).await;
        let filter = Filter::of_types([SessionStep::EVENT_TYPE]);
        let events = store
            .log()
            .read(Position::START, usize::MAX, &filter)
            .await
            .unwrap();
        let found: BTreeSet<u32> = events
            .iter()
            .map(|event| event.event.payload::<SessionStep>().unwrap().attempt)
            .collect();
        let lost: Vec<_> = acknowledged.difference(&found).collect();
        assert!(lost.is_empty(), "round {round}: lost {lost:?}");
        let report = store.verify_ledger(|_| ()).await.unwrap();
        assert!(report.is_sound(), "round {round}: {report:?}");
        assert_eq!(
            report.entries,
            events.len() as u64,
            "an entry for each event, no more"
        );
        store.check_integrity().await.unwrap();
        store.close().await;
    }
    assert!(
        acknowledged.len() > 100,
        "only {} events before the kills",
        acknowledged.len()
    );
}
