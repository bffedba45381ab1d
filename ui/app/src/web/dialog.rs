//! Dialogs: one at a time, above the page and below the bar, so that the emergency stop stays in reach.

use super::app::{App, Tone, app};
use crate::test_ids as id;
use crate::words::{Text, common, t};
use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos::web_sys;
use std::future::Future;
use std::rc::Rc;
use ui_types::ApiError;
use wasm_bindgen::JsCast;

/// An open dialog.
#[derive(Clone)]
pub(crate) struct Dialog {
    title: String,
    body: Rc<dyn Fn() -> AnyView>,
}

impl App {
    /// Opens a dialog; one that is open gives way.
    pub(crate) fn open_dialog<V: IntoView + 'static>(
        &self,
        title: impl Into<String>,
        body: impl Fn() -> V + 'static,
    ) {
        self.dialog.set(Some(Dialog {
            title: title.into(),
            body: Rc::new(move || body().into_any()),
        }));
    }

    pub(crate) fn close_dialog(&self) {
        self.dialog.set(None);
    }

    /// Asks before something that cannot be taken back.
    pub(crate) fn confirm(
        &self,
        title: Text,
        text: impl Into<String>,
        action: Text,
        danger: bool,
        then: impl Fn() + Clone + 'static,
    ) {
        let app = *self;
        let text = text.into();
        self.open_dialog(t(title), move || {
            let then = then.clone();
            view! {
                <p>{text.clone()}</p>
                {buttons(action, danger, move || {
                    app.close_dialog();
                    then();
                })}
            }
        });
    }
}

/// How a form in a dialog stands: whether an answer is awaited, and why the last one was a refusal.
#[derive(Clone, Copy)]
pub(crate) struct Form {
    app: App,
    pub(crate) busy: RwSignal<bool>,
    pub(crate) error: RwSignal<Option<ApiError>>,
}

impl Form {
    pub(crate) fn new(app: App) -> Self {
        Self {
            app,
            busy: RwSignal::new(false),
            error: RwSignal::new(None),
        }
    }

    /// Awaits what was sent. Done, the dialog closes and says so in the words of `done`; refused, it stays and
    /// says why.
    pub(crate) fn send<T: 'static>(
        self,
        reply: impl Future<Output = Result<T, ApiError>> + 'static,
        done: impl FnOnce(T) -> String + 'static,
    ) {
        if self.busy.get_untracked() {
            return; // sent already
        }
        self.busy.set(true);
        self.error.set(None);
        spawn_local(async move {
            let reply = reply.await;
            self.busy.try_set(false);
            match reply {
                Ok(reply) => {
                    self.app.close_dialog();
                    self.app.notify(Tone::Good, done(reply));
                    self.app.changed.update(|count| *count += 1);
                }
                Err(refused) => drop(self.error.try_set(Some(refused))),
            }
        });
    }
}

/// 'Cancel' and the action, in that order.
pub(crate) fn buttons(action: Text, danger: bool, act: impl Fn() + 'static) -> impl IntoView {
    let app = app();
    view! {
        <div class="row end">
            <button type="button" data-testid=id::DIALOG_CLOSE on:click=move |_| app.close_dialog()>{t(common::CANCEL)}</button>
            <button type="button" class=if danger { "danger" } else { "primary" } data-testid=id::DIALOG_OK on:click=move |_| act()>
                {t(action)}
            </button>
        </div>
    }
}

/// 'Cancel' and what sends the form.
pub(crate) fn form_buttons(action: Text, busy: RwSignal<bool>) -> impl IntoView {
    let app = app();
    view! {
        <div class="row end">
            <button type="button" data-testid=id::DIALOG_CLOSE on:click=move |_| app.close_dialog()>{t(common::CANCEL)}</button>
            <button type="submit" class="primary" data-testid=id::DIALOG_OK disabled=move || busy.get()>{t(action)}</button>
        </div>
    }
}

fn first_control(within: &web_sys::Element) -> Option<web_sys::HtmlElement> {
    let found = within
        .query_selector("input:not([type=hidden]), textarea, select, .end button, button")
        .ok()??;
    found.dyn_into().ok()
}

/// The dialog that is open.
pub(crate) fn dialogs() -> impl IntoView {
    let app = app();
    let came_from = StoredValue::new_local(None::<web_sys::HtmlElement>);
    Effect::new(move |before: Option<bool>| {
        let open = app.dialog.with(Option::is_some);
        // Focus goes back to where it came from.
        if before == Some(true)
            && !open
            && let Some(element) = came_from.get_value()
        {
            let _ = element.focus(); // it may be gone
        }
        open
    });
    move || {
        app.dialog.get().map(|dialog| {
            let focused = document()
                .active_element()
                .and_then(|element| element.dyn_into().ok());
            came_from.set_value(focused);
            let frame = NodeRef::<html::Div>::new();
            Effect::new(move |_| {
                if let Some(frame) = frame.get()
                    && let Some(control) = first_control(&frame)
                {
                    // At once, not with the next frame: who types on at once types into the dialog.
                    let _ = control.focus();
                }
            });
            // Made once: what it looks up may change while someone fills it in.
            let body = untrack(|| (dialog.body)());
            view! {
                <div class="veil">
                    <div
                        class="dialog"
                        role="dialog"
                        aria-modal="true"
                        aria-labelledby="dialog-title"
                        data-testid=id::DIALOG
                        node_ref=frame
                        on:keydown=move |event| {
                            if event.key() == "Escape" {
                                app.close_dialog();
                            }
                        }
                    >
                        <h2 id="dialog-title">{dialog.title}</h2>
                        {body}
                    </div>
                </div>
            }
        })
    }
}
