//! Reports: preview, impression and conclusion, signature, addenda, PDF.

use super::app::{App, app};
use super::bridge;
use super::dialog::form_buttons;
use super::parts::{Load, field, form_error, loaded};
use super::recordings::recordings;
use super::report_sign::{amend_dialog, sign_dialog, signatures};
use super::session::patient_banner;
use crate::check;
use crate::format;
use crate::route::Route;
use crate::test_ids as id;
use crate::words::{common, fill, reports as words, t};
use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;
use ui_types::{
    ApiError, EngineStatus, PatientShow, PatientView, ReportCreate, ReportDraft, ReportShow,
    ReportView, Role, SessionShow, SessionView,
};

/// The page.
pub(crate) fn page(session: String) -> AnyView {
    let app = app();
    if session.is_empty() {
        return view! {
            <div class="page">
                <h1>{t(words::CHOOSE)}</h1>
                {recordings(words::THE_REPORT, words::NONE_YET, |session| session.report.is_some() || session.recording.is_some(), move |id| app.go(Route::Reports(id)))}
            </div>
        }
        .into_any();
    }
    let open = Open {
        app,
        session: Signal::stored(session),
        report: RwSignal::new(Load::Loading),
        about: RwSignal::new(None),
        patient: RwSignal::new(None),
    };
    open.read();
    open.read_session();
    (move || {
        open.report
            .with(|report| loaded(report, words::THE_REPORT, |report| whole(open, report)))
    })
    .into_any()
}

/// A report that is open.
#[derive(Clone, Copy)]
pub(crate) struct Open {
    pub(crate) app: App,
    pub(crate) session: Signal<String>,
    pub(crate) report: RwSignal<Load<ReportView>>,
    about: RwSignal<Option<SessionView>>,
    patient: RwSignal<Option<PatientView>>,
}

impl Open {
    fn read(self) {
        let body = ReportShow {
            id: self.session.get_untracked(),
        };
        spawn_local(async move {
            let reply = self.app.call(&body).await;
            self.report.try_set(reply.into());
        });
    }

    fn read_session(self) {
        let body = SessionShow {
            id: self.session.get_untracked(),
        };
        spawn_local(async move {
            let Ok(session) = self.app.call(&body).await else {
                return;
            };
            let id = session.patient.clone();
            self.about.try_set(Some(session));
            if let Ok(patient) = self.app.call(&PatientShow { id }).await {
                self.patient.try_set(Some(patient));
            }
        });
    }
}

fn whole(open: Open, report: &ReportView) -> impl IntoView + use<> {
    let app = open.app;
    let provenance = Signal::derive(move || {
        open.about.with(|about| {
            about
                .as_ref()
                .map(|about| about.provenance.clone())
                .unwrap_or_default()
        })
    });
    let made = report.report.is_some();
    let preview = if made {
        preview(&report.html).into_any()
    } else {
        not_made(open).into_any()
    };
    view! {
        <div class="page session">
            {patient_banner(app, Signal::derive(move || open.patient.get()), provenance)}
            <div class="over-traces">
                <h1 class="small">{t(common::REPORTS)}</h1>
                <span class="grow"></span>
                <button type="button" class="quiet" on:click=move |_| app.go(Route::Review(open.session.get_untracked()))>{t(common::REVIEW)}</button>
                <button type="button" class="quiet" on:click=move |_| app.go(Route::Ledger(open.session.get_untracked()))>{t(common::LEDGER)}</button>
                <button type="button" class="quiet" on:click=move |_| app.go(Route::Reports(String::new()))>{t(words::CHOOSE)}</button>
            </div>
            <div class="session-grid two report">
                <div class="centre">{preview}</div>
                <aside class="side wide">
                    {if made { written(open, report).into_any() } else { ().into_any() }}
                    {signatures(report)}
                    {made.then(|| hashes(report))}
                </aside>
            </div>
        </div>
    }
}

/// The report's own page: no scripts (the sandbox), nothing from elsewhere (its own policy).
fn preview(html: &str) -> impl IntoView + use<> {
    let app = app();
    let (style, html) = crate::report_html::split_style(html);
    let style = StoredValue::new(style);
    let frame = NodeRef::<html::Iframe>::new();
    let hidden = move || app.hidden();
    view! {
        {move || hidden().then(|| view! { <p class="band accent">{t(common::IDENTITY_HIDDEN)}</p> })}
        <iframe class="report" class:blurred=hidden node_ref=frame title=t(words::PREVIEW) data-testid=id::REPORT_FRAME sandbox="allow-same-origin"
            srcdoc=html on:load=move |_| if let Some(frame) = frame.get_untracked() { bridge::style_report(&frame, &style.get_value()) }></iframe>
    }
}

fn not_made(open: Open) -> impl IntoView {
    let busy = RwSignal::new(false);
    let error = RwSignal::new(None::<ApiError>);
    let make = move |_| {
        busy.set(true);
        error.set(None);
        let body = ReportCreate {
            id: open.session.get_untracked(),
            pdf: None,
            html: None,
        };
        spawn_local(async move {
            let reply = open.app.call(&body).await;
            busy.try_set(false);
            match reply {
                Ok(_) => open.read(),
                Err(refused) => drop(error.try_set(Some(refused))),
            }
        });
    };
    view! {
        <div class="panel">
            <p class="empty">{t(words::NOT_MADE)}</p>
            {form_error(error)}
            <button type="button" class="primary" data-testid=id::REPORT_MAKE disabled=move || busy.get() on:click=make>
                {move || if busy.get() { t(words::MAKING) } else { t(words::MAKE) }}
            </button>
        </div>
    }
}

fn area(
    test_id: &'static str,
    label: crate::words::Text,
    value: RwSignal<String>,
    locked: bool,
) -> impl IntoView {
    view! {
        <div class="field">
            <label for=test_id>{t(label)}</label>
            <textarea id=test_id data-testid=test_id rows="6" readonly=locked prop:value=move || value.get()
                on:input=move |event| value.set(event_target_value(&event))></textarea>
        </div>
    }
}

/// What the clinician writes, and what is done with it.
fn written(open: Open, report: &ReportView) -> impl IntoView + use<> {
    let app = open.app;
    let signed = !report.signatures.is_empty();
    let (impression, conclusion) = (
        RwSignal::new(report.impression.clone()),
        RwSignal::new(report.conclusion.clone()),
    );
    let kept = RwSignal::new((report.impression.clone(), report.conclusion.clone()));
    let unsaved = move || (impression.get(), conclusion.get()) != kept.get();
    let save = move |then: Option<Callback<()>>| {
        let body = ReportDraft {
            id: open.session.get_untracked(),
            impression: impression.get_untracked(),
            conclusion: conclusion.get_untracked(),
        };
        let done = then.is_none().then_some(words::DRAFT_SAVED);
        app.run(body, done, move |_| {
            kept.try_set((impression.get_untracked(), conclusion.get_untracked()));
            if let Some(then) = then {
                then.run(());
            }
        });
    };
    // What is signed is what stands in the fields: it is kept first.
    let sign = move || save(Some(Callback::new(move |()| sign_dialog(open))));
    let clinician = move || app.is(Role::Clinician);
    view! {
        <section class="panel">
            {area(id::IMPRESSION, words::IMPRESSION, impression, signed)}
            {area(id::CONCLUSION, words::CONCLUSION, conclusion, signed)}
            {(!signed).then(|| view! {
                <div class="row">
                    <button type="button" data-testid=id::SAVE_DRAFT on:click=move |_| save(None)>{t(words::SAVE_DRAFT)}</button>
                    <button type="button" class="primary" data-testid=id::SIGN_REPORT on:click=move |_| sign()>"✎ "{t(words::SIGN)}</button>
                    {move || unsaved().then(|| view! { <span class="hint" role="status">{t(words::UNSAVED)}</span> })}
                </div>
                {move || (!clinician()).then(|| view! { <p class="hint">{t(words::ONLY_CLINICIANS)}</p> })}
            })}
            {signed.then(|| view! {
                <button type="button" data-testid=id::AMEND on:click=move |_| amend_dialog(open)>"+ "{t(words::AMEND)}</button>
            })}
            <button type="button" data-testid=id::PDF on:click=move |_| pdf_dialog(open)>{t(words::PDF)}</button>
        </section>
    }
}

fn hashes(report: &ReportView) -> impl IntoView + use<> {
    view! {
        <details class="panel">
            <summary>"SHA-256"</summary>
            <dl>
                <dt>{t(words::HASH_REPORT)}</dt><dd class="hash">{report.sha256.clone()}</dd>
                <dt>{t(words::HASH_RECORDING)}</dt><dd class="hash">{report.recording_sha256.clone()}</dd>
            </dl>
        </details>
    }
}

/// Writes the document out, to a file that the person names.
fn pdf_dialog(open: Open) {
    let app = open.app;
    app.open_dialog(t(words::PDF_TITLE), move || {
        let path = RwSignal::new(String::new());
        let (busy, error) = (RwSignal::new(false), RwSignal::new(None::<ApiError>));
        let session = open.session.get_untracked();
        let short = format::short(&session);
        spawn_local(async move {
            if let Ok(status) = app.call(&EngineStatus::default()).await {
                let stamp = bridge::now_ns() / 1_000_000_000;
                path.try_set(format!("{}/exports/report-{short}-{stamp}.pdf", status.data_dir));
            }
        });
        let fault = move || check::given(&path.get());
        let send = move || {
            busy.set(true);
            error.set(None);
            let body = ReportCreate { id: open.session.get_untracked(), pdf: Some(path.get_untracked()), html: None };
            spawn_local(async move {
                let reply = app.call(&body).await;
                busy.try_set(false);
                match reply {
                    Ok(reply) => {
                        app.close_dialog();
                        app.notify(super::app::Tone::Good, fill(words::PDF_WRITTEN, &[("path", &reply.written.join(", "))]));
                    }
                    Err(refused) => drop(error.try_set(Some(refused))),
                }
            });
        };
        view! {
            <form class="stack" novalidate on:submit=move |event| { event.prevent_default(); send(); }>
                <p>{t(words::PDF_TEXT)}</p>
                {field(id::PDF_PATH, words::PDF_PATH, "text", path, fault, None)}
                {form_error(error)}
                {form_buttons(common::SAVE, busy)}
            </form>
        }
    });
}
