//! Live: a montage is switched without a flash, a sweep writes over, a page stands still when frozen, and
//! nothing is painted for nothing.

use ui_types::feed::Message;
use ui_types::{ScopeMode, ScopeSettings};

use crate::feed::{BEGIN, bytes, description, envelope, of_stream, row};
use crate::stage::{Stage, calibrated};

const COLUMN_NS: f64 = 10e6; // 100 columns a second

fn flat(label: &str) -> Message {
    Message::Description(description(vec![row(label, "a", "left")]))
}

fn columns(range: std::ops::Range<u64>, history: bool) -> Message {
    envelope(1, COLUMN_NS, range, history, &|_, at| {
        (30.0 * (at * 9.0).sin()) as f32
    })
}

fn live(settings: ScopeSettings) -> Stage {
    let mut stage = Stage::new(1.0, settings);
    stage.begin_feed(1);
    stage.push(1, &bytes(&[flat("Fp1-F7"), columns(0..1_500, true)]));
    stage.push(1, &bytes(&[columns(1_500..1_505, false)]));
    stage.frame();
    stage
}

#[test]
fn the_old_page_stays_until_the_new_one_is_whole() {
    let mut stage = live(calibrated(3.78));
    let before = stage.picture();
    assert!(before.pixels.iter().any(|pixel| pixel.a() > 0));

    stage.begin_feed(2);
    stage.push(2, &bytes(&[flat("Fp1-Cz")]));
    stage.frame();
    stage.push(2, &bytes(&[columns(0..700, true)]));
    stage.frame();
    let state = stage.scope().state();
    assert_eq!(
        (state.generation, state.rows[0].label.as_str()),
        (1, "Fp1-F7")
    );
    assert!(
        stage.picture().pixels == before.pixels,
        "no flash while half of it is there"
    );
    // The old feed goes on meanwhile.
    stage.push(1, &bytes(&[columns(1_505..1_510, false)]));
    stage.frame();
    assert_eq!(stage.scope().state().generation, 1);

    let mut rest = bytes(&[columns(700..1_505, true)]);
    let cut = rest.split_off(1_000);
    stage.push(2, &rest);
    stage.frame();
    assert_eq!(
        stage.scope().state().generation,
        1,
        "a message cut in two is no message yet"
    );
    stage.push(2, &cut);
    stage.frame();
    let state = stage.scope().state();
    assert_eq!(
        (state.generation, state.rows[0].label.as_str()),
        (2, "Fp1-Cz")
    );
    assert_eq!(state.malformed, 0);
    // The same values at the same times: not a pixel jumps but those that are newer.
    let after = stage.picture();
    let differing = (0..after.width)
        .filter(|x| {
            (0..after.pixels.len() / after.width)
                .any(|y| after.pixels[y * after.width + x] != before.pixels[y * after.width + x])
        })
        .count();
    assert!(differing <= 30, "{differing} pixel columns differ");
    // What the old feed still sends changes nothing.
    stage.push(1, &bytes(&[columns(1_510..1_515, false)]));
    assert_eq!(stage.scope().state().generation, 2);
}

#[test]
fn a_new_view_is_whole_when_every_stream_has_caught_up() {
    let two = || {
        let mut view = description(vec![row("Fp1-F7", "a", "left")]);
        let mut other = view.streams[0].clone();
        other.stream = 1;
        view.streams.push(other);
        Message::Description(view)
    };
    let second = |range, history| of_stream(columns(range, history), 1);
    let mut stage = Stage::new(1.0, calibrated(3.78));
    stage.begin_feed(1);
    stage.push(
        1,
        &bytes(&[two(), columns(0..900, true), second(0..900, true)]),
    );
    stage.frame();
    stage.begin_feed(2);
    stage.push(2, &bytes(&[two(), columns(0..900, true)]));
    stage.frame();
    stage.frame();
    assert_eq!(stage.scope().state().generation, 1, "half of the streams");
    stage.push(2, &bytes(&[second(0..900, true)]));
    stage.frame();
    assert_eq!(stage.scope().state().generation, 2);
}

#[test]
fn a_feed_that_falls_silent_before_it_has_caught_up_is_shown_all_the_same() {
    let mut stage = live(calibrated(3.78));
    stage.begin_feed(2);
    stage.push(2, &bytes(&[flat("Fp1-Cz"), columns(0..700, true)]));
    for _ in 0..20 {
        stage.frame();
    }
    assert_eq!(stage.scope().state().generation, 2);
}

#[test]
fn a_sweep_writes_over_from_left_to_right_behind_a_blank_band() {
    let mut stage = live(calibrated(3.78));
    let traces = stage.scope().traces().expect("painted");
    let width = traces.width() as usize;
    // BEGIN stands at a multiple of 10 s; 15.05 s later the write position is in the middle.
    assert_eq!(BEGIN % 10_000_000_000, 0);
    let inked = |stage: &mut Stage| {
        let picture = stage.picture();
        let height = picture.pixels.len() / picture.width;
        (0..picture.width)
            .map(|x| (0..height).any(|y| picture.pixels[y * picture.width + x].a() > 0))
            .collect::<Vec<_>>()
    };
    let drawn = inked(&mut stage);
    let head = (0.505 * width as f64) as usize;
    assert!(drawn[head - 2], "drawn up to the write position");
    let band = drawn[head + 1..].iter().take_while(|ink| !**ink).count();
    assert!((8..=20).contains(&band), "a band of {band} pixels is blank");
    assert!(drawn[head + band + 3], "beyond it stands the page before");

    stage.push(1, &bytes(&[columns(1_505..1_605, false)]));
    stage.frame();
    let drawn = inked(&mut stage);
    let head = (0.605 * width as f64) as usize;
    assert!(drawn[head - 2] && !drawn[head + 3]);
    let redrawn = stage.scope().columns_drawn();
    assert!(
        redrawn < width / 5,
        "a second is {redrawn} columns of {width}"
    );
}

#[test]
fn the_newest_of_a_scroll_stands_at_the_right() {
    let mut stage = live(ScopeSettings {
        mode: ScopeMode::Scroll,
        ..calibrated(3.78)
    });
    let newest = |stage: &mut Stage| {
        let drawn = stage.scope().geometry("Fp1-F7");
        assert!(drawn[drawn.len() - 1].is_some() && drawn[0].is_some());
        stage.scope().state().newest_utc_ns
    };
    let before = newest(&mut stage);
    stage.push(1, &bytes(&[columns(1_505..1_555, false)]));
    stage.frame();
    assert_eq!(newest(&mut stage) - before, 500_000_000);
}

#[test]
fn what_is_frozen_stands_still_and_goes_on_when_thawed() {
    let mut stage = live(calibrated(3.78));
    let settings = |frozen| ScopeSettings {
        frozen,
        ..calibrated(3.78)
    };
    stage.scope().apply(settings(true));
    stage.frame();
    let before = stage.picture();
    for second in 0..30 {
        let from = 1_505 + second * 100;
        stage.push(1, &bytes(&[columns(from..from + 100, false)]));
        stage.frame();
    }
    assert!(
        stage.picture().pixels == before.pixels,
        "half a minute later it still stands"
    );
    assert!(stage.says("frozen"));
    assert_eq!(stage.scope().state().newest_utc_ns, BEGIN + 15_050_000_000);
    stage.scope().apply(settings(false));
    stage.frame();
    assert_eq!(stage.scope().state().newest_utc_ns, BEGIN + 45_050_000_000);
    assert!(stage.picture().pixels != before.pixels);
}

#[test]
fn nothing_is_painted_for_nothing_and_silence_is_said() {
    let mut stage = live(calibrated(3.78));
    let now = stage.harness.state().1;
    assert!(!stage.scope().wants_frame(now + 0.01), "nothing came");
    stage.push(1, &bytes(&[columns(1_505..1_506, false)]));
    assert!(
        !stage.scope().wants_frame(now + 0.01),
        "thirty a second are enough"
    );
    assert!(stage.scope().wants_frame(now + 0.04));
    stage.frame();
    let now = stage.harness.state().1;
    assert!(!stage.scope().wants_frame(now + 1.5));
    assert!(
        stage.scope().wants_frame(now + 2.5),
        "silence is worth a word"
    );
    stage.harness.state_mut().1 += 4.0;
    stage.frame();
    assert!(stage.says("no data 4.0 s"), "{:?}", stage.texts());
}

#[test]
fn another_montage_of_the_same_feed_is_followed() {
    let mut stage = live(calibrated(3.78));
    stage.push(1, &bytes(&[flat("C3-P3"), columns(1_505..1_600, false)]));
    stage.frame();
    assert_eq!(stage.scope().state().rows[0].label, "C3-P3");
}
