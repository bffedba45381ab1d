//! What a display shows of a session or a recording: montage, filters, time base; and what the rows
//! that it gets are.

use crate::call::call;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Name of the montage that shows every channel as it was recorded.
pub const AS_RECORDED: &str = "as-recorded";

/// Display filters of one kind of channel; `None` is off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct FilterChoice {
    /// Low frequency filter, Hz.
    pub lff_hz: Option<f64>,
    /// High frequency filter, Hz.
    pub hff_hz: Option<f64>,
    /// Notch, Hz.
    pub notch_hz: Option<f64>,
}

/// Montage and filters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ViewSpec {
    /// Montage's name, or [`AS_RECORDED`].
    pub montage: String,
    /// Filters by kind of channel ('eeg', 'ecg', …); a kind that is not named has its default.
    #[serde(default)]
    pub filters: BTreeMap<String, FilterChoice>,
}

impl Default for ViewSpec {
    fn default() -> Self {
        Self {
            montage: AS_RECORDED.to_owned(),
            filters: BTreeMap::new(),
        }
    }
}

/// Body of `feed`: the live feed of a running session. It begins with a description and the
/// history asked for, and goes on until the session ends or the client leaves. To switch montage or
/// filters a client opens a new feed with history and lets the old one go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeedRequest {
    /// Opaque id of the session.
    pub id: String,
    /// Montage and filters.
    #[serde(default)]
    pub spec: ViewSpec,
    /// Columns a second: pixels a second of the display.
    pub columns_per_s: f64,
    /// Length of history to begin with, s.
    #[serde(default)]
    pub history_s: f64,
}

/// Body of `page`: a stretch of a recording, finished or under way, as the same messages as a feed,
/// closed by an end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PageRequest {
    /// Opaque id of the recording, or of its session.
    pub id: String,
    /// Montage and filters.
    #[serde(default)]
    pub spec: ViewSpec,
    /// Begin, ns since 1970 UTC; `None` is the recording's begin.
    pub from_utc_ns: Option<i64>,
    /// Length, s; `None` is the whole recording.
    pub duration_s: Option<f64>,
    /// Columns in all: pixels of the display.
    pub columns: u32,
}

/// One row of a display.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RowView {
    /// Label ('Fp1-F7').
    pub label: String,
    /// Chain it belongs to ('left temporal'); a space is drawn between chains.
    pub chain: String,
    /// 'left', 'right', 'midline', 'ecg' or 'other': the colour.
    pub colour: String,
    /// Kind of channel ('eeg', 'ecg', …).
    pub kind: String,
    /// Unit's symbol.
    pub unit: String,
    /// Channels that take part, by label.
    pub inputs: Vec<String>,
    /// Why the row is blank ('F7 is not recorded'); `None` when it is not.
    pub blank: Option<String>,
}

/// Rows of one stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StreamRows {
    /// Stream's index.
    pub stream: u16,
    /// Stream's name.
    pub name: String,
    /// Nominal rate, Hz.
    pub rate_hz: f64,
    /// Rows from the top of the page to its bottom.
    pub rows: Vec<RowView>,
}

/// What a feed or page shows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ViewDescription {
    /// Montage's name.
    pub montage: String,
    /// Montage's title for people.
    pub montage_title: String,
    /// Reference the channels were recorded against, for people ('Cz', 'unknown').
    pub reference: String,
    /// Filters in force by kind of channel.
    pub filters: BTreeMap<String, FilterChoice>,
    /// What of the filters is not the default, or narrower in the amplifier: to be highlighted.
    pub filter_notes: Vec<String>,
    /// Drawn from the overview, because the stretch is long: channels as recorded and unfiltered,
    /// whatever was asked for.
    #[serde(default)]
    pub overview: bool,
    /// 'live', 'simulated' or 'playback'.
    pub provenance: String,
    /// First sample of the recording, ns since 1970 UTC.
    pub begin_utc_ns: i64,
    /// Last sample known of the recording, ns since 1970 UTC.
    pub end_utc_ns: i64,
    /// Offset of the recording's zone from UTC, minutes.
    pub zone_offset_min: i32,
    /// Rows by stream.
    pub streams: Vec<StreamRows>,
}

/// Samples are missing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GapMark {
    /// Stream's index.
    pub stream: u16,
    /// When the first missing sample was due, ns since 1970 UTC.
    pub from_utc_ns: i64,
    /// How long; `None` while it lasts.
    pub duration_ns: Option<i64>,
    /// What is known of the number missing.
    pub missing: String,
    /// The number is not certain.
    pub ambiguous: bool,
    /// Why.
    pub cause: String,
}

/// Something marked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnnotationMark {
    /// Number within the recording.
    pub id: u64,
    /// When, ns since 1970 UTC.
    pub onset_utc_ns: i64,
    /// How long, ns.
    pub duration_ns: Option<i64>,
    /// Description.
    pub text: String,
    /// Code.
    pub code: Option<String>,
    /// Who made it: 'person', 'program', 'device', 'source'.
    pub origin: String,
    /// The annotation that takes this one's place.
    pub superseded_by: Option<u64>,
}

/// Asks what can be chosen for a display.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ViewChoices {
    /// Opaque id of a session or recording: montages are then told by whether it has their inputs.
    pub id: Option<String>,
}
call!(ViewChoices, "view.choices", ViewChoicesReply);

/// What can be chosen. The first of each list of montages is the default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ViewChoicesReply {
    /// Montages in the order of the menu.
    pub montages: Vec<MontageChoice>,
    /// Montage to begin with.
    pub default_montage: String,
    /// LFF, Hz; off comes beside them.
    pub lff_hz: Vec<f64>,
    /// HFF, Hz.
    pub hff_hz: Vec<f64>,
    /// Notch, Hz.
    pub notch_hz: Vec<f64>,
    /// Default filters by kind of channel.
    pub default_filters: BTreeMap<String, FilterChoice>,
    /// Sensitivities, µV/mm.
    pub sensitivity_uv_mm: Vec<f64>,
    /// Sensitivity to begin with, µV/mm.
    pub default_sensitivity_uv_mm: f64,
    /// Time bases, s/page.
    pub page_s: Vec<f64>,
    /// Time base to begin with, s/page.
    pub default_page_s: f64,
}

/// A montage of the menu.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MontageChoice {
    /// Name.
    pub name: String,
    /// Title.
    pub title: String,
    /// Rows that have all their inputs, of all.
    pub complete: u32,
    /// Rows.
    pub rows: u32,
}

/// Adds an annotation to a recording, under way or finished.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AnnotationAdd {
    /// Opaque id of the recording, or of its session.
    pub id: String,
    /// When, ns since 1970 UTC.
    pub onset_utc_ns: i64,
    /// How long, ns.
    pub duration_ns: Option<i64>,
    /// Description.
    pub text: String,
    /// Code.
    pub code: Option<String>,
}
call!(AnnotationAdd, "annotation.add", AnnotationReply);

/// Puts another annotation in the place of one; the old one stays in the record, superseded.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AnnotationSupersede {
    /// Opaque id of the recording, or of its session.
    pub id: String,
    /// The one to supersede.
    pub annotation: u64,
    /// When, ns since 1970 UTC.
    pub onset_utc_ns: i64,
    /// How long, ns.
    pub duration_ns: Option<i64>,
    /// Description; empty together with no code withdraws the annotation.
    pub text: String,
    /// Code.
    pub code: Option<String>,
}
call!(AnnotationSupersede, "annotation.supersede", AnnotationReply);

/// The new annotation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnnotationReply {
    /// Number within the recording.
    pub annotation: u64,
}
