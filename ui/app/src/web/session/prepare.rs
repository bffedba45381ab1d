//! Before the recording: device, impedances on the head, what the protocol plans, and the start.

use super::class_word;
use super::status::patient_banner;
use super::tools::found;
use crate::format;
use crate::limits::LIST_POLL_MS;
use crate::live::{is_computed, start_blocked};
use crate::route::Route;
use crate::test_ids as id;
use crate::web::app::{App, app};
use crate::web::bridge;
use crate::web::head_map::head_map;
use crate::web::parts::{Load, choice, error_note, fetch, form_error, loading, patient_line, poll};
use crate::words::{codes, common, fill, session as words, t};
use leptos::prelude::*;
use leptos::task::spawn_local;
use std::collections::BTreeMap;
use ui_types::{
    ApiError, DeviceList, DeviceListReply, DeviceProbe, DeviceView, ImpedanceView, PatientChoice,
    PatientShow, PatientView, ProtocolView, SessionStart,
};

/// What is chosen for the session to come.
#[derive(Clone, Copy)]
struct Plan {
    app: App,
    patient_id: StoredValue<String>,
    order: StoredValue<String>,
    patient: RwSignal<Option<PatientView>>,
    devices: RwSignal<Load<DeviceListReply>>,
    device: RwSignal<Option<DeviceView>>,
    protocol: RwSignal<String>,
    minutes: RwSignal<String>,
    unlimited: RwSignal<bool>,
    compared: RwSignal<bool>,
    starting: RwSignal<bool>,
    impedances: RwSignal<Vec<ImpedanceView>>,
    probing: RwSignal<Option<String>>,
    probed: RwSignal<bool>,
    error: RwSignal<Option<ApiError>>,
}

impl Plan {
    fn protocol(&self) -> Option<ProtocolView> {
        self.app.protocol(&self.protocol.get())
    }

    fn blocked(&self) -> Option<crate::words::Text> {
        let class = self
            .device
            .with(|device| device.as_ref().map(|device| device.class.clone()));
        let blocked = self.patient.with(|patient| {
            start_blocked(
                patient.as_ref(),
                class.as_deref(),
                self.compared.get(),
                self.starting.get(),
            )
        });
        blocked.or_else(|| {
            (!self.unlimited.get() && self.seconds().is_err()).then_some(words::DURATION_BAD)
        })
    }

    /// Planned length, s: what the field says, or the protocol's.
    fn seconds(&self) -> Result<Option<f64>, ()> {
        let text = self.minutes.get();
        if text.trim().is_empty() {
            return Ok(None);
        }
        match text.trim().replace(',', ".").parse::<f64>() {
            Ok(minutes) if minutes > 0.0 && minutes.is_finite() => Ok(Some(minutes * 60.0)),
            _ => Err(()),
        }
    }

    fn find_devices(self) {
        self.devices.set(Load::Loading);
        fetch(self.devices, async move {
            self.app.call(&DeviceList::default()).await
        });
    }

    fn choose(self, device: DeviceView) {
        self.device.set(Some(device));
        self.impedances.set(Vec::new());
        self.probed.set(false);
    }

    fn measure(self) {
        let Some(device) = self.device.get_untracked() else {
            return;
        };
        self.impedances.set(Vec::new());
        self.error.set(None);
        self.probing.set(Some(device.name.clone()));
        let body = DeviceProbe {
            id: device.id,
            settings: BTreeMap::new(),
        };
        spawn_local(async move {
            let reply = bridge::call_with_progress(&body, move |progress| {
                found(self.impedances, &progress);
                self.probing.try_set(Some(progress.what));
            })
            .await;
            self.probing.try_set(None);
            self.probed.try_set(true);
            match reply {
                Ok(reply) => drop(self.impedances.try_set(reply.impedances)),
                Err(error) => drop(self.error.try_set(Some(error))),
            }
        });
    }

    fn start(self) {
        if untrack(|| self.blocked()).is_some() {
            return;
        }
        let Some(device) = self.device.get_untracked() else {
            return;
        };
        self.starting.set(true);
        self.error.set(None);
        let order = self.order.get_value();
        let body = SessionStart {
            patient: PatientChoice::Id(self.patient_id.get_value()),
            device: device.id,
            settings: BTreeMap::new(),
            protocol: untrack(|| self.protocol())
                .map(|protocol| protocol.id)
                .unwrap_or_default(),
            duration_s: untrack(|| self.seconds()).ok().flatten(),
            unlimited: self.unlimited.get_untracked(),
            start_now: false,
            export: None,
            order: (!order.is_empty()).then_some(order),
        };
        spawn_local(async move {
            match self.app.call(&body).await {
                Ok(reply) => self.app.go(Route::Session(reply.id)),
                Err(error) => {
                    self.starting.try_set(false);
                    self.error.try_set(Some(error));
                }
            }
        });
    }
}

/// The page.
pub(crate) fn page(patient: String, protocol: String, order: String) -> impl IntoView {
    let app = app();
    bridge::warm_scope();
    let plan = Plan {
        app,
        patient_id: StoredValue::new(patient.clone()),
        order: StoredValue::new(order),
        patient: RwSignal::new(None),
        devices: RwSignal::new(Load::Loading),
        device: RwSignal::new(None),
        protocol: RwSignal::new(protocol),
        minutes: RwSignal::new(String::new()),
        unlimited: RwSignal::new(false),
        compared: RwSignal::new(false),
        starting: RwSignal::new(false),
        impedances: RwSignal::new(Vec::new()),
        probing: RwSignal::new(None),
        probed: RwSignal::new(false),
        error: RwSignal::new(None),
    };
    // What is switched on while the page stands is found, until a device is chosen: from then on the choice stands.
    let _look = poll(app, LIST_POLL_MS, plan.devices, move || {
        let chosen = plan.device.with_untracked(Option::is_some);
        (!chosen && !plan.starting.get_untracked()).then(DeviceList::default)
    });
    Effect::new(move |_| {
        app.changed.track();
        let id = patient.clone();
        spawn_local(async move {
            match app.call(&PatientShow { id }).await {
                Ok(patient) => drop(plan.patient.try_set(Some(patient))),
                Err(error) => drop(plan.error.try_set(Some(error))),
            }
        });
    });
    let class = move || {
        plan.device.with(|device| {
            device
                .as_ref()
                .map(|device| device.class.clone())
                .unwrap_or_default()
        })
    };
    view! {
        <div class="page">
            {patient_banner(app, Signal::derive(move || plan.patient.get()), Signal::derive(class))}
            <h1>{t(words::PREPARE_TITLE)}</h1>
            <div class="prepare-grid">
                <section class="panel">{devices(plan)}</section>
                <section class="panel">{impedances(plan)}</section>
                <section class="panel">{planned(plan)}</section>
            </div>
        </div>
    }
}

fn devices(plan: Plan) -> impl IntoView {
    // One that stays keeps its button, and with it the keyboard's focus, whatever comes and goes beside it.
    let there = move || {
        plan.devices.with(|devices| match devices {
            Load::Ready(reply) => reply.devices.clone(),
            _ => Vec::new(),
        })
    };
    let list = move || match plan.devices.get() {
        Load::Loading => loading(words::DEVICES).into_any(),
        Load::Failed(error) => error_note(&error).into_any(),
        Load::Ready(reply) => {
            let problems = reply.problems;
            view! {
                {reply.devices.is_empty().then(|| view! { <p class="empty">{t(words::NO_DEVICES)}</p> })}
                {(!problems.is_empty()).then(|| view! {
                    <div class="note warning">
                        <p>"▲ "{t(words::DEVICE_PROBLEMS)}</p>
                        <ul>{problems.into_iter().map(|problem| view! { <li>{problem}</li> }).collect_view()}</ul>
                    </div>
                })}
            }
            .into_any()
        }
    };
    view! {
        <div class="row">
            <h2 class="grow">{t(words::DEVICES)}</h2>
            <button type="button" data-testid=id::FIND_DEVICES on:click=move |_| plan.find_devices()>"↻ "{t(words::FIND_DEVICES)}</button>
        </div>
        <div class="stack" role="group" aria-label=t(words::DEVICES) data-testid=id::DEVICE_LIST>
            <For each=there key=|one| (one.id.clone(), one.name.clone(), one.note.clone()) let:one>
                {device(plan, one)}
            </For>
            {list}
        </div>
    }
}

fn device(plan: Plan, one: DeviceView) -> impl IntoView {
    let (key, chosen) = (one.id.clone(), one.clone());
    let pressed = move || {
        plan.device
            .with(|device| device.as_ref().is_some_and(|device| device.id == key))
            .to_string()
    };
    let computed = is_computed(&one.class);
    let real = move || {
        plan.patient
            .with(|patient| patient.as_ref().is_some_and(|patient| !patient.training))
    };
    view! {
        <button type="button" class="device" data-testid="device" data-id=one.id.clone() aria-pressed=pressed on:click=move |_| plan.choose(chosen.clone())>
            <strong>{one.name.clone()}</strong>
            <span class="hint">{format!("{} · {} · {}", one.transport, t(class_word(&one.class)), one.id)}</span>
            {(!one.note.is_empty()).then(|| view! { <span class="hint">{one.note.clone()}</span> })}
            {move || (computed && real()).then(|| view! { <span class="fault">"▲ "{t(words::TRAINING_ONLY)}</span> })}
        </button>
    }
}

fn impedances(plan: Plan) -> impl IntoView {
    let limits = Signal::derive(move || {
        plan.protocol().map_or((0.0, 0.0), |protocol| {
            (
                protocol.impedance_good_kohm,
                protocol.impedance_acceptable_kohm,
            )
        })
    });
    let said = move || {
        if let Some(what) = plan.probing.get() {
            return fill(words::MEASURING, &[("what", &what)]);
        }
        match (plan.probed.get(), plan.impedances.with(Vec::is_empty)) {
            (true, true) => t(words::NO_IMPEDANCES).to_owned(),
            (false, true) => t(words::NOT_MEASURED).to_owned(),
            _ => String::new(),
        }
    };
    view! {
        <div class="row">
            <h2 class="grow">{t(words::MEASURE_AGAIN)}</h2>
            <button type="button" data-testid=id::MEASURE disabled=move || plan.device.with(Option::is_none) || plan.probing.with(Option::is_some)
                on:click=move |_| plan.measure()>{t(words::CHECK_IMPEDANCES)}</button>
        </div>
        <p class="hint" role="status">{said}</p>
        {head_map(plan.impedances.into(), limits)}
    }
}

fn planned(plan: Plan) -> impl IntoView {
    let app = plan.app;
    let protocols = Memo::new(move |_| {
        app.protocols
            .get()
            .into_iter()
            .map(|protocol| (protocol.id, protocol.title))
            .collect::<Vec<_>>()
    });
    let value = Signal::derive(move || {
        plan.protocol()
            .map(|protocol| protocol.id)
            .unwrap_or_default()
    });
    let list = move || {
        plan.protocol().map(|protocol| {
            let calibration = if protocol.calibration { words::CALIBRATION_PLANNED } else { words::CALIBRATION_NOT_PLANNED };
            let planned = protocol.planned_duration_s.map_or_else(|| t(words::UNTIL_STOPPED).to_owned(), format::span);
            let activations: Vec<_> = protocol.activations.iter().map(|one| codes::word(&one.id, &one.title).to_owned()).collect();
            view! {
                <dl>
                    <dt>{t(words::DURATION)}</dt><dd>{planned}</dd>
                    <dt>{t(words::CALIBRATION)}</dt><dd>{t(calibration)}</dd>
                    <dt>{t(words::ACTIVATIONS)}</dt>
                    <dd>{if activations.is_empty() { t(words::NO_ACTIVATIONS).to_owned() } else { activations.join(", ") }}</dd>
                </dl>
            }
        })
    };
    let guard = move || {
        plan.patient.get().filter(|patient| !patient.training).map(|patient| view! {
            <div class="note plain">
                <p><strong>{t(words::CHECK_PATIENT)}</strong></p>
                <p>{patient_line(&patient)}</p>
                <label class="check">
                    <input type="checkbox" data-testid=id::COMPARED prop:checked=move || plan.compared.get()
                        on:change=move |event| plan.compared.set(event_target_checked(&event))/>
                    <span>{t(words::CHECK_PATIENT_DONE)}</span>
                </label>
            </div>
        })
    };
    view! {
        <h2>{t(words::PROTOCOL)}</h2>
        {move || choice(id::PROTOCOL, words::PROTOCOL, protocols.get(), value, move |name| plan.protocol.set(name))}
        {list}
        <div class="field">
            <label for=id::DURATION>{t(words::DURATION_MINUTES)}</label>
            <input id=id::DURATION data-testid=id::DURATION type="text" inputmode="decimal" autocomplete="off" disabled=move || plan.unlimited.get()
                prop:value=move || plan.minutes.get() on:input=move |event| plan.minutes.set(event_target_value(&event))/>
        </div>
        <label class="check">
            <input type="checkbox" data-testid=id::UNLIMITED prop:checked=move || plan.unlimited.get()
                on:change=move |event| plan.unlimited.set(event_target_checked(&event))/>
            <span>{t(words::UNLIMITED)}</span>
        </label>
        {guard}
        {form_error(plan.error)}
        <button type="button" class="primary wide" data-testid=id::START aria-describedby=id::START_BLOCKED
            disabled=move || plan.blocked().is_some() on:click=move |_| plan.start()>"● "{t(words::START_RECORDING)}</button>
        <p class="hint" id=id::START_BLOCKED data-testid=id::START_BLOCKED role="status">{move || plan.blocked().map(t)}</p>
        <button type="button" on:click=move |_| app.go(Route::Worklist)>{t(common::CANCEL)}</button>
    }
}
