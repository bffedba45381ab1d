//! The European Data Format: EDF, EDF+C, EDF+D, BDF and BDF+.
//!
//! Sources: Kemp et al., 'A simple format for exchange of digitized polygraphic recordings', EEG and
//! clinical Neurophysiology 82, 1992 (EDF); Kemp and Olivan, 'European data format plus', Clinical
//! Neurophysiology 114, 2003 (EDF+); BioSemi's description of BDF (24 bits, version byte 255).
//!
//! [`parse_header`] and [`parse_annotations`] take any bytes and give a value or an error that names
//! field and byte; they never panic, and use memory in proportion to the bytes given.

mod error;
mod header;
mod label;
mod prefilter;
mod reader;
mod tal;
mod text;
mod unit;

pub use error::EdfError;
pub use header::{Continuity, Format, Header, Identification, RecordDuration, SignalHeader};
pub use header::{header_len, parse_header};
pub use label::{ParsedLabel, parse_label};
pub use prefilter::parse_prefilter;
pub use reader::{Layout, Reader};
pub use tal::{TimedAnnotations, parse_annotations};
pub use unit::parse_unit;

pub(crate) use label::channel;
