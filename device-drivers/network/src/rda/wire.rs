//! RDA's messages (Brain Products, 'Remote Data Access', RDA.h; the same layout stands in the clients of FieldTrip,
//! EEGLAB and MNE-realtime). Little-endian.
//!
//! A message: GUID (16 bytes), size of the whole (u32), type (u32), body. Types: 1 start, 2 samples as 16-bit
//! integers, 3 stop, 4 samples as 32-bit floats; others (keep-alive, state) are passed over.

use crate::limits::{MARKER_CHARS, MESSAGE_BYTES, MOST_CHANNELS};

/// What every message begins with: 4358458E-C996-4C86-AF4A-98BBF6C91450.
pub const GUID: [u8; 16] = [
    0x8E, 0x45, 0x58, 0x43, 0x96, 0xC9, 0x86, 0x4C, 0xAF, 0x4A, 0x98, 0xBB, 0xF6, 0xC9, 0x14, 0x50,
];
const HEADER: usize = 24;

/// What a recording is like.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    /// Time between two samples, µs.
    pub interval_us: f64,
    /// Microvolts a count, and the name, of each channel.
    pub channels: Vec<(f64, String)>,
}

/// A marker within a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// Sample within the block.
    pub position: u32,
    /// Samples that it lasts.
    pub points: u32,
    /// Channel, or all.
    pub channel: Option<u32>,
    /// Type and description ('Stimulus', 'S 1').
    pub text: String,
}

/// A block of samples: where its values lie in the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data<'a> {
    /// Number of the block since the recording began.
    pub block: u32,
    /// Samples per channel.
    pub points: usize,
    /// Whether values are 32-bit floats; else 16-bit integers.
    pub float: bool,
    /// Values, point after point, channel after channel within a point.
    pub values: &'a [u8],
    /// Markers.
    pub markers: Vec<Marker>,
}

/// A message.
#[derive(Debug, Clone, PartialEq)]
pub enum Message<'a> {
    /// A recording begins, or is under way.
    Start(Start),
    /// Samples.
    Data(Data<'a>),
    /// The recording has ended.
    Stop,
    /// Something else.
    Other,
}

/// What lies at the front of the bytes.
#[derive(Debug, Clone, PartialEq)]
pub enum Front<'a> {
    /// A message that is so many bytes long.
    Whole(Message<'a>, usize),
    /// So many bytes make no message: garbage, or one that was cut.
    Garbage(usize),
    /// More bytes must come.
    Incomplete,
}

/// Reads what lies at the front, for a recording of `channels` channels (0 before it is known).
///
/// A message that was cut is known by the next one's GUID within it: sixteen bytes that no sample repeats by
/// chance.
#[must_use]
pub fn front(bytes: &[u8], channels: usize) -> Front<'_> {
    match find_guid(bytes) {
        Some(0) => {}
        Some(at) => return Front::Garbage(at),
        // The last bytes may be a GUID's first.
        None if bytes.len() < GUID.len() => return Front::Incomplete,
        None => return Front::Garbage(bytes.len() - GUID.len() + 1),
    }
    let next = find_guid(&bytes[1..]).map(|at| at + 1);
    let cut = |end: usize| next.is_some_and(|next| next < end);
    let (Some(size), Some(kind)) = (u32_at(bytes, 16), u32_at(bytes, 20)) else {
        return next.map_or(Front::Incomplete, Front::Garbage);
    };
    let size = size as usize;
    if !(HEADER..=MESSAGE_BYTES).contains(&size) || cut(size) {
        return Front::Garbage(next.unwrap_or(GUID.len()));
    }
    let Some(message) = bytes.get(HEADER..size) else {
        return Front::Incomplete;
    };
    // One that was cut by a few bytes ends in the first ones of the next GUID, whose others are on their way.
    let begins_within =
        |count: usize| bytes.ends_with(&GUID[..count]) && bytes.len() - count < size;
    if (1..GUID.len()).any(begins_within) {
        return Front::Incomplete;
    }
    let message = match kind {
        1 => start(message).map(Message::Start),
        2 | 4 => data(message, kind == 4, channels).map(Message::Data),
        3 => Some(Message::Stop),
        _ => Some(Message::Other),
    };
    match message {
        Some(message) => Front::Whole(message, size),
        None => Front::Garbage(size),
    }
}

fn find_guid(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(GUID.len())
        .position(|sixteen| sixteen == GUID)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn f64_at(bytes: &[u8], at: usize) -> Option<f64> {
    Some(f64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Text up to its zero, and what follows; RDA's programs write Windows' 8-bit text, whose upper half is taken
/// as Latin-1 where it is no UTF-8.
fn text(bytes: &[u8]) -> Option<(String, &[u8])> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    let text = std::str::from_utf8(&bytes[..end]).map_or_else(
        |_| bytes[..end].iter().copied().map(char::from).collect(),
        str::to_owned,
    );
    Some((text, &bytes[end + 1..]))
}

fn start(body: &[u8]) -> Option<Start> {
    let channels = u32_at(body, 0)? as usize;
    if !(1..=MOST_CHANNELS).contains(&channels) {
        return None;
    }
    let interval_us = f64_at(body, 4)?;
    let mut names = body.get(12 + 8 * channels..)?;
    let mut read = Vec::with_capacity(channels);
    for n in 0..channels {
        let (name, rest) = text(names)?;
        names = rest;
        read.push((f64_at(body, 12 + 8 * n)?, name));
    }
    Some(Start {
        interval_us,
        channels: read,
    })
}

fn data(body: &[u8], float: bool, channels: usize) -> Option<Data<'_>> {
    let (block, points, markers) = (
        u32_at(body, 0)?,
        u32_at(body, 4)? as usize,
        u32_at(body, 8)?,
    );
    let width = if float { 4 } else { 2 };
    let bytes = points.checked_mul(channels)?.checked_mul(width)?;
    let values = body.get(12..12_usize.checked_add(bytes)?)?;
    let mut rest = &body[12 + bytes..];
    let mut read = Vec::new();
    for _ in 0..markers {
        let size = u32_at(rest, 0)? as usize;
        let (this, after) = rest.split_at_checked(size.max(16))?;
        let (kind, description) = text(&this[16..])?;
        let (description, _) = text(description)?;
        let text = format!("{kind}: {description}");
        read.push(Marker {
            position: u32_at(this, 4)?,
            points: u32_at(this, 8)?,
            channel: u32_at(this, 12).filter(|channel| *channel != u32::MAX),
            text: text
                .chars()
                .filter(|c| !c.is_control())
                .take(MARKER_CHARS)
                .collect(),
        });
        rest = after;
    }
    // Sizes that do not add up are no message of this recording.
    (rest.is_empty() && channels > 0).then_some(Data {
        block,
        points,
        float,
        values,
        markers: read,
    })
}
