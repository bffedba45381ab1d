//! Policies in force and where each comes from.

use crate::test_ids as id;
use crate::web::app::App;
use crate::web::dialog::{Form, form_buttons};
use crate::web::parts::{Load, fetch, field, form_error, loaded};
use crate::words::{Text, fill, settings as words, t};
use leptos::prelude::*;
use serde_json::Value;
use ui_types::{PolicyList, PolicyListReply, PolicySet, PolicyView, Role};

fn source(source: &str) -> Text {
    match source {
        "administrator" => words::SOURCE_ADMINISTRATOR,
        "site" => words::SOURCE_SITE,
        _ => words::SOURCE_DEFAULT,
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => t(crate::words::common::YES).to_owned(),
        Value::Bool(false) => t(crate::words::common::NO).to_owned(),
        other => other.to_string(),
    }
}

/// A value of the same kind as the one in force.
fn value_of(text: &str, like: &Value) -> Option<Value> {
    let text = text.trim();
    match like {
        Value::String(_) => Some(Value::String(text.to_owned())),
        Value::Number(_) => serde_json::from_str::<serde_json::Number>(&text.replace(',', "."))
            .ok()
            .map(Value::Number),
        Value::Bool(_) => match text.to_lowercase().as_str() {
            "true" | "yes" | "ja" | "1" => Some(Value::Bool(true)),
            "false" | "no" | "nein" | "0" => Some(Value::Bool(false)),
            _ => None,
        },
        _ => serde_json::from_str(text).ok(),
    }
}

/// The page.
pub(super) fn page(app: App) -> impl IntoView {
    let list = RwSignal::new(Load::Loading);
    let read = move || fetch(list, async move { app.call(&PolicyList::default()).await });
    Effect::new(move |_| {
        app.changed.track();
        read();
    });
    view! {
        <h2>{t(words::POLICIES)}</h2>
        {move || list.with(|list| loaded(list, words::THE_POLICIES, |reply: &PolicyListReply| {
            let rows = reply.policies.iter().map(|policy| line(app, policy)).collect_view();
            view! {
                <div class="scroll" tabindex="0" role="region" aria-label=t(words::POLICIES)>
                    <table data-testid=id::POLICIES>
                        <thead><tr>
                            <th scope="col">{t(words::POLICY)}</th>
                            <th scope="col">{t(words::POLICY_VALUE)}</th>
                            <th scope="col">{t(words::POLICY_SOURCE)}</th>
                            <th scope="col">{t(words::POLICY_SET)}</th>
                        </tr></thead>
                        <tbody>{rows}</tbody>
                    </table>
                </div>
            }
        }))}
    }
}

fn line(app: App, policy: &PolicyView) -> impl IntoView + use<> {
    let one = policy.clone();
    let may = policy.changeable && app.is(Role::Administrator);
    view! {
        <tr data-id=policy.name.clone()>
            <th scope="row">{policy.description.clone()}<br/><span class="hint">{policy.name.clone()}</span></th>
            <td class="number">{format!("{} {}", shown(&policy.value), policy.unit)}</td>
            <td>{t(source(&policy.source))}<br/><span class="hint">{policy.set_by.clone()}</span></td>
            <td>{may.then(|| view! {
                <button type="button" aria-label=fill(words::POLICY_TITLE, &[("name", &one.name)]) on:click=move |_| dialog(app, one.clone())>{t(words::POLICY_SET)}</button>
            })}</td>
        </tr>
    }
}

fn dialog(app: App, policy: PolicyView) {
    let title = fill(words::POLICY_TITLE, &[("name", &policy.name)]);
    app.open_dialog(title, move || {
        let policy = policy.clone();
        let value = RwSignal::new(match &policy.value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        let like = StoredValue::new(policy.value.clone());
        let form = Form::new(app);
        let fault = move || like.with_value(|like| value_of(&value.get(), like)).is_none().then_some(words::POLICY_BAD);
        let name = StoredValue::new(policy.name.clone());
        let set = move |value: Option<Value>| {
            let body = PolicySet { name: name.get_value(), value };
            form.send(async move { app.call(&body).await }, |_| t(words::POLICY_SAVED).to_owned());
        };
        let send = move || {
            if let Some(value) = like.with_value(|like| value_of(&value.get_untracked(), like)) {
                set(Some(value));
            }
        };
        view! {
            <form class="stack" novalidate on:submit=move |event| { event.prevent_default(); send(); }>
                <p>{policy.description.clone()}</p>
                {field("policy-value", words::POLICY_NEW, "text", value, fault, (!policy.unit.is_empty()).then(|| policy.unit.clone()))}
                {form_error(form.error)}
                <button type="button" class="quiet" on:click=move |_| set(None)>"↺ "{t(words::POLICY_DEFAULT)}</button>
                {form_buttons(crate::words::common::SAVE, form.busy)}
            </form>
        }
    });
}
