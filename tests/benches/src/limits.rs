//! How long and how much is measured. Bounds and aims stand with each figure.

use std::time::Duration;

/// Device time of the load run, s: long enough for forty syncs and a hundred scheduler ticks a second.
pub(crate) const LOAD_S: u32 = 20;

/// Channel counts tried at 2 kHz, largest first; the driver's contract ends at 4,096.
pub(crate) const CHANNEL_COUNTS: [usize; 4] = [4_096, 2_048, 1_024, 512];
/// Rate of those channels, Hz.
pub(crate) const CHANNEL_RATE_HZ: u32 = 2_000;
/// Device time of a trial, and of the run that counts, s.
pub(crate) const CHANNEL_TRIAL_S: u32 = 8;
/// See [`CHANNEL_TRIAL_S`].
pub(crate) const CHANNEL_RUN_S: u32 = 60;

/// Columns a second of the display: 1,900 pixels for a page of 10 s.
pub(crate) const COLUMNS_PER_S: u32 = 190;

/// Rows that are filtered and drawn at most: more would stand closer than 4 mm on a screen.
pub(crate) const PAGE_ROWS: usize = 64;

/// Passes of a computation; the best counts, for us and for the peers alike, so that other programs
/// on the machine weigh on none of them.
pub(crate) const PASSES: usize = 7;

/// Length and rate of the signal that filters work on; 40 ms are 40 samples.
pub(crate) const FILTER_S: usize = 60;
/// See [`FILTER_S`].
pub(crate) const FILTER_RATE_HZ: usize = 1_000;
/// Rate of the 60 s whose spectra are taken, Hz: two-second segments.
pub(crate) const WELCH_RATE_HZ: usize = 256;

/// Events published one after another beside a running recording, and the pause between them.
pub(crate) const PUBLISHED: u32 = 2_500;
/// See [`PUBLISHED`].
pub(crate) const PUBLISH_PAUSE: Duration = Duration::from_millis(2);
/// Channels × Hz of that recording.
pub(crate) const BESIDE: (usize, u32) = (64, 1_000);

/// Publishers of the throughput figure, and how many events each has under way.
pub(crate) const PUBLISHERS: usize = 64;
/// See [`PUBLISHERS`].
pub(crate) const UNDER_WAY: [usize; 6] = [1, 2, 4, 6, 8, 12];
/// Length of each such trial, and how long it runs before it counts.
pub(crate) const THROUGHPUT: Duration = Duration::from_secs(3);
/// See [`THROUGHPUT`].
pub(crate) const THROUGHPUT_WARM_UP: Duration = Duration::from_millis(500);
/// Longest p99 of an acknowledgement at which a rate counts, s.
pub(crate) const ACK_P99_S: f64 = 0.010;

/// Activities of the workflow whose steps are timed.
pub(crate) const STEPS: usize = 1_000;
/// Collection of the measured session, s, and of the session that the overhead is stated for.
pub(crate) const COLLECT_S: f64 = 10.0;
/// See [`COLLECT_S`].
pub(crate) const SESSION_S: f64 = 60.0;

/// The long recording: hours, channels, Hz.
pub(crate) const LONG: (u64, usize, u32) = (24, 32, 256);
/// Times it is opened, and pages drawn from it.
pub(crate) const OPENS: usize = 10;
/// See [`OPENS`].
pub(crate) const PAGES: usize = 400;
/// Pixels across a page.
pub(crate) const PAGE_COLUMNS: usize = 1_900;

/// The session whose feed is measured over the socket: seconds (it is stopped before), channels, Hz.
pub(crate) const FEED_OF: (u64, usize, u32) = (120, 64, 1_000);
/// How long its feed is read, and how often the montage is switched.
pub(crate) const FEED_S: Duration = Duration::from_secs(22);
/// See [`FEED_S`].
pub(crate) const SWITCHES: usize = 12;
/// The recording whose pages are read over the socket: seconds, channels, Hz.
pub(crate) const PAGED: (u64, usize, u32) = (86_400, 32, 256);
/// Pages read.
pub(crate) const SOCKET_PAGES: usize = 160;

/// Starts of the window on a station that is set up, and recordings begun in it.
pub(crate) const WINDOW_STARTS: usize = 5;
/// See [`WINDOW_STARTS`].
pub(crate) const FIRST_TRACES: usize = 3;
/// Channels on the window's screen, their rate in Hz, and how long each number of them is watched: below
/// the 30 s that a script may take in the page.
pub(crate) const WINDOW_CHANNELS: [usize; 3] = [16, 64, 256];
/// See [`WINDOW_CHANNELS`].
pub(crate) const WINDOW_RATE_HZ: u32 = 1_000;
/// See [`WINDOW_CHANNELS`].
pub(crate) const WINDOW_LOOK: Duration = Duration::from_secs(20);
/// How long the window's memory is watched, and with `--quick`. An hour is watched in `soak`.
pub(crate) const WINDOW_FOR: Duration = Duration::from_secs(600);
/// See [`WINDOW_FOR`].
pub(crate) const WINDOW_QUICK: Duration = Duration::from_secs(120);

/// The exported recording: seconds, channels, Hz (29 million samples).
pub(crate) const EXPORTED: (usize, usize, usize) = (3_600, 32, 256);
/// Exports timed; the best counts.
pub(crate) const EXPORT_PASSES: usize = 3;

/// The session whose engine's memory is watched: seconds, channels, Hz.
pub(crate) const WATCHED: (u64, usize, u32) = (7_200, 64, 1_000);
/// The engine's memory is read this often.
pub(crate) const WATCH_EVERY: Duration = Duration::from_millis(100);
/// After so long the watched session is given up.
pub(crate) const WATCH_FOR: Duration = Duration::from_secs(150);

/// How long an emulated Cyton is read by each driver.
pub(crate) const CYTON_FOR: Duration = Duration::from_secs(5);

/// Requests a second to the gateway, open loop, and for how many seconds.
pub(crate) const GATEWAY_RATE: u32 = 2_000;
/// See [`GATEWAY_RATE`].
pub(crate) const GATEWAY_API_S: u32 = 10;
/// Requests through the gateway and past it.
pub(crate) const GATEWAY_ROUTED: u32 = 2_000;
/// Services that are registered, and lookups among them.
pub(crate) const GATEWAY_SERVICES: u32 = 1_000;
/// See [`GATEWAY_SERVICES`].
pub(crate) const GATEWAY_LOOKUPS: u32 = 2_000;
/// Events that are published one after another.
pub(crate) const GATEWAY_PUBLISHED: u32 = 1_000;
/// Publishers at a time, and for how many seconds.
pub(crate) const GATEWAY_PUBLISHERS: u32 = 64;
/// See [`GATEWAY_PUBLISHERS`].
pub(crate) const GATEWAY_PUBLISH_S: u64 = 10;
/// Changes of a value that somebody waits for.
pub(crate) const GATEWAY_CHANGES: u32 = 500;
/// Services that a client keeps fresh while it looks them up (its limit is 256) …
pub(crate) const GATEWAY_CACHED: u32 = 200;
/// … so often.
pub(crate) const GATEWAY_CACHE_LOOKUPS: usize = 100_000;
/// Subscribers that hear nothing.
pub(crate) const GATEWAY_SUBSCRIBERS: u32 = 1_000;
/// Connections that a proxy is asked over; how often by turns, and for how many seconds each.
pub(crate) const PROXY_CONNECTIONS: u32 = 32;
/// See [`PROXY_CONNECTIONS`].
pub(crate) const PROXY_TURNS: u32 = 3;
/// See [`PROXY_CONNECTIONS`].
pub(crate) const PROXY_TURN_S: u32 = 4;
