//! Bytes of traces: min/max envelopes at the resolution of a display, never JSON. A live feed and a
//! page of a recording are the same messages; each begins with a description of its rows.
//!
//! A message is a little-endian header of 48 bytes and its payload:
//!
//! ```text
//!  0  u32  length of what follows this field
//!  4  u16  kind: 1 = envelope, 2 = end, 3 = description, 4 = gap, 5 = annotation
//!  6  u16  stream
//!  8  u32  rows
//! 12  u32  columns
//! 16  u64  number of the first column: in a feed counted from the stream's sample 0, in a page
//!          from the page's begin
//! 24  i64  time of the first column's begin, ns since 1970 UTC
//! 32  f64  length of a column, ns
//! 40  u32  messages dropped since the last one, because the client was slow
//! 44  u32  flags: bit 0 = history (was recorded before the feed was opened)
//! 48  envelope: f32 min, max for each column of row 0, then row 1, … (the row's unit)
//!     description, gap, annotation: JSON ([`crate::ViewDescription`], [`crate::GapMark`],
//!     [`crate::AnnotationMark`])
//! ```
//!
//! A column without samples (a gap) is NaN, NaN, and so is a row that lacks an input. Where a stream
//! has fewer samples than the display has columns, every sample is a column: `column ns` is then its
//! period. What stands where is always told by the time of the first column and the length of one;
//! a run of columns that begins elsewhere in time is a message of its own.

use crate::{AnnotationMark, GapMark, ViewDescription};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// Bytes before the payload.
pub const HEADER_BYTES: usize = 48;

/// Greatest message a reader accepts: 4,096 rows × 512 columns × 8 bytes (or 512 rows × 4,096), and
/// the header.
pub const MAX_MESSAGE_BYTES: usize = 4_096 * 512 * 8 + HEADER_BYTES;

const KIND_ENVELOPE: u16 = 1;
const KIND_END: u16 = 2;
const KIND_DESCRIPTION: u16 = 3;
const KIND_GAP: u16 = 4;
const KIND_ANNOTATION: u16 = 5;

const FLAG_HISTORY: u32 = 1;

/// Where the count of dropped messages stands.
const DROPPED_AT: usize = 40;

/// A message of a feed or page.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// What the rows of every stream are; first, and again when they change.
    Description(ViewDescription),
    /// Min/max envelopes of one stream.
    Envelope(Envelope),
    /// Samples are missing.
    Gap(GapMark),
    /// Something was marked, or a mark was superseded.
    Annotation(AnnotationMark),
    /// The session ended; the page is complete.
    End,
}

/// Envelopes of consecutive columns of one stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Envelope {
    /// Stream's index.
    pub stream: u16,
    /// Rows, as the description lists them for this stream.
    pub rows: u32,
    /// Columns.
    pub columns: u32,
    /// Number of the first column: in a feed counted from the stream's sample 0, in a page from the
    /// page's begin.
    pub first_column: u64,
    /// Time of the first column's begin, ns since 1970 UTC.
    pub time_utc_ns: i64,
    /// Length of a column, ns.
    pub column_ns: f64,
    /// Messages dropped since the last one.
    pub dropped: u32,
    /// Recorded before the feed was opened.
    pub history: bool,
    /// Min and max in each row's unit, rows × columns × 2.
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
    /// The JSON of a description, gap or annotation cannot be read.
    #[error("feed message cannot be read: {0}")]
    Json(String),
    /// Rows × columns does not fit the length.
    #[error("feed message says {rows} rows x {columns} columns in {bytes} bytes")]
    Shape {
        /// Rows stated.
        rows: u32,
        /// Columns stated.
        columns: u32,
        /// Bytes of values found.
        bytes: usize,
    },
}

impl Message {
    /// Appends the message's bytes to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Envelope(envelope) => {
                header(out, KIND_ENVELOPE, envelope, envelope.values.len() * 4);
                for value in &envelope.values {
                    out.extend_from_slice(&value.to_le_bytes());
                }
            }
            Self::Description(description) => json(out, KIND_DESCRIPTION, description),
            Self::Gap(gap) => json(out, KIND_GAP, gap),
            Self::Annotation(annotation) => json(out, KIND_ANNOTATION, annotation),
            Self::End => header(out, KIND_END, &Envelope::default(), 0),
        }
    }

    /// Takes one whole message off the front of `bytes`: the message and how many bytes it used,
    /// or `None` when more bytes are needed.
    ///
    /// # Errors
    /// When the bytes can be no message, however many follow.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, FeedError> {
        let Some(total) = message_length(bytes)? else {
            return Ok(None);
        };
        let Some(message) = bytes.get(..total) else {
            return Ok(None);
        };
        let u16_at = |at| field(message, at).map_or(0, u16::from_le_bytes);
        let u32_at = |at| field(message, at).map_or(0, u32::from_le_bytes);
        let payload = &message[HEADER_BYTES..];
        let decoded = match u16_at(4) {
            KIND_END => Self::End,
            KIND_DESCRIPTION => Self::Description(from_json(payload)?),
            KIND_GAP => Self::Gap(from_json(payload)?),
            KIND_ANNOTATION => Self::Annotation(from_json(payload)?),
            KIND_ENVELOPE => {
                let (rows, columns) = (u32_at(8), u32_at(12));
                // The product of two u32 fits; eight times it may not.
                let expected = (u64::from(rows) * u64::from(columns)).saturating_mul(8);
                if expected != payload.len() as u64 {
                    return Err(FeedError::Shape {
                        rows,
                        columns,
                        bytes: payload.len(),
                    });
                }
                Self::Envelope(Envelope {
                    stream: u16_at(6),
                    rows,
                    columns,
                    first_column: field(message, 16).map_or(0, u64::from_le_bytes),
                    time_utc_ns: field(message, 24).map_or(0, i64::from_le_bytes),
                    column_ns: field(message, 32).map_or(0.0, f64::from_le_bytes),
                    dropped: u32_at(40),
                    history: u32_at(44) & FLAG_HISTORY != 0,
                    values: payload
                        .chunks_exact(4)
                        .filter_map(|value| field(value, 0).map(f32::from_le_bytes))
                        .collect(),
                })
            }
            kind => return Err(FeedError::Kind(kind)),
        };
        Ok(Some((decoded, total)))
    }
}

/// Length of the message that `bytes` begin with, header included; `None` when even that needs more
/// bytes.
///
/// # Errors
/// A length that no message has.
pub fn message_length(bytes: &[u8]) -> Result<Option<usize>, FeedError> {
    let Some(length) = field::<4>(bytes, 0).map(u32::from_le_bytes) else {
        return Ok(None);
    };
    let total = (length as usize).saturating_add(4);
    if !(HEADER_BYTES..=MAX_MESSAGE_BYTES).contains(&total) {
        return Err(FeedError::Length(total));
    }
    Ok(Some(total))
}

/// Whether an encoded message is an envelope: the one kind that may be dropped, because its loss is
/// counted.
#[must_use]
pub fn is_envelope(message: &[u8]) -> bool {
    field(message, 4).map(u16::from_le_bytes) == Some(KIND_ENVELOPE)
}

/// Adds to the count of dropped messages of an encoded envelope; returns whether it was one. What the
/// dropped messages had counted themselves belongs to `more`: see [`dropped_of`].
pub fn add_dropped(message: &mut [u8], more: u32) -> bool {
    if !is_envelope(message) || message.len() < HEADER_BYTES {
        return false;
    }
    let sum = dropped_of(message).saturating_add(more);
    message[DROPPED_AT..DROPPED_AT + 4].copy_from_slice(&sum.to_le_bytes());
    true
}

/// The count of dropped messages that an encoded envelope carries.
#[must_use]
pub fn dropped_of(message: &[u8]) -> u32 {
    field(message, DROPPED_AT).map_or(0, u32::from_le_bytes)
}

fn header(out: &mut Vec<u8>, kind: u16, envelope: &Envelope, payload: usize) {
    let length = HEADER_BYTES - 4 + payload;
    out.reserve(length + 4);
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(&envelope.stream.to_le_bytes());
    out.extend_from_slice(&envelope.rows.to_le_bytes());
    out.extend_from_slice(&envelope.columns.to_le_bytes());
    out.extend_from_slice(&envelope.first_column.to_le_bytes());
    out.extend_from_slice(&envelope.time_utc_ns.to_le_bytes());
    out.extend_from_slice(&envelope.column_ns.to_le_bytes());
    out.extend_from_slice(&envelope.dropped.to_le_bytes());
    let flags = if envelope.history { FLAG_HISTORY } else { 0 };
    out.extend_from_slice(&flags.to_le_bytes());
}

/// These types always have a JSON form; an empty one would be refused by the reader.
fn json(out: &mut Vec<u8>, kind: u16, value: &impl Serialize) {
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    header(out, kind, &Envelope::default(), bytes.len());
    out.extend_from_slice(&bytes);
}

fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, FeedError> {
    serde_json::from_slice(bytes).map_err(|error| FeedError::Json(error.to_string()))
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
            rows: 2,
            columns: 2,
            first_column: 77,
            time_utc_ns: -5,
            column_ns: 5_263_157.894_7,
            dropped: 3,
            history: true,
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
    fn every_kind_comes_back() {
        let messages = [
            Message::Description(ViewDescription::default()),
            Message::Gap(GapMark {
                stream: 0,
                from_utc_ns: 1,
                duration_ns: Some(2),
                missing: "12".to_owned(),
                ambiguous: true,
                cause: "lost".to_owned(),
            }),
            Message::Annotation(AnnotationMark {
                id: 7,
                onset_utc_ns: 3,
                duration_ns: None,
                text: "Eyes open".to_owned(),
                code: Some("eyes_open".to_owned()),
                origin: "person".to_owned(),
                superseded_by: None,
            }),
        ];
        let mut bytes = Vec::new();
        for message in &messages {
            message.encode(&mut bytes);
        }
        let mut rest = &bytes[..];
        for message in messages {
            let (found, used) = Message::decode(rest).unwrap().unwrap();
            assert_eq!(found, message);
            rest = &rest[used..];
        }
        assert!(rest.is_empty());
    }

    #[test]
    fn the_count_of_dropped_messages_grows_in_place_and_in_envelopes_only() {
        let mut bytes = Vec::new();
        envelope().encode(&mut bytes);
        assert_eq!(dropped_of(&bytes), 3);
        assert!(is_envelope(&bytes) && add_dropped(&mut bytes, 4));
        let Message::Envelope(found) = Message::decode(&bytes).unwrap().unwrap().0 else {
            panic!("an envelope");
        };
        assert_eq!(found.dropped, 7);
        let mut end = Vec::new();
        Message::End.encode(&mut end);
        assert!(!is_envelope(&end) && !add_dropped(&mut end, 1));
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
