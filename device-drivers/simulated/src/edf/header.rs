//! The header record.

use super::error::EdfError;
use super::text;
use crate::decimal::Decimal;
use crate::limits::{MAX_DURATION_DIGITS, MAX_DURATION_PLACES};
use signal::{NANOS_PER_S, SamplingRate, UtcNanos};
use std::fmt;

/// Length of the fixed part, and of each signal's part.
const FIXED: usize = 256;
const PER_SIGNAL: usize = 256;

/// EDF or BDF, by the version field alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// 16-bit samples.
    Edf,
    /// 24-bit samples.
    Bdf,
}

impl Format {
    /// Bytes a sample.
    #[must_use]
    pub const fn sample_bytes(self) -> usize {
        match self {
            Self::Edf => 2,
            Self::Bdf => 3,
        }
    }
}

/// What the reserved field says of the records. Its first letters may disagree with the format (a
/// BDF file with 'EDF+C'): the version field decides about the samples, this one about time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Continuity {
    /// Not an EDF+ or BDF+ file: no annotations.
    Plain,
    /// '+C': records follow each other without a break.
    Continuous,
    /// '+D': each record says when it begins.
    Discontinuous,
}

/// Length of a data record: `numerator / denominator` seconds, exactly as its decimal text says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordDuration {
    /// Numerator, s.
    pub numerator: u64,
    /// Denominator, a power of ten.
    pub denominator: u64,
}

impl RecordDuration {
    /// Rate of a signal with `samples` in a record; `None` when the record has no length.
    #[must_use]
    pub fn rate(self, samples: u64) -> Option<SamplingRate> {
        SamplingRate::new(samples.checked_mul(self.denominator)?, self.numerator)
    }

    /// Begin of record `index` after the first, ns rounded down; saturating.
    #[must_use]
    pub fn nanos_of(self, index: u64) -> i64 {
        let nanos = u128::from(index) * u128::from(self.numerator) * NANOS_PER_S as u128;
        i64::try_from(nanos / u128::from(self.denominator)).unwrap_or(i64::MAX)
    }
}

/// Who was recorded, and by whom: identifying text that belongs in no log, event or description.
#[derive(Clone, PartialEq, Eq)]
pub struct Identification {
    /// The local patient identification field.
    pub patient: String,
    /// The local recording identification field.
    pub recording: String,
}

impl fmt::Debug for Identification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identification(redacted)")
    }
}

/// One signal's part of the header.
#[derive(Debug, Clone, PartialEq)]
pub struct SignalHeader {
    /// Label, as it stands.
    pub label: String,
    /// Transducer type.
    pub transducer: String,
    /// Physical dimension, as it stands.
    pub dimension: String,
    /// Physical value at the digital minimum.
    pub physical_min: f64,
    /// Physical value at the digital maximum.
    pub physical_max: f64,
    /// Digital minimum.
    pub digital_min: i64,
    /// Digital maximum.
    pub digital_max: i64,
    /// Prefiltering, as it stands.
    pub prefilter: String,
    /// Samples in each data record.
    pub samples: u64,
    /// Whether it holds annotations instead of samples.
    pub annotations: bool,
}

/// A file's header.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// 16 or 24 bits.
    pub format: Format,
    /// Whether records may lie apart.
    pub continuity: Continuity,
    /// Start date and time. The format knows local time without a zone; it is taken as UTC.
    pub start: UtcNanos,
    /// Length of the header, bytes.
    pub header_bytes: u64,
    /// Number of records as stated; `None` for −1, 'not known yet'.
    pub record_count: Option<u64>,
    /// Length of a record.
    pub record_duration: RecordDuration,
    /// The signals, annotations among them, in the file's order.
    pub signals: Vec<SignalHeader>,
    identification: Identification,
}

impl Header {
    /// The identifying fields.
    #[must_use]
    pub const fn identification(&self) -> &Identification {
        &self.identification
    }

    /// Bytes of a data record; saturating.
    #[must_use]
    pub fn record_bytes(&self) -> u64 {
        let width = self.format.sample_bytes() as u64;
        (self.signals.iter()).fold(0_u64, |sum, signal| {
            sum.saturating_add(signal.samples.saturating_mul(width))
        })
    }
}

/// A fixed field and where it stands.
struct Cursor<'a> {
    bytes: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn take(&self, offset: usize, len: usize) -> Result<&'a [u8], EdfError> {
        (self.bytes.get(offset..offset + len)).ok_or(EdfError::HeaderTooShort {
            needed: (offset + len) as u64,
            found: self.bytes.len() as u64,
        })
    }

    fn number(&self, offset: usize, len: usize, field: &'static str) -> Result<i64, EdfError> {
        whole(self.take(offset, len)?).map_err(|why| EdfError::Field { field, offset, why })
    }
}

/// A whole number; '-32768.0' is one, too.
fn whole(bytes: &[u8]) -> Result<i64, &'static str> {
    let text = trimmed(bytes);
    if text.is_empty() {
        return Err("is blank where a number must stand");
    }
    let decimal = Decimal::parse(text).ok_or("is not a number")?;
    let unit = 10_u64.pow(decimal.places);
    if decimal.digits % unit != 0 {
        return Err("is not a whole number");
    }
    let value = i64::try_from(decimal.digits / unit).map_err(|_| "is too large")?;
    Ok(if decimal.negative { -value } else { value })
}

fn trimmed(bytes: &[u8]) -> &[u8] {
    let blank = |byte: &u8| *byte == b' ' || *byte == 0;
    let start = bytes.iter().position(|b| !blank(b)).unwrap_or(bytes.len());
    let end = bytes
        .iter()
        .rposition(|b| !blank(b))
        .map_or(start, |i| i + 1);
    &bytes[start..end]
}

/// Length of the whole header from its first 256 bytes.
///
/// # Errors
/// Too short, or the number of signals is none.
pub fn header_len(fixed: &[u8]) -> Result<usize, EdfError> {
    let cursor = Cursor { bytes: fixed };
    let field = "number of signals";
    let count = cursor.number(252, 4, field)?;
    let why = "must be from 1 to 9999";
    let error = EdfError::Field {
        field,
        offset: 252,
        why,
    };
    match usize::try_from(count) {
        Ok(count) if (1..=9_999).contains(&count) => Ok(FIXED + count * PER_SIGNAL),
        _ => Err(error),
    }
}

/// Reads the header at the beginning of `bytes`, which may go on after it.
///
/// # Errors
/// The first field that cannot be read, with its byte offset.
pub fn parse_header(bytes: &[u8]) -> Result<Header, EdfError> {
    let cursor = Cursor { bytes };
    let format = match cursor.take(0, 8)? {
        [255, b'B', b'I', b'O', b'S', b'E', b'M', b'I'] => Format::Bdf,
        version if trimmed(version) == b"0" => Format::Edf,
        _ => return Err(EdfError::Version),
    };
    cursor.take(0, FIXED)?;
    let needed = header_len(bytes)?;
    cursor.take(0, needed)?;
    let count = (needed - FIXED) / PER_SIGNAL;
    let stated = cursor.number(184, 8, "number of header bytes")?;
    if usize::try_from(stated) != Ok(needed) {
        return Err(EdfError::Field {
            field: "number of header bytes",
            offset: 184,
            why: "does not fit the number of signals",
        });
    }
    let reserved = text::field(cursor.take(192, 44)?);
    let continuity = match reserved.get(..5) {
        Some("EDF+C" | "BDF+C") => Continuity::Continuous,
        Some("EDF+D" | "BDF+D") => Continuity::Discontinuous,
        _ => Continuity::Plain,
    };
    let record_count = match cursor.number(236, 8, "number of data records")? {
        -1 => None,
        records => Some(u64::try_from(records).map_err(|_| EdfError::Field {
            field: "number of data records",
            offset: 236,
            why: "is negative",
        })?),
    };
    Ok(Header {
        format,
        continuity,
        start: start(&cursor)?,
        header_bytes: needed as u64,
        record_count,
        record_duration: record_duration(&cursor)?,
        signals: signals(&cursor, count, continuity)?,
        identification: Identification {
            patient: text::field(cursor.take(8, 80)?),
            recording: text::field(cursor.take(88, 80)?),
        },
    })
}

fn record_duration(cursor: &Cursor<'_>) -> Result<RecordDuration, EdfError> {
    let (field, offset) = ("duration of a data record", 244);
    let error = |why| EdfError::Field { field, offset, why };
    let decimal =
        Decimal::parse(trimmed(cursor.take(offset, 8)?)).ok_or(error("is not a number"))?;
    if decimal.negative && decimal.digits > 0 {
        return Err(error("is negative"));
    }
    // So that times and counts over any file fit 128 bits.
    if decimal.digits > MAX_DURATION_DIGITS || decimal.places > MAX_DURATION_PLACES {
        return Err(error("has more digits than are read"));
    }
    Ok(RecordDuration {
        numerator: decimal.digits,
        denominator: 10_u64.pow(decimal.places),
    })
}

/// Start date dd.mm.yy (85 to 99 are 1985 to 1999, others 20xx) and time hh.mm.ss.
fn start(cursor: &Cursor<'_>) -> Result<UtcNanos, EdfError> {
    let [day, month, year] = triple(cursor, 168, "start date")?;
    let [hour, minute, second] = triple(cursor, 176, "start time")?;
    let year = if year >= 85 { 1900 + year } else { 2000 + year };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_in = [
        31,
        if leap { 29 } else { 28 },
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    let valid = (1..=12).contains(&month)
        && (1..=days_in[usize::try_from(month - 1).unwrap_or(0).min(11)]).contains(&day);
    if !valid {
        return Err(EdfError::Field {
            field: "start date",
            offset: 168,
            why: "is no day of the calendar",
        });
    }
    if hour > 23 || minute > 59 || second > 59 {
        return Err(EdfError::Field {
            field: "start time",
            offset: 176,
            why: "is no time of the day",
        });
    }
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    Ok(UtcNanos(seconds * NANOS_PER_S))
}

fn triple(cursor: &Cursor<'_>, offset: usize, field: &'static str) -> Result<[i64; 3], EdfError> {
    let bytes = cursor.take(offset, 8)?;
    let two = |at: usize| match bytes[at..at + 2] {
        [a @ b'0'..=b'9', b @ b'0'..=b'9'] => Some(i64::from(a - b'0') * 10 + i64::from(b - b'0')),
        _ => None,
    };
    let separated = [bytes[2], bytes[5]]
        .iter()
        .all(|byte| b".:-/ ".contains(byte));
    match (two(0), two(3), two(6)) {
        (Some(a), Some(b), Some(c)) if separated => Ok([a, b, c]),
        _ => Err(EdfError::Field {
            field,
            offset,
            why: "is not of the form 00.00.00",
        }),
    }
}

/// Days since 1970-01-01 (Howard Hinnant's `days_from_civil`).
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn signals(
    cursor: &Cursor<'_>,
    count: usize,
    continuity: Continuity,
) -> Result<Vec<SignalHeader>, EdfError> {
    let mut signals = Vec::with_capacity(count);
    for index in 0..count {
        signals.push(signal(cursor, count, index, continuity)?);
    }
    Ok(signals)
}

fn signal(
    cursor: &Cursor<'_>,
    count: usize,
    index: usize,
    continuity: Continuity,
) -> Result<SignalHeader, EdfError> {
    // Field by field over all signals; each starts where the widths before it end.
    let at = |before: usize, width: usize| FIXED + before * count + width * index;
    let take = |before, width| cursor.take(at(before, width), width);
    let label = text::field(take(0, 16)?);
    let error = |field, before, why| EdfError::Signal {
        field,
        signal: index + 1,
        label: text::printable(&label),
        offset: at(before, 8),
        why,
    };
    let real = |field, before| {
        let text = text::field(take(before, 8)?);
        let value: f64 = text
            .parse()
            .map_err(|_| error(field, before, "is not a number"))?;
        if value.is_finite() {
            Ok(value)
        } else {
            Err(error(field, before, "is not finite"))
        }
    };
    let digital = |field, before| whole(take(before, 8)?).map_err(|why| error(field, before, why));
    let annotations = continuity != Continuity::Plain
        && matches!(label.as_str(), "EDF Annotations" | "BDF Annotations");
    let signal = SignalHeader {
        transducer: text::field(take(16, 80)?),
        dimension: text::field(take(96, 8)?),
        // Annotation signals have no scale; what stands there is of no use.
        physical_min: real("physical minimum", 104).or_else(|e| ignore(annotations, e, 0.0))?,
        physical_max: real("physical maximum", 112).or_else(|e| ignore(annotations, e, 1.0))?,
        digital_min: digital("digital minimum", 120).or_else(|e| ignore(annotations, e, 0))?,
        digital_max: digital("digital maximum", 128).or_else(|e| ignore(annotations, e, 1))?,
        prefilter: text::field(take(136, 80)?),
        samples: (whole(take(216, 8)?))
            .and_then(|n| u64::try_from(n).map_err(|_| "is negative"))
            .map_err(|why| error("number of samples in a record", 216, why))?,
        annotations,
        label: label.clone(),
    };
    if !annotations && signal.digital_min == signal.digital_max {
        return Err(error("digital minimum", 120, "equals the digital maximum"));
    }
    Ok(signal)
}

fn ignore<T>(annotations: bool, error: EdfError, value: T) -> Result<T, EdfError> {
    if annotations { Ok(value) } else { Err(error) }
}
