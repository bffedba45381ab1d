//! The data of the known types of event. Ids are opaque; times and lengths say their unit last.
//! What names a person, or free text that could, has no place here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{EventType, Payload};

/// Declares payload structs with their event types, and the list of all of them.
macro_rules! payloads {
    ($( $(#[$doc:meta])* $event_type:literal $(v $version:literal)? => $name:ident { $( $(#[$field_doc:meta])* $field:ident: $kind:ty, )* } )*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
            pub struct $name { $( $(#[$field_doc])* pub $field: $kind, )* }

            impl Payload for $name {
                const EVENT_TYPE: EventType = EventType::new($event_type);
                $(const SCHEMA_VERSION: u32 = $version;)?
            }
        )*

        /// Every known type of event with its schema version and the JSON Schema of its data.
        pub fn schemas() -> Vec<(EventType, u32, schemars::Schema)> {
            vec![ $( (<$name as Payload>::EVENT_TYPE, <$name as Payload>::SCHEMA_VERSION, schemars::schema_for!($name)), )* ]
        }
    };
}

/// Declares an enumeration that is spelled in snake case.
macro_rules! words {
    ($( $(#[$doc:meta])* $name:ident { $( $(#[$word_doc:meta])* $word:ident, )* } )*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
            #[serde(rename_all = "snake_case")]
            pub enum $name { $( $(#[$word_doc])* $word, )* }
        )*
    };
}

words! {
    /// How a session ended.
    SessionOutcome {
        /// All steps done.
        Completed,
        /// Ended early by a person.
        Stopped,
        /// Ended after the emergency stop.
        EmergencyStopped,
        /// Ended by a failure.
        Failed,
    }

    /// What became of a step of a session.
    StepState {
        /// It has begun.
        Started,
        /// It was done.
        Completed,
        /// It was left out, with a reason.
        Skipped,
        /// It failed.
        Failed,
    }

    /// Why a device is gone.
    DisconnectReason {
        /// Asked for.
        Requested,
        /// The cable or radio link is gone.
        Unplugged,
        /// It sends nothing any more.
        Silent,
        /// It or its driver failed.
        Failed,
        /// Its battery is empty.
        BatteryEmpty,
    }

    /// What is wrong with a signal.
    QualityIssue {
        /// No change at all.
        Flat,
        /// At the end of the input range.
        Railed,
        /// Mains hum.
        Mains,
        /// Muscle activity.
        Muscle,
        /// A sudden step of an electrode.
        ElectrodePop,
        /// Impedance above its limit.
        Impedance,
        /// Impedance so low that a gel bridge is likely.
        GelBridge,
        /// Samples are missing.
        Gap,
        /// Nothing arrives.
        NoData,
        /// Larger than any signal of its kind.
        Excessive,
    }

    /// How much something matters.
    Severity {
        /// Good to know.
        Info,
        /// Somebody should look.
        Warning,
        /// Somebody must act.
        Critical,
    }

    /// Where the emergency stop was given.
    StopSource {
        /// In the window.
        Window,
        /// By the native accelerator key.
        Accelerator,
        /// At a terminal.
        CommandLine,
        /// By a device's own button.
        Device,
        /// By the safety monitor.
        Monitor,
    }

    /// How something that was tried ended.
    Outcome {
        /// Well.
        Succeeded,
        /// Not well.
        Failed,
    }

    /// How somebody or something proves who it is.
    AuthenticationMethod {
        /// A password.
        Password,
        /// A certificate.
        Certificate,
        /// A token.
        Token,
        /// The operating system's word for a local peer.
        LocalPeer,
        /// The store's key.
        StoreKey,
    }

    /// Why an authentication failed.
    AuthenticationFailure {
        /// Nobody is known under that name.
        UnknownUser,
        /// The secret is wrong.
        WrongSecret,
        /// The account is disabled.
        Disabled,
        /// Known, but not allowed to do that.
        NotPermitted,
    }

    /// What a user may do.
    UserRole {
        /// Records, reads, signs.
        Clinician,
        /// Records and marks.
        Technician,
        /// Finds and exports de-identified recordings.
        Researcher,
        /// Manages users and policies.
        Administrator,
    }

    /// A patient's word on being recorded.
    ConsentWord {
        /// Nobody has asked.
        Missing,
        /// Given.
        Granted,
        /// Refused.
        Refused,
        /// Taken back.
        Withdrawn,
    }

    /// State of a part of the system.
    HealthState {
        /// As it should be.
        Healthy,
        /// Working, with a warning.
        Degraded,
        /// Not working.
        Failed,
    }

    /// Why samples were not recorded.
    GapCause {
        /// The device's counter jumped.
        DeviceLoss,
        /// The device was gone.
        Disconnected,
        /// The recorder's queue was full.
        RecorderOverrun,
        /// The machine slept.
        Suspended,
        /// The disk took no more.
        DiskFull,
        /// The engine was not running.
        EngineDown,
        /// Not known, or not certain.
        Ambiguous,
    }

    /// What is missing or not as it should be, and is worked round because care is not blocked.
    WaivedRequirement {
        /// No consent on file.
        Consent,
        /// Impedances not checked or above their limit.
        Impedance,
        /// Not calibrated.
        Calibration,
        /// The patient's identity is temporary.
        Identity,
        /// No connection.
        Network,
        /// No patient directory.
        Directory,
        /// An update is due.
        Update,
    }
}

/// One check of a health report.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct HealthItem {
    /// What was checked.
    pub name: String,
    /// What came of it.
    pub state: HealthState,
    /// The figure behind it, where there is one.
    pub value: Option<f64>,
}

payloads! {
    /// A patient is known to the station.
    "patient.registered" => PatientRegistered {
        /// Opaque id.
        patient_id: Uuid,
        /// Identity to be corrected later ('start now').
        temporary: bool,
        /// A training patient: the only kind that simulated and played-back data attach to.
        training: bool,
    }

    /// A patient's identity was corrected.
    "patient.edited" => PatientEdited {
        /// Opaque id.
        patient_id: Uuid,
        /// Who did it.
        by_user_id: Option<Uuid>,
    }

    /// A patient's consent was noted.
    "patient.consent_noted" => ConsentNoted {
        /// Opaque id.
        patient_id: Uuid,
        /// What was said.
        state: ConsentWord,
        /// Who noted it.
        by_user_id: Option<Uuid>,
    }

    /// A patient's identity was shown to somebody. Looking again soon after is not told again.
    "patient.viewed" => PatientViewed {
        /// Opaque id.
        patient_id: Uuid,
        /// To whom.
        by_user_id: Option<Uuid>,
    }

    /// Patients were searched for or listed. What was searched for is not told.
    "patient.searched" => PatientsSearched {
        /// How many were shown.
        shown: u32,
        /// By whom.
        by_user_id: Option<Uuid>,
    }

    /// A session was ordered.
    "order.added" => OrderAdded {
        /// Opaque id.
        order_id: Uuid,
        /// Whom for.
        patient_id: Uuid,
        /// Name of the protocol.
        protocol: String,
        /// Who ordered it.
        by_user_id: Option<Uuid>,
    }

    /// An order was taken back.
    "order.cancelled" => OrderCancelled {
        /// Opaque id.
        order_id: Uuid,
        /// Who did it.
        by_user_id: Option<Uuid>,
    }

    /// Nobody has answered on a patient's consent yet.
    "patient.consent_open" => ConsentOpen {
        /// Opaque id.
        patient_id: Uuid,
    }

    /// A session has begun.
    "session.started" => SessionStarted {
        /// Opaque id.
        session_id: Uuid,
        /// Opaque id.
        patient_id: Uuid,
        /// Name of the protocol.
        protocol: String,
        /// Simulated or played-back data.
        training: bool,
        /// Begun by 'start now', with checks left for later.
        start_now: bool,
        /// Who began it.
        by_user_id: Option<Uuid>,
    }

    /// A step of a session has begun or ended.
    "session.step" => SessionStep {
        /// Opaque id.
        session_id: Uuid,
        /// Name of the step (`validate`, `setup`, `calibrate`, `collect`, `analyse`, `report`).
        step: String,
        /// What became of it.
        state: StepState,
        /// Attempt, from 1.
        attempt: u32,
        /// A code that says why, where it was skipped or failed.
        reason_code: Option<String>,
    }

    /// A requirement was not met, and the session went on.
    "session.requirement_waived" => SessionRequirementWaived {
        /// Opaque id.
        session_id: Uuid,
        /// What was missing.
        requirement: WaivedRequirement,
        /// A code that says why.
        reason_code: String,
        /// Who decided.
        by_user_id: Option<Uuid>,
    }

    /// A session has ended.
    "session.completed" => SessionCompleted {
        /// Opaque id.
        session_id: Uuid,
        /// How.
        outcome: SessionOutcome,
        /// Its recording.
        recording_id: Option<Uuid>,
        /// From begin to end.
        duration_ms: u64,
    }

    /// A session now belongs to another patient; the record itself is untouched.
    "session.reassigned" => SessionReassigned {
        /// Opaque id.
        session_id: Uuid,
        /// Whom it belonged to.
        from_patient_id: Uuid,
        /// Whom it belongs to.
        to_patient_id: Uuid,
        /// A code that says why.
        reason_code: String,
        /// Who decided.
        by_user_id: Option<Uuid>,
    }

    /// The patient was taken off the device, or is back; the same recording goes on.
    "session.paused" => SessionPaused {
        /// Opaque id.
        session_id: Uuid,
        /// The recording.
        recording_id: Uuid,
        /// False when the patient is back.
        paused: bool,
        /// A code that says why (`ct`).
        reason_code: Option<String>,
        /// Who did it.
        by_user_id: Option<Uuid>,
    }

    /// A channel has another label from now on; the record itself is untouched.
    "session.relabelled" => SessionRelabelled {
        /// Opaque id.
        session_id: Uuid,
        /// The recording.
        recording_id: Uuid,
        /// Label as it was.
        from: String,
        /// Label from now on.
        to: String,
        /// Who did it.
        by_user_id: Option<Uuid>,
    }

    /// Consent was withdrawn while the patient was recorded; a person decides what becomes of it.
    "session.consent_withdrawn" => SessionConsentWithdrawn {
        /// Opaque id.
        session_id: Uuid,
        /// The recording.
        recording_id: Uuid,
        /// Who noted it.
        by_user_id: Option<Uuid>,
    }

    /// A device delivers.
    "device.connected" => DeviceConnected {
        /// Opaque id of the device.
        device_id: String,
        /// Its driver.
        driver: String,
        /// A medical device, not a research one.
        medical: bool,
        /// It simulates or plays back.
        simulated: bool,
        /// The session it serves.
        session_id: Option<Uuid>,
    }

    /// A device is gone.
    "device.disconnected" => DeviceDisconnected {
        /// Opaque id of the device.
        device_id: String,
        /// Why.
        reason: DisconnectReason,
        /// The session it served.
        session_id: Option<Uuid>,
    }

    /// A device is gone and is being tried again.
    "device.retrying" => DeviceRetrying {
        /// Opaque id of the device.
        device_id: String,
        /// Attempt, from 1.
        attempt: u32,
        /// Wait before the next one.
        next_attempt_ms: u64,
        /// The session it serves.
        session_id: Option<Uuid>,
    }

    /// A signal became unfit, or fit again.
    "signal.quality_alert" v 2 => SignalQualityAlert {
        /// The session, if there is one.
        session_id: Option<Uuid>,
        /// The recording, if there is one.
        recording_id: Option<Uuid>,
        /// Name of the stream.
        stream: String,
        /// Name of the channel; none for the whole stream.
        channel: Option<String>,
        /// What is wrong.
        issue: QualityIssue,
        /// How much it matters.
        severity: Severity,
        /// False when it is over.
        active: bool,
        /// The figure behind it, in the unit of its kind (µV, kΩ or a ratio).
        value: Option<f64>,
    }

    /// The emergency stop was given. It has acted before this was written.
    "safety.emergency_stop" => EmergencyStop {
        /// The session, if there is one.
        session_id: Option<Uuid>,
        /// The recording, which goes on until its end is confirmed.
        recording_id: Option<Uuid>,
        /// Where it was given.
        source: StopSource,
        /// What it ended (`stimulus`, `test_current`).
        stopped: Vec<String>,
        /// From the command to the end of what acts on the patient.
        latency_us: u64,
        /// Who gave it.
        by_user_id: Option<Uuid>,
    }

    /// A trained model has given its result.
    "model.inference_completed" => ModelInferenceCompleted {
        /// Name of the model.
        model: String,
        /// Its version.
        model_version: String,
        /// SHA-256 of its weights.
        model_sha256: Option<String>,
        /// What it ran on.
        recording_id: Option<Uuid>,
        /// How it ended.
        outcome: Outcome,
        /// How long it took.
        duration_ms: u64,
    }

    /// Entries were added to the ledger, in one transaction. Never itself entered.
    "ledger.event_recorded" => LedgerEventRecorded {
        /// Sequence of the first of them.
        first_sequence: u64,
        /// How many.
        entries: u64,
        /// Entries in the ledger now.
        tree_size: u64,
        /// Merkle root over all of them, hexadecimal.
        root_hash: String,
    }

    /// Somebody or something could not prove who it is.
    "security.authentication_failed" => AuthenticationFailed {
        /// Whom it claims to be, where that is a known user.
        user_id: Option<Uuid>,
        /// How it tried.
        method: AuthenticationMethod,
        /// Why it failed.
        reason: AuthenticationFailure,
    }

    /// Somebody has signed in.
    "security.signed_in" => SignedIn {
        /// Who.
        user_id: Uuid,
        /// How.
        method: AuthenticationMethod,
    }

    /// Somebody has signed out, or an administrator has ended it.
    "security.signed_out" => SignedOut {
        /// Who.
        user_id: Uuid,
    }

    /// Somebody who cannot sign in was let in, so that care is not blocked. Who and why stand
    /// encrypted in the store under this id.
    "security.break_glass" => BreakGlass {
        /// Stands for the person in what follows.
        user_id: Uuid,
        /// When it ends by itself.
        lasts_s: u64,
    }

    /// A user of the program was entered.
    "user.added" => UserAdded {
        /// Opaque id.
        user_id: Uuid,
        /// What the user may do.
        role: UserRole,
        /// Who did it; nobody for the first administrator.
        by_user_id: Option<Uuid>,
    }

    /// A user may no longer sign in, or may again.
    "user.disabled" => UserDisabled {
        /// Opaque id.
        user_id: Uuid,
        /// May not.
        disabled: bool,
        /// Who did it.
        by_user_id: Option<Uuid>,
    }

    /// A policy was set, or its default put back.
    "policy.changed" => PolicyChanged {
        /// Name.
        name: String,
        /// The new value as JSON; none for the default.
        value: Option<String>,
        /// Who did it.
        by_user_id: Option<Uuid>,
    }

    /// The system has looked at itself.
    "system.health_check" => HealthCheck {
        /// The worst of its parts.
        state: HealthState,
        /// Its parts.
        items: Vec<HealthItem>,
    }

    /// A segment of a recording is closed and will not change any more.
    "recording.segment_closed" => RecordingSegmentClosed {
        /// Opaque id.
        recording_id: Uuid,
        /// Name of the stream.
        stream: String,
        /// Its number within the stream, from 0.
        segment: u64,
        /// SHA-256 of its bytes, hexadecimal.
        sha256: String,
        /// Its size.
        size_bytes: u64,
        /// Device counter of its first sample, where it has any.
        first_counter: Option<u64>,
        /// Samples per channel in it.
        samples: u64,
    }

    /// Something was marked in a recording, or a mark superseded.
    "recording.annotated" => RecordingAnnotated {
        /// Opaque id.
        recording_id: Uuid,
        /// Number of the annotation within the recording.
        annotation: u64,
        /// Its code, where it has one; its text stays in the record.
        code: Option<String>,
        /// The annotation whose place it takes; that one stays in the record.
        supersedes: Option<u64>,
        /// It takes that one's place with nothing.
        withdrawn: bool,
        /// Who made it, where that is known.
        by_user_id: Option<Uuid>,
    }

    /// A recording has ended.
    "recording.finished" => RecordingFinished {
        /// Opaque id.
        recording_id: Uuid,
        /// Closed segments over all streams.
        segments: u64,
        /// Gaps over all streams.
        gaps: u64,
        /// From first to last sample.
        duration_ms: u64,
        /// Size on disk.
        size_bytes: u64,
    }

    /// Samples are missing from a recording.
    "recorder.gap" => RecorderGap {
        /// Opaque id.
        recording_id: Uuid,
        /// Name of the stream.
        stream: String,
        /// Why.
        cause: GapCause,
        /// Device counter of the first missing sample, where it is known.
        first_counter: Option<u64>,
        /// Missing samples per channel, where they are known.
        missing_samples: Option<u64>,
    }

    /// A recording was exported.
    "export.created" => ExportCreated {
        /// Opaque id.
        export_id: Uuid,
        /// What was exported.
        recording_id: Uuid,
        /// File format (`edf+c`, `bdf+c`).
        format: String,
        /// It names the patient.
        identified: bool,
        /// Files written.
        files: u32,
        /// SHA-256 of each file in order, hexadecimal.
        sha256: Vec<String>,
        /// Who asked for it.
        by_user_id: Option<Uuid>,
    }

    /// A report was made.
    "report.created" => ReportCreated {
        /// Opaque id.
        report_id: Uuid,
        /// The session it reports on.
        session_id: Uuid,
        /// File format (`pdf`, `html`).
        format: String,
        /// SHA-256 of the document, hexadecimal.
        sha256: String,
        /// Who asked for it.
        by_user_id: Option<Uuid>,
    }

    /// A report, or what was added to it, was signed. It will not change any more.
    "report.signed" => ReportSigned {
        /// What was signed.
        document_id: Uuid,
        /// The session it reports on.
        session_id: Uuid,
        /// 0 for the report, then one for each addendum.
        number: u32,
        /// SHA-256 of the document, hexadecimal.
        sha256: String,
        /// SHA-256 over the recording's segment hashes, hexadecimal.
        recording_sha256: String,
        /// Who signed.
        by_user_id: Uuid,
    }

    /// This machine's timing was measured and certified.
    "timing.certified" => TimingCertified {
        /// The certificate.
        document_id: Uuid,
        /// SHA-256 of it, hexadecimal.
        sha256: String,
        /// Measured for.
        duration_ms: u64,
        /// From a block's end to the display feed, 99th percentile.
        latency_p99_us: u64,
        /// Samples due.
        samples_due: u64,
        /// Samples lost.
        samples_lost: u64,
        /// Who asked for it.
        by_user_id: Option<Uuid>,
    }

    /// Little room is left for recordings.
    "disk.space_low" => DiskSpaceLow {
        /// How much it matters.
        severity: Severity,
        /// Room left.
        free_bytes: u64,
        /// How long the running recordings can go on, where any runs.
        hours_left: Option<f64>,
    }

    /// The machine's clock was set.
    "clock.stepped" => ClockStepped {
        /// By how much, forward positive.
        step_ms: i64,
    }
}
