//! Pictures as a list of shapes, drawn alike into PDF and HTML.

/// Red, green, blue.
pub(crate) type Rgb = [u8; 3];

pub(crate) const BLACK: Rgb = [0x1a, 0x1a, 0x1a];
pub(crate) const GREY: Rgb = [0x5f, 0x66, 0x6d];
pub(crate) const LIGHT: Rgb = [0xd9, 0xdd, 0xe1];
pub(crate) const BLUE: Rgb = [0x1f, 0x4e, 0x9c];
pub(crate) const RED: Rgb = [0xb3, 0x26, 0x1e];
pub(crate) const DARK_RED: Rgb = [0x7a, 0x1f, 0x3d];
pub(crate) const GREEN: Rgb = [0x1b, 0x7a, 0x3d];
pub(crate) const AMBER: Rgb = [0xa8, 0x62, 0x00];

/// Where a text stands against its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// One shape; lengths in points, y downwards.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape {
    /// A polyline; closed where `fill` is set.
    Line {
        points: Vec<(f32, f32)>,
        colour: Rgb,
        width: f32,
        fill: Option<Rgb>,
    },
    /// A circle.
    Circle {
        centre: (f32, f32),
        radius: f32,
        stroke: Rgb,
        fill: Option<Rgb>,
    },
    /// A text on its baseline.
    Text {
        at: (f32, f32),
        size: f32,
        text: String,
        anchor: Anchor,
        colour: Rgb,
        bold: bool,
    },
}

/// A picture and what it shows in words, for those who cannot see it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Picture {
    pub(crate) width: f32,
    pub(crate) height: f32,
    pub(crate) shapes: Vec<Shape>,
    pub(crate) alt: String,
}

impl Picture {
    pub(crate) fn new(width: f32, height: f32, alt: String) -> Self {
        Self {
            width,
            height,
            shapes: Vec::new(),
            alt,
        }
    }

    pub(crate) fn line(&mut self, points: Vec<(f32, f32)>, colour: Rgb, width: f32) {
        if points.len() > 1 {
            self.shapes.push(Shape::Line {
                points,
                colour,
                width,
                fill: None,
            });
        }
    }

    pub(crate) fn area(&mut self, points: Vec<(f32, f32)>, stroke: Rgb, fill: Rgb) {
        self.shapes.push(Shape::Line {
            points,
            colour: stroke,
            width: 0.5,
            fill: Some(fill),
        });
    }

    pub(crate) fn circle(
        &mut self,
        centre: (f32, f32),
        radius: f32,
        stroke: Rgb,
        fill: Option<Rgb>,
    ) {
        self.shapes.push(Shape::Circle {
            centre,
            radius,
            stroke,
            fill,
        });
    }

    pub(crate) fn text(
        &mut self,
        at: (f32, f32),
        size: f32,
        text: &str,
        anchor: Anchor,
        colour: Rgb,
    ) {
        self.shapes.push(Shape::Text {
            at,
            size,
            text: text.to_owned(),
            anchor,
            colour,
            bold: false,
        });
    }
}
