//! The FieldTrip buffer's network protocol, version 1 (FieldTrip, 'Details on the FieldTrip buffer protocol';
//! realtime/src/buffer/src/message.h). Numbers are in the server's byte order; little-endian is what runs today.

use crate::limits::{MARKER_CHARS, MESSAGE_BYTES, MOST_CHANNELS};

pub(crate) const GET_HDR: u16 = 0x201;
pub(crate) const GET_DAT: u16 = 0x202;
pub(crate) const GET_EVT: u16 = 0x203;
pub(crate) const GET_OK: u16 = 0x204;
pub(crate) const WAIT_DAT: u16 = 0x402;
pub(crate) const WAIT_OK: u16 = 0x404;
const VERSION: u16 = 1;
/// Bytes of a message's head: version, command, size of what follows.
pub const HEAD: usize = 8;
const NAMES: u32 = 1;
const RESOLUTIONS: u32 = 3;

/// Type of the samples, by the protocol's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataType {
    /// 1, widened to 16 bits.
    U8,
    /// 5, widened to 16 bits.
    I8,
    /// 2, widened to 32 bits.
    U16,
    /// 6.
    I16,
    /// 7.
    I32,
    /// 9.
    F32,
    /// 10.
    F64,
}

impl DataType {
    /// The type of number `code`; `None` for those that no sample type holds (32 and 64 bits unsigned, 64 bits
    /// signed, characters).
    #[must_use]
    pub const fn of(code: u32) -> Option<Self> {
        match code {
            1 => Some(Self::U8),
            2 => Some(Self::U16),
            5 => Some(Self::I8),
            6 => Some(Self::I16),
            7 => Some(Self::I32),
            9 => Some(Self::F32),
            10 => Some(Self::F64),
            _ => None,
        }
    }

    /// Bytes of a value.
    #[must_use]
    pub const fn width(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::I32 | Self::F32 => 4,
            Self::F64 => 8,
        }
    }
}

/// What the buffer holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// Channels.
    pub channels: usize,
    /// Samples since the buffer was set up.
    pub samples: u32,
    /// Events since then.
    pub events: u32,
    /// Samples a second.
    pub rate_hz: f32,
    /// Number of the samples' type.
    pub data_type: u32,
    /// Names of the channels; empty where it has none.
    pub names: Vec<String>,
    /// Microvolts a count of each channel; empty where it has none.
    pub resolutions: Vec<f64>,
}

/// An event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Sample that it stands at, counted from 1.
    pub sample: i32,
    /// Samples that it lasts.
    pub duration: i32,
    /// Type and value.
    pub text: String,
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// A message's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    /// Command and size of the body.
    Known(u16, usize),
    /// The server's numbers are the other way round.
    BigEndian,
    /// No message of this protocol.
    Foreign,
}

/// Reads a head.
#[must_use]
pub fn head(bytes: &[u8; HEAD]) -> Head {
    let version = u16::from_le_bytes([bytes[0], bytes[1]]);
    let command = u16::from_le_bytes([bytes[2], bytes[3]]);
    let size = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]) as usize;
    match version {
        VERSION if size <= MESSAGE_BYTES => Head::Known(command, size),
        0x100 => Head::BigEndian,
        _ => Head::Foreign,
    }
}

/// A request.
#[must_use]
pub fn request(command: u16, body: &[u32]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD + 4 * body.len());
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(command.to_le_bytes());
    bytes.extend(u32::try_from(4 * body.len()).unwrap_or(0).to_le_bytes());
    for word in body {
        bytes.extend(word.to_le_bytes());
    }
    bytes
}

/// Reads the answer to GET_HDR.
#[must_use]
pub fn header(body: &[u8]) -> Option<Header> {
    let channels = u32_at(body, 0)? as usize;
    if !(1..=MOST_CHANNELS).contains(&channels) {
        return None;
    }
    let mut header = Header {
        channels,
        samples: u32_at(body, 4)?,
        events: u32_at(body, 8)?,
        rate_hz: f32::from_le_bytes(*body.get(12..)?.first_chunk()?),
        data_type: u32_at(body, 16)?,
        names: Vec::new(),
        resolutions: Vec::new(),
    };
    let size = u32_at(body, 20)? as usize;
    let mut chunks = body.get(24..24_usize.checked_add(size)?)?;
    while chunks.len() >= 8 {
        let (kind, size) = (u32_at(chunks, 0)?, u32_at(chunks, 4)? as usize);
        let content = chunks.get(8..8_usize.checked_add(size)?)?;
        match kind {
            NAMES => {
                let names = content.split(|byte| *byte == 0).take(channels);
                header.names = names
                    .map(|name| String::from_utf8_lossy(name).into_owned())
                    .collect();
                if header.names.len() != channels {
                    return None;
                }
            }
            RESOLUTIONS => {
                let values = content.chunks_exact(8).take(channels);
                header.resolutions = values
                    .filter_map(|eight| Some(f64::from_le_bytes(*eight.first_chunk()?)))
                    .collect();
                if header.resolutions.len() != channels {
                    return None;
                }
            }
            _ => {}
        }
        chunks = &chunks[8 + size..];
    }
    Some(header)
}

/// Reads the answer to GET_DAT: number of samples, and their values, sample after sample; `None` when it is not
/// of this many channels and this type.
#[must_use]
pub fn data(body: &[u8], channels: usize, data_type: u32) -> Option<(usize, &[u8])> {
    let samples = u32_at(body, 4)? as usize;
    if u32_at(body, 0)? as usize != channels || u32_at(body, 8)? != data_type {
        return None;
    }
    let bytes = samples
        .checked_mul(channels)?
        .checked_mul(DataType::of(data_type)?.width())?;
    let values = body.get(16..)?;
    (values.len() == bytes).then_some((samples, values))
}

/// Reads the answer to GET_EVT.
#[must_use]
pub fn events(body: &[u8]) -> Option<Vec<Event>> {
    let mut rest = body;
    let mut events = Vec::new();
    while !rest.is_empty() {
        let kind = (u32_at(rest, 0)?, u32_at(rest, 4)? as usize);
        let value = (u32_at(rest, 8)?, u32_at(rest, 12)? as usize);
        let (sample, duration) = (u32_at(rest, 16)?, u32_at(rest, 24)?);
        let size = u32_at(rest, 28)? as usize;
        let content = rest.get(32..32_usize.checked_add(size)?)?;
        let (type_text, after) = value_text(content, kind)?;
        let (value_text, _) = value_text(after, value)?;
        let text = format!("{type_text}: {value_text}");
        events.push(Event {
            sample: sample.cast_signed(),
            duration: duration.cast_signed(),
            text: text
                .chars()
                .filter(|c| !c.is_control())
                .take(MARKER_CHARS)
                .collect(),
        });
        rest = &rest[32 + size..];
    }
    Some(events)
}

/// A type or value as text, and what follows it.
fn value_text(bytes: &[u8], (kind, count): (u32, usize)) -> Option<(String, &[u8])> {
    let width = match kind {
        0 | 1 | 5 => 1,
        2 | 6 => 2,
        3 | 7 | 9 => 4,
        4 | 8 | 10 => 8,
        _ => return None,
    };
    let size = width * count.min(MESSAGE_BYTES);
    let (this, rest) = bytes.split_at_checked(size)?;
    if kind == 0 {
        return Some((
            String::from_utf8_lossy(this)
                .trim_end_matches('\0')
                .to_owned(),
            rest,
        ));
    }
    let one = |value: &[u8]| -> Option<String> {
        Some(match kind {
            1 => value.first()?.to_string(),
            2 => u16_at(value, 0)?.to_string(),
            3 => u32_at(value, 0)?.to_string(),
            4 => u64::from_le_bytes(*value.first_chunk()?).to_string(),
            5 => value.first()?.cast_signed().to_string(),
            6 => u16_at(value, 0)?.cast_signed().to_string(),
            7 => u32_at(value, 0)?.cast_signed().to_string(),
            8 => i64::from_le_bytes(*value.first_chunk()?).to_string(),
            9 => f32::from_le_bytes(*value.first_chunk()?).to_string(),
            _ => f64::from_le_bytes(*value.first_chunk()?).to_string(),
        })
    };
    let values: Option<Vec<String>> = this
        .chunks_exact(width)
        .take(MARKER_CHARS)
        .map(one)
        .collect();
    Some((values?.join(" "), rest))
}
