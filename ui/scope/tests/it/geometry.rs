//! True millimetres, polarity, and the place of a sample, at several densities of the screen.

use ui_types::feed::Message;
use ui_types::{ScopeMode, ScopeSettings};

use crate::feed::{BEGIN, bytes, description, envelope, row};
use crate::stage::{Stage, calibrated};

/// A page whose columns are the canvas's pixel columns.
fn page(stage: &mut Stage, rows: usize, signal: &dyn Fn(usize, f64) -> f32) {
    stage.frame();
    let columns = columns(stage);
    let column_ns = 10e9 / columns as f64;
    let labels = ["Fp1-F7", "F7-T7", "T7-P7", "P7-O1"];
    let rows_of: Vec<_> = labels[..rows]
        .iter()
        .map(|label| row(label, "left temporal", "left"))
        .collect();
    let message = bytes(&[
        Message::Description(description(rows_of)),
        envelope(rows, column_ns, 0..columns as u64, true, signal),
        Message::End,
    ]);
    stage.scope().show_page(&message);
    stage.frame();
}

fn columns(stage: &mut Stage) -> usize {
    let ppp = stage.harness.ctx.pixels_per_point();
    let traces = stage.scope().traces().expect("a frame was painted");
    (traces.width() * ppp).round() as usize
}

fn review(px_per_mm: f64) -> ScopeSettings {
    ScopeSettings {
        mode: ScopeMode::Review,
        ..calibrated(px_per_mm)
    }
}

#[test]
fn a_hundred_microvolts_measure_14_3_mm_on_any_screen() {
    // A laptop and a dense screen, each held a ruler to; CSS pixels and physical ones differ.
    for (ppp, px_per_mm) in [(1.0, 3.78), (2.0, 4.41), (1.25, 5.2)] {
        let mut stage = Stage::new(ppp, review(px_per_mm));
        // The calibration signal: a square wave of 100 µV, 1 s each way.
        page(&mut stage, 1, &|_, at| {
            if at.rem_euclid(2.0) < 1.0 {
                50.0
            } else {
                -50.0
            }
        });
        let drawn = stage.scope().geometry("Fp1-F7");
        let top = drawn
            .iter()
            .flatten()
            .map(|extent| extent[0])
            .fold(f32::MAX, f32::min);
        let bottom = drawn
            .iter()
            .flatten()
            .map(|extent| extent[1])
            .fold(f32::MIN, f32::max);
        let mm = f64::from(bottom - top) / px_per_mm;
        assert!((mm - 100.0 / 7.0).abs() < 0.01, "{mm} mm at {ppp}");

        // And in the pixels themselves, but for the width of the line.
        let picture = stage.picture();
        let inked: Vec<_> = picture
            .pixels
            .chunks_exact(picture.width)
            .enumerate()
            .filter(|(_, line)| line.iter().any(|pixel| pixel.a() > 127))
            .map(|(y, _)| y)
            .collect();
        let height_px = (inked[inked.len() - 1] - inked[0] + 1) as f64;
        let mm = (height_px / f64::from(ppp) - 1.1) / px_per_mm;
        let pixel_mm = 1.0 / f64::from(ppp) / px_per_mm;
        assert!(
            (mm - 100.0 / 7.0).abs() <= 1.01 * pixel_mm,
            "{mm} mm of pixels at {ppp}"
        );
    }
}

#[test]
fn sensitivity_is_millimetres_and_nothing_else() {
    let height = |sensitivity_uv_mm: f64| {
        let mut stage = Stage::new(
            1.0,
            ScopeSettings {
                sensitivity_uv_mm,
                ..review(4.0)
            },
        );
        page(&mut stage, 1, &|_, at| if at < 5.0 { 0.0 } else { 100.0 });
        let drawn = stage.scope().geometry("Fp1-F7");
        let (first, last) = (
            drawn[10].expect("drawn"),
            drawn[drawn.len() - 10].expect("drawn"),
        );
        f64::from(last[0] - first[0])
    };
    for sensitivity in [1.0, 7.0, 10.0, 30.0, 1_000.0] {
        let mm = height(sensitivity) / 4.0;
        assert!(
            (mm - 100.0 / sensitivity).abs() < 1e-3,
            "{mm} mm at {sensitivity}"
        );
    }
}

#[test]
fn a_negative_spike_of_fp1_points_up_in_fp1_f7() {
    let spike = |row: usize, at: f64| {
        let at_spike = (at - 5.0).abs() < 0.035;
        // Fp1 is input 1 of the first row only.
        if row == 0 && at_spike { -120.0 } else { 0.0 }
    };
    for (negative_up, direction) in [(true, -1.0), (false, 1.0)] {
        let mut stage = Stage::new(
            1.0,
            ScopeSettings {
                negative_up,
                ..review(3.78)
            },
        );
        page(&mut stage, 2, &spike);
        let state = stage.scope().state();
        let base = state.rows[0].y_px as f32;
        let drawn = stage.scope().geometry("Fp1-F7");
        let middle = drawn[drawn.len() / 2].expect("the spike is drawn");
        let tip = if negative_up { middle[0] } else { middle[1] };
        let wanted = direction * 120.0 / 7.0 * 3.78;
        assert!((tip - base - wanted).abs() < 0.01, "{tip} from {base}");
        let words = if negative_up {
            "negative up"
        } else {
            "positive up"
        };
        assert!(stage.says(words), "the scale bar says {words}");
    }
}

#[test]
fn an_r_wave_points_up_whichever_way_eeg_is_drawn() {
    // An R wave is positive; so is the deflection of the EEG beside it.
    let wave = |_: usize, at: f64| if (at - 5.0).abs() < 0.035 { 60.0 } else { 0.0 };
    for negative_up in [true, false] {
        let mut stage = Stage::new(
            1.0,
            ScopeSettings {
                negative_up,
                ..review(3.78)
            },
        );
        stage.frame();
        let traces = stage.scope().traces().expect("painted");
        let columns = traces.width().round() as u64;
        let rows = vec![row("Fp1-F7", "left", "left"), row("ECG", "ecg", "ecg")];
        let message = bytes(&[
            Message::Description(description(rows)),
            envelope(2, 10e9 / columns as f64, 0..columns, true, &wave),
            Message::End,
        ]);
        stage.scope().show_page(&message);
        stage.frame();
        let state = stage.scope().state();
        let tip = |stage: &mut Stage, at: usize, label: &str| {
            let base = state.rows[at].y_px as f32;
            let drawn = stage.scope().geometry(label);
            let middle = drawn[drawn.len() / 2].expect("the wave is drawn");
            if base - middle[0] > middle[1] - base {
                middle[0] - base
            } else {
                middle[1] - base
            }
        };
        let ecg = tip(&mut stage, 1, "ECG");
        // 60 µV at 100 µV/mm, upward.
        assert!((ecg + 60.0 / 100.0 * 3.78).abs() < 0.01, "{ecg}");
        let eeg = tip(&mut stage, 0, "Fp1-F7");
        assert_eq!(eeg > 0.0, negative_up, "{eeg}");
        assert_eq!(
            [state.rows[0].negative_up, state.rows[1].negative_up],
            [negative_up, false]
        );
        assert_eq!(state.rows[0].sensitivity_uv_mm, Some(7.0));
        assert_eq!(state.rows[1].sensitivity_uv_mm, Some(100.0));
        assert_eq!(
            stage.says("↑+"),
            negative_up,
            "what is not the page's way is said"
        );
    }
}

#[test]
fn every_row_is_drawn_at_its_zero_line_in_its_colour() {
    let mut stage = Stage::new(1.5, review(3.78));
    page(&mut stage, 3, &|_, _| 0.0);
    let state = stage.scope().state();
    let traces = stage.scope().traces().expect("painted");
    let picture = stage.picture();
    for row in &state.rows {
        let y = ((row.y_px as f32 - traces.top()) * 1.5) as usize;
        let pixel = picture.pixels[y * picture.width + picture.width / 2];
        assert!(pixel.a() > 100, "{} is drawn at its line", row.label);
        assert!(pixel.b() > pixel.r(), "left is blue");
    }
    assert!(state.rows[0].y_px < state.rows[1].y_px);
}

#[test]
fn traces_have_no_holes_however_steep() {
    let mut stage = Stage::new(1.0, review(3.78));
    page(&mut stage, 1, &|_, at| (400.0 * (at * 40.0).sin()) as f32);
    let drawn = stage.scope().geometry("Fp1-F7");
    for pair in drawn.windows(2) {
        let (one, other) = (pair[0].expect("drawn"), pair[1].expect("drawn"));
        assert!(
            one[1] >= other[0] - 1e-3 && other[1] >= one[0] - 1e-3,
            "a hole between {one:?} and {other:?}"
        );
    }
}

#[test]
fn the_scale_bar_is_as_long_as_it_says() {
    let mut stage = Stage::new(1.0, review(4.0));
    page(&mut stage, 1, &|_, _| 0.0);
    assert!(
        stage.says("50 µV") && stage.says("1 s"),
        "{:?}",
        stage.texts()
    );
    let traces = stage.scope().traces().expect("painted");
    let (uv, s) = (50.0 / 7.0 * 4.0, traces.width() / 10.0);
    let lines = stage.lines();
    let has = |dx: f32, dy: f32| {
        lines.iter().any(|[from, to]| {
            ((to.x - from.x).abs() - dx).abs() < 0.05 && ((to.y - from.y).abs() - dy).abs() < 0.05
        })
    };
    assert!(has(0.0, uv), "50 µV are {uv} px");
    assert!(has(s, 0.0), "1 s is {s} px");
    assert!(!stage.says("uncalibrated"), "someone held a ruler to it");
}

#[test]
fn a_screen_that_nobody_measured_says_so() {
    let mut stage = Stage::new(
        1.0,
        ScopeSettings {
            calibrated: false,
            ..review(3.78)
        },
    );
    page(&mut stage, 1, &|_, _| 0.0);
    assert!(stage.says("uncalibrated screen"));
}

#[test]
fn the_axis_shows_the_clock_of_the_recordings_zone() {
    let mut stage = Stage::new(
        1.0,
        ScopeSettings {
            zone_offset_min: 120,
            ..review(3.78)
        },
    );
    page(&mut stage, 1, &|_, _| 0.0);
    // BEGIN is 22:14:00 UTC, the day before in Berlin's summer.
    assert_eq!(BEGIN % 60_000_000_000, 0);
    let texts = stage.texts();
    let label = texts.iter().find(|(text, _)| text == "00:14:05");
    let (_, pos) = label.unwrap_or_else(|| panic!("{texts:?}"));
    let traces = stage.scope().traces().expect("painted");
    assert!(
        (pos.x - traces.center().x).abs() < 40.0,
        "in the middle of the page: {pos:?}"
    );
    assert!(stage.says("UTC+02:00"));
}

#[test]
fn where_samples_are_fewer_than_pixels_each_stands_at_its_time_and_lines_join_them() {
    let mut stage = Stage::new(
        1.0,
        ScopeSettings {
            page_s: 1.0,
            ..review(3.78)
        },
    );
    stage.frame();
    let columns = columns(&mut stage);
    // 50 samples a second: every sample is a column of the message.
    let mut view = description(vec![row("Fp1-F7", "a", "left")]);
    view.streams[0].rate_hz = 50.0;
    let message = bytes(&[
        Message::Description(view),
        envelope(1, 20e6, 0..50, true, &|_, at| {
            if (at - 0.4).abs() < 1e-3 { -70.0 } else { 0.0 }
        }),
        Message::End,
    ]);
    stage.scope().show_page(&message);
    stage.frame();
    let base = stage.scope().state().rows[0].y_px as f32;
    let drawn = stage.scope().geometry("Fp1-F7");
    let height = |column: usize| base - drawn[column].expect("no holes between samples")[0];
    let at = |time_s: f64| (time_s * columns as f64) as usize;
    let whole = 70.0 / 7.0 * 3.78;
    assert!(
        (height(at(0.4)) - whole).abs() < 0.01,
        "{}",
        height(at(0.4))
    );
    assert!(
        (height(at(0.39)) - whole / 2.0).abs() < 4.0,
        "half-way up, half-way before"
    );
    assert!(height(at(0.37)).abs() < 0.01 && height(at(0.43)).abs() < 0.01);
}
