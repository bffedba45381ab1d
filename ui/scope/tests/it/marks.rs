//! Gaps, annotations, marks of channels, blank rows: nothing is hidden, and everything is said.

use std::collections::BTreeMap;

use egui::pos2;
use ui_types::feed::Message;
use ui_types::{AnnotationMark, ScopeEvent, ScopeMode, ScopeSettings, Theme};

use crate::feed::{BEGIN, bytes, description, envelope, gap, row};
use crate::stage::{Stage, calibrated};

const COLUMN_NS: f64 = 10e6;

fn annotation(id: u64, at_s: f64, text: &str) -> AnnotationMark {
    AnnotationMark {
        id,
        onset_utc_ns: BEGIN + (at_s * 1e9) as i64,
        duration_ns: None,
        text: text.to_owned(),
        code: None,
        origin: "person".to_owned(),
        superseded_by: None,
    }
}

fn page(stage: &mut Stage, more: Vec<Message>) {
    let mut blank = row("F7-T7", "left temporal", "left");
    blank.blank = Some("F7 is not recorded".to_owned());
    let rows = vec![
        row("ECG", "ecg", "ecg"),
        row("Fp1-F7", "left temporal", "left"),
        blank,
        row("Fp2-F8", "right temporal", "right"),
    ];
    let signal = |_: usize, at: f64| {
        if (3.0..5.3).contains(&at) {
            f32::NAN
        } else {
            0.0
        }
    };
    let mut messages = vec![
        Message::Description(description(rows)),
        envelope(4, COLUMN_NS, 0..1_000, true, &signal),
    ];
    messages.extend(more);
    messages.push(Message::End);
    stage.scope().show_page(&bytes(&messages));
    stage.frame();
}

fn review(settings: ScopeSettings) -> Stage {
    Stage::new(
        1.0,
        ScopeSettings {
            mode: ScopeMode::Review,
            ..settings
        },
    )
}

#[test]
fn a_gap_is_hatched_and_its_length_is_written() {
    let mut stage = review(calibrated(3.78));
    page(&mut stage, vec![gap(3.0, Some(2.3))]);
    assert!(stage.says("gap 2.3 s"), "{:?}", stage.texts());
    assert_eq!(stage.scope().state().gaps, 1);
    let traces = stage.scope().traces().expect("painted");
    let x = |at: f32| traces.left() + at / 10.0 * traces.width();
    let diagonal: Vec<_> = stage
        .lines()
        .into_iter()
        .filter(|[from, to]| (from.x - to.x).abs() > 3.0 && (from.y - to.y).abs() > 3.0)
        .collect();
    assert!(diagonal.len() > 20, "{} lines of a hatch", diagonal.len());
    for point in diagonal.iter().flatten() {
        assert!(
            point.x >= x(3.0) - 1.0 && point.x <= x(5.3) + 1.0,
            "a hatch outside the gap: {point:?}"
        );
    }
    // No trace is drawn in it.
    let drawn = stage.scope().geometry("Fp1-F7");
    let px = |at: f64| (at / 10.0 * drawn.len() as f64) as usize;
    assert!(drawn[px(3.05)..px(5.25)].iter().all(Option::is_none));
    assert!(drawn[px(2.9)].is_some() && drawn[px(5.4)].is_some());
}

#[test]
fn a_page_that_begins_in_a_gap_begins_where_it_was_asked_for() {
    let mut stage = review(calibrated(3.78));
    let rows = vec![row("Fp1-F7", "a", "left")];
    // Nothing in the first 4 s: the first column that comes is number 400.
    let message = bytes(&[
        Message::Description(description(rows)),
        envelope(1, COLUMN_NS, 400..450, true, &|_, _| 0.0),
        envelope(1, COLUMN_NS, 900..1_000, true, &|_, _| 0.0),
        gap(-2.0, Some(6.0)),
        gap(4.5, Some(4.5)),
        Message::End,
    ]);
    stage.scope().show_page(&message);
    stage.frame();
    let state = stage.scope().state();
    assert_eq!((state.from_utc_ns, state.gaps), (BEGIN, 2));
    let drawn = stage.scope().geometry("Fp1-F7");
    let at = |time_s: f64| drawn[(time_s / 10.0 * drawn.len() as f64) as usize];
    assert!(at(3.9).is_none() && at(4.1).is_some() && at(6.0).is_none() && at(9.5).is_some());
}

#[test]
fn a_gap_that_lasts_says_so() {
    let mut stage = review(calibrated(3.78));
    page(&mut stage, vec![gap(8.0, None)]);
    assert!(stage.says("gap lasts"));
}

#[test]
fn a_blank_row_says_why_and_the_ecg_stands_at_the_bottom() {
    let mut stage = review(calibrated(3.78));
    page(&mut stage, vec![]);
    assert!(stage.says("F7 is not recorded"));
    let state = stage.scope().state();
    let labels: Vec<_> = state.rows.iter().map(|row| row.label.as_str()).collect();
    assert_eq!(labels, ["Fp1-F7", "F7-T7", "Fp2-F8", "ECG"]);
    assert_eq!(state.rows[1].value, "F7 is not recorded");
    assert!(stage.says("100 µV/mm"), "the ECG's own sensitivity is said");
    assert!(
        state
            .rows
            .windows(2)
            .all(|pair| pair[0].y_px < pair[1].y_px)
    );
}

#[test]
fn a_stale_channel_is_marked_by_word_and_shape_in_every_row_it_has_a_part_in() {
    for theme in [Theme::Dark, Theme::Light] {
        let marks = BTreeMap::from([
            ("F8".to_owned(), "stale".to_owned()),
            ("Fp1".to_owned(), "railed".to_owned()),
        ]);
        let mut stage = review(ScopeSettings {
            channel_marks: marks,
            theme,
            ..calibrated(3.78)
        });
        page(&mut stage, vec![]);
        let state = stage.scope().state();
        let mark = |label: &str| {
            let row = state.rows.iter().find(|row| row.label == label);
            row.map(|row| (row.mark.clone(), row.y_px as f32))
                .expect("the row")
        };
        assert_eq!(mark("Fp2-F8").0, "stale");
        assert_eq!(mark("Fp1-F7").0, "railed");
        assert_eq!(mark("ECG").0, "");
        for (word, label) in [("stale", "Fp2-F8"), ("railed", "Fp1-F7")] {
            let texts = stage.texts();
            let at = texts.iter().find(|(text, _)| text.trim() == word);
            let (_, pos) = at.unwrap_or_else(|| panic!("{word} is not written: {texts:?}"));
            assert!(
                (pos.y - mark(label).1).abs() < 15.0,
                "{word} stands at its row"
            );
        }
        // The shape: a ring for what is stale.
        let ring = stage.harness.output().shapes.iter().any(|clipped| {
            matches!(&clipped.shape, egui::Shape::Circle(circle)
                if circle.radius > 3.0 && (circle.center.y - mark("Fp2-F8").1).abs() < 2.0)
        });
        assert!(ring, "a ring crossed out stands beside the word");
    }
}

#[test]
fn annotations_have_a_line_and_a_flag_and_can_be_picked() {
    let superseded = AnnotationMark {
        superseded_by: Some(2),
        ..annotation(1, 2.37, "Eyes opne")
    };
    let mut stage = review(ScopeSettings {
        selected_annotation: Some(3),
        ..calibrated(3.78)
    });
    page(
        &mut stage,
        vec![
            Message::Annotation(superseded),
            Message::Annotation(annotation(2, 2.37, "Eyes open")),
            Message::Annotation(annotation(3, 8.37, "HV start")),
            Message::Annotation(AnnotationMark {
                code: Some("chewing".to_owned()),
                ..annotation(4, 9.37, "")
            }),
            // Withdrawn: nothing stands in its place.
            Message::Annotation(annotation(5, 6.37, "")),
        ],
    );
    assert!(stage.says("Eyes open") && stage.says("HV start") && stage.says("chewing"));
    assert!(!stage.says("Eyes opne"), "what was superseded is not shown");
    let traces = stage.scope().traces().expect("painted");
    // Between the lines of the time grid.
    let x = traces.left() + 0.237 * traces.width();
    let line = |at: f32| {
        stage
            .lines()
            .into_iter()
            .any(|[from, to]| (from.x - at).abs() < 0.6 && from.x == to.x && to.y - from.y > 500.0)
    };
    assert!(line(x), "a line at its time");
    let withdrawn = traces.left() + 0.637 * traces.width();
    assert!(!line(withdrawn), "what was withdrawn is not shown");
    stage.events();
    stage.harness.drag_at(pos2(x + 2.0, traces.center().y));
    stage.frame();
    stage.harness.drop_at(pos2(x + 2.0, traces.center().y));
    stage.frame();
    assert!(
        stage
            .events()
            .contains(&ScopeEvent::AnnotationPicked { id: 2 })
    );
}

#[test]
fn words_come_from_the_page_and_computed_data_are_named() {
    let mut stage = review(ScopeSettings {
        words: BTreeMap::from([
            ("gap".to_owned(), "Lücke".to_owned()),
            ("simulated".to_owned(), "SIMULIERT".to_owned()),
        ]),
        ..calibrated(3.78)
    });
    let mut description = description(vec![row("Fp1-F7", "a", "left")]);
    description.provenance = "simulated".to_owned();
    let message = bytes(&[
        Message::Description(description),
        envelope(1, COLUMN_NS, 0..1_000, true, &|_, _| 0.0),
        gap(3.0, Some(2.3)),
        Message::End,
    ]);
    stage.scope().show_page(&message);
    stage.frame();
    assert!(stage.says("Lücke 2.3 s") && stage.says("SIMULIERT"));
}
