//! `neurascale patient`

use crate::Context;
use crate::args::PatientCommand;
use crate::output::{field, table};
use engine_client::ClientError;
use std::process::ExitCode;
use ui_types::{
    ConsentState, PatientConsent, PatientList, PatientRegister, PatientShow, PatientView, Sex,
};

pub(super) async fn run(
    context: &Context,
    command: PatientCommand,
) -> Result<ExitCode, ClientError> {
    let client = context.client().await?;
    match command {
        PatientCommand::Register {
            family_name,
            given_name,
            birth_date,
            sex,
            hospital_number,
            training,
        } => {
            let call = PatientRegister {
                family_name,
                given_name,
                birth_date,
                sex: sex.into(),
                hospital_number,
                training,
            };
            let reply = client.call(&call).await?;
            context
                .output
                .result(&reply, |reply, out| field(out, "patient", &reply.id));
        }
        PatientCommand::List { search } => {
            let reply = client.call(&PatientList { search }).await?;
            context.output.result(&reply, |reply, out| {
                let rows: Vec<_> = reply.patients.iter().map(row).collect();
                table(
                    out,
                    &["ID", "NAME", "BORN", "SEX", "NUMBER", "CONSENT", ""],
                    &rows,
                );
                if rows.is_empty() {
                    out.push_str("No patient found. Register one with 'patient register'.\n");
                }
            });
        }
        PatientCommand::Show { id } => {
            let reply = client.call(&PatientShow { id }).await?;
            context.output.result(&reply, |patient, out| {
                let names = ["id", "name", "born", "sex", "number", "consent", "marked"];
                for (name, value) in names.iter().zip(row(patient)) {
                    field(out, name, value);
                }
            });
        }
        PatientCommand::Consent { id, state } => {
            let reply = client
                .call(&PatientConsent {
                    id,
                    state: state.into(),
                })
                .await?;
            context
                .output
                .result(&reply, |_, out| out.push_str("Consent noted.\n"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn row(patient: &PatientView) -> Vec<String> {
    let marks = match (patient.training, patient.temporary) {
        (true, _) => "training",
        (_, true) => "temporary identity",
        _ => "",
    };
    let consent = match patient.consent {
        ConsentState::Missing => "missing",
        ConsentState::Granted => "granted",
        ConsentState::Refused => "refused",
        ConsentState::Withdrawn => "withdrawn",
    };
    let sex = match patient.sex {
        Sex::Female => "f",
        Sex::Male => "m",
        Sex::Unknown => "-",
    };
    let name = [patient.family_name.as_str(), patient.given_name.as_str()];
    let name: Vec<_> = name.into_iter().filter(|part| !part.is_empty()).collect();
    vec![
        patient.id.clone(),
        name.join(", "),
        patient.birth_date.clone(),
        sex.to_owned(),
        patient.hospital_number.clone(),
        consent.to_owned(),
        marks.to_owned(),
    ]
}
