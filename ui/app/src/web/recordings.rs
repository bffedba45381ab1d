//! The choice of a session whose recording or report is to be read.

use super::app::app;
use super::parts::{Load, fetch, loaded, patient_line};
use crate::format;
use crate::live;
use crate::test_ids as id;
use crate::words::{Text, common, session as session_words, t, worklist};
use leptos::prelude::*;
use std::collections::BTreeMap;
use ui_types::{PatientList, PatientView, SessionList, SessionState, SessionView};

/// A table of sessions; `chosen` is told the id of the one that was picked.
pub(crate) fn recordings(
    title: Text,
    none: Text,
    keep: fn(&SessionView) -> bool,
    chosen: impl Fn(String) + Clone + Send + Sync + 'static,
) -> impl IntoView {
    let app = app();
    let list = RwSignal::new(Load::Loading);
    fetch(list, async move {
        let sessions = app.call(&SessionList::default()).await?.sessions;
        let patients = app.call(&PatientList::default()).await?.patients;
        let patients: BTreeMap<_, _> = patients
            .into_iter()
            .map(|patient| (patient.id.clone(), patient))
            .collect();
        Ok((sessions, patients))
    });
    move || {
        let chosen = chosen.clone();
        list.with(|list| {
            loaded(list, title, |(sessions, patients)| {
                let kept: Vec<_> = sessions.iter().filter(|session| keep(session)).collect();
                if kept.is_empty() {
                    return view! { <p class="empty">{t(none)}</p> }.into_any();
                }
                view! {
                    <div class="scroll" tabindex="0" role="region" aria-label=t(title)>
                        <table data-testid=id::RECORDINGS>
                            <thead><tr>
                                <th scope="col">{t(common::TIME)}</th>
                                <th scope="col">{t(common::PATIENT)}</th>
                                <th scope="col">{t(session_words::PROTOCOL)}</th>
                                <th scope="col">{t(worklist::RECORDED)}</th>
                                <th scope="col">{t(common::STATE)}</th>
                                <th scope="col">{t(common::ACTIONS)}</th>
                            </tr></thead>
                            <tbody>
                                {kept.into_iter().map(|session| line(session, patients.get(&session.patient), chosen.clone())).collect_view()}
                            </tbody>
                        </table>
                    </div>
                }
                .into_any()
            })
        })
    }
}

fn line(
    session: &SessionView,
    patient: Option<&PatientView>,
    chosen: impl Fn(String) + 'static,
) -> AnyView {
    let id = session.id.clone();
    let state = match (session.state, session.signed) {
        (SessionState::Running, _) => format!("● {}", t(worklist::STATE_RUNNING)),
        (SessionState::Interrupted, _) => format!("▲ {}", t(worklist::STATE_INTERRUPTED)),
        (SessionState::Failed, _) => format!("✕ {}", t(worklist::STATE_FAILED)),
        (SessionState::Completed, true) => format!("✔ {}", t(worklist::STATE_SIGNED)),
        (SessionState::Completed, false) => format!("✎ {}", t(worklist::STATE_TO_SIGN)),
    };
    let act = move |_| chosen(id.clone());
    view! {
        <tr data-id=session.id.clone()>
            <td class="number">{format::moment(&session.started)}</td>
            <td>{patient.map(patient_line)}</td>
            <td>
                {session.protocol.clone()}
                {live::provenance(&session.provenance).map(|word| view! { " "<strong class="chip loud">"▲ "{t(word)}</strong> })}
            </td>
            <td class="number">{format::length(session.recorded_s)}</td>
            <td>{state}</td>
            <td><button type="button" class="primary" on:click=act>{t(common::OPEN)}</button></td>
        </tr>
    }
    .into_any()
}
