//! Marking: coded annotations by button and hot key, notes, undo, and the list of what was marked.

use super::Live;
use crate::format;
use crate::hotkeys::Action;
use crate::test_ids as id;
use crate::web::app::Tone;
use crate::web::bridge;
use crate::web::parts::key_hint;
use crate::web::view_bar::action_key;
use crate::words::{codes, fill, session as words, t};
use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;
use ui_types::{AnnotationKeyView, AnnotationSupersede, SessionAnnotate};

impl Live {
    /// Marks something at a moment, and offers to take it back.
    pub(super) fn mark(self, text: String, code: Option<String>, at_ns: i64) {
        let app = self.app;
        let body = SessionAnnotate {
            id: self.id.get_untracked(),
            text: text.clone(),
            code: code.clone(),
            onset_utc_ns: Some(at_ns),
        };
        spawn_local(async move {
            match app.call(&body).await {
                Ok(reply) => {
                    self.placed.try_set_value(Some((reply.annotation, at_ns)));
                    let time = format::clock(at_ns, bridge::zone_offset_min());
                    let shown = codes::annotation(code.as_deref(), &text);
                    let said = fill(words::MARKED, &[("text", shown), ("time", &time)]);
                    app.notify_undo(
                        Tone::Good,
                        said,
                        Some(Callback::new(move |()| {
                            self.withdraw(reply.annotation, at_ns);
                        })),
                    );
                    app.changed.update(|count| *count += 1);
                }
                Err(error) => app.notify_error(&error),
            }
        });
    }

    /// Takes a mark back: the record keeps both, superseded.
    fn withdraw(self, annotation: u64, onset_utc_ns: i64) {
        let Some(id) = self.id.try_get_untracked() else {
            return;
        };
        self.placed.try_set_value(None);
        let body = AnnotationSupersede {
            id,
            annotation,
            onset_utc_ns,
            duration_ns: None,
            text: String::new(),
            code: None,
        };
        self.app.run(body, Some(words::WITHDRAWN), move |_| {
            self.traces.marks.try_update(|marks| {
                if let Some(mark) = marks.get_mut(&annotation) {
                    mark.superseded_by.get_or_insert(annotation);
                }
            });
        });
    }
}

fn text_of(key: &AnnotationKeyView) -> String {
    codes::word(&key.code, &key.text).to_owned()
}

/// Hot keys of the session: marks, undo, to the note.
pub(super) fn take_keys(live: Live, note: NodeRef<html::Input>) {
    live.app.on_action(move |action, at_ns| match action {
        Action::Coded(key) => {
            let found = live
                .protocol()
                .and_then(|protocol| protocol.annotations.into_iter().find(|one| one.key == *key));
            if let Some(found) = &found {
                live.mark(found.text.clone(), Some(found.code.clone()), at_ns);
            }
            found.is_some()
        }
        Action::Undo => {
            let placed = live.placed.get_value();
            if let Some((annotation, onset)) = placed {
                live.withdraw(annotation, onset);
            }
            placed.is_some()
        }
        Action::Note => {
            if let Some(field) = note.get_untracked() {
                let _ = field.focus(); // hidden while locked
            }
            true
        }
        _ => false,
    });
}

/// A button for each coded annotation, with its hot key.
pub(super) fn mark_buttons(live: Live) -> impl IntoView {
    let protocol = Memo::new(move |_| live.protocol().map(|protocol| protocol.annotations));
    view! {
        <div class="marks" role="group" aria-label=t(words::MARK) data-testid=id::MARK_BUTTONS>
            {move || protocol.get().unwrap_or_default().into_iter().map(|one| {
                // The record has the protocol's own text, whatever the language of the page.
                let (text, code) = (one.text.clone(), one.code.clone());
                let shown = text_of(&one);
                // Stamped when the button goes down, as the keys are.
                let down = StoredValue::new(None::<i64>);
                view! {
                    <button type="button" data-testid="mark" data-id=one.code.clone() aria-keyshortcuts=one.key.clone()
                        on:pointerdown=move |_| down.set_value(Some(bridge::now_ns()))
                        on:click=move |_| {
                            let at = down.get_value().unwrap_or_else(bridge::now_ns);
                            down.set_value(None);
                            live.mark(text.clone(), Some(code.clone()), at);
                        }>
                        {key_hint(&one.key)}" "{shown}
                    </button>
                }
            }).collect_view()}
        </div>
    }
}

/// The field of the note and the list of marks.
pub(super) fn mark_list(
    live: Live,
    note: NodeRef<html::Input>,
    collects: Memo<bool>,
) -> impl IntoView {
    let text = RwSignal::new(String::new());
    let began = StoredValue::new(None::<i64>);
    let typed = move |value: String| {
        if value.is_empty() {
            began.set_value(None);
        } else if began.get_value().is_none() {
            began.set_value(Some(bridge::now_ns()));
        }
        text.set(value);
    };
    let send = move || {
        let said = text.get_untracked().trim().to_owned();
        if !said.is_empty() {
            live.mark(said, None, began.get_value().unwrap_or_else(bridge::now_ns));
        }
        typed(String::new());
    };
    view! {
        <section class="panel">
            <h2>{t(words::ANNOTATIONS)}" "<span class="count">{move || live.marks.with(Vec::len)}</span></h2>
            {move || collects.get().then(|| view! {
            <form class="note-row" on:submit=move |event| { event.prevent_default(); send(); }>
                <label class="unseen" for=id::NOTE>{t(words::NOTE)}</label>
                <input id=id::NOTE data-testid=id::NOTE type="text" autocomplete="off" node_ref=note
                    placeholder=t(words::NOTE) title=t(words::NOTE_HINT)
                    prop:value=move || text.get() on:input=move |event| typed(event_target_value(&event))/>
                <button type="submit" data-testid=id::NOTE_SEND>{t(words::MARK)}" "{action_key(&Action::Note)}</button>
            </form>
            })}
            <ul class="list" data-testid=id::ANNOTATIONS aria-label=t(words::ANNOTATIONS) tabindex="0">
                {move || {
                    let marks = live.marks.get();
                    if marks.is_empty() {
                        return view! { <li class="hint">{t(words::NO_ANNOTATIONS)}</li> }.into_any();
                    }
                    // The newest on top: that is the one that was just placed.
                    marks.into_iter().rev().map(|mark| {
                        let at = format::clock(mark.at_ns, bridge::zone_offset_min());
                        let text = codes::annotation(mark.code.as_deref(), &mark.text).to_owned();
                        view! { <li data-testid="annotation" data-id=mark.id.to_string()><span class="number">{at}</span>" "{text}</li> }
                    }).collect_view().into_any()
                }}
            </ul>
        </section>
    }
}
