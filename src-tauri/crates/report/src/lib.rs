//! The clinical report: what was recorded and measured, as PDF and as HTML.
//!
//! [`analyse`] computes from a recording what a report says of its samples. [`render_pdf`] and [`render_html`] print a [`ReportContent`], which holds everything they say.
//! Neither reads a clock or draws a conclusion. The bytes hold the patient's name: whoever keeps
//! them encrypts them.
//!
//! The PDF is written with krilla, which embeds and subsets the font, tags the document and checks
//! it against PDF/A-2a and PDF/UA-1. Typst as a library would lay it out by itself, but adds some
//! 300 packages and minutes to every build for what a few hundred lines do here.

mod analyse;
mod compose;
mod error;
mod excerpts;
mod figures;
mod font;
mod html;
mod layout;
pub mod limits;
mod model;
mod notice;
mod pdf;
mod picture;
mod text;
mod times;

pub use analyse::{AnalysisOptions, ExcerptRequest, analyse};
pub use error::ReportError;
pub use html::render_html;
pub use model::{
    Analysis, BandRow, Calibration, ChannelQuality, ClockRow, Event, Excerpt, Fact, GapRow,
    ImpedanceCheck, LossRow, Paper, Provenance, ReportContent, Signature, SpectrumCurve, Trace,
    TraceColour,
};
pub use notice::{Notice, Section, render_notice_pdf};
pub use pdf::render_pdf;
pub use times::stamp;
