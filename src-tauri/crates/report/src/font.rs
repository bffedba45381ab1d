//! The bundled font: IBM Plex Sans, whose figures are all equally wide.

use crate::ReportError;
use std::collections::HashMap;

const REGULAR: &[u8] = include_bytes!("../../../../assets/fonts/IBMPlexSans-Regular.ttf");
const BOLD: &[u8] = include_bytes!("../../../../assets/fonts/IBMPlexSans-SemiBold.ttf");

/// Printed for characters that the font does not have.
const REPLACEMENT: char = '\u{fffd}';

/// One weight, with its metrics.
pub(crate) struct Face {
    pub(crate) font: krilla::text::Font,
    advances: HashMap<char, f32>,
}

impl Face {
    fn new(data: &'static [u8]) -> Result<Self, ReportError> {
        let font = krilla::text::Font::new(data.into(), 0).ok_or(ReportError::Font)?;
        let face = ttf_parser::Face::parse(data, 0).map_err(|_| ReportError::Font)?;
        let per_em = f32::from(face.units_per_em());
        let mut advances = HashMap::new();
        for table in face
            .tables()
            .cmap
            .into_iter()
            .flat_map(|cmap| cmap.subtables)
        {
            if !table.is_unicode() {
                continue;
            }
            table.codepoints(|code| {
                let glyph = table.glyph_index(code);
                if let (Some(c), Some(glyph)) = (char::from_u32(code), glyph)
                    && let Some(advance) = face.glyph_hor_advance(glyph)
                    && !private(c)
                    && glyph.0 != 0
                {
                    advances.insert(c, f32::from(advance) / per_em);
                }
            });
        }
        if advances.contains_key(&REPLACEMENT) {
            Ok(Self { font, advances })
        } else {
            Err(ReportError::Font)
        }
    }

    /// `text` with what the font lacks replaced.
    pub(crate) fn printable(&self, text: &str) -> String {
        text.chars()
            .map(|c| {
                if self.advances.contains_key(&c) {
                    c
                } else {
                    REPLACEMENT
                }
            })
            .collect()
    }

    /// Width of `text` at `size`, points.
    pub(crate) fn width(&self, text: &str, size: f32) -> f32 {
        text.chars()
            .map(|c| self.advances.get(&c).copied().unwrap_or(0.6))
            .sum::<f32>()
            * size
    }

    /// `text` in lines no wider than `width`; words that are longer are broken.
    pub(crate) fn wrap(&self, text: &str, size: f32, width: f32) -> Vec<String> {
        let text = self.printable(text);
        let mut lines = Vec::new();
        let mut line = String::new();
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            let joined = if line.is_empty() {
                word.to_owned()
            } else {
                format!("{line} {word}")
            };
            if self.width(&joined, size) <= width {
                line = joined;
                continue;
            }
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            for c in word.chars() {
                line.push(c);
                if self.width(&line, size) > width && line.chars().count() > 1 {
                    line.pop();
                    lines.push(std::mem::replace(&mut line, c.to_string()));
                }
            }
        }
        if !line.is_empty() || lines.is_empty() {
            lines.push(line);
        }
        lines
    }
}

/// Code points that PDF/A forbids because they mean nothing to others.
const fn private(c: char) -> bool {
    matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}' | '\u{0}' | '\u{feff}' | '\u{fffe}')
}

/// Both weights.
pub(crate) struct Fonts {
    pub(crate) regular: Face,
    pub(crate) bold: Face,
}

impl Fonts {
    pub(crate) fn load() -> Result<Self, ReportError> {
        Ok(Self {
            regular: Face::new(REGULAR)?,
            bold: Face::new(BOLD)?,
        })
    }

    pub(crate) const fn face(&self, bold: bool) -> &Face {
        if bold { &self.bold } else { &self.regular }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_tabular_and_unknown_characters_visible() {
        let fonts = Fonts::load().unwrap();
        for bold in [false, true] {
            let face = fonts.face(bold);
            let widths: Vec<f32> = ('0'..='9')
                .map(|c| face.width(&c.to_string(), 10.0))
                .collect();
            assert!(widths.iter().all(|width| (width - widths[0]).abs() < 1e-6));
            assert_eq!(face.printable("µV Ω – 睁"), "µV Ω – \u{fffd}");
        }
    }

    #[test]
    fn lines_fit() {
        let fonts = Fonts::load().unwrap();
        let text = "a few words and averyveryveryveryveryverylongone in between";
        for line in fonts.regular.wrap(text, 9.0, 60.0) {
            assert!(fonts.regular.width(&line, 9.0) <= 60.0, "{line}");
        }
    }
}
