//! How a patient is named on the pages, and what stands there while identity is hidden.

use crate::words::{common, t};
use ui_types::{PatientView, Sex};

/// What stands in the place of anything that identifies.
pub const HIDDEN: &str = "•••••";

/// Name as clinics write it: 'DOE, Jane'.
#[must_use]
pub fn name(patient: &PatientView) -> String {
    let family = patient.family_name.to_uppercase();
    if patient.given_name.is_empty() {
        family
    } else {
        format!("{family}, {}", patient.given_name)
    }
}

/// One letter for the sex.
#[must_use]
pub fn sex(sex: Sex) -> &'static str {
    match sex {
        Sex::Female => t(common::SEX_F),
        Sex::Male => t(common::SEX_M),
        Sex::Unknown => t(common::SEX_X),
    }
}

/// The three that tell patients apart: name, birth date, hospital number; hidden when asked for.
#[must_use]
pub fn three(patient: &PatientView, hidden: bool) -> [String; 3] {
    if hidden {
        return [HIDDEN; 3].map(str::to_owned);
    }
    let or_dash = |text: &str| {
        if text.is_empty() {
            "—".to_owned()
        } else {
            text.to_owned()
        }
    };
    [
        name(patient),
        or_dash(&patient.birth_date),
        or_dash(&patient.hospital_number),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use ui_types::ConsentState;

    #[test]
    fn nothing_of_a_hidden_patient_is_left() {
        let patient = PatientView {
            id: "0197".to_owned(),
            family_name: "Doe".to_owned(),
            given_name: "Jane".to_owned(),
            birth_date: "1971-04-02".to_owned(),
            sex: Sex::Female,
            hospital_number: "00012345".to_owned(),
            training: false,
            temporary: false,
            consent: ConsentState::Granted,
            consent_at: None,
        };
        assert_eq!(
            three(&patient, false),
            ["DOE, Jane", "1971-04-02", "00012345"]
        );
        assert_eq!(three(&patient, true), [HIDDEN; 3]);
    }
}
