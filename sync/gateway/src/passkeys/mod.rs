//! Passkeys: signing in with an authenticator instead of a password (Web Authentication Level 3).
//!
//! The authenticator verifies its user (a fingerprint, a PIN), so that a passkey is two factors by itself and
//! signs in alone. It is registered by who knows the password, and the code where one is asked for: an
//! unattended screen is not to be enough. The challenge is a sealed note of the gateway's to itself, good
//! once and for minutes. People of an identity provider have none here: it says who they are.
//!
//! Not done: attestation of authenticators' models (`none` is asked for), and a passkey beside a password as
//! its second factor, which is the one-time codes' part.

mod verify;

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use events::{Clock, Timestamp};
use ledger::{CanonicalJson, Draft};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

pub use verify::PasskeyRefusal;
use verify::{ClientData, Key, Party, assertion, registration};

use crate::{
    limits::passkeys as limits,
    people::{People, PeopleError, Person},
    state::{Expect, Op, Space, State, StateError},
    tickets::{TicketError, Tickets},
};

/// Passkeys, by person and credential id.
const PASSKEYS: Space = "people_passkeys";
/// Persons, by credential id: no two have one.
const OWNERS: Space = "people_passkey_owners";
/// Challenges that were used.
pub(crate) const USED: Space = "people_passkey_used";

/// What a challenge for signing in is sealed for.
const SIGN_IN: &str = "signing in with a passkey";

/// Which pages may use passkeys.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PasskeyConfig {
    /// The relying party's id: the domain of the pages. Passkeys are off without it; those that were
    /// registered under one are of no use under another.
    pub rp_id: String,
    /// Origins of the pages: exact, with scheme and port.
    pub origins: Vec<String>,
}

impl PasskeyConfig {
    /// What makes no sense of it, if anything.
    pub(crate) fn nonsense(&self) -> Option<&'static str> {
        if self.rp_id.is_empty() {
            let reason = "origins of passkeys need an rp_id";
            return (!self.origins.is_empty()).then_some(reason);
        }
        let within = |origin: &String| {
            let Ok(url) = reqwest::Url::parse(origin) else {
                return false;
            };
            let host = url.host_str().unwrap_or_default();
            let below = host.strip_suffix(&self.rp_id);
            let belongs = below.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
            let safe = url.scheme() == "https" || url.scheme() == "http" && host == "localhost";
            belongs && safe && url.origin().ascii_serialization() == *origin
        };
        (self.origins.is_empty() || !self.origins.iter().all(within))
            .then_some("origins of passkeys are https addresses within rp_id, without a path")
    }
}

/// A passkey of somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passkey {
    /// Its credential id, base64url.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// Since when it is registered.
    pub created_at: Timestamp,
    /// When it was used last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_at: Option<Timestamp>,
    key: Key,
    counter: u32,
}

/// Why a passkey was not registered or does not sign in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PasskeyError {
    /// No relying party is configured.
    #[error("passkeys are not configured here")]
    Off,
    /// What was given makes no sense.
    #[error("{0}")]
    Unfit(&'static str),
    /// The ceremony does not hold. Who signs in is told no reason; the ledger says it.
    #[error("this passkey does not sign in")]
    Refused,
    /// There is no such passkey of theirs.
    #[error("there is no such passkey")]
    Unknown,
    /// A challenge was not made.
    #[error(transparent)]
    Ticket(#[from] TicketError),
    /// People.
    #[error(transparent)]
    People(#[from] PeopleError),
    /// The state failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// What the state holds is no passkey.
    #[error("the state holds what is no passkey ({0})")]
    Damaged(String),
}

/// A browser's answer, as `PublicKeyCredential.toJSON()` writes it: what is read of it.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[schemars(rename = "PasskeyAnswerOf{R}")]
pub struct Answer<R> {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    response: R,
}

/// An answer to a registration.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[schemars(rename = "PasskeyAttested")]
#[serde(rename_all = "camelCase")]
pub struct Attested {
    #[serde(rename = "clientDataJSON")]
    client_data: String,
    attestation_object: String,
}

/// An answer to a sign-in.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[schemars(rename = "PasskeyAsserted")]
#[serde(rename_all = "camelCase")]
pub struct Asserted {
    #[serde(rename = "clientDataJSON")]
    client_data: String,
    authenticator_data: String,
    signature: String,
    #[serde(default)]
    user_handle: Option<String>,
}

/// The ceremonies, and what comes of them.
#[derive(Debug)]
pub struct Passkeys {
    config: PasskeyConfig,
    state: State,
    clock: Arc<dyn Clock>,
    tickets: Tickets,
}

fn key(person: Uuid, id: &str) -> String {
    format!("{person}/{id}")
}

fn decoded(text: &str) -> Result<Vec<u8>, &'static str> {
    BASE64_URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| "the answer is not base64url")
}

fn read(value: &[u8]) -> Result<Passkey, PasskeyError> {
    serde_json::from_slice(value).map_err(|error| PasskeyError::Damaged(error.to_string()))
}

fn write(passkey: &Passkey) -> Result<Vec<u8>, PasskeyError> {
    serde_json::to_vec(passkey).map_err(|error| PasskeyError::Damaged(error.to_string()))
}

impl Passkeys {
    pub(crate) fn new(
        config: PasskeyConfig,
        state: State,
        clock: Arc<dyn Clock>,
        tickets: Tickets,
    ) -> Self {
        Self {
            config,
            state,
            clock,
            tickets,
        }
    }

    fn party(&self) -> Result<Party<'_>, PasskeyError> {
        if self.config.rp_id.is_empty() {
            return Err(PasskeyError::Off);
        }
        Ok(Party {
            id: &self.config.rp_id,
            origins: &self.config.origins,
        })
    }

    fn challenge(&self, purpose: &str) -> Result<String, PasskeyError> {
        let sealed = self.tickets.issue(purpose, (), limits::CEREMONY_FOR)?;
        Ok(BASE64_URL_SAFE_NO_PAD.encode(sealed))
    }

    /// Uses the challenge of an answer up; why not, if it cannot be.
    async fn use_challenge(
        &self,
        client: &ClientData,
        purpose: &str,
    ) -> Result<Result<(), &'static str>, PasskeyError> {
        let Ok(challenge) = client.challenge() else {
            return Ok(Err("the challenge is malformed"));
        };
        let Some(ticket) = self.tickets.open::<()>(purpose, &challenge) else {
            return Ok(Err("the challenge is none of the gateway's for this"));
        };
        if self.tickets.is_late(&ticket) {
            return Ok(Err("the challenge has expired"));
        }
        Ok(if self.tickets.use_up(&ticket).await? {
            Ok(())
        } else {
            Err("the challenge was used before")
        })
    }

    /// Somebody's passkeys.
    pub fn of(&self, person: Uuid) -> Result<Vec<Passkey>, PasskeyError> {
        let items = self.state.list(PASSKEYS, &format!("{person}/"));
        items.iter().map(|item| read(&item.value)).collect()
    }

    /// Options for `navigator.credentials.create()`.
    pub fn begin_registration(&self, person: &Person) -> Result<Value, PasskeyError> {
        let party = self.party()?;
        let known = self.of(person.id)?;
        if person.provider().is_some() {
            return Err(PasskeyError::Unfit(
                "their identity provider says who they are",
            ));
        }
        if known.len() >= limits::A_PERSON {
            return Err(PasskeyError::Unfit("these are too many; remove one first"));
        }
        let known = known.iter();
        Ok(json!({ "publicKey": {
            "rp": { "id": party.id, "name": "NeuraScale" },
            "user": {
                "id": BASE64_URL_SAFE_NO_PAD.encode(person.id.as_bytes()),
                "name": person.login, "displayName": person.display_name,
            },
            "challenge": self.challenge(&purpose(person.id))?,
            "pubKeyCredParams": [
                { "type": "public-key", "alg": -8 }, { "type": "public-key", "alg": -7 },
            ],
            "timeout": millis(limits::CEREMONY_FOR),
            "excludeCredentials": known
                .map(|one| json!({ "type": "public-key", "id": one.id }))
                .collect::<Vec<_>>(),
            "authenticatorSelection": {
                "residentKey": "required", "requireResidentKey": true,
                "userVerification": "required",
            },
            "attestation": "none",
        }}))
    }

    /// Registers what an authenticator has made.
    pub async fn register(
        &self,
        person: Uuid,
        name: &str,
        answer: &Answer<Attested>,
    ) -> Result<Passkey, PasskeyError> {
        let party = self.party()?;
        let name = name.trim();
        if name.is_empty() || name.chars().count() > limits::MAX_NAME_CHARS {
            return Err(PasskeyError::Unfit(
                "a passkey has a name of 1 to 64 characters",
            ));
        }
        let checked = async {
            let client = decoded(&answer.response.client_data)?;
            let attestation = decoded(&answer.response.attestation_object)?;
            let client = ClientData::parse(&client).map_err(|error| error.to_string())?;
            match self.use_challenge(&client, &purpose(person)).await {
                Ok(outcome) => outcome?,
                Err(error) => return Ok(Err(error)),
            }
            let made =
                registration(&client, &attestation, &party).map_err(|error| error.to_string())?;
            if answer.kind != "public-key" || decoded(&answer.id)? != made.id {
                return Err("the answer's id is another's".to_owned());
            }
            Ok::<_, String>(Ok(made))
        };
        let made = match checked.await {
            Ok(made) => made?,
            Err(reason) => {
                let entry = self.refusal("people.passkey_refused", Some(person), &reason)?;
                self.state.commit_with(Vec::new(), vec![entry]).await?;
                let reason = "this passkey cannot be registered; begin again";
                return Err(PasskeyError::Unfit(reason));
            }
        };
        let passkey = Passkey {
            id: BASE64_URL_SAFE_NO_PAD.encode(&made.id),
            name: name.to_owned(),
            created_at: self.clock.now(),
            used_at: None,
            key: made.key,
            counter: made.counter,
        };
        let ops = vec![
            Op::require(OWNERS, &passkey.id, Expect::Absent),
            Op::put(OWNERS, &passkey.id, person.to_string()),
            Op::put(PASSKEYS, key(person, &passkey.id), write(&passkey)?),
        ];
        let entry = self.entry("people.passkey_registered", person, &passkey.id)?;
        match self.state.commit_with(ops, vec![entry]).await {
            Ok(_) => Ok(passkey),
            Err(StateError::Conflict { .. }) => {
                Err(PasskeyError::Unfit("this passkey is registered already"))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Removes one of somebody's.
    pub async fn remove(&self, person: Uuid, id: &str) -> Result<(), PasskeyError> {
        let key = key(person, id);
        let ops = vec![
            Op::require(PASSKEYS, &key, Expect::Present),
            Op::delete(PASSKEYS, &key),
            Op::delete(OWNERS, id),
        ];
        let entry = self.entry("people.passkey_removed", person, id)?;
        match self.state.commit_with(ops, vec![entry]).await {
            Ok(_) => Ok(()),
            Err(StateError::Conflict { .. }) => Err(PasskeyError::Unknown),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes all of somebody's: what an administrator does whose colleague has lost a device.
    pub async fn remove_all(&self, person: Uuid) -> Result<(), PasskeyError> {
        for passkey in self.of(person)? {
            match self.remove(person, &passkey.id).await {
                Ok(()) | Err(PasskeyError::Unknown) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Options for `navigator.credentials.get()`: whoever has a passkey for these pages.
    pub fn begin_sign_in(&self) -> Result<Value, PasskeyError> {
        let party = self.party()?;
        Ok(json!({ "publicKey": {
            "challenge": self.challenge(SIGN_IN)?, "timeout": millis(limits::CEREMONY_FOR),
            "rpId": party.id, "allowCredentials": [], "userVerification": "required",
        }}))
    }

    /// Who signs in with this answer.
    pub async fn sign_in(
        &self,
        answer: &Answer<Asserted>,
        people: &People,
    ) -> Result<Person, PasskeyError> {
        let party = self.party()?;
        let (owner, reason) = match self.signed_in(answer, &party, people).await? {
            Ok(person) => return Ok(person),
            Err(refused) => refused,
        };
        let entry = self.refusal("people.sign_in_refused", owner, &reason)?;
        self.state.commit_with(Vec::new(), vec![entry]).await?;
        Err(PasskeyError::Refused)
    }

    /// Who it is; else whose passkey it would be, and why not.
    async fn signed_in(
        &self,
        answer: &Answer<Asserted>,
        party: &Party<'_>,
        people: &People,
    ) -> Result<Result<Person, (Option<Uuid>, String)>, PasskeyError> {
        let response = &answer.response;
        let parts = (|| {
            let client = decoded(&response.client_data)?;
            let data = decoded(&response.authenticator_data)?;
            Ok::<_, &'static str>((client, data, decoded(&response.signature)?))
        })();
        let (json, data, signature) = match parts {
            Ok(parts) => parts,
            Err(reason) => return Ok(Err((None, reason.to_owned()))),
        };
        let client = match ClientData::parse(&json) {
            Ok(client) if answer.kind == "public-key" => client,
            Ok(_) => return Ok(Err((None, "the answer is of another kind".to_owned()))),
            Err(error) => return Ok(Err((None, error.to_string()))),
        };
        if let Err(reason) = self.use_challenge(&client, SIGN_IN).await? {
            return Ok(Err((None, reason.to_owned())));
        }
        let owner = self.state.get(OWNERS, &answer.id);
        let owner = owner.and_then(|item| Uuid::try_parse_ascii(&item.value).ok());
        let Some(owner) = owner else {
            return Ok(Err((None, "unknown passkey".to_owned())));
        };
        let refused = |reason: String| Ok(Err((Some(owner), reason)));
        let handle = BASE64_URL_SAFE_NO_PAD.encode(owner.as_bytes());
        // A passkey that is found without a name says whose it is (section 7.2, step 6).
        if response.user_handle.as_deref() != Some(handle.as_str()) {
            return refused("the passkey is said to be another's".to_owned());
        }
        let key = key(owner, &answer.id);
        let Some(item) = self.state.get(PASSKEYS, &key) else {
            return refused("unknown passkey".to_owned());
        };
        let mut passkey = read(&item.value)?;
        let holds = assertion(
            (&client, &json),
            &data,
            &signature,
            (&passkey.key, passkey.counter),
            party,
        );
        passkey.counter = match holds {
            Ok(counter) => counter,
            Err(error) => return refused(error.to_string()),
        };
        let person = people.by_id(owner)?;
        let Some(person) = person.filter(|person| !person.disabled) else {
            return refused("disabled".to_owned());
        };
        passkey.used_at = Some(self.clock.now());
        let ops = vec![
            Op::require(PASSKEYS, &key, Expect::Modified(item.modified)),
            Op::put(PASSKEYS, &key, write(&passkey)?),
        ];
        let entry = self.entry("people.signed_in", owner, &passkey.id)?;
        match self.state.commit_with(ops, vec![entry]).await {
            Ok(_) => Ok(Ok(person)),
            // Two sign-ins at once, of which one has moved the counter on.
            Err(StateError::Conflict { .. }) => refused("the passkey changed meanwhile".to_owned()),
            Err(error) => Err(error.into()),
        }
    }

    /// Forgets challenges that have expired.
    pub async fn sweep(&self) -> Result<usize, StateError> {
        self.tickets.sweep().await
    }

    fn refusal(
        &self,
        kind: &str,
        person: Option<Uuid>,
        reason: &str,
    ) -> Result<Draft, PasskeyError> {
        let what = json!({ "person": person, "reason": reason, "passkey": true });
        self.draft(kind, "anonymous", &what)
    }

    fn entry(&self, kind: &str, person: Uuid, id: &str) -> Result<Draft, PasskeyError> {
        let what = json!({ "person": person, "passkey": id });
        self.draft(kind, &person.to_string(), &what)
    }

    fn draft(&self, kind: &str, by: &str, what: &Value) -> Result<Draft, PasskeyError> {
        Ok(Draft {
            kind: kind.to_owned(),
            time_ns: self.clock.now().as_nanos(),
            actor: by.to_owned(),
            payload: CanonicalJson::from_value(what)
                .map_err(|error| PasskeyError::Damaged(error.to_string()))?,
        })
    }
}

/// What a challenge for registering is sealed for: nobody registers for another.
fn purpose(person: Uuid) -> String {
    format!("a passkey of {person}")
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_within_the_relying_party() {
        let sound = |rp_id: &str, origin: &str| {
            let config = PasskeyConfig {
                rp_id: rp_id.to_owned(),
                origins: vec![origin.to_owned()],
            };
            config.nonsense().is_none()
        };
        assert_eq!(PasskeyConfig::default().nonsense(), None);
        assert!(sound("clinic.test", "https://clinic.test"));
        assert!(sound("clinic.test", "https://eeg.clinic.test:8443"));
        assert!(sound("localhost", "http://localhost:3000"));
        for (rp_id, origin) in [
            ("clinic.test", "https://evilclinic.test"),
            ("clinic.test", "http://clinic.test"),
            ("clinic.test", "https://clinic.test/"),
            ("clinic.test", "https://clinic.test/path"),
            ("clinic.test", "https://clinic.test.evil"),
            ("", "https://clinic.test"),
        ] {
            assert!(!sound(rp_id, origin), "{rp_id} {origin}");
        }
    }
}
