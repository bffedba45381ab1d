//! Short documents beside the report: an addendum to it, a certificate.

use crate::ReportError;
use crate::compose::{Block, Row, Sheet, Table, signature_blocks};
use crate::model::{Fact, Paper, Provenance, Signature};
use crate::text::{field, paragraphs};
use signal::UtcNanos;

/// A part of a notice, under a heading.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Section {
    /// Heading.
    pub heading: String,
    /// Labels and what they say.
    pub facts: Vec<Fact>,
    /// Columns of a table; those of numbers stand at the right. Empty without one.
    pub columns: Vec<(String, bool)>,
    /// Its rows, each as long as the columns.
    pub rows: Vec<Vec<String>>,
    /// Text; each line is a paragraph.
    pub text: String,
}

impl std::fmt::Debug for Section {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Text and values may name a person.
        f.debug_struct("Section")
            .field("heading", &self.heading)
            .finish_non_exhaustive()
    }
}

/// A short document.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Notice {
    /// 'Addendum 1 to the report'.
    pub title: String,
    /// Hospital and department, as they head the page.
    pub institution: String,
    /// Paper.
    pub paper: Paper,
    /// Where the samples came from.
    pub provenance: Provenance,
    /// What every page shows at its top.
    pub banner: String,
    /// Parts.
    pub sections: Vec<Section>,
    /// Whether it is one that a person signs.
    pub is_signed: bool,
    /// Who signed.
    pub signature: Option<Signature>,
    /// The document's own identity.
    pub document_id: String,
    /// Program and version.
    pub software: String,
    /// When it was made.
    pub created_at: UtcNanos,
    /// The same, as it is printed.
    pub created: String,
}

/// The notice as PDF. The same content gives the same bytes.
///
/// # Errors
/// As for [`crate::render_pdf`].
pub fn render_notice_pdf(notice: &Notice) -> Result<Vec<u8>, ReportError> {
    crate::pdf::render(&sheet(notice))
}

fn sheet(notice: &Notice) -> Sheet {
    let mut blocks = Vec::new();
    if let Some(mark) = notice.provenance.watermark() {
        let text = format!("{mark}: these are not a patient's data.");
        blocks.push(Block::Paragraph { text, bold: true });
    }
    for section in &notice.sections {
        blocks.push(Block::Heading(field(&section.heading)));
        if !section.facts.is_empty() {
            let facts = section.facts.iter();
            blocks.push(Block::Facts(
                facts
                    .map(|fact| (field(&fact.label), field(&fact.value)))
                    .collect(),
            ));
        }
        if !section.columns.is_empty() {
            blocks.push(Block::Table(table(section)));
        }
        for text in paragraphs(&section.text) {
            blocks.push(Block::Paragraph { text, bold: false });
        }
    }
    if notice.is_signed {
        blocks.extend(signature_blocks(notice.signature.as_ref()));
    }
    Sheet {
        title: field(&notice.title),
        institution: field(&notice.institution),
        paper: notice.paper,
        watermark: notice.provenance.watermark(),
        banner: field(&notice.banner),
        blocks,
        document_id: notice.document_id.clone(),
        software: field(&notice.software),
        created_at: notice.created_at,
        created: field(&notice.created),
    }
}

fn table(section: &Section) -> Table {
    let share = 1.0 / section.columns.len().max(1) as f32;
    let columns = section.columns.iter();
    Table {
        caption: field(&section.heading),
        columns: columns
            .map(|(name, right)| (field(name), share, *right))
            .collect(),
        rows: section
            .rows
            .iter()
            .map(|cells| {
                let mut cells: Vec<String> = cells.iter().map(|cell| field(cell)).collect();
                cells.resize(section.columns.len(), String::new());
                Row { cells, bold: false }
            })
            .collect(),
    }
}
