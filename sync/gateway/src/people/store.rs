//! Where people are kept, and the proof that somebody is one of them.

use std::{sync::Arc, time::Instant};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use events::{Clock, Ids, Timestamp};
use ledger::{CanonicalJson, Draft};
use protocol::Role;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{PasswordError, Passwords, Patience, TotpSecret, totp::SECRET_BYTES};
use crate::{
    limits::people as limits,
    random::Random,
    sealing::{SealError, Sealer},
    state::{Expect, Item, Op, Space, State, StateError},
};

/// People, by login in small letters.
pub(super) const PEOPLE: Space = "people";
/// Logins, by id.
pub(super) const IDS: Space = "people_ids";

/// A person who may sign in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Opaque id: what tokens, events and ledger carry.
    pub id: Uuid,
    /// What they sign in with, in small letters.
    pub login: String,
    /// What others see.
    pub display_name: String,
    /// Their site.
    pub site: String,
    /// What they may be.
    pub roles: Vec<Role>,
    /// Whether they are kept out.
    #[serde(default)]
    pub disabled: bool,
    /// Since when they are known.
    pub created_at: Timestamp,
    #[serde(default)]
    pub(super) second_factor: Option<SecondFactor>,
    /// Empty where a provider is asked instead: then no password is theirs.
    pub(super) password: String,
    /// The provider that says who they are, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) provider: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SecondFactor {
    /// The sealed secret, base64.
    secret: String,
    /// Whether a code was given once: until then it is not asked for.
    confirmed: bool,
    /// The last step that was used.
    last_step: u64,
}

impl Person {
    /// Whether signing in asks for a code.
    pub fn has_second_factor(&self) -> bool {
        self.second_factor
            .as_ref()
            .is_some_and(|factor| factor.confirmed)
    }

    /// The provider that they sign in at; none where they have a password here.
    pub fn provider(&self) -> Option<&str> {
        self.provider.as_deref()
    }

    fn purpose(&self) -> String {
        format!("one-time passwords of {}", self.id)
    }
}

/// Somebody to be entered.
#[derive(Debug, Clone)]
pub struct NewPerson {
    /// See [`Person::login`].
    pub login: String,
    /// See [`Person::display_name`].
    pub display_name: String,
    /// See [`Person::site`].
    pub site: String,
    /// See [`Person::roles`].
    pub roles: Vec<Role>,
    /// Their first password.
    pub password: Zeroizing<String>,
}

/// Outcome of an attempt to sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignIn {
    /// It is this person.
    Accepted(Box<Person>),
    /// The password is right, and a code is missing.
    CodeDue,
    /// It is not. Who asks is told no reason; the ledger says it.
    Refused(&'static str),
}

/// Why people were not read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeopleError {
    /// What was given makes no sense.
    #[error("{0}")]
    Refused(String),
    /// The login is taken.
    #[error("somebody has this login already")]
    Taken,
    /// There is nobody of this id.
    #[error("there is nobody of this id")]
    Unknown,
    /// Somebody else changed the person meanwhile.
    #[error("somebody else changed this person meanwhile; look again")]
    Changed,
    /// The last one who runs the gateway would be kept out.
    #[error("this is the last person who runs the gateway, and stays so")]
    Last,
    /// About the password.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// A sealed secret does not open.
    #[error(transparent)]
    Sealed(#[from] SealError),
    /// The state failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// What the state holds is not a person.
    #[error("the state holds what is no person ({0})")]
    Damaged(String),
}

/// Those who may sign in.
#[derive(Debug)]
pub struct People {
    pub(super) state: State,
    passwords: Passwords,
    sealer: Sealer,
    patience: Patience,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ids: Arc<dyn Ids>,
    random: Random,
}

impl People {
    /// Over the gateway's state.
    pub fn new(
        state: State,
        sealer: Sealer,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        random: Random,
    ) -> Result<Self, PeopleError> {
        Ok(Self {
            state,
            passwords: Passwords::new(random.bytes(), random.bytes())?,
            sealer,
            patience: Patience::default(),
            clock,
            ids,
            random,
        })
    }

    /// Everybody of a site, or of all.
    pub fn all(&self, site: Option<&str>) -> Result<Vec<Person>, PeopleError> {
        let people = self.state.list(PEOPLE, "");
        let people: Result<Vec<_>, _> = people.iter().map(|item| read(item)).collect();
        let mut people = people?;
        people.retain(|person| site.is_none_or(|site| person.site == site));
        Ok(people)
    }

    /// The person of an id.
    pub fn by_id(&self, id: Uuid) -> Result<Option<Person>, PeopleError> {
        Ok(self.item(id)?.map(|(_, person)| person))
    }

    fn item(&self, id: Uuid) -> Result<Option<(u64, Person)>, PeopleError> {
        let Some(login) = self.state.get(IDS, &id.to_string()) else {
            return Ok(None);
        };
        let login = String::from_utf8_lossy(&login.value).into_owned();
        self.state
            .get(PEOPLE, &login)
            .map(|item| Ok((item.modified, read(&item)?)))
            .transpose()
    }

    /// Enters a person. `also` is committed with it: what must hold, and what else becomes of it.
    pub async fn enter(
        &self,
        new: NewPerson,
        by: &str,
        also: Vec<Op>,
    ) -> Result<Person, PeopleError> {
        let login = check_login(&new.login)?;
        if new.roles.is_empty() {
            return Err(PeopleError::Refused("at least one role is due".to_owned()));
        }
        if new
            .roles
            .iter()
            .any(|role| matches!(role, Role::Device | Role::Service))
        {
            let reason = "devices and services are enrolled; they have no password";
            return Err(PeopleError::Refused(reason.to_owned()));
        }
        let now = self.clock.now();
        let person = Person {
            id: self.ids.next(now),
            login: login.clone(),
            display_name: new.display_name,
            site: new.site,
            roles: new.roles,
            disabled: false,
            created_at: now,
            second_factor: None,
            provider: None,
            password: self
                .passwords
                .hash(new.password, self.random.bytes())
                .await?,
        };
        let mut ops = also;
        ops.push(Op::require(PEOPLE, &login, Expect::Absent));
        ops.push(Op::put(PEOPLE, &login, write(&person)?));
        ops.push(Op::put(IDS, person.id.to_string(), login.clone()));
        let entry = self.entry("people.entered", by, &person)?;
        match self.state.commit_with(ops, vec![entry]).await {
            Ok(_) => Ok(person),
            Err(StateError::Conflict { space: PEOPLE, .. }) => Err(PeopleError::Taken),
            Err(error) => Err(error.into()),
        }
    }

    /// Changes what somebody may be, or keeps them out. The last one who runs the gateway stays.
    pub async fn change(
        &self,
        id: Uuid,
        roles: Option<Vec<Role>>,
        disabled: Option<bool>,
        by: &str,
    ) -> Result<Person, PeopleError> {
        let (modified, mut person) = self.item(id)?.ok_or(PeopleError::Unknown)?;
        if roles.is_some() {
            of_own(&person)?;
        }
        if roles.as_ref().is_some_and(Vec::is_empty) {
            return Err(PeopleError::Refused("at least one role is due".to_owned()));
        }
        let runs = |person: &Person| !person.disabled && person.roles.contains(&Role::SuperAdmin);
        let ran = runs(&person);
        person.roles = roles.unwrap_or(person.roles);
        person.disabled = disabled.unwrap_or(person.disabled);
        let mut ops = vec![Op::require(
            PEOPLE,
            &person.login,
            Expect::Modified(modified),
        )];
        if ran && !runs(&person) {
            // Another one stays who runs it, and must still do so when this is written.
            let another = self
                .state
                .list(PEOPLE, "")
                .into_iter()
                .find(|item| read(item).is_ok_and(|other| other.id != id && runs(&other)))
                .ok_or(PeopleError::Last)?;
            ops.push(Op::require(
                PEOPLE,
                &another.key,
                Expect::Modified(another.modified),
            ));
        }
        ops.push(Op::put(PEOPLE, &person.login, write(&person)?));
        self.write(ops, "people.changed", by, person).await
    }

    /// Gives a person another password.
    pub async fn set_password(
        &self,
        id: Uuid,
        password: Zeroizing<String>,
        by: &str,
    ) -> Result<Person, PeopleError> {
        let hash = self.passwords.hash(password, self.random.bytes()).await?;
        let (modified, mut person) = self.item(id)?.ok_or(PeopleError::Unknown)?;
        of_own(&person)?;
        person.password = hash;
        let ops = vec![
            Op::require(PEOPLE, &person.login, Expect::Modified(modified)),
            Op::put(PEOPLE, &person.login, write(&person)?),
        ];
        self.write(ops, "people.password_changed", by, person).await
    }

    /// Makes a new secret for a second factor; it counts once [`Self::confirm_second_factor`] has seen a code.
    pub async fn begin_second_factor(&self, id: Uuid) -> Result<(TotpSecret, Person), PeopleError> {
        let (modified, mut person) = self.item(id)?.ok_or(PeopleError::Unknown)?;
        of_own(&person)?;
        if person.has_second_factor() {
            let reason = "there is a second factor already; remove it first";
            return Err(PeopleError::Refused(reason.to_owned()));
        }
        let bytes: [u8; SECRET_BYTES] = self.random.bytes();
        let secret = TotpSecret::new(Zeroizing::new(bytes.to_vec()));
        let sealed = self
            .random
            .with(|rng| self.sealer.seal(&person.purpose(), secret.bytes(), rng))?;
        person.second_factor = Some(SecondFactor {
            secret: BASE64_STANDARD.encode(sealed),
            confirmed: false,
            last_step: 0,
        });
        let ops = vec![
            Op::require(PEOPLE, &person.login, Expect::Modified(modified)),
            Op::put(PEOPLE, &person.login, write(&person)?),
        ];
        let by = id.to_string();
        let person = self
            .write(ops, "people.second_factor_begun", &by, person)
            .await?;
        Ok((secret, person))
    }

    /// Turns the second factor on if `code` is one of its codes. Whether it is. Wrong codes are waited for as
    /// wrong passwords are: whoever has an open session alone would otherwise find a code by trying them all.
    pub async fn confirm_second_factor(&self, id: Uuid, code: &str) -> Result<bool, PeopleError> {
        let login = self.item(id)?.ok_or(PeopleError::Unknown)?.1.login;
        tokio::time::sleep(self.patience.wait(&login, Instant::now())).await;
        // Read after the wait, which others may have used.
        let (modified, person) = self.item(id)?.ok_or(PeopleError::Unknown)?;
        let kind = "people.second_factor_confirmed";
        let right = self.use_code(modified, person, code, kind).await?;
        if right {
            self.patience.succeeded(&login);
        } else {
            self.patience.failed(&login, Instant::now());
        }
        Ok(right)
    }

    /// Removes the second factor.
    pub async fn remove_second_factor(&self, id: Uuid, by: &str) -> Result<Person, PeopleError> {
        let (modified, mut person) = self.item(id)?.ok_or(PeopleError::Unknown)?;
        person.second_factor = None;
        let ops = vec![
            Op::require(PEOPLE, &person.login, Expect::Modified(modified)),
            Op::put(PEOPLE, &person.login, write(&person)?),
        ];
        self.write(ops, "people.second_factor_removed", by, person)
            .await
    }

    /// Whether somebody is who they say. Waits first where secrets were wrong before. Every attempt is in the
    /// ledger when this returns.
    pub async fn sign_in(
        &self,
        login: &str,
        password: Zeroizing<String>,
        code: Option<&str>,
    ) -> Result<SignIn, PeopleError> {
        let login = login.trim().to_lowercase();
        let wait = self.patience.wait(&login, Instant::now());
        tokio::time::sleep(wait).await;
        // The longest login there can be is looked up; a longer one is nobody's.
        let known = (login.chars().count() <= limits::MAX_LOGIN_CHARS)
            .then(|| self.state.get(PEOPLE, &login))
            .flatten()
            .map(|item| Ok::<_, PeopleError>((item.modified, read(&item)?)))
            .transpose()?;
        let hash = known
            .as_ref()
            .filter(|(_, person)| person.provider.is_none())
            .map(|(_, person)| person.password.clone());
        let right = self.passwords.matches(password, hash).await?;
        let (outcome, person) = match known {
            None => (SignIn::Refused("unknown login"), None),
            Some((_, person)) if !right => (SignIn::Refused("wrong password"), Some(person)),
            Some((_, person)) if person.disabled => (SignIn::Refused("disabled"), Some(person)),
            Some((modified, person)) if person.has_second_factor() => match code {
                None => (SignIn::CodeDue, Some(person)),
                Some(code) => {
                    let kind = "people.second_factor_used";
                    if self.use_code(modified, person.clone(), code, kind).await? {
                        (SignIn::Accepted(Box::new(person.clone())), Some(person))
                    } else {
                        (SignIn::Refused("wrong code"), Some(person))
                    }
                }
            },
            Some((_, person)) => (SignIn::Accepted(Box::new(person.clone())), Some(person)),
        };
        let entry = match &outcome {
            SignIn::Refused(reason) => {
                self.patience.failed(&login, Instant::now());
                let id = person.map(|person| person.id);
                self.draft(
                    "people.sign_in_refused",
                    "anonymous",
                    &serde_json::json!({
                        "person": id, "reason": reason,
                    }),
                )?
            }
            SignIn::Accepted(person) => {
                self.patience.succeeded(&login);
                self.entry("people.signed_in", &person.id.to_string(), person)?
            }
            // Whoever comes so far knows the password: that is on record as well.
            SignIn::CodeDue => {
                let id = person.map(|person| person.id);
                self.draft(
                    "people.code_asked",
                    "anonymous",
                    &serde_json::json!({ "person": id }),
                )?
            }
        };
        self.state.commit_with(Vec::new(), vec![entry]).await?;
        Ok(outcome)
    }

    /// Uses a code up, if it is one.
    async fn use_code(
        &self,
        modified: u64,
        mut person: Person,
        code: &str,
        kind: &str,
    ) -> Result<bool, PeopleError> {
        let purpose = person.purpose();
        let Some(factor) = &mut person.second_factor else {
            return Ok(false);
        };
        let sealed = BASE64_STANDARD
            .decode(&factor.secret)
            .map_err(|error| PeopleError::Damaged(error.to_string()))?;
        let secret = TotpSecret::new(self.sealer.open(&purpose, &sealed)?);
        let now_s = self.clock.now().unix_millis() / 1_000;
        let Some(step) = secret
            .step_of(code, now_s)
            .filter(|step| *step > factor.last_step)
        else {
            return Ok(false);
        };
        factor.last_step = step;
        factor.confirmed = true;
        let ops = vec![
            Op::require(PEOPLE, &person.login, Expect::Modified(modified)),
            Op::put(PEOPLE, &person.login, write(&person)?),
        ];
        let by = person.id.to_string();
        match self.write(ops, kind, &by, person).await {
            Ok(_) => Ok(true),
            // Somebody used the same code at the same time: it is used up.
            Err(PeopleError::Changed) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn write(
        &self,
        ops: Vec<Op>,
        kind: &str,
        by: &str,
        person: Person,
    ) -> Result<Person, PeopleError> {
        let entry = self.entry(kind, by, &person)?;
        match self.state.commit_with(ops, vec![entry]).await {
            Ok(_) => Ok(person),
            Err(StateError::Conflict { .. }) => Err(PeopleError::Changed),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn entry(
        &self,
        kind: &str,
        by: &str,
        person: &Person,
    ) -> Result<Draft, PeopleError> {
        self.draft(
            kind,
            by,
            &serde_json::json!({
                "person": person.id, "site": person.site, "roles": person.roles,
                "disabled": person.disabled, "second_factor": person.has_second_factor(),
            }),
        )
    }

    pub(super) fn draft(
        &self,
        kind: &str,
        by: &str,
        what: &serde_json::Value,
    ) -> Result<Draft, PeopleError> {
        Ok(Draft {
            kind: kind.to_owned(),
            time_ns: self.clock.now().as_nanos(),
            actor: by.to_owned(),
            payload: CanonicalJson::from_value(what)
                .map_err(|error| PeopleError::Damaged(error.to_string()))?,
        })
    }
}

/// Whether roles, password and second factor are kept here: what a provider says is not changed behind its back.
fn of_own(person: &Person) -> Result<(), PeopleError> {
    match &person.provider {
        None => Ok(()),
        Some(provider) => Err(PeopleError::Refused(format!(
            "they sign in at {provider}, which says what they may be"
        ))),
    }
}

/// The login as it is kept, if it can be one.
fn check_login(login: &str) -> Result<String, PeopleError> {
    let login = login.trim().to_lowercase();
    let sound = |c: char| c.is_alphanumeric() || "._-@+".contains(c);
    if login.is_empty()
        || login.chars().count() > limits::MAX_LOGIN_CHARS
        || !login.chars().all(sound)
    {
        return Err(PeopleError::Refused(format!(
            "a login has 1 to {} letters, digits and . _ - @ +",
            limits::MAX_LOGIN_CHARS
        )));
    }
    Ok(login)
}

pub(super) fn read(item: &Item) -> Result<Person, PeopleError> {
    serde_json::from_slice(&item.value).map_err(|error| PeopleError::Damaged(error.to_string()))
}

pub(super) fn write(person: &Person) -> Result<Vec<u8>, PeopleError> {
    serde_json::to_vec(person).map_err(|error| PeopleError::Damaged(error.to_string()))
}
