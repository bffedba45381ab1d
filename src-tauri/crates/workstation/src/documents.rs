//! Analysis, report and export of a recording.

use crate::collect::folder;
use crate::engine_room::Room;
use crate::error::{Error, ErrorKind, Result};
use crate::notary::id_of;
use crate::records::{NewDocument, PatientRecord, SessionRecord};
use crate::seal;
use crate::sessions::ExportKind;
use events::payloads::{ExportCreated, ReportCreated};
use export::{
    Continuity, Deidentification, Export, ExportOptions, Identity as ExportIdentity, Privacy,
    RecordingSource, export_edf,
};
use recording::{OsEntropy, OsStorage, Recording, Unlock};
use sha2::{Digest, Sha256};
use signal::{ImpedanceLimits, UtcNanos, ZoneOffset};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::rows::DocumentKind;
use uuid::Uuid;

/// Program and version, as documents name it.
pub(crate) const SOFTWARE: &str = concat!("NeuraScale Workstation ", env!("CARGO_PKG_VERSION"));

/// A report that was made.
#[derive(Debug, Clone)]
pub struct MadeReport {
    /// Opaque id.
    pub id: Uuid,
    /// The sealed file.
    pub path: PathBuf,
    /// SHA-256 of the PDF, hexadecimal.
    pub sha256: String,
}

/// What an export left.
#[derive(Debug, Clone)]
pub struct MadeExport {
    /// Folder.
    pub folder: PathBuf,
    /// Files: path, SHA-256, bytes.
    pub files: Vec<(PathBuf, String, u64)>,
    /// What a person should know.
    pub warnings: Vec<String>,
}

/// What is exported, and how.
#[derive(Debug, Clone)]
pub struct ExportRequest {
    /// Format.
    pub kind: ExportKind,
    /// Folder; the engine's own when absent.
    pub folder: Option<PathBuf>,
    /// With the patient's identity.
    pub identified: bool,
    /// Subject code of a de-identified export; made from the recording's id when absent.
    pub subject: Option<String>,
    /// Someone has read the free-text annotations.
    pub annotations_reviewed: bool,
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn report_file(room: &Room, id: Uuid) -> PathBuf {
    room.config.reports().join(format!("{id}.sealed"))
}

/// Opens a session's recording for reading.
pub(crate) fn open(room: &Room, session: &SessionRecord) -> Result<Recording> {
    let unlock = Unlock::Station(room.key_of(session.recording)?);
    Ok(Recording::open(
        &folder(room, session.recording),
        &unlock,
        Arc::new(OsStorage),
    )?)
}

pub(crate) async fn blocking<T: Send + 'static>(
    operation: &'static str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::internal(operation, &error))?
}

fn analysis_of(recording: &Recording, mains_hz: f64) -> Result<report::Analysis> {
    let options = report::AnalysisOptions {
        mains_hz,
        ..report::AnalysisOptions::default()
    };
    report::analyse(recording, &options).map_err(|error| Error::internal("analyse", &error))
}

/// Analyses a recording and says what a person should know before reading the report.
pub(crate) async fn analyse(room: &Room, session: &SessionRecord) -> Result<Vec<String>> {
    let mains_hz = crate::policies::in_force(room).await.mains_hz;
    let (room, session) = (room.clone(), session.clone());
    blocking("analyse", move || {
        let analysis = analysis_of(&open(&room, &session)?, mains_hz)?;
        let poor: Vec<_> = analysis
            .quality
            .iter()
            .filter(|channel| channel.seconds > 0 && channel.good < 0.5)
            .map(|channel| channel.label.clone())
            .collect();
        let mut notes = Vec::new();
        if !poor.is_empty() {
            notes.push(format!(
                "Poor signal for more than half of the time: {}.",
                poor.join(", ")
            ));
        }
        Ok(notes)
    })
    .await
}

/// Makes a session's report, seals it, and notes it. With `key` it is made once however often it
/// is called.
pub(crate) async fn make_report(
    room: &Room,
    session: &SessionRecord,
    key: Option<&str>,
) -> Result<MadeReport> {
    let id = key.map_or_else(Uuid::now_v7, |key| id_of(session.id.0, key));
    if room.records()?.is_signed(session.id).await? {
        return Err(Error::new(
            ErrorKind::Conflict,
            "the report is signed; it changes only by addendum",
            "",
        ));
    }
    let path = report_file(room, id);
    let content = content_of(room, session).await?;
    let (pdf, html) = blocking("make the report", move || {
        let pdf = report::render_pdf(&content)
            .map_err(|error| Error::internal("typeset the report", &error))?;
        Ok((pdf, report::render_html(&content)))
    })
    .await?;
    keep_sealed(room, id_of(id, PAGE), html.into_bytes()).await?;
    let sha256 = keep_sealed(room, id, pdf).await?;
    let document = NewDocument {
        id,
        kind: DocumentKind::Report,
        format: "pdf".to_owned(),
        identified: true,
        path: format!("reports/{id}.sealed"),
        sha256: sha256.clone(),
    };
    room.records()?
        .add_document(session, document, room.by_user_id())
        .await?;
    let payload = ReportCreated {
        report_id: id,
        session_id: session.id.0,
        format: "pdf".to_owned(),
        sha256: sha256.clone(),
        by_user_id: room.by_user_id(),
    };
    room.notary()?
        .say_once(session.id.0, &format!("report/{id}"), &payload)
        .await?;
    Ok(MadeReport { id, path, sha256 })
}

/// Key from which the id of a report's page follows.
pub(crate) const PAGE: &str = "page";

/// Seals a document and keeps it; the SHA-256 of what was sealed, hexadecimal.
pub(crate) async fn keep_sealed(room: &Room, id: Uuid, document: Vec<u8>) -> Result<String> {
    let room = room.clone();
    blocking("seal the document", move || {
        let key = room.evidence()?.key.document_key();
        let sealed = seal::seal(&key, id, &document, &mut OsEntropy)?;
        seal::write_whole(&report_file(&room, id), &sealed)?;
        Ok(hex(&Sha256::digest(&document)))
    })
    .await
}

/// SHA-256 over the hashes of a recording's closed segments.
pub(crate) async fn recording_sha256(room: &Room, session: &SessionRecord) -> Result<String> {
    let (room, session) = (room.clone(), session.clone());
    blocking("read the recording", move || {
        Ok(crate::report_content::hash_root(&open(&room, &session)?))
    })
    .await
}

/// The sealed report's PDF, or another sealed document.
pub(crate) async fn report_pdf(room: &Room, id: Uuid) -> Result<Vec<u8>> {
    let room = room.clone();
    blocking("open the report", move || {
        let path = report_file(&room, id);
        let sealed =
            std::fs::read(&path).map_err(|error| Error::file("read the report", &path, &error))?;
        seal::open(&room.evidence()?.key.document_key(), id, &sealed)
    })
    .await
}

/// The report's HTML, as it was made with its PDF; made anew where none was kept.
pub(crate) async fn report_html(room: &Room, session: &SessionRecord) -> Result<String> {
    if let Some(page) = session.report.map(|report| id_of(report, PAGE))
        && report_file(room, page).exists()
    {
        let page = report_pdf(room, page).await?;
        return String::from_utf8(page).map_err(|error| Error::internal("read the report", &error));
    }
    let content = content_of(room, session).await?;
    blocking("make the report", move || Ok(report::render_html(&content))).await
}

/// What the report says now, with what a clinician wrote; not signed.
pub(crate) async fn content_of(
    room: &Room,
    session: &SessionRecord,
) -> Result<report::ReportContent> {
    let records = room.records()?;
    let patient = records.patient(session.patient).await?;
    let checks = records.checks(session.id).await?;
    let protocol = room.protocol(&session.protocol)?;
    let mains_hz = crate::policies::in_force(room).await.mains_hz;
    let of = store::rows::SessionId(session.id.0);
    let draft = records.store().draft(of).await?;
    let (room, session) = (room.clone(), session.clone());
    blocking("make the report", move || {
        let recording = open(&room, &session)?;
        let created_at = room.clock.utc();
        let mut content = crate::report_content::compose(crate::report_content::Parts {
            recording: &recording,
            analysis: analysis_of(&recording, mains_hz)?,
            session: &session,
            patient: &patient,
            checks: &checks,
            limits: protocol.impedance_limits(),
            title: &protocol.title,
            created_at,
        })?;
        if let Some(draft) = draft {
            content.impression = draft.impression;
            content.conclusion = draft.conclusion;
        }
        Ok(content)
    })
    .await
}

/// Exports a session's recording as the session itself asks.
pub(crate) async fn export_as_planned(
    room: &Room,
    session: &SessionRecord,
    key: &str,
) -> Result<MadeExport> {
    let request = ExportRequest {
        kind: session.export.unwrap_or(ExportKind::Continuous),
        folder: None,
        identified: false,
        subject: None,
        annotations_reviewed: false,
    };
    export(room, session, request, Some(key), |_, _| ()).await
}

/// Exports a session's recording.
pub(crate) async fn export(
    room: &Room,
    session: &SessionRecord,
    request: ExportRequest,
    key: Option<&str>,
    progress: impl Fn(u64, u64) + Send + 'static,
) -> Result<MadeExport> {
    if request.identified && !crate::policies::in_force(room).await.identified_export {
        return Err(Error::new(
            ErrorKind::Refused,
            "recordings may not be exported with the patient's identity here",
            "Export de-identified, or ask an administrator about the policy 'identified_export'.",
        ));
    }
    let id = key.map_or_else(Uuid::now_v7, |key| id_of(session.id.0, key));
    let patient = room.records()?.patient(session.patient).await?;
    let target = request
        .folder
        .clone()
        .unwrap_or_else(|| room.config.exports().join(session.recording.to_string()));
    let options = options_of(room, session, &patient, &request, key.is_some())?;
    let (keep, of, at) = (room.clone(), session.clone(), target.clone());
    let (made, relabelled) = blocking("export", move || {
        std::fs::create_dir_all(&at)
            .map_err(|error| Error::file("make the folder", &at, &error))?;
        let recording = open(&keep, &of)?;
        let relabelled = crate::relabel::relabels(&recording);
        let source = RecordingSource::new(&recording);
        let made = export_edf(&source, &at, &options, &mut |done| {
            progress(done.samples, done.total);
            std::ops::ControlFlow::Continue(())
        })
        .map_err(|error| export_error(&error))?;
        Ok((made, relabelled))
    })
    .await?;
    note_export(room, session, id, &request, &made).await?;
    Ok(MadeExport {
        folder: target,
        files: made
            .files
            .into_iter()
            .map(|f| (f.path, f.sha256, f.bytes))
            .collect(),
        warnings: warnings_of(
            made.warnings,
            made.dropped_annotations.len(),
            &made.omitted,
            &relabelled,
        ),
    })
}

fn warnings_of(
    mut all: Vec<String>,
    dropped: usize,
    omitted: &[export::Omitted],
    relabelled: &[crate::relabel::Relabel],
) -> Vec<String> {
    for relabel in relabelled {
        all.push(format!(
            "Channel {} turned out to be {} while it was recorded: the file has the label it began \
             with, and an annotation says from when the other one holds.",
            relabel.from, relabel.to
        ));
    }
    if dropped > 0 && !all.iter().any(|warning| warning.contains("annotation")) {
        all.push(format!(
            "{dropped} free-text annotation(s) were left out (not reviewed)."
        ));
    }
    for stream in omitted {
        all.push(format!(
            "Stream {} was left out: {}",
            stream.stream.0, stream.reason
        ));
    }
    all
}

async fn note_export(
    room: &Room,
    session: &SessionRecord,
    id: Uuid,
    request: &ExportRequest,
    made: &Export,
) -> Result<()> {
    let records = room.records()?;
    for (number, file) in made.files.iter().enumerate() {
        let document = NewDocument {
            id: id_of(id, &format!("file/{number}")),
            kind: DocumentKind::Export,
            format: format!("{:?}", file.kind).to_lowercase(),
            identified: request.identified,
            path: file.path.to_string_lossy().into_owned(),
            sha256: file.sha256.clone(),
        };
        records
            .add_document(session, document, room.by_user_id())
            .await?;
    }
    let payload = ExportCreated {
        export_id: id,
        recording_id: session.recording.0,
        format: match request.kind {
            ExportKind::Continuous => "edf+c".to_owned(),
            ExportKind::Discontinuous => "edf+d".to_owned(),
        },
        identified: request.identified,
        files: u32::try_from(made.files.len()).unwrap_or(u32::MAX),
        sha256: made.files.iter().map(|file| file.sha256.clone()).collect(),
        by_user_id: room.by_user_id(),
    };
    room.notary()?
        .say_once(session.id.0, &format!("export/{id}"), &payload)
        .await
}

fn options_of(
    room: &Room,
    session: &SessionRecord,
    patient: &PatientRecord,
    request: &ExportRequest,
    again: bool,
) -> Result<ExportOptions> {
    let short: String = session
        .recording
        .to_string()
        .chars()
        .filter(|c| *c != '-')
        .collect();
    let subject = match &request.subject {
        Some(subject) => subject.clone(),
        // The end of the id is random; its beginning is a time.
        None => format!("sub-{}", &short[short.len().saturating_sub(8)..]),
    };
    let base_name: String = if request.identified {
        format!("recording-{short}")
    } else {
        subject.clone()
    };
    let privacy = if request.identified {
        Privacy::Identified(identity_of(patient, session))
    } else {
        Privacy::Deidentified(Deidentification {
            subject_code: subject,
            date_shift_days: date_shift(room, patient)?,
            age_years: patient
                .identity
                .birth_date
                .and_then(|b| age(b.date(), session.started)),
            annotations_reviewed: request.annotations_reviewed,
        })
    };
    Ok(ExportOptions {
        privacy,
        continuity: match request.kind {
            ExportKind::Continuous => Continuity::FilePerRun,
            ExportKind::Discontinuous => Continuity::Discontinuous,
        },
        // The session's own export is made again after a crash; a person's is not overwritten.
        overwrite: again,
        software: SOFTWARE.to_owned(),
        ..ExportOptions::deidentified(&base_name, "X", 0)
    })
}

/// One number of days for all of a patient's exports, which only this station can compute.
fn date_shift(room: &Room, patient: &PatientRecord) -> Result<u32> {
    let key = room.evidence()?.key.document_key();
    let mut hash = Sha256::new();
    hash.update(b"neurascale date shift");
    hash.update(*key);
    hash.update(patient.id.0.as_bytes());
    let hash = hash.finalize();
    let number = u32::from_le_bytes([hash[0], hash[1], hash[2], hash[3]]);
    // One to ten years: enough to hide the day, little enough to keep the era.
    Ok(365 + number % 3_285)
}

fn age(born: time::Date, at: UtcNanos) -> Option<u32> {
    let today = crate::times::date_of(at);
    let years = today.year() - born.year();
    let birthday_to_come = (today.month() as u8, today.day()) < (born.month() as u8, born.day());
    u32::try_from(years - i32::from(birthday_to_come)).ok()
}

fn identity_of(patient: &PatientRecord, session: &SessionRecord) -> ExportIdentity {
    let identity = &patient.identity;
    ExportIdentity {
        patient_code: identity.hospital_number.clone(),
        sex: match identity.sex {
            clinic::Sex::Female => export::Sex::Female,
            clinic::Sex::Male => export::Sex::Male,
            clinic::Sex::Unknown => export::Sex::Unknown,
        },
        birthdate: identity.birth_date.map(|birth| export::CalendarDate {
            year: birth.date().year(),
            month: birth.date().month() as u8,
            day: birth.date().day(),
        }),
        name: [identity.family_name.as_str(), identity.given_name.as_str()]
            .join(" ")
            .trim()
            .to_owned(),
        administration_code: session.id.to_string(),
        technician: String::new(),
    }
}

fn export_error(error: &export::ExportError) -> Error {
    let text = crate::error::chain(error);
    match error {
        export::ExportError::DiskFull { .. } => Error::new(
            ErrorKind::DiskFull,
            text,
            "Free space in the target folder, or export elsewhere; nothing was left half-written.",
        ),
        export::ExportError::Exists { .. } => Error::new(
            ErrorKind::Conflict,
            text,
            "Choose another folder, or move those files away.",
        ),
        export::ExportError::Option { .. } => Error::new(ErrorKind::Invalid, text, ""),
        export::ExportError::Nothing { .. } => Error::new(ErrorKind::Refused, text, ""),
        _ => Error::new(ErrorKind::Internal, text, ""),
    }
}

/// Writes a document that a person asked for.
pub(crate) fn write_out(path: &Path, bytes: &[u8]) -> Result<()> {
    refuse_existing(path)?;
    seal::write_whole(path, bytes)
}

/// Nothing that is there is written over.
pub(crate) fn refuse_existing(path: &Path) -> Result<()> {
    if path.exists() {
        return Err(Error::new(
            ErrorKind::Conflict,
            format!("{} exists already", path.display()),
            "Choose another name, or remove it first.",
        ));
    }
    Ok(())
}

/// Times of a session as its report prints them.
pub(crate) fn printed(time: UtcNanos, zone: ZoneOffset) -> String {
    let text = crate::times::rfc3339(UtcNanos(time.0 - time.0.rem_euclid(1_000_000)), zone);
    text.replacen('T', " ", 1)
}

/// Limits with which a report grades impedances.
pub(crate) type Limits = ImpedanceLimits;
