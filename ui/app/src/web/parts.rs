//! Parts that pages share: fields with their fault, errors, loading, tables' small things.

use super::app::{App, app, sentence};
use crate::test_ids as id;
use crate::words::{Text, common, fill, t};
use leptos::prelude::*;
use leptos::task::spawn_local;
use std::future::Future;
use std::time::Duration;
use ui_types::{ApiError, Call, ErrorCode, PatientView};

/// What a page waits for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Load<T> {
    Loading,
    Ready(T),
    Failed(ApiError),
}

impl<T> From<Result<T, ApiError>> for Load<T> {
    fn from(result: Result<T, ApiError>) -> Self {
        match result {
            Ok(value) => Self::Ready(value),
            Err(error) => Self::Failed(error),
        }
    }
}

/// An error: what happened, what is safe, what to do.
pub(crate) fn error_note(error: &ApiError) -> impl IntoView + use<> {
    let code = format!("{:?}", error.code);
    let remedy = sentence(&error.remedy);
    let safe = match error.code {
        ErrorCode::Invalid | ErrorCode::Refused | ErrorCode::NotAllowed | ErrorCode::NotFound => {
            common::SAFE_NOTHING
        }
        _ => common::SAFE_RECORDING,
    };
    view! {
        <div class="note danger" role="alert" data-testid=id::ERROR data-code=code>
            <p><strong>"✕ "</strong>{sentence(&error.message)}</p>
            <p>{t(safe)}</p>
            {(!remedy.is_empty()).then(|| view! { <p><strong>{t(common::WHAT_TO_DO)}": "</strong>{remedy}</p> })}
        </div>
    }
}

/// The error of a form, where there is one.
pub(crate) fn form_error(error: RwSignal<Option<ApiError>>) -> impl IntoView {
    move || error.with(|error| error.as_ref().map(error_note))
}

/// Says what is loading.
pub(crate) fn loading(what: Text) -> impl IntoView {
    let text = fill(common::LOADING, &[("what", t(what))]);
    view! { <p class="loading" role="status">{text}</p> }
}

/// What a page shows of what it waits for.
pub(crate) fn loaded<T, V>(load: &Load<T>, what: Text, ready: impl FnOnce(&T) -> V) -> AnyView
where
    V: IntoView + 'static,
{
    match load {
        Load::Loading => loading(what).into_any(),
        Load::Failed(error) => error_note(error).into_any(),
        Load::Ready(value) => ready(value).into_any(),
    }
}

/// Runs something for as long as the calling view lives.
pub(crate) fn every(ms: u32, run: impl Fn() + 'static) {
    if let Ok(handle) = set_interval_with_handle(run, Duration::from_millis(ms.into())) {
        on_cleanup(move || handle.clear());
    }
}

/// Asks again and again while the view lives, never twice at once; what is shown changes only when the
/// reply does. What it returns asks at once.
pub(crate) fn poll<C, F>(
    app: App,
    ms: u32,
    into: RwSignal<Load<C::Reply>>,
    body: F,
) -> impl Fn() + Copy
where
    C: Call,
    C::Reply: Send + Sync,
    F: Fn() -> Option<C> + 'static,
{
    let body = StoredValue::new_local(body);
    let (busy, last) = (StoredValue::new(false), StoredValue::new(String::new()));
    let ask = move || {
        let wanted = body.try_with_value(|body| body()).flatten();
        let (Some(wanted), Some(false)) = (wanted, busy.try_get_value()) else {
            return;
        };
        busy.set_value(true);
        spawn_local(async move {
            let reply = app.call(&wanted).await;
            if busy.try_set_value(false).is_some() {
                return; // the page is gone
            }
            match reply {
                Ok(reply) => {
                    let text = serde_json::to_string(&reply).unwrap_or_default();
                    if last.get_value() != text {
                        last.set_value(text);
                        into.try_set(Load::Ready(reply));
                    }
                }
                // A hiccup does not wipe what stands there.
                Err(error)
                    if error.code == ErrorCode::Unavailable
                        && !last.with_value(String::is_empty) => {}
                Err(error) => {
                    last.set_value(String::new());
                    into.try_set(Load::Failed(error));
                }
            }
        });
    };
    ask();
    every(ms, ask);
    ask
}

/// Runs a future whose result a signal takes.
pub(crate) fn fetch<T: Send + Sync + 'static>(
    into: RwSignal<Load<T>>,
    future: impl Future<Output = Result<T, ApiError>> + 'static,
) {
    spawn_local(async move {
        let result = future.await;
        into.try_set(result.into());
    });
}

/// A text field with its label, hint and fault.
pub(crate) fn field(
    test_id: &'static str,
    label: Text,
    kind: &'static str,
    value: RwSignal<String>,
    fault: impl Fn() -> Option<Text> + Copy + Send + Sync + 'static,
    hint: Option<String>,
) -> impl IntoView {
    let hint_id = format!("{test_id}-hint");
    let fault_id = format!("{test_id}-fault");
    let described = format!("{hint_id} {fault_id}");
    let complete = match (kind, test_id) {
        ("password", _) => "current-password",
        (_, id::LOGIN) => "username",
        _ => "off",
    };
    view! {
        <div class="field">
            <label for=test_id>{t(label)}</label>
            <input
                id=test_id
                data-testid=test_id
                type=kind
                autocomplete=complete
                spellcheck="false"
                prop:value=move || value.get()
                on:input=move |event| value.set(event_target_value(&event))
                aria-invalid=move || fault().is_some().to_string()
                aria-describedby=described
            />
            <span class="hint" id=hint_id>{hint}</span>
            <span class="fault" id=fault_id role="alert">{move || fault().map(|text| format!("✕ {}", t(text)))}</span>
        </div>
    }
}

/// A fault that is shown only once the form was sent, so that nobody is scolded while writing.
pub(crate) fn once_tried(
    tried: RwSignal<bool>,
    fault: impl Fn() -> Option<Text> + Copy + Send + Sync + 'static,
) -> impl Fn() -> Option<Text> + Copy + Send + Sync + 'static {
    move || if tried.get() { fault() } else { None }
}

/// A select with its label; values and titles.
pub(crate) fn choice(
    test_id: &'static str,
    label: Text,
    options: Vec<(String, String)>,
    value: Signal<String>,
    chosen: impl Fn(String) + 'static,
) -> impl IntoView {
    view! {
        <div class="field">
            <label for=test_id>{t(label)}</label>
            <select
                id=test_id
                data-testid=test_id
                on:change=move |event| chosen(event_target_value(&event))
                prop:value=move || value.get()
            >
                {options
                    .into_iter()
                    .map(|(key, title)| {
                        let selected = key == value.get_untracked();
                        view! { <option value=key selected=selected>{title}</option> }
                    })
                    .collect_view()}
            </select>
        </div>
    }
}

/// Who the patient is, small: for tables and dialogs.
pub(crate) fn patient_line(patient: &PatientView) -> impl IntoView + use<> {
    let patient = patient.clone();
    let app = app();
    move || {
        let [name, born, number] = crate::identity::three(&patient, app.hidden());
        view! {
            <span class="patient-line">
                <strong>{name}</strong>
                <span>{format!("{} · {} · {}", crate::identity::sex(patient.sex), born, number)}</span>
            </span>
        }
    }
}

/// A hot key shown in its control.
pub(crate) fn key_hint(chord: &str) -> impl IntoView + use<> {
    let shown = crate::hotkeys::shown(chord);
    (!shown.is_empty()).then(|| view! { <kbd aria-hidden="true">{shown}</kbd> })
}

/// Waits until nothing more was typed for a while.
#[derive(Clone, Copy)]
pub(crate) struct Rest {
    after: Duration,
    waiting: StoredValue<Option<TimeoutHandle>>,
}

impl Rest {
    pub(crate) fn new(after_ms: u32) -> Self {
        Self {
            after: Duration::from_millis(after_ms.into()),
            waiting: StoredValue::new(None),
        }
    }

    /// Runs this after the rest, unless something else comes before.
    pub(crate) fn run(&self, act: impl FnOnce() + 'static) {
        // A canvas may still speak while its page is being taken away.
        let Some(waiting) = self.waiting.try_get_value() else {
            return;
        };
        if let Some(handle) = waiting {
            handle.clear();
        }
        self.waiting
            .set_value(set_timeout_with_handle(act, self.after).ok());
    }
}
