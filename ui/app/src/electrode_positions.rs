//! Where electrodes are drawn on the head: the positions of assets/electrode_positions, laid flat.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use toml::{Table, Value};

const TEN_TEN: &str = include_str!("../../../assets/electrode_positions/10-10.toml");

type Vector = [f64; 3];

/// Old names of the temporal electrodes, and the names that the positions have.
const ALIASES: [(&str, &str); 4] = [("T3", "T7"), ("T4", "T8"), ("T5", "P7"), ("T6", "P8")];

/// A place on the drawing: 0,0 is the vertex, the nose is at y = −1, the right ear at x = 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// To the right.
    pub x: f64,
    /// Towards the back of the head.
    pub y: f64,
}

static PLACES: LazyLock<BTreeMap<String, Place>> = LazyLock::new(|| {
    let Ok(table) = TEN_TEN.parse::<Table>() else {
        return BTreeMap::new(); // a test asserts that this does not happen
    };
    sphere(&table)
        .into_iter()
        .map(|(name, point)| (name.to_ascii_uppercase(), flat(point)))
        .collect()
});

/// Place of an electrode by its label, whatever its case, or its old name.
#[must_use]
pub fn place(label: &str) -> Option<Place> {
    let label = label.trim();
    let label = ALIASES
        .iter()
        .find(|(old, _)| old.eq_ignore_ascii_case(label))
        .map_or(label, |(_, new)| new);
    PLACES.get(&label.to_ascii_uppercase()).copied()
}

/// What an electrode takes at full size, in units of the drawing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Room {
    /// Width and height of the shape.
    pub shape: f64,
    /// Height of the name above the shape.
    pub name_above: f64,
    /// Width of the name when it stands at the right of the shape.
    pub name_beside: f64,
}

/// How electrodes are drawn so that none covers another's shape or name.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrangement {
    /// Size of all, as a part of full size.
    pub size: f64,
    /// Whose name stands beside it, because another electrode lies just above.
    pub beside: Vec<bool>,
}

/// Arranges electrodes: at full size where there is room, never so small that they cannot be read.
#[must_use]
pub fn arrange(places: &[Place], room: Room) -> Arrangement {
    let crowded = |one: &Place| {
        places.iter().any(|other| {
            let above = one.y - other.y;
            (one.x - other.x).abs() < room.shape
                && above > 1e-6
                && above < room.shape + room.name_above
        })
    };
    let above = vec![false; places.len()];
    let beside: Vec<_> = places.iter().map(crowded).collect();
    let (plain, moved) = (
        fitting(places, &above, room),
        fitting(places, &beside, room),
    );
    // Where electrodes stand close in every direction, a name beside is in the way of the next one.
    let (size, beside) = if moved > plain {
        (moved, beside)
    } else {
        (plain, above)
    };
    Arrangement {
        size: size.max(LEAST_SIZE),
        beside,
    }
}

/// Letters of 10 units are then still 5 high: as small as a whole 10-10 cap needs.
const LEAST_SIZE: f64 = 0.5;

/// The greatest size, 1 at most, at which no two electrodes touch.
fn fitting(places: &[Place], beside: &[bool], room: Room) -> f64 {
    let mut size = 1.0_f64;
    for (at, one) in places.iter().enumerate() {
        for (other, other_beside) in places.iter().zip(beside).skip(at + 1) {
            let (across, down) = (other.x - one.x, other.y - one.y);
            // Two that stand at one place are one electrode under two names.
            if across.abs() + down.abs() < 1e-6 {
                continue;
            }
            let left_beside = if across > 0.0 {
                beside[at]
            } else {
                *other_beside
            };
            let lower_beside = if down > 0.0 {
                *other_beside
            } else {
                beside[at]
            };
            let wide = room.shape + if left_beside { room.name_beside } else { 0.0 };
            let high = room.shape + if lower_beside { 0.0 } else { room.name_above };
            size = size.min((across.abs() / wide).max(down.abs() / high));
        }
    }
    size
}

/// Azimuthal equidistant: distance from the vertex is the angle from it, so that nothing overlaps.
fn flat([right, front, up]: Vector) -> Place {
    let polar = up.clamp(-1.0, 1.0).acos() / std::f64::consts::FRAC_PI_2;
    let across = right.hypot(front);
    if across < 1e-9 {
        return Place { x: 0.0, y: 0.0 };
    }
    Place {
        x: polar * right / across,
        y: -polar * front / across,
    }
}

fn number(value: Option<&Value>) -> f64 {
    value
        .and_then(|value| {
            value
                .as_float()
                .or_else(|| value.as_integer().map(|whole| whole as f64))
        })
        .unwrap_or_default()
}

fn sphere(table: &Table) -> BTreeMap<String, Vector> {
    let list = |name: &str| {
        table
            .get(name)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let mut points = BTreeMap::new();
    for point in list("points") {
        let Some(name) = point.get("name").and_then(Value::as_str) else {
            continue;
        };
        let polar = number(point.get("polar_deg")).to_radians();
        let azimuth = number(point.get("azimuth_deg")).to_radians();
        let across = polar.sin();
        points.insert(
            name.to_owned(),
            [across * azimuth.sin(), across * azimuth.cos(), polar.cos()],
        );
    }
    for arc in list("arcs") {
        let names: Vec<_> = arc
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        place_arc(&names, &mut points);
    }
    points
}

/// Places names at equal angles along the circle through the first, the middle and the last, in each half
/// of its own; what is placed already stays.
fn place_arc(names: &[&str], points: &mut BTreeMap<String, Vector>) {
    let (Some(last), middle) = (names.len().checked_sub(1), names.len() / 2) else {
        return;
    };
    let known = |at: usize| points.get(names[at]).copied();
    let (Some(first), Some(mid), Some(end)) = (known(0), known(middle), known(last)) else {
        return;
    };
    let Some((centre, axis)) = circle(first, mid, end) else {
        return;
    };
    for (from, to, begin, stop) in [(first, mid, 0, middle), (mid, end, middle, last)] {
        let arm = sub(from, centre);
        let full = angle(arm, sub(to, centre), axis);
        let between = names.iter().enumerate().take(stop).skip(begin + 1);
        for (at, name) in between {
            let part = (at - begin) as f64 / (stop - begin) as f64;
            let place = add(centre, turn(arm, axis, full * part));
            points.entry((*name).to_owned()).or_insert(place);
        }
    }
}

/// Centre and axis of the circle through three points.
fn circle(a: Vector, b: Vector, c: Vector) -> Option<(Vector, Vector)> {
    let (ab, ac) = (sub(b, a), sub(c, a));
    let normal = cross(ab, ac);
    let square = dot(normal, normal);
    if square < 1e-12 {
        return None;
    }
    let to_centre = scale(
        add(
            scale(cross(normal, ab), dot(ac, ac)),
            scale(cross(ac, normal), dot(ab, ab)),
        ),
        0.5 / square,
    );
    Some((add(a, to_centre), scale(normal, 1.0 / square.sqrt())))
}

/// Angle from one arm to another about an axis, in the direction of the axis, 0 to a full turn.
fn angle(from: Vector, to: Vector, axis: Vector) -> f64 {
    dot(cross(from, to), axis)
        .atan2(dot(from, to))
        .rem_euclid(std::f64::consts::TAU)
}

/// Turns an arm that is perpendicular to the axis.
fn turn(arm: Vector, axis: Vector, by: f64) -> Vector {
    add(scale(arm, by.cos()), scale(cross(axis, arm), by.sin()))
}

fn add(a: Vector, b: Vector) -> Vector {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

fn sub(a: Vector, b: Vector) -> Vector {
    add(a, scale(b, -1.0))
}

fn scale(a: Vector, by: f64) -> Vector {
    [a[0] * by, a[1] * by, a[2] * by]
}

fn dot(a: Vector, b: Vector) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn cross(a: Vector, b: Vector) -> Vector {
    [
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN_TWENTY: &str = include_str!("../../../assets/electrode_positions/10-20.toml");

    #[test]
    fn every_name_of_the_ten_twenty_system_has_its_place() {
        let table: Table = TEN_TWENTY.parse().unwrap();
        let names = table["names"].as_array().unwrap();
        assert!(names.len() >= 21);
        for name in names {
            let name = name.as_str().unwrap();
            assert!(place(name).is_some(), "{name} has no place");
        }
        assert!(PLACES.len() > 80, "only {} places", PLACES.len());
    }

    #[test]
    fn places_lie_where_a_head_has_them() {
        let at = |name| place(name).unwrap();
        assert!(at("Cz").x.abs() < 1e-9 && at("Cz").y.abs() < 1e-9);
        assert!((at("T8").x - 0.8).abs() < 1e-9 && at("T8").y.abs() < 1e-9);
        assert!((at("Fpz").y + 0.8).abs() < 1e-9);
        assert!(at("Fp1").x < 0.0 && at("Fp1").y < -0.7);
        assert!(at("O2").x > 0.0 && at("O2").y > 0.7);
        // Halfway between Fz and Cz, on the midline.
        assert!((at("FCz").y + 0.2).abs() < 1e-6 && at("FCz").x.abs() < 1e-6);
        // Left and right mirror each other.
        for (left, right) in [("F7", "F8"), ("C3", "C4"), ("P7", "P8"), ("A1", "A2")] {
            assert!((at(left).x + at(right).x).abs() < 1e-6, "{left} {right}");
            assert!((at(left).y - at(right).y).abs() < 1e-6, "{left} {right}");
        }
    }

    #[test]
    fn no_electrode_covers_another_and_names_give_way() {
        let arranged = |names: &[&str]| {
            let places: Vec<_> = names.iter().filter_map(|name| place(name)).collect();
            let room = Room {
                shape: 0.19,
                name_above: 0.08,
                name_beside: 0.16,
            };
            arrange(&places, room)
        };
        let usual = arranged(&["Fz", "Cz", "Pz", "C3", "C4", "F3", "F4"]);
        assert_eq!(usual.size, 1.0, "20 % apart has room");
        assert!(usual.beside.iter().all(|beside| !beside));
        // FCz stands half-way between Fz and Cz, where there is room for its shape and not for its name.
        let crowded = arranged(&["Fz", "FCz", "Cz", "Pz", "C3", "C4"]);
        assert_eq!(crowded.size, 1.0);
        assert_eq!(crowded.beside, [false, true, true, false, false, false]);
        let dense: Vec<_> = PLACES.keys().map(String::as_str).collect();
        let dense = arranged(&dense);
        assert!((LEAST_SIZE..0.9).contains(&dense.size), "{}", dense.size);
        assert_eq!(arranged(&["T3", "T7"]).size, 1.0);
    }

    #[test]
    fn old_names_and_other_cases_are_found() {
        assert_eq!(place("T3"), place("T7"));
        assert_eq!(place("fp1"), place("Fp1"));
        assert_eq!(place("ECG"), None);
    }
}
