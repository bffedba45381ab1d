//! Times as people and files read them.

use crate::error::{Error, ErrorKind, Result};
use signal::{UtcNanos, ZoneOffset};
use time::format_description::well_known::Rfc3339;
use time::{Date, OffsetDateTime, UtcOffset};

fn at(time: UtcNanos) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(time.0))
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// RFC 3339 with the zone's offset ('2026-03-29T01:30:00.25+01:00').
#[must_use]
pub fn rfc3339(time: UtcNanos, zone: ZoneOffset) -> String {
    let offset = UtcOffset::from_whole_seconds(zone.0).unwrap_or(UtcOffset::UTC);
    at(time)
        .to_offset(offset)
        .format(&Rfc3339)
        .unwrap_or_else(|_| format!("{} ns", time.0))
}

/// The UTC date.
pub(crate) fn date_of(time: UtcNanos) -> Date {
    at(time).date()
}

/// The zone's offset in force here at `time`.
pub(crate) fn zone_at(time: UtcNanos) -> ZoneOffset {
    let offset = jiff::Timestamp::from_nanosecond(i128::from(time.0))
        .map(|time| jiff::tz::TimeZone::system().to_offset(time).seconds());
    ZoneOffset(offset.unwrap_or(0))
}

/// RFC 3339 with the offset in force here at `time`.
#[must_use]
pub fn rfc3339_here(time: UtcNanos) -> String {
    rfc3339(time, zone_at(time))
}

/// Reads a day, YYYY-MM-DD.
#[must_use]
pub fn parse_date(text: &str) -> Option<Date> {
    let format = time::macros::format_description!("[year]-[month]-[day]");
    Date::parse(text.trim(), format).ok()
}

/// Reads RFC 3339 with its offset.
#[must_use]
pub fn parse_time(text: &str) -> Option<(UtcNanos, ZoneOffset)> {
    let time = OffsetDateTime::parse(text.trim(), &Rfc3339).ok()?;
    let nanos = i64::try_from(time.unix_timestamp_nanos()).ok()?;
    Some((UtcNanos(nanos), ZoneOffset(time.offset().whole_seconds())))
}

/// The day here at `time`.
pub(crate) fn day_of(time: UtcNanos) -> Date {
    let offset = UtcOffset::from_whole_seconds(zone_at(time).0).unwrap_or(UtcOffset::UTC);
    at(time).to_offset(offset).date()
}

/// Begin and end of a day here; 23 to 25 hours where the clocks change.
pub(crate) fn span_of_day(date: Date) -> Result<(UtcNanos, UtcNanos)> {
    let begin = |date: Date| -> Option<UtcNanos> {
        let day = jiff::civil::Date::new(
            i16::try_from(date.year()).ok()?,
            i8::try_from(u8::from(date.month())).ok()?,
            i8::try_from(date.day()).ok()?,
        );
        let begin = day
            .ok()?
            .to_zoned_datetime(jiff::tz::TimeZone::system())
            .ok()?;
        i64::try_from(begin.timestamp().as_nanosecond())
            .ok()
            .map(UtcNanos)
    };
    begin(date)
        .zip(date.next_day().and_then(begin))
        .ok_or_else(|| {
            Error::new(
                ErrorKind::Invalid,
                format!("there is no day {date} here"),
                "",
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_days_are_read() {
        let (time, zone) = parse_time("2026-03-29T01:30:00.25+01:00").unwrap();
        assert_eq!(
            (time, zone),
            (UtcNanos(1_774_744_200_250_000_000), ZoneOffset(3_600))
        );
        assert_eq!(parse_time("2026-03-29T01:30"), None);
        assert_eq!(parse_date("2026-02-29"), None);
        let date = parse_date("2026-11-26").unwrap();
        let (from, until) = span_of_day(date).unwrap();
        assert_eq!(day_of(from), date);
        assert_eq!(day_of(UtcNanos(until.0 - 1)), date);
        assert_eq!(day_of(until), date.next_day().unwrap());
    }

    #[test]
    fn offsets_are_written_out() {
        let time = UtcNanos(1_774_744_200_250_000_000);
        assert_eq!(
            rfc3339(time, ZoneOffset(3_600)),
            "2026-03-29T01:30:00.25+01:00"
        );
        assert_eq!(rfc3339(time, ZoneOffset(0)), "2026-03-29T00:30:00.25Z");
    }
}
