//! What the whole window knows: who is signed in, where it stands, what is chosen, which session runs.

use super::bridge::{self, Screen};
use super::dialog::Dialog;
use crate::hotkeys::Action;
use crate::limits::{NOTICE_MS, NOTICES};
use crate::prefs::Prefs;
use crate::route::Route;
use crate::words::{Text, common, fill, t};
use leptos::prelude::*;
use leptos::task::spawn_local;
use std::rc::Rc;
use std::time::Duration;
use ui_types::{
    ApiError, AuthStatus, AuthStatusReply, Call, ErrorCode, ProtocolView, Role, UserView,
};

/// Something that takes hot keys while it lives; says whether it took this one.
type Handler = Rc<dyn Fn(&Action, i64) -> bool>;

/// How serious a notice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Warning,
    Danger,
}

/// A short message that stands for a while.
#[derive(Clone)]
pub(crate) struct Notice {
    pub(crate) id: u64,
    pub(crate) tone: Tone,
    pub(crate) text: String,
    pub(crate) undo: Option<Callback<()>>,
}

/// The window's state. Cheap to copy: every part is a handle.
#[derive(Clone, Copy)]
pub(crate) struct App {
    pub(crate) auth: RwSignal<Option<Result<AuthStatusReply, ApiError>>>,
    pub(crate) user: RwSignal<Option<UserView>>,
    pub(crate) route: RwSignal<Route>,
    pub(crate) prefs: RwSignal<Prefs>,
    pub(crate) privacy: RwSignal<bool>,
    pub(crate) locked: RwSignal<bool>,
    pub(crate) screen: RwSignal<Screen>,
    pub(crate) protocols: RwSignal<Vec<ProtocolView>>,
    pub(crate) notices: RwSignal<Vec<Notice>>,
    pub(crate) emergency: RwSignal<Option<(Tone, String)>>,
    pub(crate) dialog: RwSignal<Option<Dialog>, LocalStorage>,
    /// Rises when something changed that lists show.
    pub(crate) changed: RwSignal<u32>,
    /// The wall clock, ns since 1970 UTC, renewed each second.
    pub(crate) now_ns: RwSignal<i64>,
    /// When a key or the mouse was last used, ns since 1970 UTC.
    pub(crate) last_used_ns: StoredValue<i64>,
    handlers: StoredValue<Vec<(u64, Handler)>, LocalStorage>,
    next: StoredValue<u64>,
}

impl App {
    pub(crate) fn new(prefs: Prefs, route: Route, locked: bool) -> Self {
        let now = bridge::now_ns();
        Self {
            auth: RwSignal::new(None),
            user: RwSignal::new(None),
            route: RwSignal::new(route),
            prefs: RwSignal::new(prefs),
            privacy: RwSignal::new(false),
            locked: RwSignal::new(locked),
            screen: RwSignal::new(Screen::default()),
            protocols: RwSignal::new(Vec::new()),
            notices: RwSignal::new(Vec::new()),
            emergency: RwSignal::new(None),
            dialog: RwSignal::new_local(None),
            changed: RwSignal::new(0),
            now_ns: RwSignal::new(now),
            last_used_ns: StoredValue::new(now),
            handlers: StoredValue::new_local(Vec::new()),
            next: StoredValue::new(1),
        }
    }

    fn number(&self) -> u64 {
        let number = self.next.get_value();
        self.next.set_value(number + 1);
        number
    }

    pub(crate) fn go(&self, route: Route) {
        self.dialog.set(None);
        self.route.set(route);
    }

    /// Whether identity is hidden: by the privacy key or because the window is locked.
    pub(crate) fn hidden(&self) -> bool {
        self.privacy.get() || self.locked.get()
    }

    pub(crate) fn is(&self, role: Role) -> bool {
        self.user
            .with(|user| user.as_ref().is_some_and(|user| user.role == role))
    }

    /// Asks again who is signed in.
    pub(crate) async fn refresh_auth(self) {
        let reply = bridge::call(&AuthStatus::default()).await;
        if let Ok(reply) = &reply {
            self.user.set(reply.user.clone());
        }
        self.auth.set(Some(reply));
    }

    /// Asks the engine; a refusal because nobody is signed in leads back to the sign-in.
    pub(crate) async fn call<C: Call>(self, body: &C) -> Result<C::Reply, ApiError> {
        let reply = bridge::call(body).await;
        if let Err(error) = &reply
            && error.code == ErrorCode::NotAllowed
        {
            spawn_local(self.refresh_auth());
        }
        reply
    }

    /// Asks the engine for something a person wants done, and says how it went.
    pub(crate) fn run<C: Call>(
        self,
        body: C,
        done: Option<Text>,
        then: impl FnOnce(C::Reply) + 'static,
    ) {
        spawn_local(async move {
            match self.call(&body).await {
                Ok(reply) => {
                    if let Some(done) = done {
                        self.notify(Tone::Good, t(done).to_owned());
                    }
                    self.changed.try_update(|count| *count += 1);
                    then(reply);
                }
                Err(error) => self.notify_error(&error),
            }
        });
    }

    pub(crate) fn notify(&self, tone: Tone, text: String) {
        self.notify_undo(tone, text, None);
    }

    pub(crate) fn notify_error(&self, error: &ApiError) {
        let text = format!(
            "{} {} {}",
            sentence(&error.message),
            t(common::SAFE_NOTHING),
            sentence(&error.remedy)
        );
        self.notify(Tone::Danger, text.trim().to_owned());
    }

    pub(crate) fn notify_undo(&self, tone: Tone, text: String, undo: Option<Callback<()>>) {
        let id = self.number();
        let lasts = if undo.is_some() {
            crate::limits::UNDO_MS
        } else {
            NOTICE_MS
        };
        self.notices.update(|notices| {
            notices.push(Notice {
                id,
                tone,
                text,
                undo,
            });
            let surplus = notices.len().saturating_sub(NOTICES);
            notices.drain(..surplus);
        });
        // What went wrong stands until someone has read it.
        if tone == Tone::Good {
            let app = *self;
            set_timeout(move || app.dismiss(id), Duration::from_millis(lasts.into()));
        }
    }

    pub(crate) fn dismiss(&self, id: u64) {
        self.notices
            .update(|notices| notices.retain(|notice| notice.id != id));
    }

    /// Takes hot keys as long as the calling view lives. The last that came is asked first.
    pub(crate) fn on_action(&self, handler: impl Fn(&Action, i64) -> bool + 'static) {
        let id = self.number();
        self.handlers
            .update_value(|handlers| handlers.push((id, Rc::new(handler))));
        let handlers = self.handlers;
        on_cleanup(move || {
            handlers.try_update_value(|handlers| handlers.retain(|(one, _)| *one != id));
        });
    }

    pub(crate) fn act(&self, action: &Action, at_ns: i64) -> bool {
        // Taken out first: a handler may open a page, which changes the list.
        let handlers: Vec<_> = self.handlers.with_value(|handlers| {
            handlers
                .iter()
                .rev()
                .map(|(_, handler)| Rc::clone(handler))
                .collect()
        });
        handlers.iter().any(|handler| handler(action, at_ns))
    }

    /// The emergency stop: acts first, says afterwards what it reached.
    pub(crate) fn emergency_stop(&self) {
        let app = *self;
        spawn_local(async move {
            let said = match bridge::emergency_stop().await {
                Ok(reply) => emergency_words(&reply),
                Err(error) => {
                    let text = format!("{} ({})", t(common::EMERGENCY_UNREACHED), error.message);
                    (Tone::Danger, text)
                }
            };
            app.emergency.set(Some(said));
        });
    }

    pub(crate) fn protocol(&self, id: &str) -> Option<ProtocolView> {
        self.protocols.with(|protocols| {
            protocols
                .iter()
                .find(|protocol| protocol.id == id)
                .or_else(|| protocols.first())
                .cloned()
        })
    }
}

fn emergency_words(reply: &ui_types::EmergencyStopReply) -> (Tone, String) {
    if !reply.failed.is_empty() {
        let failed = reply.failed.join(", ");
        return (
            Tone::Danger,
            fill(common::EMERGENCY_FAILED, &[("devices", &failed)]),
        );
    }
    if reply.devices == 0 {
        return (Tone::Warning, t(common::EMERGENCY_NONE).to_owned());
    }
    let (devices, ms) = (
        reply.devices.to_string(),
        crate::format::number(reply.took_ms, 1),
    );
    (
        Tone::Warning,
        fill(
            common::EMERGENCY_DONE,
            &[("devices", &devices), ("ms", &ms)],
        ),
    )
}

/// A sentence as people write it: engines begin theirs small and leave the full stop out.
pub(crate) fn sentence(text: &str) -> String {
    let text = text.trim();
    let mut letters = text.chars();
    let Some(first) = letters.next() else {
        return String::new();
    };
    let mut sentence: String = first.to_uppercase().chain(letters).collect();
    if !sentence.ends_with(['.', '!', '?']) {
        sentence.push('.');
    }
    sentence
}

/// The window's state, where a view is.
pub(crate) fn app() -> App {
    expect_context::<App>()
}
