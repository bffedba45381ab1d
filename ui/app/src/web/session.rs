//! A session from its preparation to its end.

mod activations;
mod alerts;
mod live_page;
mod marks;
mod prepare;
mod status;
mod tools;

use super::app::{App, app};
use super::parts::{Load, every, loaded, poll};
use super::scope_view::Traces;
use crate::limits::{SESSION_POLL_MS, STARTING_POLL_MS};
use crate::route::Route;
use crate::words::{Text, common, session as words, t};
use leptos::prelude::*;
use leptos::task::spawn_local;
use std::collections::BTreeMap;
use ui_types::{
    AlertView, AnnotationView, ChannelQuality, ImpedanceView, PatientShow, PatientView,
    ProtocolView, RecordingShow, SessionList, SessionShow, SessionState, SessionView, StepView,
};

pub(crate) use prepare::page as prepare;
pub(crate) use status::patient_banner;

/// Word of a device's class.
pub(crate) fn class_word(class: &str) -> Text {
    match class {
        "medical" => words::CLASS_MEDICAL,
        "simulated" => words::CLASS_SIMULATED,
        "playback" => words::CLASS_PLAYBACK,
        _ => words::CLASS_RESEARCH,
    }
}

/// A mark of the recording, from wherever it is known.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mark {
    pub(crate) id: u64,
    pub(crate) at_ns: i64,
    pub(crate) text: String,
    pub(crate) code: Option<String>,
}

/// A session that is followed.
#[derive(Clone, Copy)]
pub(crate) struct Live {
    pub(crate) app: App,
    pub(crate) id: Signal<String>,
    pub(crate) view: RwSignal<Load<SessionView>>,
    pub(crate) patient: RwSignal<Option<PatientView>>,
    pub(crate) traces: Traces,
    /// Impedances as they are measured just now; empty otherwise.
    pub(crate) measuring: RwSignal<Vec<ImpedanceView>>,
    recorded: RwSignal<Vec<AnnotationView>>,
    /// Marks in order of time.
    pub(crate) marks: Memo<Vec<Mark>>,
    /// The mark just placed: its number and time.
    pub(crate) placed: StoredValue<Option<(u64, i64)>>,
    pub(crate) muted: RwSignal<bool>,
}

impl Live {
    fn new(app: App, id: String) -> Self {
        let id = Signal::stored(id);
        let view = RwSignal::new(Load::Loading);
        let ask = poll(app, SESSION_POLL_MS, view, move || {
            Some(SessionShow {
                id: id.get_untracked(),
            })
        });
        let traces = Traces::new();
        let recorded = RwSignal::new(Vec::new());
        let marks = Memo::new(move |_| merged(&recorded.get(), traces));
        let live = Self {
            app,
            id,
            view,
            patient: RwSignal::new(None),
            traces,
            measuring: RwSignal::new(Vec::new()),
            recorded,
            marks,
            placed: StoredValue::new(None),
            muted: RwSignal::new(false),
        };
        Effect::new(move |before: Option<()>| {
            app.changed.track();
            if before.is_some() {
                ask();
            }
        });
        // A recording that begins is seen when it does.
        every(STARTING_POLL_MS, move || {
            let starts = |view: &Load<SessionView>| matches!(view, Load::Ready(view) if crate::live::starts(view));
            if view.with_untracked(starts) {
                ask();
            }
        });
        live.learn();
        live
    }

    /// What is asked for once, and again when something changed: the patient (each look at one is
    /// recorded) and the marks.
    fn learn(self) {
        let app = self.app;
        let patient = Memo::new(move |_| self.get(|view| view.patient.clone()));
        Effect::new(move |_| {
            app.changed.track();
            let Some(id) = patient.get() else { return };
            spawn_local(async move {
                if let Ok(patient) = app.call(&PatientShow { id }).await {
                    self.patient.try_set(Some(patient));
                }
            });
        });
        let recording = Memo::new(move |_| self.get(|view| view.recording.clone()).flatten());
        Effect::new(move |_| {
            app.changed.track();
            let Some(id) = recording.get() else { return };
            spawn_local(async move {
                if let Ok(shown) = app.call(&RecordingShow { id }).await {
                    self.recorded.try_set(shown.annotations);
                }
            });
        });
    }

    /// Something of the session, once it is known.
    pub(crate) fn get<T>(&self, of: impl FnOnce(&SessionView) -> T) -> Option<T> {
        self.view.with(|view| match view {
            Load::Ready(view) => Some(of(view)),
            _ => None,
        })
    }

    /// The same as a value that changes only when it does.
    pub(crate) fn memo<T: PartialEq + Send + Sync + 'static>(
        self,
        of: fn(&SessionView) -> T,
    ) -> Memo<Option<T>> {
        Memo::new(move |_| self.get(of))
    }

    pub(crate) fn protocol(&self) -> Option<ProtocolView> {
        self.get(|view| view.protocol.clone())
            .and_then(|id| self.app.protocol(&id))
    }

    /// When each code was marked.
    pub(crate) fn codes(&self) -> Vec<(i64, String)> {
        self.marks.with(|marks| {
            marks
                .iter()
                .filter_map(|mark| Some((mark.at_ns, mark.code.clone()?)))
                .collect()
        })
    }
}

fn merged(recorded: &[AnnotationView], traces: Traces) -> Vec<Mark> {
    let mut all: BTreeMap<u64, Mark> = recorded
        .iter()
        .map(|one| {
            let mark = Mark {
                id: one.id,
                at_ns: one.onset_utc_ns,
                text: one.text.clone(),
                code: one.code.clone(),
            };
            (one.id, mark)
        })
        .collect();
    traces.marks.with(|marks| {
        for one in marks.values() {
            let withdrawn = one.text.is_empty() && one.code.is_none();
            if one.superseded_by.is_some() || withdrawn {
                all.remove(&one.id);
            } else {
                let mark = Mark {
                    id: one.id,
                    at_ns: one.onset_utc_ns,
                    text: one.text.clone(),
                    code: one.code.clone(),
                };
                all.insert(one.id, mark);
            }
        }
    });
    let mut sorted: Vec<_> = all
        .into_values()
        .filter(|mark| !mark.text.is_empty() || mark.code.is_some())
        .collect();
    sorted.sort_by_key(|mark| mark.at_ns);
    sorted
}

/// Where everything of a session comes together that several parts read.
pub(crate) struct Facts {
    pub(crate) state: Memo<Option<SessionState>>,
    pub(crate) steps: Memo<Option<Vec<StepView>>>,
    pub(crate) quality: Memo<Option<Vec<ChannelQuality>>>,
    pub(crate) alerts: Memo<Option<Vec<AlertView>>>,
    pub(crate) collects: Memo<bool>,
}

impl Facts {
    fn of(live: Live) -> Self {
        Self {
            state: live.memo(|view| view.state),
            steps: live.memo(|view| view.steps.clone()),
            quality: live.memo(|view| view.quality.clone()),
            alerts: live.memo(|view| view.alerts.clone()),
            collects: Memo::new(move |_| live.get(crate::live::collects).unwrap_or(false)),
        }
    }
}

/// The page of a session; without one, of the one that runs.
pub(crate) fn page(id: String) -> AnyView {
    let app = app();
    if id.is_empty() {
        return running(app).into_any();
    }
    let live = Live::new(app, id);
    // Only whether it is there matters here; what it says is read by the parts.
    let there = Memo::new(move |_| {
        live.view.with(|view| match view {
            Load::Loading => Load::Loading,
            Load::Ready(_) => Load::Ready(()),
            Load::Failed(error) => Load::Failed(error.clone()),
        })
    });
    (move || there.with(|there| loaded(there, words::THE_SESSION, |()| live_page::page(live))))
        .into_any()
}

/// Goes to the session that runs, or says what to do next.
fn running(app: App) -> impl IntoView {
    let found = RwSignal::new(Load::Loading);
    let _ask = poll(app, crate::limits::LIST_POLL_MS, found, || {
        Some(SessionList::default())
    });
    Effect::new(move |_| {
        let id = found.with(|found| match found {
            Load::Ready(reply) => {
                let of = |state| {
                    reply
                        .sessions
                        .iter()
                        .find(move |session| session.state == state)
                };
                of(SessionState::Running)
                    .or_else(|| of(SessionState::Interrupted))
                    .map(|session| session.id.clone())
            }
            _ => None,
        });
        if let Some(id) = id {
            app.go(Route::Session(id));
        }
    });
    move || {
        found.with(|found| {
            loaded(found, words::THE_SESSION, |_| {
                view! {
                    <div class="page">
                        <h1>{t(common::SESSION)}</h1>
                        <p class="empty">{t(words::NO_SESSION)}</p>
                        <button type="button" class="primary" on:click=move |_| app.go(Route::Worklist)>{t(words::TO_WORKLIST)}</button>
                    </div>
                }
            })
        })
    }
}
