//! Faults on the line: what came is recorded, what did not is in a gap.

use crate::{Board, record};
use acquisition::EndReason;
use driver_tests::soak;
use signal::Missing;
use std::time::Duration;

/// Packets have no check sum. One that is cut shows by the next one, which begins too early; foreign bytes right after
/// a cut one, or another cut one, could be its own end, and nothing in the protocol tells. So these faults come in runs
/// of their own, and never two cuts in a row.
const FOREIGN: (&str, &str) = (r#"{ kind = "garbage", chance = 0.02, bytes = 17 },"#, "");
const CUT: (&str, &str) = (
    "",
    r#"
    { at = 10, every = 74, kind = "truncated", bytes = 5 },
    { at = 47, every = 74, kind = "truncated", bytes = 20 },
    "#,
);

#[test]
fn a_bad_line_loses_only_what_it_says() {
    for faults in [FOREIGN, CUT] {
        bad_line(faults);
    }
}

fn bad_line((by_chance, on_time): (&str, &str)) {
    let board = Board::numbered(&format!(
        r#"
        seed = 11
        jitter_ms = 15
        drift_ppm = 120
        chance = [
            {{ kind = "lost", chance = 0.01 }},
            {{ kind = "repeated", chance = 0.01 }},
            {by_chance}
        ]
        fault = [
            {on_time}
            {{ at = 700, kind = "lost", count = 40 }},
            {{ at = 1300, kind = "pause", duration_ms = 400 }},
            {{ at = 2000, kind = "lost", count = 300 }},
        ]
        "#
    ));
    let device = board.open(&[("numbered", "on")]).expect("opened");
    let seconds = if soak() { 1_800 } else { 12 };
    let (kept, summary) = record(device, Duration::from_secs(seconds), |_| false);
    assert_eq!(summary.reason, EndReason::Stopped);
    assert!(kept.samples.len() > 2_000, "{} samples", kept.samples.len());
    kept.assert_nothing_lost(board.log());
    let stats = &summary.stats.streams[0];
    assert!(stats.duplicates > 5, "{stats:?}");
    assert!(summary.stats.garbage_bytes > 100, "{:?}", summary.stats);
    // 300 packets are more than the counter's 256: the time of arrival decides, or the gap says that it does
    // not.
    let long = (kept.gaps.iter())
        .find(|gap| gap.resumes_at - gap.first_missing >= 290)
        .expect("the long loss");
    match long.missing {
        Missing::Exact(count) => assert!((300..304).contains(&count), "{long:?}"),
        Missing::Ambiguous { least, modulus } => {
            assert_eq!(modulus, 256);
            assert!((44..48).contains(&least), "{long:?}");
        }
        Missing::Unknown => panic!("{long:?}"),
    }
}

#[test]
fn a_cut_connection_comes_back_and_loses_nothing_that_was_delivered() {
    let times = driver_tests::reconnects();
    let script = "[[fault]]\nat = 120\nevery = 170\nkind = \"disconnect\"\nduration_ms = 150";
    let board = Board::numbered(script);
    let device = board.open(&[("numbered", "on")]).expect("opened");
    let longest = Duration::from_secs(6 * times as u64);
    let (kept, summary) = record(device, longest, |kept| kept.broken() >= times);
    assert_eq!(summary.reason, EndReason::Stopped);
    assert!(kept.broken() >= times, "{} reconnects", kept.broken());
    kept.assert_nothing_lost(board.log());
}
