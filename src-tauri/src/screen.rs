//! True millimetres: how many CSS pixels of this window's monitor make one, and where that is known
//! from.

use crate::limits::{ASPECT_TOLERANCE, ASSUMED_PX_PER_MM, MIN_MONITOR_WIDTH_MM, PX_PER_MM_RANGE};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use ui_types::{ApiError, ErrorCode};

/// A monitor as the system describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Monitor {
    /// Manufacturer and model, or the connector's name.
    pub(crate) name: String,
    /// Stated size, mm; 0 when it states none.
    pub(crate) width_mm: i32,
    /// Stated size, mm.
    pub(crate) height_mm: i32,
    /// Size in the CSS pixels of a page on it.
    pub(crate) width_px: i32,
    /// Size in the CSS pixels of a page on it.
    pub(crate) height_px: i32,
    /// Device pixels per CSS pixel.
    pub(crate) scale: i32,
    /// A remote or virtual screen, whose millimetres mean nothing.
    pub(crate) remote: bool,
}

/// Where the millimetres are known from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Source {
    /// Someone held a ruler to the screen.
    Ruler,
    /// The monitor states its size, and it can be true.
    Monitor,
    /// Nothing is known: 96 pixels an inch.
    Assumed,
}

/// What the page is told.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Screen {
    /// CSS pixels in a millimetre.
    px_per_mm: f64,
    /// Whether that can be relied upon.
    calibrated: bool,
    /// Where it is known from.
    source: Source,
    /// The monitor, for people.
    monitor: String,
}

impl Monitor {
    /// Tells this monitor from another of a later day: name, stated size, device pixels.
    fn key(&self) -> String {
        format!(
            "{} {}x{} mm {}x{} px",
            self.name,
            self.width_mm,
            self.height_mm,
            self.width_px * self.scale,
            self.height_px * self.scale
        )
    }

    /// CSS pixels in a millimetre by the stated size, where that can be true.
    fn stated_px_per_mm(&self) -> Option<f64> {
        if self.remote || self.width_mm < MIN_MONITOR_WIDTH_MM || self.height_mm <= 0 {
            return None;
        }
        let across = f64::from(self.width_px) / f64::from(self.width_mm);
        let down = f64::from(self.height_px) / f64::from(self.height_mm);
        let square = (across / down - 1.0).abs() <= ASPECT_TOLERANCE;
        (square && PX_PER_MM_RANGE.contains(&across)).then_some(across)
    }
}

/// What rulers have found, by monitor. Kept in device pixels, so that it holds at every scale.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    device_px_per_mm: BTreeMap<String, f64>,
}

/// Reads and keeps what rulers have found.
#[derive(Debug)]
pub(crate) struct Screens {
    file: PathBuf,
}

impl Screens {
    /// Kept in `folder`, a folder of the user's configuration: a monitor belongs to a desk.
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            file: folder.join("screens.json"),
        }
    }

    /// The screen of a window on `monitor`.
    pub(crate) fn of(&self, monitor: &Monitor) -> Screen {
        let ruled = self
            .read()
            .device_px_per_mm
            .get(&monitor.key())
            .map(|found| found / f64::from(monitor.scale.max(1)))
            .filter(|px_per_mm| PX_PER_MM_RANGE.contains(px_per_mm));
        let (px_per_mm, source) = match (ruled, monitor.stated_px_per_mm()) {
            (Some(ruled), _) => (ruled, Source::Ruler),
            (None, Some(stated)) => (stated, Source::Monitor),
            (None, None) => (ASSUMED_PX_PER_MM, Source::Assumed),
        };
        Screen {
            px_per_mm,
            calibrated: source != Source::Assumed,
            source,
            monitor: monitor.name.clone(),
        }
    }

    /// Keeps what a ruler has found on `monitor`.
    pub(crate) fn keep(&self, monitor: &Monitor, px_per_mm: f64) -> Result<Screen, ApiError> {
        if !PX_PER_MM_RANGE.contains(&px_per_mm) {
            return Err(ApiError::new(
                ErrorCode::Invalid,
                format!(
                    "a screen has {} to {} pixels in a millimetre",
                    PX_PER_MM_RANGE.start(),
                    PX_PER_MM_RANGE.end()
                ),
                "Measure the line on the screen again, in millimetres.",
            ));
        }
        let mut kept = self.read();
        let in_device_px = px_per_mm * f64::from(monitor.scale.max(1));
        kept.device_px_per_mm.insert(monitor.key(), in_device_px);
        self.write(&kept).map_err(|error| {
            ApiError::new(
                ErrorCode::Internal,
                format!("the measure of this screen could not be kept: {error}"),
                "It has to be measured again at the next start.",
            )
        })?;
        Ok(self.of(monitor))
    }

    /// A file that is missing or spoilt is one more screen to measure, nothing worse.
    fn read(&self) -> Kept {
        std::fs::read(&self.file)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default()
    }

    /// Whole or not at all.
    fn write(&self, kept: &Kept) -> std::io::Result<()> {
        if let Some(folder) = self.file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let next = self.file.with_extension("json.new");
        std::fs::write(&next, serde_json::to_vec_pretty(kept)?)?;
        std::fs::rename(&next, &self.file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn desk() -> Monitor {
        Monitor {
            name: "Maker 24".to_owned(),
            width_mm: 527,
            height_mm: 296,
            width_px: 1_920,
            height_px: 1_080,
            scale: 1,
            remote: false,
        }
    }

    #[test]
    fn a_monitors_stated_size_is_used_when_it_can_be_true() {
        let folder = tempfile::tempdir().unwrap();
        let screens = Screens::new(folder.path());
        let stated = screens.of(&desk());
        assert_eq!(stated.source, Source::Monitor);
        assert!((stated.px_per_mm - 1_920.0 / 527.0).abs() < 1e-9);
        for spoil in [
            |m: &mut Monitor| m.remote = true,
            |m: &mut Monitor| m.width_mm = 0,
            |m: &mut Monitor| m.height_mm = 400,
        ] {
            let mut monitor = desk();
            spoil(&mut monitor);
            let screen = screens.of(&monitor);
            assert!(!screen.calibrated, "{monitor:?}");
            assert!((screen.px_per_mm - 96.0 / 25.4).abs() < 1e-9);
        }
    }

    #[test]
    fn a_ruler_outranks_the_monitor_holds_at_every_scale_and_for_that_monitor_alone() {
        let folder = tempfile::tempdir().unwrap();
        let screens = Screens::new(&folder.path().join("made/when/needed"));
        assert_eq!(screens.keep(&desk(), 3.7).unwrap().source, Source::Ruler);
        let doubled = Monitor {
            width_px: 960,
            height_px: 540,
            scale: 2,
            ..desk()
        };
        let screen = screens.of(&doubled);
        assert_eq!(screen.source, Source::Ruler);
        assert!((screen.px_per_mm - 1.85).abs() < 1e-9);
        let other = Monitor {
            name: "Maker 27".to_owned(),
            ..desk()
        };
        assert_eq!(screens.of(&other).source, Source::Monitor);
        assert!(screens.keep(&desk(), 300.0).is_err());
        std::fs::write(folder.path().join("made/when/needed/screens.json"), "{").unwrap();
        assert_eq!(screens.of(&desk()).source, Source::Monitor);
    }
}
