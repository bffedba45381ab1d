//! The command line as people type it.

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use ui_types::{ConsentState, ExportFormat, Sex};

/// Records, checks, exports and reports EEG and other biosignals. Draws no diagnostic conclusion.
#[derive(Debug, Parser)]
#[command(name = "neurascale", version, propagate_version = true, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// Folder of the engine's data (recordings, store, keys).
    #[arg(long, global = true, env = "NEURASCALE_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Print results as JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Show no progress.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Do not start an engine when none runs.
    #[arg(long, global = true)]
    pub(crate) no_start: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done; 2 wrong arguments; 3 not found; 4 conflict; 5 refused; \
6 device; 7 store; 8 disk full; 9 evidence does not hold; 10 engine not reachable; 11 internal; \
12 the session failed.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Patients and their consent.
    #[command(subcommand)]
    Patient(PatientCommand),
    /// Recording sessions.
    #[command(subcommand)]
    Session(SessionCommand),
    /// Devices.
    #[command(subcommand)]
    Device(DeviceCommand),
    /// Recordings.
    #[command(subcommand)]
    Recording(RecordingCommand),
    /// Annotations of a recording, under way or ended.
    #[command(subcommand)]
    Annotation(AnnotationCommand),
    /// Export a recording, de-identified unless asked otherwise.
    Export(ExportArguments),
    /// Make a session's report, or write it out as PDF or HTML.
    Report(ReportArguments),
    /// The ledger of everything that was done.
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// System events.
    #[command(subcommand)]
    Events(EventsCommand),
    /// Workflow histories.
    #[command(subcommand)]
    Workflow(WorkflowCommand),
    /// Write a backup of the store while the engine runs.
    Backup {
        /// File to write; must not exist.
        file: PathBuf,
    },
    /// Put a backup in place of the store. The engine must not run.
    Restore {
        /// Backup to restore.
        file: PathBuf,
    },
    /// The engine process.
    #[command(subcommand)]
    Engine(EngineCommand),
    /// Look for what would get in the way of a session, and say what to do.
    Doctor,
    /// Gather what support needs to know: versions, findings, policies, the end of the log. Holds no
    /// identifiers; read it before you send it.
    SupportBundle {
        /// File to write, JSON; must not exist. Standard output when left out.
        file: Option<PathBuf>,
    },
    /// Print shell completions.
    Completions {
        /// Shell.
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum PatientCommand {
    /// Register a patient.
    Register {
        /// Family name.
        #[arg(long)]
        family_name: String,
        /// Given name.
        #[arg(long, default_value = "")]
        given_name: String,
        /// YYYY-MM-DD.
        #[arg(long, default_value = "")]
        birth_date: String,
        /// Sex.
        #[arg(long, value_enum, default_value = "unknown")]
        sex: SexArgument,
        /// The hospital's number.
        #[arg(long, default_value = "")]
        hospital_number: String,
        /// A training patient, to whom simulated and played-back data may attach.
        #[arg(long)]
        training: bool,
    },
    /// List patients.
    List {
        /// Part of a name or number.
        #[arg(default_value = "")]
        search: String,
    },
    /// Show a patient.
    Show {
        /// Patient's id.
        id: String,
    },
    /// Note a patient's consent.
    Consent {
        /// Patient's id.
        id: String,
        /// The answer.
        #[arg(value_enum)]
        state: ConsentArgument,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum SexArgument {
    Female,
    Male,
    Unknown,
}

impl From<SexArgument> for Sex {
    fn from(sex: SexArgument) -> Self {
        match sex {
            SexArgument::Female => Self::Female,
            SexArgument::Male => Self::Male,
            SexArgument::Unknown => Self::Unknown,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ConsentArgument {
    Granted,
    Refused,
    Withdrawn,
}

impl From<ConsentArgument> for ConsentState {
    fn from(state: ConsentArgument) -> Self {
        match state {
            ConsentArgument::Granted => Self::Granted,
            ConsentArgument::Refused => Self::Refused,
            ConsentArgument::Withdrawn => Self::Withdrawn,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct StartArguments {
    /// Patient's id.
    #[arg(long, conflicts_with = "training")]
    pub(crate) patient: Option<String>,
    /// For the standing training patient.
    #[arg(long)]
    pub(crate) training: bool,
    /// Record at once, checks left for later; without a patient under a temporary identity.
    #[arg(long)]
    pub(crate) now: bool,
    /// Device, as `device list` names it ('simulated:headset', 'playback:/path/file.edf').
    #[arg(long, default_value = "simulated:headset")]
    pub(crate) device: String,
    /// Driver's setting, as name=value; may be repeated.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    pub(crate) settings: Vec<(String, String)>,
    /// Protocol's id.
    #[arg(long, default_value = "routine-eeg")]
    pub(crate) protocol: String,
    /// How long to record: seconds, or with s, min or h ('60s', '20min'). The protocol's plan when
    /// absent; 'unlimited' records until it is stopped.
    #[arg(long, value_parser = duration)]
    pub(crate) duration: Option<DurationArgument>,
    /// Export when the report is done.
    #[arg(long, value_enum)]
    pub(crate) export: Option<FormatArgument>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SessionCommand {
    /// Run a whole session and wait for its report. Ctrl-C ends the recording; a second Ctrl-C
    /// leaves the rest to the engine.
    Run {
        #[command(flatten)]
        start: StartArguments,
        /// Write the report out as PDF when it is done.
        #[arg(long, value_name = "FILE")]
        pdf: Option<PathBuf>,
    },
    /// Start a session and return.
    Start {
        #[command(flatten)]
        start: StartArguments,
    },
    /// End a session's recording; analysis and report follow.
    Stop {
        /// Session's id.
        id: String,
    },
    /// Go on with an interrupted session.
    Resume {
        /// Session's id.
        id: String,
    },
    /// Give a session to another patient; the record is not touched.
    Reassign {
        /// Session's id.
        id: String,
        /// The right patient's id.
        #[arg(long)]
        patient: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Mark something in a running session.
    Annotate {
        /// Session's id.
        id: String,
        /// Description.
        text: String,
        /// Code from the protocol.
        #[arg(long)]
        code: Option<String>,
    },
    /// Measure the impedances of a running session; the interval is marked and not analysed.
    Impedance {
        /// Session's id.
        id: String,
    },
    /// Note that the patient is off the device ('--reason ct'), or back on it (without a reason).
    /// Alerts are muted meanwhile; the same recording goes on.
    Pause {
        /// Session's id.
        id: String,
        /// Why, as a short code.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Give a channel of a running session another label from now on.
    Relabel {
        /// Session's id.
        id: String,
        /// Label as it is.
        from: String,
        /// The right label.
        to: String,
    },
    /// End what acts on the patient (stimuli, test currents) at once, in every running session.
    EmergencyStop {
        /// Only in this session.
        id: Option<String>,
    },
    /// List sessions.
    List,
    /// Show a session.
    Show {
        /// Session's id.
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeviceCommand {
    /// List devices that are there now.
    List {
        /// Keep looking, and tell what comes and goes, until interrupted.
        #[arg(long)]
        watch: bool,
    },
    /// Open a device, describe it, and measure impedances where it can.
    Probe {
        /// Device's id.
        id: String,
        /// Driver's setting.
        #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
        settings: Vec<(String, String)>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum RecordingCommand {
    /// Show a recording.
    Show {
        /// Id of the recording or of its session.
        id: String,
    },
    /// Check every byte of a recording, and its segments against the ledger.
    Verify {
        /// Id of the recording or of its session.
        id: String,
    },
    /// Make a damaged recording usable; nothing is deleted.
    Repair {
        /// Id of the recording or of its session.
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AnnotationCommand {
    /// List those that stand.
    List {
        /// Id of the recording or of its session.
        id: String,
    },
    /// Add one.
    Add {
        /// Id of the recording or of its session.
        id: String,
        /// When, ns since 1970 UTC.
        #[arg(long, value_name = "NS", allow_negative_numbers = true)]
        onset_utc_ns: i64,
        #[command(flatten)]
        what: AnnotationArguments,
    },
    /// Put another in the place of one, which stays in the record. Without text and code: withdraw it.
    Supersede {
        /// Id of the recording or of its session.
        id: String,
        /// The one to supersede, as the list numbers it.
        annotation: u64,
        /// When, ns since 1970 UTC; as the old one when absent.
        #[arg(long, value_name = "NS", allow_negative_numbers = true)]
        onset_utc_ns: Option<i64>,
        #[command(flatten)]
        what: AnnotationArguments,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AnnotationArguments {
    /// Description.
    #[arg(long, default_value = "")]
    pub(crate) text: String,
    /// Code from the protocol.
    #[arg(long)]
    pub(crate) code: Option<String>,
    /// How long, s.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) duration_s: Option<f64>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum FormatArgument {
    /// EDF+C, one file per unbroken run (BDF+ where 16 bits are too few).
    Edf,
    /// One EDF+D file.
    EdfD,
}

impl From<FormatArgument> for ExportFormat {
    fn from(format: FormatArgument) -> Self {
        match format {
            FormatArgument::Edf => Self::Edf,
            FormatArgument::EdfD => Self::EdfDiscontinuous,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct ExportArguments {
    /// Id of the recording or of its session.
    pub(crate) id: String,
    /// Format.
    #[arg(long, value_enum, default_value = "edf")]
    pub(crate) format: FormatArgument,
    /// Folder to write to.
    #[arg(long, value_name = "DIR")]
    pub(crate) to: Option<PathBuf>,
    /// With the patient's identity; the ledger notes it.
    #[arg(long)]
    pub(crate) identified: bool,
    /// Subject code of a de-identified export.
    #[arg(long)]
    pub(crate) subject: Option<String>,
    /// Keep free-text annotations: someone has read them for identifiers.
    #[arg(long)]
    pub(crate) annotations_reviewed: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArguments {
    /// Session's id.
    pub(crate) id: String,
    /// Write the PDF here.
    #[arg(long, value_name = "FILE")]
    pub(crate) pdf: Option<PathBuf>,
    /// Write the HTML here.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LedgerCommand {
    /// Check the whole ledger; names the first bad entry.
    Verify,
    /// Show entries.
    Show {
        /// First sequence.
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// At most this many.
        #[arg(long, default_value_t = 100)]
        limit: u32,
        /// Only this kind.
        #[arg(long)]
        kind: Option<String>,
    },
    /// Write a proof that an entry is in the ledger, to be checked offline.
    Proof {
        /// Sequence.
        sequence: u64,
    },
    /// Check a proof of a station's or a gateway's ledger; needs neither.
    CheckProof {
        /// The proof's file, as `proof` or the gateway wrote it.
        file: PathBuf,
        /// The ledger's public key, as it was noted when it was known to be right.
        #[arg(long)]
        key: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum EventsCommand {
    /// Read events again.
    Replay {
        /// From this position.
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// Only this type.
        #[arg(long = "type")]
        event_type: Option<String>,
        /// Only this correlation.
        #[arg(long)]
        correlation: Option<String>,
        /// At most this many.
        #[arg(long, default_value_t = 1_000)]
        limit: u32,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum WorkflowCommand {
    /// Show a history.
    Show {
        /// Id of the workflow or its session.
        id: String,
    },
    /// Run the code against the history again and say whether they agree.
    Replay {
        /// Id of the workflow or its session.
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum EngineCommand {
    /// Start the engine if none runs.
    Start,
    /// Stop the engine cleanly.
    Stop {
        /// Even though a session runs; it goes on at the next start.
        #[arg(long)]
        force: bool,
    },
    /// Show how the engine is.
    Status,
    /// Show the recovery code of a station key that was just made: print it and lock it away. It
    /// is shown once.
    RecoveryCode,
}

/// Planned length as typed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum DurationArgument {
    Seconds(f64),
    Unlimited,
}

fn duration(text: &str) -> Result<DurationArgument, String> {
    if text == "unlimited" {
        return Ok(DurationArgument::Unlimited);
    }
    let digits = text
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim() {
        "" | "s" => 1.0,
        "min" | "m" => 60.0,
        "h" => 3_600.0,
        _ => return Err(format!("'{unit}' is no unit of time; use s, min or h")),
    };
    match number.trim().parse::<f64>() {
        Ok(value) if value.is_finite() && value > 0.0 => {
            Ok(DurationArgument::Seconds(value * factor))
        }
        _ => Err(format!(
            "'{text}' is no length of time; write 60s, 20min, 8h or unlimited"
        )),
    }
}

fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("'{text}' is not NAME=VALUE")),
    }
}

pub(crate) fn completions(shell: clap_complete::Shell) {
    clap_complete::generate(
        shell,
        &mut Arguments::command(),
        "neurascale",
        &mut std::io::stdout(),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn lengths_of_time() {
        assert_eq!(duration("60"), Ok(DurationArgument::Seconds(60.0)));
        assert_eq!(duration("1.5 min"), Ok(DurationArgument::Seconds(90.0)));
        assert_eq!(duration("8h"), Ok(DurationArgument::Seconds(28_800.0)));
        assert_eq!(duration("unlimited"), Ok(DurationArgument::Unlimited));
        for text in ["", "0", "-1s", "5 weeks", "nan"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
