//! Everything a report says, as plain values. Both the PDF and the HTML are made from it, and from
//! nothing else, so that the same content gives the same bytes.

use signal::{Impedance, ImpedanceLimits, UtcNanos};

/// Where the samples came from; anything but a device is printed across every page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Provenance {
    /// A device on a person.
    #[default]
    Device,
    /// The simulator.
    Simulated,
    /// A file played back.
    Playback,
}

impl Provenance {
    /// What is printed across every page.
    #[must_use]
    pub const fn watermark(self) -> Option<&'static str> {
        match self {
            Self::Device => None,
            Self::Simulated => Some("SIMULATED – training"),
            Self::Playback => Some("PLAYBACK"),
        }
    }
}

/// Paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Paper {
    /// 210 × 297 mm.
    #[default]
    A4,
    /// 8.5 × 11 inches.
    Letter,
}

/// A label and what it says.
#[derive(Clone, PartialEq, Eq)]
pub struct Fact {
    /// 'Date of birth'.
    pub label: String,
    /// '2 May 1951'.
    pub value: String,
}

impl Fact {
    /// A fact.
    #[must_use]
    pub fn new(label: &str, value: impl Into<String>) -> Self {
        Self {
            label: label.to_owned(),
            value: value.into(),
        }
    }
}

impl std::fmt::Debug for Fact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The value may identify a person.
        f.debug_struct("Fact")
            .field("label", &self.label)
            .finish_non_exhaustive()
    }
}

/// One check of the electrodes.
#[derive(Debug, Clone, PartialEq)]
pub struct ImpedanceCheck {
    /// 'Start', 'after repair', 'end'.
    pub title: String,
    /// When, as it is printed.
    pub at: String,
    /// Limits it was graded by.
    pub limits: ImpedanceLimits,
    /// Electrodes, reference and ground included.
    pub values: Vec<Impedance>,
}

/// How the recorded values were checked against a known signal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Calibration {
    /// 'Device test signal, 100 µV square wave' or 'display check only'.
    pub method: String,
    /// What was found.
    pub result: String,
}

/// Something worth knowing that happened.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    /// When, as it is printed.
    pub at: String,
    /// How long, as it is printed; empty for an instant.
    pub duration: String,
    /// What.
    pub text: String,
    /// Who or what noted it.
    pub origin: String,
    /// Whether it is printed bold (emergency stop).
    pub severe: bool,
}

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Free text may name a person.
        f.debug_struct("Event")
            .field("at", &self.at)
            .field("severe", &self.severe)
            .finish_non_exhaustive()
    }
}

/// Quality of one channel over the recording.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelQuality {
    /// Channel.
    pub label: String,
    /// Share of the seconds that were examined and found good, 0–1.
    pub good: f64,
    /// Seconds examined.
    pub seconds: u64,
    /// Findings with their share of the seconds, most frequent first ('mains', 0.4).
    pub findings: Vec<(String, f64)>,
}

/// One channel's power spectral density.
#[derive(Debug, Clone, PartialEq)]
pub struct SpectrumCurve {
    /// Channel.
    pub label: String,
    /// Frequencies, Hz.
    pub hz: Vec<f64>,
    /// Density, µV²/Hz; as long as [`Self::hz`].
    pub power: Vec<f64>,
}

/// Band powers of one channel, µV²; as long as [`Analysis::bands`].
#[derive(Debug, Clone, PartialEq)]
pub struct BandRow {
    /// Channel.
    pub label: String,
    /// Absolute power in each band, µV².
    pub power: Vec<f64>,
}

/// A gap in a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GapRow {
    /// Stream.
    pub stream: String,
    /// When it began, as it is printed.
    pub at: String,
    /// How long, as it is printed.
    pub duration: String,
    /// Samples lost: a number, or what is known of it.
    pub missing: String,
    /// Why.
    pub cause: String,
}

/// How one stream's clock ran.
#[derive(Debug, Clone, PartialEq)]
pub struct ClockRow {
    /// Stream.
    pub stream: String,
    /// Nominal rate, Hz; `None` for irregular streams.
    pub nominal_hz: Option<f64>,
    /// Rate found by the fitted clock, Hz.
    pub found_hz: Option<f64>,
    /// How far the device's clock runs from the host's, parts in a million.
    pub drift_ppm: Option<f64>,
    /// Spread of arrivals about the fit, ms RMS.
    pub jitter_ms: Option<f64>,
    /// Samples recorded, per channel.
    pub samples: u64,
    /// Samples known to be lost, per channel.
    pub lost: u64,
    /// The same by cause.
    pub losses: Vec<LossRow>,
}

/// What a stream lost for one cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LossRow {
    /// Why.
    pub cause: String,
    /// Gaps.
    pub gaps: u64,
    /// Samples known to be lost, per channel.
    pub samples: u64,
    /// Gaps whose length is not certain.
    pub uncertain: u64,
}

/// Colour of a trace under the clinical rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TraceColour {
    /// Left: blue.
    Left,
    /// Right: red.
    Right,
    /// Midline: black.
    #[default]
    Midline,
    /// ECG: dark red.
    Ecg,
    /// Other: grey.
    Other,
}

/// One line of an excerpt.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// Derivation.
    pub label: String,
    /// Its chain; a space is drawn between chains.
    pub chain: String,
    /// Colour.
    pub colour: TraceColour,
    /// Samples a second.
    pub rate_hz: f64,
    /// Input 1 − input 2, µV; NaN where there is a gap.
    pub values_uv: Vec<f32>,
    /// Why it shows nothing, where it does not.
    pub blank: Option<String>,
}

/// A page of traces.
#[derive(Debug, Clone, PartialEq)]
pub struct Excerpt {
    /// 'Emergency stop', 'Eyes closed'.
    pub title: String,
    /// Start, as it is printed.
    pub start: String,
    /// Length, s.
    pub duration_s: f64,
    /// Montage.
    pub montage: String,
    /// Filters in words ('LFF 0.5 Hz, HFF 70 Hz, notch off').
    pub filters: String,
    /// µV/mm.
    pub sensitivity_uv_mm: f64,
    /// Lines from top to bottom.
    pub traces: Vec<Trace>,
    /// Seconds after the start, and text.
    pub annotations: Vec<(f64, String)>,
    /// Gaps as seconds after the start.
    pub gaps: Vec<(f64, f64)>,
}

/// A signature under a report or an addendum.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Signature {
    /// Who.
    pub name: String,
    /// When, as it is printed, with the zone's offset.
    pub at: String,
    /// What it means.
    pub meaning: String,
    /// SHA-256 of what was signed, as it stood without this block, hexadecimal.
    pub content_sha256: String,
    /// SHA-256 over the recording's segment hashes, hexadecimal.
    pub recording_sha256: String,
}

impl std::fmt::Debug for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signature")
            .field("content_sha256", &self.content_sha256)
            .finish_non_exhaustive()
    }
}

/// What the program found in the samples. It draws no conclusion from it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Analysis {
    /// Quality of each channel.
    pub quality: Vec<ChannelQuality>,
    /// Spectra.
    pub spectra: Vec<SpectrumCurve>,
    /// How they were computed, in words.
    pub spectra_method: String,
    /// Bands: name, lower and upper bound, Hz.
    pub bands: Vec<(String, f64, f64)>,
    /// Band powers.
    pub band_powers: Vec<BandRow>,
    /// Peak alpha frequency in words, with channel and epochs; says so where there is none.
    pub peak_alpha: String,
    /// Traces.
    pub excerpts: Vec<Excerpt>,
    /// Gaps.
    pub gaps: Vec<GapRow>,
    /// Clocks.
    pub clocks: Vec<ClockRow>,
}

/// Everything a report says.
#[derive(Clone, PartialEq, Default)]
pub struct ReportContent {
    /// 'EEG recording'.
    pub title: String,
    /// Hospital and department, as they head the page.
    pub institution: String,
    /// Paper.
    pub paper: Paper,
    /// Where the samples came from.
    pub provenance: Provenance,
    /// Who: name, code, date of birth, sex. The banner of every page shows the first two.
    pub patient: Vec<Fact>,
    /// Protocol, beginning, end, length, clinician, state at the end.
    pub session: Vec<Fact>,
    /// Model, serial number, firmware, regulatory class, reference, ground, cap, hardware filters.
    pub device: Vec<Fact>,
    /// Consent as it was found, or why it was missing and who went on.
    pub consent: String,
    /// Electrode checks, in order of time.
    pub impedances: Vec<ImpedanceCheck>,
    /// Calibration.
    pub calibration: Calibration,
    /// Emergency stops, alerts, repairs.
    pub events: Vec<Event>,
    /// Annotations.
    pub annotations: Vec<Event>,
    /// What the program found.
    pub analysis: Analysis,
    /// Recording's identity.
    pub recording_id: String,
    /// Root of the hashes of its segments, hex.
    pub hash_root: String,
    /// Program and version.
    pub software: String,
    /// When the report was made.
    pub created_at: UtcNanos,
    /// The same, as it is printed.
    pub created: String,
    /// What the clinician saw in the recording; the program writes nothing of it.
    pub impression: String,
    /// What the clinician concludes from it.
    pub conclusion: String,
    /// Who signed and when; a draft says that nobody has.
    pub signature: Option<Signature>,
}

impl std::fmt::Debug for ReportContent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What a clinician writes may name a person.
        f.debug_struct("ReportContent")
            .field("recording_id", &self.recording_id)
            .field("created", &self.created)
            .finish_non_exhaustive()
    }
}
