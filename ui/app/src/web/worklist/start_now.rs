//! 'Start now': one click on a device, and it records; identity and checks follow.

use crate::live;
use crate::route::Route;
use crate::test_ids as id;
use crate::web::app::App;
use crate::web::parts::{Load, error_note, fetch, loading};
use crate::words::{common, session, t, worklist as words};
use leptos::prelude::*;
use leptos::task::spawn_local;
use std::collections::BTreeMap;
use ui_types::{ApiError, DeviceList, DeviceView, PatientChoice, SessionStart};

/// Opens the choice of a device.
pub(super) fn dialog(app: App) {
    app.open_dialog(t(words::START_NOW), move || {
        let devices = RwSignal::new(Load::Loading);
        fetch(devices, async move { app.call(&DeviceList::default()).await });
        let (starting, error) = (RwSignal::new(false), RwSignal::new(None::<ApiError>));
        let list = move || match devices.get() {
            Load::Loading => loading(session::DEVICES).into_any(),
            Load::Failed(error) => error_note(&error).into_any(),
            Load::Ready(reply) if reply.devices.is_empty() => {
                view! { <p class="empty">{t(session::NO_DEVICES)}</p> }.into_any()
            }
            Load::Ready(reply) => {
                // What measures a patient comes first.
                let mut found = reply.devices;
                found.sort_by_key(|device| live::is_computed(&device.class));
                found.into_iter().map(|device| choice(app, device, starting, error)).collect_view().into_any()
            }
        };
        view! {
            <p>{t(words::START_NOW_TEXT)}</p>
            <p><strong>{t(words::START_NOW_DEVICE)}</strong></p>
            <div class="stack">{list}</div>
            {move || starting.get().then(|| view! { <p class="loading" role="status">{t(words::STARTING)}</p> })}
            {crate::web::parts::form_error(error)}
            <div class="row end">
                <button type="button" data-testid=id::DIALOG_CLOSE on:click=move |_| app.close_dialog()>{t(common::CANCEL)}</button>
            </div>
        }
    });
}

fn choice(
    app: App,
    device: DeviceView,
    starting: RwSignal<bool>,
    error: RwSignal<Option<ApiError>>,
) -> impl IntoView {
    let computed = live::is_computed(&device.class);
    let start = move |device: String| {
        starting.set(true);
        error.set(None);
        // Computed data never become a patient's: they go to the training patient.
        let patient = if computed {
            PatientChoice::Training
        } else {
            PatientChoice::Temporary
        };
        let protocol = app
            .protocols
            .with_untracked(|all| all.first().map(|one| one.id.clone()))
            .unwrap_or_default();
        let body = SessionStart {
            patient,
            device,
            settings: BTreeMap::new(),
            protocol,
            duration_s: None,
            unlimited: true,
            start_now: true,
            export: None,
            order: None,
        };
        spawn_local(async move {
            match app.call(&body).await {
                Ok(reply) => app.go(Route::Session(reply.id)),
                Err(refused) => {
                    starting.try_set(false);
                    error.try_set(Some(refused));
                }
            }
        });
    };
    let address = device.id.clone();
    view! {
        <button type="button" class="device" data-testid="start-now-device" data-id=device.id
            disabled=move || starting.get() on:click=move |_| start(address.clone())>
            <strong>{device.name.clone()}</strong>
            <span class="hint">{format!("{} · {}", device.transport, t(crate::web::session::class_word(&device.class)))}</span>
            {computed.then(|| view! { <span class="hint">{t(words::START_NOW_TRAINING)}</span> })}
        </button>
    }
}
