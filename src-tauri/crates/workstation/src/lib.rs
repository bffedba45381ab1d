//! The composition root: the only place that wires rooms, and the façade over all of them.
//!
//! [`Workstation`] is everything a window, a command line or a service can ask for. It knows none
//! of them: the engine process puts it behind a socket. Data flow as in the README: the device's
//! thread forks each block to the recorder's queue before anything else sees it; the journal's
//! closed segments and every step become events, and events become ledger entries, in one
//! transaction; the workflow engine keeps its history in the same store.

mod activities;
mod alerts;
mod awake;
mod bedside;
mod collect;
mod config;
mod desk;
mod devices;
mod disk;
mod doctor;
mod documents;
mod emergency;
mod engine_room;
mod error;
mod evidence;
mod facade;
pub mod limits;
mod live;
mod notary;
mod outlet;
mod patients;
mod people;
mod policies;
mod prepare;
mod quality;
mod recorder;
mod records;
mod relabel;
mod report_content;
mod seal;
mod sessions;
mod signing;
mod times;
mod timing;
mod view;
mod watching;
mod without_store;
mod worklist;

pub use alerts::Alert;
pub use config::Config;
pub use desk::{Person, PersonRole};
pub use devices::{Discovery, Probe};
pub use doctor::{Finding, Level};
pub use documents::{ExportRequest, MadeExport, MadeReport};
pub use emergency::EmergencyReport;
pub use error::{Error, ErrorKind, Result};
pub use evidence::{LedgerCheck, RecordingCheck, WorkflowHistory};
pub use facade::Workstation;
pub use logstore::EntryQuery;
pub use people::{SignInState, SignedIn, UserRecord};
pub use policies::{PolicyRecord, PolicySource};
pub use quality::{ChannelQuality, Grade};
pub use records::{CalibratedChannel, CheckWhen, Checks, LaterCheck, PatientRecord, SessionRecord};
pub use relabel::{RELABEL_CODE, Relabel, apply as apply_relabels, relabels};
pub use sessions::{
    ExportKind, NewSession, PatientChoice, SessionState, SessionStatus, StreamStatus,
};
pub use signing::{ReportState, SignatureRecord};
pub use times::{parse_date, parse_time, rfc3339, rfc3339_here};
pub use timing::{TimingCertificate, TimingFigures};
pub use view::{
    AS_RECORDED, Envelope, FeedRequest, FiltersByKind, MarkView, MontageOffer, NewAnnotation,
    OpenGap, PageRequest, RowPlan, StreamRows, ViewChoices, ViewDescription, ViewMessage,
    ViewMessages, ViewSpec,
};
pub use worklist::{NewOrder, Note, WorklistItem, WorklistState};

/// The rooms whose types this façade speaks in.
pub mod rooms {
    pub use acquisition;
    pub use clinic;
    pub use contract;
    pub use dsp;
    pub use events;
    pub use ledger;
    pub use recording;
    pub use signal;
    pub use workflow;
}
