//! Patients, consent, roles, protocols, and the workflows of a clinical session.
//!
//! What a session *is* stands here: [`ClinicalSession`] and [`PatientOnboarding`] are plain code
//! against [`workflow::Context`]. What a session *does* stands behind [`SessionActivities`] and
//! [`OnboardingActivities`], which the composition root implements. Missing consent, impedance or
//! calibration is noted and worked round, never a reason not to record; only what would put a
//! wrong name on data is refused: computed data on a real patient.

mod activities;
pub mod limits;
mod onboarding;
mod patient;
mod protocol;
mod session;

pub use activities::{
    Analyse, Analysis, Collect, Collection, CollectionEnd, Conclude, Conclusion, EndCollection,
    ExportSession, Exported, Finish, MakeReport, NoteEmergency, Outcome, Preparation, Prepare,
    Report, SessionActivities, SessionRef, Validate, Validation, register_session,
};
pub use onboarding::{
    ConsentAnswered, Onboarding, OnboardingActivities, OnboardingOutcome, PatientOnboarding,
    RegisterOnboarded, RemindConsent, register_onboarding,
};
pub use patient::{
    BirthDate, ConsentState, Identity, IdentityError, PatientId, Role, SessionId, Sex,
};
pub use protocol::{Activation, AnnotationKey, Protocol, ProtocolError, Question};
pub use session::{
    ClinicalSession, ConsentWithdrawn, EmergencyStopped, PROGRESS_QUERY, SessionInput,
    SessionProgress, SessionResult, Step, StepProgress, StepState, StopCollection,
};
