//! Limits of the vocabulary. Each has its unit and its reason.

/// Channels in one stream. Four times the largest clinical amplifier (1,024 inputs), so that a
/// hostile header cannot ask for unbounded memory.
pub const MAX_CHANNELS: usize = 4_096;

/// Samples per channel in one block: one second at the highest supported rate (256 kHz).
pub const MAX_SAMPLES_PER_BLOCK: usize = 262_144;
