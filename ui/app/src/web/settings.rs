//! Settings and diagnostics, part by part.

mod diagnostics;
mod policies;
mod ruler;
mod users;

use super::app::{App, app};
use super::parts::choice;
use crate::route::Route;
use crate::test_ids as id;
use crate::words::{Language, Text, settings as words, t};
use leptos::prelude::*;
use ui_types::Theme;

/// Parts by name, in the order of the page.
const PARTS: [(&str, Text); 7] = [
    ("doctor", words::DOCTOR),
    ("screen", words::SCREEN),
    ("timing", words::TIMING),
    ("policies", words::POLICIES),
    ("users", words::USERS),
    ("look", words::LOOK),
    ("about", words::ABOUT),
];

/// The page.
pub(crate) fn page(part: String) -> impl IntoView {
    let app = app();
    let part = if part.is_empty() {
        "doctor".to_owned()
    } else {
        part
    };
    let body = match part.as_str() {
        "screen" => ruler::page(app).into_any(),
        "timing" => diagnostics::timing().into_any(),
        "policies" => policies::page(app).into_any(),
        "users" => users::page(app).into_any(),
        "look" => look(app).into_any(),
        "about" => diagnostics::about(app).into_any(),
        _ => diagnostics::doctor(app).into_any(),
    };
    let links = PARTS.map(|(name, title)| {
        let current = (name == part).then_some("page");
        view! {
            <a href=format!("#settings/{name}") data-testid=format!("settings-{name}") aria-current=current
                on:click=move |event| { event.prevent_default(); app.go(Route::Settings(name.to_owned())); }>{t(title)}</a>
        }
    });
    view! {
        <div class="page">
            <h1>{t(words::TITLE)}</h1>
            <div class="settings-grid">
                <nav class="parts" aria-label=t(words::PARTS)>{links.into_iter().collect_view()}</nav>
                <section class="panel">{body}</section>
            </div>
        </div>
    }
}

fn look(app: App) -> impl IntoView {
    let languages = Language::ALL
        .map(|(language, name)| (language.tag().to_owned(), name.to_owned()))
        .to_vec();
    let language = Signal::derive(move || {
        document()
            .document_element()
            .and_then(|root| root.get_attribute("lang"))
            .unwrap_or_default()
    });
    let themes = vec![
        ("dark".to_owned(), t(words::THEME_DARK).to_owned()),
        ("light".to_owned(), t(words::THEME_LIGHT).to_owned()),
    ];
    let theme = Signal::derive(move || app.prefs.with(|prefs| prefs.theme_name().to_owned()));
    view! {
        <h2>{t(words::LOOK)}</h2>
        <div class="stack narrow">
            {choice(id::LANGUAGE, words::LANGUAGE, languages, language, move |tag| app.prefs.update(|prefs| prefs.language = Some(Language::of_tag(&tag))))}
            {choice(id::THEME, words::THEME, themes, theme, move |name| app.prefs.update(|prefs| {
                prefs.theme = if name == "light" { Theme::Light } else { Theme::Dark };
            }))}
        </div>
    }
}
