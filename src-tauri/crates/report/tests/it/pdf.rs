//! The PDF: searchable, valid, the same each time.

use crate::content::{content, hostile};
use report::{
    Fact, Notice, Paper, Provenance, ReportContent, Section, Signature, render_notice_pdf,
    render_pdf,
};
use std::path::Path;
use std::process::Command;

/// The PDF's text by poppler; `None`, loudly, where poppler is missing.
fn text_of(pdf: &[u8]) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.pdf");
    std::fs::write(&path, pdf).unwrap();
    match Command::new("pdftotext")
        .arg("-layout")
        .arg(&path)
        .arg("-")
        .output()
    {
        Ok(output) => {
            assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
            Some(String::from_utf8(output.stdout).unwrap())
        }
        Err(_) => {
            eprintln!("SKIPPED: text of the PDF (pdftotext of poppler-utils is missing)");
            None
        }
    }
}

/// Keeps a file to look at where a folder for that is named.
pub(crate) fn keep(name: &str, bytes: &[u8]) {
    if let Some(folder) = std::env::var_os("NEURASCALE_KEEP_REPORTS") {
        std::fs::write(Path::new(&folder).join(name), bytes).unwrap();
    }
}

#[test]
fn its_text_says_what_was_recorded() {
    let pdf = render_pdf(&content()).unwrap();
    keep("full.pdf", &pdf);
    keep("full.html", report::render_html(&content()).as_bytes());
    assert!(pdf.starts_with(b"%PDF-1.7"));
    let Some(text) = text_of(&pdf) else { return };
    for fact in [
        "Test^Patient",
        "TRAIN-0042",
        "SIMULATED – training",
        "Routine EEG",
        "Simulated headset",
        "Given in writing",
        "100 µV square wave",
        "Emergency stop",
        "10.2 Hz at O1-O2",
        "250.0123",
        "49.2",
        "IEC 60601-1-8",
        "Draft: not signed.",
        "50 µV, 1 s",
        "negative up",
        "Fp1-F7",
        "blank: Cz was not recorded",
        "Augen zu",
        "page 1 of",
    ] {
        assert!(text.contains(fact), "{fact} is missing");
    }
    // The banner and the mark stand on every page.
    let pages = text.matches('\u{c}').count();
    assert!(pages >= 4);
    assert_eq!(text.matches("Test^Patient · TRAIN-0042").count(), pages);
}

#[test]
fn the_same_content_gives_the_same_bytes() {
    assert!(render_pdf(&content()).unwrap() == render_pdf(&content()).unwrap());
}

#[test]
fn hostile_texts_are_only_texts() {
    let pdf = render_pdf(&hostile()).unwrap();
    keep("hostile.pdf", &pdf);
    if let Some(text) = text_of(&pdf) {
        assert!(text.contains("<script>alert(1)</script>"));
        assert!(!text.contains('\u{202e}'));
    }
    for word in [&b"/JavaScript"[..], b"/JS", b"/Launch", b"/URI"] {
        assert!(!pdf.windows(word.len()).any(|window| window == word));
    }
}

#[test]
fn an_empty_report_and_the_other_paper() {
    let content = ReportContent {
        paper: Paper::Letter,
        provenance: Provenance::Playback,
        ..ReportContent::default()
    };
    let pdf = render_pdf(&content).unwrap();
    keep("empty.pdf", &pdf);
    if let Some(text) = text_of(&pdf) {
        assert!(text.contains("No impedance was measured.") && text.contains("PLAYBACK"));
    }
}

fn signature() -> Signature {
    Signature {
        name: "Dr. Ada Signer".to_owned(),
        at: "2026-11-26 03:00:00+01:00".to_owned(),
        meaning: "I have read this recording and wrote this report".to_owned(),
        content_sha256: "c".repeat(64),
        recording_sha256: "d".repeat(64),
    }
}

#[test]
fn a_signed_report_says_who_when_what_for_and_over_what() {
    let mut content = content();
    content.impression = "Posterior rhythm of 10 Hz.\n\nReactive to eye opening.".to_owned();
    content.conclusion = "Within normal limits.".to_owned();
    content.signature = Some(signature());
    let pdf = render_pdf(&content).unwrap();
    keep("signed.pdf", &pdf);
    assert_eq!(
        pdf,
        render_pdf(&content).unwrap(),
        "the same content, the same bytes"
    );
    let html = report::render_html(&content);
    assert!(html.contains("Reactive to eye opening.") && html.contains("Dr. Ada Signer"));
    assert!(!html.contains("Draft"));
    let Some(text) = text_of(&pdf) else { return };
    for fact in [
        "Impression",
        "Posterior rhythm of 10 Hz.",
        "Reactive to eye opening.",
        "Conclusion",
        "Dr. Ada Signer",
        "03:00:00+01:00",
        "wrote this report",
        &"c".repeat(64),
        &"d".repeat(64),
    ] {
        assert!(text.contains(fact), "{fact} is not in the text:\n{text}");
    }
    assert!(!text.contains("Draft"), "{text}");
}

#[test]
fn a_notice_says_all_it_is_given() {
    let notice = Notice {
        title: "Addendum 1 to the report".to_owned(),
        provenance: Provenance::Simulated,
        banner: "Test^Patient · TRAIN-0042".to_owned(),
        sections: vec![
            Section {
                heading: "Report".to_owned(),
                facts: vec![Fact::new("Signed by", "Dr. Ada Signer")],
                ..Section::default()
            },
            Section {
                heading: "Measured".to_owned(),
                columns: vec![("What".to_owned(), false), ("Value".to_owned(), true)],
                rows: vec![
                    vec!["Latency, p99".to_owned(), "1.64 ms".to_owned()],
                    vec!["Cells may be missing".to_owned()],
                ],
                text: "A first line.\nA second one.".to_owned(),
                ..Section::default()
            },
        ],
        is_signed: true,
        signature: Some(signature()),
        document_id: "018f".to_owned(),
        software: "NeuraScale Workstation".to_owned(),
        created: "2026-11-26 03:00:00+01:00".to_owned(),
        ..Notice::default()
    };
    let pdf = render_notice_pdf(&notice).unwrap();
    keep("notice.pdf", &pdf);
    assert_eq!(pdf, render_notice_pdf(&notice).unwrap());
    let unsigned = Notice {
        is_signed: false,
        signature: None,
        ..notice
    };
    let unsigned = render_notice_pdf(&unsigned).unwrap();
    let (Some(text), Some(unsigned)) = (text_of(&pdf), text_of(&unsigned)) else {
        return;
    };
    for fact in [
        "Addendum 1 to the report",
        "Test^Patient",
        "SIMULATED",
        "1.64 ms",
        "A second one.",
        "Dr. Ada Signer",
        "Content, SHA-256",
    ] {
        assert!(text.contains(fact), "{fact} is not in the text:\n{text}");
    }
    assert!(!unsigned.contains("Content, SHA-256") && !unsigned.contains("Draft"));
}
