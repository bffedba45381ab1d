//! Intervals, sizes and steps of the pages.

/// How often a running session is asked how it stands, ms: the second last stored moves once a second.
pub const SESSION_POLL_MS: u32 = 500;

/// How often a session is asked that is about to record, ms: its first trace is waited for.
pub const STARTING_POLL_MS: u32 = 100;

/// How often lists that others may change are read again, ms.
pub const LIST_POLL_MS: u32 = 5_000;

/// How often the clock, the remaining time and the words beside the canvas are renewed, ms.
pub const TICK_MS: u32 = 1_000;

/// How often the page says that it answers, ms; the shell reloads one that is silent.
pub const HEARTBEAT_MS: u32 = 1_000;

/// Rest after the last key before a search is sent, ms: below what a person feels as waiting.
pub const SEARCH_REST_MS: u32 = 200;

/// How long a notice stands that asks for nothing, ms.
pub const NOTICE_MS: u32 = 8_000;

/// Notices that stand at once; the oldest gives way.
pub const NOTICES: usize = 5;

/// How long the annotation just placed can be undone, ms.
pub const UNDO_MS: u32 = 20_000;

/// Ledger entries read at a time.
pub const LEDGER_PAGE: u32 = 100;

/// Longest name, number or note taken, characters.
pub const FIELD_CHARS: usize = 200;

/// Oldest patient taken for real, years.
pub const OLDEST_YEARS: i32 = 130;

/// Columns a feed or page is asked for at least and at most: below, nothing can be seen; above, no screen
/// shows it.
pub const COLUMNS: (u32, u32) = (64, 8_192);

/// Columns of the overview's envelope.
pub const OVERVIEW_COLUMNS: u32 = 600;

/// Greatest whole number that survives JavaScript (2^53 − 1): stands for 'the newest' where a sequence is
/// asked for from its end.
pub const NEWEST: u64 = (1 << 53) - 1;

/// Length of the measurement that the timing certificate states, s.
pub const TIMING_S: f64 = 60.0;

/// Length of the ruler held to the screen, mm: a bank card is 85.60 mm wide (ISO/IEC 7810, ID-1).
pub const CARD_MM: f64 = 85.6;

/// Least and greatest resolution taken for a screen, CSS pixels a millimetre: 48 to 480 dpi.
pub const PX_PER_MM: (f64, f64) = (1.9, 19.0);

/// Hours of disk below which the page warns, and below which it warns loudly.
pub const DISK_HOURS: (f64, f64) = (24.0, 2.0);

/// How far the second last stored may lie behind before it is shown as a warning, s.
pub const STORED_BEHIND_S: f64 = 3.0;

/// Part of a page that the next one repeats when paging: none, so that nothing is counted twice.
pub const PAGE_OVERLAP: f64 = 0.0;
