//! Who may make which call: the one table, and where it is looked up.
//!
//! A call without a token is made in the name of the system's user who owns the engine and its
//! socket (the command line, a service) and may do everything that needs no person. A call with one
//! is made in its person's name, and the table decides. A token that is unknown or has ended opens
//! only what needs nobody; so does the empty one, which a window sends while nobody is signed in.

use crate::rpc::error_response;
use crate::serve::Shared;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::Response;
use std::sync::Arc;
use ui_types::{ApiError, ErrorCode};
use workstation::PersonRole::{self, Administrator, BreakGlass, Clinician, Researcher, Technician};
use workstation::{Person, Workstation};

/// The token a call carries; a secret, never printed.
#[derive(Clone)]
pub(crate) struct Bearer(pub(crate) Arc<str>);

impl std::fmt::Debug for Bearer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bearer")
    }
}

/// In whose name a call is made: a person's, or, without one, the system's.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    token: Option<Bearer>,
    person: Option<Arc<Person>>,
}

/// What is shared by calls and can act for a person.
pub(crate) trait Acting {
    /// The same in the caller's name.
    #[must_use]
    fn acting(self, caller: Caller) -> Self;
}

impl Acting for Shared {
    fn acting(mut self, caller: Caller) -> Self {
        self.token = caller.token;
        if let Some(person) = caller.person {
            let workstation: Workstation = self.workstation;
            self.workstation = workstation.in_the_name_of(person);
        }
        self
    }
}

enum Needs {
    /// Nobody: signing in, the emergency stop, asking whether the engine is there.
    Nobody,
    /// Someone with one of these roles.
    Roles(&'static [PersonRole]),
}

const ALL: Needs = Needs::Roles(&[Clinician, Technician, Researcher, Administrator, BreakGlass]);
const ACCOUNTS: Needs = Needs::Roles(&[Clinician, Technician, Researcher, Administrator]);
/// Everyone at the bedside, known or not: care is not blocked.
const BEDSIDE: Needs = Needs::Roles(&[Clinician, Technician, Administrator, BreakGlass]);
/// Everyone at the bedside who has an account.
const STAFF: Needs = Needs::Roles(&[Clinician, Technician, Administrator]);
const EXPORTERS: Needs = Needs::Roles(&[Clinician, Researcher, Administrator]);
const SIGNERS: Needs = Needs::Roles(&[Clinician, Administrator]);
const ADMINISTRATORS: Needs = Needs::Roles(&[Administrator]);

const TABLE: &[(&str, Needs)] = &[
    ("engine.status", Needs::Nobody),
    ("session.emergency_stop", Needs::Nobody),
    ("auth.status", Needs::Nobody),
    ("auth.first_administrator", Needs::Nobody),
    ("auth.sign_in", Needs::Nobody),
    ("auth.sign_out", Needs::Nobody),
    ("auth.break_glass", Needs::Nobody),
    ("user.list", ADMINISTRATORS),
    ("user.add", ADMINISTRATORS),
    ("user.disable", ADMINISTRATORS),
    ("policy.list", ACCOUNTS),
    ("policy.set", ADMINISTRATORS),
    ("engine.stop", ADMINISTRATORS),
    ("key.recovery_code", ADMINISTRATORS),
    ("backup.create", ADMINISTRATORS),
    ("doctor", ALL),
    ("support.bundle", ALL),
    ("timing.certify", STAFF),
    ("worklist", BEDSIDE),
    ("patient.list", BEDSIDE),
    ("patient.show", BEDSIDE),
    ("patient.register", STAFF),
    ("patient.edit", STAFF),
    ("patient.consent", STAFF),
    ("order.add", STAFF),
    ("order.cancel", STAFF),
    ("device.list", BEDSIDE),
    ("device.probe", BEDSIDE),
    ("protocol.list", ALL),
    ("session.start", BEDSIDE),
    ("session.stop", BEDSIDE),
    ("session.resume", BEDSIDE),
    ("session.annotate", BEDSIDE),
    ("session.impedance", BEDSIDE),
    ("session.pause", BEDSIDE),
    ("session.relabel", BEDSIDE),
    ("session.reassign", STAFF),
    ("session.list", ALL),
    ("session.show", ALL),
    ("feed", BEDSIDE),
    ("page", ALL),
    ("view.choices", ALL),
    ("annotation.add", BEDSIDE),
    ("annotation.supersede", STAFF),
    ("recording.show", ALL),
    ("recording.verify", ACCOUNTS),
    ("recording.repair", STAFF),
    ("export.create", EXPORTERS),
    ("report.show", STAFF),
    ("report.create", STAFF),
    ("report.draft", SIGNERS),
    ("report.sign", SIGNERS),
    ("report.amend", SIGNERS),
    ("ledger.show", ACCOUNTS),
    ("ledger.verify", ACCOUNTS),
    ("ledger.proof", ACCOUNTS),
    ("events.replay", ACCOUNTS),
    ("workflow.show", ACCOUNTS),
    ("workflow.replay", ACCOUNTS),
];

/// What goes on while the store is closed and nobody can sign in: care is not blocked. None of it
/// shows who a patient is.
const CARE: &[&str] = &[
    "doctor",
    "support.bundle",
    "device.list",
    "device.probe",
    "protocol.list",
    "session.start",
    "session.stop",
    "session.annotate",
    "session.impedance",
    "session.pause",
    "session.relabel",
    "session.list",
    "session.show",
    "view.choices",
    "feed",
];

fn needs(name: &str) -> Option<&'static Needs> {
    TABLE
        .iter()
        .find(|(listed, _)| *listed == name)
        .map(|(_, needs)| needs)
}

#[cfg(test)]
pub(crate) fn is_listed(name: &str) -> bool {
    needs(name).is_some()
}

/// Lets a call through in its caller's name, or refuses it before its body is read.
pub(crate) async fn check(
    State(shared): State<Shared>,
    mut request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    let name = path.rsplit('/').next().unwrap_or_default();
    let token = token(request.headers());
    let person = token
        .as_ref()
        .and_then(|Bearer(token)| shared.workstation.holder(token));
    let nobody_can = shared.workstation.store_problem().is_some() && CARE.contains(&name);
    if let Err(error) = allowed(name, token.is_some() && !nobody_can, person.as_deref()) {
        tracing::info!(call = name, person = ?person, "not allowed");
        return error_response(&error);
    }
    request.extensions_mut().insert(Caller { token, person });
    next.run(request).await
}

fn allowed(name: &str, carries_token: bool, person: Option<&Person>) -> Result<(), ApiError> {
    let roles = match needs(name) {
        Some(Needs::Nobody) => return Ok(()),
        Some(Needs::Roles(roles)) => *roles,
        // Not in the table: nobody with a token may.
        None => &[],
    };
    match person {
        None if !carries_token => Ok(()),
        None => Err(ApiError::new(
            ErrorCode::NotAllowed,
            "nobody is signed in, or the sign-in has ended",
            "Sign in.",
        )),
        Some(person) if roles.contains(&person.role) => Ok(()),
        Some(person) => Err(ApiError::new(
            ErrorCode::NotAllowed,
            format!("'{name}' is not for {}", spoken(person.role)),
            "Ask someone who may do it to sign in.",
        )),
    }
}

const fn spoken(role: PersonRole) -> &'static str {
    match role {
        Clinician => "clinicians",
        Technician => "technicians",
        Researcher => "researchers",
        Administrator => "administrators",
        BreakGlass => "those who came in by break-glass",
    }
}

/// The token of a call; empty when the header is there and holds none that could be one.
fn token(headers: &HeaderMap) -> Option<Bearer> {
    let value = headers.get(AUTHORIZATION)?;
    let text = value.to_str().unwrap_or_default();
    let token = text.strip_prefix("Bearer").unwrap_or_default();
    Some(Bearer(token.trim().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(role: PersonRole) -> Person {
        Person {
            id: Default::default(),
            login: String::new(),
            display_name: String::new(),
            role,
        }
    }

    #[track_caller]
    fn check(name: &str, expected: &[PersonRole]) {
        for role in [Clinician, Technician, Researcher, Administrator, BreakGlass] {
            let may = allowed(name, true, Some(&person(role))).is_ok();
            assert_eq!(may, expected.contains(&role), "{name} by {role:?}");
        }
    }

    #[test]
    fn roles_decide() {
        let all = [Clinician, Technician, Researcher, Administrator, BreakGlass];
        check("session.emergency_stop", &all);
        check(
            "session.start",
            &[Clinician, Technician, Administrator, BreakGlass],
        );
        check(
            "session.annotate",
            &[Clinician, Technician, Administrator, BreakGlass],
        );
        check("export.create", &[Clinician, Researcher, Administrator]);
        check("report.sign", &[Clinician, Administrator]);
        check("user.add", &[Administrator]);
        check("policy.set", &[Administrator]);
        check(
            "patient.list",
            &[Clinician, Technician, Administrator, BreakGlass],
        );
        check("no.such_call", &[]);
    }

    #[test]
    fn an_ended_token_is_never_the_system() {
        for (name, needs) in TABLE {
            let open = matches!(needs, Needs::Nobody);
            assert_eq!(allowed(name, true, None).is_ok(), open, "{name}");
            assert!(allowed(name, false, None).is_ok(), "{name} by the system");
        }
    }

    #[test]
    fn a_header_without_a_token_is_nobodys() {
        for text in ["", "Bearer", "Bearer ", "Basic abc", "bearer abc"] {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, text.parse().unwrap());
            let Bearer(found) = token(&headers).unwrap();
            assert_eq!(&*found, "", "{text:?}");
        }
        assert!(token(&HeaderMap::new()).is_none());
    }
}
