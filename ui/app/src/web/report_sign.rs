//! Signing a report, amending a signed one, and the list of signatures.

use super::bridge;
use super::dialog::{Form, form_buttons};
use super::parts::{Load, choice, field, form_error, once_tried};
use super::reports::Open;
use crate::check;
use crate::format;
use crate::test_ids as id;
use crate::words::{fill, reports as words, sign_in, t};
use leptos::prelude::*;
use ui_types::{Password, ReportAmend, ReportSign, ReportView};

/// Asks for the password, and shows name, time and meaning of the signature.
pub(super) fn sign_dialog(open: Open) {
    let app = open.app;
    app.open_dialog(t(words::SIGN_TITLE), move || {
        let password = RwSignal::new(String::new());
        let meanings = [words::MEANING_AUTHOR, words::MEANING_REVIEWED].map(|text| (t(text).to_owned(), t(text).to_owned()));
        let meaning = RwSignal::new(meanings[0].0.clone());
        let (tried, form) = (RwSignal::new(false), Form::new(app));
        let fault = move || check::given(&password.get());
        let name = move || app.user.with(|user| user.as_ref().map(|user| user.display_name.clone()));
        let send = move || {
            tried.set(true);
            if fault().is_some() {
                return;
            }
            let body = ReportSign {
                id: open.session.get_untracked(),
                password: Password(password.get_untracked()),
                meaning: meaning.get_untracked(),
            };
            // A wrong password here is no reason to lead back to the sign-in.
            form.send(async move { bridge::call(&body).await }, move |report| {
                open.report.try_set(Load::Ready(report));
                t(words::SIGNED).to_owned()
            });
        };
        view! {
            <form class="stack" novalidate on:submit=move |event| { event.prevent_default(); send(); }>
                <p>{t(words::SIGN_TEXT)}</p>
                <dl>
                    <dt>{t(words::SIGN_AS)}</dt><dd>{name}</dd>
                    <dt>{t(words::SIGN_AT)}</dt><dd class="number">{move || format::clock_zone(app.now_ns.get(), bridge::zone_offset_min())}</dd>
                </dl>
                {choice(id::SIGN_MEANING, words::SIGN_MEANING, meanings.to_vec(), meaning.into(), move |text| meaning.set(text))}
                {field(id::SIGN_PASSWORD, sign_in::PASSWORD, "password", password, once_tried(tried, fault), None)}
                {form_error(form.error)}
                {form_buttons(words::SIGN, form.busy)}
            </form>
        }
    });
}

/// Adds to a signed report.
pub(super) fn amend_dialog(open: Open) {
    let app = open.app;
    app.open_dialog(t(words::AMEND_TITLE), move || {
        let (text, password) = (RwSignal::new(String::new()), RwSignal::new(String::new()));
        let (tried, form) = (RwSignal::new(false), Form::new(app));
        let text_fault = move || check::given(&text.get());
        let password_fault = move || check::given(&password.get());
        let send = move || {
            tried.set(true);
            if text_fault().is_some() || password_fault().is_some() {
                return;
            }
            let body = ReportAmend {
                id: open.session.get_untracked(),
                text: text.get_untracked(),
                password: Password(password.get_untracked()),
            };
            form.send(async move { bridge::call(&body).await }, move |report| {
                open.report.try_set(Load::Ready(report));
                t(words::AMENDED).to_owned()
            });
        };
        view! {
            <form class="stack" novalidate on:submit=move |event| { event.prevent_default(); send(); }>
                <p>{t(words::AMEND_TEXT)}</p>
                {field(id::ADDENDUM, words::ADDENDUM, "text", text, once_tried(tried, text_fault), None)}
                {field(id::SIGN_PASSWORD, sign_in::PASSWORD, "password", password, once_tried(tried, password_fault), None)}
                {form_error(form.error)}
                {form_buttons(words::AMEND, form.busy)}
            </form>
        }
    });
}

/// Who signed what, when and with which meaning; and the addenda.
pub(super) fn signatures(report: &ReportView) -> impl IntoView + use<> {
    let signed = !report.signatures.is_empty();
    let items = report.signatures.iter().map(|one| {
        let who = fill(
            words::SIGNED_BY,
            &[("name", &one.name), ("at", &format::moment(&one.at))],
        );
        let entry = one
            .ledger_sequence
            .map(|sequence| fill(words::LEDGER_ENTRY, &[("n", &sequence.to_string())]));
        view! {
            <li class="block">
                <strong>"✔ "{who}</strong><br/>
                {one.meaning.clone()}<br/>
                <span class="hint">{entry}" · SHA-256 "{format::short(&one.report_sha256)}"…"</span>
            </li>
        }
    });
    view! {
        <section class="panel" data-testid=id::SIGNATURES>
            <h2>{t(words::SIGNATURES)}</h2>
            {if signed {
                view! { <ul class="list">{items.collect_view()}</ul> }.into_any()
            } else {
                view! { <p class="hint">{t(words::NOT_SIGNED)}</p> }.into_any()
            }}
            {(!report.addenda.is_empty()).then(|| view! {
                <h3>{t(words::ADDENDA)}</h3>
                <ol>{report.addenda.iter().map(|text| view! { <li>{text.clone()}</li> }).collect_view()}</ol>
            })}
        </section>
    }
}
