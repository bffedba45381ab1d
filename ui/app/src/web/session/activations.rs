//! Activations of the protocol: check list of contraindications, begin, time, end with what is to be stated.

use super::Live;
use crate::format;
use crate::live::{Phase, phase};
use crate::test_ids as id;
use crate::web::bridge;
use crate::words::{codes, fill, session as words, t};
use leptos::prelude::*;
use std::collections::BTreeMap;
use ui_types::{ActivationView, QuestionView};

/// Every activation of the protocol.
pub(super) fn activations(live: Live) -> impl IntoView {
    let all = Memo::new(move |_| {
        live.protocol()
            .map(|protocol| protocol.activations)
            .unwrap_or_default()
    });
    view! {
        <section class="panel" data-testid=id::ACTIVATIONS>
            <h2>{t(words::ACTIVATIONS)}</h2>
            {move || {
                let all = all.get();
                if all.is_empty() {
                    return view! { <p class="hint">{t(words::NO_ACTIVATIONS)}</p> }.into_any();
                }
                all.into_iter().map(|one| activation(live, one)).collect_view().into_any()
            }}
        </section>
    }
}

/// How an activation stands, in words that move once a second.
fn standing(activation: &ActivationView, phase: Phase, now_ns: i64) -> String {
    match phase {
        Phase::Idle => String::new(),
        Phase::Running(begin) => {
            let passed = format::seconds_between(begin, now_ns);
            match activation.duration_s {
                Some(planned) if passed <= planned => fill(
                    words::ACTIVATION_LEFT,
                    &[("time", &format::length(planned - passed))],
                ),
                Some(planned) => fill(
                    words::ACTIVATION_OVER,
                    &[("time", &format::length(passed - planned))],
                ),
                None => format::length(passed),
            }
        }
        Phase::After(end) => {
            let left = activation.after_s - format::seconds_between(end, now_ns);
            fill(words::ACTIVATION_AFTER, &[("time", &format::length(left))])
        }
    }
}

fn activation(live: Live, one: ActivationView) -> impl IntoView {
    let checked = RwSignal::new(vec![false; one.check_list.len()]);
    let answers = RwSignal::new(BTreeMap::<String, String>::new());
    let stored = StoredValue::new(one.clone());
    let now = Memo::new(move |_| {
        stored.with_value(|one| phase(one, &live.codes(), live.app.now_ns.get()))
    });
    let runs = Memo::new(move |_| matches!(now.get(), Phase::Running(_)));
    let all_checked = move || checked.with(|checked| checked.iter().all(|one| *one));
    let title = codes::word(&one.id, &one.title).to_owned();
    let begin = move || {
        stored.with_value(|one| {
            let mut text = codes::recorded(&one.begin_code, &one.title).to_owned();
            if !all_checked() {
                text = format!("{text} ({})", words::ACTIVATION_NO_CHECK.en);
            }
            live.mark(text, Some(one.begin_code.clone()), bridge::now_ns());
        });
    };
    let end = move || {
        let at = bridge::now_ns();
        stored.with_value(|one| {
            let said: Vec<_> = answers
                .get_untracked()
                .into_iter()
                .filter(|(_, answer)| !answer.is_empty())
                .map(|(name, answer)| format!("{name}: {answer}"))
                .collect();
            let word = codes::recorded(&one.end_code, &one.title);
            let text = if said.is_empty() {
                word.to_owned()
            } else {
                format!("{word}; {}", said.join("; "))
            };
            live.mark(text, Some(one.end_code.clone()), at);
        });
    };
    let photic = one.id.contains("photic");
    let stop = move || {
        // The light first, the words afterwards.
        live.app.emergency_stop();
        end();
    };
    view! {
        <article class="activation" data-id=one.id.clone()>
            <h3>{title}" "<span class="number" role="timer">{move || stored.with_value(|one| standing(one, now.get(), live.app.now_ns.get()))}</span></h3>
            {(!one.check_list.is_empty()).then(|| view! {
                <fieldset>
                    <legend>{t(words::CONTRAINDICATIONS)}</legend>
                    {one.check_list.iter().enumerate().map(|(at, item)| view! {
                        <label class="check">
                            <input type="checkbox" prop:checked=move || checked.with(|checked| checked[at])
                                on:change=move |event| checked.update(|checked| checked[at] = event_target_checked(&event))/>
                            <span>{item.clone()}</span>
                        </label>
                    }).collect_view()}
                </fieldset>
            })}
            {one.questions.iter().map(|one| question(one, answers)).collect_view()}
            <div class="row">
                {move || if runs.get() {
                    view! {
                        <button type="button" class="primary" data-testid="activation-end" on:click=move |_| end()>{t(words::ACTIVATION_END)}</button>
                        {photic.then(|| view! { <button type="button" class="danger" data-testid=id::PHOTIC_STOP on:click=move |_| stop()>"■ "{t(words::PHOTIC_STOP)}</button> })}
                    }.into_any()
                } else {
                    let label = move || if all_checked() { t(words::ACTIVATION_BEGIN) } else { t(words::ACTIVATION_BEGIN_ANYWAY) };
                    view! { <button type="button" data-testid="activation-begin" on:click=move |_| begin()>{label}</button> }.into_any()
                }}
            </div>
        </article>
    }
}

fn question(
    one: &QuestionView,
    answers: RwSignal<BTreeMap<String, String>>,
) -> impl IntoView + use<> {
    let name = StoredValue::new(one.title.clone());
    let set = move |answer: String| {
        answers.update(|answers| drop(answers.insert(name.get_value(), answer)));
    };
    let field_id = format!("question-{}", one.name);
    let free = one.answers.is_empty();
    view! {
        <div class="field">
            <label for=field_id.clone()>{one.title.clone()}</label>
            {if free {
                view! { <input id=field_id type="text" autocomplete="off" on:input=move |event| set(event_target_value(&event))/> }.into_any()
            } else {
                view! {
                    <select id=field_id on:change=move |event| set(event_target_value(&event))>
                        <option value="">"—"</option>
                        {one.answers.iter().map(|answer| view! { <option value=answer.clone()>{answer.clone()}</option> }).collect_view()}
                    </select>
                }.into_any()
            }}
        </div>
    }
}
