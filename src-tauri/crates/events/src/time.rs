//! Points in time and the clock that gives them.

use std::{fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

/// Nanoseconds since 1970-01-01T00:00:00 UTC; in JSON an RFC 3339 text in UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Timestamp(pub i64);

/// A text that is no RFC 3339 time, or lies outside the years 1678 to 2262.
#[derive(Debug, thiserror::Error)]
#[error("reading a timestamp: an RFC 3339 time between the years 1678 and 2262 is due")]
pub struct TimestampError;

impl Timestamp {
    /// Nanoseconds since 1970.
    pub fn as_nanos(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since 1970, not before it.
    pub fn unix_millis(self) -> u64 {
        (self.0 / 1_000_000).max(0).unsigned_abs()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every i64 of nanoseconds lies within the years that OffsetDateTime and RFC 3339 can say.
        let text = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0))
            .ok()
            .and_then(|time| time.format(&Rfc3339).ok())
            .ok_or(fmt::Error)?;
        f.write_str(&text)
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;
    fn from_str(text: &str) -> Result<Self, TimestampError> {
        let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| TimestampError)?;
        let nanos = time.to_offset(UtcOffset::UTC).unix_timestamp_nanos();
        i64::try_from(nanos).map(Self).map_err(|_| TimestampError)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

/// Where the time comes from.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(
        clippy::disallowed_methods,
        reason = "the one place of this room that reads the clock"
    )]
    fn now(&self) -> Timestamp {
        let nanos = match std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_nanos()),
            Err(before) => i64::try_from(before.duration().as_nanos()).map(|n| -n),
        };
        Timestamp(nanos.unwrap_or(i64::MAX)) // after the year 2262
    }
}
