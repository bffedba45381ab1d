//! The canvas of the traces within a page: its life, its feed or page, and the same in words beside it.

use super::app::{App, Tone};
use super::bridge::{self, Feed, Scope};
use super::parts::{Rest, every};
use super::view_bar::{self, View};
use crate::format;
use crate::limits::{COLUMNS, TICK_MS};
use crate::test_ids as id;
use crate::words::{Text, common, fill, review, session as words, t};
use leptos::prelude::*;
use leptos::task::spawn_local;
use std::collections::BTreeMap;
use ui_types::{
    AnnotationMark, ApiError, FeedRequest, GapMark, Measurement, PageRequest, ScopeEvent, ScopeRow,
    ScopeState, ViewDescription,
};

/// How often a canvas is made anew after it has failed, before a person is asked.
const ATTEMPTS: u32 = 3;

/// Rest before the new size of a window is used, ms.
const RESIZE_REST_MS: u32 = 150;

/// A canvas of traces and what is known of it.
#[derive(Clone, Copy)]
pub(crate) struct Traces {
    scope: StoredValue<Option<Scope>, LocalStorage>,
    feed: StoredValue<Option<Feed>, LocalStorage>,
    generation: StoredValue<u32>,
    attempt: RwSignal<u32>,
    /// How often a feed was asked for again.
    reopened: RwSignal<u32>,
    /// The canvas that is ready, counted from 1; 0 while none is.
    pub(crate) ready: RwSignal<u32>,
    pub(crate) failed: RwSignal<Option<String>>,
    /// Why there is no feed or page.
    pub(crate) refused: RwSignal<Option<ApiError>>,
    pub(crate) state: RwSignal<ScopeState>,
    pub(crate) columns: RwSignal<u32>,
    pub(crate) description: RwSignal<ViewDescription>,
    pub(crate) measurement: RwSignal<Option<Measurement>>,
    pub(crate) gaps: RwSignal<Vec<GapMark>>,
    pub(crate) marks: RwSignal<BTreeMap<u64, AnnotationMark>>,
    pub(crate) ended: RwSignal<bool>,
}

impl Traces {
    pub(crate) fn new() -> Self {
        Self {
            scope: StoredValue::new_local(None),
            feed: StoredValue::new_local(None),
            generation: StoredValue::new(0),
            attempt: RwSignal::new(0),
            reopened: RwSignal::new(0),
            ready: RwSignal::new(0),
            failed: RwSignal::new(None),
            refused: RwSignal::new(None),
            state: RwSignal::new(ScopeState::default()),
            columns: RwSignal::new(0),
            description: RwSignal::new(ViewDescription::default()),
            measurement: RwSignal::new(None),
            gaps: RwSignal::new(Vec::new()),
            marks: RwSignal::new(BTreeMap::new()),
            ended: RwSignal::new(false),
        }
    }

    fn handle(&self) -> Option<f64> {
        self.scope
            .try_with_value(|scope| scope.as_ref().map(Scope::handle))
            .flatten()
    }

    /// Takes the texts of a feed or page.
    fn hear(self, kind: &str, text: &str) {
        match kind {
            "description" => {
                if let Ok(description) = serde_json::from_str(text) {
                    self.description.try_set(description);
                }
            }
            "gap" => {
                if let Ok(gap) = serde_json::from_str::<GapMark>(text) {
                    self.gaps.try_update(|gaps| {
                        gaps.retain(|one| {
                            one.stream != gap.stream || one.from_utc_ns != gap.from_utc_ns
                        });
                        gaps.push(gap);
                    });
                }
            }
            "annotation" => {
                if let Ok(mark) = serde_json::from_str::<AnnotationMark>(text) {
                    self.marks.try_update(|marks| marks.insert(mark.id, mark));
                }
            }
            "end" => {
                self.ended.try_set(true);
            }
            _ => {}
        }
    }

    /// Shows the live feed of a session while `wanted`; another montage, filter, width or time base is
    /// another feed, and the old one stands until the new one has come.
    pub(crate) fn follow(self, view: View, session: Signal<String>, wanted: Signal<bool>) {
        Effect::new(move |_| {
            self.reopened.track();
            let (ready, columns) = (self.ready.get(), self.columns.get());
            let (spec, page_s, id) = (view.spec(), view.page_s(), session.get());
            if !wanted.get() {
                self.feed.try_set_value(None);
                return;
            }
            if ready == 0 || columns == 0 || id.is_empty() || !view.chosen() {
                return;
            }
            let request = FeedRequest {
                id,
                spec,
                columns_per_s: f64::from(columns) / page_s,
                history_s: page_s,
            };
            self.open(request);
        });
    }

    /// Asks for the live feed anew: what its rows are called has changed.
    pub(crate) fn anew(self) {
        self.reopened.update(|count| *count += 1);
    }

    fn open(self, request: FeedRequest) {
        let generation = self.generation.get_value() + 1;
        self.generation.set_value(generation);
        let Some(handle) = self.handle() else { return };
        self.ended.set(false);
        spawn_local(async move {
            let current = move || self.generation.try_get_value() == Some(generation);
            let opened = Feed::open(handle, generation, &request, move |kind, text| {
                if current() {
                    self.hear(kind, text);
                }
            })
            .await;
            if !current() {
                return; // another view was chosen meanwhile; this feed closes as it is dropped
            }
            match opened {
                Ok(feed) => {
                    self.refused.try_set(None);
                    self.feed.try_set_value(Some(feed));
                }
                // A session that has just begun may have no feed yet.
                Err(_)
                    if self
                        .reopened
                        .try_get_untracked()
                        .is_some_and(|tried| tried < view_bar::ATTEMPTS) =>
                {
                    view_bar::again(self.reopened);
                }
                Err(error) => {
                    self.refused.try_set(Some(error));
                }
            }
        });
    }

    /// Shows a page of a recording; the last one asked for wins.
    pub(crate) fn page(self, request: PageRequest) {
        let generation = self.generation.get_value() + 1;
        self.generation.set_value(generation);
        let Some(handle) = self.handle() else { return };
        spawn_local(async move {
            self.gaps.try_set(Vec::new());
            let current = move || self.generation.try_get_value() == Some(generation);
            let read = bridge::read_page(handle, &request, move |kind, text| {
                if current() {
                    self.hear(kind, text);
                }
            })
            .await;
            if current() {
                self.refused.try_set(read.err());
            }
        });
    }

    /// Width of the traces as a number of columns that may be asked for.
    pub(crate) fn page_columns(&self) -> u32 {
        self.columns.get().clamp(COLUMNS.0, COLUMNS.1)
    }

    fn renew(self) {
        self.ready.set(0);
        self.feed.set_value(None);
        self.scope.set_value(None);
        self.failed.set(None);
        self.attempt.update(|attempt| *attempt += 1);
    }

    fn event(self, app: App, rest: Rest, event: &ScopeEvent, more: &impl Fn(&ScopeEvent)) {
        match event {
            ScopeEvent::Resized { columns, .. } => {
                let columns = (*columns).clamp(COLUMNS.0, COLUMNS.1);
                if self.columns.get_untracked() == 0 {
                    self.columns.set(columns);
                } else {
                    rest.run(move || {
                        if self
                            .columns
                            .try_get_untracked()
                            .is_some_and(|now| now != columns)
                        {
                            self.columns.try_set(columns);
                        }
                    });
                }
            }
            ScopeEvent::Measured(measurement) => self.measurement.set(Some(measurement.clone())),
            ScopeEvent::MeasureCleared => self.measurement.set(None),
            ScopeEvent::Failed { message } => {
                let message = message.clone();
                // Not from within its own call: the canvas is taken away first.
                set_timeout(
                    move || {
                        if self
                            .attempt
                            .try_get_untracked()
                            .is_some_and(|attempt| attempt < ATTEMPTS)
                        {
                            app.notify(Tone::Warning, t(words::TRACES_AGAIN).to_owned());
                            self.renew();
                        } else {
                            self.failed.try_set(Some(message));
                        }
                    },
                    std::time::Duration::ZERO,
                );
            }
            ScopeEvent::Moved { .. }
            | ScopeEvent::AnnotationPicked { .. }
            | ScopeEvent::PointPicked { .. } => {}
        }
        more(event);
    }
}

/// The canvas, and the same in words for those who cannot see it.
pub(crate) fn traces_view(
    app: App,
    traces: Traces,
    settings: Signal<ui_types::ScopeSettings>,
    title: Text,
    on_event: impl Fn(&ScopeEvent) + Clone + 'static,
) -> impl IntoView {
    let rest = Rest::new(RESIZE_REST_MS);
    Effect::new(move |_| {
        let attempt = traces.attempt.get();
        let on_event = on_event.clone();
        request_animation_frame(move || {
            spawn_local(async move {
                let canvas = format!("{}-{attempt}", id::CANVAS);
                let Some(now) = settings.try_get_untracked() else {
                    return;
                };
                let made = Scope::create(&canvas, &now, attempt > 0, move |event| {
                    traces.event(app, rest, &event, &on_event);
                })
                .await;
                match made {
                    Ok(scope) => {
                        if traces.scope.try_set_value(Some(scope)).is_none() {
                            traces.ready.set(attempt + 1);
                        }
                    }
                    Err(error) => {
                        traces.failed.try_set(Some(error.message));
                    }
                }
            });
        });
    });
    Effect::new(move |_| {
        let settings = settings.get();
        if traces.ready.get() > 0 {
            traces.scope.with_value(|scope| {
                if let Some(scope) = scope {
                    scope.settings(&settings);
                }
            });
        }
    });
    every(TICK_MS, move || {
        let state = traces
            .scope
            .try_with_value(|scope| scope.as_ref().and_then(Scope::state))
            .flatten();
        if let Some(state) = state {
            traces.state.try_set(state);
        }
    });
    let canvas = move || {
        let number = traces.attempt.get();
        view! {
            <canvas id=format!("{}-{number}", id::CANVAS) data-testid=id::CANVAS role="img" aria-label=t(title)
                aria-describedby=id::CANVAS_TWIN></canvas>
        }
    };
    view! {
        <div class="traces">
            {canvas}
            {move || traces.failed.get().map(|why| view! {
                <div class="cover">
                    <p role="alert">"▲ "{fill(words::TRACES_FAILED, &[("why", &why)])}</p>
                    <button type="button" class="primary" on:click=move |_| traces.renew()>{t(common::RETRY)}</button>
                </div>
            })}
            {move || (traces.ready.get() == 0 && traces.failed.with(Option::is_none)).then(|| view! {
                <div class="cover"><p class="loading" role="status">{t(words::TRACES_LOADING)}</p></div>
            })}
            {twin(traces)}
        </div>
    }
}

/// How a row is drawn: 'negative up, 7 µV/mm'.
fn drawn(row: &ScopeRow) -> String {
    let up = t(if row.negative_up {
        review::NEGATIVE_UP
    } else {
        review::POSITIVE_UP
    });
    match row.sensitivity_uv_mm {
        Some(sensitivity) => format!("{up}, {} µV/mm", format::number(sensitivity, 3)),
        None => up.to_owned(),
    }
}

fn twin(traces: Traces) -> impl IntoView {
    let state = traces.state;
    let part = move |of: fn(&ScopeState) -> String| move || state.with(of);
    let offset = move || {
        traces
            .description
            .with(|description| description.zone_offset_min)
    };
    let caption = move || {
        state.with(|state| {
            let from = format::clock_zone(state.from_utc_ns, offset());
            format!(
                "{}: {}, {}, {}",
                t(words::TWIN),
                state.montage,
                from,
                format::span(state.page_s)
            )
        })
    };
    view! {
        <div class="unseen" id=id::CANVAS_TWIN data-testid=id::CANVAS_TWIN
            data-frames=part(|state| state.frames.to_string())
            data-generation=part(|state| state.generation.to_string())
            data-newest-ns=part(|state| state.newest_utc_ns.to_string())
            data-from-ns=part(|state| state.from_utc_ns.to_string())
            data-montage=part(|state| state.montage.clone())
            data-mm-per-s=part(|state| format::number(state.mm_per_s, 2))
            data-left=part(|state| state.left_px.to_string())
            data-width=part(|state| state.width_px.to_string())
            data-malformed=part(|state| state.malformed.to_string())
        >
            <table>
                <caption>{caption}</caption>
                <thead>
                    <tr>
                        <th scope="col">{t(words::CHANNEL)}</th><th scope="col">{t(words::VALUE)}</th>
                        <th scope="col">{t(words::DRAWN)}</th><th scope="col">{t(words::MARK_COLUMN)}</th>
                    </tr>
                </thead>
                <tbody>
                    {move || state.with(|state| state.rows.iter().map(|row| {
                        let mark = crate::words::codes::word(&row.mark, &row.mark).to_owned();
                        view! {
                            <tr data-row=row.label.clone() data-y=format::number(row.y_px, 1) data-up=if row.negative_up { "negative" } else { "positive" }>
                                <th scope="row">{row.label.clone()}</th><td>{row.value.clone()}</td><td>{drawn(row)}</td><td>{mark}</td>
                            </tr>
                        }
                    }).collect_view())}
                </tbody>
            </table>
        </div>
    }
}
