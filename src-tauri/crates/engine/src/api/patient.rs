//! Patients and consent.

use super::{id, wire};
use crate::rpc::Calls;
use crate::serve::Shared;
use ui_types::{
    ApiError, ConsentState, ErrorCode, Nothing, PatientConsent, PatientEdit, PatientList,
    PatientListReply, PatientRegister, PatientRegisterReply, PatientShow, PatientView, Sex,
};
use workstation::rooms::clinic;
use workstation::{PatientRecord, rfc3339_here};

pub(super) fn add(calls: Calls<Shared>) -> Calls<Shared> {
    calls
        .serve(|shared: Shared, call: PatientRegister, _| async move {
            let identity = clinic::Identity {
                family_name: call.family_name,
                given_name: call.given_name,
                birth_date: birth_date(&call.birth_date)?,
                sex: sex(call.sex),
                hospital_number: call.hospital_number,
            };
            let id = shared
                .workstation
                .register_patient(identity, call.training)
                .await;
            Ok(PatientRegisterReply {
                id: id.map_err(wire)?.to_string(),
            })
        })
        .serve(|shared: Shared, call: PatientEdit, _| async move {
            let identity = clinic::Identity {
                family_name: call.family_name,
                given_name: call.given_name,
                birth_date: birth_date(&call.birth_date)?,
                sex: sex(call.sex),
                hospital_number: call.hospital_number,
            };
            let edited = shared
                .workstation
                .edit_patient(id("patient", &call.id)?, identity)
                .await;
            edited.map(view).map_err(wire)
        })
        .serve(|shared: Shared, call: PatientList, _| async move {
            let patients = shared
                .workstation
                .patients(&call.search)
                .await
                .map_err(wire)?;
            Ok(PatientListReply {
                patients: patients.into_iter().map(view).collect(),
            })
        })
        .serve(|shared: Shared, call: PatientShow, _| async move {
            let patient = shared.workstation.patient(id("patient", &call.id)?).await;
            Ok(view(patient.map_err(wire)?))
        })
        .serve(|shared: Shared, call: PatientConsent, _| async move {
            let state = match call.state {
                ConsentState::Missing => clinic::ConsentState::Missing,
                ConsentState::Granted => clinic::ConsentState::Granted,
                ConsentState::Refused => clinic::ConsentState::Refused,
                ConsentState::Withdrawn => clinic::ConsentState::Withdrawn,
            };
            let noted = shared
                .workstation
                .set_consent(id("patient", &call.id)?, state)
                .await;
            noted.map_err(wire).map(|()| Nothing {})
        })
}

fn birth_date(text: &str) -> Result<Option<clinic::BirthDate>, ApiError> {
    match text.trim() {
        "" => Ok(None),
        text => clinic::BirthDate::parse(text)
            .map(Some)
            .map_err(|error| ApiError::new(ErrorCode::Invalid, error.to_string(), "")),
    }
}

const fn sex(sex: Sex) -> clinic::Sex {
    match sex {
        Sex::Female => clinic::Sex::Female,
        Sex::Male => clinic::Sex::Male,
        Sex::Unknown => clinic::Sex::Unknown,
    }
}

pub(super) fn view(patient: PatientRecord) -> PatientView {
    let identity = patient.identity;
    PatientView {
        id: patient.id.to_string(),
        family_name: identity.family_name,
        given_name: identity.given_name,
        birth_date: identity
            .birth_date
            .map_or_else(String::new, |date| date.to_string()),
        sex: match identity.sex {
            clinic::Sex::Female => Sex::Female,
            clinic::Sex::Male => Sex::Male,
            clinic::Sex::Unknown => Sex::Unknown,
        },
        hospital_number: identity.hospital_number,
        training: patient.training,
        temporary: patient.temporary,
        consent: match patient.consent {
            clinic::ConsentState::Missing => ConsentState::Missing,
            clinic::ConsentState::Granted => ConsentState::Granted,
            clinic::ConsentState::Refused => ConsentState::Refused,
            clinic::ConsentState::Withdrawn => ConsentState::Withdrawn,
        },
        consent_at: patient.consent_at.map(rfc3339_here),
    }
}
