//! Limits of the ledger's formats.

/// Longest entry kind, bytes. Event types have at most two short words; this leaves room.
pub const MAX_KIND_BYTES: usize = 128;

/// Longest actor, bytes: an opaque user id or the name of a service.
pub const MAX_ACTOR_BYTES: usize = 256;

/// Largest canonical payload, bytes. Payloads hold ids and figures, never samples.
pub const MAX_PAYLOAD_BYTES: usize = 256 * 1024;

/// Deepest nesting of a payload: what `serde_json` reads back with its default recursion limit.
pub const MAX_PAYLOAD_DEPTH: usize = 100;

/// Largest whole number in a payload: 2^53 − 1, the interoperable range of RFC 8785 section 3.2.2.3
/// (through RFC 7493 section 2.2). Larger ones must be written as strings.
pub const MAX_SAFE_INTEGER: i64 = (1 << 53) - 1;

/// Largest signed note, bytes, and most signature lines: those of the reference implementation
/// (golang.org/x/mod/sumdb/note).
pub const MAX_NOTE_BYTES: usize = 1_000_000;
/// See [`MAX_NOTE_BYTES`].
pub const MAX_NOTE_SIGNATURES: usize = 100;
