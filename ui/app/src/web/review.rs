//! Review: any recording, a page at a time.

use super::app::{App, Tone, app};
use super::parts::{Load, error_note, fetch, loaded};
use super::recordings::recordings;
use super::review_annotations::{Marks, annotation_list, gap_list};
use super::scope_view::{Traces, traces_view};
use super::session::patient_banner;
use super::view_bar::{View, view_bar};
use crate::format;
use crate::hotkeys::Action;
use crate::route::Route;
use crate::test_ids as id;
use crate::timeline::Stretch;
use crate::words::{common, fill, review as words, t};
use leptos::prelude::*;
use leptos::task::spawn_local;
use ui_types::{
    Measurement, PageRequest, PatientShow, PatientView, RecordingShow, RecordingShowReply,
    RecordingVerify, ScopeEvent, ScopeMode, SessionList,
};

/// The page.
pub(crate) fn page(id: String) -> AnyView {
    let app = app();
    if id.is_empty() {
        return view! {
            <div class="page">
                <h1>{t(words::CHOOSE)}</h1>
                {recordings(words::THE_RECORDING, words::NO_RECORDINGS, |session| session.recording.is_some(), move |id| app.go(Route::Review(id)))}
            </div>
        }
        .into_any();
    }
    let shown = RwSignal::new(Load::Loading);
    let asked = id.clone();
    fetch(shown, async move {
        app.call(&RecordingShow { id: asked }).await
    });
    (move || {
        shown.with(|shown| {
            loaded(shown, words::THE_RECORDING, |reply| {
                recording(app, id.clone(), reply.clone())
            })
        })
    })
    .into_any()
}

/// A recording being read.
#[derive(Clone, Copy)]
pub(crate) struct Reading {
    pub(crate) app: App,
    pub(crate) id: Signal<String>,
    pub(crate) shown: RwSignal<RecordingShowReply>,
    pub(crate) stretch: RwSignal<Stretch>,
    pub(crate) selected: RwSignal<Option<u64>>,
    pub(crate) traces: Traces,
}

impl Reading {
    pub(crate) fn offset(&self) -> i32 {
        self.shown
            .with(|shown| format::zone_min(&shown.started))
            .unwrap_or_default()
    }

    pub(crate) fn jump(&self, ns: i64) {
        self.stretch.update(|stretch| *stretch = stretch.around(ns));
    }

    /// Reads annotations and gaps again.
    pub(crate) fn again(self) {
        let id = self.id.get_untracked();
        spawn_local(async move {
            if let Ok(shown) = self.app.call(&RecordingShow { id }).await {
                self.shown.try_set(shown);
            }
        });
    }
}

fn recording(app: App, id: String, shown: RecordingShowReply) -> impl IntoView {
    let id = Signal::stored(id);
    let begin = format::utc_ns(&shown.started).unwrap_or_default();
    let reading = Reading {
        app,
        id,
        shown: RwSignal::new(shown),
        stretch: RwSignal::new(Stretch {
            begin_ns: begin,
            end_ns: begin,
            from_ns: begin,
            page_s: 10.0,
        }),
        selected: RwSignal::new(None),
        traces: Traces::new(),
    };
    let view = View::new(app, id, Signal::stored(true));
    let traces = reading.traces;
    view.take_keys();
    take_keys(reading);
    show_pages(reading, view);
    let patient = patient_of(app, id);
    let marks = Marks::new(reading);
    let settings = Memo::new(move |_| {
        let mut settings = view.settings(ScopeMode::Review, reading.offset());
        settings.selected_annotation = reading.selected.get();
        settings
    });
    let on_event = move |event: &ScopeEvent| match event {
        ScopeEvent::Moved {
            from_utc_ns,
            page_s,
        } => {
            if (page_s - view.page_s()).abs() > 1e-6 {
                view.set_page_s(*page_s);
            }
            reading.stretch.update(|stretch| {
                *stretch = Stretch {
                    page_s: *page_s,
                    ..*stretch
                }
                .at(*from_utc_ns);
            });
        }
        ScopeEvent::AnnotationPicked { id } => reading.selected.set(Some(*id)),
        ScopeEvent::PointPicked { utc_ns, .. } => marks.add_dialog(*utc_ns),
        _ => {}
    };
    let provenance = Signal::derive(move || reading.shown.with(|shown| shown.provenance.clone()));
    view! {
        <div class="page session">
            {patient_banner(app, patient, provenance)}
            <div class="over-traces">
                <h1 class="small">{t(common::REVIEW)}</h1>
                {paging(reading)}
                <span class="grow"></span>
                {verify(app, id)}
                <button type="button" class="quiet" on:click=move |_| app.go(Route::Review(String::new()))>{t(words::OTHER)}</button>
            </div>
            <div class="session-grid two">
                <div class="centre">
                    {move || traces.refused.get().map(|error| error_note(&error))}
                    {traces_view(app, traces, settings.into(), words::TRACES, on_event)}
                    {overview(reading)}
                    {view_bar(view, traces, false)}
                </div>
                <aside class="side">
                    {measure_panel(traces)}
                    {annotation_list(reading, marks)}
                    {gap_list(reading)}
                    {facts(reading)}
                </aside>
            </div>
        </div>
    }
}

/// The patient of the recording's session.
fn patient_of(app: App, id: Signal<String>) -> Signal<Option<PatientView>> {
    let patient = RwSignal::new(None);
    let id = id.get_untracked();
    spawn_local(async move {
        let Ok(reply) = app.call(&SessionList::default()).await else {
            return;
        };
        let session = reply
            .sessions
            .into_iter()
            .find(|one| one.id == id || one.recording.as_deref() == Some(&id));
        let Some(session) = session else { return };
        if let Ok(found) = app
            .call(&PatientShow {
                id: session.patient,
            })
            .await
        {
            patient.try_set(Some(found));
        }
    });
    Signal::derive(move || patient.get())
}

/// Asks for the page that the stretch and the view name, whenever either changes.
fn show_pages(reading: Reading, view: View) {
    let traces = reading.traces;
    // The description of the first page says where the recording begins and ends.
    let bounds = Memo::new(move |_| {
        traces
            .description
            .with(|description| (description.begin_utc_ns, description.end_utc_ns))
    });
    Effect::new(move |_| {
        let (begin_ns, end_ns) = bounds.get();
        if end_ns > begin_ns {
            reading.stretch.update(|stretch| {
                *stretch = Stretch {
                    begin_ns,
                    end_ns,
                    ..*stretch
                }
                .at(stretch.from_ns.max(begin_ns));
            });
        }
    });
    Effect::new(move |_| {
        let page_s = view.page_s();
        if reading
            .stretch
            .with_untracked(|stretch| (stretch.page_s - page_s).abs() > 1e-9)
        {
            reading
                .stretch
                .update(|stretch| *stretch = stretch.with_page(page_s));
        }
    });
    let from = Memo::new(move |_| reading.stretch.with(|stretch| stretch.from_ns));
    Effect::new(move |_| {
        reading.shown.track(); // an annotation was added or superseded
        let (ready, columns) = (traces.ready.get(), traces.columns.get());
        let (from, page_s, spec) = (from.get(), view.page_s(), view.spec());
        if ready == 0 || columns == 0 || !view.chosen() {
            return;
        }
        traces.page(PageRequest {
            id: reading.id.get(),
            spec,
            from_utc_ns: Some(from),
            duration_s: Some(page_s),
            columns: traces.page_columns(),
        });
    });
}

fn take_keys(reading: Reading) {
    reading.app.on_action(move |action, _| {
        let move_to = |next: &dyn Fn(Stretch) -> Stretch| {
            reading.stretch.update(|stretch| *stretch = next(*stretch));
        };
        match action {
            Action::Page(count) => move_to(&|stretch| stretch.pages(*count)),
            Action::Second(count) => move_to(&|stretch| stretch.seconds(*count)),
            Action::Begin => move_to(&Stretch::first),
            Action::End => move_to(&Stretch::last),
            Action::Annotation(direction) => {
                let next = reading.shown.with_untracked(|shown| {
                    let moments = shown.annotations.iter().map(|one| one.onset_utc_ns);
                    reading.stretch.get_untracked().next(moments, *direction)
                });
                if let Some(next) = next {
                    reading.jump(next);
                }
            }
            Action::Gap => {
                let next = reading.shown.with_untracked(|shown| {
                    let moments = shown
                        .gaps
                        .iter()
                        .filter_map(|gap| format::utc_ns(&gap.from));
                    reading.stretch.get_untracked().next(moments, 1)
                });
                if let Some(next) = next {
                    reading.jump(next);
                }
            }
            _ => return false,
        }
        true
    });
}

fn paging(reading: Reading) -> impl IntoView {
    let app = reading.app;
    let button = move |test_id: &'static str,
                       sign: &'static str,
                       label: crate::words::Text,
                       action: Action| {
        let chord = crate::hotkeys::shown(crate::hotkeys::chord(&action));
        view! {
            <button type="button" data-testid=test_id aria-label=t(label) title=format!("{} ({chord})", t(label))
                on:click=move |_| { app.act(&action, 0); }>{sign}</button>
        }
    };
    let now = move || {
        let stretch = reading.stretch.get();
        let clock = format::clock_zone(stretch.from_ns, reading.offset());
        format!(
            "{} {clock} · {}",
            format::day(stretch.from_ns, reading.offset()),
            format::length(format::seconds_between(stretch.begin_ns, stretch.from_ns))
        )
    };
    view! {
        <div class="row" role="group" aria-label=t(words::TRACES)>
            {button(id::TO_BEGIN, "|◀", words::TO_BEGIN, Action::Begin)}
            {button(id::PAGE_BACK, "◀", words::PAGE_BACK, Action::Page(-1))}
            {button(id::PAGE_ON, "▶", words::PAGE_ON, Action::Page(1))}
            {button(id::TO_END, "▶|", words::TO_END, Action::End)}
            <span class="number" data-testid="page-time">{now}</span>
        </div>
    }
}

/// The whole recording in one bar: where the page is, where marks and gaps are; a click or arrow leads there.
fn overview(reading: Reading) -> impl IntoView {
    let stretch = reading.stretch;
    let place = move |ns: i64| format!("{:.2}", stretch.get().part(ns) * 1000.0);
    let value = move || {
        stretch.with(|stretch| (stretch.part(stretch.from_ns) * 1000.0).round().to_string())
    };
    let said = move || {
        let now = stretch.get();
        let (time, part) = (
            format::clock_zone(now.from_ns, reading.offset()),
            format::number(now.part(now.from_ns) * 100.0, 0),
        );
        fill(words::OVERVIEW_VALUE, &[("time", &time), ("part", &part)])
    };
    let window = move || {
        let now = stretch.get();
        let from = now.part(now.from_ns) * 1000.0;
        let to = now.part(now.from_ns.saturating_add(format::ns_of(now.page_s))) * 1000.0;
        (format!("{from:.2}"), format!("{:.2}", (to - from).max(4.0)))
    };
    let marks = move || {
        reading.shown.with(|shown| {
            shown
                .annotations
                .iter()
                .map(|one| {
                    let x = place(one.onset_utc_ns);
                    view! { <line class="mark" x1=x.clone() x2=x y1="0" y2="24"/> }
                })
                .collect_view()
        })
    };
    let gaps = move || {
        reading.shown.with(|shown| {
            shown.gaps.iter().filter_map(|gap| {
                let from = format::utc_ns(&gap.from)?;
                let (x, end) = (stretch.get().part(from) * 1000.0, stretch.get().part(from + format::ns_of(gap.duration_s)) * 1000.0);
                Some(view! { <rect class="gap" x=format!("{x:.2}") y="0" width=format!("{:.2}", (end - x).max(2.0)) height="24"/> })
            }).collect_view()
        })
    };
    view! {
        <div class="overview" data-testid=id::OVERVIEW>
            <svg viewBox="0 0 1000 24" preserveAspectRatio="none" aria-hidden="true">
                <rect class="all" x="0" y="0" width="1000" height="24"/>
                {gaps}
                {marks}
                <rect class="window" x=move || window().0 y="0" width=move || window().1 height="24"/>
            </svg>
            <input type="range" min="0" max="1000" step="1" aria-label=t(words::OVERVIEW) aria-valuetext=said prop:value=value
                on:input=move |event| {
                    let part = event_target_value(&event).parse::<f64>().unwrap_or_default() / 1000.0;
                    stretch.update(|stretch| *stretch = stretch.at(stretch.moment(part)));
                }/>
        </div>
    }
}

/// What a frame measures, in words and as attributes.
pub(crate) fn measurement_line(one: &Measurement) -> impl IntoView + use<> {
    let value = |value: f64| format!("{} {}", format::number(value, 1), one.unit);
    let range = fill(
        words::MEASURE_RANGE,
        &[("min", &value(one.min)), ("max", &value(one.max))],
    );
    view! {
        <dl class="measurement" data-testid=id::MEASUREMENT data-amplitude=one.amplitude.to_string() data-duration=one.duration_s.to_string()
            data-frequency=one.frequency_hz.to_string() data-from-ns=one.from_utc_ns.to_string() data-unit=one.unit.clone() data-min=one.min.to_string() data-max=one.max.to_string()>
            <dt>{one.row.clone()}</dt><dd>{range}</dd>
            <dt>{t(words::MEASURE_AMPLITUDE)}</dt><dd class="number">{value(one.amplitude)}</dd>
            <dt>{t(words::MEASURE_LENGTH)}</dt><dd class="number">{format::span(one.duration_s)}</dd>
            <dt>{t(words::MEASURE_FREQUENCY)}</dt><dd class="number">{format!("{} Hz", format::number(one.frequency_hz, 2))}</dd>
        </dl>
    }
}

fn measure_panel(traces: Traces) -> impl IntoView {
    view! {
        <section class="panel" aria-live="polite">
            <h2>{t(words::MEASURE)}</h2>
            {move || match traces.measurement.get() {
                Some(one) => measurement_line(&one).into_any(),
                None => view! { <p class="hint">{t(words::MEASURE_HINT)}</p> }.into_any(),
            }}
        </section>
    }
}

fn facts(reading: Reading) -> impl IntoView {
    view! {
        <details class="panel">
            <summary>{t(words::RECORDING_FACTS)}</summary>
            {move || reading.shown.with(|shown| view! {
                <dl>
                    <dt>{t(common::TIME)}</dt><dd>{format::moment(&shown.started)}</dd>
                    {shown.streams.iter().map(|stream| {
                        let rate = stream.rate_hz.map_or_else(String::new, |rate| format!("{} Hz, ", format::number(rate, 3)));
                        view! { <dt>{stream.name.clone()}</dt><dd>{format!("{} × {rate}{}, {}", stream.channels.len(), stream.sample_type, stream.samples)}</dd> }
                    }).collect_view()}
                    <dt>{t(crate::words::session::DISK)}</dt><dd>{format::bytes(shown.bytes)}</dd>
                </dl>
            })}
        </details>
    }
}

fn verify(app: App, id: Signal<String>) -> impl IntoView {
    let busy = RwSignal::new(false);
    let act = move |_| {
        busy.set(true);
        let body = RecordingVerify {
            id: id.get_untracked(),
        };
        spawn_local(async move {
            let reply = app.call(&body).await;
            busy.try_set(false);
            match reply {
                Ok(reply) if reply.sound => {
                    let (segments, frames, ledger) = (
                        reply.segments.to_string(),
                        reply.frames.to_string(),
                        reply.in_ledger.to_string(),
                    );
                    app.notify(
                        Tone::Good,
                        fill(
                            words::VERIFIED,
                            &[
                                ("segments", &segments),
                                ("frames", &frames),
                                ("ledger", &ledger),
                            ],
                        ),
                    );
                }
                Ok(reply) => {
                    let problem = reply.problems.first().cloned().unwrap_or_default();
                    app.notify(
                        Tone::Danger,
                        fill(words::NOT_SOUND, &[("problem", &problem)]),
                    );
                }
                Err(error) => app.notify_error(&error),
            }
        });
    };
    view! { <button type="button" class="quiet" disabled=move || busy.get() on:click=act>{t(words::VERIFY)}</button> }
}
