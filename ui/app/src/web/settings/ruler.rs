//! True millimetres: a bar is made as long as a bank card held to the screen.

use crate::format::number;
use crate::limits::{CARD_MM, PX_PER_MM};
use crate::test_ids as id;
use crate::web::app::{App, Tone};
use crate::web::bridge;
use crate::words::{fill, settings as words, t};
use leptos::prelude::*;
use leptos::task::spawn_local;

const MM_PER_INCH: f64 = 25.4;

/// The page.
pub(super) fn page(app: App) -> impl IntoView {
    let px = RwSignal::new(
        app.screen
            .with_untracked(|screen| screen.px_per_mm)
            .clamp(PX_PER_MM.0, PX_PER_MM.1),
    );
    let length = move || format!("{:.1}px", px.get() * CARD_MM);
    let value = move || {
        fill(
            words::RULER_VALUE,
            &[
                ("px", &number(px.get(), 3)),
                ("dpi", &number(px.get() * MM_PER_INCH, 0)),
            ],
        )
    };
    let source = move || {
        app.screen.with(|screen| {
            let known = match screen.source.as_str() {
                "ruler" => words::SOURCE_RULER,
                "monitor" => words::SOURCE_MONITOR,
                _ if screen.calibrated => words::SOURCE_RULER,
                _ => words::SOURCE_ASSUMED,
            };
            format!(
                "{} {}",
                fill(words::RULER_MONITOR, &[("monitor", &screen.monitor)]),
                t(known)
            )
        })
    };
    let save = move |_| {
        let value = px.get_untracked();
        spawn_local(async move {
            match bridge::set_screen(value).await {
                Ok(()) => {
                    if let Ok(screen) = bridge::screen().await {
                        app.screen.set(screen);
                    }
                    app.notify(Tone::Good, t(words::RULER_SAVED).to_owned());
                }
                Err(error) => app.notify_error(&error),
            }
        });
    };
    view! {
        <h2>{t(words::SCREEN)}</h2>
        <p>{t(words::RULER_TEXT)}</p>
        <p class="hint">{source}</p>
        <div class="ruler"><div class="ruler-bar" style:width=length aria-hidden="true"></div></div>
        <div class="field">
            <label for=id::RULER>{t(words::RULER_BAR)}</label>
            <input id=id::RULER data-testid=id::RULER type="range" min=PX_PER_MM.0.to_string() max=PX_PER_MM.1.to_string() step="0.005"
                aria-valuetext=value prop:value=move || px.get().to_string()
                on:input=move |event| if let Ok(value) = event_target_value(&event).parse() { px.set(value) }/>
            <span class="number">{value}</span>
        </div>
        <button type="button" class="primary" data-testid=id::RULER_SAVE on:click=save>{t(words::RULER_SAVE)}</button>
    }
}
