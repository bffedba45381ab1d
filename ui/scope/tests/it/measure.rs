//! The marquee, the cursor, and the place of one marked sample.

use egui::{Pos2, pos2};
use ui_types::feed::Message;
use ui_types::{Measurement, ScopeEvent, ScopeMode, ScopeSettings};

use crate::feed::{BEGIN, SECOND, bytes, description, envelope, gap, row};
use crate::stage::{Stage, calibrated};

/// A single sample of −437 µV, 2 ms long, at this time of the page.
const MARKED_S: f64 = 7.2;
const MARKED_UV: f32 = -437.0;

fn signal(row: usize, at: f64) -> f32 {
    if (3.0..4.5).contains(&at) {
        f32::NAN // the gap
    } else if row == 0 && (at - MARKED_S).abs() < 1e-3 {
        MARKED_UV
    } else {
        (10.0 * (at * 20.0).sin()) as f32
    }
}

fn stage(ppp: f32) -> (Stage, usize) {
    let mut stage = Stage::new(
        ppp,
        ScopeSettings {
            mode: ScopeMode::Review,
            ..calibrated(3.78)
        },
    );
    stage.frame();
    let traces = stage.scope().traces().expect("painted");
    let columns = (traces.width() * ppp).round() as usize;
    let rows = vec![row("Fp1-F7", "a", "left"), row("F7-T7", "a", "left")];
    let message = bytes(&[
        Message::Description(description(rows)),
        envelope(2, 10e9 / columns as f64, 0..columns as u64, true, &signal),
        gap(3.0, Some(1.5)),
        Message::End,
    ]);
    stage.scope().show_page(&message);
    stage.frame();
    stage.events();
    (stage, columns)
}

/// Drags from one place to another as a hand does.
fn drag(stage: &mut Stage, from: Pos2, to: Pos2) -> Vec<ScopeEvent> {
    stage.harness.hover_at(from);
    stage.frame();
    stage.harness.drag_at(from);
    stage.frame();
    for part in 1_u8..=4 {
        stage
            .harness
            .hover_at(from + (to - from) * (f32::from(part) / 4.0));
        stage.frame();
    }
    stage.harness.drop_at(to);
    stage.frame();
    stage.events()
}

fn measured(events: &[ScopeEvent]) -> Measurement {
    let found = events.iter().find_map(|event| match event {
        ScopeEvent::Measured(measured) => Some(measured.clone()),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("nothing was measured: {events:?}"))
}

#[test]
fn a_marked_sample_stands_in_its_pixel_column_and_measures_its_value() {
    for ppp in [1.0, 2.0] {
        let (mut stage, columns) = stage(ppp);
        let traces = stage.scope().traces().expect("painted");
        let wanted = (MARKED_S / 10.0 * columns as f64).floor() as usize;
        let drawn = stage.scope().geometry("Fp1-F7");
        let (column, extent) = drawn
            .iter()
            .enumerate()
            .filter_map(|(column, extent)| extent.map(|extent| (column, extent)))
            .min_by(|one, other| one.1[0].total_cmp(&other.1[0]))
            .expect("the row is drawn");
        assert_eq!(column, wanted, "at {ppp}, after a gap");

        // The very pixels: the highest ink of the first row is in that column.
        let base = stage.scope().state().rows[0].y_px as f32;
        let picture = stage.picture();
        let y = (((extent[0] - traces.top()) * ppp).max(0.0) + 2.0) as usize;
        let line = &picture.pixels[y * picture.width..(y + 1) * picture.width];
        let inked: Vec<_> = (0..picture.width).filter(|x| line[*x].a() > 127).collect();
        assert_eq!(inked.first(), Some(&wanted), "{inked:?} at {ppp}");
        assert!(
            inked.len() <= ppp.ceil() as usize,
            "a sample is one column wide: {inked:?}"
        );

        // A marquee over it, begun in the row.
        let x = traces.left() + wanted as f32 / ppp;
        let events = drag(
            &mut stage,
            pos2(x - 25.0, base),
            pos2(x + 25.0, base + 60.0),
        );
        let measured = measured(&events);
        assert_eq!(measured.row, "Fp1-F7");
        assert_eq!(measured.min, f64::from(MARKED_UV));
        assert!(measured.max <= 10.0 && measured.max > 0.0);
        assert!((measured.amplitude - (measured.max - measured.min)).abs() < 1e-9);
        let px_s = 10.0 / columns as f64;
        let wide_s = 50.0 * f64::from(ppp) * px_s;
        assert!(
            (measured.duration_s - wide_s).abs() <= 1.01 * px_s,
            "{}",
            measured.duration_s
        );
        assert!((measured.frequency_hz * measured.duration_s - 1.0).abs() < 1e-9);
        let begin_s = (measured.from_utc_ns - BEGIN) as f64 / SECOND as f64;
        assert!(
            (begin_s - (MARKED_S - wide_s / 2.0)).abs() <= 1.01 * px_s,
            "{begin_s}"
        );
        assert_eq!(measured.unit, "µV");
        assert!(stage.says("ΔV") && stage.says("1/Δt"));
        assert_eq!(stage.scope().state().measurement, Some(measured));

        // One column alone holds the sample alone, min and max the value and what it is joined to.
        let at = pos2(x + 0.5 / ppp, base);
        stage.harness.hover_at(at);
        stage.frame();
        let state = stage.scope().state();
        let cursor_s = (state.cursor_utc_ns.expect("a cursor") - BEGIN) as f64 / 1e9;
        assert!(
            (0.0..=px_s).contains(&(MARKED_S - cursor_s)),
            "{cursor_s} at {ppp}"
        );
        assert!(
            state.rows[0].value.contains("−437"),
            "{}",
            state.rows[0].value
        );
    }
}

#[test]
fn a_click_takes_the_frame_away() {
    let (mut stage, _) = stage(1.0);
    let traces = stage.scope().traces().expect("painted");
    let from = traces.center();
    drag(&mut stage, from, from + egui::vec2(80.0, 20.0));
    assert!(stage.scope().state().measurement.is_some());
    stage.harness.drag_at(from);
    stage.frame();
    stage.harness.drop_at(from);
    stage.frame();
    assert!(stage.events().contains(&ScopeEvent::MeasureCleared));
    assert_eq!(stage.scope().state().measurement, None);
}

#[test]
fn a_frame_stays_on_its_page_and_leaves_with_it() {
    let (mut stage, columns) = stage(1.0);
    let traces = stage.scope().traces().expect("painted");
    let from = traces.center();
    drag(&mut stage, from, from + egui::vec2(80.0, 20.0));
    // The same page again, because something was marked on it; then the next one.
    let page = |stage: &mut Stage, later_ns: i64| {
        let rows = vec![row("Fp1-F7", "a", "left"), row("F7-T7", "a", "left")];
        let column_ns = 10e9 / columns as f64;
        let mut columns = envelope(2, column_ns, 0..columns as u64, true, &signal);
        if let Message::Envelope(envelope) = &mut columns {
            envelope.time_utc_ns += later_ns;
        }
        let message = bytes(&[
            Message::Description(description(rows)),
            columns,
            Message::End,
        ]);
        stage.scope().show_page(&message);
        stage.frame();
    };
    page(&mut stage, 0);
    assert!(stage.scope().state().measurement.is_some());
    page(&mut stage, 10 * SECOND);
    assert_eq!(stage.scope().state().measurement, None);
    assert!(stage.events().contains(&ScopeEvent::MeasureCleared));
    assert!(!stage.says("ΔV"));
}

#[test]
fn a_double_click_names_time_and_row() {
    let (mut stage, columns) = stage(1.0);
    let traces = stage.scope().traces().expect("painted");
    let base = stage.scope().state().rows[1].y_px as f32;
    let at = pos2(traces.left() + 100.5, base);
    for _ in 0..2 {
        stage.harness.drag_at(at);
        stage.frame();
        stage.harness.drop_at(at);
        stage.frame();
    }
    let events = stage.events();
    let picked = events.iter().find_map(|event| match event {
        ScopeEvent::PointPicked { utc_ns, row } => Some((*utc_ns, row.clone())),
        _ => None,
    });
    let (utc_ns, row) = picked.unwrap_or_else(|| panic!("{events:?}"));
    assert_eq!(row, "F7-T7");
    let wanted = BEGIN + (100.0 / columns as f64 * 10e9) as i64;
    assert!((utc_ns - wanted).abs() <= 1, "{utc_ns} and {wanted}");
}

#[test]
fn the_wheel_scrolls_and_a_pinch_zooms_about_the_pointer() {
    let (mut stage, _) = stage(1.0);
    stage.scope().wheel(0.0, 100.0, false, 500.0);
    let moved = |events: Vec<ScopeEvent>| {
        let found = events.into_iter().find_map(|event| match event {
            ScopeEvent::Moved {
                from_utc_ns,
                page_s,
            } => Some((from_utc_ns, page_s)),
            _ => None,
        });
        found.expect("a stretch is asked for")
    };
    let (from, page_s) = moved(stage.events());
    assert!(
        (from - BEGIN - SECOND).abs() < 1_000,
        "a tenth of the page on"
    );
    assert!((page_s - 10.0).abs() < 1e-9);

    let traces = stage.scope().traces().expect("painted");
    let x = traces.left() + traces.width() / 4.0;
    stage.scope().wheel(0.0, -100.0, true, f64::from(x));
    let (from, page_s) = moved(stage.events());
    assert!(page_s < 10.0, "nearer");
    let kept = (from - BEGIN) as f64 / 1e9 + page_s / 4.0;
    assert!(
        (kept - 2.5).abs() < 1e-6,
        "{kept}: what is under the pointer stays"
    );
}
