//! Reading, drafting and signing a session's report, and adding to a signed one.
//!
//! A signature is made after the password was given again. It binds a person, a time and a meaning to
//! the SHA-256 of the very PDF that is kept and to the recording's root of hashes, and becomes an
//! event and so a ledger entry in the transaction that keeps it. What is signed never changes: an
//! addendum is a document of its own.

use crate::desk::{Person, PersonRole};
use crate::documents;
use crate::error::{Error, ErrorKind, Result};
use crate::facade::Workstation;
use crate::limits::{MAX_MEANING_CHARS, MAX_REPORT_TEXT_CHARS};
use crate::notary::id_of;
use crate::records::SessionRecord;
use clinic::SessionId;
use events::payloads::{ReportCreated, ReportSigned};
use events::{Payload, Timestamp};
use logstore::UnitOfWork;
use report::{Fact, Notice, Section, Signature, render_notice_pdf, render_pdf};
use sha2::{Digest, Sha256};
use signal::{UtcNanos, ZoneOffset};
use store::rows::{self, DocumentId, DocumentKind, DocumentRow, DraftRow, SignatureRow, UserId};
use store::write;
use uuid::Uuid;

/// A session's report as it stands.
#[derive(Clone)]
pub struct ReportState {
    /// The session.
    pub session: SessionId,
    /// The report, once it is made.
    pub report: Option<Uuid>,
    /// SHA-256 of its PDF, hexadecimal; empty before it is made.
    pub sha256: String,
    /// SHA-256 over the recording's segment hashes; empty where nothing was recorded.
    pub recording_sha256: String,
    /// The report as a page; empty before it is made.
    pub html: String,
    /// What the clinician wrote: impression.
    pub impression: String,
    /// And conclusion.
    pub conclusion: String,
    /// Signatures, oldest first: the report's, then one for each addendum.
    pub signatures: Vec<SignatureRecord>,
    /// Addenda, oldest first.
    pub addenda: Vec<String>,
}

impl std::fmt::Debug for ReportState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReportState")
            .field("session", &self.session)
            .field("report", &self.report)
            .finish_non_exhaustive()
    }
}

/// A signature.
#[derive(Clone, PartialEq, Eq)]
pub struct SignatureRecord {
    /// Who.
    pub name: String,
    /// When.
    pub at: UtcNanos,
    /// The zone's offset then.
    pub zone: ZoneOffset,
    /// What it means.
    pub meaning: String,
    /// SHA-256 of what was signed, hexadecimal.
    pub document_sha256: String,
    /// SHA-256 over the recording's segment hashes, hexadecimal.
    pub recording_sha256: String,
    /// Sequence of the ledger entry that holds it.
    pub ledger_sequence: Option<u64>,
}

impl std::fmt::Debug for SignatureRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignatureRecord")
            .field("at", &self.at)
            .field("ledger_sequence", &self.ledger_sequence)
            .finish_non_exhaustive()
    }
}

/// What is kept of a signed document.
struct Signed {
    id: Uuid,
    kind: DocumentKind,
    number: u32,
    addendum: Option<String>,
    meaning: String,
    at: UtcNanos,
    zone: ZoneOffset,
    recording_sha256: String,
}

impl Workstation {
    /// A session's report as it stands.
    ///
    /// # Errors
    /// No such session, or the store.
    pub async fn report_state(&self, id: &str) -> Result<ReportState> {
        let records = self.room.records()?;
        let session = records.session_by_any_id(id).await?;
        let of = rows::SessionId(session.id.0);
        let rows = records.store().signatures(of).await?;
        let draft = records.store().draft(of).await?;
        let documents = records.store().documents(Some(of)).await?;
        let made = session
            .report
            .and_then(|report| documents.iter().find(|document| document.id.0 == report));
        let recording_sha256 = match rows.first() {
            Some(signed) => signed.recording_sha256.clone(),
            None => documents::recording_sha256(&self.room, &session)
                .await
                .unwrap_or_default(),
        };
        let html = match made {
            Some(_) => documents::report_html(&self.room, &session).await?,
            None => String::new(),
        };
        let (impression, conclusion) = draft.map_or_else(Default::default, |draft| {
            (draft.impression, draft.conclusion)
        });
        let sequences = self.sequences_of(session.id, &rows).await?;
        Ok(ReportState {
            session: session.id,
            report: session.report,
            sha256: made.map_or_else(String::new, |document| document.sha256.clone()),
            recording_sha256,
            html,
            impression,
            conclusion,
            addenda: rows.iter().filter_map(|row| row.addendum.clone()).collect(),
            signatures: rows
                .into_iter()
                .zip(sequences)
                .map(|(row, ledger_sequence)| SignatureRecord {
                    name: row.name,
                    at: UtcNanos(row.at.0),
                    zone: ZoneOffset(row.zone_s),
                    meaning: row.meaning,
                    document_sha256: row.document_sha256,
                    recording_sha256: row.recording_sha256,
                    ledger_sequence,
                })
                .collect(),
        })
    }

    /// Sequences of the ledger entries that hold these signatures.
    async fn sequences_of(
        &self,
        session: SessionId,
        rows: &[SignatureRow],
    ) -> Result<Vec<Option<u64>>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let kind = ReportSigned::EVENT_TYPE;
        let query = logstore::EntryQuery {
            kind: Some(kind.as_str()),
            correlation: Some(session.0),
            limit: crate::limits::MAX_ANSWER_ROWS,
            ..logstore::EntryQuery::default()
        };
        let entries = self.room.store()?.log().find_entries(&query).await?;
        let found = |row: &SignatureRow| {
            let id = row.event_id.to_string();
            let holds = |entry: &&ledger::Entry| {
                serde_json::from_str::<serde_json::Value>(entry.payload.as_str())
                    .is_ok_and(|payload| payload["event_id"] == id.as_str())
            };
            entries.iter().find(holds).map(|entry| entry.sequence)
        };
        Ok(rows.iter().map(found).collect())
    }

    /// Keeps what a clinician writes.
    ///
    /// # Errors
    /// No such session, a text that is too long, a report that is signed; the store.
    pub async fn draft_report(
        &self,
        id: SessionId,
        impression: &str,
        conclusion: &str,
    ) -> Result<()> {
        let records = self.room.records()?;
        records.session(id).await?;
        check_text(impression, 0)?;
        check_text(conclusion, 0)?;
        let row = DraftRow {
            session_id: rows::SessionId(id.0),
            impression: impression.trim().to_owned(),
            conclusion: conclusion.trim().to_owned(),
            by_user_id: self.room.by_user_id().map(UserId),
            updated_at: Timestamp(self.room.clock.utc().0),
        };
        let unit = UnitOfWork::new().statement(write::set_draft(&row));
        match records.store().commit(unit).await {
            Ok(_) => Ok(()),
            Err(error) if crate::people::is_conflict(&error) => Err(signed_already()),
            Err(error) => Err(error.into()),
        }
    }

    /// Signs the report: makes it anew with what was written, and binds the signature to its hash and
    /// the recording's.
    ///
    /// # Errors
    /// A role that signs nothing, a wrong password, a session that goes on, a report that is signed
    /// already; the store.
    pub async fn sign_report(&self, id: SessionId, password: &str, meaning: &str) -> Result<()> {
        let (records, session) = (self.room.records()?, self.ended_session(id).await?);
        let meaning = checked_meaning(meaning)?;
        if records.is_signed(id).await? {
            return Err(signed_already());
        }
        let signer = self.signer(password).await?;
        let mut content = documents::content_of(&self.room, &session).await?;
        let (at, zone) = self.now_here();
        let signed = Signed {
            id: Uuid::now_v7(),
            kind: DocumentKind::Report,
            number: 0,
            addendum: None,
            meaning: meaning.clone(),
            at,
            zone,
            recording_sha256: content.hash_root.clone(),
        };
        let block = signature(&signer, &signed);
        let made = documents::blocking("typeset the report", move || {
            let typeset = |content: &_| {
                render_pdf(content).map_err(|error| Error::internal("typeset the report", &error))
            };
            let content_sha256 = documents::hex(&Sha256::digest(typeset(&content)?));
            content.signature = Some(Signature {
                content_sha256,
                ..block
            });
            Ok((typeset(&content)?, report::render_html(&content)))
        });
        let (pdf, html) = made.await?;
        let (document, page) = (signed.id, id_of(signed.id, documents::PAGE));
        documents::keep_sealed(&self.room, page, html.into_bytes()).await?;
        let sha256 = documents::keep_sealed(&self.room, document, pdf).await?;
        let kept = self.keep_signature(&session, &signer, signed, sha256).await;
        if kept.is_err() {
            // Nobody has signed these.
            for id in [document, page] {
                let _ = std::fs::remove_file(documents::report_file(&self.room, id));
            }
        }
        kept
    }

    /// Adds to a signed report, signed as well.
    ///
    /// # Errors
    /// As for [`Self::sign_report`]; a report that is not signed yet; an empty text.
    pub async fn amend_report(&self, id: SessionId, text: &str, password: &str) -> Result<()> {
        let (records, session) = (self.room.records()?, self.ended_session(id).await?);
        check_text(text, 1)?;
        let signatures = records.store().signatures(rows::SessionId(id.0)).await?;
        let Some(first) = signatures.first() else {
            return Err(Error::new(
                ErrorKind::Conflict,
                "the report is not signed yet",
                "Write into the report itself, then sign it.",
            ));
        };
        let signer = self.signer(password).await?;
        let (at, zone) = self.now_here();
        let number = u32::try_from(signatures.len()).unwrap_or(u32::MAX);
        let signed = Signed {
            id: Uuid::now_v7(),
            kind: DocumentKind::Addendum,
            number,
            addendum: Some(text.trim().to_owned()),
            meaning: "I wrote this addendum to the report".to_owned(),
            at,
            zone,
            recording_sha256: first.recording_sha256.clone(),
        };
        let mut notice = self.addendum(&session, first, &signed).await?;
        let block = signature(&signer, &signed);
        let made = documents::blocking("typeset the addendum", move || {
            let typeset = |notice: &Notice| {
                render_notice_pdf(notice)
                    .map_err(|error| Error::internal("typeset the addendum", &error))
            };
            let content_sha256 = documents::hex(&Sha256::digest(typeset(&notice)?));
            notice.signature = Some(Signature {
                content_sha256,
                ..block
            });
            typeset(&notice)
        });
        let document = signed.id;
        let sha256 = documents::keep_sealed(&self.room, document, made.await?).await?;
        let kept = self.keep_signature(&session, &signer, signed, sha256).await;
        if kept.is_err() {
            let _ = std::fs::remove_file(documents::report_file(&self.room, document));
        }
        kept
    }

    async fn addendum(
        &self,
        session: &SessionRecord,
        report: &SignatureRow,
        signed: &Signed,
    ) -> Result<Notice> {
        let patient = self.room.records()?.patient(session.patient).await?;
        let printed = documents::printed(signed.at, signed.zone);
        let facts = crate::report_content::patient_facts(&patient);
        let who: Vec<_> = facts
            .iter()
            .take(2)
            .map(|fact| fact.value.clone())
            .collect();
        let signed_at = documents::printed(UtcNanos(report.at.0), ZoneOffset(report.zone_s));
        Ok(Notice {
            title: format!("Addendum {} to the report", signed.number),
            provenance: crate::report_content::provenance_of(session.device_class),
            banner: format!("{} · recording {}", who.join(" · "), session.recording),
            sections: vec![
                Section {
                    heading: "Patient".to_owned(),
                    facts,
                    ..Section::default()
                },
                Section {
                    heading: "Report".to_owned(),
                    facts: vec![
                        Fact::new("Signed by", report.name.clone()),
                        Fact::new("Signed", signed_at),
                        Fact::new("Report, SHA-256", report.document_sha256.clone()),
                        Fact::new("Session", session.id.to_string()),
                        Fact::new("Recording", session.recording.to_string()),
                    ],
                    ..Section::default()
                },
                Section {
                    heading: "Addendum".to_owned(),
                    text: signed.addendum.clone().unwrap_or_default(),
                    ..Section::default()
                },
            ],
            is_signed: true,
            document_id: signed.id.to_string(),
            software: documents::SOFTWARE.to_owned(),
            created_at: signed.at,
            created: printed,
            ..Notice::default()
        })
    }

    /// Document, signature and their events, all or nothing.
    async fn keep_signature(
        &self,
        session: &SessionRecord,
        signer: &Person,
        signed: Signed,
        sha256: String,
    ) -> Result<()> {
        let by = UserId(signer.id);
        let document = DocumentRow {
            id: DocumentId(signed.id),
            kind: signed.kind,
            session_id: Some(rows::SessionId(session.id.0)),
            recording_id: Some(rows::RecordingId(session.recording.0)),
            format: "pdf".to_owned(),
            identified: true,
            path: format!("reports/{}.sealed", signed.id),
            sha256: sha256.clone(),
            by_user_id: Some(by),
            created_at: Timestamp(signed.at.0),
        };
        let created = ReportCreated {
            report_id: signed.id,
            session_id: session.id.0,
            format: "pdf".to_owned(),
            sha256: sha256.clone(),
            by_user_id: Some(signer.id),
        };
        let told = ReportSigned {
            document_id: signed.id,
            session_id: session.id.0,
            number: signed.number,
            sha256: sha256.clone(),
            recording_sha256: signed.recording_sha256.clone(),
            by_user_id: signer.id,
        };
        let event = self.event_of(session.id.0, &told)?;
        let row = SignatureRow {
            session_id: rows::SessionId(session.id.0),
            number: signed.number,
            document_id: document.id,
            addendum: signed.addendum,
            by_user_id: by,
            name: signer.display_name.clone(),
            meaning: signed.meaning,
            at: Timestamp(signed.at.0),
            zone_s: signed.zone.0,
            document_sha256: sha256,
            recording_sha256: signed.recording_sha256,
            event_id: event.event_id,
        };
        let unit = UnitOfWork::new()
            .statement(write::insert_document(&document))
            .statement(write::insert_signature(&row))
            .event(self.event_of(session.id.0, &created)?)
            .event(event);
        match self.room.store()?.commit(unit).await {
            Ok(_) => {}
            Err(error) if crate::people::is_conflict(&error) => return Err(signed_already()),
            Err(error) => return Err(error.into()),
        }
        if let Err(error) = self.room.checkpoint().await {
            tracing::warn!(%error, "sign a checkpoint of the ledger");
        }
        Ok(())
    }

    async fn signer(&self, password: &str) -> Result<Person> {
        let role = self.person().map(|person| person.role);
        if !matches!(
            role,
            Some(PersonRole::Clinician | PersonRole::Administrator)
        ) {
            return Err(crate::people::not_allowed(
                "only a clinician who has signed in can sign",
            ));
        }
        self.confirm(password).await
    }

    async fn ended_session(&self, id: SessionId) -> Result<SessionRecord> {
        let session = self.room.records()?.session(id).await?;
        if session.outcome.is_none() {
            return Err(Error::new(
                ErrorKind::Conflict,
                "the session is still under way",
                "Stop it, and sign when its report is made.",
            ));
        }
        Ok(session)
    }

    fn now_here(&self) -> (UtcNanos, ZoneOffset) {
        let now = self.room.clock.utc();
        (now, crate::times::zone_at(now))
    }
}

fn signature(signer: &Person, signed: &Signed) -> Signature {
    Signature {
        name: signer.display_name.clone(),
        at: documents::printed(signed.at, signed.zone),
        meaning: signed.meaning.clone(),
        content_sha256: String::new(),
        recording_sha256: signed.recording_sha256.clone(),
    }
}

fn check_text(text: &str, at_least: usize) -> Result<()> {
    let length = text.trim().chars().count();
    if (at_least..=MAX_REPORT_TEXT_CHARS).contains(&length) {
        return Ok(());
    }
    let message = format!("a text has {at_least} to {MAX_REPORT_TEXT_CHARS} characters");
    Err(Error::new(ErrorKind::Invalid, message, ""))
}

fn checked_meaning(meaning: &str) -> Result<String> {
    let meaning = meaning.trim();
    let fits = (1..=MAX_MEANING_CHARS).contains(&meaning.chars().count());
    if fits && !meaning.chars().any(char::is_control) {
        return Ok(meaning.to_owned());
    }
    let message = format!("a signature says what it means in 1 to {MAX_MEANING_CHARS} characters");
    Err(Error::new(ErrorKind::Invalid, message, ""))
}

fn signed_already() -> Error {
    Error::new(
        ErrorKind::Conflict,
        "the report is signed; it changes only by addendum",
        "Write an addendum.",
    )
}
