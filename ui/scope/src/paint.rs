//! Paints a frame: a plot with its time axis and grid, the drawn traces in it, labels beside it.

use egui::{Align2, Color32, Pos2, Rect, Sense, Shape, Stroke, Ui, UiBuilder, pos2, vec2};
use egui_plot::{
    AxisHints, GridMark, Plot, PlotBounds, PlotGeometry, PlotItem, PlotItemBase, PlotTransform,
};

use crate::layout::{Frame, Scale, negative_up};
use crate::limits::{GUTTER_PT, LABEL_CHARS};
use crate::scope::Scope;
use crate::theme::{Colours, plain, strong};
use crate::view::{View, is_ecg};
use crate::window::{SECOND_NS, Window};
use crate::{overlay, words};

/// Steps of the time grid, s: faint and stronger lines. The first whose faint lines stand apart is taken.
const STEPS: &[(f64, f64)] = &[
    (0.1, 0.5),
    (0.2, 1.0),
    (1.0, 5.0),
    (5.0, 30.0),
    (10.0, 60.0),
    (60.0, 300.0),
    (600.0, 3_600.0),
    (3_600.0, 21_600.0),
];
/// Least distance of faint grid lines and of clock times, CSS pixels.
const LINE_APART_PT: f64 = 10.0;
const TIME_APART_PT: f64 = 76.0;
/// A page of 10 s has a line each second, not each tenth, however wide the screen.
const FINE_GRID_PAGE_S: f64 = 2.5;

/// A line of the time grid: its distance from the left edge in physical pixels.
#[derive(Debug, Clone, Copy)]
struct Line {
    x_px: f64,
    utc_ns: i64,
    strong: bool,
}

/// A layer of the plot: whatever it draws through the plot's transform.
struct Layer<F> {
    base: PlotItemBase,
    paint: F,
}

impl<F: Fn(&PlotTransform, &mut Vec<Shape>)> Layer<F> {
    fn new(name: &str, paint: F) -> Self {
        Self {
            base: PlotItemBase::new(name.to_owned()),
            paint,
        }
    }
}

impl<F: Fn(&PlotTransform, &mut Vec<Shape>)> PlotItem for Layer<F> {
    fn shapes(&self, _ui: &Ui, transform: &PlotTransform, shapes: &mut Vec<Shape>) {
        (self.paint)(transform, shapes);
    }

    fn initialize(&mut self, _x_range: std::ops::RangeInclusive<f64>) {}

    fn color(&self) -> Color32 {
        Color32::TRANSPARENT
    }

    fn allow_hover(&self) -> bool {
        false
    }

    fn geometry(&self) -> PlotGeometry<'_> {
        PlotGeometry::None
    }

    fn bounds(&self) -> PlotBounds {
        PlotBounds::NOTHING
    }

    fn base(&self) -> &PlotItemBase {
        &self.base
    }

    fn base_mut(&mut self) -> &mut PlotItemBase {
        &mut self.base
    }
}

/// Paints everything.
pub(crate) fn canvas(scope: &mut Scope, ui: &mut Ui, frame: &Frame, canvas: Rect, now_s: f64) {
    let colours = Colours::of(scope.settings.theme);
    ui.painter().rect_filled(canvas, 0.0, colours.surface);
    plot(scope, ui, frame, colours);
    labels(scope, ui, frame, canvas, colours);
    overlay::paint(scope, ui, frame, colours, now_s);
}

/// The plot: coordinates are physical pixels of the traces, from their left edge and their lower one.
fn plot(scope: &Scope, ui: &mut Ui, frame: &Frame, colours: Colours) {
    let lines = scope
        .sheet
        .window
        .map(|window| grid(&window, frame, scope.settings.zone_offset_min))
        .unwrap_or_default();
    let apart_px = lines
        .windows(2)
        .map(|pair| (pair[1].x_px - pair[0].x_px).abs())
        .fold(f64::INFINITY, f64::min);
    let every = apart_px / f64::from(frame.ppp) >= TIME_APART_PT;
    let zone = scope.settings.zone_offset_min;
    let labelled: Vec<_> = lines
        .iter()
        .filter(|line| line.strong || every)
        // One that would be cut off at the edge is left out.
        .filter(|line| {
            (frame.width_px as f64 - line.x_px) / f64::from(frame.ppp) > TIME_APART_PT / 3.0
        })
        .copied()
        .collect();
    let marks: Vec<_> = labelled
        .iter()
        .map(|line| GridMark {
            value: line.x_px,
            step_size: TIME_APART_PT * f64::from(frame.ppp),
        })
        .collect();
    let time_of = move |mark: GridMark, _: &std::ops::RangeInclusive<f64>| {
        let line = labelled.iter().find(|line| line.x_px == mark.value);
        line.map_or_else(String::new, |line| {
            let fine = line.utc_ns.rem_euclid(SECOND_NS as i64) != 0;
            let text = words::clock(line.utc_ns, zone, fine);
            // Tenths, not thousandths.
            text.strip_suffix("00")
                .filter(|_| fine)
                .map_or(text.clone(), str::to_owned)
        })
    };
    let axis = AxisHints::new_x()
        .formatter(time_of)
        .min_thickness(frame.axis_pt())
        .label_spacing(egui::Rangef::new(0.0, 1.0))
        .tick_label_color(colours.text_faint)
        .tick_label_font(plain(12.0));
    let size = [frame.width_px as f64, frame.height_px as f64];
    let plot = Plot::new("plot")
        .custom_x_axes(vec![axis])
        .show_axes([true, false])
        .show_grid(false)
        .show_background(false)
        .show_x(false)
        .show_y(false)
        .x_grid_spacer(move |_| marks.clone())
        .allow_zoom(false)
        .allow_drag(false)
        .allow_scroll(false)
        .allow_boxed_zoom(false)
        .allow_axis_zoom_drag(false)
        .allow_double_click_reset(false)
        .auto_bounds(false)
        .set_margin_fraction(egui::Vec2::ZERO)
        .sense(Sense::hover())
        .width(frame.plot.width())
        .height(frame.plot.height());
    let layers = layers(scope, frame, colours, lines);
    ui.scope_builder(UiBuilder::new().max_rect(frame.plot), |ui| {
        ui.spacing_mut().item_spacing = egui::Vec2::ZERO;
        plot.show(ui, |plot| {
            plot.set_plot_bounds(PlotBounds::from_min_max([0.0, 0.0], size));
            for layer in layers {
                plot.add_item(layer);
            }
        });
    });
}

fn layers(
    scope: &Scope,
    frame: &Frame,
    colours: Colours,
    lines: Vec<Line>,
) -> Vec<Box<dyn PlotItem>> {
    let ppp = frame.ppp;
    let grid = Layer::new(
        "grid",
        move |transform: &PlotTransform, shapes: &mut Vec<Shape>| {
            for line in &lines {
                // The middle of a physical pixel, so that a line is one pixel wide and not two grey ones.
                let x = transform.position_from_point_x(line.x_px.floor() + 0.5);
                let colour = if line.strong {
                    colours.line_strong
                } else {
                    colours.line
                };
                let y = transform.frame().y_range();
                shapes.push(Shape::vline(x, y, Stroke::new(1.0 / ppp, colour)));
            }
        },
    );
    let bases: Vec<_> = scope
        .sheet
        .pens
        .iter()
        .map(|pen| frame.height_px as f64 - f64::from(pen.base_px))
        .collect();
    let zero = Layer::new(
        "zero lines",
        move |transform: &PlotTransform, shapes: &mut Vec<Shape>| {
            let x = transform.frame().x_range();
            // Among very many rows they would be a grey sheet.
            for &base in bases.iter().filter(|_| bases.len() <= 64) {
                let y = transform.position_from_point_y(base);
                shapes.push(Shape::hline(x, y, Stroke::new(1.0 / ppp, colours.line)));
            }
        },
    );
    let drawn = scope.sheet.texture().map(egui::TextureHandle::id);
    let left = scope.sheet.window.map(|window| window.left_slot());
    let width = frame.width_px as f64;
    let height = frame.height_px as f64;
    let traces = Layer::new(
        "traces",
        move |transform: &PlotTransform, shapes: &mut Vec<Shape>| {
            let (Some(texture), Some(left)) = (drawn, left) else {
                return;
            };
            // The ring, cut open where its oldest column stands.
            let part = left as f64 / width;
            for (from_px, to_px, from_uv, to_uv) in [
                (0.0, width - left as f64, part, 1.0),
                (width - left as f64, width, 0.0, part),
            ] {
                if to_px > from_px {
                    let x = |px: f64| transform.position_from_point_x(px);
                    let rect = Rect::from_min_max(
                        pos2(x(from_px), transform.position_from_point_y(height)),
                        pos2(x(to_px), transform.position_from_point_y(0.0)),
                    );
                    let uv = Rect::from_min_max(pos2(from_uv as f32, 0.0), pos2(to_uv as f32, 1.0));
                    shapes.push(Shape::image(texture, rect, uv, Color32::WHITE));
                }
            }
        },
    );
    vec![Box::new(grid), Box::new(zero), Box::new(traces)]
}

/// Lines at whole steps of the local clock within what is shown.
fn grid(window: &Window, frame: &Frame, zone_offset_min: i32) -> Vec<Line> {
    let pt_per_s = SECOND_NS / window.px_ns() / f64::from(frame.ppp);
    let fine = window.page_s() <= FINE_GRID_PAGE_S;
    let step = STEPS
        .iter()
        .find(|(faint, _)| faint * pt_per_s >= LINE_APART_PT && (fine || *faint >= 1.0));
    let Some(&(faint, strong)) = step.or(STEPS.last()) else {
        return Vec::new();
    };
    let (faint_ns, strong_ns) = ((faint * SECOND_NS) as i64, (strong * SECOND_NS) as i64);
    let zone_ns = i64::from(zone_offset_min) * 60 * SECOND_NS as i64;
    let columns = window.columns();
    let local = |position: i64| window.time(position as f64).saturating_add(zone_ns);
    let mut at = local(columns.start)
        .saturating_add(faint_ns - 1)
        .div_euclid(faint_ns)
        .saturating_mul(faint_ns);
    let end = local(columns.end);
    let mut lines = Vec::new();
    // As many as there are pixels, and no more, whatever the times say.
    while at < end && lines.len() < frame.width_px {
        let utc_ns = at.saturating_sub(zone_ns);
        if let Some(x_px) = window.x(window.position(utc_ns)) {
            lines.push(Line {
                x_px,
                utc_ns,
                strong: at.rem_euclid(strong_ns) == 0,
            });
        }
        at = at.saturating_add(faint_ns);
    }
    lines.sort_by(|one, other| one.x_px.total_cmp(&other.x_px));
    lines
}

/// Names of the rows at their zero lines, in their colours; what is not the page's sensitivity is said.
fn labels(scope: &Scope, ui: &Ui, frame: &Frame, canvas: Rect, colours: Colours) {
    let gutter = Rect::from_min_max(canvas.min, pos2(frame.traces.left(), canvas.bottom()));
    let painter = ui.painter().with_clip_rect(gutter);
    painter.vline(
        frame.traces.left() - 0.5 / frame.ppp,
        frame.traces.y_range(),
        Stroke::new(1.0 / frame.ppp, colours.line_strong),
    );
    painter.hline(
        frame.traces.left() - 4.0..=frame.traces.left(),
        frame.traces.bottom(),
        Stroke::new(1.0 / frame.ppp, colours.line_strong),
    );
    painter.text(
        pos2(canvas.left() + 8.0, frame.traces.bottom() + 2.0),
        Align2::LEFT_TOP,
        words::zone(scope.settings.zone_offset_min),
        plain(12.0),
        colours.text_faint,
    );
    let Some(view) = scope.view() else { return };
    let right = canvas.left() + GUTTER_PT - 8.0;
    let least = scope
        .sheet
        .places
        .iter()
        .map(|place| place.height_pt)
        .fold(f64::INFINITY, f64::min);
    let size = (least as f32 * 0.8).clamp(9.0, 14.0);
    let mut free_from = f32::NEG_INFINITY;
    for (row, place) in view.rows.iter().zip(&scope.sheet.places) {
        let base = place.base_pt as f32;
        // Among very many rows, as many names as can be read.
        if base - size / 2.0 < free_from {
            continue;
        }
        free_from = base + size / 2.0;
        let second = second_line(scope, view, row, place.height_pt);
        let lift = if second.is_some() { 7.0 } else { 0.0 };
        painter.text(
            pos2(right, base - lift),
            Align2::RIGHT_CENTER,
            words::short(&row.view.label, LABEL_CHARS),
            strong(size),
            colours.row(&row.view),
        );
        if let Some(second) = second {
            painter.text(
                pos2(right, base + 8.0),
                Align2::RIGHT_CENTER,
                second,
                plain(11.0),
                colours.text_faint,
            );
        }
    }
}

/// Under the name: the row's own sensitivity, or the unit that it fills its height with.
fn second_line(
    scope: &Scope,
    view: &View,
    row: &crate::view::Row,
    height_pt: f64,
) -> Option<String> {
    if height_pt < 28.0 || row.view.blank.is_some() {
        return None;
    }
    let at = view.rows.iter().position(|other| other == row)?;
    let Scale::Potential { sensitivity, .. } = scope.sheet.places.get(at)?.scale else {
        let [low, high] = scope.sheet.range(at)?;
        return Some(format!(
            "{} … {} {}",
            words::number(low.into()),
            words::number(high.into()),
            words::unit(&row.view.unit)
        ));
    };
    // Where the page's polarity is another, an arrow says what is up.
    let way = if negative_up(&row.view, &scope.settings) == scope.settings.negative_up {
        ""
    } else {
        " ↑+"
    };
    (is_ecg(&row.view) || sensitivity != scope.settings.sensitivity_uv_mm)
        .then(|| format!("{} µV/mm{way}", words::setting(sensitivity)))
}

/// A word in a box, so that it can be read on traces; returns the box.
pub(crate) fn boxed(
    painter: &egui::Painter,
    anchor: Pos2,
    align: Align2,
    text: &str,
    (ink, ground, edge): (Color32, Color32, Color32),
    font: egui::FontId,
) -> Rect {
    let galley = painter.layout_no_wrap(text.to_owned(), font, ink);
    let rect = align.anchor_size(anchor, galley.size() + vec2(10.0, 4.0));
    painter.rect(
        rect,
        2.0,
        ground,
        Stroke::new(1.0, edge),
        egui::StrokeKind::Inside,
    );
    painter.galley(rect.min + vec2(5.0, 2.0), galley, ink);
    rect
}
