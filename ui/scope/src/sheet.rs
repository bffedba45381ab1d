//! What has been drawn: the ring of pixel columns on the graphics side, brought up to date with the view
//! at each frame by the columns that changed.

use egui::{Color32, ColorImage, Context, TextureHandle, TextureOptions};
use ui_types::{ScopeMode, ScopeSettings};

use crate::layout::{Frame, Place, Scale, negative_up, places, pt_per_unit};
use crate::limits::{FIT_SHRINK, SWEEP_BLANK_PART, SWEEP_BLANK_PT, TRACE_PT};
use crate::raster::{Extent, Pen, Places, Strip, trace};
use crate::theme::Colours;
use crate::view::View;
use crate::window::Window;

/// Where a view comes from; another source is another sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Live { generation: u32 },
    Page { number: u32 },
}

/// What, once changed, asks for a new strip.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Key {
    source: Source,
    mode: ScopeMode,
    page_s: f64,
    width_px: usize,
    ppp: f32,
}

#[derive(Default)]
pub(crate) struct Sheet {
    key: Option<Key>,
    pub(crate) window: Option<Window>,
    pub(crate) frame: Option<Frame>,
    pub(crate) places: Vec<Place>,
    pub(crate) pens: Vec<Pen>,
    /// What fitted rows have shown.
    ranges: Vec<[f32; 2]>,
    texture: Option<TextureHandle>,
    /// Newest pixel column drawn.
    drawn_to: Option<i64>,
    rows_changed: u64,
    found: Vec<Places>,
    extents: Vec<Extent>,
    /// Pixel columns drawn in the last frame, for tests and the measure of cost.
    pub(crate) columns_drawn: usize,
}

impl std::fmt::Debug for Sheet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sheet")
            .field("window", &self.window)
            .field("drawn_to", &self.drawn_to)
            .finish_non_exhaustive()
    }
}

impl Sheet {
    /// Everything is drawn anew at the next frame: the graphics side has lost what it had.
    pub(crate) fn forget(&mut self) {
        self.texture = None;
        self.drawn_to = None;
    }

    pub(crate) fn texture(&self) -> Option<&TextureHandle> {
        self.texture.as_ref()
    }

    /// What a fitted row has shown.
    pub(crate) fn range(&self, row: usize) -> Option<[f32; 2]> {
        self.ranges.get(row).copied()
    }

    /// Brings the drawn columns up to date.
    pub(crate) fn update(
        &mut self,
        ctx: &Context,
        view: &mut View,
        source: Source,
        settings: &ScopeSettings,
        mode: ScopeMode,
        frame: Frame,
    ) {
        self.columns_drawn = 0;
        let key = Key {
            source,
            mode,
            page_s: settings.page_s,
            width_px: frame.width_px,
            ppp: frame.ppp,
        };
        let mut anew = self.frame != Some(frame) || self.rows_changed != view.rows_changed;
        if self.key != Some(key) || self.window.is_none() {
            self.window = strip(view, &key, frame);
            self.key = self.window.is_some().then_some(key);
            anew = true;
        }
        self.frame = Some(frame);
        self.rows_changed = view.rows_changed;
        let Some(mut window) = self.window else {
            self.places = places(&view.rows, settings, &frame);
            return;
        };
        if let Some(newest) = view.newest_middle_ns() {
            window.advance(newest);
        }
        self.window = Some(window);
        self.places = places(&view.rows, settings, &frame);
        self.fit(view, &window, anew);
        let pens = self.new_pens(view, settings, &frame);
        anew |= pens != self.pens || self.texture.is_none();
        self.pens = pens;
        self.draw(ctx, view, &window, frame, anew);
    }

    /// Follows the values of rows that fill their height; what has once been shown stays within, until it
    /// is far too much room.
    fn fit(&mut self, view: &View, window: &Window, anew: bool) {
        self.ranges.resize(view.rows.len(), [0.0; 2]);
        if anew {
            self.ranges.fill([0.0; 2]);
        }
        let columns = window.columns();
        let (from, to) = (
            window.time(columns.start as f64),
            window.time(columns.end as f64),
        );
        for (at, row) in view.rows.iter().enumerate() {
            if !matches!(self.places.get(at), Some(place) if place.scale == Scale::Fitted) {
                continue;
            }
            let Some([low, high]) = extremes(view, row.stream, row.row, from, to) else {
                continue;
            };
            let range = &mut self.ranges[at];
            let room = range[1] - range[0];
            let outside = low < range[0] || high > range[1];
            if room <= 0.0 || outside || (high - low) < room * FIT_SHRINK as f32 {
                // A constant gets a room of its own size, so that it stands in the middle.
                let margin = ((high - low) * 0.1)
                    .max(high.abs().max(low.abs()) * 1e-3)
                    .max(f32::MIN_POSITIVE);
                let new = [low - margin, high + margin];
                // Room that is only a margin wider would be given and taken for ever.
                if room <= 0.0 || outside || (new[1] - new[0]) < room * 0.9 {
                    *range = new;
                }
            }
        }
    }

    fn new_pens(&self, view: &View, settings: &ScopeSettings, frame: &Frame) -> Vec<Pen> {
        let colours = Colours::of(settings.theme);
        view.rows
            .iter()
            .zip(&self.places)
            .zip(&self.ranges)
            .map(|((row, place), range)| {
                let per_unit = pt_per_unit(place, settings, *range) * f64::from(frame.ppp);
                let potential = matches!(place.scale, Scale::Potential { .. });
                let downward = if negative_up(&row.view, settings) {
                    per_unit
                } else {
                    -per_unit
                };
                Pen {
                    base_px: ((place.base_pt - f64::from(frame.traces.top()))
                        * f64::from(frame.ppp)) as f32,
                    zero: if potential {
                        0.0
                    } else {
                        f32::midpoint(range[0], range[1])
                    },
                    scale: downward as f32,
                    colour: colours.row(&row.view),
                }
            })
            .collect()
    }

    fn draw(&mut self, ctx: &Context, view: &mut View, window: &Window, frame: Frame, anew: bool) {
        // All slots of the ring, the blank band ahead of the write position included.
        let end = window.head() + 1 + window.blank();
        let all = end - window.width()..end;
        let changed = view
            .streams
            .iter_mut()
            .filter_map(|stream| {
                let number = stream.buffer.take_changed()?;
                // The column before may now be joined to it.
                Some(window.pixel(stream.buffer.place(number)).saturating_sub(1))
            })
            .min();
        let drawn_to = self.drawn_to.filter(|&to| to <= window.head() && !anew);
        let wanted = match (drawn_to, changed) {
            (None, _) => all,
            (Some(to), Some(from)) => from.min(to + 1).max(all.start)..end,
            (Some(to), None) if to < window.head() => (to + 1).max(all.start)..end,
            (Some(_), None) => return,
        };
        self.drawn_to = Some(window.head());
        let size = [frame.width_px, frame.height_px];
        if self
            .texture
            .as_ref()
            .is_none_or(|texture| texture.size() != size)
        {
            let blank = ColorImage::filled(size, Color32::TRANSPARENT);
            self.texture = Some(ctx.load_texture("traces", blank, TextureOptions::NEAREST));
        }
        let mut from = wanted.start;
        while from < wanted.end {
            let slot = window.slot(from);
            let room = window.width() - slot as i64;
            let to = wanted.end.min(from + room);
            let strip = self.strip(view, window, from..to, frame);
            let image = ColorImage::new([strip.width, strip.height], strip.pixels);
            if let Some(texture) = &mut self.texture {
                texture.set_partial([slot, 0], image, TextureOptions::NEAREST);
            }
            self.columns_drawn += strip.width;
            from = to;
        }
    }

    /// The pixels of some columns, all rows.
    fn strip(
        &mut self,
        view: &View,
        window: &Window,
        columns: std::ops::Range<i64>,
        frame: Frame,
    ) -> Strip {
        let width_px = (TRACE_PT as f32 * frame.ppp).max(1.0);
        // A wide trace is drawn rightward; what stands left of the strip reaches in.
        let lead = (width_px.round() as usize).saturating_sub(1);
        let shown = window.columns();
        let first = (columns.start - lead as i64).max(shown.start);
        let lead = usize::try_from(columns.start - first).unwrap_or(0);
        let wanted = first..columns.end;
        let count = usize::try_from(columns.end - columns.start).unwrap_or(0);
        let mut strip = Strip::new(count, frame.height_px);
        self.found.resize_with(view.streams.len(), Places::default);
        for (found, stream) in self.found.iter_mut().zip(&view.streams) {
            found.find(stream, window, &wanted);
        }
        for (row, pen) in view.rows.iter().zip(&self.pens) {
            if row.view.blank.is_some() {
                continue;
            }
            let Some(stream) = view.streams.get(row.stream) else {
                continue;
            };
            let found = &self.found[row.stream];
            trace(stream, row.row, found, pen, &wanted, &mut self.extents);
            // Older columns than are shown would stand in the blank band.
            for column in wanted.start..shown.start.min(wanted.end) {
                if let Ok(at) = usize::try_from(column - wanted.start) {
                    self.extents[at] = Extent::NOTHING;
                }
            }
            strip.draw(&self.extents, lead, width_px, pen.colour);
        }
        strip
    }

    /// Extents of a row as it is drawn, for all pixel columns shown: the geometry itself.
    pub(crate) fn extents(&self, view: &View, row: usize) -> Vec<Extent> {
        let mut extents = Vec::new();
        if let (Some(window), Some(place), Some(pen)) =
            (self.window, view.rows.get(row), self.pens.get(row))
            && let Some(stream) = view.streams.get(place.stream)
        {
            let mut found = Places::default();
            let wanted = window.columns();
            found.find(stream, &window, &wanted);
            trace(stream, place.row, &found, pen, &wanted, &mut extents);
        }
        extents
    }
}

/// The strip of a view, once there is something to place on it.
fn strip(view: &View, key: &Key, frame: Frame) -> Option<Window> {
    let begin = view.oldest_ns()?;
    Some(match key.mode {
        ScopeMode::Review => {
            let begin = view.page_begin_ns().unwrap_or(begin);
            Window::page(key.width_px, key.page_s, begin)
        }
        mode => {
            // The first stream with columns sets where columns begin.
            let phase = view
                .streams
                .iter()
                .find_map(|stream| stream.buffer.oldest_ns())
                .unwrap_or(begin);
            let blank = (frame.width_px as f64 * SWEEP_BLANK_PART)
                .max(SWEEP_BLANK_PT * f64::from(frame.ppp));
            Window::live(mode, key.width_px, key.page_s, phase, blank as usize)
        }
    })
}

/// Least and greatest value of a row between two times.
pub(crate) fn extremes(
    view: &View,
    stream: usize,
    row: usize,
    from_ns: i64,
    to_ns: i64,
) -> Option<[f32; 2]> {
    let buffer = &view.streams.get(stream)?.buffer;
    let numbers = buffer.at_or_after(from_ns)..buffer.at_or_after(to_ns);
    let mut found: Option<[f32; 2]> = None;
    for number in numbers {
        let [low, high] = buffer.value(row, number);
        if !low.is_nan() {
            found = Some(found.map_or([low, high], |[least, greatest]| {
                [least.min(low), greatest.max(high)]
            }));
        }
    }
    found
}
