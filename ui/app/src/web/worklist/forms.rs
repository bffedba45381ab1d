//! Forms of the worklist: a patient, an order, consent.

use crate::check::{self, PatientFields};
use crate::format;
use crate::test_ids as id;
use crate::web::app::{App, Tone};
use crate::web::bridge;
use crate::web::dialog::{Form, form_buttons};
use crate::web::parts::{choice, field, form_error, patient_line};
use crate::words::{common, fill, t, worklist as words};
use leptos::prelude::*;
use ui_types::{
    ConsentState, OrderAdd, PatientConsent, PatientEdit, PatientRegister, PatientView, Sex,
};

fn sex_name(sex: Sex) -> &'static str {
    match sex {
        Sex::Female => "female",
        Sex::Male => "male",
        Sex::Unknown => "unknown",
    }
}

fn sex_of(name: &str) -> Sex {
    match name {
        "female" => Sex::Female,
        "male" => Sex::Male,
        _ => Sex::Unknown,
    }
}

/// Registers a patient, or corrects one.
pub(super) fn patient_dialog(app: App, patient: Option<PatientView>) {
    let title = if patient.is_some() {
        words::EDIT_PATIENT
    } else {
        words::NEW_PATIENT
    };
    app.open_dialog(t(title), move || patient_form(app, patient.clone()));
}

fn patient_form(app: App, patient: Option<PatientView>) -> impl IntoView {
    let of = |part: fn(&PatientView) -> &String| {
        RwSignal::new(patient.as_ref().map(part).cloned().unwrap_or_default())
    };
    let family = of(|patient| &patient.family_name);
    let given = of(|patient| &patient.given_name);
    let born = of(|patient| &patient.birth_date);
    let number = of(|patient| &patient.hospital_number);
    let sex = RwSignal::new(
        sex_name(patient.as_ref().map_or(Sex::Unknown, |patient| patient.sex)).to_owned(),
    );
    let training = RwSignal::new(patient.as_ref().is_some_and(|patient| patient.training));
    let (tried, form) = (RwSignal::new(false), Form::new(app));
    let faults = Memo::new(move |_| {
        let fields = PatientFields {
            family_name: family.get(),
            given_name: given.get(),
            birth_date: born.get(),
            hospital_number: number.get(),
        };
        let today = format::day(bridge::now_ns(), bridge::zone_offset_min());
        check::patient(&fields, &today)
    });
    // A date is wrong as soon as it is whole; what is missing is said once the form was sent.
    let shown = move || {
        if tried.get() {
            faults.get()
        } else {
            check::PatientFaults::default()
        }
    };
    let born_fault = move || {
        if tried.get() || born.with(|text| text.len() >= 10) {
            faults.get().birth_date
        } else {
            None
        }
    };
    let known = patient.as_ref().map(|patient| patient.id.clone());
    let editing = known.is_some();
    let send = move || {
        tried.set(true);
        if !faults.get_untracked().none() {
            return;
        }
        let text = |signal: RwSignal<String>| signal.get_untracked().trim().to_owned();
        let known = known.clone();
        let reply = async move {
            let (family_name, given_name, birth_date) = (text(family), text(given), text(born));
            let (hospital_number, sex) = (text(number), sex_of(&sex.get_untracked()));
            match known {
                Some(id) => {
                    let body = PatientEdit {
                        id,
                        family_name,
                        given_name,
                        birth_date,
                        sex,
                        hospital_number,
                    };
                    app.call(&body).await.map(|_| words::EDITED)
                }
                None => {
                    let training = training.get_untracked();
                    let body = PatientRegister {
                        family_name,
                        given_name,
                        birth_date,
                        sex,
                        hospital_number,
                        training,
                    };
                    app.call(&body).await.map(|_| words::REGISTERED)
                }
            }
        };
        form.send(reply, |done| t(done).to_owned());
    };
    let sexes = [
        ("female", words::SEX_FEMALE),
        ("male", words::SEX_MALE),
        ("unknown", words::SEX_UNKNOWN),
    ];
    let sexes = sexes
        .iter()
        .map(|(key, title)| ((*key).to_owned(), t(*title).to_owned()))
        .collect();
    view! {
        <form class="stack" novalidate on:submit=move |event| { event.prevent_default(); send(); }>
            <div class="columns">
                {field(id::FAMILY_NAME, words::FAMILY_NAME, "text", family, move || shown().family_name, None)}
                {field(id::GIVEN_NAME, words::GIVEN_NAME, "text", given, move || shown().given_name, None)}
                {field(id::BIRTH_DATE, common::BIRTH_DATE, "text", born, born_fault, Some(t(words::BIRTH_DATE_HINT).to_owned()))}
                {choice(id::SEX, words::SEX, sexes, sex.into(), move |value| sex.set(value))}
                {field(id::HOSPITAL_NUMBER, common::HOSPITAL_NUMBER, "text", number, move || shown().hospital_number, None)}
            </div>
            {if editing {
                view! { <p class="hint">{t(words::TRAINING_FIXED)}</p> }.into_any()
            } else {
                view! {
                    <label class="check">
                        <input type="checkbox" data-testid=id::TRAINING prop:checked=move || training.get()
                            on:change=move |event| training.set(event_target_checked(&event))/>
                        <span>{t(words::TRAINING_PATIENT)}</span>
                    </label>
                }
                .into_any()
            }}
            {form_error(form.error)}
            {form_buttons(if editing { common::SAVE } else { words::REGISTER }, form.busy)}
        </form>
    }
}

/// Orders a session.
pub(super) fn order_dialog(app: App, patient: PatientView) {
    app.open_dialog(t(words::ORDER_TITLE), move || {
        order_form(app, patient.clone())
    });
}

fn order_form(app: App, patient: PatientView) -> impl IntoView {
    let offset = bridge::zone_offset_min();
    let time = RwSignal::new(format::field_of_ns(bridge::now_ns(), offset));
    let note = RwSignal::new(String::new());
    let protocols = app.protocols.get_untracked();
    let protocol = RwSignal::new(
        protocols
            .first()
            .map(|protocol| protocol.id.clone())
            .unwrap_or_default(),
    );
    let form = Form::new(app);
    let fault = move || {
        format::rfc3339_of_field(&time.get(), offset)
            .is_none()
            .then_some(words::ORDER_TIME_BAD)
    };
    let line = patient_line(&patient);
    let send = move || {
        let Some(at) = format::rfc3339_of_field(&time.get_untracked(), offset) else {
            return;
        };
        let body = OrderAdd {
            patient: patient.id.clone(),
            protocol: protocol.get_untracked(),
            time: at,
            note: note.get_untracked().trim().to_owned(),
        };
        form.send(async move { app.call(&body).await }, |_| {
            t(words::ORDER_ADDED).to_owned()
        });
    };
    let titles = protocols
        .into_iter()
        .map(|protocol| (protocol.id, protocol.title))
        .collect();
    view! {
        <form class="stack" novalidate on:submit=move |event| { event.prevent_default(); send(); }>
            <p>{line}</p>
            {choice(id::PROTOCOL, crate::words::session::PROTOCOL, titles, protocol.into(), move |value| protocol.set(value))}
            {field("order-time", words::ORDER_TIME, "datetime-local", time, fault, None)}
            {field("order-note", words::NOTE, "text", note, || None, None)}
            {form_error(form.error)}
            {form_buttons(words::ORDER, form.busy)}
        </form>
    }
}

/// Notes consent, given or not.
pub(crate) fn consent_dialog(app: App, patient: PatientView) {
    app.open_dialog(t(words::CONSENT_TITLE), move || {
        let (_, _, word) = super::consent(patient.consent);
        let at = patient.consent_at.as_deref().map(format::moment).unwrap_or_default();
        let now = fill(words::CONSENT_NOW, &[("state", t(word))]);
        let choose = |state: ConsentState, class: &'static str| {
            let (sign, _, word) = super::consent(state);
            let id = patient.id.clone();
            let test_id = format!("consent-{}", serde_json::to_string(&state).unwrap_or_default().trim_matches('"'));
            view! {
                <button type="button" class=class data-testid=test_id on:click=move |_| {
                    let body = PatientConsent { id: id.clone(), state };
                    app.close_dialog();
                    app.run(body, None, move |_| {
                        app.notify(Tone::Good, fill(words::CONSENT_NOTED, &[("state", t(word))]));
                    });
                }>{sign}" "{t(word)}</button>
            }
        };
        let last = if patient.consent == ConsentState::Granted { ConsentState::Withdrawn } else { ConsentState::Refused };
        view! {
            <p>{patient_line(&patient)}</p>
            <p>{format!("{now} {at}")}</p>
            <p class="hint">{t(words::CONSENT_NOTE)}</p>
            <div class="row end">
                <button type="button" data-testid=id::DIALOG_CLOSE on:click=move |_| app.close_dialog()>{t(common::CANCEL)}</button>
                {choose(last, "")}
                {choose(ConsentState::Granted, "primary")}
            </div>
        }
    });
}
