//! Limits and defaults of acquisition. Each has its unit and its source.

use std::time::Duration;

/// Longest wait in one read of a device: bounds how late stop, pause and silence are noticed.
/// A quarter of the 200 ms that people take as immediate.
pub const READ_TIMEOUT: Duration = Duration::from_millis(50);

/// Messages in the recorder's queue. At 50 blocks a second and stream it bridges a disk that
/// stalls for more than 10 s, the longest write-back pause seen on consumer SSDs, for two streams.
pub const RECORDER_QUEUE: usize = 1_024;

/// Blocks in a display or analysis queue: about 1 s at 50 blocks a second for several streams.
/// Older ones are of no use on a live page.
pub const FEED_QUEUE: usize = 256;

/// Events that wait for a reader.
pub const EVENT_QUEUE: usize = 1_024;

/// Requests that wait for the device thread (new feeds).
pub const CONTROL_QUEUE: usize = 64;

/// Gaps, annotations and anchors kept while the recorder's queue is full. Ten a second for more
/// than a minute.
pub const RECORDER_BACKLOG: usize = 1_024;

/// Blocks that each stream's pool holds before the first is read; more are made when a slow
/// consumer needs them, up to what all queues can hold.
pub const POOL_START: usize = 8;

/// Samples per channel for which a new pooled block has room; it grows once if a device sends
/// longer blocks. 40 ms at 1 kHz.
pub const POOL_BLOCK_SAMPLES: usize = 40;

/// A recorder is told the time at least this often; half of the journal's 250 ms frame.
pub const RECORDER_TICK: Duration = Duration::from_millis(100);

/// A recorder that failed is offered its message again this often.
pub const RECORDER_RETRY: Duration = Duration::from_millis(200);

/// How long a stop waits for the recorder to take what is queued before it gives up. A clinician
/// who pressed stop waits; a full disk must not hold the program for ever.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// An analyser is told the time at least this often.
pub const ANALYSIS_TICK: Duration = Duration::from_millis(100);

/// First and longest pause before an analyser that panicked is started again. It doubles.
pub const ANALYSIS_RESTART: (Duration, Duration) =
    (Duration::from_millis(100), Duration::from_secs(5));

/// A stream without a sample for this long is announced as 'no data'. Chosen: above the pauses of
/// Bluetooth retransmission (about 1 s) and below what a watching person would miss.
pub const SILENCE: Duration = Duration::from_secs(2);

/// First and longest pause between attempts to reach a lost device. 0.2 s is the time USB takes
/// to enumerate again; 2 s keeps a returning device's wait within what a person accepts.
pub const RETRY_FIRST: Duration = Duration::from_millis(200);
/// See [`RETRY_FIRST`].
pub const RETRY_LONGEST: Duration = Duration::from_secs(2);

/// The wall clock is compared with the host clock this often.
pub const ANCHOR_CHECK: Duration = Duration::from_secs(1);

/// A wall clock that differs from the last anchor by more than this has been stepped. NTP slews
/// below 128 ms and steps above (RFC 5905, section 10, STEPT); Linux slews both clocks alike.
pub const CLOCK_STEP: Duration = Duration::from_millis(50);

/// An anchor goes into the record this often even when nothing stepped.
pub const ANCHOR_EVERY: Duration = Duration::from_secs(60);

/// Stream quality goes into the record this often, and at the end.
pub const QUALITY_EVERY: Duration = Duration::from_secs(60);

/// A sleep of the computer shorter than this is not told from a busy scheduler.
pub const SUSPEND_MIN: Duration = Duration::from_millis(500);

/// Arrivals may come this much earlier than the clock fit expects; more means that samples were
/// not taken where the counter says. Above the 20 ms of jitter the fit is held to.
pub const EARLY_SLACK: Duration = Duration::from_millis(60);

/// Lateness that an ordinary transport shows (USB and Bluetooth retries); more needs a stall.
pub const ORDINARY_JITTER: Duration = Duration::from_millis(150);

/// After a lost connection or a sleep, a counter that agrees with the time within this kept
/// counting; otherwise the device began anew and only the time is known.
pub const RESUME_AGREEMENT: Duration = Duration::from_secs(1);

/// A stream without a counter, stamped at arrival, has lost samples when it is this late.
pub const UNCOUNTED_GAP: Duration = Duration::from_millis(500);

/// A stream without a counter, with stamps of its own, has lost samples when its stamps jump by
/// more than this and more than 1.5 samples. Above the jitter of network time stamps.
pub const STAMPED_GAP: Duration = Duration::from_millis(10);

/// Rates beyond this from nominal are taken for faults by the clock fit; crystals keep within
/// 200 ppm, RC oscillators of Bluetooth sensors within 0.5 % (Bluetooth Core 5.4, Vol 6 B 4.2.2
/// allows 500 ppm).
pub const MAX_DRIFT: f64 = 5e-3;

/// Packets held back while an earlier one may still come (reordering networks).
pub const REORDER_PACKETS: usize = 8;

/// Longest time that a packet is held back for an earlier one.
pub const REORDER_WAIT: Duration = Duration::from_millis(60);

/// Calibration: periods of the test signal that are measured; one more is let pass to settle.
pub const CALIBRATION_PERIODS: u32 = 4;

/// Calibration: tolerance of the amplitude as a fraction of nominal. Chosen: five times the ±2 %
/// to which an ADS1299, the commonest EEG converter, holds its internal test signal (data sheet,
/// electrical characteristics).
pub const CALIBRATION_AMPLITUDE: f64 = 0.1;

/// Calibration: greatest noise about the wave, µV RMS. Chosen: 2 % of a 100 µV wave, at which the
/// measured amplitude is still certain to a tenth of its tolerance.
pub const CALIBRATION_NOISE_UV: f64 = 2.0;

/// Clock fit: arrivals are summed up in bins of this length; over 1 s even 200 ppm of unknown
/// drift moves a bin's arrivals by 0.2 ms only.
pub const FIT_BIN_S: f64 = 1.0;

/// Clock fit: fewest arrivals in a bin, so that its lower half means something.
pub const FIT_BIN_MIN: usize = 8;

/// Clock fit: most arrivals in a bin; further ones within the bin's time are not used.
pub const FIT_BIN_MAX: usize = 2_048;

/// Clock fit: longest bin, for streams of a packet a second.
pub const FIT_BIN_LONGEST_S: f64 = 8.0;

/// Clock fit: shortest and longest window, s. Simulated (8 h, ramps of 400 ppm in two hours): longer
/// ones gain nothing, because the bend of the drift outweighs the noise.
pub const FIT_WINDOW_S: (f64, f64) = (60.0, 400.0);

/// Clock fit: standard error to which the window is widened, ms; under a quarter of the 1 ms
/// bound, so that its 99th percentile (2.6 standard deviations) and the drift's bend stay below it.
pub const FIT_TARGET_MS: f64 = 0.22;

/// Clock fit: rate deviations expected before anything is known, as one standard deviation.
/// Crystals of EEG amplifiers are specified at 20 to 100 ppm.
pub const FIT_PRIOR_DRIFT: f64 = 1e-4;

/// Clock fit: ramps of the rate expected, as one standard deviation, 1/s: 100 ppm in half an hour,
/// a crystal of 1 ppm/K in a device that warms up to the skin, thrice over.
pub const FIT_PRIOR_RAMP: f64 = 5e-8;

/// A counter that goes back by more than this, or runs ahead of time by more, has begun anew. Above
/// every burst and repetition a transport makes, below what a session can afford to misplace.
pub const COUNTER_RESET: Duration = Duration::from_secs(10);

/// A full recorder queue is announced again this often while it lasts.
pub const FULL_AGAIN: Duration = Duration::from_secs(1);

/// Pieces in which the device thread waits, so that a stop is never late.
pub const WAIT_SLICE: Duration = Duration::from_millis(20);
