//! Signing in, the first administrator, the emergency access, and unlocking.

use super::app::{App, app};
use super::bridge;
use super::parts::{error_note, field, form_error, once_tried};
use crate::check;
use crate::test_ids as id;
use crate::words::{common, fill, sign_in as words, t};
use leptos::prelude::*;
use leptos::task::spawn_local;
use ui_types::{
    ApiError, AuthBreakGlass, AuthFirstAdministrator, AuthSignIn, Call, Password, SignedInReply,
};

/// Which form stands there. It is built anew only when this changes: asking again how things stand
/// must not empty what someone has begun to fill in.
#[derive(Debug, Clone, PartialEq)]
enum Form {
    Waiting,
    Failed(ApiError),
    First { min_password_chars: u32 },
    BreakGlass,
    SignIn,
}

/// What stands where nobody is signed in, or the window is locked.
pub(crate) fn page() -> impl IntoView {
    let app = app();
    let breaking = RwSignal::new(false);
    let form = Memo::new(move |_| match app.auth.get() {
        None => Form::Waiting,
        Some(Err(error)) => Form::Failed(error),
        Some(Ok(status)) if !status.has_administrator => Form::First {
            min_password_chars: status.min_password_chars,
        },
        Some(Ok(_)) if breaking.get() => Form::BreakGlass,
        Some(Ok(_)) => Form::SignIn,
    });
    let body = move || {
        match form.get() {
        Form::Waiting => view! { <p class="loading" role="status">{t(words::LOADING)}</p> }.into_any(),
        Form::Failed(error) => view! {
            {error_note(&error)}
            <button type="button" class="primary" on:click=move |_| spawn_local(app.refresh_auth())>{t(common::RETRY)}</button>
        }
        .into_any(),
        Form::First { min_password_chars } => first(min_password_chars).into_any(),
        Form::BreakGlass => break_glass(breaking).into_any(),
        Form::SignIn => view! {
            {unlock_form()}
            <hr/>
            <button type="button" class="warning" data-testid=id::BREAK_GLASS on:click=move |_| breaking.set(true)>
                "▲ "{t(words::BREAK_GLASS)}
            </button>
        }
        .into_any(),
    }
    };
    view! {
        <div class="sheet narrow">
            <h1>{t(common::PROGRAM)}</h1>
            {body}
            <p class="hint">{t(common::NO_ALARM)}</p>
        </div>
    }
}

/// Sends a form that signs someone in.
fn enter<C: Call<Reply = SignedInReply>>(
    app: App,
    body: C,
    busy: RwSignal<bool>,
    error: RwSignal<Option<ApiError>>,
) {
    busy.set(true);
    error.set(None);
    spawn_local(async move {
        let reply = bridge::call(&body).await;
        busy.try_set(false);
        match reply {
            Ok(reply) => {
                app.last_used_ns.set_value(bridge::now_ns());
                app.privacy.set(false);
                app.locked.set(false);
                app.user.set(Some(reply.user));
                app.refresh_auth().await;
            }
            Err(refused) => {
                error.try_set(Some(refused));
            }
        }
    });
}

fn submit(test: impl Fn() + 'static) -> impl Fn(leptos::ev::SubmitEvent) + 'static {
    move |event| {
        event.prevent_default();
        test();
    }
}

/// Login and password: to sign in, or to unlock and perhaps change the user.
pub(crate) fn unlock_form() -> impl IntoView {
    let app = app();
    let known = app.user.with_untracked(|user| user.clone());
    let login = RwSignal::new(
        known
            .as_ref()
            .map(|user| user.login.clone())
            .unwrap_or_default(),
    );
    let password = RwSignal::new(String::new());
    let (tried, busy, error) = (
        RwSignal::new(false),
        RwSignal::new(false),
        RwSignal::new(None),
    );
    let login_fault = move || check::login(&login.get());
    let password_fault = move || check::given(&password.get());
    let send = move || {
        tried.set(true);
        if busy.get_untracked() || login_fault().is_some() || password_fault().is_some() {
            return;
        }
        let body = AuthSignIn {
            login: login.get_untracked(),
            password: Password(password.get_untracked()),
        };
        password.set(String::new());
        tried.set(false);
        enter(app, body, busy, error);
    };
    let title = if known.is_some() {
        words::LOCKED_TITLE
    } else {
        words::TITLE
    };
    let action = if known.is_some() {
        words::UNLOCK
    } else {
        words::SIGN_IN
    };
    view! {
        <form class="stack" novalidate on:submit=submit(send)>
            <h2>{t(title)}</h2>
            {known.map(|user| view! {
                <p>{fill(words::LOCKED_BY, &[("name", &user.display_name)])}</p>
                <p class="hint">{t(words::LOCKED_TEXT)}</p>
            })}
            {field(id::LOGIN, words::LOGIN, "text", login, once_tried(tried, login_fault), None)}
            {field(id::PASSWORD, words::PASSWORD, "password", password, once_tried(tried, password_fault), None)}
            {form_error(error)}
            <button type="submit" class="primary wide" data-testid=id::SIGN_IN disabled=move || busy.get()>
                {move || if busy.get() { t(words::SIGNING_IN) } else { t(action) }}
            </button>
        </form>
    }
}

fn first(least: u32) -> impl IntoView {
    let app = app();
    let [login, name, password, again] = [(); 4].map(|()| RwSignal::new(String::new()));
    let (tried, busy, error) = (
        RwSignal::new(false),
        RwSignal::new(false),
        RwSignal::new(None),
    );
    let login_fault = move || check::login(&login.get());
    let name_fault = move || check::given(&name.get());
    let password_fault = move || check::new_password(&password.get(), &again.get(), least).0;
    let again_fault = move || check::new_password(&password.get(), &again.get(), least).1;
    let send = move || {
        tried.set(true);
        let faults = [login_fault(), name_fault(), password_fault(), again_fault()];
        if busy.get_untracked() || faults.iter().any(Option::is_some) {
            return;
        }
        let body = AuthFirstAdministrator {
            login: login.get_untracked(),
            display_name: name.get_untracked(),
            password: Password(password.get_untracked()),
        };
        enter(app, body, busy, error);
    };
    let hint = fill(words::PASSWORD_LEAST, &[("n", &least.to_string())]);
    view! {
        <form class="stack" novalidate on:submit=submit(send)>
            <h2>{t(words::FIRST_TITLE)}</h2>
            <p>{t(words::FIRST_TEXT)}</p>
            {field(id::LOGIN, words::LOGIN, "text", login, once_tried(tried, login_fault), None)}
            {field(id::DISPLAY_NAME, words::DISPLAY_NAME, "text", name, once_tried(tried, name_fault), None)}
            {field(id::PASSWORD, words::PASSWORD, "password", password, once_tried(tried, password_fault), Some(hint))}
            {field(id::PASSWORD_AGAIN, words::PASSWORD_AGAIN, "password", again, once_tried(tried, again_fault), None)}
            {form_error(error)}
            <button type="submit" class="primary wide" data-testid=id::SIGN_IN disabled=move || busy.get()>{t(words::MAKE)}</button>
        </form>
    }
}

fn break_glass(breaking: RwSignal<bool>) -> impl IntoView {
    let app = app();
    let (name, reason) = (RwSignal::new(String::new()), RwSignal::new(String::new()));
    let (tried, busy, error) = (
        RwSignal::new(false),
        RwSignal::new(false),
        RwSignal::new(None),
    );
    let name_fault = move || check::given(&name.get());
    let reason_fault = move || check::given(&reason.get());
    let send = move || {
        tried.set(true);
        if busy.get_untracked() || name_fault().is_some() || reason_fault().is_some() {
            return;
        }
        let body = AuthBreakGlass {
            name: name.get_untracked(),
            reason: reason.get_untracked(),
        };
        enter(app, body, busy, error);
    };
    view! {
        <form class="stack" novalidate on:submit=submit(send)>
            <h2>{t(words::BREAK_GLASS_TITLE)}</h2>
            <p class="note warning">"▲ "{t(words::BREAK_GLASS_TEXT)}</p>
            {field(id::BREAK_GLASS_NAME, words::YOUR_NAME, "text", name, once_tried(tried, name_fault), None)}
            {field(id::BREAK_GLASS_REASON, words::REASON, "text", reason, once_tried(tried, reason_fault), None)}
            {form_error(error)}
            <div class="row end">
                <button type="button" on:click=move |_| breaking.set(false)>{t(common::CANCEL)}</button>
                <button type="submit" class="warning" data-testid=id::BREAK_GLASS_NOW disabled=move || busy.get()>{t(words::BREAK_NOW)}</button>
            </div>
        </form>
    }
}
