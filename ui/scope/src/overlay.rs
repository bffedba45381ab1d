//! What stands on the traces: gaps, annotations, marks of channels, scale bar, notes, cursor and marquee.

use std::ops::RangeInclusive;

use egui::{Align2, Color32, Painter, Pos2, Rect, Shape, Stroke, Ui, pos2, vec2};
use ui_types::{AnnotationMark, GapMark};

use crate::layout::{Frame, Scale, negative_up};
use crate::limits::{
    BAR_HEIGHT_PT, BAR_S, BAR_UV, BAR_WIDTH_PT, FLAG_CHARS, FLAG_LANE_PT, FLAG_LANES, FLAGS_PT,
    HIT_PT,
};
use crate::paint::boxed;
use crate::scope::Scope;
use crate::theme::{Colours, plain, strong};
use crate::view::View;
use crate::window::{SECOND_NS, Window};
use crate::words;

/// Distance of the lines of a hatch, CSS pixels.
const HATCH_PT: f32 = 9.0;
/// A gap is never narrower than can be seen, CSS pixels.
const GAP_LEAST_PT: f32 = 2.0;

pub(crate) fn paint(scope: &mut Scope, ui: &Ui, frame: &Frame, colours: Colours, now_s: f64) {
    let painter = ui.painter().with_clip_rect(frame.traces);
    let mut flags = Vec::new();
    if let (Some(view), Some(window)) = (scope.view(), scope.sheet.window) {
        gaps(scope, view, &window, &painter, frame, colours);
        annotations(scope, view, &window, &painter, frame, colours, &mut flags);
        write_position(&window, &painter, frame, colours);
    }
    if let Some(view) = scope.view() {
        rows(scope, view, &painter, frame, colours);
    }
    scope.pointer.flags = flags;
    scale_bar(scope, &painter, frame, colours);
    notes(scope, &painter, frame, colours, now_s);
    marquee(scope, &painter, frame, colours);
    cursor(scope, &painter, frame, colours);
}

fn gaps(
    scope: &Scope,
    view: &View,
    window: &Window,
    painter: &Painter,
    frame: &Frame,
    colours: Colours,
) {
    for gap in &view.gaps {
        let Some(stream) = view
            .streams
            .iter()
            .position(|stream| stream.index == gap.stream)
        else {
            continue;
        };
        let stretches = bands(scope, view, stream, frame);
        let text = gap_text(scope, gap);
        let spans: Vec<_> = window
            .spans(gap.from_utc_ns, view.gap_end(gap))
            .map(|(from, to)| {
                let left = frame.traces.left() + from as f32 / frame.ppp;
                let right = frame.traces.left() + to as f32 / frame.ppp;
                egui::Rangef::new(left, right.max(left + GAP_LEAST_PT))
            })
            .collect();
        for x in &spans {
            for band in &stretches {
                hatch(painter, Rect::from_x_y_ranges(*x, *band), colours);
            }
        }
        // Written where there is most room, within the traces whatever the room.
        let widest = spans
            .iter()
            .max_by(|one, other| one.span().total_cmp(&other.span()));
        if let (Some(x), Some(band)) = (widest, stretches.first()) {
            let (least, most) = (frame.traces.left() + 44.0, frame.traces.right() - 44.0);
            boxed(
                painter,
                pos2(
                    x.center().min(most).max(least),
                    band.min + band.span() * 0.3,
                ),
                Align2::CENTER_CENTER,
                &text,
                (colours.warning, colours.raised, colours.warning),
                strong(12.0),
            );
        }
    }
}

/// 'gap 2.3 s', 'gap ≈ 2.3 s' where the number lost is not certain, 'gap lasts' while it does.
fn gap_text(scope: &Scope, gap: &GapMark) -> String {
    let word = words::word(&scope.settings, "gap");
    match gap.duration_ns {
        None => format!("{word} {}", words::word(&scope.settings, "lasts")),
        Some(duration) => {
            let about = if gap.ambiguous { "≈ " } else { "" };
            let length = words::seconds(duration.max(0) as f64 / SECOND_NS);
            format!("{word} {about}{length}")
        }
    }
}

/// Heights that the rows of a stream take, neighbours together.
fn bands(scope: &Scope, view: &View, stream: usize, frame: &Frame) -> Vec<egui::Rangef> {
    let mut bands: Vec<egui::Rangef> = Vec::new();
    let mut before = false;
    for (row, place) in view.rows.iter().zip(&scope.sheet.places) {
        let own = row.stream == stream;
        if own {
            let half = place.height_pt / 2.0;
            let (top, bottom) = ((place.base_pt - half) as f32, (place.base_pt + half) as f32);
            match bands.last_mut().filter(|_| before) {
                Some(band) => band.max = bottom,
                None => bands.push(egui::Rangef::new(top, bottom)),
            }
        }
        before = own;
    }
    let all = frame.traces.y_range();
    bands
        .into_iter()
        .map(|band| egui::Rangef::new(band.min.max(all.min), band.max.min(all.max)))
        .collect()
}

/// Diagonal lines within a rectangle, and its edges.
fn hatch(painter: &Painter, rect: Rect, colours: Colours) {
    let rect = rect.intersect(painter.clip_rect());
    if !rect.is_positive() {
        return;
    }
    painter.rect_filled(rect, 0.0, colours.surface.gamma_multiply(0.85));
    let stroke = Stroke::new(1.0, colours.warning.gamma_multiply(0.6));
    let (width, height) = (rect.width(), rect.height());
    // Lines x + y = c, at multiples of the distance so that neighbours join.
    let mut c = ((rect.left() + rect.top()) / HATCH_PT).ceil() * HATCH_PT;
    while c < rect.left() + rect.top() + width + height {
        let from = (c - rect.top()).min(rect.right());
        let to = (c - rect.bottom()).max(rect.left());
        painter.line_segment([pos2(from, c - from), pos2(to, c - to)], stroke);
        c += HATCH_PT;
    }
    let edge = Stroke::new(1.0, colours.warning);
    painter.vline(rect.left(), rect.y_range(), edge);
    painter.vline(rect.right(), rect.y_range(), edge);
}

fn annotations(
    scope: &Scope,
    view: &View,
    window: &Window,
    painter: &Painter,
    frame: &Frame,
    colours: Colours,
    flags: &mut Vec<(u64, Rect)>,
) {
    let mut shown: Vec<(f32, &AnnotationMark)> = view
        .marks()
        .filter_map(|mark| {
            let x = window.x(window.position(mark.onset_utc_ns))?;
            Some((frame.traces.left() + x as f32 / frame.ppp, mark))
        })
        .collect();
    for mark in view.marks() {
        let Some(duration) = mark.duration_ns.filter(|duration| *duration > 0) else {
            continue;
        };
        let end = mark.onset_utc_ns.saturating_add(duration);
        for (from, to) in window.spans(mark.onset_utc_ns, end) {
            let x = |px: f64| frame.traces.left() + px as f32 / frame.ppp;
            let band = Rect::from_x_y_ranges(x(from)..=x(to), frame.traces.y_range());
            painter.rect_filled(band, 0.0, colours.accent.gamma_multiply(0.10));
        }
    }
    // The selected one last, over the others.
    shown.sort_by(|one, other| {
        let selected = |mark: &AnnotationMark| scope.settings.selected_annotation == Some(mark.id);
        selected(one.1)
            .cmp(&selected(other.1))
            .then(one.0.total_cmp(&other.0))
    });
    let mut taken = [f32::NEG_INFINITY; FLAG_LANES];
    for (x, mark) in shown {
        let selected = scope.settings.selected_annotation == Some(mark.id);
        let lane = taken.iter().position(|end| *end <= x).unwrap_or(0);
        let top = frame.traces.top() + 1.0 + lane as f32 * FLAG_LANE_PT;
        let (ink, ground, edge) = if selected {
            (colours.on_accent, colours.accent, colours.accent)
        } else {
            (colours.text, colours.raised, colours.accent)
        };
        let line = if selected {
            Stroke::new(2.5, colours.accent)
        } else {
            Stroke::new(1.0, colours.accent)
        };
        painter.vline(x, top..=frame.traces.bottom(), line);
        let said = match &mark.code {
            Some(code) if mark.text.is_empty() => code,
            _ => &mark.text,
        };
        let text = words::short(said, FLAG_CHARS);
        let font = if selected { strong(12.0) } else { plain(12.0) };
        let room = frame.traces.right() - x;
        let wide = painter
            .layout_no_wrap(text.clone(), font.clone(), ink)
            .size()
            .x
            + 10.0;
        // A flag that would leave the traces flies to the left.
        let align = if wide > room {
            Align2::RIGHT_TOP
        } else {
            Align2::LEFT_TOP
        };
        let rect = boxed(
            painter,
            pos2(x, top),
            align,
            &text,
            (ink, ground, edge),
            font,
        );
        taken[lane] = rect.right() + 4.0;
        let line = Rect::from_x_y_ranges(x - HIT_PT..=x + HIT_PT, frame.traces.y_range());
        flags.push((mark.id, line));
        flags.push((mark.id, rect));
    }
}

/// Where a sweep writes: the line between new and old.
fn write_position(window: &Window, painter: &Painter, frame: &Frame, colours: Colours) {
    if window.blank() == 0 {
        return;
    }
    let x = frame.traces.left() + (window.slot(window.head()) + 1) as f32 / frame.ppp;
    painter.vline(
        x,
        frame.traces.y_range(),
        Stroke::new(1.0, colours.text_faint),
    );
}

/// Why a row is blank, and what is wrong with a channel: a shape and a word at the left of the row.
fn rows(scope: &Scope, view: &View, painter: &Painter, frame: &Frame, colours: Colours) {
    let left = frame.traces.left() + 6.0;
    for (row, place) in view.rows.iter().zip(&scope.sheet.places) {
        let base = place.base_pt as f32;
        if let Some(reason) = &row.view.blank {
            let font = plain((place.height_pt as f32 * 0.8).clamp(9.0, 13.0));
            painter.text(
                pos2(left, base),
                Align2::LEFT_CENTER,
                reason,
                font,
                colours.text_faint,
            );
        }
        if let Some(mark) = scope.mark(row) {
            let text = format!("     {}", words::word(&scope.settings, mark));
            let size = (place.height_pt as f32 * 0.75).clamp(9.0, 12.0);
            let rect = boxed(
                painter,
                pos2(left, base),
                Align2::LEFT_CENTER,
                &text,
                (colours.warning, colours.raised, colours.warning),
                strong(size),
            );
            let centre = pos2(rect.left() + 12.0, base);
            sign(painter, mark, centre, size * 0.42, colours.warning);
        }
    }
}

/// A shape for each thing that can be wrong, so that it is told without colour.
fn sign(painter: &Painter, mark: &str, centre: Pos2, r: f32, ink: Color32) {
    let stroke = Stroke::new(1.5, ink);
    let at = |x: f32, y: f32| centre + vec2(x * r, y * r);
    match mark {
        // A ring crossed out: nothing comes.
        "stale" => {
            painter.circle_stroke(centre, r, stroke);
            painter.line_segment([at(-0.7, 0.7), at(0.7, -0.7)], stroke);
        }
        // Held at a rail.
        "railed" => {
            painter.line_segment([at(-1.0, -1.0), at(1.0, -1.0)], stroke);
            painter.add(Shape::convex_polygon(
                vec![at(-0.9, 1.0), at(0.9, 1.0), at(0.0, -0.6)],
                ink,
                Stroke::NONE,
            ));
        }
        // A line without a wave.
        "flat" => {
            painter.rect_stroke(
                Rect::from_center_size(centre, vec2(2.0 * r, 2.0 * r)),
                0.0,
                stroke,
                egui::StrokeKind::Middle,
            );
            painter.line_segment([at(-0.7, 0.0), at(0.7, 0.0)], stroke);
        }
        // A triangle with a stroke: look here.
        _ => {
            painter.add(Shape::closed_line(
                vec![at(-1.0, 0.9), at(1.0, 0.9), at(0.0, -0.9)],
                stroke,
            ));
            painter.line_segment([at(0.0, -0.2), at(0.0, 0.5)], stroke);
        }
    }
}

/// The scale bar: an amplitude and a time, which of them is up, and whether the millimetres are true.
fn scale_bar(scope: &Scope, painter: &Painter, frame: &Frame, colours: Colours) {
    let Some(window) = scope.sheet.window else {
        return;
    };
    let settings = &scope.settings;
    // It speaks of the first row of potentials; ECG stands at the bottom and says its own.
    let potentials = scope.view().into_iter().flat_map(|view| &view.rows);
    let first = potentials
        .zip(&scope.sheet.places)
        .find_map(|(row, place)| match place.scale {
            Scale::Potential { sensitivity, .. } => {
                Some((sensitivity, negative_up(&row.view, settings)))
            }
            Scale::Fitted => None,
        });
    let (sensitivity, negative_up) =
        first.unwrap_or((settings.sensitivity_uv_mm, settings.negative_up));
    let pt_per_uv = settings.px_per_mm / sensitivity;
    let pt_per_s = SECOND_NS / window.px_ns() / f64::from(frame.ppp);
    let fits = |per: f64, within: RangeInclusive<f64>| {
        move |value: &&f64| within.contains(&(**value * per))
    };
    let (Some(&uv), Some(&s)) = (
        BAR_UV.iter().find(fits(pt_per_uv, BAR_HEIGHT_PT)),
        BAR_S
            .iter()
            .find(fits(pt_per_s, BAR_WIDTH_PT))
            .or(BAR_S.first()),
    ) else {
        return;
    };
    let (height, width) = ((uv * pt_per_uv) as f32, (s * pt_per_s) as f32);
    let polarity = if negative_up {
        words::word(settings, "negative_up")
    } else {
        words::word(settings, "positive_up")
    };
    let ink = colours.text;
    let line = |text: String| painter.layout_no_wrap(text, plain(12.0), ink);
    let (amplitude, time) = (
        line(format!("{} µV", words::setting(uv))),
        line(format!("{} s", words::setting(s))),
    );
    let polarity = line(polarity.to_owned());
    // Bar and base form an L; the words of the bar stand in it, those of the base below.
    let words_height = amplitude.size().y + polarity.size().y;
    let inner = vec2(
        width.max(8.0 + amplitude.size().x.max(polarity.size().x)),
        height.max(words_height + 4.0),
    );
    let right_bottom = frame.traces.right_bottom() - vec2(6.0, 6.0);
    let block = inner + vec2(20.0, time.size().y + 14.0);
    let rect = Rect::from_min_max(right_bottom - block, right_bottom);
    painter.rect(
        rect,
        2.0,
        // What lies behind is still seen.
        colours.surface.gamma_multiply(0.65),
        Stroke::new(1.0, colours.line_strong),
        egui::StrokeKind::Inside,
    );
    let corner = pos2(rect.left() + 10.0, rect.top() + 6.0 + inner.y);
    let stroke = Stroke::new(2.0, ink);
    painter.line_segment([corner, corner - vec2(0.0, height)], stroke);
    painter.line_segment([corner, corner + vec2(width, 0.0)], stroke);
    let beside = corner + vec2(8.0, -words_height - 3.0);
    let second = beside + vec2(0.0, amplitude.size().y);
    painter.galley(beside, amplitude, ink);
    painter.galley(second, polarity, ink);
    painter.galley(corner + vec2(0.0, 4.0), time, ink);
    if !settings.calibrated {
        boxed(
            painter,
            rect.left_bottom() - vec2(6.0, 0.0),
            Align2::RIGHT_BOTTOM,
            words::word(settings, "uncalibrated"),
            (colours.warning, colours.surface, colours.warning),
            plain(12.0),
        );
    }
}

/// Where the data come from when not from a person, whether they stand still, and whether they have ceased.
fn notes(scope: &Scope, painter: &Painter, frame: &Frame, colours: Colours, now_s: f64) {
    let settings = &scope.settings;
    let right_top =
        frame.traces.right_top() + vec2(-6.0, FLAGS_PT.min(frame.traces.height() / 4.0));
    let mut anchor = right_top;
    let mut note = |text: &str, ink: Color32| {
        let rect = boxed(
            painter,
            anchor,
            Align2::RIGHT_TOP,
            text,
            (ink, colours.raised, ink),
            strong(13.0),
        );
        anchor = pos2(rect.left() - 6.0, anchor.y);
    };
    let provenance = scope
        .view()
        .and_then(|view| view.description.as_ref())
        .map(|description| description.provenance.as_str());
    if let Some(computed) = provenance.filter(|text| matches!(*text, "simulated" | "playback")) {
        note(words::word(settings, computed), colours.warning);
    }
    let overview = scope
        .view()
        .and_then(|view| view.description.as_ref())
        .is_some_and(|description| description.overview);
    if overview {
        note(words::word(settings, "overview"), colours.warning);
    }
    if settings.frozen {
        note(words::word(settings, "frozen"), colours.accent);
    }
    if scope.feeds.malformed > 0 {
        let text = format!(
            "{} {}",
            scope.feeds.malformed,
            words::word(settings, "unreadable")
        );
        note(&text, colours.warning);
    }
    if let Some(silent) = scope.silence_s(now_s) {
        boxed(
            painter,
            frame.traces.center(),
            Align2::CENTER_CENTER,
            &format!(
                "{} {}",
                words::word(settings, "no_data"),
                words::seconds(silent.floor())
            ),
            (colours.warning, colours.raised, colours.warning),
            strong(20.0),
        );
    } else if scope.sheet.window.is_none() {
        // A page without a column is whole all the same.
        let ended = scope.view().is_some_and(|view| view.ended);
        painter.text(
            frame.traces.center(),
            Align2::CENTER_CENTER,
            words::word(settings, if ended { "no_data" } else { "waiting" }),
            plain(16.0),
            colours.text_faint,
        );
    }
}

fn marquee(scope: &Scope, painter: &Painter, frame: &Frame, colours: Colours) {
    let (Some(marquee), Some(window)) = (&scope.pointer.marquee, scope.sheet.window) else {
        return;
    };
    let (from, to) = marquee.columns();
    let x = |position: f64| {
        window
            .x(position)
            .map(|x| frame.traces.left() + x as f32 / frame.ppp)
    };
    let (Some(left), Some(right)) = (x(from as f64), x(to as f64)) else {
        return; // the page has gone on
    };
    let right = right + 1.0 / frame.ppp;
    let [one, other] = marquee.heights;
    let rect = Rect::from_x_y_ranges(left..=right, one.min(other)..=one.max(other));
    painter.rect(
        rect,
        0.0,
        colours.accent.gamma_multiply(0.15),
        Stroke::new(1.5, colours.accent),
        egui::StrokeKind::Inside,
    );
    let Some(measured) = &marquee.measured else {
        return;
    };
    let text = format!(
        "{}   Δt {}   1/Δt {} Hz   ΔV {} {}",
        measured.row,
        words::seconds(measured.duration_s),
        words::number(measured.frequency_hz),
        words::number(measured.amplitude),
        measured.unit
    );
    let below = rect.bottom() + 30.0 < frame.traces.bottom();
    let (anchor, align) = if below {
        (rect.left_bottom() + vec2(0.0, 4.0), Align2::LEFT_TOP)
    } else {
        (rect.left_top() - vec2(0.0, 4.0), Align2::LEFT_BOTTOM)
    };
    let width = 330.0_f32.min(frame.traces.width());
    let anchor = pos2(anchor.x.min(frame.traces.right() - width), anchor.y);
    boxed(
        painter,
        anchor,
        align,
        &text,
        (colours.text, colours.raised, colours.accent),
        strong(13.0),
    );
}

fn cursor(scope: &Scope, painter: &Painter, frame: &Frame, colours: Colours) {
    let (Some((column, row, pos)), Some(window), Some(view)) =
        (scope.pointer.hover(), scope.sheet.window, scope.view())
    else {
        return;
    };
    let Some(x) = window.x(column as f64 + 0.5) else {
        return;
    };
    let x = frame.traces.left() + x as f32 / frame.ppp;
    painter.vline(
        x,
        frame.traces.y_range(),
        Stroke::new(1.0, colours.text_faint),
    );
    if scope.pointer.marquee.is_some() {
        return; // it has a read-out of its own
    }
    let utc_ns = window.time(column as f64);
    let begin = view.description.as_ref().map(|text| text.begin_utc_ns);
    let mut text = words::clock(utc_ns, scope.settings.zone_offset_min, true);
    if let Some(begin) = begin {
        text += &format!("  {}", words::elapsed(utc_ns.saturating_sub(begin)));
    }
    if let Some(row) = view.rows.get(row) {
        let value = scope.value(view, row, Some(column));
        let value = value.map_or_else(
            || words::word(&scope.settings, "no_data").to_owned(),
            |value| words::value(value, &row.view.unit),
        );
        text += &format!("  {}  {value}", row.view.label);
    }
    let align = if pos.x > frame.traces.center().x {
        Align2::RIGHT_BOTTOM
    } else {
        Align2::LEFT_BOTTOM
    };
    let aside = if pos.x > frame.traces.center().x {
        -6.0
    } else {
        6.0
    };
    boxed(
        painter,
        pos2(x + aside, (pos.y - 10.0).max(frame.traces.top() + 24.0)),
        align,
        &text,
        (colours.text, colours.raised, colours.line_strong),
        plain(12.0),
    );
}
