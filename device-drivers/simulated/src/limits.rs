//! Limits and defaults of this room, each with its unit and its source.

/// Channels of the simulated amplifier: what a stream can hold.
pub(crate) const MAX_CHANNELS_SIMULATED: usize = signal::MAX_CHANNELS;

/// Fastest paced playback, times real time; beyond it `speed=max` is meant.
pub(crate) const MAX_SPEED: f64 = 1_000.0;

/// Slowest paced playback, times real time; slower is a pause.
pub(crate) const MIN_SPEED: f64 = 0.01;

/// Highest simulated rate, Hz: the fastest stream the vocabulary is made for.
pub(crate) const MAX_RATE_HZ: u32 = 256_000;

/// Packets a second in real time: 31 ms, the pace of Bluetooth and USB headsets.
pub(crate) const PACKETS_PER_S: f64 = 32.0;

/// Packets a second as fast as possible: 250 ms, the longest frame of a recording.
pub(crate) const FAST_PACKETS_PER_S: f64 = 4.0;

/// Most values (channels × samples) of one packet: 16 MB, two of the largest load test's.
pub(crate) const MAX_PACKET_VALUES: usize = 1 << 22;

/// Device time that one call of `read` may cover as fast as possible, ns.
pub(crate) const FAST_READ_NS: i64 = 250_000_000;

/// Blocks that one call of `read` may deliver, so that a reader that fell behind can still be told
/// to stop.
pub(crate) const MAX_BLOCKS_PER_READ: usize = 256;

/// How late a paced device may be read, ns of host time; after that its buffer has overrun and what
/// it held is lost. Longer than any stall of a loaded two-core machine, shorter than a sleep.
pub(crate) const DEVICE_BUFFER_NS: i64 = 5_000_000_000;

/// Time to measure one electrode, ns; amplifiers take 10 to 100 ms.
pub(crate) const IMPEDANCE_STEP_NS: u64 = 20_000_000;

/// Longest whole impedance check, ns: large amplifiers measure electrodes side by side.
pub(crate) const IMPEDANCE_TOTAL_NS: u64 = 2_000_000_000;

/// Largest script, bytes.
pub(crate) const MAX_SCRIPT_BYTES: usize = 1 << 20;

/// Most entries of one kind in a script.
pub(crate) const MAX_SCRIPT_ENTRIES: usize = 10_000;

/// Latest time in a script, s: 31 years, so that nanoseconds fit 64 bits with room to spare.
pub(crate) const MAX_SCRIPT_TIME_S: f64 = 1e9;

/// Microvolts a count: 4.5 V reference, gain 24, 2²³ counts (Texas Instruments ADS1299, SBAS499,
/// section 9.4.1.3.7), the converter of most research headsets.
pub(crate) const EEG_GAIN_UV: f64 = 4.5e6 / 24.0 / 8_388_608.0;

/// Peak-to-peak amplitude of the calibration square wave, µV, and its period, s (1 s each half).
pub(crate) const CALIBRATION_UV: f64 = 100.0;
pub(crate) const CALIBRATION_PERIOD_S: f64 = 2.0;

/// Samples of a noise table: a power of two for the transform; 64 s at 1 kHz.
pub(crate) const TABLE_LEN: usize = 1 << 16;

/// Length of the second noise table: a prime, so that both together repeat only after
/// 65,536 × 60,013 samples (45 days at 1 kHz).
pub(crate) const TABLE_PRIME: usize = 60_013;

/// Samples computed at a time; slowly changing values (impedance) change on multiples of it.
pub(crate) const GRID: u64 = 256;

/// Largest data record of a file that is read, bytes. The format recommends 61,440; the longest
/// seen in practice hold minutes of a dense array.
pub(crate) const MAX_RECORD_BYTES: u64 = 256 << 20;

/// Most data records of a file: 30 weeks of one-second records.
pub(crate) const MAX_RECORDS: u64 = 1 << 24;

/// Most annotations of a file; a whole night's scoring has some thousands.
pub(crate) const MAX_ANNOTATIONS: usize = 1 << 20;

/// Longest slice of a record delivered at once, ns: paced, and as fast as possible.
pub(crate) const SLICE_NS: i64 = 250_000_000;
pub(crate) const FAST_SLICE_NS: i64 = 1_000_000_000;

/// Difference between a record's onset and the one expected that counts as none, ns; and how far
/// a jump may lie from a whole number of samples to be exact.
pub(crate) const ONSET_TOLERANCE_NS: u64 = 1_000;

/// Largest digits and most decimal places of a record's duration; the field has eight characters,
/// and only an exponent goes beyond.
pub(crate) const MAX_DURATION_DIGITS: u64 = 10_000_000_000;
pub(crate) const MAX_DURATION_PLACES: u32 = 9;

/// Latest time of a data record after the file's start, ns: ten years. Beyond it lies a damaged
/// time, which would be taken for a gap of that length.
pub(crate) const MAX_ONSET_NS: i64 = 10 * 366 * 86_400 * 1_000_000_000;

/// How far a continuous file's records may stray from following each other before it is said, ns.
pub(crate) const STRAY_NS: u64 = 1_000_000;
