//! Recordings as EDF+ and BDF+ files, de-identified unless asked otherwise.
//!
//! [`export_edf`] writes a [`Source`] into a folder. What it promises: digital values of integer
//! streams are identical, sample for sample; none is invented, padded or lost; a gap splits the
//! export into one continuous file per unbroken run and a table of gaps; the eight characters that
//! the format allows for physical limits round, and the manifest beside the files bounds that
//! rounding and has the exact scale.
//!
//! Sources: Kemp et al. 1992 (EDF), Kemp and Olivan 2003 (EDF+), BioSemi's BDF, EDFlib's BDF+.

mod calendar;
mod digest;
mod duration;
mod encode;
mod error;
mod header;
mod label;
pub mod limits;
mod marks;
mod number;
mod options;
mod outcome;
mod plan;
mod recorded;
mod records;
mod run;
mod scale;
mod sidecar;
mod source;
mod stage;
mod survey;
mod tal;

pub use error::{ExportError, SourceError};
pub use options::{
    CalendarDate, Continuity, Deidentification, ExportOptions, Format, Identity, Privacy, Progress,
    Sex,
};
pub use outcome::{Export, ExportedFile, FileKind, Omitted, SignalFile, SignalScale};
pub use recorded::RecordingSource;
pub use run::export_edf;
pub use source::{Provenance, Run, Source, SourceInfo};
