//! Draws columns into pixels. A trace is, in each column of physical pixels, a vertical stretch from the
//! least to the greatest value there, joined to its neighbours; drawn once, and again only where data
//! changed. What is kept on the graphics side is a ring of pixel columns, so a frame of a live page costs
//! the few columns that are new, whatever the number of rows.

use egui::Color32;

use crate::limits::JOINED_STEPS;
use crate::view::Stream;
use crate::window::{SECOND_NS, Window};

/// How a row is drawn, in physical pixels from the top of the traces.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pen {
    /// Where the value `zero` stands.
    pub(crate) base_px: f32,
    /// Value at the base.
    pub(crate) zero: f32,
    /// Pixels downward for each unit of value: positive where negative is up.
    pub(crate) scale: f32,
    pub(crate) colour: Color32,
}

impl Pen {
    pub(crate) fn y(&self, value: f32) -> f32 {
        // A value beyond reason stands far outside the canvas, and keeps its sign.
        ((value - self.zero) * self.scale).clamp(-1e6, 1e6) + self.base_px
    }
}

/// Part of a row in one pixel column: from its upper to its lower end, pixels from the top. NaN: nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Extent {
    pub(crate) top: f32,
    pub(crate) bottom: f32,
}

impl Extent {
    pub(crate) const NOTHING: Self = Self {
        top: f32::NAN,
        bottom: f32::NAN,
    };

    fn include(&mut self, top: f32, bottom: f32) {
        // min and max leave a NaN for the other value.
        self.top = self.top.min(top);
        self.bottom = self.bottom.max(bottom);
    }

    pub(crate) fn is_something(&self) -> bool {
        self.top <= self.bottom
    }
}

/// Pixel columns of the columns of a stream, found once for all its rows.
#[derive(Debug, Default)]
pub(crate) struct Places {
    first: u64,
    pixels: Vec<i64>,
    /// Furthest apart that two values are joined, ns.
    joined_ns: f64,
}

impl Places {
    /// Of every column that has a part in drawing the pixel columns `wanted`.
    pub(crate) fn find(&mut self, stream: &Stream, window: &Window, wanted: &std::ops::Range<i64>) {
        let buffer = &stream.buffer;
        let held = buffer.held();
        let sample_ns = if stream.rate_hz > 0.0 {
            SECOND_NS / stream.rate_hz
        } else {
            0.0
        };
        self.joined_ns = JOINED_STEPS * buffer.column_ns().max(sample_ns).min(60.0 * SECOND_NS);
        self.pixels.clear();
        if held.is_empty() || buffer.column_ns() <= 0.0 {
            self.first = held.start;
            return;
        }
        let reach = (self.joined_ns / buffer.column_ns()).ceil() as u64 + 2;
        let from = buffer
            .at_or_after(window.time(wanted.start as f64))
            .saturating_sub(reach)
            .max(held.start);
        let to = buffer
            .at_or_after(window.time(wanted.end as f64))
            .saturating_add(reach)
            .min(held.end);
        self.first = from;
        self.pixels
            .extend((from..to).map(|number| window.pixel(buffer.place(number))));
    }
}

/// Extents of one row in the pixel columns `wanted`.
pub(crate) fn trace(
    stream: &Stream,
    row: usize,
    places: &Places,
    pen: &Pen,
    wanted: &std::ops::Range<i64>,
    extents: &mut Vec<Extent>,
) {
    extents.clear();
    let count = usize::try_from(wanted.end - wanted.start).unwrap_or(0);
    extents.resize(count, Extent::NOTHING);
    let mut include = |column: i64, top: f32, bottom: f32| {
        if let Ok(at) = usize::try_from(column - wanted.start)
            && let Some(extent) = extents.get_mut(at)
        {
            extent.include(top, bottom);
        }
    };
    // The value before: its pixel column, its extent, its column's number.
    let mut before: Option<(i64, Extent, u64)> = None;
    for (at, &pixel) in places.pixels.iter().enumerate() {
        let number = places.first + at as u64;
        let [low, high] = stream.buffer.value(row, number);
        if low.is_nan() {
            continue;
        }
        let (one, other) = (pen.y(low), pen.y(high));
        let (top, bottom) = (one.min(other), one.max(other));
        include(pixel, top, bottom);
        if let Some((from, last, last_number)) = before {
            let apart_ns = stream
                .buffer
                .time(number)
                .saturating_sub(stream.buffer.time(last_number)) as f64;
            if pixel >= from && apart_ns <= places.joined_ns {
                join(
                    (from, last),
                    (pixel, Extent { top, bottom }),
                    wanted,
                    &mut include,
                );
            }
        }
        before = Some((pixel, Extent { top, bottom }, number));
    }
}

/// Joins two neighbours: those that do not overlap meet half-way, and columns between them are filled.
fn join(
    (from, before): (i64, Extent),
    (to, after): (i64, Extent),
    wanted: &std::ops::Range<i64>,
    include: &mut impl FnMut(i64, f32, f32),
) {
    if to - from <= 1 {
        let meeting = if after.top > before.bottom {
            f32::midpoint(before.bottom, after.top)
        } else if after.bottom < before.top {
            f32::midpoint(before.top, after.bottom)
        } else {
            return;
        };
        include(from, meeting, meeting);
        include(to, meeting, meeting);
        return;
    }
    let length = (to - from) as f32;
    let at = |part: f32, one: f32, other: f32| one + (other - one) * part.clamp(0.0, 1.0);
    for column in from.max(wanted.start)..=to.min(wanted.end) {
        let middle = (column - from) as f32;
        let (left, right) = ((middle - 0.5) / length, (middle + 0.5) / length);
        let tops = (
            at(left, before.top, after.top),
            at(right, before.top, after.top),
        );
        let bottoms = (
            at(left, before.bottom, after.bottom),
            at(right, before.bottom, after.bottom),
        );
        include(column, tops.0.min(tops.1), bottoms.0.max(bottoms.1));
    }
}

/// A strip of pixels, row by row from the top, transparent where nothing is drawn.
#[derive(Debug, Clone)]
pub(crate) struct Strip {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) pixels: Vec<Color32>,
}

impl Strip {
    pub(crate) fn new(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            pixels: vec![Color32::TRANSPARENT; width * height],
        }
    }

    /// Draws a row. `extents` begins `lead` columns before the strip: a wide trace reaches to its right.
    pub(crate) fn draw(&mut self, extents: &[Extent], lead: usize, width_px: f32, colour: Color32) {
        let half = width_px / 2.0;
        for column in 0..self.width {
            let last = (column + lead).min(extents.len().saturating_sub(1));
            let mut extent = Extent::NOTHING;
            for part in extents.get(last.saturating_sub(lead)..=last).unwrap_or(&[]) {
                extent.include(part.top, part.bottom);
            }
            if extent.is_something() {
                self.bar(column, extent.top - half, extent.bottom + half, colour);
            }
        }
    }

    /// A column from `top` to `bottom`, its ends as dark as they are covered.
    fn bar(&mut self, column: usize, top: f32, bottom: f32, colour: Color32) {
        let top = top.max(0.0);
        let bottom = bottom.min(self.height as f32);
        if top >= bottom {
            return;
        }
        let (first, last) = (
            top.floor() as usize,
            (bottom.ceil() as usize).min(self.height),
        );
        for y in first..last {
            let covered = bottom.min(y as f32 + 1.0) - top.max(y as f32);
            let pixel = &mut self.pixels[y * self.width + column];
            *pixel = if covered >= 0.999 {
                colour
            } else {
                pixel.blend(colour.gamma_multiply(covered))
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_dark_as_it_covers() {
        let mut strip = Strip::new(1, 4);
        strip.bar(0, 0.5, 2.25, Color32::WHITE);
        let alpha: Vec<_> = strip.pixels.iter().map(|pixel| pixel.a()).collect();
        assert_eq!(alpha[1], 255);
        assert!(
            (126..=129).contains(&alpha[0]) && (62..=66).contains(&alpha[2]),
            "{alpha:?}"
        );
        assert_eq!(alpha[3], 0);
    }

    #[test]
    fn neighbours_are_joined_without_holes() {
        let mut extents = [Extent::NOTHING; 6];
        let mut include = |column: i64, top: f32, bottom: f32| {
            extents[usize::try_from(column).expect("a column")].include(top, bottom);
        };
        let (one, two) = (
            Extent {
                top: 0.0,
                bottom: 1.0,
            },
            Extent {
                top: 50.0,
                bottom: 60.0,
            },
        );
        include(0, one.top, one.bottom);
        include(1, two.top, two.bottom);
        join((0, one), (1, two), &(0..6), &mut include);
        include(5, one.top, one.bottom);
        join((1, two), (5, one), &(0..6), &mut include);
        for pair in extents.windows(2) {
            assert!(
                pair[0].bottom >= pair[1].top && pair[1].bottom >= pair[0].top,
                "a hole between {pair:?}"
            );
        }
    }
}
