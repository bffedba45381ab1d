//! What a person has chosen for this window. Kept by the web view; nothing here identifies anyone.

use crate::words::Language;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use ui_types::{FilterChoice, ScopeMode, Theme};

/// Choices that outlive the window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Prefs {
    /// Language; `None` follows the system.
    pub language: Option<Language>,
    /// Surface colours.
    pub theme: Theme,
    /// Sweep or scroll.
    pub mode: ScopeMode,
    /// Negative is drawn upward.
    pub negative_up: bool,
    /// Montage's name; empty for the default.
    pub montage: String,
    /// Sensitivity, µV/mm; 0 for the default.
    pub sensitivity_uv_mm: f64,
    /// Sensitivity of other kinds of channels ('ecg'), µV/mm, where someone chose one.
    pub sensitivity_by_kind: BTreeMap<String, f64>,
    /// Time base, s/page; 0 for the default.
    pub page_s: f64,
    /// Filters by kind of channel, where they are not the default.
    pub filters: BTreeMap<String, FilterChoice>,
}

impl Default for Prefs {
    fn default() -> Self {
        Self {
            language: None,
            theme: Theme::Dark,
            mode: ScopeMode::Sweep,
            negative_up: true,
            montage: String::new(),
            sensitivity_uv_mm: 0.0,
            sensitivity_by_kind: BTreeMap::new(),
            page_s: 0.0,
            filters: BTreeMap::new(),
        }
    }
}

impl Prefs {
    /// Key under which the web view keeps them.
    pub const KEY: &'static str = "neurascale.prefs";

    /// Reads what was kept; what cannot be read is as if it were not there.
    #[must_use]
    pub fn of_json(json: &str) -> Self {
        serde_json::from_str(json).unwrap_or_default()
    }

    /// As it is kept.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Name of the theme, as the page's attribute has it.
    #[must_use]
    pub const fn theme_name(&self) -> &'static str {
        match self.theme {
            Theme::Dark => "dark",
            Theme::Light => "light",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_come_back_and_damage_is_the_default() {
        let prefs = Prefs {
            theme: Theme::Light,
            language: Some(Language::German),
            montage: "average".to_owned(),
            ..Prefs::default()
        };
        assert_eq!(Prefs::of_json(&prefs.json()), prefs);
        assert_eq!(Prefs::of_json("{\"theme\":"), Prefs::default());
        assert_eq!(Prefs::of_json("{\"from_a_newer\":1}"), Prefs::default());
    }
}
