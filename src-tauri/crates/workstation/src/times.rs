//! Times as people and files read them.

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

#[cfg(test)]
mod tests {
    use super::*;

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
