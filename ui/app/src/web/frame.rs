//! The window's frame: bar of pages, emergency stop, notices, dialogs, hot keys, lock after idle.

use super::app::{App, Tone};
use super::dialog::dialogs;
use super::parts::{every, key_hint};
use super::{bridge, ledger, reports, review, session, settings, sign_in, worklist};
use crate::format;
use crate::hotkeys::{self, Action, HOT_KEYS, Places, Pressed};
use crate::limits::{HEARTBEAT_MS, TICK_MS};
use crate::prefs::Prefs;
use crate::route::Route;
use crate::test_ids as id;
use crate::words::{self, Language, common, fill, t};
use leptos::ev;
use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos::web_sys;
use ui_types::{AuthSignOut, ProtocolList, Role, Theme};
use wasm_bindgen::JsCast;

const LOCKED_KEY: &str = "neurascale.locked";

fn storage() -> Option<web_sys::Storage> {
    window().local_storage().ok().flatten()
}

fn session_storage() -> Option<web_sys::Storage> {
    window().session_storage().ok().flatten()
}

/// Everything.
pub(crate) fn program() -> impl IntoView {
    let kept = storage().and_then(|storage| storage.get_item(Prefs::KEY).ok().flatten());
    let prefs = Prefs::of_json(&kept.unwrap_or_default());
    let route = Route::of_fragment(&window().location().hash().unwrap_or_default());
    let was_locked =
        session_storage().and_then(|storage| storage.get_item(LOCKED_KEY).ok().flatten());
    let app = App::new(prefs, route, was_locked.is_some());
    provide_context(app);
    keep(app);
    run(app);
    spawn_local(app.refresh_auth());
    let language = Memo::new(move |_| spoken(&app.prefs.get()));
    move || {
        let language = language.get();
        words::speak(language);
        if let Some(root) = document().document_element() {
            let _ = root.set_attribute("lang", language.tag());
        }
        whole(app)
    }
}

fn spoken(prefs: &Prefs) -> Language {
    prefs
        .language
        .unwrap_or_else(|| Language::of_tag(&window().navigator().language().unwrap_or_default()))
}

/// What outlives the page: choices, the address, the lock.
fn keep(app: App) {
    Effect::new(move |_| {
        app.prefs.with(|prefs| {
            if let Some(root) = document().document_element() {
                let _ = root.set_attribute("data-theme", prefs.theme_name());
            }
            if let Some(storage) = storage() {
                let _ = storage.set_item(Prefs::KEY, &prefs.json()); // full: chosen anew next time
            }
        });
    });
    Effect::new(move |_| {
        let fragment = app.route.with(Route::fragment);
        let _ = window().location().set_hash(&fragment);
    });
    Effect::new(move |_| {
        if let Some(storage) = session_storage() {
            let _ = if app.locked.get() {
                storage.set_item(LOCKED_KEY, "1")
            } else {
                storage.remove_item(LOCKED_KEY)
            };
        }
    });
    window_event_listener(ev::hashchange, move |_| {
        let route = Route::of_fragment(&window().location().hash().unwrap_or_default());
        if app.route.get_untracked() != route {
            app.go(route);
        }
    });
}

/// What goes on by itself: clock, heartbeat, lock after idle, hot keys, the shell's events.
fn run(app: App) {
    every(TICK_MS, move || {
        let now = bridge::now_ns();
        app.now_ns.set(now);
        lock_when_idle(app, now);
    });
    every(HEARTBEAT_MS, || spawn_local(bridge::heartbeat()));
    spawn_local(async move {
        if let Ok(screen) = bridge::screen().await {
            app.screen.set(screen);
        }
        bridge::listen("emergency-stop", move |_| {
            app.emergency
                .set(Some((Tone::Warning, t(common::EMERGENCY_STOP).to_owned())));
            app.changed.update(|count| *count += 1);
        })
        .await;
        bridge::listen("quit-requested", move |_| {
            app.confirm(
                common::QUIT_TITLE,
                t(common::QUIT_TEXT),
                common::QUIT,
                false,
                || {
                    spawn_local(bridge::quit(true));
                },
            );
        })
        .await;
        bridge::listen("saved", move |text| saved(app, text)).await;
    });
    let used = move || app.last_used_ns.set_value(bridge::now_ns());
    window_event_listener(ev::pointermove, move |_| used());
    window_event_listener(ev::pointerdown, move |_| used());
    window_event_listener(ev::keydown, move |event| {
        used();
        key_down(app, &event);
    });
    Effect::new(move |_| {
        if app.user.with(Option::is_some) {
            spawn_local(async move {
                if let Ok(reply) = app.call(&ProtocolList::default()).await {
                    app.protocols.set(reply.protocols);
                }
            });
        }
    });
}

/// A file that the page made was saved, or was not.
fn saved(app: App, text: &str) {
    let saved = serde_json::from_str::<serde_json::Value>(text).unwrap_or_default();
    match saved["path"].as_str() {
        Some(path) => app.notify(Tone::Good, fill(common::SAVED_AS, &[("path", path)])),
        None => app.notify(Tone::Danger, t(common::NOT_SAVED).to_owned()),
    }
}

fn lock_when_idle(app: App, now_ns: i64) {
    let after = app.auth.with_untracked(|auth| {
        auth.as_ref()
            .and_then(|auth| auth.as_ref().ok())
            .map_or(0, |auth| auth.lock_after_s)
    });
    let idle = format::seconds_between(app.last_used_ns.get_value(), now_ns);
    let signed_in = app.user.with_untracked(Option::is_some);
    if after > 0 && signed_in && !app.locked.get_untracked() && idle > f64::from(after) {
        lock(app);
    }
}

fn lock(app: App) {
    if app.user.with_untracked(Option::is_some) {
        app.close_dialog();
        app.locked.set(true);
    }
}

fn typing(event: &web_sys::KeyboardEvent) -> bool {
    let Some(element) = event
        .target()
        .and_then(|target| target.dyn_into::<web_sys::HtmlElement>().ok())
    else {
        return false;
    };
    let kind = element.get_attribute("type").unwrap_or_default();
    match element.tag_name().as_str() {
        "TEXTAREA" => true,
        "INPUT" => !matches!(kind.as_str(), "checkbox" | "radio" | "range" | "button"),
        _ => element.is_content_editable(),
    }
}

fn key_down(app: App, event: &web_sys::KeyboardEvent) {
    if event.is_composing() || event.repeat() && event.key().starts_with('F') {
        return;
    }
    let pressed = Pressed {
        key: event.key(),
        ctrl: event.ctrl_key() || event.meta_key(),
        alt: event.alt_key(),
        shift: event.shift_key(),
        typing: typing(event),
    };
    let route = app.route.get_untracked();
    let places = Places {
        traces: matches!(route, Route::Session(_) | Route::Review(_)),
        session: matches!(route, Route::Session(_)),
        review: matches!(route, Route::Session(_) | Route::Review(_)),
    };
    let Some(action) = hotkeys::find(&pressed, places) else {
        return;
    };
    // A focused button is pressed by the space bar, a slider and a menu are moved by arrows.
    let plain = !pressed.ctrl && !pressed.alt && pressed.key.len() != 2 && pressed.key.len() != 3;
    if plain && owns_keys(event, &pressed.key) {
        return;
    }
    // Locked: only what cannot wait.
    let allowed = !app.locked.get_untracked()
        || matches!(
            action,
            Action::EmergencyStop | Action::Coded(_) | Action::Privacy | Action::Theme
        );
    if allowed && perform(app, &action, bridge::key_down_ns(event)) {
        event.prevent_default();
        event.stop_propagation();
    }
}

/// Whether the focused control needs this key itself.
fn owns_keys(event: &web_sys::KeyboardEvent, key: &str) -> bool {
    let Some(element) = event
        .target()
        .and_then(|target| target.dyn_into::<web_sys::HtmlElement>().ok())
    else {
        return false;
    };
    match element.tag_name().as_str() {
        "BUTTON" | "A" | "SUMMARY" => key == " ",
        "SELECT" => true,
        "INPUT" => key == " " || key.starts_with("Arrow") || key == "Home" || key == "End",
        _ => false,
    }
}

fn perform(app: App, action: &Action, at_ns: i64) -> bool {
    match action {
        Action::EmergencyStop => app.emergency_stop(),
        Action::Privacy => app.privacy.update(|hidden| *hidden = !*hidden),
        Action::Lock => lock(app),
        Action::Theme => app.prefs.update(|prefs| {
            prefs.theme = match prefs.theme {
                Theme::Dark => Theme::Light,
                Theme::Light => Theme::Dark,
            };
        }),
        Action::Help => help(app),
        Action::Tab(tab) if app.user.with_untracked(Option::is_some) => app.go(tab_route(*tab)),
        other => return app.act(other, at_ns),
    }
    true
}

fn tab_route(tab: usize) -> Route {
    match tab {
        1 => Route::Session(String::new()),
        2 => Route::Review(String::new()),
        3 => Route::Reports(String::new()),
        4 => Route::Ledger(String::new()),
        5 => Route::Settings(String::new()),
        _ => Route::Worklist,
    }
}

fn help(app: App) {
    app.open_dialog(t(common::HOT_KEYS), move || {
        let coded = app.protocols.with(|protocols| protocols.first().map(|protocol| protocol.annotations.clone()));
        let row = |key: String, what: String| view! { <tr><th scope="row"><kbd>{key}</kbd></th><td>{what}</td></tr> };
        view! {
            <p class="hint">{t(common::HOT_KEYS_NOTE)}</p>
            <div class="scroll" tabindex="0" role="region" aria-label=t(common::HOT_KEYS)>
                <table class="keys">
                    <thead><tr><th scope="col">{t(common::KEY)}</th><th scope="col">{t(common::MEANING)}</th></tr></thead>
                    <tbody>
                        {HOT_KEYS.iter().map(|hot| row(hotkeys::shown(hot.chord), t(hot.what).to_owned())).collect_view()}
                        {coded
                            .unwrap_or_default()
                            .into_iter()
                            .map(|mark| row(mark.key.clone(), words::codes::word(&mark.code, &mark.text).to_owned()))
                            .collect_view()}
                    </tbody>
                </table>
            </div>
            <div class="row end">
                <button type="button" data-testid=id::DIALOG_CLOSE on:click=move |_| app.close_dialog()>{t(common::CLOSE)}</button>
            </div>
        }
    });
}

const TABS: [words::Text; 6] = [
    common::WORKLIST,
    common::SESSION,
    common::REVIEW,
    common::REPORTS,
    common::LEDGER,
    common::SETTINGS,
];

fn whole(app: App) -> impl IntoView {
    let signed_in = Memo::new(move |_| app.user.with(Option::is_some));
    // Locked, only a session that is being watched goes on being shown.
    let covered =
        Memo::new(move |_| app.locked.get() && !matches!(app.route.get(), Route::Session(_)));
    let page = move || {
        if !signed_in.get() || covered.get() {
            return sign_in::page().into_any();
        }
        match app.route.get() {
            Route::Worklist => worklist::page().into_any(),
            Route::Prepare {
                patient,
                protocol,
                order,
            } => session::prepare(patient, protocol, order).into_any(),
            Route::Session(session) => session::page(session).into_any(),
            Route::Review(recording) => review::page(recording).into_any(),
            Route::Reports(session) => reports::page(session).into_any(),
            Route::Ledger(session) => ledger::page(session).into_any(),
            Route::Settings(part) => settings::page(part).into_any(),
        }
    };
    let page_name = move || {
        if signed_in.get() && !covered.get() {
            app.route
                .with(Route::fragment)
                .split('/')
                .next()
                .unwrap_or_default()
                .to_owned()
        } else {
            "sign-in".to_owned()
        }
    };
    view! {
        <div class="program" id=id::PROGRAM data-testid=id::PROGRAM data-page=page_name>
            <a class="skip" href="#content" on:click=move |event| {
                event.prevent_default();
                if let Some(content) = document().get_element_by_id("content").and_then(|element| element.dyn_into::<web_sys::HtmlElement>().ok()) {
                    let _ = content.focus();
                }
            }>{t(common::SKIP)}</a>
            {bar(app, signed_in)}
            {emergency_result(app)}
            <main id="content" tabindex="-1" inert=move || app.dialog.with(Option::is_some)>{page}</main>
            {dialogs()}
            {notices(app)}
        </div>
    }
}

fn bar(app: App, signed_in: Memo<bool>) -> impl IntoView {
    let tabs = move || {
        (signed_in.get() && !app.locked.get()).then(|| {
            let tab = |at: usize| {
                let current = move || (app.route.with(Route::tab) == at).then_some("page");
                let href = format!("#{}", tab_route(at).fragment());
                view! {
                    <a href=href data-testid=format!("{}-{at}", id::NAV) aria-current=current title=format!("Alt+{}", at + 1)
                        on:click=move |event| { event.prevent_default(); app.go(tab_route(at)); }>
                        {t(TABS[at])}
                    </a>
                }
            };
            view! { <nav aria-label=t(common::PAGES) data-testid=id::NAV>{(0..TABS.len()).map(tab).collect_view()}</nav> }
        })
    };
    view! {
        <header class="bar">
            <div class="bar-rest">
            <span class="brand">{t(common::PROGRAM)}</span>
            {tabs}
            <span class="grow"></span>
            {move || signed_in.get().then(|| who(app))}
            <span class="clock" role="timer" aria-label=t(words::session::CLOCK) data-testid=id::CLOCK>
                {move || format::clock_zone(app.now_ns.get(), bridge::zone_offset_min())}
            </span>
            </div>
            <button type="button" class="stop" data-testid=id::EMERGENCY_STOP title=t(common::EMERGENCY_STOP_TITLE)
                aria-keyshortcuts="Control+." on:click=move |_| app.emergency_stop()>
                <span aria-hidden="true">"■ "</span>{t(common::EMERGENCY_STOP)}" "{key_hint("Ctrl+.")}
            </button>
        </header>
    }
}

fn who(app: App) -> impl IntoView {
    let hide = move || {
        if app.privacy.get() {
            t(common::SHOW_IDENTITY)
        } else {
            t(common::HIDE_IDENTITY)
        }
    };
    let name = move || {
        app.user
            .with(|user| user.as_ref().map(|user| user.display_name.clone()))
    };
    view! {
        {move || app.is(Role::BreakGlass).then(|| view! { <span class="chip warning">"▲ "{t(words::sign_in::BREAK_GLASS_ON)}</span> })}
        <span class="user" data-testid=id::USER>{name}</span>
        <button type="button" class="quiet" data-testid=id::PRIVACY aria-pressed=move || app.privacy.get().to_string()
            on:click=move |_| app.privacy.update(|hidden| *hidden = !*hidden)>
            {hide}" "{key_hint("Ctrl+H")}
        </button>
        {move || (!app.locked.get()).then(|| view! {
            <button type="button" class="quiet" data-testid=id::LOCK on:click=move |_| lock(app)>{t(common::LOCK)}" "{key_hint("Ctrl+L")}</button>
            <button type="button" class="quiet" data-testid=id::SIGN_OUT on:click=move |_| sign_out(app)>{t(common::SIGN_OUT)}</button>
        })}
    }
}

fn sign_out(app: App) {
    app.run(AuthSignOut::default(), None, move |_| {
        app.user.set(None);
        app.locked.set(false);
        app.notices.set(Vec::new());
        app.go(Route::Worklist); // the next person begins where everyone does
        spawn_local(app.refresh_auth());
    });
}

fn emergency_result(app: App) -> impl IntoView {
    view! {
        <div role="alert" aria-live="assertive" data-testid=id::EMERGENCY_RESULT>
            {move || app.emergency.get().map(|(tone, text)| {
                let class = if tone == Tone::Danger { "band danger" } else { "band warning" };
                view! {
                    <p class=class>
                        <strong>"■ "{text}</strong>
                        <button type="button" on:click=move |_| app.emergency.set(None)>{t(common::DISMISS)}</button>
                    </p>
                }
            })}
        </div>
    }
}

fn notices(app: App) -> impl IntoView {
    view! {
        <section class="notices" aria-label=t(common::NOTICES) aria-live="polite" data-testid=id::NOTICES>
            <For each=move || app.notices.get() key=|notice| notice.id let:notice>
                {
                    let (class, sign) = match notice.tone {
                        Tone::Good => ("notice good", "✔ "),
                        Tone::Warning => ("notice warning", "▲ "),
                        Tone::Danger => ("notice danger", "✕ "),
                    };
                    let number = notice.id;
                    let undo = notice.undo;
                    view! {
                        <div class=class>
                            <span>{sign}{notice.text}</span>
                            {undo.map(|undo| view! {
                                <button type="button" on:click=move |_| { undo.run(()); app.dismiss(number); }>{t(common::UNDO)}</button>
                            })}
                            <button type="button" class="quiet" on:click=move |_| app.dismiss(number)>{t(common::DISMISS)}</button>
                        </div>
                    }
                }
            </For>
        </section>
    }
}
