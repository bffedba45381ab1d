//! Limits and defaults of the report. Each has its unit and its source.

/// Margin on every side of a page, points (1/72 inch): 15 mm leaves room for a hole punch.
pub const MARGIN_PT: f32 = 42.5;

/// Body text, points.
pub const BODY_PT: f32 = 9.0;

/// Table text, points.
pub const TABLE_PT: f32 = 8.0;

/// Characters of one text field that are printed; longer ones end in '…'. A hostile or broken field
/// must not fill the report.
pub const MAX_FIELD_CHARS: usize = 400;

/// Characters of a clinician's text that are printed: some ten pages. What is longer is refused before
/// it comes here.
pub const MAX_TEXT_CHARS: usize = 20_000;

/// Rows of one table; the rest is counted in a last row.
pub const MAX_TABLE_ROWS: usize = 400;

/// Excerpts chosen when none are asked for.
pub const MAX_EXCERPTS: usize = 4;

/// Length of an excerpt, s: one clinical page.
pub const EXCERPT_S: f64 = 10.0;

/// Sensitivity of excerpts, µV/mm: the clinical default.
pub const SENSITIVITY_UV_MM: f64 = 7.0;

/// Sensitivity of an ECG in an excerpt, µV/mm: the 10 mm/mV of every ECG recorder; at the EEG's it would cover its
/// neighbours. The window draws it alike.
pub const ECG_SENSITIVITY_UV_MM: f64 = 100.0;

/// Points of one trace in an excerpt; longer ones are drawn as min/max pairs.
pub const MAX_TRACE_POINTS: usize = 2_400;

/// Most traces drawn in one excerpt.
pub const MAX_TRACES: usize = 40;

/// Welch segment, s, and the share two segments overlap: 2 s resolve 0.5 Hz (IFCN recommendations
/// for quantitative EEG).
pub const WELCH_SEGMENT_S: f64 = 2.0;

/// Highest frequency in the spectra's picture, Hz.
pub const SPECTRUM_MAX_HZ: f64 = 45.0;
