//! What the pointer does: a read-out under it, a marquee that measures, annotations and points picked. Keys
//! belong to the page; the canvas never sees one.

use egui::{Id, PointerButton, Pos2, Rect, Sense, Ui};
use ui_types::{Measurement, ScopeEvent};

use crate::layout::Frame;
use crate::limits::HIT_PT;
use crate::scope::Scope;
use crate::view::View;

/// A frame that was drawn with the pointer, in pixel columns of the strip.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Marquee {
    pub(crate) row: usize,
    /// Where it was begun, and where it has come to; both inclusive.
    pub(crate) anchor: i64,
    pub(crate) corner: i64,
    /// Heights of its corners, CSS pixels from the canvas's top.
    pub(crate) heights: [f32; 2],
    pub(crate) measured: Option<Measurement>,
}

impl Marquee {
    pub(crate) fn columns(&self) -> (i64, i64) {
        (self.anchor.min(self.corner), self.anchor.max(self.corner))
    }
}

#[derive(Debug, Default)]
pub(crate) struct Pointer {
    /// Pixel column and row under the pointer.
    hover: Option<(i64, usize, Pos2)>,
    pub(crate) marquee: Option<Marquee>,
    dragging: bool,
    /// Where annotations were painted, for the next click.
    pub(crate) flags: Vec<(u64, Rect)>,
}

impl Pointer {
    pub(crate) fn column(&self) -> Option<i64> {
        self.hover.map(|(column, _, _)| column)
    }

    pub(crate) fn hover(&self) -> Option<(i64, usize, Pos2)> {
        self.hover
    }

    pub(crate) fn measurement(&self) -> Option<Measurement> {
        self.marquee.as_ref()?.measured.clone()
    }

    pub(crate) fn clear(&mut self) {
        self.marquee = None;
        self.dragging = false;
    }
}

impl Scope {
    /// Follows the pointer; before painting, so that what it does is seen in the same frame.
    pub(crate) fn point(&mut self, ui: &Ui, frame: &Frame) {
        let response = ui.interact(frame.traces, Id::unique("traces"), Sense::click_and_drag());
        self.pointer.hover = response.hover_pos().and_then(|pos| {
            self.place(frame, pos)
                .map(|(column, row)| (column, row, pos))
        });
        let pressed = ui.input(|input| input.pointer.press_origin());
        let now = response.interact_pointer_pos();
        if response.drag_started_by(PointerButton::Primary)
            && let Some((column, row)) = pressed.and_then(|pos| self.place(frame, pos))
        {
            let height = pressed.map_or(0.0, |pos| pos.y);
            self.pointer.dragging = true;
            self.pointer.marquee = Some(Marquee {
                row,
                anchor: column,
                corner: column,
                heights: [height, height],
                measured: None,
            });
        }
        if self.pointer.dragging {
            self.drag(frame, now);
        }
        if response.drag_stopped() && self.pointer.dragging {
            self.pointer.dragging = false;
            match self.pointer.measurement() {
                Some(measured) => self.tell(ScopeEvent::Measured(measured)),
                None => self.clear_marquee(),
            }
        }
        if response.double_clicked() {
            self.pick_point(frame, now);
        } else if response.clicked() {
            match now.and_then(|pos| self.flag_at(pos)) {
                Some(id) => self.tell(ScopeEvent::AnnotationPicked { id }),
                None => self.clear_marquee(),
            }
        }
    }

    /// Pixel column and row at a place of the canvas.
    fn place(&self, frame: &Frame, pos: Pos2) -> Option<(i64, usize)> {
        let window = self.sheet.window?;
        let x = f64::from((pos.x - frame.traces.left()) * frame.ppp);
        let last = window.width() as f64 - 0.5;
        let column = window.at_x(x.clamp(0.0, last))?.floor() as i64;
        let row = nearest(self.sheet.places.iter().map(|place| place.base_pt), pos.y)?;
        Some((column, row))
    }

    fn drag(&mut self, frame: &Frame, now: Option<Pos2>) {
        let Some(pos) = now else { return };
        let column = self.place(frame, pos).map(|(column, _)| column);
        let Some(mut marquee) = self.pointer.marquee.take() else {
            return;
        };
        // Across the write position of a sweep lies another page: the marquee ends before it.
        let rightward = pos.x >= frame.traces.left() + self.x_pt(frame, marquee.anchor);
        if let Some(column) = column
            && (column >= marquee.anchor) == rightward
        {
            marquee.corner = column;
        }
        marquee.heights[1] = pos.y.clamp(frame.traces.top(), frame.traces.bottom());
        let (from, to) = marquee.columns();
        marquee.measured = self.measure(marquee.row, from, to);
        self.pointer.marquee = Some(marquee);
    }

    /// Distance of a pixel column from the left edge of the traces, CSS pixels.
    fn x_pt(&self, frame: &Frame, column: i64) -> f32 {
        let x = self.sheet.window.and_then(|window| window.x(column as f64));
        x.unwrap_or(0.0) as f32 / frame.ppp
    }

    fn pick_point(&mut self, frame: &Frame, pos: Option<Pos2>) {
        let Some((column, row)) = pos.and_then(|pos| self.place(frame, pos)) else {
            return;
        };
        let (Some(window), Some(label)) = (
            self.sheet.window,
            self.view()
                .and_then(|view: &View| view.rows.get(row))
                .map(|row| row.view.label.clone()),
        ) else {
            return;
        };
        self.tell(ScopeEvent::PointPicked {
            utc_ns: window.time(column as f64),
            row: label,
        });
    }

    fn flag_at(&self, pos: Pos2) -> Option<u64> {
        self.pointer
            .flags
            .iter()
            .rev()
            .find(|(_, rect)| rect.expand(HIT_PT / 2.0).contains(pos))
            .map(|(id, _)| *id)
    }

    pub(crate) fn clear_marquee(&mut self) {
        self.pointer.dragging = false;
        if self.pointer.marquee.take().is_some() {
            self.tell(ScopeEvent::MeasureCleared);
        }
    }
}

fn nearest(bases: impl Iterator<Item = f64>, y: f32) -> Option<usize> {
    bases
        .enumerate()
        .map(|(row, base)| (row, (base - f64::from(y)).abs()))
        .min_by(|one, other| one.1.total_cmp(&other.1))
        .map(|(row, _)| row)
}
