//! Annotations and gaps of a recording: filter, jump, add, edit by superseding.

use super::app::Tone;
use super::dialog::form_buttons;
use super::parts::{field, form_error, once_tried};
use super::review::Reading;
use crate::check;
use crate::format;
use crate::hotkeys::Action;
use crate::test_ids as id;
use crate::web::view_bar::action_key;
use crate::words::{Text, codes, common, fill, review as words, t};
use leptos::prelude::*;
use leptos::task::spawn_local;
use ui_types::{AnnotationAdd, AnnotationSupersede, AnnotationView, ApiError};

/// What can be done with annotations of a recording.
#[derive(Clone, Copy)]
pub(crate) struct Marks {
    reading: Reading,
}

impl Marks {
    pub(crate) fn new(reading: Reading) -> Self {
        Self { reading }
    }

    /// Asks for an annotation at a moment.
    pub(crate) fn add_dialog(self, at_ns: i64) {
        self.reading
            .app
            .open_dialog(t(words::ADD_ANNOTATION), move || {
                form(self.reading, None, at_ns)
            });
    }

    fn edit_dialog(self, one: AnnotationView) {
        self.reading
            .app
            .open_dialog(t(words::EDIT_ANNOTATION), move || {
                form(self.reading, Some(one.clone()), one.onset_utc_ns)
            });
    }

    fn withdraw(self, one: &AnnotationView) {
        let reading = self.reading;
        let body = AnnotationSupersede {
            id: reading.id.get_untracked(),
            annotation: one.id,
            onset_utc_ns: one.onset_utc_ns,
            duration_ns: one.duration_s.map(format::ns_of),
            text: String::new(),
            code: None,
        };
        reading
            .app
            .run(body, Some(crate::words::session::WITHDRAWN), move |_| {
                reading.again();
            });
    }
}

/// Length in seconds that a field holds: nothing, or a number.
fn duration(text: &str) -> Result<Option<f64>, Text> {
    let text = text.trim().replace(',', ".");
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse::<f64>() {
        Ok(seconds) if seconds >= 0.0 && seconds.is_finite() => Ok(Some(seconds)),
        _ => Err(words::DURATION_BAD),
    }
}

fn form(reading: Reading, known: Option<AnnotationView>, at_ns: i64) -> impl IntoView {
    let app = reading.app;
    let text = RwSignal::new(
        known
            .as_ref()
            .map(|one| one.text.clone())
            .unwrap_or_default(),
    );
    let length = known
        .as_ref()
        .and_then(|one| one.duration_s)
        .map(|seconds| format::number(seconds, 3));
    let length = RwSignal::new(length.unwrap_or_default());
    let (tried, busy, error) = (
        RwSignal::new(false),
        RwSignal::new(false),
        RwSignal::new(None::<ApiError>),
    );
    let text_fault = move || check::given(&text.get());
    let length_fault = move || duration(&length.get()).err();
    let editing = known.is_some();
    let (number, code) = (
        known.as_ref().map(|one| one.id),
        known.and_then(|one| one.code),
    );
    let send = move || {
        tried.set(true);
        let Ok(seconds) = duration(&length.get_untracked()) else {
            return;
        };
        if text_fault().is_some() {
            return;
        }
        busy.set(true);
        let (id, text, duration_ns) = (
            reading.id.get_untracked(),
            text.get_untracked().trim().to_owned(),
            seconds.map(format::ns_of),
        );
        let code = code.clone();
        spawn_local(async move {
            let reply = match number {
                Some(annotation) => {
                    app.call(&AnnotationSupersede {
                        id,
                        annotation,
                        onset_utc_ns: at_ns,
                        duration_ns,
                        text,
                        code,
                    })
                    .await
                }
                None => {
                    app.call(&AnnotationAdd {
                        id,
                        onset_utc_ns: at_ns,
                        duration_ns,
                        text,
                        code,
                    })
                    .await
                }
            };
            busy.try_set(false);
            match reply {
                Ok(reply) => {
                    app.close_dialog();
                    app.notify(Tone::Good, t(words::SAVED).to_owned());
                    reading.selected.try_set(Some(reply.annotation));
                    reading.again();
                }
                Err(refused) => drop(error.try_set(Some(refused))),
            }
        });
    };
    view! {
        <form class="stack" novalidate on:submit=move |event| { event.prevent_default(); send(); }>
            <p>{t(words::ANNOTATION_AT)}" "<span class="number">{format::clock_ms(at_ns, reading.offset())}</span></p>
            {editing.then(|| view! { <p class="hint">{t(words::EDIT_NOTE)}</p> })}
            {field(id::ANNOTATION_TEXT, words::ANNOTATION_TEXT, "text", text, once_tried(tried, text_fault), None)}
            {field(id::ANNOTATION_DURATION, words::ANNOTATION_DURATION, "text", length, length_fault, None)}
            {form_error(error)}
            {form_buttons(common::SAVE, busy)}
        </form>
    }
}

fn origin(origin: &str) -> Text {
    match origin {
        "program" => words::BY_PROGRAM,
        "device" => words::BY_DEVICE,
        "source" => words::BY_SOURCE,
        _ => words::BY_PERSON,
    }
}

/// The list: filter, jump, edit, withdraw.
pub(crate) fn annotation_list(reading: Reading, marks: Marks) -> impl IntoView {
    let filter = RwSignal::new(String::new());
    let shown = move || {
        let wanted = filter.get().to_lowercase();
        reading.shown.with(|shown| {
            let fits = |one: &&AnnotationView| {
                let word = one.code.as_deref().map_or("", |code| codes::word(code, ""));
                format!(
                    "{} {word} {}",
                    one.text,
                    one.code.as_deref().unwrap_or_default()
                )
                .to_lowercase()
                .contains(&wanted)
            };
            shown
                .annotations
                .iter()
                .filter(fits)
                .cloned()
                .collect::<Vec<_>>()
        })
    };
    let item = move |one: AnnotationView| {
        let (at, number) = (one.onset_utc_ns, one.id);
        let text = codes::annotation(one.code.as_deref(), &one.text).to_owned();
        let length = one
            .duration_s
            .map(|seconds| format!(" · {}", format::span(seconds)));
        let current = move || (reading.selected.get() == Some(number)).then_some("true");
        let (edited, withdrawn) = (one.clone(), one.clone());
        let label = text.clone();
        view! {
            <li data-testid="annotation" data-id=number.to_string() aria-current=current>
                <button type="button" class="quiet jump" on:click=move |_| { reading.selected.set(Some(number)); reading.jump(at); }>
                    <span class="number">{format::clock(at, reading.offset())}</span>" "{text}{length}
                    <span class="hint">" · "{t(origin(&one.origin))}</span>
                </button>
                <button type="button" class="quiet small" aria-label=format!("{}: {label}", t(common::EDIT)) title=t(common::EDIT) on:click=move |_| marks.edit_dialog(edited.clone())>"✎"</button>
                <button type="button" class="quiet small" aria-label=format!("{}: {label}", t(words::WITHDRAW)) title=t(words::WITHDRAW) on:click=move |_| marks.withdraw(&withdrawn)>"✕"</button>
            </li>
        }
    };
    let middle = move || {
        reading
            .stretch
            .with_untracked(|stretch| stretch.from_ns + format::ns_of(stretch.page_s / 2.0))
    };
    view! {
        <section class="panel grow-list">
            <div class="row">
                <h2 class="grow">{t(crate::words::session::ANNOTATIONS)}</h2>
                <button type="button" data-testid=id::ADD_ANNOTATION title=t(words::ADD_HINT) on:click=move |_| marks.add_dialog(middle())>"+ "{t(common::ADD)}</button>
            </div>
            <label class="unseen" for=id::ANNOTATION_FILTER>{t(words::FILTER_ANNOTATIONS)}</label>
            <input id=id::ANNOTATION_FILTER data-testid=id::ANNOTATION_FILTER type="search" autocomplete="off" placeholder=t(words::FILTER_ANNOTATIONS)
                prop:value=move || filter.get() on:input=move |event| filter.set(event_target_value(&event))/>
            <p class="hint">{action_key(&Action::Annotation(-1))}" "{t(words::LAST_ANNOTATION)}" · "{action_key(&Action::Annotation(1))}" "{t(words::NEXT_ANNOTATION)}</p>
            <ul class="list" data-testid=id::ANNOTATIONS aria-label=t(crate::words::session::ANNOTATIONS) tabindex="0">
                {move || {
                    let shown = shown();
                    if shown.is_empty() {
                        view! { <li class="hint">{t(words::NO_ANNOTATIONS)}</li> }.into_any()
                    } else {
                        shown.into_iter().map(item).collect_view().into_any()
                    }
                }}
            </ul>
        </section>
    }
}

/// Gaps: what is missing, why, and a way there.
pub(crate) fn gap_list(reading: Reading) -> impl IntoView {
    view! {
        <section class="panel">
            <h2>{t(words::GAPS)}" "<span class="count">{move || reading.shown.with(|shown| shown.gaps.len())}</span></h2>
            <ul class="list" data-testid=id::GAPS aria-label=t(words::GAPS) tabindex="0">
                {move || reading.shown.with(|shown| {
                    if shown.gaps.is_empty() {
                        return view! { <li class="hint">{t(words::NO_GAPS)}</li> }.into_any();
                    }
                    shown.gaps.iter().map(|gap| {
                        let at = format::utc_ns(&gap.from);
                        let text = fill(words::GAP_ROW, &[("stream", &gap.stream), ("duration", &format::span(gap.duration_s)), ("cause", &gap.cause)]);
                        let clock = at.map_or_else(String::new, |ns| format::clock_ms(ns, reading.offset()));
                        view! {
                            <li><button type="button" class="quiet jump" on:click=move |_| if let Some(ns) = at { reading.jump(ns) }>
                                <span class="number">{clock}</span>" "{text}
                            </button></li>
                        }
                    }).collect_view().into_any()
                })}
            </ul>
        </section>
    }
}
