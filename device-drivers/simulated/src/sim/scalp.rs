//! Where electrodes lie, and how far a source's field reaches.
//!
//! Positions are schematic: the head seen from above as a disc of radius 1, x to the right, y to
//! the front, from the name's row (Fp, AF, F, FC, C ...) and number alone, as the 10-10 system names
//! its places (Jurcak, Tsuzuki, Dan, NeuroImage 34, 2007). They shape made-up fields and are no
//! electrode coordinates for analysis.

/// A place on the disc.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Place {
    pub(crate) x: f32,
    pub(crate) y: f32,
}

/// The 21 electrodes of the 10-20 system (Klem et al. 1999), in the usual order of inputs.
pub(crate) const TEN_TWENTY: [&str; 21] = [
    "Fp1", "Fp2", "F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2", "F7", "F8", "T7", "T8", "P7",
    "P8", "Fz", "Cz", "Pz", "A1", "A2",
];

/// Sixty-four places of the 10-10 system; AFz is the ground and FCz the reference.
pub(crate) const TEN_TEN: [&str; 64] = [
    "Fp1", "Fpz", "Fp2", "AF7", "AF3", "AF4", "AF8", "F9", "F7", "F5", "F3", "F1", "Fz", "F2",
    "F4", "F6", "F8", "F10", "FT9", "FT7", "FC5", "FC3", "FC1", "FC2", "FC4", "FC6", "FT8", "FT10",
    "T7", "C5", "C3", "C1", "Cz", "C2", "C4", "C6", "T8", "TP9", "TP7", "CP5", "CP3", "CP1", "CPz",
    "CP2", "CP4", "CP6", "TP8", "TP10", "P7", "P5", "P3", "P1", "Pz", "P2", "P4", "P6", "P8",
    "PO7", "PO3", "POz", "PO4", "PO8", "O1", "O2",
];

/// The place of an electrode by its name; numbered ones ('E65') lie on a spiral.
pub(crate) fn place(name: &str) -> Place {
    let digits = name.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let letters = &name[..name.len() - digits.len()];
    let number: u16 = digits.parse().unwrap_or(0);
    let (row, y) = match letters.trim_end_matches('z') {
        "Fp" => ("", 0.95),
        "AF" => ("", 0.75),
        "F" => ("", 0.5),
        "FC" | "FT" => ("", 0.25),
        "C" | "T" => ("", 0.0),
        "CP" | "TP" => ("", -0.25),
        "P" => ("", -0.5),
        "PO" => ("", -0.75),
        "O" => ("", -0.95),
        "A" | "M" => ("ear", -0.15),
        other => (other, 0.0),
    };
    let sign = if number % 2 == 1 { -1.0 } else { 1.0 };
    if row == "ear" {
        return Place { x: sign * 1.1, y };
    }
    if !row.is_empty() {
        // Golden-angle spiral: even density for any number of electrodes.
        let turn = f32::from(number) * 2.399_963;
        let radius = (f32::from(number % 1024) / 1024.0).sqrt();
        return Place {
            x: radius * turn.cos(),
            y: radius * turn.sin(),
        };
    }
    let x = match number {
        0 => 0.0,
        // The outermost rows are narrow: Fp1 and O1 lie near the midline's ends.
        1 | 2 if y.abs() > 0.9 => 0.3,
        1 | 2 => 0.22,
        3 | 4 => 0.45,
        5 | 6 => 0.66,
        7 | 8 => 0.85,
        _ => 1.0,
    };
    Place { x: sign * x, y }
}

/// The name of the 10-10 system for the four that the 10-20 system called otherwise.
pub(crate) fn modern_name(name: &str) -> &str {
    match name {
        "T3" => "T7",
        "T4" => "T8",
        "T5" => "P7",
        "T6" => "P8",
        other => other,
    }
}

/// Strength at `at` of a field of width `width` around `source`: Gaussian, 1 at the source.
pub(crate) fn field(source: Place, at: Place, width: f32) -> f32 {
    let (dx, dy) = (source.x - at.x, source.y - at.y);
    (-(dx * dx + dy * dy) / (2.0 * width * width)).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn left_is_odd_and_front_is_up() {
        assert!(place("Fp1").x < 0.0 && place("Fp2").x > 0.0);
        assert!(place("Fp1").y > place("O1").y);
        assert!(place("T7").x < place("C3").x);
        assert_eq!(place("Cz"), Place { x: 0.0, y: 0.0 });
    }

    #[test]
    fn names_are_unique() {
        let mut names = TEN_TEN.to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 64);
    }
}
