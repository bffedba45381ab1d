//! Numbers and times as people read them: units with every number, local time with its zone.

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime, UtcOffset};

/// Nanoseconds of a second.
const NS: i64 = 1_000_000_000;

/// Hours, minutes and seconds of a length: '00:12:31'.
#[must_use]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub fn length(seconds: f64) -> String {
    let all = seconds.max(0.0).floor() as u64; // saturates
    format!("{:02}:{:02}:{:02}", all / 3600, all / 60 % 60, all % 60)
}

/// A length in the unit that suits it: '850 ms', '2.5 s', '3 min 20 s', '2 h 05 min'.
#[must_use]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub fn span(seconds: f64) -> String {
    let seconds = seconds.max(0.0);
    if seconds < 1.0 {
        return format!("{:.0} ms", seconds * 1e3);
    }
    if seconds < 60.0 {
        return format!("{} s", number(seconds, 1));
    }
    let all = seconds.round() as u64;
    if all < 3600 {
        return format!("{} min {:02} s", all / 60, all % 60);
    }
    format!("{} h {:02} min", all / 3600, all / 60 % 60)
}

/// At most so many decimals, without trailing zeros: '7', '1.6', '0.3'.
#[must_use]
pub fn number(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn offset(minutes: i32) -> UtcOffset {
    UtcOffset::from_whole_seconds(minutes.saturating_mul(60)).unwrap_or(UtcOffset::UTC)
}

fn zone(offset: UtcOffset) -> String {
    let minutes = offset.whole_minutes();
    let sign = if minutes < 0 { '−' } else { '+' };
    let (hours, rest) = (minutes.abs() / 60, minutes.abs() % 60);
    if rest == 0 {
        format!("UTC{sign}{hours}")
    } else {
        format!("UTC{sign}{hours}:{rest:02}")
    }
}

fn at(utc_ns: i64, offset_min: i32) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(utc_ns))
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
        .to_offset(offset(offset_min))
}

fn hms(time: OffsetDateTime) -> String {
    format!(
        "{:02}:{:02}:{:02}",
        time.hour(),
        time.minute(),
        time.second()
    )
}

/// Time of day: '12:03:07'.
#[must_use]
pub fn clock(utc_ns: i64, offset_min: i32) -> String {
    hms(at(utc_ns, offset_min))
}

/// Time of day with milliseconds, for measuring.
#[must_use]
pub fn clock_ms(utc_ns: i64, offset_min: i32) -> String {
    let time = at(utc_ns, offset_min);
    format!("{}.{:03}", hms(time), time.millisecond())
}

/// Time of day with its zone: '12:03:07 UTC+1'.
#[must_use]
pub fn clock_zone(utc_ns: i64, offset_min: i32) -> String {
    format!("{} {}", clock(utc_ns, offset_min), zone(offset(offset_min)))
}

/// Day: '2026-03-01'.
#[must_use]
pub fn day(utc_ns: i64, offset_min: i32) -> String {
    let date = at(utc_ns, offset_min).date();
    date.format(format_description!("[year]-[month]-[day]"))
        .unwrap_or_default()
}

/// A moment written in RFC 3339, in the zone it is written in: '2026-03-01 12:03:07 UTC+1'. What cannot be
/// read is shown as it came.
#[must_use]
pub fn moment(rfc3339: &str) -> String {
    match OffsetDateTime::parse(rfc3339, &Rfc3339) {
        Ok(time) => format!("{} {} {}", time.date(), hms(time), zone(time.offset())),
        Err(_) => rfc3339.to_owned(),
    }
}

/// The same, turned into another zone: what the engine states in UTC.
#[must_use]
pub fn moment_in(rfc3339: &str, offset_min: i32) -> String {
    match OffsetDateTime::parse(rfc3339, &Rfc3339) {
        Ok(time) => {
            let time = time.to_offset(offset(offset_min));
            format!("{} {} {}", time.date(), hms(time), zone(time.offset()))
        }
        Err(_) => rfc3339.to_owned(),
    }
}

/// Only the time of day of a moment, in its own zone.
#[must_use]
pub fn time_of_day(rfc3339: &str) -> String {
    OffsetDateTime::parse(rfc3339, &Rfc3339).map_or_else(|_| rfc3339.to_owned(), hms)
}

/// Nanoseconds since 1970 of a moment written in RFC 3339.
#[must_use]
pub fn utc_ns(rfc3339: &str) -> Option<i64> {
    let time = OffsetDateTime::parse(rfc3339, &Rfc3339).ok()?;
    i64::try_from(time.unix_timestamp_nanos()).ok()
}

/// Offset from UTC in which a moment is written, minutes.
#[must_use]
pub fn zone_min(rfc3339: &str) -> Option<i32> {
    let time = OffsetDateTime::parse(rfc3339, &Rfc3339).ok()?;
    Some(i32::from(time.offset().whole_minutes()))
}

/// RFC 3339 of what a field for date and time holds ('2026-03-01T09:30'), which is local.
#[must_use]
pub fn rfc3339_of_field(local: &str, offset_min: i32) -> Option<String> {
    let (date, time) = local.split_once('T')?;
    let sign = if offset_min < 0 { '-' } else { '+' };
    let (hours, minutes) = (offset_min.abs() / 60, offset_min.abs() % 60);
    let seconds = if time.len() == 5 { ":00" } else { "" };
    let text = format!("{date}T{time}{seconds}{sign}{hours:02}:{minutes:02}");
    OffsetDateTime::parse(&text, &Rfc3339).ok().map(|_| text)
}

/// What a field for date and time is to hold.
#[must_use]
pub fn field_of_ns(utc_ns: i64, offset_min: i32) -> String {
    let time = at(utc_ns, offset_min);
    format!(
        "{}T{:02}:{:02}",
        day(utc_ns, offset_min),
        time.hour(),
        time.minute()
    )
}

/// A date written YYYY-MM-DD, if there is such a day.
#[must_use]
pub fn date(text: &str) -> Option<Date> {
    if text.len() != 10 {
        return None;
    }
    Date::parse(text, format_description!("[year]-[month]-[day]")).ok()
}

/// Seconds from one moment to another, ns.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn seconds_between(from_ns: i64, to_ns: i64) -> f64 {
    to_ns.saturating_sub(from_ns) as f64 / NS as f64
}

/// Nanoseconds of a length in seconds.
#[must_use]
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
pub fn ns_of(seconds: f64) -> i64 {
    (seconds * NS as f64).round() as i64 // saturates
}

/// An impedance: '4.7 kΩ', '> 999 kΩ', '—'.
#[must_use]
pub fn impedance(kohm: Option<f64>) -> String {
    match kohm {
        None => "—".to_owned(),
        Some(value) if value > 999.0 => "> 999 kΩ".to_owned(),
        Some(value) => format!("{} kΩ", number(value, if value < 10.0 { 1 } else { 0 })),
    }
}

/// Hours: '37 h', '1.5 h'.
#[must_use]
pub fn hours(value: f64) -> String {
    format!("{} h", number(value, if value < 10.0 { 1 } else { 0 }))
}

/// Bytes: '1.2 GB'.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn bytes(value: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let (mut value, mut unit) = (value as f64, 0);
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{} {}", number(value, usize::from(unit > 0)), UNITS[unit])
}

/// The first eight characters of a hash or id, enough to compare by eye.
#[must_use]
pub fn short(hash: &str) -> String {
    hash.chars().take(8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths() {
        assert_eq!(length(751.9), "00:12:31");
        assert_eq!(length(-1.0), "00:00:00");
        assert_eq!(length(100_000.0), "27:46:40");
        assert_eq!(span(0.25), "250 ms");
        assert_eq!(span(2.5), "2.5 s");
        assert_eq!(span(200.0), "3 min 20 s");
        assert_eq!(span(7_500.0), "2 h 05 min");
    }

    #[test]
    fn numbers_have_no_idle_zeros() {
        assert_eq!(number(7.0, 1), "7");
        assert_eq!(number(1.60, 2), "1.6");
        assert_eq!(number(100.0, 0), "100");
        assert_eq!(impedance(Some(4.68)), "4.7 kΩ");
        assert_eq!(impedance(Some(27.3)), "27 kΩ");
        assert_eq!(impedance(Some(5000.0)), "> 999 kΩ");
        assert_eq!(impedance(None), "—");
        assert_eq!(bytes(1_234_000_000), "1.2 GB");
        assert_eq!(bytes(12), "12 B");
        assert_eq!(hours(37.4), "37 h");
        assert_eq!(hours(1.52), "1.5 h");
    }

    #[test]
    fn moments_keep_their_zone() {
        assert_eq!(
            moment("2026-03-01T12:03:07.5+01:00"),
            "2026-03-01 12:03:07 UTC+1"
        );
        assert_eq!(
            moment("2026-03-01T12:03:07-03:30"),
            "2026-03-01 12:03:07 UTC−3:30"
        );
        assert_eq!(
            moment_in("2026-03-01T23:30:00Z", 60),
            "2026-03-02 00:30:00 UTC+1"
        );
        assert_eq!(moment("yesterday"), "yesterday");
        assert_eq!(zone_min("2026-03-01T12:03:07-03:30"), Some(-210));
    }

    #[test]
    fn nanoseconds_and_clocks() {
        let ns = utc_ns("1970-01-01T01:00:01.25+01:00").unwrap();
        assert_eq!(ns, 1_250_000_000);
        assert_eq!(clock_ms(ns, 60), "01:00:01.250");
        assert_eq!(clock_zone(ns, 0), "00:00:01 UTC+0");
        assert!((seconds_between(0, ns) - 1.25).abs() < 1e-12);
        assert_eq!(ns_of(1.25), ns);
    }

    #[test]
    fn fields_of_date_and_time_are_local() {
        let text = rfc3339_of_field("2026-03-01T09:30", 60).unwrap();
        assert_eq!(text, "2026-03-01T09:30:00+01:00");
        assert_eq!(field_of_ns(utc_ns(&text).unwrap(), 60), "2026-03-01T09:30");
        assert_eq!(rfc3339_of_field("2026-02-30T09:30", 60), None);
        assert!(date("2024-02-29").is_some());
        assert!(date("2023-02-29").is_none());
        assert!(date("1.1.2020").is_none());
    }
}
