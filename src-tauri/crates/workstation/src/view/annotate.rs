//! Annotations on recordings that run and on those that have ended.

use crate::collect::folder;
use crate::error::{Error, ErrorKind, Result};
use crate::facade::Workstation;
use crate::limits::{MARK_POLL, MARK_WAIT, MAX_ANNOTATION_CHARS, MAX_CODE_CHARS};
use crate::live::Live;
use crate::notary::id_of;
use crate::records::SessionRecord;
use crate::view::messages::MarkView;
use acquisition::Mark;
use clinic::SessionId;
use events::SystemEvent;
use events::payloads::RecordingAnnotated;
use recording::{ClosedSegment, OsEntropy, OsStorage, Unlock};
use signal::{Annotation, AnnotationId, AnnotationOrigin, UtcNanos};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Mutex;

/// What is to be marked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAnnotation {
    /// When.
    pub onset: UtcNanos,
    /// How long, ns.
    pub duration_ns: Option<i64>,
    /// Description.
    pub text: String,
    /// Code.
    pub code: Option<String>,
}

/// One annotation after the other: each reads which number is free.
static TURN: Mutex<()> = Mutex::const_new(());

/// The setting that names sessions whose annotation the ledger may not have yet.
const PENDING: &str = "annotations.pending";

impl NewAnnotation {
    fn is_empty(&self) -> bool {
        self.text.is_empty() && self.code.is_none()
    }

    /// Trims, and refuses what no annotation may be. A code goes into events and the ledger, where
    /// nothing may stand that could name a person: it is a word.
    fn checked(mut self) -> Result<Self> {
        let invalid = |message: String| Err(Error::new(ErrorKind::Invalid, message, ""));
        self.text = self.text.trim().to_owned();
        if self.text.chars().count() > MAX_ANNOTATION_CHARS {
            return invalid(format!(
                "an annotation may have at most {MAX_ANNOTATION_CHARS} characters"
            ));
        }
        let word = |code: &String| {
            let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            !code.is_empty() && code.len() <= MAX_CODE_CHARS && code.chars().all(fits)
        };
        if self.code.as_ref().is_some_and(|code| !word(code)) {
            return invalid("a code is a word of small letters, digits and '_'".to_owned());
        }
        if self.duration_ns.is_some_and(|duration| duration < 0) {
            return invalid("an annotation cannot end before it begins".to_owned());
        }
        Ok(self)
    }

    fn annotation(&self, id: AnnotationId, supersedes: Option<AnnotationId>) -> Annotation {
        Annotation {
            id,
            onset: self.onset,
            duration_ns: self.duration_ns,
            text: self.text.clone(),
            code: self.code.clone(),
            origin: AnnotationOrigin::Person,
            channels: Vec::new(),
            supersedes,
        }
    }
}

impl Workstation {
    /// Adds an annotation to a recording, named by its own id or its session's.
    ///
    /// # Errors
    /// An annotation that says nothing or too much, no such recording, a session that has not
    /// recorded to its end, the disk.
    pub async fn add_annotation(&self, id: &str, new: NewAnnotation) -> Result<AnnotationId> {
        let new = new.checked()?;
        if new.is_empty() {
            let message = "an annotation has a text or a code";
            return Err(Error::new(ErrorKind::Invalid, message, ""));
        }
        self.annotated(id, new, None).await
    }

    /// Puts an annotation in the place of another, which stays in the record; one that says nothing
    /// withdraws it.
    ///
    /// # Errors
    /// As [`Self::add_annotation`]; there is no such annotation, or it is superseded already.
    pub async fn supersede_annotation(
        &self,
        id: &str,
        old: AnnotationId,
        new: NewAnnotation,
    ) -> Result<AnnotationId> {
        self.annotated(id, new.checked()?, Some(old)).await
    }

    /// Annotations of a recording, superseded ones with what took their place.
    ///
    /// # Errors
    /// No such recording, another key, damage beyond opening.
    pub async fn annotations(&self, id: &str) -> Result<Vec<MarkView>> {
        let session = self.room.records()?.session_by_any_id(id).await?;
        self.recorded_marks(&session).await
    }

    async fn recorded_marks(&self, session: &SessionRecord) -> Result<Vec<MarkView>> {
        let kept = self.kept(session);
        let read = move || -> Result<Vec<MarkView>> {
            let kept = kept()?;
            let known = kept.read().annotations();
            let mark = |known: recording::RecordedAnnotation| MarkView {
                annotation: known.annotation,
                superseded_by: known.superseded_by,
            };
            Ok(known.into_iter().map(mark).collect())
        };
        tokio::task::spawn_blocking(read)
            .await
            .map_err(|error| Error::internal("read the annotations", &error))?
    }

    async fn annotated(
        &self,
        id: &str,
        new: NewAnnotation,
        supersedes: Option<AnnotationId>,
    ) -> Result<AnnotationId> {
        let session = self.room.records()?.session_by_any_id(id).await?;
        let _turn = TURN.lock().await;
        let live = self.room.live.get(session.id);
        let known = self
            .known_marks(&session, live.as_deref(), supersedes)
            .await?;
        let old = match supersedes {
            Some(id) => Some(standing(&known, id)?),
            None => None,
        };
        if let Some(live) = live {
            let mark = Mark {
                onset: new.onset,
                duration_ns: new.duration_ns,
                text: new.text.clone(),
                code: new.code.clone(),
                origin: AnnotationOrigin::Person,
                channels: Vec::new(),
            };
            let id = live.supersede(mark, supersedes)?;
            if let Some(annotation) = old {
                // At once, so that nobody can supersede it again.
                live.hub.mark(MarkView {
                    annotation,
                    superseded_by: Some(id),
                });
            }
            let said = self.said(&session, id, supersedes, &new);
            self.room.say(session.id, &said).await;
            return Ok(id);
        }
        let next = known.iter().map(|mark| mark.annotation.id.0 + 1).max();
        let id = AnnotationId(next.unwrap_or(1));
        self.append(&session, &new.annotation(id, supersedes))
            .await?;
        Ok(id)
    }

    /// The marks that a decision needs: all of an ended recording, the one concerned of a running.
    async fn known_marks(
        &self,
        session: &SessionRecord,
        live: Option<&Live>,
        wanted: Option<AnnotationId>,
    ) -> Result<Vec<MarkView>> {
        let (Some(live), Some(wanted)) = (live, wanted) else {
            return match live {
                Some(_) => Ok(Vec::new()),
                None => self.recorded_marks(session).await,
            };
        };
        // The latest are in memory before they are on the disk; one that was promised a moment ago
        // is on its way through the recorder.
        let begun = Instant::now();
        loop {
            if let Some(mark) = live.hub.find_mark(wanted) {
                return Ok(vec![mark]);
            }
            let promised = wanted.0 < live.view.promised_annotations();
            let known = self.recorded_marks(session).await?;
            let found = known.iter().any(|mark| mark.annotation.id == wanted);
            if found || !promised || begun.elapsed() > MARK_WAIT {
                return Ok(known);
            }
            tokio::time::sleep(MARK_POLL).await;
        }
    }

    /// Adds a segment with the annotation to an ended recording, and its hash to the ledger in one
    /// unit with the event that tells of it.
    async fn append(&self, session: &SessionRecord, annotation: &Annotation) -> Result<()> {
        let room = &self.room;
        self.must_have_ended(session).await?;
        let records = room.records()?;
        let mut pending: Vec<SessionId> = records.kept_setting(PENDING).await?.unwrap_or_default();
        if !pending.contains(&session.id) {
            pending.push(session.id);
        }
        records.keep_setting(PENDING, &pending).await?;
        let unlock = Unlock::Station(room.station_key()?);
        let (at, added) = (folder(room, session.recording), annotation.clone());
        let write = move || {
            recording::annotate(&at, &unlock, Arc::new(OsStorage), &mut OsEntropy, &[added])
        };
        let written = tokio::task::spawn_blocking(write)
            .await
            .map_err(|error| Error::internal("annotate the recording", &error))?;
        room.shelf.forget(session.recording);
        let segment = written?;
        let new = NewAnnotation {
            onset: annotation.onset,
            duration_ns: annotation.duration_ns,
            text: annotation.text.clone(),
            code: annotation.code.clone(),
        };
        let said = self.said(session, annotation.id, annotation.supersedes, &new);
        pending.retain(|id| *id != session.id);
        self.enter(session, &segment, &said, &pending).await
    }

    async fn enter(
        &self,
        session: &SessionRecord,
        segment: &ClosedSegment,
        said: &RecordingAnnotated,
        pending: &[SessionId],
    ) -> Result<()> {
        let closed = self.segment_event(session, "events", segment)?;
        let events = [closed, self.room.notary()?.event(session.id.0, said)?];
        let records = self.room.records()?;
        records.commit_with_setting(events, PENDING, &pending).await
    }

    /// A recording that a session is still to go on with belongs to its recorder.
    async fn must_have_ended(&self, session: &SessionRecord) -> Result<()> {
        if session.outcome.is_some() {
            return Ok(());
        }
        let kept = self.kept(session);
        let finished = tokio::task::spawn_blocking(move || -> Result<bool> {
            Ok(kept()?.read().finished().is_some())
        })
        .await
        .map_err(|error| Error::internal("look into the recording", &error))??;
        if finished {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Conflict,
            "the session is interrupted, and its recording not at its end",
            "Resume the session, or end it first.",
        ))
    }

    fn said(
        &self,
        session: &SessionRecord,
        id: AnnotationId,
        supersedes: Option<AnnotationId>,
        new: &NewAnnotation,
    ) -> RecordingAnnotated {
        RecordingAnnotated {
            recording_id: session.recording.0,
            annotation: id.0,
            code: new.code.clone(),
            supersedes: supersedes.map(|old| old.0),
            withdrawn: new.is_empty(),
            by_user_id: self.room.by_user_id(),
        }
    }

    /// Enters annotations whose engine died before the ledger had them.
    pub(crate) async fn enter_pending_annotations(&self) -> Result<()> {
        let records = self.room.records()?;
        let Some(pending) = records.kept_setting::<Vec<SessionId>>(PENDING).await? else {
            return Ok(());
        };
        // Entered and forgotten in one unit: what is forgotten earlier would be missing for ever if
        // the engine died again.
        let mut events = Vec::new();
        for id in pending {
            let session = records.session(id).await?;
            for (stream, segment) in crate::collect::closed_segments(&self.room, &session).await? {
                events.push(self.segment_event(&session, &stream, &segment)?);
            }
        }
        records
            .commit_with_setting(events, PENDING, &Vec::<SessionId>::new())
            .await
    }

    /// The event of a closed segment; its id follows from the segment, so that the log takes it once.
    fn segment_event(
        &self,
        session: &SessionRecord,
        stream: &str,
        segment: &ClosedSegment,
    ) -> Result<SystemEvent> {
        let closed = crate::collect::segment_closed(session, stream, segment);
        let mut event = self.room.notary()?.event(session.id.0, &closed)?;
        event.event_id = id_of(session.id.0, &crate::collect::segment_key(session, segment));
        Ok(event)
    }
}

/// The annotation to be superseded, if it stands and is a person's to correct: an emergency stop or
/// a trigger stays what it is.
fn standing(known: &[MarkView], id: AnnotationId) -> Result<Annotation> {
    let found = known.iter().find(|mark| mark.annotation.id == id);
    match found {
        Some(mark) if is_fact(mark.annotation.origin) => Err(Error::new(
            ErrorKind::Refused,
            "what the program or the device noted cannot be corrected",
            "Add an annotation that says what is to be known of it.",
        )),
        Some(mark) if mark.superseded_by.is_none() => Ok(mark.annotation.clone()),
        Some(_) => Err(Error::new(
            ErrorKind::Conflict,
            format!("annotation {} is superseded already", id.0),
            "Look at the recording again.",
        )),
        None => Err(Error::not_found("annotation", id.0)),
    }
}

const fn is_fact(origin: AnnotationOrigin) -> bool {
    match origin {
        AnnotationOrigin::Program | AnnotationOrigin::Device => true,
        AnnotationOrigin::Person | AnnotationOrigin::Protocol | AnnotationOrigin::Source => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, NewSession, PatientChoice, SessionState};
    use std::time::Duration;

    async fn finished(workstation: &Workstation) -> SessionId {
        let new = NewSession {
            patient: PatientChoice::Training,
            device: "simulated:headset".to_owned(),
            settings: Default::default(),
            protocol: "free-recording".to_owned(),
            duration_ms: Some(1_000),
            unlimited: false,
            start_now: true,
            export: None,
            order: None,
        };
        let id = workstation.start_session(new).await.unwrap();
        let began = Instant::now();
        while workstation.session(id).await.unwrap().state == SessionState::Running {
            assert!(began.elapsed() < Duration::from_secs(60), "it does not end");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        id
    }

    #[test]
    fn what_the_program_noted_is_nobodys_to_correct() {
        let mark = |origin, superseded_by| {
            let new = NewAnnotation {
                onset: UtcNanos(0),
                duration_ns: None,
                text: "x".to_owned(),
                code: Some("emergency_stop".to_owned()),
            };
            let annotation = Annotation {
                origin,
                ..new.annotation(AnnotationId(1), None)
            };
            let known = [MarkView {
                annotation,
                superseded_by,
            }];
            standing(&known, AnnotationId(1)).map_err(|error| error.kind())
        };
        assert!(mark(AnnotationOrigin::Person, None).is_ok());
        let facts = [AnnotationOrigin::Program, AnnotationOrigin::Device];
        for origin in facts {
            assert_eq!(mark(origin, None).unwrap_err(), ErrorKind::Refused);
        }
        let twice = mark(AnnotationOrigin::Person, Some(AnnotationId(2)));
        assert_eq!(twice.unwrap_err(), ErrorKind::Conflict);
    }

    /// The engine dies when the annotation is in the record and the ledger does not have it yet.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_annotation_that_the_ledger_missed_is_entered_at_the_next_start() {
        let folder = tempfile::TempDir::new().unwrap();
        let config = Config::new(folder.path().to_owned());
        let workstation = Workstation::open(config.clone()).await.unwrap();
        let id = finished(&workstation).await;
        let name = id.to_string();
        let records = workstation.room.records().unwrap();
        let session = records.session(id).await.unwrap();
        records.keep_setting(PENDING, &[id]).await.unwrap();
        let unlock = Unlock::Station(workstation.room.station_key().unwrap());
        let new = NewAnnotation {
            onset: session.started,
            duration_ns: None,
            text: "blink".to_owned(),
            code: None,
        };
        let at = crate::collect::folder(&workstation.room, session.recording);
        let added = [new.annotation(AnnotationId(77), None)];
        recording::annotate(&at, &unlock, Arc::new(OsStorage), &mut OsEntropy, &added).unwrap();
        let before = workstation
            .verify_recording(&name, |_, _| ())
            .await
            .unwrap();
        assert_eq!(before.segments, before.in_ledger + 1, "{before:?}");
        workstation.shutdown().await;
        drop(workstation);

        let workstation = Workstation::open(config).await.unwrap();
        let after = workstation
            .verify_recording(&name, |_, _| ())
            .await
            .unwrap();
        assert_eq!(
            (after.segments, after.in_ledger),
            (before.segments, before.segments)
        );
        assert!(
            after.files.is_clean() && after.mismatches.is_empty(),
            "{after:?}"
        );
        // And the next one follows it.
        let next = workstation.add_annotation(&name, new).await.unwrap();
        assert_eq!(next, AnnotationId(78));
        let after = workstation
            .verify_recording(&name, |_, _| ())
            .await
            .unwrap();
        assert_eq!(after.segments, after.in_ledger);
        workstation.shutdown().await;
    }
}
