//! What a form takes, said at the field. The engine checks again; this spares a round and names the field.

use crate::format;
use crate::limits::{FIELD_CHARS, OLDEST_YEARS};
use crate::words::{Text, common, sign_in, worklist};

/// What the patient form holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PatientFields {
    /// Family name.
    pub family_name: String,
    /// Given name.
    pub given_name: String,
    /// YYYY-MM-DD or empty.
    pub birth_date: String,
    /// The hospital's number.
    pub hospital_number: String,
}

/// What is wrong with each field of the patient form.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PatientFaults {
    /// Family name.
    pub family_name: Option<Text>,
    /// Given name.
    pub given_name: Option<Text>,
    /// Birth date.
    pub birth_date: Option<Text>,
    /// The hospital's number.
    pub hospital_number: Option<Text>,
}

impl PatientFaults {
    /// Whether nothing is.
    #[must_use]
    pub fn none(&self) -> bool {
        *self == Self::default()
    }
}

fn too_long(text: &str) -> Option<Text> {
    (text.chars().count() > FIELD_CHARS).then_some(common::TOO_LONG)
}

/// Checks the patient form on a day (YYYY-MM-DD).
#[must_use]
pub fn patient(fields: &PatientFields, today: &str) -> PatientFaults {
    let family_name = if fields.family_name.trim().is_empty() {
        Some(worklist::FAMILY_NAME_MISSING)
    } else {
        too_long(&fields.family_name)
    };
    PatientFaults {
        family_name,
        given_name: too_long(&fields.given_name),
        birth_date: birth_date(fields.birth_date.trim(), today),
        hospital_number: too_long(&fields.hospital_number),
    }
}

fn birth_date(text: &str, today: &str) -> Option<Text> {
    if text.is_empty() {
        return None;
    }
    let Some(born) = format::date(text) else {
        return Some(worklist::BIRTH_DATE_FORM);
    };
    let today = format::date(today)?;
    if born > today {
        return Some(worklist::BIRTH_DATE_FUTURE);
    }
    (today.year() - born.year() > OLDEST_YEARS).then_some(worklist::BIRTH_DATE_OLD)
}

/// Checks a name to sign in with.
#[must_use]
pub fn login(text: &str) -> Option<Text> {
    if text.trim().is_empty() {
        return Some(sign_in::LOGIN_MISSING);
    }
    if text.chars().any(char::is_whitespace) {
        return Some(sign_in::LOGIN_SPACES);
    }
    too_long(text)
}

/// Checks a new password and its repetition; the fault of each.
#[must_use]
pub fn new_password(password: &str, again: &str, least: u32) -> (Option<Text>, Option<Text>) {
    let short = password.chars().count() < least as usize;
    (
        short.then_some(sign_in::PASSWORD_SHORT),
        (password != again).then_some(sign_in::PASSWORD_DIFFERS),
    )
}

/// Something must stand there.
#[must_use]
pub fn given(text: &str) -> Option<Text> {
    text.trim().is_empty().then_some(common::MISSING)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn born(date: &str) -> Option<Text> {
        let fields = PatientFields {
            family_name: "Test".to_owned(),
            birth_date: date.to_owned(),
            ..PatientFields::default()
        };
        patient(&fields, "2026-03-01").birth_date
    }

    #[test]
    fn a_birth_date_is_a_day_that_has_been() {
        assert_eq!(born(""), None);
        assert_eq!(born("1971-04-02"), None);
        assert_eq!(born("2026-03-01"), None);
        assert_eq!(born("2026-03-02"), Some(worklist::BIRTH_DATE_FUTURE));
        assert_eq!(born("1771-04-02"), Some(worklist::BIRTH_DATE_OLD));
        assert_eq!(born("02.04.1971"), Some(worklist::BIRTH_DATE_FORM));
        assert_eq!(born("1971-02-29"), Some(worklist::BIRTH_DATE_FORM));
    }

    #[test]
    fn a_patient_needs_a_family_name_only() {
        let mut fields = PatientFields::default();
        assert_eq!(
            patient(&fields, "2026-03-01").family_name,
            Some(worklist::FAMILY_NAME_MISSING)
        );
        fields.family_name = "Test".to_owned();
        assert!(patient(&fields, "2026-03-01").none());
        fields.hospital_number = "1".repeat(FIELD_CHARS + 1);
        assert!(!patient(&fields, "2026-03-01").none());
    }

    #[test]
    fn logins_and_passwords() {
        assert_eq!(login(" "), Some(sign_in::LOGIN_MISSING));
        assert_eq!(login("a weber"), Some(sign_in::LOGIN_SPACES));
        assert_eq!(login("a.weber"), None);
        assert_eq!(new_password("long enough", "long enough", 8), (None, None));
        assert_eq!(
            new_password("kurz", "kürz", 8),
            (
                Some(sign_in::PASSWORD_SHORT),
                Some(sign_in::PASSWORD_DIFFERS)
            )
        );
    }
}
