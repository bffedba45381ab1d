//! Limits and defaults of the serial drivers. Each has its unit and its source.

use std::time::Duration;

/// Speed of the Cyton's dongle, bit/s (OpenBCI documentation, 'Cyton Data Format', serial settings).
pub(crate) const BAUD: u32 = 115_200;

/// Longest wait in one system call on the port. Short, so that another thread that ends test currents
/// finds the port free.
pub(crate) const PORT_TIMEOUT: Duration = Duration::from_millis(20);

/// Bytes taken from the system at once: 60 packets, a quarter of a second.
pub(crate) const READ_BYTES: usize = 2_048;

/// Most samples of one block; more become the next one. A quarter of a second at 250 Hz.
pub(crate) const BLOCK_SAMPLES: usize = 64;

/// How long the last packet of a burst waits for the next one's first byte, which proves that it is
/// whole: five packets at 250 Hz.
pub(crate) const CONFIRM: Duration = Duration::from_millis(20);

/// How long a reset board takes to greet. The board starts its converters in about 1 s; the dongle
/// needs up to another second to find it.
pub(crate) const GREETING: Duration = Duration::from_millis(2_000);

/// How often the reset is sent before the board counts as silent.
pub(crate) const RESETS: u32 = 2;

/// How long the board takes to answer any other command. Chosen: ten times what the radio's frames of
/// 1 to 20 ms each way need.
pub(crate) const ANSWER: Duration = Duration::from_millis(800);

/// A line on which nothing came for so long has nothing more to say.
pub(crate) const QUIET: Duration = Duration::from_millis(60);

/// Longest time spent on waiting for that quiet.
pub(crate) const DRAIN: Duration = Duration::from_millis(600);

/// How long a line that was opened again is listened to: a board that kept its power sends 250 packets a second.
pub(crate) const LISTEN: Duration = Duration::from_millis(120);

/// Longest answer that is kept, bytes. The longest known, the register listing, has about 1,500.
pub(crate) const ANSWER_BYTES: usize = 8_192;

/// The firmware's current for lead-off detection, A (OpenBCI documentation, 'Impedance'; ADS1299 data
/// sheet, LOFF register, ILEAD_OFF = 00).
pub(crate) const LEAD_OFF_A: f64 = 6e-9;

/// Frequencies at which that current may alternate, Hz: the data sheet says 31.2, OpenBCI's pages 31.5.
pub(crate) const LEAD_OFF_HZ: (f64, f64) = (30.9, 31.8);

/// Series resistor at each input, ohms (OpenBCI Cyton schematic; OpenBCI GUI's impedance formula).
pub(crate) const SERIES_OHM: f64 = 2_200.0;

/// What is let pass after the current was switched on, until the converter's filter has settled: the
/// sinc³ filter takes three conversions, the electrode more. Chosen.
pub(crate) const LEAD_OFF_SETTLE: Duration = Duration::from_millis(300);

/// Length of the window in which the amplitude is measured, s: its Hann window then tells the test
/// current from 50 Hz mains by more than 30 dB.
pub(crate) const LEAD_OFF_WINDOW_S: f64 = 1.0;

/// How long the window may take to fill, beyond its length, before the electrode counts as not measured.
pub(crate) const LEAD_OFF_PATIENCE: Duration = Duration::from_millis(1_500);

/// Largest impedance that is stated, kΩ: above, 6 nA drive the input out of its range at gain 24.
pub(crate) const MOST_KOHM: f64 = 10_000.0;

/// How long the writer may be waited for when test currents are ended.
pub(crate) const SAFETY_WAIT: Duration = Duration::from_millis(60);
