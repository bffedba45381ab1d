//! What crosses the engine's socket: calls with their replies, progress, errors, and the bytes of
//! the display feed.
//!
//! Every call is a struct that implements [`Call`]; its name is the path it is posted to and its
//! reply is fixed by the type, so client and engine cannot disagree. A reply is a sequence of JSON
//! lines ([`Line`]): any number of progress lines, then one result or one error. These types are a
//! promise to every client: fields are added, never renamed; unknown fields are ignored.
//!
//! Nothing here touches files, clocks or sockets, so the crate also compiles to WebAssembly.

mod auth;
mod call;
mod device;
mod error;
mod evidence;
pub mod feed;
mod patient;
mod recording;
mod scope;
mod session;
mod settings;
mod system;
mod view;
mod worklist;

pub use auth::{
    AuthBreakGlass, AuthFirstAdministrator, AuthSignIn, AuthSignOut, AuthStatus, AuthStatusReply,
    Password, Role, SignedInReply, UserAdd, UserDisable, UserList, UserListReply, UserView,
};
pub use call::{Call, Line, PROTOCOL_VERSION, Progress};
pub use device::{
    ChannelView, DeviceList, DeviceListReply, DeviceProbe, DeviceProbeReply, DeviceView,
    ImpedanceView, StreamView,
};
pub use error::{ApiError, ErrorCode};
pub use evidence::{
    EventView, EventsReplay, EventsReplayReply, LedgerEntryView, LedgerProof, LedgerProofReply,
    LedgerShow, LedgerShowReply, LedgerVerify, LedgerVerifyReply, WorkflowEventView,
    WorkflowReplay, WorkflowReplayReply, WorkflowShow, WorkflowShowReply,
};
pub use patient::{
    ConsentState, PatientConsent, PatientEdit, PatientList, PatientListReply, PatientRegister,
    PatientRegisterReply, PatientShow, PatientView, Sex,
};
pub use recording::{
    AnnotationView, ExportCreate, ExportCreateReply, ExportFile, ExportFormat, GapView,
    RecordingRepair, RecordingRepairReply, RecordingShow, RecordingShowReply, RecordingStreamView,
    RecordingVerify, RecordingVerifyReply, ReportAmend, ReportCreate, ReportCreateReply,
    ReportDraft, ReportShow, ReportSign, ReportView, SignatureView,
};
pub use scope::{Measurement, ScopeEvent, ScopeMode, ScopeRow, ScopeSettings, ScopeState, Theme};
pub use session::{
    ActivationView, AlertView, AnnotationKeyView, ChannelQuality, EmergencyStop,
    EmergencyStopReply, PatientChoice, ProtocolList, ProtocolListReply, ProtocolView, QuestionView,
    SessionAnnotate, SessionAnnotateReply, SessionImpedance, SessionImpedanceReply, SessionList,
    SessionListReply, SessionPause, SessionReassign, SessionRelabel, SessionResume, SessionShow,
    SessionStart, SessionStartReply, SessionState, SessionStop, SessionView, StepState, StepView,
    StreamProgress,
};
pub use settings::{
    PolicyList, PolicyListReply, PolicySet, PolicyView, TimingCertify, TimingCertifyReply,
};
pub use system::{
    BackupCreate, BackupCreateReply, Doctor, DoctorReply, EngineStatus, EngineStatusReply,
    EngineStop, Finding, FindingLevel, Nothing, PolicyInForce, RecoveryCode, RecoveryCodeReply,
    SupportBundle, SupportBundleReply,
};
pub use view::{
    AS_RECORDED, AnnotationAdd, AnnotationMark, AnnotationReply, AnnotationSupersede, FeedRequest,
    FilterChoice, GapMark, MontageChoice, PageRequest, RowView, StreamRows, ViewChoices,
    ViewChoicesReply, ViewDescription, ViewSpec,
};
pub use worklist::{
    OrderAdd, OrderAddReply, OrderCancel, Worklist, WorklistReply, WorklistRow, WorklistState,
};
