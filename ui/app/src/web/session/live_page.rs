//! The page of a session that runs or has ended.

use super::{Facts, Live, activations, alerts, marks, status, tools};
use crate::format;
use crate::hotkeys::Action;
use crate::live;
use crate::route::Route;
use crate::test_ids as id;
use crate::timeline::Stretch;
use crate::web::head_map::head_map;
use crate::web::parts::error_note;
use crate::web::scope_view::traces_view;
use crate::web::sign_in::unlock_form;
use crate::web::view_bar::{View, action_key, view_bar};
use crate::web::worklist::consent;
use crate::words::{common, fill, review as review_words, session as words, t, worklist};
use leptos::html;
use leptos::prelude::*;
use std::collections::BTreeSet;
use ui_types::{
    ConsentState, PageRequest, ScopeEvent, ScopeMode, SessionResume, SessionState, StepState,
};

/// Live traces at rest: standing still, or paging back.
#[derive(Clone, Copy)]
struct Rest {
    frozen: RwSignal<bool>,
    looking: RwSignal<Option<Stretch>>,
}

impl Rest {
    fn live(self) {
        self.frozen.set(false);
        self.looking.set(None);
    }

    fn at_rest(self) -> bool {
        self.frozen.get() || self.looking.with(Option::is_some)
    }
}

pub(super) fn page(live: Live) -> impl IntoView {
    let app = live.app;
    let facts = Facts::of(live);
    let collects = facts.collects;
    // The traces are made while their recording is still being prepared, so that they stand when it begins:
    // graphics, fonts and their first frame take longer than anybody should wait for a trace.
    let made = Memo::new(move |_| collects.get() || live.get(live::starts).unwrap_or(false));
    // What can be chosen is told of a recording, maybe before the session's own state tells that it has begun.
    let recording = Memo::new(move |_| {
        if made.get() {
            live.id.get()
        } else {
            String::new()
        }
    });
    let view = View::new(app, recording.into(), collects.into());
    let rest = Rest {
        frozen: RwSignal::new(false),
        looking: RwSignal::new(None),
    };
    let note = NodeRef::<html::Input>::new();
    marks::take_keys(live, note);
    alerts::sound(live, &facts);
    let provenance = live.memo(|view| view.provenance.clone());
    let patient = Signal::derive(move || live.patient.get());
    let away = move || app.locked.get();
    let side = {
        let facts = Facts::of(live);
        move || {
            if away() {
                return view! { <div class="panel">{unlock_form()}</div> {alerts::alert_list(live, &facts)} }.into_any();
            }
            side(live, &facts, note).into_any()
        }
    };
    let body = move || {
        made.get()
            .then(|| running(live, view, rest, collects.into()))
    };
    let before = move || (!collects.get()).then(|| resting(live));
    view! {
        <div class="page session">
            <h1 class="unseen">{t(common::SESSION)}</h1>
            {status::patient_banner(app, patient, Signal::derive(move || provenance.get().unwrap_or_default()))}
            <div class="over-traces">
                {status::steps(&facts)}
                {status::status(live, &facts)}
            </div>
            {tools::paused_band(live)}
            {consent_band(live)}
            <div class="session-grid">
                {alerts::quality_strip(&facts)}
                <div class="centre" class:to-come=move || !collects.get()>{body}{before}</div>
                <aside class="side">{side}</aside>
            </div>
            {move || collects.get().then(|| marks::mark_buttons(live))}
        </div>
    }
}

fn side(live: Live, facts: &Facts, note: NodeRef<html::Input>) -> impl IntoView + use<> {
    let collects = facts.collects;
    let impedances = Signal::derive(move || {
        let now = live.measuring.get();
        if now.is_empty() {
            live.get(|view| view.impedances.clone()).unwrap_or_default()
        } else {
            now
        }
    });
    let limits = limits(live);
    view! {
        {alerts::alert_list(live, facts)}
        {marks::mark_list(live, note, collects)}
        {tools::tools(live, facts)}
        {move || collects.get().then(|| activations::activations(live))}
        <details class="panel" open>
            <summary>{t(words::MEASURE_AGAIN)}</summary>
            {head_map(impedances, limits)}
        </details>
    }
}

/// Good and acceptable impedances of the protocol, kΩ.
fn limits(live: Live) -> Signal<(f64, f64)> {
    Signal::derive(move || {
        live.protocol().map_or((0.0, 0.0), |protocol| {
            (
                protocol.impedance_good_kohm,
                protocol.impedance_acceptable_kohm,
            )
        })
    })
}

/// Consent that was refused or taken back while recording.
fn consent_band(live: Live) -> impl IntoView {
    move || {
        let state = live
            .patient
            .with(|patient| patient.as_ref().map(|patient| patient.consent))?;
        if !matches!(state, ConsentState::Refused | ConsentState::Withdrawn) {
            return None;
        }
        let (_, _, word) = consent(state);
        Some(
            view! { <p class="band warning" role="status" data-testid=id::CONSENT_BAND>"▲ "{fill(words::CONSENT_LOST, &[("state", t(word))])}</p> },
        )
    }
}

/// The traces of a session, and what belongs to them while it `records`.
fn running(live: Live, view: View, rest: Rest, records: Signal<bool>) -> impl IntoView {
    let app = live.app;
    let traces = live.traces;
    // No key acts on what is not seen yet.
    let keys = move || {
        if records.get() {
            view.take_keys();
            take_rest_keys(live, view, rest);
        }
    };
    let marks = live.memo(|view| live::channel_marks(&view.quality));
    // An electrode that has another name from now on, whoever gave it: the rows follow.
    let labels = live.memo(|view| {
        let labels = view.quality.iter().map(|channel| channel.label.clone());
        labels.collect::<BTreeSet<_>>()
    });
    Effect::new(move |before: Option<BTreeSet<String>>| {
        let now = labels.get().unwrap_or_default();
        if before.is_some_and(|before| before.len() == now.len() && before != now) {
            traces.anew();
        }
        now
    });
    let offset = move || {
        traces
            .description
            .with(|description| description.zone_offset_min)
    };
    let settings = Signal::derive(move || {
        let mode = if rest.looking.with(Option::is_some) {
            ScopeMode::Review
        } else {
            app.prefs.with(|prefs| prefs.mode)
        };
        let mut settings = view.settings(mode, offset());
        settings.frozen = rest.frozen.get();
        settings.channel_marks = marks.get().unwrap_or_default();
        settings
    });
    let settings = Signal::from(Memo::new(move |_| settings.get()));
    traces.follow(
        view,
        live.id,
        Signal::derive(move || records.get() && rest.looking.with(Option::is_none)),
    );
    Effect::new(move |_| {
        let Some(stretch) = rest.looking.get() else {
            return;
        };
        let columns = traces.page_columns();
        if traces.ready.get() > 0 && view.chosen() {
            traces.page(PageRequest {
                id: live.id.get(),
                spec: view.spec(),
                from_utc_ns: Some(stretch.from_ns),
                duration_s: Some(view.page_s()),
                columns,
            });
        }
    });
    let on_event = move |event: &ScopeEvent| {
        if let ScopeEvent::Moved { from_utc_ns, .. } = event {
            let stretch = stretch(live, view);
            rest.looking.set(Some(stretch.at(*from_utc_ns)));
        }
    };
    let said = move || {
        rest.at_rest().then(|| {
            let word = if rest.looking.with(Option::is_some) {
                words::LOOKING_BACK
            } else {
                words::FROZEN
            };
            view! { <p class="band accent" role="status">"❚❚ "{t(word)}</p> }
        })
    };
    view! {
        {keys}
        {said}
        {move || traces.refused.get().map(|error| error_note(&error))}
        {traces_view(app, traces, settings, words::TRACES, on_event)}
        <div inert=move || app.locked.get() class="below">
            <div class="row rest-bar">
                <button type="button" data-testid=id::FREEZE aria-pressed=move || rest.at_rest().to_string()
                    on:click=move |_| if rest.at_rest() { rest.live() } else { rest.frozen.set(true) }>
                    {move || if rest.at_rest() { t(words::GO_LIVE) } else { t(words::FREEZE) }}" "{action_key(&Action::Freeze)}
                </button>
                <button type="button" data-testid=id::LOOK_BACK on:click=move |_| look(live, view, rest, -1)>"◀ "{t(words::LOOK_BACK)}" "{action_key(&Action::Page(-1))}</button>
                {move || rest.looking.get().map(|stretch| view! {
                    <button type="button" on:click=move |_| look(live, view, rest, 1)>{t(review_words::PAGE_ON)}" ▶"</button>
                    <span class="number">{format::clock_zone(stretch.from_ns, offset())}</span>
                })}
                {measured(live)}
                <span class="grow"></span>
                {tools::end_button(live)}
            </div>
            {view_bar(view, traces, true)}
        </div>
    }
}

/// What the frame measures.
fn measured(live: Live) -> impl IntoView {
    move || {
        live.traces
            .measurement
            .get()
            .map(|measurement| crate::web::review::measurement_line(&measurement))
    }
}

/// The recording as far as it has come, at the page that is shown.
fn stretch(live: Live, view: View) -> Stretch {
    let (begin_ns, end) = live
        .traces
        .description
        .with_untracked(|description| (description.begin_utc_ns, description.end_utc_ns));
    let newest = live
        .traces
        .state
        .with_untracked(|state| state.newest_utc_ns);
    let end_ns = end.max(newest);
    let page_s = untrack(|| view.page_s());
    let whole = Stretch {
        begin_ns,
        end_ns,
        from_ns: end_ns,
        page_s,
    };
    whole.last()
}

/// A page back or on; past the newest page it is live again.
fn look(live: Live, view: View, rest: Rest, direction: i8) {
    let here = stretch(live, view);
    let from = rest.looking.get_untracked();
    let next = Stretch {
        from_ns: from.map_or(here.from_ns, |from| from.from_ns),
        ..here
    }
    .pages(direction);
    if direction > 0
        && from.is_some_and(|from| next.from_ns <= from.from_ns || next.from_ns >= here.last_from())
    {
        rest.live();
    } else {
        rest.frozen.set(false);
        rest.looking.set(Some(next));
    }
}

fn take_rest_keys(live: Live, view: View, rest: Rest) {
    live.app.on_action(move |action, _| {
        match action {
            Action::Freeze if untrack(|| rest.at_rest()) => rest.live(),
            Action::Freeze => rest.frozen.set(true),
            Action::Page(direction)
                if *direction < 0 || rest.looking.with_untracked(Option::is_some) =>
            {
                look(live, view, rest, *direction);
            }
            Action::Second(direction) if rest.looking.with_untracked(Option::is_some) => {
                rest.looking.update(|looking| {
                    *looking = looking.map(|stretch| stretch.seconds(*direction));
                });
            }
            Action::Begin => rest.looking.set(Some(stretch(live, view).first())),
            Action::End => rest.live(),
            _ => return false,
        }
        true
    });
}

/// What stands in the middle while nothing is recorded: the step, what it says, what to do next.
fn resting(live: Live) -> impl IntoView {
    let app = live.app;
    let state = live.memo(|view| view.state);
    let steps = live.memo(|view| view.steps.clone());
    let calibration = live.memo(|view| view.calibration.clone());
    let exports = live.memo(|view| view.exports.clone());
    let session = live.id;
    let next = move || {
        match state.get() {
        Some(SessionState::Interrupted) => view! {
            <button type="button" class="primary" data-testid=id::ROW_RESUME
                on:click=move |_| app.run(SessionResume { id: session.get_untracked() }, Some(worklist::RESUMING), |_| ())>
                {t(worklist::RESUME)}
            </button>
        }
        .into_any(),
        Some(SessionState::Completed | SessionState::Failed) => view! {
            <button type="button" class="primary" data-testid=id::OPEN_REPORT on:click=move |_| app.go(Route::Reports(session.get_untracked()))>{t(words::OPEN_REPORT)}</button>
            <button type="button" data-testid=id::OPEN_REVIEW on:click=move |_| app.go(Route::Review(session.get_untracked()))>{t(words::OPEN_REVIEW)}</button>
            <button type="button" on:click=move |_| app.go(Route::Worklist)>{t(words::TO_WORKLIST)}</button>
        }
        .into_any(),
        _ => ().into_any(),
    }
    };
    let notes = move || {
        steps.get().unwrap_or_default().into_iter().filter(|step| !step.notes.is_empty() || step.state == StepState::Running).map(|step| {
            let running = step.state == StepState::Running;
            let name = status::step_word(&step.name).map_or_else(|| step.name.clone(), |text| t(text).to_owned());
            view! {
                <section>
                    <h3>{running.then_some("● ")}{name}{running.then(|| format!(": {}", t(words::STEP_RUNNING)))}</h3>
                    <ul>{step.notes.into_iter().map(|note| view! { <li>{note}</li> }).collect_view()}</ul>
                </section>
            }
        }).collect_view()
    };
    let impedances =
        Signal::derive(move || live.get(|view| view.impedances.clone()).unwrap_or_default());
    view! {
        <div class="panel resting">
            <div class="row">{next}</div>
            {notes}
            {move || calibration.get().filter(|text| !text.is_empty()).map(|text| view! { <section><h3>{t(words::CALIBRATION)}</h3><p>{text}</p></section> })}
            {move || (state.get() == Some(SessionState::Running) && !impedances.with(Vec::is_empty)).then(|| head_map(impedances, limits(live)))}
            {move || exports.get().filter(|files| !files.is_empty()).map(|files| view! {
                <section><h3>{t(words::STEP_EXPORT)}</h3><ul>{files.into_iter().map(|file| view! { <li class="path">{file}</li> }).collect_view()}</ul></section>
            })}
            <span class="unseen" role="status">{move || state.get().map(|state| match state {
                SessionState::Running => t(words::RECORDING),
                SessionState::Interrupted => t(words::INTERRUPTED),
                SessionState::Completed => t(words::COMPLETED),
                SessionState::Failed => t(words::FAILED),
            })}</span>
            <span class="hint">{t(common::NO_ALARM)}</span>
        </div>
    }
}
