//! Where electrodes sit: directions on the unit sphere, built as the 10-10 system builds them.

use crate::Electrode;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use thiserror::Error;

/// A place on the unit sphere. The origin is the head's centre, x points to the right ear, y to the
/// nose, z to the vertex.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Position {
    /// Towards the right ear.
    pub x: f64,
    /// Towards the nose.
    pub y: f64,
    /// Towards the vertex.
    pub z: f64,
}

impl Position {
    /// From the angle off the vertex and the angle from the nose (positive to the right), degrees.
    #[must_use]
    pub fn from_degrees(polar_deg: f64, azimuth_deg: f64) -> Self {
        let (polar_sin, polar_cos) = polar_deg.to_radians().sin_cos();
        let (azimuth_sin, azimuth_cos) = azimuth_deg.to_radians().sin_cos();
        Self {
            x: polar_sin * azimuth_sin,
            y: polar_sin * azimuth_cos,
            z: polar_cos,
        }
    }

    /// Great-circle distance to `other`, radians.
    #[must_use]
    pub fn angle_to(self, other: Self) -> f64 {
        let cross = self.cross(other);
        cross.dot(cross).sqrt().atan2(self.dot(other))
    }

    /// Place on a flat head map seen from above: x to the right, y to the nose, the vertex at the
    /// origin and the level of nasion, inion and preauricular points on the unit circle (azimuthal
    /// equidistant projection; what lies lower comes to lie outside).
    #[must_use]
    pub fn head_map(self) -> (f64, f64) {
        let radius = self.z.clamp(-1.0, 1.0).acos() / std::f64::consts::FRAC_PI_2;
        let level = self.x.hypot(self.y);
        if level < f64::EPSILON {
            return (0.0, 0.0);
        }
        (self.x / level * radius, self.y / level * radius)
    }

    fn dot(self, o: Self) -> f64 {
        self.x * o.x + self.y * o.y + self.z * o.z
    }

    fn cross(self, o: Self) -> Self {
        Self {
            x: self.y * o.z - self.z * o.y,
            y: self.z * o.x - self.x * o.z,
            z: self.x * o.y - self.y * o.x,
        }
    }

    fn scaled(self, by: f64) -> Self {
        Self {
            x: self.x * by,
            y: self.y * by,
            z: self.z * by,
        }
    }

    fn plus(self, o: Self) -> Self {
        Self {
            x: self.x + o.x,
            y: self.y + o.y,
            z: self.z + o.z,
        }
    }
}

/// Why a text describes no electrode positions.
#[derive(Debug, Error)]
pub enum PositionsError {
    /// The text is not of the form described with the shipped assets.
    #[error("cannot read electrode positions")]
    Syntax(#[from] toml::de::Error),
    /// A name stands before the point or arc that would place it, or nothing places it.
    #[error("electrode position {0} is used before it is placed")]
    NotPlaced(String),
    /// An arc needs an odd number of names, three or more.
    #[error("arc of {0} electrode positions has no middle")]
    Arc(usize),
    /// An electrode name that the 10-10 system does not know.
    #[error("{0} is no position of the 10-10 system")]
    Unknown(String),
    /// An angle that is no number, or an arc whose first, middle and last name lie on no circle.
    #[error("{0} is placed nowhere on the sphere")]
    OffSphere(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    #[serde(default)]
    points: Vec<Point>,
    #[serde(default)]
    arcs: Vec<Vec<String>>,
    #[serde(default)]
    names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Point {
    name: String,
    polar_deg: f64,
    azimuth_deg: f64,
}

/// Electrode positions of one system, or of one cap.
#[derive(Debug, Clone, PartialEq)]
pub struct ElectrodePositions {
    name: String,
    places: BTreeMap<Electrode, Position>,
}

impl ElectrodePositions {
    /// The 10-10 system, earlobes and mastoids included.
    #[must_use]
    pub fn ten_ten() -> &'static Self {
        static SYSTEM: OnceLock<ElectrodePositions> = OnceLock::new();
        SYSTEM.get_or_init(|| {
            Self::parse(include_str!(
                "../../../../assets/electrode_positions/10-10.toml"
            ))
            .expect("the embedded 10-10 positions are parsed in a test")
        })
    }

    /// The 10-20 system with A1 and A2.
    #[must_use]
    pub fn ten_twenty() -> &'static Self {
        static SYSTEM: OnceLock<ElectrodePositions> = OnceLock::new();
        SYSTEM.get_or_init(|| {
            Self::parse(include_str!(
                "../../../../assets/electrode_positions/10-20.toml"
            ))
            .expect("the embedded 10-20 positions are parsed in a test")
        })
    }

    /// Positions from a TOML text of the form of `assets/electrode_positions`: points by their
    /// angles, then arcs; or names alone, which are then taken from the 10-10 system.
    ///
    /// # Errors
    /// [`PositionsError`] when the text is malformed or an arc cannot be drawn.
    pub fn parse(text: &str) -> Result<Self, PositionsError> {
        let file: File = toml::from_str(text)?;
        let mut places = BTreeMap::new();
        for point in &file.points {
            let place = Position::from_degrees(point.polar_deg, point.azimuth_deg);
            places.insert(electrode(&point.name)?, place);
        }
        for arc in &file.arcs {
            draw(arc, &mut places)?;
        }
        let off = |place: &Position| (place.dot(*place) - 1.0).abs() > 1e-6;
        // Not a number compares false both ways.
        if let Some((electrode, _)) = places.iter().find(|(_, p)| off(p) || p.dot(**p).is_nan()) {
            return Err(PositionsError::OffSphere(electrode.to_string()));
        }
        for name in &file.names {
            let electrode = electrode(name)?;
            let place = Self::ten_ten().get(electrode);
            places.insert(
                electrode,
                place.ok_or_else(|| PositionsError::NotPlaced(name.clone()))?,
            );
        }
        Ok(Self {
            name: file.name,
            places,
        })
    }

    /// Name of the system or cap.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where `electrode` sits, if this system has it.
    #[must_use]
    pub fn get(&self, electrode: Electrode) -> Option<Position> {
        self.places.get(&electrode).copied()
    }

    /// All positions, front to back and left to right.
    pub fn iter(&self) -> impl Iterator<Item = (Electrode, Position)> + '_ {
        self.places
            .iter()
            .map(|(electrode, place)| (*electrode, *place))
    }
}

fn electrode(name: &str) -> Result<Electrode, PositionsError> {
    Electrode::parse(name).ok_or_else(|| PositionsError::Unknown(name.to_owned()))
}

/// Places the names of `arc` at equal angles on the circle through its first, middle and last.
fn draw(arc: &[String], places: &mut BTreeMap<Electrode, Position>) -> Result<(), PositionsError> {
    if arc.len() < 3 || arc.len().is_multiple_of(2) {
        return Err(PositionsError::Arc(arc.len()));
    }
    let placed = |name: &String| {
        let found = places.get(&electrode(name)?).copied();
        found.ok_or_else(|| PositionsError::NotPlaced(name.clone()))
    };
    let half = arc.len() / 2;
    let ends = [
        placed(&arc[0])?,
        placed(&arc[half])?,
        placed(&arc[arc.len() - 1])?,
    ];
    let across = ends[1]
        .plus(ends[0].scaled(-1.0))
        .cross(ends[2].plus(ends[0].scaled(-1.0)));
    let normal = across.scaled(1.0 / across.dot(across).sqrt());
    let centre = normal.scaled(normal.dot(ends[0]));
    for (part, pair) in ends.windows(2).enumerate() {
        let from = pair[0].plus(centre.scaled(-1.0));
        let to = pair[1].plus(centre.scaled(-1.0));
        let turn = normal.dot(from.cross(to)).atan2(from.dot(to));
        let turn = turn.rem_euclid(std::f64::consts::TAU);
        for step in 1..half {
            #[allow(clippy::cast_precision_loss)] // a handful of names
            let (sin, cos) = (turn * step as f64 / half as f64).sin_cos();
            let place = centre
                .plus(from.scaled(cos))
                .plus(normal.cross(from).scaled(sin));
            let name = &arc[part * half + step];
            places.entry(electrode(name)?).or_insert(place);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str) -> Position {
        let electrode = Electrode::parse(name).unwrap();
        ElectrodePositions::ten_ten()
            .get(electrode)
            .unwrap_or_else(|| panic!("{name}"))
    }

    fn near(a: Position, b: Position) {
        assert!(a.angle_to(b) < 1e-9, "{a:?} {b:?}");
    }

    #[test]
    fn every_name_has_a_place_on_the_sphere_and_a_mirror() {
        let ten_ten = ElectrodePositions::ten_ten();
        assert_eq!(ten_ten.iter().count(), Electrode::all().count());
        for (electrode, at) in ten_ten.iter() {
            assert!((at.dot(at) - 1.0).abs() < 1e-12, "{electrode}");
            let side = match electrode.side() {
                crate::Side::Left => at.x < 0.0,
                crate::Side::Right => at.x > 0.0,
                crate::Side::Midline => at.x.abs() < 1e-12,
            };
            assert!(side, "{electrode}");
        }
        for (left, right) in [
            ("F3", "F4"),
            ("PO9", "PO10"),
            ("CP5", "CP6"),
            ("AF1", "AF2"),
        ] {
            let mirrored = Position {
                x: -place(left).x,
                ..place(left)
            };
            near(mirrored, place(right));
        }
    }

    #[test]
    fn the_standards_percentages_hold() {
        // 10 % of the half turn from nasion to inion is 18 degrees.
        near(place("Fz"), Position::from_degrees(36.0, 0.0));
        near(place("Fp1"), Position::from_degrees(72.0, -18.0));
        near(place("F7"), Position::from_degrees(72.0, -54.0));
        near(place("O2"), Position::from_degrees(72.0, 162.0));
        near(place("FT9"), Position::from_degrees(90.0, -72.0));
        near(place("C4"), Position::from_degrees(36.0, 90.0));
        // F3 lies half-way between F7 and Fz.
        let (f7, f3, fz) = (place("F7"), place("F3"), place("Fz"));
        assert!((f3.angle_to(f7) - f3.angle_to(fz)).abs() < 1e-12);
    }

    #[test]
    fn the_head_map_looks_from_above() {
        let (x, y) = place("Cz").head_map();
        assert!(x.abs() < 1e-12 && y.abs() < 1e-12);
        let (x, y) = place("Nz").head_map();
        assert!(x.abs() < 1e-12 && (y - 1.0).abs() < 1e-12);
        let (x, y) = place("T8").head_map();
        assert!((x - 0.8).abs() < 1e-12 && y.abs() < 1e-12);
    }

    #[test]
    fn ten_twenty_is_part_of_ten_ten() {
        let names: Vec<_> = ElectrodePositions::ten_twenty().iter().collect();
        assert_eq!(names.len(), 23);
        for (electrode, at) in names {
            near(at, place(electrode.name()));
        }
    }

    #[test]
    fn faulty_texts_are_refused() {
        for text in [
            "names = ['Fp1']",
            "name = 'x'\narcs = [['Fp1', 'Fpz', 'Fp2']]",
            "name = 'x'\narcs = [['Fp1', 'Fp2']]",
            "name = 'x'\nnames = ['Q7']",
        ] {
            assert!(ElectrodePositions::parse(text).is_err(), "{text}");
        }
    }
}
