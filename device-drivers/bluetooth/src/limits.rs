//! Limits and defaults of the Bluetooth drivers. Each has its unit and its source.

use std::time::Duration;

/// How long discovery listens: slow advertising comes at most 1.2 s apart (Bluetooth Core, Vol 3 Part C, Appendix A,
/// TGAP(adv_slow_interval)), and with what the bus takes, discovery stays below 2 s.
pub(crate) const LISTEN: Duration = Duration::from_millis(1_300);

/// How often the list of devices is looked at while one is searched.
pub(crate) const LOOK: Duration = Duration::from_millis(100);

/// How long a device is searched before it counts as absent.
pub(crate) const SEARCH: Duration = Duration::from_millis(2_000);

/// Longest time a connection may take, services included; with the search it stays below 5 s.
pub(crate) const CONNECT: Duration = Duration::from_millis(2_800);

/// Longest time a command or any other single request may take.
pub(crate) const REQUEST: Duration = Duration::from_millis(1_000);

/// Silence after which the connection is asked whether it still stands. Packets of the slowest stream that
/// counts its samples come every 58 ms.
pub(crate) const ASK_AFTER: Duration = Duration::from_millis(250);

/// Notifications that may wait for the reader: eight seconds of a Muse with every sensor.
pub(crate) const WAITING: usize = 1_024;

/// Notifications taken in one read before the sink's owner has its turn: half a second of a Muse.
pub(crate) const MOST_AT_ONCE: usize = 64;

/// How long a group of notifications waits for its missing ones when nothing newer comes: three packets of
/// potentials.
pub(crate) const GROUP_WAIT: Duration = Duration::from_millis(150);

/// The Muse is told so often that someone listens; it drops the connection after about a minute without
/// (muse-lsl and muse-js send 'k' every 5 to 10 s).
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// How long the Ganglion takes to say what it is after a reset, and how often it is looked whether it has.
pub(crate) const GREETING: Duration = Duration::from_millis(1_000);

/// How long one round of the Ganglion's impedance test may take. The board needs about 1 s an input.
pub(crate) const IMPEDANCES: Duration = Duration::from_secs(12);

/// How often it is looked whether test currents are to end; well below the 100 ms that ending may take.
pub(crate) const SAFETY_LOOK: Duration = Duration::from_millis(10);

/// How long ending test currents waits for the board to be told.
pub(crate) const SAFETY_WAIT: Duration = Duration::from_millis(80);
