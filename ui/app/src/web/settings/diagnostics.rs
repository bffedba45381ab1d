//! What would get in the way, the timing certificate, and what the engine says of itself.

use crate::format;
use crate::limits::TIMING_S;
use crate::test_ids as id;
use crate::web::app::App;
use crate::web::bridge;
use crate::web::parts::{Load, error_note, fetch, loaded};
use crate::words::{Text, fill, settings as words, t};
use leptos::prelude::*;
use leptos::task::spawn_local;
use ui_types::{
    ApiError, Doctor, EngineStatus, Finding, FindingLevel, Progress, RecoveryCode, SupportBundle,
    TimingCertify, TimingCertifyReply,
};

fn level(level: FindingLevel) -> (&'static str, &'static str, Text) {
    match level {
        FindingLevel::Good => ("✔", "good", words::LEVEL_GOOD),
        FindingLevel::Warning => ("▲", "warning", words::LEVEL_WARNING),
        FindingLevel::Problem => ("✕", "danger", words::LEVEL_PROBLEM),
    }
}

fn finding(one: &Finding) -> impl IntoView + use<> {
    let (sign, class, word) = level(one.level);
    view! {
        <tr data-level=class data-id=one.check.clone()>
            <th scope="row">{one.check.clone()}</th>
            <td><span class=format!("state {class}")>{sign}" "{t(word)}</span></td>
            <td>{one.found.clone()}</td>
            <td>{one.remedy.clone()}</td>
        </tr>
    }
}

/// What would get in the way of a session.
pub(super) fn doctor(app: App) -> impl IntoView {
    let found = RwSignal::new(Load::Loading);
    let check = move || {
        found.set(Load::Loading);
        fetch(found, async move { app.call(&Doctor::default()).await });
    };
    check();
    view! {
        <div class="row">
            <h2 class="grow">{t(words::DOCTOR)}</h2>
            <button type="button" on:click=move |_| check()>"↻ "{t(words::CHECK_AGAIN)}</button>
        </div>
        <p class="hint">{t(words::DOCTOR_TEXT)}</p>
        {move || found.with(|found| loaded(found, words::THE_FINDINGS, |reply| {
            let mut all = reply.findings.clone();
            all.sort_by_key(|one| std::cmp::Reverse(one.level)); // what needs doing first
            view! {
                <div class="scroll" tabindex="0" role="region" aria-label=t(words::DOCTOR)>
                    <table data-testid=id::DOCTOR>
                        <thead><tr>
                            <th scope="col">{t(words::CHECK)}</th>
                            <th scope="col">{t(words::LEVEL)}</th>
                            <th scope="col">{t(words::FOUND)}</th>
                            <th scope="col">{t(words::REMEDY)}</th>
                        </tr></thead>
                        <tbody>{all.iter().map(finding).collect_view()}</tbody>
                    </table>
                </div>
            }
        }))}
    }
}

/// Measures this machine and writes its certificate.
pub(super) fn timing() -> impl IntoView {
    let running = RwSignal::new(None::<Progress>);
    let found = RwSignal::new(None::<Result<TimingCertifyReply, ApiError>>);
    let start = move |_| {
        running.set(Some(Progress {
            what: String::new(),
            done: 0,
            total: 0,
            detail: None,
        }));
        found.set(None);
        spawn_local(async move {
            let body = TimingCertify {
                duration_s: TIMING_S,
                path: None,
            };
            let reply =
                bridge::call_with_progress(&body, move |step| drop(running.try_set(Some(step))))
                    .await;
            running.try_set(None);
            found.try_set(Some(reply));
        });
    };
    view! {
        <h2>{t(words::TIMING)}</h2>
        <p>{t(words::TIMING_TEXT)}</p>
        <button type="button" class="primary" data-testid=id::TIMING disabled=move || running.with(Option::is_some) on:click=start>{t(words::TIMING_START)}</button>
        {move || running.get().map(|step| {
            let text = fill(words::TIMING_RUNNING, &[("what", &step.what)]);
            view! {
                <p role="status">{text}</p>
                {(step.total > 0).then(|| view! { <progress value=step.done.to_string() max=step.total.to_string() aria-label=t(words::TIMING)></progress> })}
            }
        })}
        {move || found.get().map(|found| match found {
            Ok(reply) => measured(&reply).into_any(),
            Err(error) => error_note(&error).into_any(),
        })}
    }
}

fn measured(reply: &TimingCertifyReply) -> impl IntoView + use<> {
    let ms = |value: f64| format::number(value, 2);
    let latency = fill(
        words::TIMING_LATENCY_VALUE,
        &[
            ("p50", &ms(reply.latency_p50_ms)),
            ("p99", &ms(reply.latency_p99_ms)),
            ("max", &ms(reply.latency_max_ms)),
        ],
    );
    let loss = fill(
        words::TIMING_LOSS_VALUE,
        &[
            ("lost", &reply.samples_lost.to_string()),
            ("due", &reply.samples_due.to_string()),
        ],
    );
    let load = fill(
        words::TIMING_LOAD_VALUE,
        &[
            ("channels", &reply.channels.to_string()),
            ("rate", &format::number(reply.rate_hz, 1)),
            ("time", &format::span(reply.duration_s)),
        ],
    );
    view! {
        <dl data-testid=id::TIMING_RESULT>
            <dt>{t(words::TIMING_LOAD)}</dt><dd>{load}</dd>
            <dt>{t(words::TIMING_LATENCY)}</dt><dd>{latency}</dd>
            <dt>{t(words::TIMING_JITTER)}</dt><dd>{format!("{} ms", ms(reply.jitter_ms))}</dd>
            <dt>{t(words::TIMING_LOSS)}</dt><dd>{loss}</dd>
            <dt>{t(words::TIMING_CLOCK)}</dt><dd>{format!("{} µs", format::number(reply.clock_error_p99_us, 1))}</dd>
            <dt>{t(words::TIMING_FILE)}</dt><dd class="path">{reply.path.clone()}</dd>
            <dt>"SHA-256"</dt><dd class="hash">{reply.sha256.clone()}</dd>
        </dl>
    }
}

/// The engine's own words of itself, and the recovery code while it can still be given.
pub(super) fn about(app: App) -> impl IntoView {
    let status = RwSignal::new(Load::Loading);
    fetch(
        status,
        async move { app.call(&EngineStatus::default()).await },
    );
    let code = RwSignal::new(None::<Result<Option<String>, ApiError>>);
    let show = move |_| {
        spawn_local(async move {
            let reply = app
                .call(&RecoveryCode::default())
                .await
                .map(|reply| reply.code);
            code.try_set(Some(reply));
        });
    };
    view! {
        <h2>{t(words::ABOUT)}</h2>
        {move || status.with(|status| loaded(status, words::ABOUT, |status| view! {
            <dl>
                <dt>{t(words::VERSION)}</dt><dd>{status.version.clone()}</dd>
                <dt>{t(words::DATA_FOLDER)}</dt><dd class="path">{status.data_dir.clone()}</dd>
                <dt>{t(words::UPTIME)}</dt><dd>{format::span(status.uptime_s)}</dd>
            </dl>
            {(!status.problem.is_empty()).then(|| view! { <p class="note danger" role="alert">"✕ "{status.problem.clone()}</p> })}
        }))}
        <h3>{t(words::RECOVERY)}</h3>
        <p>{t(words::RECOVERY_TEXT)}</p>
        <button type="button" data-testid="recovery" on:click=show>{t(words::RECOVERY_SHOW)}</button>
        {move || code.get().map(|code| match code {
            Ok(Some(code)) => view! { <p class="recovery number" role="status">{code}</p> }.into_any(),
            Ok(None) => view! { <p role="status">{t(words::RECOVERY_GIVEN)}</p> }.into_any(),
            Err(error) => error_note(&error).into_any(),
        })}
        {support(app)}
        <p class="hint">{t(crate::words::common::NO_ALARM)}</p>
    }
}

/// What support needs to know, as a file that a person can read before it leaves the house.
fn support(app: App) -> impl IntoView {
    let saved = RwSignal::new(None::<Result<String, ApiError>>);
    let save = move |_| {
        saved.set(None);
        spawn_local(async move {
            let reply = app.call(&SupportBundle::default()).await.map(|bundle| {
                let name = format!("neurascale-support-{}.json", bundle.made.replace(':', ""));
                let text = serde_json::to_string_pretty(&bundle).unwrap_or_default();
                bridge::download(&name, &text);
                name
            });
            saved.try_set(Some(reply));
        });
    };
    view! {
        <h3>{t(words::SUPPORT)}</h3>
        <p>{t(words::SUPPORT_TEXT)}</p>
        <button type="button" data-testid=id::SUPPORT on:click=save>{t(words::SUPPORT_SAVE)}</button>
        {move || saved.get().map(|saved| match saved {
            Ok(name) => view! { <p role="status">{fill(words::SUPPORT_SAVED, &[("name", &name)])}</p> }.into_any(),
            Err(error) => error_note(&error).into_any(),
        })}
    }
}
