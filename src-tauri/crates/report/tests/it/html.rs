//! The HTML: complete, escaped, without anything active.

use crate::content::{content, hostile};
use report::{Paper, ReportContent, render_html};

#[test]
fn it_says_what_was_recorded() {
    let html = render_html(&content());
    for fact in [
        "Test^Patient",
        "TRAIN-0042",
        "SIMULATED – training",
        "Routine EEG",
        "Simulated headset",
        "Given in writing",
        "Device test signal",
        "Emergency stop: stimulation",
        "10.2 Hz at O1-O2",
        "250.0123",
        "49.2",
        "No impedance",
        "gel bridge?",
        "IEC 60601-1-8",
        "Draft: not signed.",
        "019aa000-0000-7000-8000-000000000001",
        "delta 0.5–4 Hz",
        "12.3",
    ] {
        let expected = fact != "No impedance";
        assert_eq!(html.contains(fact), expected, "{fact}");
    }
    let sections = [
        "Patient",
        "Session",
        "Device",
        "Consent",
        "Events",
        "Impedances",
        "Calibration",
        "Signal quality",
        "Spectra and band powers",
        "Excerpts",
        "Annotations",
        "Gaps and loss",
        "Clocks",
        "Provenance",
        "Signature",
    ];
    let mut at = 0;
    for section in sections {
        let heading = format!("<h2>{section}</h2>");
        let found = html[at..].find(&heading);
        assert!(found.is_some(), "{section} is missing or out of order");
        at += found.unwrap();
    }
    assert_eq!(html.matches("<svg").count(), 4);
}

#[test]
fn nothing_in_it_is_active() {
    let html = render_html(&hostile());
    let lower = html.to_lowercase();
    assert!(!lower.contains("<script") && !lower.contains("<img") && !lower.contains("http://"));
    // Only the tags that this room writes.
    for tag in lower.split('<').skip(1) {
        let name: String = tag
            .trim_start_matches('/')
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric())
            .collect();
        let known = [
            "", "html", "head", "meta", "title", "style", "body", "div", "header", "main",
            "footer", "p", "h1", "h2", "bdi", "dl", "dt", "dd", "table", "caption", "thead",
            "tbody", "tr", "th", "td", "figure", "svg", "polyline", "polygon", "circle", "text",
        ];
        assert!(known.contains(&name.as_str()), "unexpected tag {name}");
    }
    assert!(!html.contains('\u{202e}') && !html.contains('\u{0}') && !html.contains("NaN"));
    assert!(html.len() < 2_000_000);
}

#[test]
fn an_empty_report_is_still_a_report() {
    let html = render_html(&ReportContent {
        paper: Paper::Letter,
        ..ReportContent::default()
    });
    assert!(html.contains("Recording report") && html.contains("size:letter"));
    assert!(!html.contains("class=\"stamp\""));
}

#[test]
fn the_same_content_gives_the_same_page() {
    assert_eq!(render_html(&content()), render_html(&content()));
}
