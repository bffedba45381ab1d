//! Who a patient is, and what was agreed.

use crate::limits::{MAX_NAME_CHARS, MAX_NUMBER_CHARS};
use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

id!(
    /// Opaque id of a patient; says nothing about the person.
    PatientId
);
id!(
    /// Opaque id of a session.
    SessionId
);

/// Sex as EDF+ and the report write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sex {
    /// F.
    Female,
    /// M.
    Male,
    /// X.
    Unknown,
}

/// Consent to recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentState {
    /// Nobody has asked.
    Missing,
    /// Given.
    Granted,
    /// Refused.
    Refused,
    /// Taken back.
    Withdrawn,
}

/// What a person may do here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Records, reads, signs.
    Clinician,
    /// Records and marks.
    Technician,
    /// Finds and exports de-identified recordings.
    Researcher,
    /// Manages users and policies.
    Administrator,
}

/// A calendar date of birth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BirthDate(time::Date);

impl BirthDate {
    /// Reads YYYY-MM-DD.
    ///
    /// # Errors
    /// When the text is no date of the Gregorian calendar since 1850.
    pub fn parse(text: &str) -> Result<Self, IdentityError> {
        let format = time::macros::format_description!("[year]-[month]-[day]");
        let date = time::Date::parse(text, format).map_err(|_| IdentityError::BirthDate)?;
        if date.year() < 1850 {
            Err(IdentityError::BirthDate)
        } else {
            Ok(Self(date))
        }
    }

    /// The date.
    #[must_use]
    pub const fn date(self) -> time::Date {
        self.0
    }
}

impl TryFrom<String> for BirthDate {
    type Error = IdentityError;

    fn try_from(text: String) -> Result<Self, IdentityError> {
        Self::parse(&text)
    }
}

impl From<BirthDate> for String {
    fn from(date: BirthDate) -> Self {
        date.to_string()
    }
}

impl fmt::Display for BirthDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:04}-{:02}-{:02}",
            self.0.year(),
            u8::from(self.0.month()),
            self.0.day()
        )
    }
}

/// What identifies a person. Its `Debug` shows nothing of it, so that no log line can.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Family name.
    pub family_name: String,
    /// Given name.
    pub given_name: String,
    /// Date of birth, where known.
    pub birth_date: Option<BirthDate>,
    /// Sex.
    pub sex: Sex,
    /// The hospital's number; empty when there is none yet.
    pub hospital_number: String,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(withheld)")
    }
}

/// Why an identity cannot be taken as given. Names the field, never its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IdentityError {
    /// No family name.
    #[error("a family name is needed")]
    NoName,
    /// A name is too long.
    #[error("a name may have at most {MAX_NAME_CHARS} characters")]
    NameTooLong,
    /// A number is too long.
    #[error("a hospital number may have at most {MAX_NUMBER_CHARS} characters")]
    NumberTooLong,
    /// Control characters, which would break reports and exports.
    #[error("names and numbers may not hold control characters")]
    ControlCharacter,
    /// No date.
    #[error("a birth date is written YYYY-MM-DD, from 1850 on")]
    BirthDate,
    /// A date after today.
    #[error("a birth date lies in the past")]
    BirthDateAhead,
}

impl Identity {
    /// The same with blanks around trimmed, if it can be taken; `today` bounds the birth date.
    ///
    /// # Errors
    /// The first field found wrong.
    pub fn checked(mut self, today: time::Date) -> Result<Self, IdentityError> {
        for text in [
            &mut self.family_name,
            &mut self.given_name,
            &mut self.hospital_number,
        ] {
            if text.chars().any(char::is_control) {
                return Err(IdentityError::ControlCharacter);
            }
            *text = text.trim().to_owned();
        }
        if self.family_name.is_empty() {
            return Err(IdentityError::NoName);
        }
        if [&self.family_name, &self.given_name]
            .iter()
            .any(|n| n.chars().count() > MAX_NAME_CHARS)
        {
            return Err(IdentityError::NameTooLong);
        }
        if self.hospital_number.chars().count() > MAX_NUMBER_CHARS {
            return Err(IdentityError::NumberTooLong);
        }
        if self.birth_date.is_some_and(|date| date.date() > today) {
            return Err(IdentityError::BirthDateAhead);
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::date;

    fn identity() -> Identity {
        Identity {
            family_name: " Test ".to_owned(),
            given_name: "Patient".to_owned(),
            birth_date: Some(BirthDate::parse("1971-04-02").unwrap()),
            sex: Sex::Unknown,
            hospital_number: "00012345".to_owned(),
        }
    }

    #[test]
    fn identities_are_trimmed_and_checked() {
        let today = date!(2026 - 01 - 01);
        assert_eq!(identity().checked(today).unwrap().family_name, "Test");
        let check = |change: fn(&mut Identity)| {
            let mut changed = identity();
            change(&mut changed);
            changed.checked(today).unwrap_err()
        };
        assert_eq!(
            check(|i| i.family_name = "  ".into()),
            IdentityError::NoName
        );
        assert_eq!(
            check(|i| i.given_name = "a\nb".into()),
            IdentityError::ControlCharacter
        );
        assert_eq!(
            check(|i| i.given_name = "a".repeat(201)),
            IdentityError::NameTooLong
        );
        assert_eq!(
            check(|i| i.hospital_number = "1".repeat(65)),
            IdentityError::NumberTooLong
        );
        let ahead = |i: &mut Identity| i.birth_date = BirthDate::parse("2027-01-01").ok();
        assert_eq!(check(ahead), IdentityError::BirthDateAhead);
    }

    #[test]
    fn dates_are_dates() {
        for text in [
            "",
            "1971-2-3",
            "1971-02-30",
            "02.04.1971",
            "1066-10-14",
            "2024-02-29x",
        ] {
            assert!(BirthDate::parse(text).is_err(), "{text}");
        }
        assert_eq!(
            BirthDate::parse("2024-02-29").unwrap().to_string(),
            "2024-02-29"
        );
    }

    #[test]
    fn debug_withholds_the_person() {
        assert!(!format!("{:?}", identity()).contains("Test"));
    }
}
