//! Every limit and default of the build commands, with its unit and where it comes from.

use std::time::Duration;

/// A whole `cargo xtask test` from nothing on two cores; DESIGN.md section 14.
pub(crate) const TEST_BUDGET: Duration = Duration::from_secs(55 * 60);

/// One test binary. The longest in CI kills an engine fifty times (about 10 s each), with a margin of two.
pub(crate) const TEST_BINARY_TIMEOUT: Duration = Duration::from_secs(17 * 60);

/// One test binary in `soak`: a thousand kills and hours of reconnects fit in a night.
pub(crate) const SOAK_BINARY_TIMEOUT: Duration = Duration::from_secs(12 * 3600);

/// Wait for the rest of a test binary's output once it has ended. A program that it left behind may
/// hold the pipe open for ever.
pub(crate) const OUTPUT_GRACE: Duration = Duration::from_secs(5);

/// Target folders kept beside the one in use. One more than the current lets a person move between
/// two branches without a cold build; each may take several GB.
pub(crate) const OLD_TARGETS_KEPT: usize = 1;

/// Python environments kept beside the one in use; each takes some 700 MB.
pub(crate) const OLD_PYENVS_KEPT: usize = 0;

/// Length of the session that `run` records, in seconds: long enough for every step and for spectra
/// with a dozen epochs.
pub(crate) const RUN_SESSION_S: u32 = 60;

/// Time that `soak` gives each fuzz target, in seconds.
pub(crate) const FUZZ_TARGET_S: u32 = 600;

/// A test binary that takes longer is a candidate for the list of the slowest.
pub(crate) const SLOW: Duration = Duration::from_secs(5);

/// Rows of the slowest test binaries shown after a run.
pub(crate) const SLOWEST_SHOWN: usize = 5;

/// Wait for `rustup target add`: some 20 MB. Longer, and Debian's compiler builds the library sooner.
pub(crate) const RUSTUP_TARGET_TIMEOUT: Duration = Duration::from_secs(90);

/// Pause between looks whether it has ended.
pub(crate) const RUSTUP_POLL: Duration = Duration::from_millis(100);
