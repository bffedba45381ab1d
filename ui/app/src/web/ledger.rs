//! The ledger: entries, filters, verification with its seal, proofs.

use super::app::{App, Tone, app};
use super::bridge;
use super::parts::{Load, Rest, error_note, loading};
use crate::format;
use crate::limits::{LEDGER_PAGE, NEWEST, SEARCH_REST_MS};
use crate::test_ids as id;
use crate::words::{common, fill, ledger as words, t};
use leptos::prelude::*;
use leptos::task::spawn_local;
use std::collections::BTreeSet;
use ui_types::{
    LedgerEntryView, LedgerProof, LedgerShow, LedgerShowReply, LedgerVerify, LedgerVerifyReply,
    Progress,
};

/// What is shown of the ledger.
#[derive(Clone, Copy)]
struct Shown {
    app: App,
    kind: RwSignal<String>,
    session: RwSignal<String>,
    entries: RwSignal<Load<Vec<LedgerEntryView>>>,
    size: RwSignal<u64>,
    more: RwSignal<bool>,
    kinds: RwSignal<BTreeSet<String>>,
}

impl Shown {
    /// Reads the newest entries, or those before the last one shown.
    fn read(self, before: Option<u64>) {
        if before.is_none() {
            self.entries.set(Load::Loading);
        }
        let text = |signal: RwSignal<String>| {
            Some(signal.get_untracked().trim().to_owned()).filter(|text| !text.is_empty())
        };
        let body = LedgerShow {
            from: before.unwrap_or(NEWEST),
            limit: LEDGER_PAGE,
            kind: text(self.kind),
            session: text(self.session),
            newest_first: true,
        };
        spawn_local(async move {
            match self.app.call(&body).await {
                Ok(reply) => self.take(reply, before.is_some()),
                Err(error) => drop(self.entries.try_set(Load::Failed(error))),
            }
        });
    }

    fn take(self, reply: LedgerShowReply, append: bool) {
        self.size.try_set(reply.size);
        self.more
            .try_set(reply.entries.len() >= LEDGER_PAGE as usize);
        self.kinds
            .try_update(|kinds| kinds.extend(reply.entries.iter().map(|entry| entry.kind.clone())));
        self.entries.try_update(|entries| match entries {
            Load::Ready(all) if append => all.extend(reply.entries),
            _ => *entries = Load::Ready(reply.entries),
        });
    }

    fn older(self) {
        let last = self.entries.with_untracked(|entries| match entries {
            Load::Ready(all) => all.last().map(|entry| entry.sequence),
            _ => None,
        });
        if let Some(last) = last.filter(|last| *last > 0) {
            self.read(Some(last - 1));
        }
    }
}

/// The page.
pub(crate) fn page(session: String) -> impl IntoView {
    let app = app();
    let shown = Shown {
        app,
        kind: RwSignal::new(String::new()),
        session: RwSignal::new(session),
        entries: RwSignal::new(Load::Loading),
        size: RwSignal::new(0),
        more: RwSignal::new(false),
        kinds: RwSignal::new(BTreeSet::new()),
    };
    let rest = Rest::new(SEARCH_REST_MS);
    Effect::new(move |before: Option<()>| {
        shown.kind.track();
        shown.session.track();
        if before.is_some() {
            rest.run(move || shown.read(None));
        } else {
            shown.read(None);
        }
    });
    let kinds = move || {
        let now = shown.kind.get_untracked();
        shown
            .kinds
            .get()
            .into_iter()
            .map(|kind| {
                let selected = kind == now;
                view! { <option value=kind selected=selected>{kind.clone()}</option> }
            })
            .collect_view()
    };
    view! {
        <div class="page">
            <div class="toolbar">
                <h1>{t(words::TITLE)}</h1>
                <div class="field">
                    <label for=id::LEDGER_KIND>{t(words::FILTER_KIND)}</label>
                    <select id=id::LEDGER_KIND data-testid=id::LEDGER_KIND on:change=move |event| shown.kind.set(event_target_value(&event))>
                        <option value="">{t(words::ALL_KINDS)}</option>
                        {kinds}
                    </select>
                </div>
                <div class="field grow">
                    <label for=id::LEDGER_SESSION>{t(words::FILTER_SESSION)}</label>
                    <input id=id::LEDGER_SESSION data-testid=id::LEDGER_SESSION type="search" autocomplete="off" spellcheck="false" placeholder=t(words::FILTER_HINT)
                        prop:value=move || shown.session.get() on:input=move |event| shown.session.set(event_target_value(&event))/>
                </div>
            </div>
            {seal()}
            {move || shown.entries.with(|entries| match entries {
                Load::Loading => loading(words::THE_LEDGER).into_any(),
                Load::Failed(error) => error_note(error).into_any(),
                Load::Ready(all) if all.is_empty() => view! { <p class="empty">{t(words::NO_ENTRIES)}</p> }.into_any(),
                Load::Ready(all) => table(shown, all).into_any(),
            })}
        </div>
    }
}

fn table(shown: Shown, all: &[LedgerEntryView]) -> impl IntoView + use<> {
    let caption = fill(
        words::SUMMARY,
        &[("n", &shown.size.get_untracked().to_string())],
    );
    let rows = all
        .iter()
        .map(|entry| line(shown.app, entry))
        .collect_view();
    view! {
        <div class="scroll" tabindex="0" role="region" aria-label=t(words::TITLE)>
            <table class="ledger" data-testid=id::LEDGER_TABLE>
                <caption>{caption}</caption>
                <thead><tr>
                    <th scope="col">{t(words::SEQUENCE)}</th>
                    <th scope="col">{t(common::TIME)}</th>
                    <th scope="col">{t(words::KIND)}</th>
                    <th scope="col">{t(words::ACTOR)}</th>
                    <th scope="col">{t(words::PAYLOAD)}</th>
                    <th scope="col">{t(words::HASH)}</th>
                    <th scope="col">{t(words::PROOF)}</th>
                </tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
        {move || shown.more.get().then(|| view! { <button type="button" on:click=move |_| shown.older()>{t(words::OLDER)}</button> })}
    }
}

/// A payload in one line: 'reason: ct; session: 0197…'.
fn payload(value: &serde_json::Value) -> String {
    let Some(object) = value.as_object() else {
        return value.to_string();
    };
    let parts = object.iter().map(|(name, value)| match value.as_str() {
        Some(text) => format!("{name}: {text}"),
        None => format!("{name}: {value}"),
    });
    parts.collect::<Vec<_>>().join("; ")
}

fn line(app: App, entry: &LedgerEntryView) -> impl IntoView + use<> {
    let sequence = entry.sequence;
    let label = fill(words::PROOF_TITLE, &[("n", &sequence.to_string())]);
    view! {
        <tr data-id=sequence.to_string()>
            <td class="number">{sequence.to_string()}</td>
            <td class="number">{format::moment_in(&entry.time, bridge::zone_offset_min())}</td>
            <td>{entry.kind.clone()}</td>
            <td>{entry.actor.clone()}</td>
            <td class="payload">{payload(&entry.payload)}</td>
            <td class="hash" title=entry.hash.clone()>{format::short(&entry.hash)}"…"</td>
            <td><button type="button" class="quiet" data-testid=id::LEDGER_PROOF aria-label=label on:click=move |_| proof_dialog(app, sequence)>{t(words::PROOF)}</button></td>
        </tr>
    }
}

fn progress_text(progress: &Progress) -> String {
    if progress.total == 0 {
        return progress.what.clone();
    }
    format!("{} {} / {}", progress.what, progress.done, progress.total)
}

/// Verification: progress, then a seal or the first bad entry.
fn seal() -> impl IntoView {
    let running = RwSignal::new(None::<Progress>);
    let found = RwSignal::new(None::<Result<LedgerVerifyReply, ui_types::ApiError>>);
    let at = RwSignal::new(0);
    let verify = move |_| {
        running.set(Some(Progress {
            what: String::new(),
            done: 0,
            total: 0,
            detail: None,
        }));
        found.set(None);
        spawn_local(async move {
            let reply = bridge::call_with_progress(&LedgerVerify::default(), move |step| {
                drop(running.try_set(Some(step)));
            })
            .await;
            running.try_set(None);
            at.try_set(bridge::now_ns());
            found.try_set(Some(reply));
        });
    };
    let body = move || {
        if let Some(step) = running.get() {
            let text = fill(words::VERIFYING, &[("what", &progress_text(&step))]);
            let (value, max) = (step.done.to_string(), step.total.max(1).to_string());
            return view! {
                <p role="status">{text}</p>
                {(step.total > 0).then(|| view! { <progress value=value max=max aria-label=t(words::VERIFY)></progress> })}
            }
            .into_any();
        }
        match found.get() {
            None => view! { <p class="hint">{t(words::NOT_VERIFIED)}</p> }.into_any(),
            Some(Err(error)) => error_note(&error).into_any(),
            Some(Ok(reply)) => verdict(&reply, at.get()).into_any(),
        }
    };
    view! {
        <section class="panel row">
            <button type="button" class="primary" data-testid=id::LEDGER_VERIFY disabled=move || running.with(Option::is_some) on:click=verify>{t(words::VERIFY)}</button>
            <div class="grow">{body}</div>
        </section>
    }
}

fn verdict(reply: &LedgerVerifyReply, at_ns: i64) -> impl IntoView + use<> {
    let (entries, checkpoints) = (reply.entries.to_string(), reply.checkpoints.to_string());
    let time = format::clock_zone(at_ns, bridge::zone_offset_min());
    let text = if reply.sound {
        fill(
            words::SOUND_TEXT,
            &[
                ("entries", &entries),
                ("checkpoints", &checkpoints),
                ("time", &time),
            ],
        )
    } else {
        fill(
            words::BROKEN_TEXT,
            &[("first", reply.first_bad.as_deref().unwrap_or("—"))],
        )
    };
    let (class, sign, word) = if reply.sound {
        ("seal good", "✔", words::SOUND)
    } else {
        ("seal danger", "✕", words::BROKEN)
    };
    let facts = (
        reply.root.clone(),
        reply.verifier_key.clone(),
        reply.checkpoint.clone(),
    );
    view! {
        <div class=class role="status" data-testid=id::LEDGER_SEAL data-sound=reply.sound.to_string()>
            <strong>{sign}" "{t(word)}</strong>
            <span>{text}</span>
            {(!reply.sound).then(|| view! { <span>{t(words::BROKEN_REMEDY)}</span> })}
        </div>
        <details>
            <summary>{t(words::CHECKPOINT)}</summary>
            <dl>
                <dt>{t(words::ROOT)}</dt><dd class="hash">{facts.0}</dd>
                <dt>{t(words::VERIFIER_KEY)}</dt><dd class="hash">{facts.1}</dd>
                <dt>{t(words::CHECKPOINT)}</dt><dd><pre tabindex="0">{facts.2}</pre></dd>
            </dl>
        </details>
    }
}

/// A proof that anyone can check without this station.
fn proof_dialog(app: App, sequence: u64) {
    let title = fill(words::PROOF_TITLE, &[("n", &sequence.to_string())]);
    app.open_dialog(title, move || {
        let proof = RwSignal::new(Load::Loading);
        spawn_local(async move {
            let reply = app.call(&LedgerProof { sequence }).await;
            let text = reply.map(|reply| serde_json::to_string_pretty(&reply.bundle).unwrap_or_default());
            proof.try_set(text.into());
        });
        let ready = move || proof.with(|proof| if let Load::Ready(text) = proof { Some(text.clone()) } else { None });
        let copy = move |_| {
            let Some(text) = ready() else { return };
            spawn_local(async move {
                if bridge::copy_text(&text).await {
                    app.notify(Tone::Good, t(common::COPIED).to_owned());
                } else {
                    app.notify(Tone::Danger, t(common::NOT_COPIED).to_owned());
                }
            });
        };
        let save = move |_| {
            if let Some(text) = ready() {
                bridge::download(&format!("ledger-proof-{sequence}.json"), &text);
            }
        };
        view! {
            <p>{t(words::PROOF_TEXT)}</p>
            {move || proof.with(|proof| super::parts::loaded(proof, words::PROOF, |text| view! {
                <textarea class="proof" readonly rows="14" data-testid=id::PROOF_TEXT aria-label=t(words::PROOF) prop:value=text.clone()></textarea>
            }))}
            <div class="row end">
                <button type="button" data-testid=id::PROOF_COPY on:click=copy>{t(common::COPY)}</button>
                <button type="button" data-testid=id::PROOF_SAVE on:click=save>{t(words::DOWNLOAD)}</button>
                <button type="button" class="primary" data-testid=id::DIALOG_CLOSE on:click=move |_| app.close_dialog()>{t(common::CLOSE)}</button>
            </div>
        }
    });
}
