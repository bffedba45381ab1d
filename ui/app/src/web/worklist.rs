//! Today's patients and orders; every session's state; search; what to do with each.

mod forms;
mod start_now;

use super::app::{App, app};
use super::parts::{Load, Rest, loaded, patient_line, poll};
use crate::format;
use crate::limits::{LIST_POLL_MS, SEARCH_REST_MS};
use crate::route::Route;
use crate::test_ids as id;
use crate::words::{Text, common, fill, t, worklist as words};
use leptos::prelude::*;
use ui_types::{
    ConsentState, OrderCancel, SessionResume, Worklist, WorklistReply, WorklistRow, WorklistState,
};

pub(crate) use forms::consent_dialog;

/// The page.
pub(crate) fn page() -> impl IntoView {
    let app = app();
    let (search, sent) = (RwSignal::new(String::new()), RwSignal::new(String::new()));
    let date = RwSignal::new(String::new());
    let list = RwSignal::new(Load::Loading);
    let ask = poll(app, LIST_POLL_MS, list, move || {
        let date = date.get_untracked();
        Some(Worklist {
            date: (!date.is_empty()).then_some(date),
            search: sent.get_untracked(),
        })
    });
    Effect::new(move |before: Option<()>| {
        app.changed.track();
        sent.track();
        date.track();
        if before.is_some() {
            ask();
        }
    });
    let rest = Rest::new(SEARCH_REST_MS);
    let typed = move |text: String| {
        search.set(text);
        rest.run(move || sent.set(search.get_untracked().trim().to_owned()));
    };
    view! {
        <div class="page">
            <div class="toolbar">
                <h1>{t(common::WORKLIST)}</h1>
                <div class="field grow">
                    <label for=id::WORKLIST_SEARCH>{t(words::SEARCH)}</label>
                    <input id=id::WORKLIST_SEARCH data-testid=id::WORKLIST_SEARCH type="search" autocomplete="off" spellcheck="false"
                        prop:value=move || search.get() on:input=move |event| typed(event_target_value(&event))/>
                </div>
                <div class="field">
                    <label for=id::WORKLIST_DATE>{t(words::DATE)}</label>
                    <input id=id::WORKLIST_DATE data-testid=id::WORKLIST_DATE type="date"
                        prop:value=move || if date.with(String::is_empty) { shown_day(&list.get()) } else { date.get() }
                        on:change=move |event| date.set(event_target_value(&event))/>
                </div>
                <button type="button" data-testid=id::NEW_PATIENT on:click=move |_| forms::patient_dialog(app, None)>
                    "+ "{t(words::NEW_PATIENT)}
                </button>
                <button type="button" class="primary" data-testid=id::START_NOW on:click=move |_| start_now::dialog(app)>
                    "▶ "{t(words::START_NOW)}
                </button>
            </div>
            {move || list.with(|list| loaded(list, words::THE_WORKLIST, |reply| table(app, reply, !sent.with(String::is_empty))))}
        </div>
    }
}

fn shown_day(list: &Load<WorklistReply>) -> String {
    match list {
        Load::Ready(reply) => reply.date.clone(),
        _ => String::new(),
    }
}

fn table(app: App, reply: &WorklistReply, searched: bool) -> AnyView {
    if reply.rows.is_empty() {
        let text = if searched {
            words::NO_MATCH
        } else {
            words::NO_ROWS
        };
        return view! { <p class="empty">{t(text)}</p> }.into_any();
    }
    let caption = fill(words::ROWS, &[("n", &reply.rows.len().to_string())]);
    view! {
        <div class="scroll" tabindex="0" role="region" aria-label=t(common::WORKLIST)>
        <table data-testid=id::WORKLIST_TABLE>
            <caption>{caption}</caption>
            <thead>
                <tr>
                    <th scope="col">{t(common::STATE)}</th>
                    <th scope="col">{t(common::TIME)}</th>
                    <th scope="col">{t(common::PATIENT)}</th>
                    <th scope="col">{t(words::STUDY)}</th>
                    <th scope="col">{t(words::CONSENT)}</th>
                    <th scope="col">{t(words::RECORDED)}</th>
                    <th scope="col">{t(common::ACTIONS)}</th>
                </tr>
            </thead>
            <tbody>{reply.rows.iter().map(|row| line(app, row)).collect_view()}</tbody>
        </table>
        </div>
    }
    .into_any()
}

/// Sign, class and word of a state: never colour alone.
fn state(state: WorklistState) -> (&'static str, &'static str, Text) {
    match state {
        WorklistState::Running => ("●", "live", words::STATE_RUNNING),
        WorklistState::Interrupted => ("▲", "warning", words::STATE_INTERRUPTED),
        WorklistState::Planned => ("○", "plain", words::STATE_PLANNED),
        WorklistState::ToSign => ("✎", "accent", words::STATE_TO_SIGN),
        WorklistState::Signed => ("✔", "good", words::STATE_SIGNED),
        WorklistState::Failed => ("✕", "danger", words::STATE_FAILED),
        WorklistState::None => ("–", "plain", words::STATE_NONE),
    }
}

/// Sign, class and word of a consent.
pub(crate) fn consent(state: ConsentState) -> (&'static str, &'static str, Text) {
    match state {
        ConsentState::Missing => ("○", "plain", words::CONSENT_MISSING),
        ConsentState::Granted => ("✔", "good", words::CONSENT_GRANTED),
        ConsentState::Refused => ("✕", "danger", words::CONSENT_REFUSED),
        ConsentState::Withdrawn => ("▲", "warning", words::CONSENT_WITHDRAWN),
    }
}

fn line(app: App, row: &WorklistRow) -> impl IntoView + use<> {
    let (sign, class, word) = state(row.state);
    let (consent_sign, consent_class, consent_word) = consent(row.patient.consent);
    let day = row
        .patient
        .consent_at
        .as_deref()
        .map(|at| at.chars().take(10).collect::<String>());
    let state_name = serde_json::to_value(row.state)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned));
    let patient = row.patient.clone();
    let recorded = (row.recorded_s > 0.0).then(|| format::length(row.recorded_s));
    let title = if row.protocol_title.is_empty() {
        row.protocol.clone()
    } else {
        row.protocol_title.clone()
    };
    let note = row.note.clone();
    let hide_note = move || {
        if app.hidden() && !note.is_empty() {
            crate::identity::HIDDEN.to_owned()
        } else {
            note.clone()
        }
    };
    view! {
        <tr data-id=row.patient.id.clone() data-session=row.session.clone() data-state=state_name>
            <td><span class=format!("state {class}")><span aria-hidden="true">{sign}" "</span>{t(word)}</span></td>
            <td class="number">{if row.time.is_empty() { String::new() } else { short_time(&row.time) }}</td>
            <td>
                {patient_line(&row.patient)}
                {row.patient.training.then(|| view! { <span class="chip training">{t(common::TRAINING)}</span> })}
                {row.patient.temporary.then(|| view! { <span class="chip warning">"▲ "{t(common::TEMPORARY)}</span> })}
            </td>
            <td>{title}<br/><span class="hint">{hide_note}</span></td>
            <td>
                <button type="button" class=format!("quiet state {consent_class}") data-testid=id::ROW_CONSENT
                    on:click=move |_| consent_dialog(app, patient.clone())>
                    <span aria-hidden="true">{consent_sign}" "</span>{t(consent_word)}{day.map(|day| format!(" {day}"))}
                </button>
            </td>
            <td class="number">{recorded}</td>
            <td><div class="row">{actions(app, row)}</div></td>
        </tr>
    }
}

fn short_time(rfc3339: &str) -> String {
    let day: String = rfc3339.chars().take(10).collect();
    let clock: String = format::time_of_day(rfc3339).chars().take(5).collect();
    format!("{day} {clock}")
}

fn button(
    test_id: &'static str,
    class: &'static str,
    label: Text,
    act: impl Fn() + 'static,
) -> AnyView {
    view! { <button type="button" class=class data-testid=test_id on:click=move |_| act()>{t(label)}</button> }.into_any()
}

fn actions(app: App, row: &WorklistRow) -> Vec<AnyView> {
    let session = row.session.clone().unwrap_or_default();
    let patient = row.patient.clone();
    let prepare = Route::Prepare {
        patient: row.patient.id.clone(),
        protocol: row.protocol.clone(),
        order: row.order.clone().unwrap_or_default(),
    };
    let mut all = Vec::new();
    match row.state {
        WorklistState::Running => {
            all.push(button(id::ROW_WATCH, "primary", words::WATCH, move || {
                app.go(Route::Session(session.clone()));
            }));
        }
        WorklistState::Interrupted => {
            let again = session.clone();
            all.push(button(
                id::ROW_RESUME,
                "primary",
                words::RESUME,
                move || {
                    let session = again.clone();
                    app.run(
                        SessionResume { id: again.clone() },
                        Some(words::RESUMING),
                        move |_| app.go(Route::Session(session)),
                    );
                },
            ));
            all.push(button(id::ROW_WATCH, "", words::WATCH, move || {
                app.go(Route::Session(session.clone()));
            }));
        }
        WorklistState::Planned => {
            all.push(button(id::ROW_START, "primary", words::START, move || {
                app.go(prepare.clone());
            }));
            let order = row.order.clone().unwrap_or_default();
            all.push(button("row-cancel", "", words::ORDER_CANCEL, move || {
                let order = order.clone();
                app.confirm(
                    words::ORDER_CANCEL,
                    t(words::ORDER_CANCEL_TEXT),
                    words::ORDER_CANCEL,
                    true,
                    move || {
                        app.run(
                            OrderCancel { id: order.clone() },
                            Some(words::ORDER_CANCELLED),
                            |_| (),
                        );
                    },
                );
            }));
        }
        WorklistState::ToSign | WorklistState::Signed => {
            let label = if row.state == WorklistState::ToSign {
                words::SIGN
            } else {
                words::READ
            };
            all.push(button(id::ROW_READ, "primary", label, move || {
                app.go(Route::Reports(session.clone()));
            }));
        }
        WorklistState::Failed => {
            all.push(button(id::ROW_WATCH, "", common::OPEN, move || {
                app.go(Route::Session(session.clone()));
            }));
        }
        WorklistState::None => {
            all.push(button(id::ROW_START, "primary", words::START, move || {
                app.go(prepare.clone());
            }));
        }
    }
    if !row.patient.temporary {
        let ordered = patient.clone();
        all.push(button(id::ROW_ORDER, "", words::ORDER, move || {
            forms::order_dialog(app, ordered.clone());
        }));
        all.push(button(id::ROW_EDIT, "", common::EDIT, move || {
            forms::patient_dialog(app, Some(patient.clone()));
        }));
    }
    all
}
