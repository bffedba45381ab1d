//! Bytes and settings that no engine sends: counted and survived.

use ui_types::feed::{Envelope, Message};
use ui_types::{ScopeMode, ScopeSettings, StreamRows};

use crate::feed::{BEGIN, bytes, description, envelope, gap, row};
use crate::stage::{Stage, calibrated};

fn good() -> Vec<u8> {
    bytes(&[
        Message::Description(description(vec![
            row("Fp1-F7", "a", "left"),
            row("ECG", "b", "ecg"),
        ])),
        envelope(2, 10e6, 0..300, true, &|_, at| at as f32),
        gap(1.0, Some(0.5)),
        envelope(2, 10e6, 300..310, false, &|_, at| at as f32),
        Message::End,
    ])
}

/// SplitMix64 (Steele, Lea, Flood 2014).
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 27)
}

#[test]
fn broken_messages_are_counted_and_the_page_stays() {
    let mut stage = Stage::of_size(400.0, 300.0, 1.0, calibrated(3.78));
    stage.begin_feed(1);
    stage.push(1, &good());
    stage.frame();
    stage.push(1, &[0xff; 200]);
    stage.frame();
    let state = stage.scope().state();
    assert_eq!((state.malformed, state.rows.len()), (1, 2));
    assert!(stage.says("1 messages could not be read"));
    stage.scope().show_page(&good()[..100]);
    assert_eq!(stage.scope().state().malformed, 2);
}

#[test]
fn mutated_bytes_never_panic() {
    let original = good();
    for seed in 0..400_u64 {
        let mut state = seed;
        let mut bytes = original.clone();
        for _ in 0..1 + random(&mut state) % 6 {
            let at = random(&mut state) as usize % bytes.len();
            bytes[at] = random(&mut state) as u8;
        }
        let mut stage = Stage::of_size(
            200.0,
            150.0,
            1.0,
            ScopeSettings {
                mode: [ScopeMode::Sweep, ScopeMode::Scroll, ScopeMode::Review][seed as usize % 3],
                ..calibrated(3.78)
            },
        );
        stage.begin_feed(1);
        let cut = random(&mut state) as usize % bytes.len();
        stage.push(1, &bytes[..cut]);
        stage.frame();
        stage.push(1, &bytes[cut..]);
        stage.scope().show_page(&bytes);
        stage.frame();
        stage.scope().wheel(3.0, -7.0, seed % 2 == 0, 100.0);
        // What it says of itself can always be said.
        serde_json::to_string(&stage.scope().state()).expect("the state is JSON");
    }
}

#[test]
fn times_and_values_beyond_reason_do_no_harm() {
    let times = [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX];
    let lengths = [
        1.0,
        1e3,
        1e9,
        1e15,
        1e300,
        f64::INFINITY,
        f64::NAN,
        -5.0,
        0.0,
    ];
    for mode in [ScopeMode::Sweep, ScopeMode::Scroll, ScopeMode::Review] {
        let mut stage = Stage::of_size(
            300.0,
            200.0,
            1.0,
            ScopeSettings {
                mode,
                ..calibrated(3.78)
            },
        );
        for (at, time_utc_ns) in times.into_iter().enumerate() {
            for column_ns in lengths {
                let mut view = description(vec![row("a-b", "", "")]);
                view.streams.push(StreamRows {
                    stream: 1,
                    rate_hz: f64::NAN,
                    ..StreamRows::default()
                });
                let odd = Message::Envelope(Envelope {
                    rows: 1,
                    columns: 3,
                    first_column: u64::MAX - 3 - at as u64,
                    time_utc_ns,
                    column_ns,
                    values: vec![f32::MAX, f32::MIN, f32::NAN, 0.0, f32::INFINITY, 1e30],
                    ..Envelope::default()
                });
                let message = bytes(&[
                    Message::Description(view),
                    odd,
                    gap(-1e9, Some(1e9)),
                    Message::End,
                ]);
                stage.begin_feed(at as u32 + 1);
                stage.push(at as u32 + 1, &message);
                stage.scope().show_page(&message);
                stage.frame();
            }
        }
    }
}

#[test]
fn settings_beyond_reason_are_brought_within_it() {
    let mut stage = Stage::of_size(300.0, 200.0, 1.0, calibrated(3.78));
    stage.begin_feed(1);
    stage.push(1, &good());
    for json in [
        r#"{"page_s": 0}"#,
        r#"{"page_s": -1e300, "sensitivity_uv_mm": 0, "px_per_mm": 1e300}"#,
        r#"{"zone_offset_min": 2147483647, "selected_annotation": 18446744073709551615}"#,
        r#"{"sensitivity_by_kind": {"ecg": -3}, "later": "unknown fields are ignored"}"#,
    ] {
        stage
            .scope()
            .settings(json)
            .expect("settings that can be read");
        stage.frame();
    }
    assert!(stage.scope().settings("{").is_err());
    assert!(stage.scope().settings(r#"{"mode": "backwards"}"#).is_err());
    let state = stage.scope().state();
    assert!(state.newest_utc_ns > BEGIN, "the traces are still there");
}
