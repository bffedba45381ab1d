//! Where rows stand and how high a value is: true millimetres, chain by chain.

use egui::{Pos2, Rect, pos2, vec2};
use ui_types::{RowView, ScopeSettings};

use crate::limits::{
    AXIS_PT, CHAIN_SPACE, ECG_ROW_HEIGHTS, ECG_UV_MM, FIT_PART, FLAGS_PT, GUTTER_PT, MAX_SIDE_PX,
    RIGHT_PT,
};
use crate::view::{Row, is_ecg};

/// The rectangles of the canvas, on whole physical pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Frame {
    /// The traces with their flags.
    pub(crate) traces: Rect,
    /// Traces and time axis: what the plot takes.
    pub(crate) plot: Rect,
    /// Physical pixels of the traces.
    pub(crate) width_px: usize,
    pub(crate) height_px: usize,
    /// Physical pixels a CSS pixel.
    pub(crate) ppp: f32,
}

impl Frame {
    pub(crate) fn of(canvas: Rect, ppp: f32) -> Self {
        let snap = |value: f32| (value * ppp).round() / ppp;
        let min = pos2(snap(canvas.left() + GUTTER_PT), snap(canvas.top()));
        let max = pos2(
            snap(canvas.right() - RIGHT_PT),
            snap(canvas.bottom() - snap(AXIS_PT)),
        );
        let pixels = |length: f32| ((length * ppp).round().max(1.0) as usize).min(MAX_SIDE_PX);
        let (width_px, height_px) = (pixels(max.x - min.x), pixels(max.y - min.y));
        let size = vec2(width_px as f32 / ppp, height_px as f32 / ppp);
        let traces = Rect::from_min_size(min, size);
        let plot = Rect::from_min_max(
            min,
            Pos2::new(traces.right(), traces.bottom() + snap(AXIS_PT)),
        );
        Self {
            traces,
            plot,
            width_px,
            height_px,
            ppp,
        }
    }

    /// Height of the time axis, as the plot must reserve it.
    pub(crate) fn axis_pt(&self) -> f32 {
        self.plot.bottom() - self.traces.bottom()
    }
}

/// How values become heights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Scale {
    /// Potentials, in true millimetres: µV of one unit, and µV/mm.
    Potential { uv: f64, sensitivity: f64 },
    /// Anything else fills its row.
    Fitted,
}

/// A row on the canvas.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Place {
    /// Its zero line, CSS pixels from the canvas's top.
    pub(crate) base_pt: f64,
    pub(crate) height_pt: f64,
    pub(crate) scale: Scale,
}

/// Spreads the rows over the height below the flags, with a space between chains.
pub(crate) fn places(rows: &[Row], settings: &ScopeSettings, frame: &Frame) -> Vec<Place> {
    // Begin of each row and its height, in heights of an ordinary row.
    let mut end = 0.0;
    let mut starts = Vec::with_capacity(rows.len());
    for (at, row) in rows.iter().enumerate() {
        if at > 0 && row.view.chain != rows[at - 1].view.chain {
            end += CHAIN_SPACE;
        }
        let heights = if is_ecg(&row.view) {
            ECG_ROW_HEIGHTS
        } else {
            1.0
        };
        starts.push((end, heights));
        end += heights;
    }
    let top = f64::from(frame.traces.top() + FLAGS_PT.min(frame.traces.height() / 4.0));
    let height = (f64::from(frame.traces.bottom()) - top).max(1.0);
    let unit_pt = height / f64::max(end, 1.0);
    rows.iter()
        .zip(starts)
        .map(|(row, (start, heights))| Place {
            base_pt: top + (start + heights / 2.0) * unit_pt,
            height_pt: heights * unit_pt,
            scale: scale(&row.view, settings),
        })
        .collect()
}

/// Kinds that are read at no fixed sensitivity, whatever unit their sensor puts out.
const FITTED_KINDS: [&str; 7] = [
    "respiration",
    "ppg",
    "vital_sign",
    "accelerometer",
    "gyroscope",
    "temperature",
    "trigger",
];

fn scale(row: &RowView, settings: &ScopeSettings) -> Scale {
    let fitted = FITTED_KINDS.contains(&row.kind.as_str());
    match microvolts(&row.unit).filter(|_| !fitted) {
        Some(uv) => Scale::Potential {
            uv,
            sensitivity: sensitivity(row, settings),
        },
        None => Scale::Fitted,
    }
}

/// Whether a row is drawn negative up. EEG is (IFCN glossary, Kane et al. 2017: input 1 negative to input 2
/// points up), and with it EOG and EMG, which are read on the same page and by the same rule (AANEM glossary:
/// negative up). ECG is never: a deflection toward the positive electrode points up (AHA/ACC/HRS,
/// Kligfield et al. 2007). Nor is anything that is no potential: more stands higher.
pub(crate) fn negative_up(row: &RowView, settings: &ScopeSettings) -> bool {
    let potential = matches!(scale(row, settings), Scale::Potential { .. });
    settings.negative_up && potential && !is_ecg(row)
}

/// Sensitivity of a row of potentials, µV/mm: EOG and EMG have the page's, as on paper, until someone
/// chooses one for them.
pub(crate) fn sensitivity(row: &RowView, settings: &ScopeSettings) -> f64 {
    let own = settings.sensitivity_by_kind.get(&row.kind).copied();
    own.unwrap_or(if is_ecg(row) {
        ECG_UV_MM
    } else {
        settings.sensitivity_uv_mm
    })
}

/// µV of one unit, for units of potential; both signs for micro are in use.
pub(crate) fn microvolts(unit: &str) -> Option<f64> {
    Some(match unit {
        "uV" | "\u{b5}V" | "\u{3bc}V" => 1.0,
        "nV" => 1e-3,
        "mV" => 1e3,
        "V" => 1e6,
        _ => return None,
    })
}

/// CSS pixels of one unit of a row's value; `range` is what a fitted row has shown.
pub(crate) fn pt_per_unit(place: &Place, settings: &ScopeSettings, range: [f32; 2]) -> f64 {
    match place.scale {
        Scale::Potential { uv, sensitivity } => uv / sensitivity * settings.px_per_mm,
        Scale::Fitted => {
            let length = f64::from(range[1]) - f64::from(range[0]);
            if length > 0.0 {
                place.height_pt * FIT_PART / length
            } else {
                1.0
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(label: &str, chain: &str, unit: &str) -> Row {
        Row {
            stream: 0,
            row: 0,
            view: RowView {
                label: label.to_owned(),
                chain: chain.to_owned(),
                unit: unit.to_owned(),
                ..RowView::default()
            },
        }
    }

    #[test]
    fn chains_stand_apart_and_all_rows_fit() {
        let frame = Frame::of(Rect::from_min_size(Pos2::ZERO, vec2(1_000.0, 700.0)), 1.25);
        let rows = [
            row("a", "left", "uV"),
            row("b", "left", "uV"),
            row("c", "right", "uV"),
        ];
        let places = places(&rows, &ScopeSettings::default(), &frame);
        let steps = [
            places[1].base_pt - places[0].base_pt,
            places[2].base_pt - places[1].base_pt,
        ];
        assert!((steps[1] / steps[0] - 1.0 - CHAIN_SPACE).abs() < 1e-9);
        assert!(places[0].base_pt > f64::from(FLAGS_PT));
        assert!(places[2].base_pt < f64::from(frame.traces.bottom()));
    }

    #[test]
    fn each_kind_has_its_own_way_up() {
        let way = |kind: &str, unit: &str, negative_up: bool| {
            let settings = ScopeSettings {
                negative_up,
                ..ScopeSettings::default()
            };
            let mut row = row("x", "", unit);
            row.view.kind = kind.to_owned();
            super::negative_up(&row.view, &settings)
        };
        for kind in ["eeg", "eog", "emg", "other"] {
            assert!(way(kind, "uV", true) && !way(kind, "uV", false), "{kind}");
        }
        for (kind, unit) in [
            ("ecg", "mV"),
            ("respiration", "uV"),
            ("ppg", ""),
            ("accelerometer", "g"),
        ] {
            assert!(!way(kind, unit, true) && !way(kind, unit, false), "{kind}");
        }
    }

    #[test]
    fn the_traces_stand_on_whole_pixels() {
        for ppp in [1.0, 1.1, 1.25, 1.5, 2.0, 2.625] {
            let frame = Frame::of(Rect::from_min_size(Pos2::ZERO, vec2(1_003.0, 701.0)), ppp);
            for side in [
                frame.traces.left(),
                frame.traces.top(),
                frame.traces.right(),
                frame.traces.bottom(),
            ] {
                let px = side * ppp;
                assert!((px - px.round()).abs() < 1e-2, "{side} at {ppp}");
            }
        }
    }

    #[test]
    fn potentials_are_true_and_the_rest_fits() {
        let settings = ScopeSettings {
            px_per_mm: 4.0,
            ..ScopeSettings::default()
        };
        let frame = Frame::of(Rect::from_min_size(Pos2::ZERO, vec2(1_000.0, 700.0)), 1.0);
        let rows = [row("a", "", "mV"), row("b", "", "g")];
        let places = places(&rows, &settings, &frame);
        let mm = pt_per_unit(&places[0], &settings, [0.0, 0.0]) * 0.1 / 4.0;
        assert!((mm - 100.0 / 7.0).abs() < 1e-9, "0.1 mV are {mm} mm");
        let fitted = pt_per_unit(&places[1], &settings, [-1.0, 3.0]) * 4.0;
        assert!((fitted - places[1].height_pt * FIT_PART).abs() < 1e-9);
    }
}
