//! Limits of the window, with their units.

use std::time::Duration;

/// Messages of a feed that may be under way to the page; more wait in the feed's queue. At 30
/// messages a second half a second of traces.
pub(crate) const FEED_WINDOW: u64 = 16;

/// Messages behind which the page is asked whether it has come so far: each question is a script of its own.
pub(crate) const FEED_ASK_EVERY: u64 = 4;

/// Bytes of a piece in which a message of a feed goes to the page, as base64 in a text. Tauri hands texts of less
/// than 8,192 bytes over with their notice, and lets the page fetch what is longer: a round trip more, in which the
/// page may be painting (tauri 2, ipc/channel.rs, MAX_JSON_DIRECT_EXECUTE_THRESHOLD). Bytes it hands over as a list
/// of numbers, and of less than 1,024 only: three scripts to compile in place of one.
pub(crate) const FEED_PIECE: usize = 6_000;

/// Messages up to this length go in such pieces. 256 rows at 250 columns a second are 20 KB every 40 ms; above, the
/// page would spend more on reading pieces than on fetching the whole.
pub(crate) const FEED_IN_PIECES: usize = 24 << 10;

/// Messages that wait for a page that does not take them; then the oldest envelope is dropped and
/// counted. At 30 messages a second four seconds, and the description, gaps and marks among them.
pub(crate) const FEED_QUEUE_MESSAGES: usize = 128;

/// Bytes that wait for a page that does not take them. A history of 60 s for 64 rows at 2,000
/// columns is 1 MB; of 1,024 rows 16 MB.
pub(crate) const FEED_QUEUE_BYTES: usize = 32 << 20;

/// Feeds open at once: the session, a second montage beside it, and the two that replace them while
/// a montage is switched leave room.
pub(crate) const MAX_FEEDS: usize = 16;

/// Greatest page of a recording, bytes: 4,096 rows × 2,048 columns.
pub(crate) const MAX_PAGE_BYTES: usize = 4_096 * 2_048 * 8;

/// How long until a feed whose engine went away is asked for again.
pub(crate) const FEED_RETRY: Duration = Duration::from_millis(500);

/// Progress of a call reaches the page at most this often; findings always do.
pub(crate) const PROGRESS_INTERVAL: Duration = Duration::from_millis(50);

/// A page that has shown life and then shows none for so long is asked whether it is there.
pub(crate) const HEARTBEAT_LATE: Duration = Duration::from_secs(5);

/// How long the page may take to answer that question until it is reloaded.
pub(crate) const PING_TIMEOUT: Duration = Duration::from_secs(3);

/// A page that answers the question and yet shows no life of its own for so long is reloaded: its
/// program has stopped. Longer than a hidden window's timers are ever held back (1 min).
pub(crate) const HEARTBEAT_LOST: Duration = Duration::from_secs(120);

/// How often the page is looked at.
pub(crate) const WATCH_INTERVAL: Duration = Duration::from_millis(500);

/// Reloads in a row, without a minute of life between them, after which a native message says so
/// instead of trying for ever.
pub(crate) const MAX_RELOADS: u32 = 5;

/// Life that ends a row of reloads.
pub(crate) const RELOAD_FORGIVEN: Duration = Duration::from_secs(60);

/// How long the emergency stop waits for the engine until it says to pull the plug. The engine needs
/// 100 ms at most.
pub(crate) const EMERGENCY_STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// How long closing the window waits for the engine to say whether it records.
pub(crate) const QUIT_ASK_TIMEOUT: Duration = Duration::from_secs(2);

/// Who closes the window again so soon after the page was asked has not been asked by it.
pub(crate) const QUIT_IMPATIENT: Duration = Duration::from_secs(15);

/// A page that shows life after so long may be asked to ask; otherwise the native dialog asks.
pub(crate) const PAGE_ALIVE: Duration = Duration::from_secs(3);

/// CSS pixels in a millimetre where nothing is known of the screen: CSS's own 96 per inch.
pub(crate) const ASSUMED_PX_PER_MM: f64 = 96.0 / 25.4;

/// Pixels in a millimetre that a screen can have: a wall display of 25 dpi, a phone of 600 dpi.
pub(crate) const PX_PER_MM_RANGE: std::ops::RangeInclusive<f64> = 1.0..=24.0;

/// How far the proportions of a monitor's stated millimetres may be from those of its pixels. Some
/// state 160 × 90 mm whatever they are, which this does not find; the ruler in the settings does.
pub(crate) const ASPECT_TOLERANCE: f64 = 0.05;

/// Smallest width a monitor may state, mm; less is a projector's or a remote screen's filler.
pub(crate) const MIN_MONITOR_WIDTH_MM: i32 = 120;

/// Size of the window when nothing is remembered, CSS pixels.
pub(crate) const WINDOW_SIZE: (f64, f64) = (1_440.0, 900.0);

/// Smallest window in which every control of the session page has room, CSS pixels.
pub(crate) const WINDOW_MIN_SIZE: (f64, f64) = (1_024.0, 680.0);

/// Threads that talk to the engine.
pub(crate) const WORKER_THREADS: usize = 2;

/// How long a window that is asked to come forward may take to answer; a thread of its own does it.
#[cfg(target_os = "linux")]
pub(crate) const INSTANCE_ANSWER: Duration = Duration::from_millis(500);

/// How long a second start waits for a window that is ending; then it opens one all the same.
#[cfg(target_os = "linux")]
pub(crate) const INSTANCE_PATIENCE: Duration = Duration::from_secs(3);

/// Pause between looks whether it has ended.
#[cfg(target_os = "linux")]
pub(crate) const INSTANCE_POLL: Duration = Duration::from_millis(20);
