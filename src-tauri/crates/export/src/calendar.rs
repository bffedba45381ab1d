//! Dates as EDF+ and the sidecars write them.

use signal::{NANOS_PER_S, UtcNanos, ZoneOffset};
use time::{Date, Duration, Month, OffsetDateTime, PrimitiveDateTime, Time};

const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];

/// The date a de-identified file states (EDF+ FAQ: 'if the date is not to be known').
fn anonymous() -> Date {
    Date::from_calendar_date(1985, Month::January, 1).unwrap_or(Date::MIN)
}

/// A local date and time in whole seconds, and the nanoseconds that follow them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Local {
    date: Date,
    time: Time,
}

impl Local {
    /// The local time at `at`, cut to the second.
    pub(crate) fn new(at: UtcNanos, zone: ZoneOffset) -> Self {
        let seconds = at.0.div_euclid(NANOS_PER_S) + i64::from(zone.0);
        let at = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        Self {
            date: at.date(),
            time: at.time(),
        }
    }

    /// The same time of day on the anonymous date, moved by as many days as this lies after `first`,
    /// so that files of one recording keep their distance.
    pub(crate) fn anonymised(self, first: Self) -> Self {
        let days = (self.date - first.date).whole_days();
        let date = anonymous()
            .checked_add(Duration::days(days))
            .unwrap_or_else(anonymous);
        Self { date, ..self }
    }

    /// Moved back by `days`.
    pub(crate) fn shifted(self, days: u32) -> Self {
        let date = self
            .date
            .checked_sub(Duration::days(i64::from(days)))
            .unwrap_or_else(anonymous);
        Self { date, ..self }
    }

    /// The header's date, `dd.mm.yy`.
    pub(crate) fn header_date(self) -> String {
        format!(
            "{:02}.{:02}.{:02}",
            self.date.day(),
            u8::from(self.date.month()),
            self.date.year().rem_euclid(100)
        )
    }

    /// The header's time, `hh.mm.ss`.
    pub(crate) fn header_time(self) -> String {
        format!(
            "{:02}.{:02}.{:02}",
            self.time.hour(),
            self.time.minute(),
            self.time.second()
        )
    }

    /// The date as EDF+ identification fields have it, `dd-MMM-yyyy`.
    pub(crate) fn edf_plus_date(self) -> String {
        edf_plus_date(self.date)
    }

    /// ISO 8601 without zone, as BIDS writes acquisition times.
    pub(crate) fn iso(self) -> String {
        let at = PrimitiveDateTime::new(self.date, self.time);
        format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
            at.year(),
            u8::from(at.month()),
            at.day(),
            at.hour(),
            at.minute(),
            at.second()
        )
    }
}

fn edf_plus_date(date: Date) -> String {
    let month = MONTHS[usize::from(u8::from(date.month())) - 1];
    format!("{:02}-{month}-{:04}", date.day(), date.year())
}

/// A date of birth as EDF+ writes it; `None` when there is no such day.
pub(crate) fn birthdate(date: crate::CalendarDate) -> Option<String> {
    let month = Month::try_from(date.month).ok()?;
    Date::from_calendar_date(date.year, month, date.day)
        .ok()
        .map(edf_plus_date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_time_and_its_disguises() {
        // 2026-11-23T23:30:00.5Z at +01:00 is the 24th.
        let at = UtcNanos(1_795_476_600 * NANOS_PER_S + 500_000_000);
        let local = Local::new(at, ZoneOffset(3_600));
        assert_eq!(local.header_date(), "24.11.26");
        assert_eq!(local.header_time(), "00.30.00");
        assert_eq!(local.edf_plus_date(), "24-NOV-2026");
        assert_eq!(local.anonymised(local).edf_plus_date(), "01-JAN-1985");
        let next = Local::new(at.plus_nanos(86_400 * NANOS_PER_S), ZoneOffset(3_600));
        assert_eq!(next.anonymised(local).edf_plus_date(), "02-JAN-1985");
        assert_eq!(local.shifted(365).iso(), "2025-11-24T00:30:00");
    }
}
