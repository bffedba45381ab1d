//! Colours of both themes, and the one family of type.

use std::sync::Arc;

use egui::{Color32, FontData, FontDefinitions, FontFamily, FontId};
use ui_types::{RowView, Theme};

use crate::view::is_ecg;

/// Name of the heavier cut, for what must be found first.
const STRONG: &str = "strong";

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Colours {
    pub(crate) surface: Color32,
    /// Behind words that stand on traces.
    pub(crate) raised: Color32,
    pub(crate) line: Color32,
    pub(crate) line_strong: Color32,
    pub(crate) text: Color32,
    pub(crate) text_faint: Color32,
    pub(crate) accent: Color32,
    pub(crate) on_accent: Color32,
    pub(crate) warning: Color32,
    pub(crate) left: Color32,
    pub(crate) right: Color32,
    pub(crate) midline: Color32,
    pub(crate) ecg: Color32,
    pub(crate) other: Color32,
}

const DARK: Colours = Colours {
    surface: Color32::from_rgb(0x10, 0x16, 0x1d),
    raised: Color32::from_rgb(0x1c, 0x25, 0x2f),
    line: Color32::from_rgb(0x24, 0x2e, 0x39),
    line_strong: Color32::from_rgb(0x3d, 0x4b, 0x5a),
    text: Color32::from_rgb(0xe4, 0xea, 0xf0),
    text_faint: Color32::from_rgb(0x9f, 0xae, 0xbc),
    accent: Color32::from_rgb(0x3f, 0xc1, 0xb4),
    on_accent: Color32::from_rgb(0x06, 0x1c, 0x1a),
    warning: Color32::from_rgb(0xf2, 0xb1, 0x3d),
    left: Color32::from_rgb(0x6c, 0xae, 0xf7),
    right: Color32::from_rgb(0xf5, 0x8a, 0x82),
    midline: Color32::from_rgb(0xcf, 0xd6, 0xdd),
    ecg: Color32::from_rgb(0x8f, 0xb8, 0xa2),
    other: Color32::from_rgb(0xb9, 0xae, 0xd0),
};

const LIGHT: Colours = Colours {
    surface: Color32::from_rgb(0xfc, 0xfd, 0xfd),
    raised: Color32::from_rgb(0xee, 0xf2, 0xf5),
    line: Color32::from_rgb(0xe3, 0xe8, 0xed),
    line_strong: Color32::from_rgb(0xb9, 0xc4, 0xce),
    text: Color32::from_rgb(0x16, 0x20, 0x2a),
    text_faint: Color32::from_rgb(0x55, 0x63, 0x71),
    accent: Color32::from_rgb(0x0b, 0x6f, 0x66),
    on_accent: Color32::from_rgb(0xff, 0xff, 0xff),
    warning: Color32::from_rgb(0x8f, 0x56, 0x00),
    left: Color32::from_rgb(0x12, 0x51, 0xa8),
    right: Color32::from_rgb(0xb0, 0x21, 0x1c),
    midline: Color32::from_rgb(0x2b, 0x35, 0x3f),
    ecg: Color32::from_rgb(0x3a, 0x66, 0x50),
    other: Color32::from_rgb(0x59, 0x4b, 0x78),
};

impl Colours {
    pub(crate) fn of(theme: Theme) -> Self {
        match theme {
            Theme::Dark => DARK,
            Theme::Light => LIGHT,
        }
    }

    pub(crate) fn row(&self, row: &RowView) -> Color32 {
        if is_ecg(row) {
            return self.ecg;
        }
        match row.colour.as_str() {
            "left" => self.left,
            "right" => self.right,
            "midline" => self.midline,
            _ => self.other,
        }
    }
}

/// IBM Plex Sans, and nothing else: its figures are tabular, and the licence lies beside it.
#[must_use]
pub fn fonts() -> FontDefinitions {
    let mut fonts = FontDefinitions::empty();
    let regular = include_bytes!("../../../assets/fonts/IBMPlexSans-Regular.ttf");
    let strong = include_bytes!("../../../assets/fonts/IBMPlexSans-SemiBold.ttf");
    let mut add = |name: &str, data: &'static [u8], families: &[FontFamily]| {
        fonts
            .font_data
            .insert(name.to_owned(), Arc::new(FontData::from_static(data)));
        for family in families {
            fonts
                .families
                .entry(family.clone())
                .or_default()
                .push(name.to_owned());
        }
    };
    add(
        "IBM Plex Sans",
        regular,
        &[FontFamily::Proportional, FontFamily::Monospace],
    );
    add(
        "IBM Plex Sans SemiBold",
        strong,
        &[FontFamily::Name(STRONG.into())],
    );
    fonts
}

pub(crate) fn plain(size: f32) -> FontId {
    FontId::proportional(size)
}

pub(crate) fn strong(size: f32) -> FontId {
    FontId::new(size, FontFamily::Name(STRONG.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// WCAG 2.2, 1.4.3: relative luminance and contrast ratio.
    fn contrast(one: Color32, other: Color32) -> f64 {
        let luminance = |colour: Color32| {
            let linear = |value: u8| {
                let value = f64::from(value) / 255.0;
                if value <= 0.040_45 {
                    value / 12.92
                } else {
                    ((value + 0.055) / 1.055).powf(2.4)
                }
            };
            0.2126 * linear(colour.r()) + 0.7152 * linear(colour.g()) + 0.0722 * linear(colour.b())
        };
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn words_and_traces_have_contrast_aa_in_both_themes() {
        for (theme, colours) in [("dark", DARK), ("light", LIGHT)] {
            let inks = [
                colours.text,
                colours.text_faint,
                colours.warning,
                colours.accent,
                colours.left,
                colours.right,
                colours.midline,
                colours.ecg,
                colours.other,
            ];
            for ground in [colours.surface, colours.raised] {
                for ink in inks {
                    let ratio = contrast(ink, ground);
                    assert!(
                        ratio >= 4.5,
                        "{theme}: {ink:?} on {ground:?} has {ratio:.2}"
                    );
                }
            }
            let ratio = contrast(colours.on_accent, colours.accent);
            assert!(ratio >= 4.5, "{theme}: on accent {ratio:.2}");
        }
    }
}
