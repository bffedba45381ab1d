//! Limits and defaults of the clinic, each with its unit and source.

use std::time::Duration;

/// Greatest length of a name, characters. Longer than any in use; EDF+ and PDF shorten further.
pub const MAX_NAME_CHARS: usize = 200;

/// Greatest length of a hospital number, characters (HL7 v2 CX.1 allows 15, sites use more).
pub const MAX_NUMBER_CHARS: usize = 64;

/// How long validating may take; it reads the store only.
pub const VALIDATE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long opening the device, impedances and calibration may take together. One electrode takes
/// about 2 s on amplifiers that measure one after another; 64 of them and a calibration fit.
pub const PREPARE_TIMEOUT: Duration = Duration::from_secs(300);

/// A preparation that says nothing for this long is taken for dead.
pub const PREPARE_HEARTBEAT: Duration = Duration::from_secs(15);

/// Attempts at preparing the device before the session goes on without and says so.
pub const PREPARE_ATTEMPTS: u32 = 3;

/// A collection that says nothing for this long is taken for dead and taken up again.
pub const COLLECT_HEARTBEAT: Duration = Duration::from_secs(10);

/// What a planned collection may take beyond its plan before it counts as stuck: pauses and
/// reconnects are part of care.
pub const COLLECT_MARGIN: Duration = Duration::from_secs(24 * 3_600);

/// First wait before a collection is taken up again after a failure.
pub const COLLECT_RETRY: Duration = Duration::from_millis(200);

/// Longest wait between attempts at taking a collection up again.
pub const COLLECT_RETRY_MAX: Duration = Duration::from_secs(5);

/// How long the checks after a recording may take; nobody waits for them longer than before it.
pub const CONCLUDE_TIMEOUT: Duration = PREPARE_TIMEOUT;

/// How long analysis, report or export of one recording may take before it is tried again.
pub const DOCUMENT_TIMEOUT: Duration = Duration::from_secs(1_800);

/// Attempts at analysis, report and export; the recording is safe whatever comes of them.
pub const DOCUMENT_ATTEMPTS: u32 = 3;

/// How long a short note (end of a step, an emergency stop) may take.
pub const NOTE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long onboarding waits for an answer on consent before someone is reminded.
pub const CONSENT_REMINDER: Duration = Duration::from_secs(24 * 3_600);

/// How often it reminds before it ends with consent noted as missing.
pub const CONSENT_REMINDERS: u32 = 3;

/// Greatest size of a protocol file, bytes.
pub const MAX_PROTOCOL_BYTES: usize = 256 << 10;
