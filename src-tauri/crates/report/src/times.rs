//! Times as a report prints them.

use signal::{NANOS_PER_S, UtcNanos, ZoneOffset};

/// Local date and time with the zone's offset ('2026-11-23 12:00:00.250 +01:00').
#[must_use]
pub fn stamp(at: UtcNanos, zone: ZoneOffset) -> String {
    let seconds = at.0.div_euclid(NANOS_PER_S) + i64::from(zone.0);
    let local = time::OffsetDateTime::from_unix_timestamp(seconds)
        .unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    let sign = if zone.0 < 0 { '-' } else { '+' };
    let offset = zone.0.unsigned_abs();
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:03} {sign}{:02}:{:02}",
        local.year(),
        u8::from(local.month()),
        local.day(),
        local.hour(),
        local.minute(),
        local.second(),
        at.0.rem_euclid(NANOS_PER_S) / 1_000_000,
        offset / 3_600,
        offset / 60 % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_time_with_its_offset() {
        let at = UtcNanos(1_795_435_200 * NANOS_PER_S + 250_000_000);
        assert_eq!(
            stamp(at, ZoneOffset(3_600)),
            "2026-11-23 13:00:00.250 +01:00"
        );
        assert_eq!(
            stamp(at, ZoneOffset(-12_600)),
            "2026-11-23 08:30:00.250 -03:30"
        );
    }
}
