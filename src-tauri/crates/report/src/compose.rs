//! What stands in the report, in which order: the same for paper and screen.

use crate::figures;
use crate::limits::MAX_TABLE_ROWS;
use crate::model::{
    ClockRow, Event, Fact, ImpedanceCheck, LossRow, Paper, ReportContent, Signature,
};
use crate::picture::Picture;
use crate::text::{field, number, paragraphs, percent};
use signal::UtcNanos;

/// Statement that the program draws no conclusion; printed in every report.
pub(crate) const NO_DIAGNOSIS: &str = "This report states what was recorded and what was measured. The program draws no diagnostic conclusion; \
interpretation is the clinician's. Its alerts are no alarms in the sense of IEC 60601-1-8.";

/// What makes a signature hold; printed under it.
const SIGNED: &str = "Signed electronically after the password was given again. The station's ledger holds the SHA-256 of this \
document and of the recording under this signature. It changes only by addendum.";

/// A piece of the report.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Block {
    Heading(String),
    Paragraph {
        text: String,
        bold: bool,
    },
    Facts(Vec<(String, String)>),
    Table(Table),
    Figure(Picture),
    /// Room for a signature by hand under a draft.
    Unsigned,
}

/// What a document is laid out from; its texts are cleaned already.
#[derive(Debug)]
pub(crate) struct Sheet {
    pub(crate) title: String,
    pub(crate) institution: String,
    pub(crate) paper: Paper,
    pub(crate) watermark: Option<&'static str>,
    pub(crate) banner: String,
    pub(crate) blocks: Vec<Block>,
    pub(crate) document_id: String,
    pub(crate) software: String,
    pub(crate) created_at: UtcNanos,
    pub(crate) created: String,
}

/// The report's sheet.
pub(crate) fn sheet(content: &ReportContent) -> Sheet {
    Sheet {
        title: title(content),
        institution: field(&content.institution),
        paper: content.paper,
        watermark: content.provenance.watermark(),
        banner: banner(content),
        blocks: compose(content),
        document_id: content.recording_id.clone(),
        software: field(&content.software),
        created_at: content.created_at,
        created: field(&content.created),
    }
}

/// The signature under a document, or room for one under a draft.
pub(crate) fn signature_blocks(signature: Option<&Signature>) -> Vec<Block> {
    let mut blocks = vec![Block::Heading("Signature".to_owned())];
    let Some(signature) = signature else {
        blocks.push(Block::Unsigned);
        return blocks;
    };
    let fact = |label: &str, value: &str| (label.to_owned(), field(value));
    blocks.push(Block::Facts(vec![
        fact("Signed by", &signature.name),
        fact("Time", &signature.at),
        fact("Meaning", &signature.meaning),
        fact("Content, SHA-256", &signature.content_sha256),
        fact("Recording, SHA-256", &signature.recording_sha256),
    ]));
    blocks.push(Block::Paragraph {
        text: SIGNED.to_owned(),
        bold: false,
    });
    blocks
}

/// A table; numbers stand at the right edge of their column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Table {
    pub(crate) caption: String,
    /// Header, share of the width, whether it holds numbers.
    pub(crate) columns: Vec<(String, f32, bool)>,
    pub(crate) rows: Vec<Row>,
}

/// A row; bold where it must not be missed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) cells: Vec<String>,
    pub(crate) bold: bool,
}

/// The banner of every page: who, and under which recording.
pub(crate) fn banner(content: &ReportContent) -> String {
    let who: Vec<String> = content
        .patient
        .iter()
        .take(2)
        .map(|fact| field(&fact.value))
        .collect();
    let who = if who.is_empty() {
        "no patient".to_owned()
    } else {
        who.join(" · ")
    };
    format!("{who} · recording {}", field(&content.recording_id))
}

/// The title, as it heads the report and names the document.
pub(crate) fn title(content: &ReportContent) -> String {
    let title = field(&content.title);
    if title.trim().is_empty() {
        "Recording report".to_owned()
    } else {
        title
    }
}

/// Everything between title and last page.
pub(crate) fn compose(content: &ReportContent) -> Vec<Block> {
    let mut blocks = Vec::new();
    if let Some(mark) = content.provenance.watermark() {
        let text = format!("{mark}: these are not a patient's data.");
        blocks.push(Block::Paragraph { text, bold: true });
    }
    facts(&mut blocks, "Patient", &content.patient);
    facts(&mut blocks, "Session", &content.session);
    for (title, text) in [
        ("Impression", &content.impression),
        ("Conclusion", &content.conclusion),
    ] {
        let lines = paragraphs(text);
        if !lines.is_empty() {
            heading(&mut blocks, title);
        }
        for line in lines {
            plain(&mut blocks, &line);
        }
    }
    facts(&mut blocks, "Device", &content.device);
    heading(&mut blocks, "Consent");
    let consent = field(&content.consent);
    plain(
        &mut blocks,
        if consent.trim().is_empty() {
            "Not stated."
        } else {
            &consent
        },
    );
    events(
        &mut blocks,
        "Events",
        "Nothing of note happened.",
        &content.events,
    );
    impedances(&mut blocks, &content.impedances);
    calibration(&mut blocks, content);
    quality(&mut blocks, content);
    spectra(&mut blocks, content);
    excerpts(&mut blocks, content);
    events(
        &mut blocks,
        "Annotations",
        "There are none.",
        &content.annotations,
    );
    gaps(&mut blocks, content);
    clocks(&mut blocks, content);
    provenance(&mut blocks, content);
    blocks.extend(signature_blocks(content.signature.as_ref()));
    blocks
}

fn heading(blocks: &mut Vec<Block>, text: &str) {
    blocks.push(Block::Heading(text.to_owned()));
}

fn plain(blocks: &mut Vec<Block>, text: &str) {
    blocks.push(Block::Paragraph {
        text: text.to_owned(),
        bold: false,
    });
}

fn facts(blocks: &mut Vec<Block>, title: &str, facts: &[Fact]) {
    heading(blocks, title);
    if facts.is_empty() {
        plain(blocks, "Not stated.");
        return;
    }
    blocks.push(Block::Facts(
        facts
            .iter()
            .map(|fact| (field(&fact.label), field(&fact.value)))
            .collect(),
    ));
}

fn table(
    blocks: &mut Vec<Block>,
    caption: &str,
    columns: &[(&str, f32, bool)],
    rows: impl Iterator<Item = Row>,
) {
    let mut rows: Vec<Row> = rows.collect();
    if rows.len() > MAX_TABLE_ROWS {
        let more = rows.len() - MAX_TABLE_ROWS;
        rows.truncate(MAX_TABLE_ROWS);
        let mut cells = vec![String::new(); columns.len()];
        cells[0] = format!("… {more} more");
        rows.push(Row { cells, bold: false });
    }
    let columns = columns
        .iter()
        .map(|(name, share, right)| ((*name).to_owned(), *share, *right))
        .collect();
    blocks.push(Block::Table(Table {
        caption: caption.to_owned(),
        columns,
        rows,
    }));
}

fn row(cells: Vec<String>) -> Row {
    Row { cells, bold: false }
}

fn events(blocks: &mut Vec<Block>, title: &str, none: &str, events: &[Event]) {
    heading(blocks, title);
    if events.is_empty() {
        plain(blocks, none);
        return;
    }
    table(
        blocks,
        title,
        &[
            ("Time", 0.2, false),
            ("Duration", 0.12, false),
            ("What", 0.5, false),
            ("By", 0.18, false),
        ],
        events.iter().map(|event| Row {
            cells: vec![
                field(&event.at),
                field(&event.duration),
                field(&event.text),
                field(&event.origin),
            ],
            bold: event.severe,
        }),
    );
}

fn impedances(blocks: &mut Vec<Block>, checks: &[ImpedanceCheck]) {
    heading(blocks, "Impedances");
    if checks.is_empty() {
        plain(blocks, "No impedance was measured.");
    }
    for check in checks {
        let limits = &check.limits;
        plain(
            blocks,
            &format!(
                "{}, {}: good up to {} kΩ, acceptable up to {} kΩ, below {} kΩ a gel bridge is likely.",
                field(&check.title),
                field(&check.at),
                number(limits.good_kohm),
                number(limits.acceptable_kohm),
                number(limits.bridge_kohm)
            ),
        );
        blocks.push(Block::Figure(figures::head_map(check, 250.0)));
        table(
            blocks,
            &format!("Impedances, {}", field(&check.title)),
            &[
                ("Electrode", 0.4, false),
                ("Impedance, kΩ", 0.3, true),
                ("Grade", 0.3, false),
            ],
            check.values.iter().map(|value| {
                row(vec![
                    field(&value.electrode),
                    value.impedance_kohm.map_or_else(|| "–".to_owned(), number),
                    figures::grade_text(limits.grade(value.impedance_kohm)).to_owned(),
                ])
            }),
        );
    }
}

fn calibration(blocks: &mut Vec<Block>, content: &ReportContent) {
    heading(blocks, "Calibration");
    let calibration = &content.calibration;
    if calibration.method.is_empty() {
        plain(blocks, "No calibration was made.");
    } else {
        let text = format!(
            "{}: {}",
            field(&calibration.method),
            field(&calibration.result)
        );
        plain(blocks, &text);
    }
}

fn quality(blocks: &mut Vec<Block>, content: &ReportContent) {
    heading(blocks, "Signal quality");
    let quality = &content.analysis.quality;
    if quality.is_empty() {
        plain(blocks, "Not examined.");
        return;
    }
    table(
        blocks,
        "Signal quality, second by second",
        &[
            ("Channel", 0.2, false),
            ("Good", 0.12, true),
            ("Seconds", 0.14, true),
            ("Findings", 0.54, false),
        ],
        quality.iter().map(|channel| {
            let findings: Vec<String> = channel
                .findings
                .iter()
                .map(|(name, share)| format!("{} {}", field(name), percent(*share)))
                .collect();
            row(vec![
                field(&channel.label),
                percent(channel.good),
                channel.seconds.to_string(),
                if findings.is_empty() {
                    "none".to_owned()
                } else {
                    findings.join(", ")
                },
            ])
        }),
    );
}

fn spectra(blocks: &mut Vec<Block>, content: &ReportContent) {
    let analysis = &content.analysis;
    heading(blocks, "Spectra and band powers");
    if analysis.spectra.is_empty() {
        plain(blocks, "No spectrum could be computed.");
    } else {
        plain(blocks, &field(&analysis.spectra_method));
        blocks.push(Block::Figure(figures::spectra(&analysis.spectra, 480.0)));
    }
    if !analysis.band_powers.is_empty() {
        let names: Vec<String> = analysis
            .bands
            .iter()
            .map(|(name, low, high)| format!("{} {}–{} Hz", field(name), short(*low), short(*high)))
            .collect();
        let share = 0.8 / names.len().max(1) as f32;
        let mut columns = vec![("Channel", 0.2, false)];
        columns.extend(names.iter().map(|name| (name.as_str(), share, true)));
        table(
            blocks,
            "Absolute band powers, µV²",
            &columns,
            analysis.band_powers.iter().map(|channel| {
                let mut cells = vec![field(&channel.label)];
                cells.extend(channel.power.iter().map(|power| number(*power)));
                cells.resize(columns.len(), "–".to_owned());
                row(cells)
            }),
        );
    }
    if !analysis.peak_alpha.is_empty() {
        plain(
            blocks,
            &format!("Peak alpha: {}", field(&analysis.peak_alpha)),
        );
    }
}

/// A bound without needless decimals.
fn short(value: f64) -> String {
    format!("{value}")
}

fn excerpts(blocks: &mut Vec<Block>, content: &ReportContent) {
    heading(blocks, "Excerpts");
    if content.analysis.excerpts.is_empty() {
        plain(blocks, "None was chosen.");
    }
    for excerpt in &content.analysis.excerpts {
        plain(
            blocks,
            &format!(
                "{} – {}, {} s. {}. {}. {} µV/mm on paper at full size; a derivation is input 1 minus input 2, negative up{}.",
                field(&excerpt.title),
                field(&excerpt.start),
                number(excerpt.duration_s),
                field(&excerpt.montage),
                field(&excerpt.filters),
                short(excerpt.sensitivity_uv_mm),
                figures::ecg_words(excerpt)
            ),
        );
        blocks.push(Block::Figure(figures::excerpt(excerpt, 510.0, 560.0)));
    }
}

fn gaps(blocks: &mut Vec<Block>, content: &ReportContent) {
    heading(blocks, "Gaps and loss");
    if content.analysis.gaps.is_empty() {
        plain(blocks, "The recording has no gap.");
        return;
    }
    table(
        blocks,
        "Gaps",
        &[
            ("Stream", 0.18, false),
            // A date, a time to the millisecond and its zone, in one line.
            ("From", 0.36, false),
            ("Duration", 0.13, true),
            ("Samples lost", 0.15, true),
            ("Cause", 0.18, false),
        ],
        content.analysis.gaps.iter().map(|gap| {
            row(vec![
                field(&gap.stream),
                field(&gap.at),
                field(&gap.duration),
                field(&gap.missing),
                field(&gap.cause),
            ])
        }),
    );
}

fn clocks(blocks: &mut Vec<Block>, content: &ReportContent) {
    heading(blocks, "Clocks");
    if content.analysis.clocks.is_empty() {
        plain(blocks, "No clock was examined.");
        return;
    }
    let dash = |value: Option<f64>, decimals: usize| {
        value.map_or_else(|| "–".to_owned(), |value| format!("{value:.decimals$}"))
    };
    table(
        blocks,
        "Clocks",
        &[
            ("Stream", 0.2, false),
            ("Nominal, Hz", 0.13, true),
            ("Found, Hz", 0.15, true),
            ("Drift, ppm", 0.13, true),
            ("Jitter, ms", 0.13, true),
            ("Samples", 0.14, true),
            ("Lost", 0.12, true),
        ],
        content.analysis.clocks.iter().map(|clock| {
            row(vec![
                field(&clock.stream),
                clock.nominal_hz.map_or_else(|| "–".to_owned(), short),
                dash(clock.found_hz, 4),
                dash(clock.drift_ppm, 1),
                dash(clock.jitter_ms, 2),
                clock.samples.to_string(),
                clock.lost.to_string(),
            ])
        }),
    );
    plain(
        blocks,
        "Jitter is the spread of arrivals about the fitted clock. The constant part of the latency, from the \
         sensor to this computer, cannot be seen in arrivals.",
    );
    let losses = |clock: &ClockRow| -> Vec<_> {
        let of = |loss: &LossRow| {
            row(vec![
                field(&clock.stream),
                field(&loss.cause),
                loss.gaps.to_string(),
                loss.samples.to_string(),
                loss.uncertain.to_string(),
            ])
        };
        clock.losses.iter().map(of).collect()
    };
    let rows: Vec<_> = content.analysis.clocks.iter().flat_map(losses).collect();
    if !rows.is_empty() {
        table(
            blocks,
            "Losses by cause",
            &[
                ("Stream", 0.25, false),
                ("Cause", 0.25, false),
                ("Gaps", 0.15, true),
                ("Samples lost", 0.2, true),
                ("Uncertain", 0.15, true),
            ],
            rows.into_iter(),
        );
    }
}

fn provenance(blocks: &mut Vec<Block>, content: &ReportContent) {
    heading(blocks, "Provenance");
    blocks.push(Block::Facts(vec![
        ("Recording".to_owned(), field(&content.recording_id)),
        ("Hash of its segments".to_owned(), field(&content.hash_root)),
        ("Made by".to_owned(), field(&content.software)),
        ("Report made".to_owned(), field(&content.created)),
    ]));
    plain(blocks, NO_DIAGNOSIS);
}
