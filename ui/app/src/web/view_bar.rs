//! Montage, sensitivity, time base and filters: chosen once, in force for live traces and review. What is
//! not the default is marked.

use super::app::{App, app};
use super::parts::key_hint;
use super::scope_view::Traces;
use crate::format::number;
use crate::hotkeys::Action;
use crate::live::{hertz, is_default};
use crate::prefs::Prefs;
use crate::test_ids as id;
use crate::timeline::step;
use crate::words::{Text, codes, common, fill, review as words, t};
use leptos::prelude::*;
use leptos::task::spawn_local;
use std::collections::BTreeMap;
use ui_types::{FilterChoice, ScopeMode, ScopeSettings, ViewChoices, ViewChoicesReply, ViewSpec};

/// How often what is not there yet is asked for again: a device whose impedances are measured and that is
/// calibrated first may take a minute until its recording begins, twice that on a loaded machine.
pub(super) const ATTEMPTS: u32 = 120;

/// Of these so many follow each other quickly, for a recording that begins at once.
const QUICK_ATTEMPTS: u32 = 20;

/// Asks again, by raising what the asking follows: soon at first, then once a second.
pub(super) fn again(attempt: RwSignal<u32>) {
    let quick = attempt
        .try_get_untracked()
        .is_some_and(|tried| tried < QUICK_ATTEMPTS);
    let pause_ms = if quick {
        crate::limits::STARTING_POLL_MS
    } else {
        crate::limits::TICK_MS
    };
    set_timeout(
        move || {
            attempt.try_update(|attempt| *attempt += 1);
        },
        std::time::Duration::from_millis(pause_ms.into()),
    );
}

/// Kind of channel that the menus of filters speak of first.
const EEG: &str = "eeg";

/// What is chosen of what can be chosen.
#[derive(Clone, Copy)]
pub(crate) struct View {
    app: App,
    choices: RwSignal<Option<ViewChoicesReply>>,
    kind: RwSignal<String>,
}

impl View {
    /// Asks what can be chosen for a session or recording, as soon as it has a name; that nothing is known of one
    /// is an error only where it should be `there`.
    pub(crate) fn new(app: App, id: Signal<String>, there: Signal<bool>) -> Self {
        let view = Self {
            app,
            choices: RwSignal::new(None),
            kind: RwSignal::new(EEG.to_owned()),
        };
        let attempt = RwSignal::new(0);
        Effect::new(move |before: Option<bool>| {
            let there = there.get();
            // What was asked for in vain for long, and slowly, is asked for quickly again.
            if there && before == Some(false) && !untrack(|| view.chosen()) {
                attempt.set(0);
            }
            there
        });
        Effect::new(move |_| {
            let (id, tried) = (id.get(), attempt.get());
            if id.is_empty() {
                return;
            }
            spawn_local(async move {
                match app.call(&ViewChoices { id: Some(id) }).await {
                    // The same again is no other choice: the feed would be asked for anew.
                    Ok(reply) => drop(view.choices.try_maybe_update(|choices| {
                        let other = choices.as_ref() != Some(&reply);
                        if other {
                            *choices = Some(reply);
                        }
                        (other, ())
                    })),
                    // A recording that has just begun, or is about to, may not be there yet.
                    Err(_) if tried < ATTEMPTS || there.try_get_untracked() == Some(false) => {
                        again(attempt);
                    }
                    Err(error) => app.notify_error(&error),
                }
            });
        });
        view
    }

    fn with<T>(&self, of: impl FnOnce(&ViewChoicesReply, &Prefs) -> T) -> T {
        let none = ViewChoicesReply::default();
        self.choices.with(|choices| {
            self.app
                .prefs
                .with(|prefs| of(choices.as_ref().unwrap_or(&none), prefs))
        })
    }

    /// Whether it is known yet what can be chosen.
    pub(crate) fn chosen(&self) -> bool {
        self.choices.with(Option::is_some)
    }

    pub(crate) fn montage(&self) -> String {
        self.with(|choices, prefs| {
            let there = choices
                .montages
                .iter()
                .any(|montage| montage.name == prefs.montage && montage.complete > 0);
            if there {
                prefs.montage.clone()
            } else {
                choices.default_montage.clone()
            }
        })
    }

    pub(crate) fn sensitivity(&self) -> f64 {
        self.with(|choices, prefs| {
            first_positive([
                prefs.sensitivity_uv_mm,
                choices.default_sensitivity_uv_mm,
                ScopeSettings::default().sensitivity_uv_mm,
            ])
        })
    }

    pub(crate) fn page_s(&self) -> f64 {
        self.with(|choices, prefs| {
            first_positive([
                prefs.page_s,
                choices.default_page_s,
                ScopeSettings::default().page_s,
            ])
        })
    }

    fn filter(&self, kind: &str) -> FilterChoice {
        self.with(|choices, prefs| {
            prefs
                .filters
                .get(kind)
                .or_else(|| choices.default_filters.get(kind))
                .copied()
                .unwrap_or_default()
        })
    }

    pub(crate) fn spec(&self) -> ViewSpec {
        ViewSpec {
            montage: self.montage(),
            filters: self.app.prefs.with(|prefs| prefs.filters.clone()),
        }
    }

    /// Settings of the canvas as far as they are chosen here.
    pub(crate) fn settings(&self, mode: ScopeMode, zone_offset_min: i32) -> ScopeSettings {
        let screen = self.app.screen.get();
        self.app.prefs.with(|prefs| ScopeSettings {
            mode,
            sensitivity_uv_mm: self.sensitivity(),
            sensitivity_by_kind: prefs.sensitivity_by_kind.clone(),
            page_s: self.page_s(),
            px_per_mm: screen.px_per_mm,
            calibrated: screen.calibrated,
            negative_up: prefs.negative_up,
            theme: prefs.theme,
            zone_offset_min,
            words: codes::canvas(),
            ..ScopeSettings::default()
        })
    }

    pub(crate) fn set_page_s(&self, page_s: f64) {
        self.app.prefs.update(|prefs| prefs.page_s = page_s);
    }

    /// Takes the hot keys of the view.
    pub(crate) fn take_keys(self) {
        self.app.on_action(move |action, _| {
            match action {
                Action::Sensitivity(direction) => self.step_sensitivity(*direction),
                Action::TimeBase(direction) => self.step_page(*direction),
                Action::Montage => self.next_montage(),
                _ => return false,
            }
            true
        });
    }

    fn step_sensitivity(&self, direction: i8) {
        let next =
            self.with(|choices, _| step(&choices.sensitivity_uv_mm, self.sensitivity(), direction));
        self.app
            .prefs
            .update(|prefs| prefs.sensitivity_uv_mm = next);
    }

    fn step_page(&self, direction: i8) {
        let next = self.with(|choices, _| step(&choices.page_s, self.page_s(), direction));
        self.set_page_s(next);
    }

    fn next_montage(&self) {
        let now = self.montage();
        let next = self.with(|choices, _| {
            let whole: Vec<_> = choices
                .montages
                .iter()
                .filter(|montage| montage.complete > 0)
                .collect();
            let at = whole
                .iter()
                .position(|montage| montage.name == now)
                .map_or(0, |at| at + 1);
            whole
                .get(at % whole.len().max(1))
                .map(|montage| montage.name.clone())
        });
        if let Some(next) = next {
            self.app.prefs.update(|prefs| prefs.montage = next);
        }
    }

    fn change_filter(&self, change: impl FnOnce(&mut FilterChoice)) {
        let kind = self.kind.get_untracked();
        let mut choice = self.filter(&kind);
        change(&mut choice);
        let default = self.with(|choices, _| choices.default_filters.get(&kind).copied());
        self.app.prefs.update(|prefs| {
            if is_default(&choice, default.as_ref()) {
                prefs.filters.remove(&kind);
            } else {
                prefs.filters.insert(kind, choice);
            }
        });
    }

    fn reset(&self) {
        self.app.prefs.update(|prefs| {
            let kept = (prefs.language, prefs.theme, prefs.mode);
            *prefs = Prefs::default();
            (prefs.language, prefs.theme, prefs.mode) = kept;
        });
    }

    fn is_changed(&self) -> bool {
        self.app.prefs.with(|prefs| {
            let (default, now) = (Prefs::default(), prefs);
            now.sensitivity_uv_mm != default.sensitivity_uv_mm
                || now.page_s != default.page_s
                || now.montage != default.montage
                || now.negative_up != default.negative_up
                || !now.filters.is_empty()
                || !now.sensitivity_by_kind.is_empty()
        })
    }
}

fn first_positive(values: [f64; 3]) -> f64 {
    values.into_iter().find(|value| *value > 0.0).unwrap_or(1.0)
}

/// A menu whose options follow what can be chosen; marked when it is not at its default.
fn menu(
    test_id: &'static str,
    label: Text,
    options: Signal<Vec<(String, String)>>,
    value: Signal<String>,
    changed: Signal<bool>,
    chosen: impl Fn(String) + Send + Sync + 'static,
) -> impl IntoView {
    let chosen = StoredValue::new(chosen);
    let bare = matches!(
        test_id,
        id::MONTAGE | id::SENSITIVITY | id::TIME_BASE | id::MODE | id::POLARITY
    );
    view! {
        <span class="tool" class:bare=bare class:changed=move || changed.get()>
            <label for=test_id>{t(label)}</label>
            <select id=test_id data-testid=test_id data-changed=move || changed.get().to_string()
                title=move || if changed.get() { t(words::NOT_DEFAULT) } else { "" }
                on:change=move |event| chosen.with_value(|chosen| chosen(event_target_value(&event)))>
                {move || {
                    let now = value.get();
                    options.get().into_iter().map(|(key, title)| {
                        let selected = key == now;
                        view! { <option value=key selected=selected prop:selected=selected>{title}</option> }
                    }).collect_view()
                }}
            </select>
        </span>
    }
}

fn stepper(
    label: Text,
    sign: &'static str,
    chord: &'static str,
    act: impl Fn() + 'static,
) -> impl IntoView {
    view! {
        <button type="button" class="step" aria-label=t(label) title=format!("{} ({chord})", t(label)) on:click=move |_| act()>{sign}</button>
    }
}

fn numbers(values: &[f64], now: f64, unit: &str) -> Vec<(String, String)> {
    let mut all = values.to_vec();
    if !all.iter().any(|value| (value - now).abs() < 1e-9) {
        all.push(now);
    }
    all.sort_by(f64::total_cmp);
    all.into_iter()
        .map(|value| (number(value, 3), format!("{} {unit}", number(value, 3))))
        .collect()
}

fn filter_menu(
    view: View,
    test_id: &'static str,
    label: Text,
    list: fn(&ViewChoicesReply) -> &Vec<f64>,
    part: fn(&FilterChoice) -> Option<f64>,
    set: fn(&mut FilterChoice, Option<f64>),
) -> impl IntoView {
    let now = Signal::derive(move || part(&view.filter(&view.kind.get())));
    let options = Signal::derive(move || {
        let mut all = vec![("off".to_owned(), t(common::OFF).to_owned())];
        all.extend(view.with(|choices, _| {
            list(choices)
                .iter()
                .map(|hz| (number(*hz, 3), hertz(Some(*hz), "")))
                .collect::<Vec<_>>()
        }));
        all
    });
    let value = Signal::derive(move || {
        now.get()
            .map_or_else(|| "off".to_owned(), |hz| number(hz, 3))
    });
    let changed = Signal::derive(move || {
        let kind = view.kind.get();
        view.chosen()
            && now.get()
                != view.with(|choices, _| choices.default_filters.get(&kind).and_then(part))
    });
    menu(test_id, label, options, value, changed, move |text| {
        let hz = text.parse().ok();
        view.change_filter(|choice| set(choice, hz));
    })
}

/// The bar below the traces.
pub(crate) fn view_bar(view: View, traces: Traces, live: bool) -> impl IntoView {
    let app = app();
    let montages = Signal::derive(move || {
        view.with(|choices, _| {
            choices
                .montages
                .iter()
                .filter(|montage| montage.complete > 0)
                .map(|montage| {
                    let title = if montage.complete == montage.rows {
                        montage.title.clone()
                    } else {
                        let (complete, rows) =
                            (montage.complete.to_string(), montage.rows.to_string());
                        fill(
                            words::MONTAGE_PARTIAL,
                            &[
                                ("title", &montage.title),
                                ("complete", &complete),
                                ("rows", &rows),
                            ],
                        )
                    };
                    (montage.name.clone(), title)
                })
                .collect::<Vec<_>>()
        })
    });
    let montage = Signal::derive(move || view.montage());
    let montage_changed = Signal::derive(move || {
        view.chosen() && view.montage() != view.with(|choices, _| choices.default_montage.clone())
    });
    let sensitivities = Signal::derive(move || {
        view.with(|choices, _| numbers(&choices.sensitivity_uv_mm, view.sensitivity(), "µV/mm"))
    });
    let sensitivity_changed = Signal::derive(move || {
        view.with(|choices, _| {
            (view.sensitivity() - choices.default_sensitivity_uv_mm).abs() > 1e-9
        }) && view.chosen()
    });
    let pages = Signal::derive(move || {
        view.with(|choices, _| numbers(&choices.page_s, view.page_s(), "s"))
    });
    let page_changed = Signal::derive(move || {
        view.with(|choices, _| (view.page_s() - choices.default_page_s).abs() > 1e-9)
            && view.chosen()
    });
    view! {
        <div class="view-bar" role="group" aria-label=t(words::MONTAGE)>
            {menu(id::MONTAGE, words::MONTAGE, montages, montage, montage_changed, move |name| app.prefs.update(|prefs| prefs.montage = name))}
            <span class="group">
                {stepper(words::KEY_LARGER, "+", "+", move || view.step_sensitivity(-1))}
                {menu(id::SENSITIVITY, words::SENSITIVITY, sensitivities, Signal::derive(move || number(view.sensitivity(), 3)), sensitivity_changed, move |text| {
                    app.prefs.update(|prefs| prefs.sensitivity_uv_mm = text.parse().unwrap_or(0.0));
                })}
                {stepper(words::KEY_SMALLER, "−", "-", move || view.step_sensitivity(1))}
            </span>
            <span class="group">
                {stepper(words::KEY_SHORTER, "−", "[", move || view.step_page(-1))}
                {menu(id::TIME_BASE, words::TIME_BASE, pages, Signal::derive(move || number(view.page_s(), 3)), page_changed, move |text| {
                    view.set_page_s(text.parse().unwrap_or(0.0));
                })}
                {stepper(words::KEY_LONGER, "+", "]", move || view.step_page(1))}
            </span>
            {true_speed(app, traces)}
            {kind_menu(view, traces)}
            {filter_menu(view, id::LFF, words::LFF, |choices| &choices.lff_hz, |filter| filter.lff_hz, |filter, hz| filter.lff_hz = hz)}
            {filter_menu(view, id::HFF, words::HFF, |choices| &choices.hff_hz, |filter| filter.hff_hz, |filter, hz| filter.hff_hz = hz)}
            {filter_menu(view, id::NOTCH, words::NOTCH, |choices| &choices.notch_hz, |filter| filter.notch_hz, |filter, hz| filter.notch_hz = hz)}
            {live.then(|| mode_menu(app))}
            {polarity_menu(app)}
            {move || view.is_changed().then(|| view! { <button type="button" class="quiet" on:click=move |_| view.reset()>"↺ "{t(words::RESET_VIEW)}</button> })}
            {notes(traces)}
        </div>
    }
}

fn true_speed(app: App, traces: Traces) -> impl IntoView {
    let speed = move || {
        traces
            .state
            .with(|state| format!("{} mm/s", number(state.mm_per_s, 1)))
    };
    view! {
        <span class="fact" data-testid="mm-per-s">{speed}</span>
        {move || (!app.screen.with(|screen| screen.calibrated)).then(|| view! { <span class="fact changed">"▲ "{t(words::UNCALIBRATED)}</span> })}
    }
}

/// Kind of channel that the menus of filters speak of, where there is more than one.
fn kind_menu(view: View, traces: Traces) -> impl IntoView {
    let kinds = Memo::new(move |_| {
        traces.description.with(|description| {
            let rows = description.streams.iter().flat_map(|stream| &stream.rows);
            rows.map(|row| (row.kind.clone(), row.kind.to_uppercase()))
                .collect::<BTreeMap<_, _>>()
        })
    });
    move || {
        (kinds.with(BTreeMap::len) > 1).then(|| {
            let options = Signal::derive(move || kinds.get().into_iter().collect());
            let never = Signal::derive(|| false);
            menu(
                "filter-kind",
                words::KIND,
                options,
                view.kind.into(),
                never,
                move |kind| view.kind.set(kind),
            )
        })
    }
}

fn mode_menu(app: App) -> impl IntoView {
    let options = vec![
        ("sweep".to_owned(), t(words::MODE_SWEEP).to_owned()),
        ("scroll".to_owned(), t(words::MODE_SCROLL).to_owned()),
    ];
    let value = Signal::derive(move || {
        app.prefs
            .with(|prefs| {
                if prefs.mode == ScopeMode::Scroll {
                    "scroll"
                } else {
                    "sweep"
                }
            })
            .to_owned()
    });
    menu(
        id::MODE,
        words::MODE,
        Signal::stored(options),
        value,
        Signal::derive(|| false),
        move |name| {
            app.prefs.update(|prefs| {
                prefs.mode = if name == "scroll" {
                    ScopeMode::Scroll
                } else {
                    ScopeMode::Sweep
                }
            });
        },
    )
}

fn polarity_menu(app: App) -> impl IntoView {
    let options = vec![
        ("up".to_owned(), t(words::NEGATIVE_UP).to_owned()),
        ("down".to_owned(), t(words::NEGATIVE_DOWN).to_owned()),
    ];
    let value = Signal::derive(move || {
        app.prefs
            .with(|prefs| if prefs.negative_up { "up" } else { "down" })
            .to_owned()
    });
    let changed = Signal::derive(move || app.prefs.with(|prefs| !prefs.negative_up));
    menu(
        id::POLARITY,
        words::POLARITY,
        Signal::stored(options),
        value,
        changed,
        move |name| {
            app.prefs.update(|prefs| prefs.negative_up = name == "up");
        },
    )
}

/// What of the filters is not the default, or narrower in the amplifier.
fn notes(traces: Traces) -> impl IntoView {
    move || {
        let notes = traces
            .description
            .with(|description| description.filter_notes.join("; "));
        (!notes.is_empty()).then(|| view! { <span class="fact changed">"▲ "{notes}</span> })
    }
}

/// Shows the hot key of an action.
pub(crate) fn action_key(action: &Action) -> impl IntoView + use<> {
    key_hint(crate::hotkeys::chord(action))
}
