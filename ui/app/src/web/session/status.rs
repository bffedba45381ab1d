//! What is always shown: who, what state, how long, what is safe on the disk.

use super::{Facts, Live};
use crate::format;
use crate::identity;
use crate::limits::{DISK_HOURS, STORED_BEHIND_S};
use crate::live::{self, Remaining, remaining};
use crate::test_ids as id;
use crate::web::app::App;
use crate::web::bridge;
use crate::web::worklist::{consent, consent_dialog};
use crate::words::{Text, common, fill, session as words, t};
use leptos::prelude::*;
use ui_types::{PatientView, SessionState, StepState};

/// Name, birth date, hospital number; on every page that shows a patient.
pub(crate) fn patient_banner(
    app: App,
    patient: Signal<Option<PatientView>>,
    provenance: Signal<String>,
) -> impl IntoView {
    let who = move || {
        patient.get().map(|patient| {
            let hidden = app.hidden();
            let [name, born, number] = identity::three(&patient, hidden);
            let (sign, class, word) = consent(patient.consent);
            let asked = patient.clone();
            view! {
                <strong class="name" data-testid=id::PATIENT_NAME>{name}</strong>
                <span>{identity::sex(patient.sex)}</span>
                <span><span class="hint">{t(common::BORN)}" "</span>{born}</span>
                <span><span class="hint">{t(common::HOSPITAL_NUMBER)}" "</span>{number}</span>
                {hidden.then(|| view! { <span class="chip">{t(common::IDENTITY_HIDDEN)}</span> })}
                {patient.training.then(|| view! { <span class="chip training">{t(common::TRAINING)}</span> })}
                {patient.temporary.then(|| view! { <span class="chip warning">"▲ "{t(common::TEMPORARY)}</span> })}
                <button type="button" class=format!("quiet state {class}") data-testid=id::ROW_CONSENT disabled=move || app.locked.get()
                    on:click=move |_| consent_dialog(app, asked.clone())>
                    {t(crate::words::worklist::CONSENT)}": "{sign}" "{t(word)}
                </button>
            }
        })
    };
    view! {
        <section class="banner" aria-label=t(common::PATIENT) data-testid=id::PATIENT_BANNER>
            {who}
            <span class="grow"></span>
            {move || live::provenance(&provenance.get()).map(|word| view! {
                <strong class="chip loud" data-testid=id::PROVENANCE>"▲ "{t(word)}</strong>
            })}
        </section>
    }
}

pub(super) fn step_word(name: &str) -> Option<Text> {
    Some(match name {
        "validate" => words::STEP_VALIDATE,
        "prepare" => words::STEP_PREPARE,
        "collect" => words::STEP_COLLECT,
        "conclude" => words::STEP_CONCLUDE,
        "analyse" => words::STEP_ANALYSE,
        "report" => words::STEP_REPORT,
        "export" => words::STEP_EXPORT,
        _ => return None,
    })
}

fn step_state(state: StepState) -> (&'static str, &'static str, Text) {
    match state {
        StepState::Waiting => ("○", "waiting", words::STEP_WAITING),
        StepState::Running => ("●", "running", words::STEP_RUNNING),
        StepState::Done => ("✔", "done", words::STEP_DONE),
        StepState::Skipped => ("–", "skipped", words::STEP_SKIPPED),
        StepState::Failed => ("✕", "failed", words::STEP_FAILED),
    }
}

/// The steps of the workflow as they are.
pub(super) fn steps(facts: &Facts) -> impl IntoView + use<> {
    let steps = facts.steps;
    view! {
        <ol class="steps" aria-label=t(words::STEPS) data-testid=id::STEPS>
            {move || steps.get().unwrap_or_default().into_iter().map(|step| {
                let (sign, class, word) = step_state(step.state);
                let name = step_word(&step.name).map_or_else(|| step.name.clone(), |text| t(text).to_owned());
                let notes = step.notes.join("\n");
                let current = (step.state == StepState::Running).then_some("step");
                view! {
                    <li class=class data-step=step.name data-state=class title=notes aria-current=current>
                        <span aria-hidden="true">{sign}" "</span>{name}<span class="unseen">": "{t(word)}</span>
                    </li>
                }
            }).collect_view()}
        </ol>
    }
}

fn fact(
    test_id: &'static str,
    label: Text,
    value: impl Fn() -> String + Send + 'static,
    class: impl Fn() -> &'static str + Send + 'static,
) -> impl IntoView {
    view! {
        <span class=move || format!("fact {}", class())>
            <span class="hint">{t(label)}" "</span><span data-testid=test_id class="number">{value}</span>
        </span>
    }
}

fn disk_class(hours: Option<f64>) -> &'static str {
    match hours {
        Some(hours) if hours < DISK_HOURS.1 => "danger",
        Some(hours) if hours < DISK_HOURS.0 => "warning",
        _ => "",
    }
}

/// REC, elapsed, remaining, stored, disk, reference.
pub(super) fn status(live: Live, facts: &Facts) -> impl IntoView + use<> {
    let (collects, state) = (facts.collects, facts.state);
    let recorded = live.memo(|view| view.recorded_s);
    let planned = live.memo(|view| view.duration_s);
    let stored = live.memo(|view| view.stored_until.clone());
    let disk = live.memo(|view| view.disk_hours_left);
    let recorded_s = move || recorded.get().unwrap_or_default();
    let behind = move || {
        let until = stored.get().flatten().and_then(|at| format::utc_ns(&at));
        let behind = until.map_or(0.0, |until| {
            format::seconds_between(until, live.app.now_ns.get())
        });
        collects.get() && behind > STORED_BEHIND_S
    };
    let rec = move || {
        let word = match (collects.get(), state.get()) {
            (true, _) => words::REC,
            (false, Some(SessionState::Interrupted)) => words::INTERRUPTED,
            (false, Some(SessionState::Failed)) => words::FAILED,
            (false, Some(SessionState::Completed)) => words::COMPLETED,
            _ => words::NOT_RECORDING,
        };
        let sign = if collects.get() { "● " } else { "○ " };
        format!("{sign}{}", t(word))
    };
    let left = move || match remaining(planned.get().flatten(), recorded_s()) {
        Remaining::UntilStopped => t(words::UNTIL_STOPPED).to_owned(),
        Remaining::Left(left) => format::length(left),
        Remaining::Over(over) => fill(words::OVERTIME, &[("time", &format::length(over))]),
    };
    let reference = move || {
        let reference = live
            .traces
            .description
            .with(|description| description.reference.clone());
        if reference.is_empty() {
            t(common::UNKNOWN).to_owned()
        } else {
            reference
        }
    };
    let stored_text = move || {
        stored.get().flatten().map_or_else(
            || "—".to_owned(),
            |at| format::utc_ns(&at).map_or(at, |ns| format::clock(ns, bridge::zone_offset_min())),
        )
    };
    let disk_hours = move || disk.get().flatten();
    // Of a session that is over, they say nothing.
    let runs = Memo::new(move |_| {
        !matches!(
            state.get(),
            Some(SessionState::Completed | SessionState::Failed)
        )
    });
    view! {
        <div class="status-line">
            <strong class="rec" class:on=move || collects.get() data-testid=id::REC data-recording=move || collects.get().to_string() role="status">{rec}</strong>
            {fact(id::ELAPSED, words::ELAPSED, move || format::length(recorded_s()), || "")}
            {move || runs.get().then(|| view! {
            {fact(id::REMAINING, words::REMAINING, left, || "")}
            {fact(id::STORED, words::STORED, stored_text, move || if behind() { "warning" } else { "" })}
            {fact(id::DISK, words::DISK, move || disk_hours().map_or_else(|| "—".to_owned(), format::hours), move || disk_class(disk_hours()))}
            })}
            {fact("reference", words::REFERENCE, reference, || "")}
        </div>
    }
}
