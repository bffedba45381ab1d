//! What passes between the pages and the canvas of the traces: both are modules of one page, and
//! speak JSON with each other; the samples go to the canvas as bytes ([`crate::feed`]).

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How traces move.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScopeMode {
    /// Live: a page that is written over from left to right.
    #[default]
    Sweep,
    /// Live: the newest sample stands at the right edge.
    Scroll,
    /// A page of a recording stands still.
    Review,
}

/// Surface colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Theme {
    /// The bedside.
    #[default]
    Dark,
    /// The reading room.
    Light,
}

/// How the traces are drawn. Sent whole whenever something changes; unknown fields are ignored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ScopeSettings {
    /// How traces move.
    pub mode: ScopeMode,
    /// Sensitivity of potentials, µV/mm; other units fit their rows.
    pub sensitivity_uv_mm: f64,
    /// Sensitivity of potentials of a kind of channel ('ecg'), µV/mm, where it is not that of all and not
    /// the one that the kind is usually read at (ECG at 100 µV/mm, which is 10 mm/mV).
    pub sensitivity_by_kind: BTreeMap<String, f64>,
    /// Time base, s/page; a page is the width of the traces.
    pub page_s: f64,
    /// CSS pixels a millimetre of this screen.
    pub px_per_mm: f64,
    /// Whether someone held a ruler to it; otherwise the canvas says 'uncalibrated screen'.
    pub calibrated: bool,
    /// Negative is drawn upward in EEG, EOG and EMG; the scale bar says which. Everything else is drawn
    /// positive up, whatever is set here.
    pub negative_up: bool,
    /// Surface colours.
    pub theme: Theme,
    /// Live traces stand still while recording goes on.
    pub frozen: bool,
    /// Offset of the clock shown from UTC, minutes.
    pub zone_offset_min: i32,
    /// What is wrong with a channel, by label: 'stale', 'railed', 'flat', …; its rows are marked.
    pub channel_marks: BTreeMap<String, String>,
    /// Annotation to be emphasised.
    pub selected_annotation: Option<u64>,
    /// Words to write, by key ('uncalibrated', 'gap', 'no_data'); English where one is missing.
    pub words: BTreeMap<String, String>,
}

impl Default for ScopeSettings {
    fn default() -> Self {
        Self {
            mode: ScopeMode::Sweep,
            sensitivity_uv_mm: 7.0,
            sensitivity_by_kind: BTreeMap::new(),
            page_s: 10.0,
            px_per_mm: 96.0 / 25.4, // CSS's reference pixel
            calibrated: false,
            negative_up: true,
            theme: Theme::Dark,
            frozen: false,
            zone_offset_min: 0,
            channel_marks: BTreeMap::new(),
            selected_annotation: None,
            words: BTreeMap::new(),
        }
    }
}

/// What the canvas tells the page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum ScopeEvent {
    /// The traces have another size: the page asks for a feed or page of so many columns.
    Resized {
        /// Physical pixels of the traces' width.
        columns: u32,
        /// Width of the traces, mm.
        width_mm: f64,
    },
    /// A stretch was framed with the mouse.
    Measured(Measurement),
    /// The frame was taken away.
    MeasureCleared,
    /// The wheel or a pinch asks for another stretch.
    Moved {
        /// Begin wanted, ns since 1970 UTC.
        from_utc_ns: i64,
        /// Length wanted, s.
        page_s: f64,
    },
    /// An annotation was clicked.
    AnnotationPicked {
        /// Number within the recording.
        id: u64,
    },
    /// A point of the traces was double-clicked: an annotation is wanted there.
    PointPicked {
        /// When, ns since 1970 UTC.
        utc_ns: i64,
        /// Row's label.
        row: String,
    },
    /// The canvas has failed and paints no more: the page makes a new one, of a fresh module, and says so.
    Failed {
        /// What happened, for a log.
        message: String,
    },
}

/// What a marquee measures: the difference of its corners and the extremes of its row within it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// Row's label.
    pub row: String,
    /// Begin, ns since 1970 UTC.
    pub from_utc_ns: i64,
    /// Length, s.
    pub duration_s: f64,
    /// 1/length, Hz.
    pub frequency_hz: f64,
    /// Least value of the row within it.
    pub min: f64,
    /// Greatest value of the row within it.
    pub max: f64,
    /// Greatest less least value.
    pub amplitude: f64,
    /// Unit of the values.
    pub unit: String,
}

/// The state of the canvas in words, for a screen reader and for tests.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ScopeState {
    /// Montage's title.
    pub montage: String,
    /// Begin of what is shown, ns since 1970 UTC.
    pub from_utc_ns: i64,
    /// Length of what is shown, s.
    pub page_s: f64,
    /// mm/s as they are on this screen.
    pub mm_per_s: f64,
    /// Distance of the traces' left edge from the canvas's, CSS pixels.
    #[serde(default)]
    pub left_px: f64,
    /// Width of the traces, CSS pixels.
    #[serde(default)]
    pub width_px: f64,
    /// Rows with the value under the cursor or the newest one, in their order.
    pub rows: Vec<ScopeRow>,
    /// Time under the cursor, ns since 1970 UTC.
    pub cursor_utc_ns: Option<i64>,
    /// The frame that stands.
    pub measurement: Option<Measurement>,
    /// Newest column shown, ns since 1970 UTC.
    pub newest_utc_ns: i64,
    /// Gaps within what is shown.
    pub gaps: u32,
    /// Frames painted since the canvas began.
    pub frames: u64,
    /// Generation of the view that is shown.
    pub generation: u32,
    /// Messages that could not be read.
    #[serde(default)]
    pub malformed: u64,
}

/// One row of the canvas in words.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ScopeRow {
    /// Label.
    pub label: String,
    /// Value in words with its unit, or why there is none.
    pub value: String,
    /// Mark ('stale', 'railed', …); empty when all is well.
    pub mark: String,
    /// Distance of the row's zero line from the canvas's top, CSS pixels.
    pub y_px: f64,
    /// Whether what is negative is drawn upward.
    #[serde(default)]
    pub negative_up: bool,
    /// Sensitivity, µV/mm; `None` where the row fills its height.
    #[serde(default)]
    pub sensitivity_uv_mm: Option<f64>,
}
