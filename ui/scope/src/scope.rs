//! The canvas without a platform: takes messages, settings and the pointer in, draws through egui, and
//! says what it shows.

use std::collections::VecDeque;

use egui::{Rect, Ui};
use ui_types::{Measurement, ScopeEvent, ScopeMode, ScopeRow, ScopeSettings, ScopeState};

use crate::feeds::{self, Feeds};
use crate::layout::{Frame, Scale, negative_up};
use crate::limits::{
    KEPT_PAGES, LIVE_FRAME_S, MAX_EVENTS, PAGE_S, PX_PER_MM, SENSITIVITY_UV_MM, SILENT_AFTER_S,
    WHEEL_NOTCH_PT, WHEEL_PAGE_PART, ZONE_MIN, ZOOM_PAGE_S,
};
use crate::pointer::Pointer;
use crate::sheet::{Sheet, Source, extremes};
use crate::view::{Row, View};
use crate::window::{SECOND_NS, Window};
use crate::words;

/// The settings' JSON cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the settings of the canvas cannot be read")]
pub struct SettingsError(#[from] serde_json::Error);

/// Traces of a session or a page, and everything around them.
#[derive(Debug, Default)]
pub struct Scope {
    pub(crate) settings: ScopeSettings,
    pub(crate) feeds: Feeds,
    pub(crate) page: Option<View>,
    /// The live view as it stood when it was frozen; the feed goes on behind it.
    frozen: Option<View>,
    /// How live traces move while a page that is to take their place has not come.
    live_mode: ScopeMode,
    pages: u32,
    pub(crate) sheet: Sheet,
    pub(crate) pointer: Pointer,
    events: VecDeque<ScopeEvent>,
    told_size: Option<(u32, f64)>,
    frames: u64,
    painted_s: f64,
    /// Something other than live data changed: to be painted at once.
    changed: bool,
    /// Live data came: to be painted when it is time.
    moved: bool,
}

impl Scope {
    /// A canvas with nothing on it yet.
    #[must_use]
    pub fn new(settings: ScopeSettings) -> Self {
        let mut scope = Self::default();
        scope.apply(settings);
        scope
    }

    /// Takes the settings in, as JSON of [`ScopeSettings`].
    ///
    /// # Errors
    /// When it is none; the settings before stay.
    pub fn settings(&mut self, json: &str) -> Result<(), SettingsError> {
        self.apply(serde_json::from_str(json)?);
        Ok(())
    }

    /// Takes the settings in; what no screen or amplifier has is brought within reason.
    pub fn apply(&mut self, mut settings: ScopeSettings) {
        let within = |value: &mut f64, range: std::ops::RangeInclusive<f64>, otherwise: f64| {
            *value = if value.is_finite() {
                value.clamp(*range.start(), *range.end())
            } else {
                otherwise
            };
        };
        let usual = ScopeSettings::default();
        within(
            &mut settings.sensitivity_uv_mm,
            SENSITIVITY_UV_MM,
            usual.sensitivity_uv_mm,
        );
        for sensitivity in settings.sensitivity_by_kind.values_mut() {
            within(sensitivity, SENSITIVITY_UV_MM, usual.sensitivity_uv_mm);
        }
        within(&mut settings.page_s, PAGE_S, usual.page_s);
        within(&mut settings.px_per_mm, PX_PER_MM, usual.px_per_mm);
        settings.zone_offset_min = settings
            .zone_offset_min
            .clamp(*ZONE_MIN.start(), *ZONE_MIN.end());
        if settings.mode != ScopeMode::Review {
            self.live_mode = settings.mode;
            if self.page.take().is_some() {
                self.pointer.clear();
            }
        }
        let freeze = settings.frozen && settings.mode != ScopeMode::Review;
        if freeze && self.frozen.is_none() {
            self.frozen = self.feeds.shown().cloned();
        } else if !settings.frozen && self.frozen.take().is_some() {
            self.sheet.forget();
        }
        self.settings = settings;
        self.changed = true;
    }

    /// A feed begins that shall take the place of the one shown.
    pub fn begin_feed(&mut self, generation: u32, now_s: f64) {
        self.feeds.begin(generation, now_s);
    }

    /// Bytes of a feed; whole messages or parts of them, in their order.
    pub fn push(&mut self, generation: u32, bytes: &[u8], now_s: f64) {
        let keep_ns = self.settings.page_s * SECOND_NS * KEPT_PAGES;
        if self.feeds.push(generation, bytes, keep_ns, now_s) {
            self.moved = true;
        }
    }

    /// A page of a recording, whole. The page before stays when this one cannot be read.
    pub fn show_page(&mut self, bytes: &[u8]) {
        self.pages = self.pages.wrapping_add(1);
        match feeds::page(self.pages, bytes) {
            Some(page) => {
                self.page = Some(page);
                self.changed = true;
            }
            None => self.feeds.malformed += 1,
        }
    }

    /// The wheel over the traces: CSS pixels of travel, and whether it zooms (ctrl, or a pinch).
    pub fn wheel(&mut self, travel_x: f64, travel_y: f64, zoom: bool, x_pt: f64) {
        let Some(window) = self.sheet.window else {
            return;
        };
        let travel = if travel_x.abs() > travel_y.abs() {
            travel_x
        } else {
            travel_y
        };
        if !travel.is_finite() || travel == 0.0 {
            return;
        }
        let page_s = window.page_s();
        let columns = window.columns();
        let from = window.time((columns.end - window.width()) as f64);
        let (from_utc_ns, page_s) = if zoom {
            let wanted = (page_s * (travel / WHEEL_NOTCH_PT * 0.25).exp())
                .clamp(*ZOOM_PAGE_S.start(), *ZOOM_PAGE_S.end());
            // What stands under the pointer stays there.
            let part = self.sheet.frame.map_or(0.5, |frame| {
                ((x_pt - f64::from(frame.traces.left())) / f64::from(frame.traces.width()))
                    .clamp(0.0, 1.0)
            });
            let kept = from.saturating_add((part * page_s * SECOND_NS) as i64);
            (
                kept.saturating_sub((part * wanted * SECOND_NS) as i64),
                wanted,
            )
        } else {
            let by = travel / WHEEL_NOTCH_PT * WHEEL_PAGE_PART * page_s * SECOND_NS;
            (from.saturating_add(by as i64), page_s)
        };
        // Many small steps between two frames are one.
        self.events
            .retain(|event| !matches!(event, ScopeEvent::Moved { .. }));
        self.tell(ScopeEvent::Moved {
            from_utc_ns,
            page_s,
        });
    }

    /// The graphics side has lost what it had: everything is drawn anew.
    pub fn graphics_lost(&mut self) {
        self.sheet.forget();
        self.changed = true;
    }

    /// The pointer or the size changed: to be painted at once.
    pub fn touched(&mut self) {
        self.changed = true;
    }

    /// Whether a frame is to be painted now: at once for what a person did, thirty times a second for live
    /// data, once a second while a feed is silent, and never otherwise.
    #[must_use]
    pub fn wants_frame(&mut self, now_s: f64) -> bool {
        if self.feeds.switch(now_s) {
            self.changed = true;
        }
        let since = now_s - self.painted_s;
        self.changed
            || (self.moved && since >= LIVE_FRAME_S && !self.stands_still())
            || (self.silence_s(now_s).is_some() && since >= 1.0)
    }

    /// Whether something is still to come that [`Self::wants_frame`] must be asked for again.
    #[must_use]
    pub fn restless(&self) -> bool {
        self.changed || self.moved || self.feeds.waiting()
    }

    /// Live data changes nothing on the canvas.
    fn stands_still(&self) -> bool {
        matches!(self.source(), Source::Page { .. }) || self.frozen.is_some()
    }

    /// How long a live feed has been silent, once that is worth a word.
    pub(crate) fn silence_s(&self, now_s: f64) -> Option<f64> {
        let view = self.feeds.shown()?;
        if view.ended || matches!(self.source(), Source::Page { .. }) {
            return None;
        }
        let silent = now_s - self.feeds.heard_s?;
        (silent > SILENT_AFTER_S).then_some(silent)
    }

    fn source(&self) -> Source {
        match (self.settings.mode, &self.page) {
            (ScopeMode::Review, Some(page)) => Source::Page {
                number: page.generation,
            },
            _ => Source::Live {
                generation: self
                    .live_view()
                    .map(|view| view.generation)
                    .unwrap_or_default(),
            },
        }
    }

    fn live_view(&self) -> Option<&View> {
        self.frozen.as_ref().or_else(|| self.feeds.shown())
    }

    /// The view that is shown.
    pub(crate) fn view(&self) -> Option<&View> {
        match self.source() {
            Source::Page { .. } => self.page.as_ref(),
            Source::Live { .. } => self.live_view(),
        }
    }

    /// Paints a frame into the whole of `ui`.
    pub fn ui(&mut self, ui: &mut Ui, now_s: f64) {
        self.feeds.switch(now_s);
        self.frames += 1;
        self.painted_s = now_s;
        self.changed = false;
        self.moved = false;
        let canvas = ui.max_rect();
        if canvas.width() < 1.0 || canvas.height() < 1.0 {
            return; // a page that is not laid out yet
        }
        let frame = Frame::of(canvas, ui.ctx().pixels_per_point());
        self.tell_size(&frame);
        let source = self.source();
        let mode = match source {
            Source::Page { .. } => ScopeMode::Review,
            Source::Live { .. } => self.live_mode,
        };
        let view = match source {
            Source::Page { .. } => self.page.as_mut(),
            Source::Live { .. } => self.frozen.as_mut().or(self.feeds.shown_mut()),
        };
        let before = self.sheet.window;
        match view {
            Some(view) => {
                self.sheet
                    .update(ui.ctx(), view, source, &self.settings, mode, frame);
            }
            None => {
                self.sheet = Sheet::default();
                self.sheet.frame = Some(frame);
            }
        }
        // Another page or time base: what was framed is not there any more.
        if let (Some(before), Some(now)) = (before, self.sheet.window)
            && !before.is_same_strip(&now)
        {
            self.clear_marquee();
        }
        self.point(ui, &frame);
        crate::paint::canvas(self, ui, &frame, canvas, now_s);
    }

    fn tell_size(&mut self, frame: &Frame) {
        let columns = u32::try_from(frame.width_px).unwrap_or(u32::MAX);
        let width_mm = f64::from(frame.traces.width()) / self.settings.px_per_mm;
        if self.told_size != Some((columns, width_mm)) {
            self.told_size = Some((columns, width_mm));
            self.tell(ScopeEvent::Resized { columns, width_mm });
        }
    }

    pub(crate) fn tell(&mut self, event: ScopeEvent) {
        if self.events.len() >= MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    /// Tells the page that nothing more can be painted.
    #[cfg(target_arch = "wasm32")]
    pub(crate) fn fail(&mut self, message: String) {
        self.tell(ScopeEvent::Failed { message });
    }

    /// What the page is to be told since the last call.
    pub fn take_events(&mut self) -> impl Iterator<Item = ScopeEvent> {
        std::mem::take(&mut self.events).into_iter()
    }

    /// Least and greatest value of a row within a stretch of pixel columns.
    pub(crate) fn measure(&self, row: usize, from: i64, to: i64) -> Option<Measurement> {
        let view = self.view()?;
        let window = self.sheet.window?;
        let place = view.rows.get(row)?;
        let (from_ns, to_ns) = (window.time(from as f64), window.time((to + 1) as f64));
        let [min, max] = extremes(view, place.stream, place.row, from_ns, to_ns)?;
        let duration_s = to_ns.saturating_sub(from_ns) as f64 / SECOND_NS;
        let (min, max) = (f64::from(min), f64::from(max));
        Some(Measurement {
            row: place.view.label.clone(),
            from_utc_ns: from_ns,
            duration_s,
            frequency_hz: if duration_s > 0.0 {
                1.0 / duration_s
            } else {
                0.0
            },
            min,
            max,
            amplitude: max - min,
            unit: words::unit(&place.view.unit).to_owned(),
        })
    }

    /// Value of a row under the cursor, else its newest.
    pub(crate) fn value(&self, view: &View, row: &Row, cursor: Option<i64>) -> Option<[f32; 2]> {
        let (Some(column), Some(window)) = (cursor, self.sheet.window) else {
            return view.newest_column(row).filter(|value| !value[0].is_nan());
        };
        let (from, to) = (window.time(column as f64), window.time((column + 1) as f64));
        // Where samples are fewer than pixels, the one before still holds.
        extremes(view, row.stream, row.row, from, to).or_else(|| view.column_before(row, from))
    }

    /// Mark of a row: that of the worst of its channels, or of its own label.
    pub(crate) fn mark(&self, row: &Row) -> Option<&str> {
        let marks = &self.settings.channel_marks;
        row.view
            .inputs
            .iter()
            .chain([&row.view.label])
            .find_map(|channel| marks.get(channel))
            .map(String::as_str)
            .filter(|mark| !mark.is_empty())
    }

    /// What is shown, in words and figures: for who cannot see it, and for tests.
    #[must_use]
    pub fn state(&self) -> ScopeState {
        let mut state = ScopeState {
            page_s: self.settings.page_s,
            measurement: self.pointer.measurement(),
            frames: self.frames,
            malformed: self.feeds.malformed,
            ..ScopeState::default()
        };
        if let Some(frame) = self.sheet.frame {
            state.left_px = frame.traces.left().into();
            state.width_px = frame.traces.width().into();
            state.mm_per_s = state.width_px / self.settings.px_per_mm / state.page_s;
        }
        let Some(view) = self.view() else {
            return state;
        };
        state.generation = view.generation;
        state.newest_utc_ns = view.newest_ns().unwrap_or_default();
        state.montage = view
            .description
            .as_ref()
            .map(|description| description.montage_title.clone())
            .unwrap_or_default();
        let cursor = self.pointer.column();
        if let Some(window) = self.sheet.window {
            state.from_utc_ns = shown_from(&window);
            state.cursor_utc_ns = cursor.map(|column| window.time(column as f64));
            let gaps = view.gaps.iter().filter(|gap| {
                window
                    .spans(gap.from_utc_ns, view.gap_end(gap))
                    .next()
                    .is_some()
            });
            state.gaps = u32::try_from(gaps.count()).unwrap_or(u32::MAX);
        }
        state.rows = view
            .rows
            .iter()
            .enumerate()
            .map(|(at, row)| ScopeRow {
                label: row.view.label.clone(),
                value: match (&row.view.blank, self.value(view, row, cursor)) {
                    (Some(reason), _) => reason.clone(),
                    (None, Some(value)) => words::value(value, &row.view.unit),
                    (None, None) => words::word(&self.settings, "no_data").to_owned(),
                },
                mark: self.mark(row).unwrap_or_default().to_owned(),
                y_px: self.sheet.places.get(at).map_or(0.0, |place| place.base_pt),
                negative_up: negative_up(&row.view, &self.settings),
                sensitivity_uv_mm: match self.sheet.places.get(at).map(|place| place.scale) {
                    Some(Scale::Potential { sensitivity, .. }) => Some(sensitivity),
                    Some(Scale::Fitted) | None => None,
                },
            })
            .collect();
        state
    }

    /// How a row stands on the canvas, for each pixel column shown from the oldest to the newest: upper and
    /// lower end in CSS pixels from the canvas's top, `None` where nothing is drawn.
    #[must_use]
    pub fn geometry(&self, label: &str) -> Vec<Option<[f32; 2]>> {
        let (Some(view), Some(frame)) = (self.view(), self.sheet.frame) else {
            return Vec::new();
        };
        let Some(row) = view.rows.iter().position(|row| row.view.label == label) else {
            return Vec::new();
        };
        let pt = |px: f32| px / frame.ppp + frame.traces.top();
        self.sheet
            .extents(view, row)
            .into_iter()
            .map(|extent| {
                extent
                    .is_something()
                    .then(|| [pt(extent.top), pt(extent.bottom)])
            })
            .collect()
    }

    /// Where the traces stand on the canvas, CSS pixels.
    #[must_use]
    pub fn traces(&self) -> Option<Rect> {
        self.sheet.frame.map(|frame| frame.traces)
    }

    /// The texture that the traces are drawn into, and its size in pixels.
    #[cfg(any(target_arch = "wasm32", test))]
    pub(crate) fn traces_texture(&self) -> Option<(egui::TextureId, [usize; 2])> {
        let texture = self.sheet.texture()?;
        Some((texture.id(), texture.size()))
    }

    /// Pixel columns that the last frame drew anew.
    #[must_use]
    pub fn columns_drawn(&self) -> usize {
        self.sheet.columns_drawn
    }
}

/// Begin of the page that ends with what is newest.
fn shown_from(window: &Window) -> i64 {
    window.time((window.columns().end - window.width()) as f64)
}
