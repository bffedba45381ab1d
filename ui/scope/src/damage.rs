//! What of the canvas a frame changes. Software graphics take ten times as long for a whole canvas as for the
//! strip that a sweep writes, and the page hears nothing meanwhile: what stands there already is not painted
//! again.

use egui::emath::TSTransform;
use egui::epaint::ClippedShape;
use egui::{Rect, Shape, TextureId, TexturesDelta, pos2, vec2};

use crate::limits::{MAX_DAMAGES, WHOLE_PART};

/// Edges that are smoothed reach a pixel further than a shape says; one more for rounding.
const MARGIN_PX: f32 = 2.0;

/// How far on a shape is looked for that does not stand where it stood: a second's line and its time come and go
/// one by one; hatches of a gap come at once, and are new.
const REACH: usize = 16;

/// The frame that stands on the canvas.
#[derive(Debug, Default)]
pub(crate) struct Damage {
    before: Option<Vec<ClippedShape>>,
}

/// Size of the canvas: physical pixels, and how many are a point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Extent {
    pub(crate) size_px: [u32; 2],
    pub(crate) ppp: f32,
}

impl Extent {
    fn whole(&self) -> Rect {
        let [width, height] = self.size_px;
        Rect::from_min_size(
            egui::Pos2::ZERO,
            vec2(width as f32, height as f32) / self.ppp,
        )
    }

    /// The whole pixels in which something can be seen of `rect`.
    fn seen(&self, rect: Rect) -> Rect {
        if !rect.is_finite() || rect.is_negative() {
            return Rect::NOTHING;
        }
        let least = |value: f32| ((value * self.ppp).floor() - MARGIN_PX) / self.ppp;
        let most = |value: f32| ((value * self.ppp).ceil() + MARGIN_PX) / self.ppp;
        Rect::from_min_max(
            pos2(least(rect.left()), least(rect.top())),
            pos2(most(rect.right()), most(rect.bottom())),
        )
        .intersect(self.whole())
    }
}

impl Damage {
    /// Nothing stands on the canvas any more.
    pub(crate) fn forget(&mut self) {
        self.before = None;
    }

    /// What is to be painted of `shapes`, which then stand on the canvas whole. `traces` is the texture that
    /// changes in parts, and its size.
    pub(crate) fn take(
        &mut self,
        shapes: Vec<ClippedShape>,
        textures: &TexturesDelta,
        traces: Option<(TextureId, [usize; 2])>,
        extent: Extent,
    ) -> Vec<ClippedShape> {
        let areas = self.areas(&shapes, textures, traces, extent);
        let parts = match &areas {
            None => shapes.clone(),
            Some(areas) => within(&shapes, areas, extent),
        };
        self.before = Some(shapes);
        parts
    }

    /// Areas apart from each other outside of which nothing has changed; `None` where it is all of it.
    fn areas(
        &self,
        now: &[ClippedShape],
        textures: &TexturesDelta,
        traces: Option<(TextureId, [usize; 2])>,
        extent: Extent,
    ) -> Option<Vec<Rect>> {
        let before = self.before.as_deref()?;
        // Nothing of the canvas is moved after it was drawn; where it is, its place is not known here.
        if now
            .iter()
            .any(|one| one.transform_after_tessellation != TSTransform::IDENTITY)
        {
            return None;
        }
        let mut changed = Vec::new();
        for (id, deltas) in &textures.set {
            for delta in deltas {
                // Letters that are added to their texture change none that stand there.
                let from = delta.pos?;
                if let Some((_, size)) = traces.filter(|(traces, _)| traces == id) {
                    let part = (from[0], delta.image.width());
                    for shape in now {
                        of_texture(&shape.shape, *id, size[0], part, &mut changed);
                    }
                } else if *id != TextureId::default() {
                    return None;
                }
            }
        }
        let differing = differing(before, now).into_iter();
        changed
            .extend(differing.map(|one| one.shape.visual_bounding_rect().intersect(one.clip_rect)));
        let mut areas: Vec<Rect> = Vec::new();
        for rect in changed {
            let mut rect = extent.seen(rect);
            if !rect.is_positive() {
                continue;
            }
            // Apart from each other: what is painted twice would shine through itself.
            while let Some(at) = areas.iter().position(|area| area.intersects(rect)) {
                rect |= areas.swap_remove(at);
            }
            areas.push(rect);
        }
        let sum: f32 = areas.iter().map(Rect::area).sum();
        let worth = areas.len() <= MAX_DAMAGES && sum < WHOLE_PART * extent.whole().area();
        worth.then_some(areas)
    }
}

/// Shapes of one frame that are not in the other, those that are in both being in the same order.
fn differing<'a>(before: &'a [ClippedShape], now: &'a [ClippedShape]) -> Vec<&'a ClippedShape> {
    let mut found = Vec::new();
    let (mut old, mut new) = (before, now);
    while let (Some(was), Some(is)) = (old.first(), new.first()) {
        // One that is not there yet, or no more: what follows it is the same again.
        let gone = old.iter().take(REACH).position(|one| one == is);
        let come = new.iter().take(REACH).position(|one| one == was);
        let (skipped, added) = match (gone, come) {
            (Some(gone), come) if come.is_none_or(|come| gone <= come) => (gone, 0),
            (_, Some(come)) => (0, come),
            _ => (1, 1),
        };
        found.extend(&old[..skipped]);
        found.extend(&new[..added]);
        let same = usize::from(gone.is_some() || come.is_some());
        old = &old[skipped + same..];
        new = &new[added + same..];
    }
    found.extend(old);
    found.extend(new);
    found
}

/// Where columns of a texture of a given width are seen, in images of it.
fn of_texture(
    shape: &Shape,
    id: TextureId,
    width: usize,
    (from, columns): (usize, usize),
    found: &mut Vec<Rect>,
) {
    match shape {
        Shape::Vec(shapes) => {
            for shape in shapes {
                of_texture(shape, id, width, (from, columns), found);
            }
        }
        Shape::Mesh(mesh) if mesh.texture_id == id => {
            let seen = mesh.calc_bounds();
            let uvs = mesh.vertices.iter().map(|vertex| vertex.uv.x);
            let (least, most) = uvs.fold((1.0_f32, 0.0_f32), |(least, most), uv| {
                (least.min(uv), most.max(uv))
            });
            let x = |column: usize| {
                let part = column as f32 / width.max(1) as f32;
                seen.left() + (part - least) / (most - least) * seen.width()
            };
            let strip = Rect::from_x_y_ranges(x(from)..=x(from + columns), seen.y_range());
            found.push(strip.intersect(seen));
        }
        _ => {}
    }
}

/// What can be seen of the shapes in the areas, in the order of the shapes.
fn within(shapes: &[ClippedShape], areas: &[Rect], extent: Extent) -> Vec<ClippedShape> {
    let mut parts = Vec::new();
    for area in areas {
        for one in shapes {
            let clip_rect = one.clip_rect.intersect(*area);
            let seen = extent.seen(one.shape.visual_bounding_rect());
            if clip_rect.is_positive() && seen.intersects(*area) {
                parts.push(ClippedShape {
                    clip_rect,
                    ..one.clone()
                });
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::Scope;
    use egui::{Color32, Context, RawInput};
    use ui_types::feed::{Envelope, Message};
    use ui_types::{RowView, ScopeMode, ScopeSettings, StreamRows, ViewDescription};

    const CANVAS: Extent = Extent {
        size_px: [1_500, 1_050],
        ppp: 1.5,
    };

    fn boxes(places: &[f32]) -> Vec<ClippedShape> {
        let ground = Shape::rect_filled(CANVAS.whole(), 0.0, Color32::BLACK);
        let rect = |&x: &f32| Rect::from_min_size(pos2(x, 100.0), vec2(10.0, 10.0));
        let shapes = places
            .iter()
            .map(|x| Shape::rect_filled(rect(x), 0.0, Color32::WHITE));
        let clip_rect = CANVAS.whole();
        [ground]
            .into_iter()
            .chain(shapes)
            .map(|shape| ClippedShape {
                clip_rect,
                shape,
                transform_after_tessellation: TSTransform::IDENTITY,
            })
            .collect()
    }

    fn areas(before: &[f32], now: &[f32]) -> Option<Vec<Rect>> {
        let mut damage = Damage::default();
        let none = TexturesDelta::default();
        let first = damage.take(boxes(before), &none, None, CANVAS);
        assert_eq!(first, boxes(before), "the first frame is whole");
        damage.areas(&boxes(now), &none, None, CANVAS)
    }

    #[test]
    fn what_moves_is_painted_where_it_was_and_where_it_is() {
        assert_eq!(areas(&[10.0, 500.0], &[10.0, 500.0]), Some(Vec::new()));
        let found = areas(&[10.0, 500.0], &[10.0, 600.0]).expect("a part");
        assert_eq!(found.len(), 2);
        for (area, x) in found.iter().zip([500.0, 600.0]) {
            let rect = Rect::from_min_size(pos2(x, 100.0), vec2(10.0, 10.0));
            assert!(area.contains_rect(rect) && rect.expand(3.0).contains_rect(*area));
        }
        // One is added between two that stay.
        let found = areas(&[10.0, 500.0], &[10.0, 300.0, 500.0]).expect("a part");
        assert_eq!(found.len(), 1);
        assert!(found[0].contains(pos2(305.0, 105.0)));
        // Near each other they are one area: nothing is painted twice.
        assert_eq!(areas(&[500.0], &[508.0]).expect("a part").len(), 1);
    }

    #[test]
    fn the_ground_is_painted_again_below_what_changed_and_nowhere_else() {
        let mut damage = Damage::default();
        let none = TexturesDelta::default();
        damage.take(boxes(&[10.0, 500.0]), &none, None, CANVAS);
        let parts = damage.take(boxes(&[10.0, 600.0]), &none, None, CANVAS);
        // Ground at both places, the box at the new one; the box that stayed is not touched.
        assert_eq!(parts.len(), 3);
        assert!(parts.iter().all(|part| part.clip_rect.width() < 20.0));
        damage.forget();
        let whole = damage.take(boxes(&[10.0, 600.0]), &none, None, CANVAS);
        assert_eq!(whole, boxes(&[10.0, 600.0]));
    }

    /// Messages of one row, 100 columns a second.
    fn columns(range: std::ops::Range<u64>, history: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        Message::Envelope(Envelope {
            rows: 1,
            columns: (range.end - range.start) as u32,
            first_column: range.start,
            time_utc_ns: 1_700_000_000_000_000_000 + range.start as i64 * 10_000_000,
            column_ns: 1e7,
            history,
            values: range
                .flat_map(|at| [at as f32 % 7.0 * 10.0, at as f32 % 11.0 * 12.0])
                .collect(),
            ..Envelope::default()
        })
        .encode(&mut bytes);
        bytes
    }

    /// The part of the canvas that each frame of a live feed paints, after its first.
    fn painted(mode: ScopeMode) -> Vec<f32> {
        let mut scope = Scope::new(ScopeSettings {
            mode,
            ..ScopeSettings::default()
        });
        let ctx = Context::default();
        ctx.set_fonts(crate::theme::fonts());
        let mut description = Vec::new();
        Message::Description(ViewDescription {
            streams: vec![StreamRows {
                rate_hz: 1_000.0,
                rows: vec![RowView {
                    label: "Fp1-F7".to_owned(),
                    unit: "uV".to_owned(),
                    ..RowView::default()
                }],
                ..StreamRows::default()
            }],
            ..ViewDescription::default()
        })
        .encode(&mut description);
        scope.begin_feed(1, 0.0);
        scope.push(1, &description, 0.0);
        scope.push(1, &columns(0..1_000, true), 0.0);
        let mut damage = Damage::default();
        let mut parts = Vec::new();
        for frame in 0..200_u64 {
            let now_s = frame as f64 * 0.04;
            let from = 1_000 + frame * 4;
            scope.push(1, &columns(from..from + 4, false), now_s);
            let mut input = RawInput {
                screen_rect: Some(CANVAS.whole()),
                time: Some(now_s),
                ..RawInput::default()
            };
            for viewport in input.viewports.values_mut() {
                viewport.native_pixels_per_point = Some(CANVAS.ppp);
            }
            let mut output = ctx.run_ui(input, |ui| scope.ui(ui, now_s));
            let traces = scope.traces_texture();
            let areas = damage.areas(&output.shapes, &output.textures_delta, traces, CANVAS);
            let sum = |areas: Vec<Rect>| areas.iter().map(Rect::area).sum::<f32>();
            parts.push(areas.map_or(1.0, |areas| sum(areas) / CANVAS.whole().area()));
            damage.take(output.shapes, &output.textures_delta, traces, CANVAS);
            output.textures_delta.clear();
        }
        parts
    }

    #[test]
    fn a_sweep_paints_the_strip_that_it_writes() {
        let mut parts = painted(ScopeMode::Sweep);
        assert_eq!(parts[0], 1.0);
        parts.sort_by(f32::total_cmp);
        let (usual, most) = (parts[parts.len() / 2], parts[parts.len() - 10]);
        assert!(usual > 0.005 && usual < 0.06, "{usual}");
        assert!(most < 0.15, "{most}");
    }

    #[test]
    fn what_scrolls_is_painted_whole() {
        let parts = painted(ScopeMode::Scroll);
        assert!(parts.iter().all(|part| *part == 1.0), "{parts:?}");
    }
}
