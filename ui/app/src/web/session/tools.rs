//! What else is done in a running session: impedances, CT, relabelling, the right patient, the end.

use super::{Facts, Live};
use crate::format;
use crate::live::{Remaining, after_left, remaining};
use crate::test_ids as id;
use crate::web::bridge;
use crate::web::dialog::{Form, form_buttons};
use crate::web::parts::{Load, Rest, choice, field, form_error, loaded, once_tried, patient_line};
use crate::words::{codes, common, fill, session as words, t, worklist};
use crate::{check, limits};
use leptos::prelude::*;
use leptos::task::spawn_local;
use ui_types::{
    ImpedanceView, PatientList, PatientView, Progress, SessionImpedance, SessionPause,
    SessionReassign, SessionRelabel, SessionStop,
};

/// Puts what a step of progress has found into the list, in the place of what stood there.
pub(super) fn found(into: RwSignal<Vec<ImpedanceView>>, progress: &Progress) {
    let Some(one) = progress
        .detail
        .clone()
        .and_then(|detail| serde_json::from_value::<ImpedanceView>(detail).ok())
    else {
        return;
    };
    into.try_update(|all| {
        match all
            .iter_mut()
            .find(|known| known.electrode == one.electrode)
        {
            Some(known) => *known = one,
            None => all.push(one),
        }
    });
}

fn measure(live: Live, busy: RwSignal<Option<String>>) {
    if busy.with_untracked(Option::is_some) {
        return;
    }
    busy.set(Some(String::new()));
    live.measuring.set(Vec::new());
    let body = SessionImpedance {
        id: live.id.get_untracked(),
    };
    spawn_local(async move {
        let reply = bridge::call_with_progress(&body, move |progress| {
            found(live.measuring, &progress);
            busy.try_set(Some(progress.what));
        })
        .await;
        busy.try_set(None);
        match reply {
            Ok(reply) => drop(live.measuring.try_set(reply.impedances)),
            Err(error) => live.app.notify_error(&error),
        }
    });
}

/// The tools of a running session.
pub(super) fn tools(live: Live, facts: &Facts) -> impl IntoView + use<> {
    let app = live.app;
    let collects = facts.collects;
    let paused = live.memo(|view| view.paused.clone());
    let busy = RwSignal::new(None::<String>);
    let measuring = move || match busy.get() {
        Some(what) => fill(words::MEASURING, &[("what", &what)]),
        None => t(words::MEASURE_AGAIN).to_owned(),
    };
    let pause = move || {
        let reason = if paused.get_untracked().flatten().is_some() {
            None
        } else {
            Some("ct".to_owned())
        };
        app.run(
            SessionPause {
                id: live.id.get_untracked(),
                reason,
            },
            None,
            |_| (),
        );
    };
    view! {
        <section class="panel tools" aria-label=t(words::ALL_TOOLS)>
            <h2>{t(words::ALL_TOOLS)}</h2>
            <div class="row">
                <button type="button" data-testid=id::MEASURE disabled=move || !collects.get() || busy.with(Option::is_some) on:click=move |_| measure(live, busy)>{measuring}</button>
                <button type="button" data-testid=id::CT disabled=move || !collects.get() on:click=move |_| pause()>
                    {move || if paused.get().flatten().is_some() { t(words::CT_BACK) } else { t(words::CT) }}
                </button>
                <button type="button" data-testid=id::RELABEL disabled=move || !collects.get() on:click=move |_| relabel_dialog(live)>{t(words::RELABEL)}</button>
                <button type="button" data-testid=id::REASSIGN on:click=move |_| reassign_dialog(live)>{t(words::REASSIGN)}</button>
            </div>
        </section>
    }
}

/// Ends the recording; stands beside the traces while there is one.
pub(super) fn end_button(live: Live) -> impl IntoView {
    view! { <button type="button" class="danger" data-testid=id::END on:click=move |_| end(live)>{t(words::END_RECORDING)}</button> }
}

/// Ends the collection, after asking.
fn end(live: Live) {
    let app = live.app;
    let mut text = t(words::END_TEXT).to_owned();
    if let Some(Remaining::Left(left)) =
        live.get(|view| remaining(view.duration_s, view.recorded_s))
    {
        text = format!(
            "{text} {}",
            fill(words::END_EARLY, &[("left", &format::span(left))])
        );
    }
    let activations = live
        .protocol()
        .map(|protocol| protocol.activations)
        .unwrap_or_default();
    if let Some(left) = after_left(&activations, &live.codes(), bridge::now_ns()) {
        text = format!(
            "{text} {}",
            fill(
                words::END_AFTER_ACTIVATION,
                &[("left", &format::span(left))]
            )
        );
    }
    app.confirm(
        words::END_RECORDING,
        text,
        words::END_RECORDING,
        true,
        move || {
            app.run(
                SessionStop {
                    id: live.id.get_untracked(),
                },
                Some(words::ENDING),
                |_| (),
            );
        },
    );
}

fn labels(live: Live) -> Vec<(String, String)> {
    let mut all: Vec<_> = live
        .get(|view| {
            view.quality
                .iter()
                .map(|channel| channel.label.clone())
                .collect()
        })
        .unwrap_or_default();
    if all.is_empty() {
        live.traces.description.with_untracked(|description| {
            let rows = description.streams.iter().flat_map(|stream| &stream.rows);
            all.extend(rows.flat_map(|row| row.inputs.iter().cloned()));
        });
    }
    all.sort();
    all.dedup();
    all.into_iter()
        .map(|label| (label.clone(), label))
        .collect()
}

fn relabel_dialog(live: Live) {
    let app = live.app;
    app.open_dialog(t(words::RELABEL), move || {
        let labels = labels(live);
        let from = RwSignal::new(labels.first().map(|(label, _)| label.clone()).unwrap_or_default());
        let to = RwSignal::new(String::new());
        let (tried, form) = (RwSignal::new(false), Form::new(app));
        let fault = move || check::given(&to.get());
        let send = move || {
            tried.set(true);
            if fault().is_some() {
                return;
            }
            let (from, to) = (from.get_untracked(), to.get_untracked().trim().to_owned());
            let body = SessionRelabel { id: live.id.get_untracked(), from: from.clone(), to: to.clone() };
            let done = move |_| fill(words::RELABELLED, &[("from", &from), ("to", &to)]);
            form.send(async move { app.call(&body).await }, done);
        };
        view! {
            <form class="stack" novalidate on:submit=move |event| { event.prevent_default(); send(); }>
                <p>{t(words::RELABEL_TEXT)}</p>
                {choice("relabel-from", words::RELABEL_FROM, labels, from.into(), move |label| from.set(label))}
                {field("relabel-to", words::RELABEL_TO, "text", to, once_tried(tried, fault), None)}
                {form_error(form.error)}
                {form_buttons(words::RELABEL, form.busy)}
            </form>
        }
    });
}

/// The guard against mixed-up patients: gives the session to the right one.
fn reassign_dialog(live: Live) {
    let app = live.app;
    app.open_dialog(t(words::REASSIGN), move || {
        let (search, reason) = (RwSignal::new(String::new()), RwSignal::new(String::new()));
        let chosen = RwSignal::new(None::<PatientView>);
        let list = RwSignal::new(Load::Loading);
        let (tried, form) = (RwSignal::new(false), Form::new(app));
        let rest = Rest::new(limits::SEARCH_REST_MS);
        let look = move || {
            let body = PatientList { search: search.get_untracked() };
            spawn_local(async move {
                let reply = app.call(&body).await;
                list.try_set(reply.into());
            });
        };
        look();
        Effect::new(move |before: Option<()>| {
            search.track();
            if before.is_some() {
                rest.run(look);
            }
        });
        let reason_fault = move || check::given(&reason.get());
        let send = move || {
            tried.set(true);
            let Some(patient) = chosen.get_untracked() else { return };
            if reason_fault().is_some() {
                return;
            }
            let body = SessionReassign { id: live.id.get_untracked(), patient: patient.id, reason: reason.get_untracked() };
            form.send(async move { app.call(&body).await }, |_| t(words::REASSIGNED).to_owned());
        };
        let pick = move |patient: &PatientView| {
            let one = patient.clone();
            let line = patient_line(patient);
            let id = patient.id.clone();
            let pressed = move || chosen.with(|chosen| chosen.as_ref().is_some_and(|chosen| chosen.id == id)).to_string();
            view! { <button type="button" class="device" data-id=patient.id.clone() aria-pressed=pressed on:click=move |_| chosen.set(Some(one.clone()))>{line}</button> }
        };
        view! {
            <form class="stack" novalidate on:submit=move |event| { event.prevent_default(); send(); }>
                <p>{t(words::REASSIGN_TEXT)}</p>
                {field("reassign-search", worklist::SEARCH, "search", search, || None, None)}
                <div class="stack scroll short">{move || list.with(|list| loaded(list, common::PATIENT, |reply| reply.patients.iter().map(pick).collect_view()))}</div>
                {field("reassign-reason", crate::words::sign_in::REASON, "text", reason, once_tried(tried, reason_fault), None)}
                {form_error(form.error)}
                {form_buttons(words::REASSIGN, form.busy)}
            </form>
        }
    });
}

/// Says loudly that the patient is off the device.
pub(super) fn paused_band(live: Live) -> impl IntoView {
    let paused = live.memo(|view| view.paused.clone());
    move || {
        paused.get().flatten().map(|reason| {
            let reason = codes::word(&reason, &reason).to_owned();
            view! { <p class="band warning" role="status" data-testid=id::PAUSED>"▲ "{fill(words::CT_ON, &[("reason", &reason)])}</p> }
        })
    }
}
