//! Bytes of the display feed: min/max envelopes and statistics, never JSON.
//!
//! A message is a little-endian header of 40 bytes and its values:
//!
//! ```text
//!  0  u32  length of what follows this field
//!  4  u16  kind: 1 = envelope, 2 = end of session
//!  6  u16  stream
//!  8  u32  channels
//! 12  u32  columns
//! 16  u64  index of the first sample of the first column
//! 24  u32  samples a column
//! 28  u32  messages dropped since the last one, because the client was slow
//! 32  i64  time of the first sample, ns since 1970 UTC
//! 40  f32  min, max for each column of channel 0, then channel 1, …  (channel's own unit)
//! ```
//!
//! A column without samples (a gap) is NaN, NaN.

use thiserror::Error;

/// Bytes before the values.
pub const HEADER_BYTES: usize = 40;

/// Greatest message a reader accepts: 4,096 channels × 512 columns × 8 bytes, and the header.
pub const MAX_MESSAGE_BYTES: usize = 4_096 * 512 * 8 + HEADER_BYTES;

const KIND_ENVELOPE: u16 = 1;
const KIND_END: u16 = 2;

/// A message of the feed.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// Min/max envelopes of one stream.
    Envelope(Envelope),
    /// The session ended.
    End,
}

/// Envelopes of consecutive columns of one stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// Stream's index.
    pub stream: u16,
    /// Channels (rows).
    pub channels: u32,
    /// Columns.
    pub columns: u32,
    /// Index of the first sample of the first column.
    pub first_index: u64,
    /// Samples a column.
    pub samples_per_column: u32,
    /// Messages dropped since the last one.
    pub dropped: u32,
    /// Time of the first sample, ns since 1970 UTC.
    pub time_utc_ns: i64,
    /// Min and max, channels × columns × 2.
    pub values: Vec<f32>,
}

/// Why bytes are no message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FeedError {
    /// The length is impossible.
    #[error("feed message of {0} bytes is outside the limits")]
    Length(usize),
    /// Unknown kind.
    #[error("feed message of unknown kind {0}")]
    Kind(u16),
    /// Channels × columns does not fit the length.
    #[error("feed message says {channels} channels x {columns} columns in {bytes} bytes")]
    Shape {
        /// Channels stated.
        channels: u32,
        /// Columns stated.
        columns: u32,
        /// Bytes of values found.
        bytes: usize,
    },
}

impl Message {
    /// Appends the message's bytes to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let empty = Envelope {
            stream: 0,
            channels: 0,
            columns: 0,
            first_index: 0,
            samples_per_column: 0,
            dropped: 0,
            time_utc_ns: 0,
            values: Vec::new(),
        };
        let (kind, envelope) = match self {
            Self::Envelope(envelope) => (KIND_ENVELOPE, envelope),
            Self::End => (KIND_END, &empty),
        };
        let length = HEADER_BYTES - 4 + envelope.values.len() * 4;
        out.reserve(length + 4);
        out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(&kind.to_le_bytes());
        out.extend_from_slice(&envelope.stream.to_le_bytes());
        out.extend_from_slice(&envelope.channels.to_le_bytes());
        out.extend_from_slice(&envelope.columns.to_le_bytes());
        out.extend_from_slice(&envelope.first_index.to_le_bytes());
        out.extend_from_slice(&envelope.samples_per_column.to_le_bytes());
        out.extend_from_slice(&envelope.dropped.to_le_bytes());
        out.extend_from_slice(&envelope.time_utc_ns.to_le_bytes());
        for value in &envelope.values {
            out.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// Takes one whole message off the front of `bytes`: the message and how many bytes it used,
    /// or `None` when more bytes are needed.
    ///
    /// # Errors
    /// When the bytes can be no message, however many follow.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, FeedError> {
        let Some(length) = field::<4>(bytes, 0).map(u32::from_le_bytes) else {
            return Ok(None);
        };
        let total = (length as usize).saturating_add(4);
        if !(HEADER_BYTES..=MAX_MESSAGE_BYTES).contains(&total) {
            return Err(FeedError::Length(total));
        }
        let Some(message) = bytes.get(..total) else {
            return Ok(None);
        };
        let u16_at = |at| field(message, at).map_or(0, u16::from_le_bytes);
        let u32_at = |at| field(message, at).map_or(0, u32::from_le_bytes);
        match u16_at(4) {
            KIND_END => Ok(Some((Self::End, total))),
            KIND_ENVELOPE => {
                let (channels, columns) = (u32_at(8), u32_at(12));
                let values = &message[HEADER_BYTES..];
                // The product of two u32 fits; eight times it may not.
                let expected = (u64::from(channels) * u64::from(columns)).saturating_mul(8);
                if expected != values.len() as u64 {
                    return Err(FeedError::Shape {
                        channels,
                        columns,
                        bytes: values.len(),
                    });
                }
                let envelope = Envelope {
                    stream: u16_at(6),
                    channels,
                    columns,
                    first_index: field(message, 16).map_or(0, u64::from_le_bytes),
                    samples_per_column: u32_at(24),
                    dropped: u32_at(28),
                    time_utc_ns: field(message, 32).map_or(0, i64::from_le_bytes),
                    values: values
                        .chunks_exact(4)
                        .filter_map(|value| field(value, 0).map(f32::from_le_bytes))
                        .collect(),
                };
                Ok(Some((Self::Envelope(envelope), total)))
            }
            kind => Err(FeedError::Kind(kind)),
        }
    }
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope() -> Message {
        Message::Envelope(Envelope {
            stream: 1,
            channels: 2,
            columns: 2,
            first_index: 77,
            samples_per_column: 4,
            dropped: 3,
            time_utc_ns: -5,
            values: vec![1.0, 2.0, 3.0, 4.0, -1.0, 0.5, f32::MIN, f32::MAX],
        })
    }

    #[test]
    fn messages_come_back_from_a_byte_stream() {
        let mut bytes = Vec::new();
        envelope().encode(&mut bytes);
        Message::End.encode(&mut bytes);
        for cut in 0..bytes.len() - HEADER_BYTES {
            assert_eq!(
                Message::decode(&bytes[..cut]).unwrap(),
                None,
                "cut at {cut}"
            );
        }
        let (first, used) = Message::decode(&bytes).unwrap().unwrap();
        assert_eq!(first, envelope());
        assert_eq!(
            Message::decode(&bytes[used..]).unwrap(),
            Some((Message::End, HEADER_BYTES))
        );
    }

    #[test]
    fn hostile_bytes_are_refused() {
        assert!(matches!(
            Message::decode(&[0xff; 64]),
            Err(FeedError::Length(_))
        ));
        let mut bytes = Vec::new();
        envelope().encode(&mut bytes);
        bytes[8] = 200;
        assert!(matches!(
            Message::decode(&bytes),
            Err(FeedError::Shape { .. })
        ));
        bytes[4] = 9;
        assert!(matches!(Message::decode(&bytes), Err(FeedError::Kind(9))));
    }
}
