//! Users of the program: signing in and out, break-glass, adding and disabling.

use crate::desk::{Person, PersonRole};
use crate::error::{Error, ErrorKind, Result};
use crate::facade::Workstation;
use crate::limits::{
    BREAK_GLASS_LASTS, LONGEST_PAUSE, MAX_REASON_CHARS, MAX_USER_NAME_CHARS, TOKEN_LASTS,
};
use events::payloads::{BreakGlass, SignedOut, UserAdded, UserDisabled, UserRole};
use events::{EventContext, Payload, SystemEvent, Timestamp};
use logstore::UnitOfWork;
use rand::SeedableRng;
use rand::rngs::{StdRng, SysRng};
use signal::UtcNanos;
use std::sync::Arc;
use std::time::Duration;
use store::limits::MIN_PASSWORD_CHARS;
use store::rows::{BreakGlassRow, Role, UserId, UserRow};
use store::{SignIn, StoreError, insert_first_administrator, insert_user, write};
use uuid::Uuid;

/// A user as an administrator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRecord {
    /// Who, and what the user may do.
    pub person: Person,
    /// May not sign in.
    pub disabled: bool,
}

/// Someone is signed in.
#[derive(Clone)]
pub struct SignedIn {
    /// The token that stands for the person; a secret.
    pub token: String,
    /// Who.
    pub person: Person,
    /// When it ends by itself.
    pub expires: UtcNanos,
}

impl std::fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignedIn")
            .field("person", &self.person)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// Whether anyone can sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignInState {
    /// There is a first administrator.
    pub has_administrator: bool,
    /// Shortest password, characters.
    pub min_password_chars: usize,
}

impl Workstation {
    /// The same workstation, in a person's name: what follows from it says who.
    #[must_use]
    pub fn in_the_name_of(mut self, person: Arc<Person>) -> Self {
        self.room.person = Some(person);
        self
    }

    /// In whose name this handle acts; nobody's when it is the system's.
    #[must_use]
    pub fn person(&self) -> Option<&Person> {
        self.room.person.as_deref()
    }

    /// Whom a token stands for, while it holds.
    #[must_use]
    pub fn holder(&self, token: &str) -> Option<Arc<Person>> {
        self.room.desk.holder(token, self.room.clock.host())
    }

    /// Whether anyone can sign in.
    ///
    /// # Errors
    /// The store.
    pub async fn sign_in_state(&self) -> Result<SignInState> {
        let users = self.room.store()?.users().await?;
        Ok(SignInState {
            has_administrator: users.iter().any(|user| user.role == Role::Administrator),
            min_password_chars: MIN_PASSWORD_CHARS,
        })
    }

    /// Makes the first administrator and signs them in.
    ///
    /// # Errors
    /// There is one; a name or password that is not taken; the store.
    pub async fn first_administrator(
        &self,
        login: &str,
        display_name: &str,
        password: &str,
    ) -> Result<SignedIn> {
        if self.sign_in_state().await?.has_administrator {
            return Err(has_one());
        }
        let row = self.new_user(login, display_name, Role::Administrator)?;
        let added = UserAdded {
            user_id: row.id.0,
            role: UserRole::Administrator,
            by_user_id: None,
        };
        let (keep, password) = (row.clone(), password.to_owned());
        let statement =
            hashing(move |rng| insert_first_administrator(&keep, &password, rng)).await?;
        let signed_in = events::payloads::SignedIn {
            user_id: row.id.0,
            method: events::payloads::AuthenticationMethod::Password,
        };
        let unit = UnitOfWork::new()
            .statement(statement)
            .event(self.event_of(row.id.0, &added)?)
            .event(self.event_of(row.id.0, &signed_in)?);
        match self.room.store()?.commit(unit).await {
            Ok(_) => self.let_in(person_of(&row), TOKEN_LASTS),
            Err(error) if is_conflict(&error) => Err(has_one()),
            Err(error) => Err(error.into()),
        }
    }

    /// Signs a person in. Repeated attempts wait longer and longer; a wrong password, an unknown
    /// name and a disabled user are answered alike, and take as long.
    ///
    /// # Errors
    /// Not this person; too many waiting; the store.
    pub async fn sign_in(&self, login: &str, password: &str) -> Result<SignedIn> {
        let login = plain_login(login);
        self.wait_for(&login).await?;
        match self.room.store()?.sign_in(&login, password).await? {
            SignIn::Accepted(user) => {
                self.room.desk.succeeded(&login);
                self.let_in(person_of(&user), TOKEN_LASTS)
            }
            SignIn::Refused(_) => Err(refused()),
        }
    }

    /// Asks the person in whose name this handle acts for the password again.
    ///
    /// # Errors
    /// Nobody's name, or one without a password; a wrong one; the store.
    pub(crate) async fn confirm(&self, password: &str) -> Result<Person> {
        let person = match self.person() {
            Some(person) if person.role != PersonRole::BreakGlass => person.clone(),
            _ => {
                return Err(not_allowed(
                    "only a person who has signed in with a password can sign",
                ));
            }
        };
        self.wait_for(&person.login).await?;
        match self.room.store()?.confirm(&person.login, password).await? {
            SignIn::Accepted(user) if user.id.0 == person.id => {
                self.room.desk.succeeded(&person.login);
                Ok(person_of(&user))
            }
            _ => Err(Error::new(
                ErrorKind::NotAllowed,
                "the password is wrong",
                "Type it again.",
            )),
        }
    }

    async fn wait_for(&self, login: &str) -> Result<()> {
        match self.room.desk.wait_for(login, self.room.clock.host()) {
            Ok(wait) => tokio::time::sleep(wait).await,
            Err(wait) => {
                let message = format!(
                    "too many attempts at once; the next is possible in {} s",
                    wait.as_secs().max(LONGEST_PAUSE.as_secs())
                );
                return Err(Error::new(
                    ErrorKind::NotAllowed,
                    message,
                    "Wait, or come in by break-glass: care is not blocked.",
                ));
            }
        }
        Ok(())
    }

    /// Ends a token.
    pub async fn sign_out(&self, token: &str) {
        if let Some(person) = self.room.desk.revoke(token) {
            self.note_sign_out(person.id).await;
        }
    }

    async fn note_sign_out(&self, user_id: Uuid) {
        let payload = SignedOut { user_id };
        let said = match self.room.notary() {
            Ok(notary) => notary.say_or_keep(user_id, None, &payload).await,
            Err(error) => Err(error),
        };
        if let Err(error) = said {
            tracing::error!(%error, "a sign-out is not stored");
        }
    }

    /// Lets someone in who cannot sign in. Name and reason are kept encrypted; the ledger says that
    /// it happened.
    ///
    /// # Errors
    /// No name or no reason, or too long ones; the store.
    pub async fn break_glass(&self, name: &str, reason: &str) -> Result<SignedIn> {
        let name = person_name(name)?;
        let reason = reason.trim();
        if reason.is_empty() || reason.chars().count() > MAX_REASON_CHARS {
            let message =
                format!("break-glass needs a reason of 1 to {MAX_REASON_CHARS} characters");
            return Err(Error::new(ErrorKind::Invalid, message, ""));
        }
        let now = self.room.clock.utc();
        let id = Uuid::now_v7();
        let row = BreakGlassRow {
            id: UserId(id),
            name: name.clone(),
            reason: reason.to_owned(),
            at: Timestamp(now.0),
            expires_at: Timestamp(later(now, BREAK_GLASS_LASTS).0),
        };
        let payload = BreakGlass {
            user_id: id,
            lasts_s: BREAK_GLASS_LASTS.as_secs(),
        };
        let unit = UnitOfWork::new()
            .statement(write::insert_break_glass(&row))
            .event(self.event_of(id, &payload)?);
        self.room.store()?.commit(unit).await?;
        tracing::warn!(%id, "someone came in by break-glass");
        let person = Person {
            id,
            login: String::new(),
            display_name: name,
            role: PersonRole::BreakGlass,
        };
        self.let_in(person, BREAK_GLASS_LASTS)
    }

    fn let_in(&self, person: Person, lasts: Duration) -> Result<SignedIn> {
        let mut secret = zeroize::Zeroizing::new([0; 32]);
        rand::Rng::fill_bytes(&mut randomness()?, secret.as_mut_slice());
        let host = self.room.clock.host();
        let token = self.room.desk.issue(person.clone(), &secret, host, lasts);
        Ok(SignedIn {
            token,
            person,
            expires: later(self.room.clock.utc(), lasts),
        })
    }

    /// Users, by login.
    ///
    /// # Errors
    /// The store.
    pub async fn users(&self) -> Result<Vec<UserRecord>> {
        let users = self.room.store()?.users().await?;
        Ok(users.iter().map(record_of).collect())
    }

    /// Adds a user.
    ///
    /// # Errors
    /// A login that is taken, a name or password that cannot be; the store.
    pub async fn add_user(
        &self,
        login: &str,
        display_name: &str,
        role: PersonRole,
        password: &str,
    ) -> Result<UserRecord> {
        let (role, told) = match role {
            PersonRole::Clinician => (Role::Clinician, UserRole::Clinician),
            PersonRole::Technician => (Role::Technician, UserRole::Technician),
            PersonRole::Researcher => (Role::Researcher, UserRole::Researcher),
            PersonRole::Administrator => (Role::Administrator, UserRole::Administrator),
            PersonRole::BreakGlass => {
                return Err(Error::new(
                    ErrorKind::Invalid,
                    "nobody is a break-glass user by account",
                    "",
                ));
            }
        };
        let row = self.new_user(login, display_name, role)?;
        let store = self.room.store()?;
        if store
            .users()
            .await?
            .iter()
            .any(|user| user.login == row.login)
        {
            return Err(taken());
        }
        let payload = UserAdded {
            user_id: row.id.0,
            role: told,
            by_user_id: self.room.by_user_id(),
        };
        let (keep, password) = (row.clone(), password.to_owned());
        let statement = hashing(move |rng| insert_user(&keep, &password, rng)).await?;
        let unit = UnitOfWork::new()
            .statement(statement)
            .event(self.event_of(row.id.0, &payload)?);
        store.commit(unit).await?;
        Ok(record_of(&row))
    }

    /// Lets a user sign in, or not. Whoever may not is signed out at once.
    ///
    /// # Errors
    /// No such user; the last administrator; the store.
    pub async fn disable_user(&self, id: Uuid, disabled: bool) -> Result<()> {
        let store = self.room.store()?;
        if store.user(UserId(id)).await?.is_none() {
            return Err(Error::not_found("user", id));
        }
        let payload = UserDisabled {
            user_id: id,
            disabled,
            by_user_id: self.room.by_user_id(),
        };
        let unit = UnitOfWork::new()
            .statement(write::set_user_disabled(UserId(id), disabled))
            .event(self.event_of(id, &payload)?);
        match store.commit(unit).await {
            Ok(_) => {}
            Err(error) if is_conflict(&error) => {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    "that is the last administrator who can sign in",
                    "Add another administrator first.",
                ));
            }
            Err(error) => return Err(error.into()),
        }
        if disabled && self.room.desk.revoke_all_of(id) {
            self.note_sign_out(id).await;
        }
        Ok(())
    }

    fn new_user(&self, login: &str, display_name: &str, role: Role) -> Result<UserRow> {
        let login = plain_login(login);
        let fits = (1..=MAX_USER_NAME_CHARS).contains(&login.chars().count());
        if !fits || login.chars().any(|c| c.is_control() || c.is_whitespace()) {
            let message = format!(
                "a name to sign in with has 1 to {MAX_USER_NAME_CHARS} characters and no blanks"
            );
            return Err(Error::new(ErrorKind::Invalid, message, ""));
        }
        Ok(UserRow {
            id: UserId(Uuid::now_v7()),
            login,
            display_name: person_name(display_name)?,
            role,
            disabled: false,
            created_at: Timestamp(self.room.clock.utc().0),
        })
    }

    /// An event for a unit of work.
    pub(crate) fn event_of<P: Payload>(
        &self,
        correlation: Uuid,
        payload: &P,
    ) -> Result<SystemEvent> {
        self.room
            .notary()?
            .event_in(EventContext::root(correlation), payload)
    }
}

/// Logins differ in more than capitals.
fn plain_login(login: &str) -> String {
    login.trim().to_lowercase()
}

fn person_name(name: &str) -> Result<String> {
    let name = name.trim();
    let fits = (1..=MAX_USER_NAME_CHARS).contains(&name.chars().count());
    if !fits || name.chars().any(char::is_control) {
        let message = format!("a name has 1 to {MAX_USER_NAME_CHARS} characters");
        return Err(Error::new(ErrorKind::Invalid, message, ""));
    }
    Ok(name.to_owned())
}

fn person_of(user: &UserRow) -> Person {
    Person {
        id: user.id.0,
        login: user.login.clone(),
        display_name: user.display_name.clone(),
        role: match user.role {
            Role::Clinician => PersonRole::Clinician,
            Role::Technician => PersonRole::Technician,
            Role::Researcher => PersonRole::Researcher,
            Role::Administrator => PersonRole::Administrator,
        },
    }
}

fn record_of(user: &UserRow) -> UserRecord {
    UserRecord {
        person: person_of(user),
        disabled: user.disabled,
    }
}

fn later(time: UtcNanos, span: Duration) -> UtcNanos {
    UtcNanos(time.0 + i64::try_from(span.as_nanos()).unwrap_or(i64::MAX / 2))
}

fn randomness() -> Result<StdRng> {
    StdRng::try_from_rng(&mut SysRng)
        .map_err(|error| Error::new(ErrorKind::Internal, format!("no randomness: {error}"), ""))
}

/// Hashes a password away from the tasks that answer calls.
async fn hashing(
    work: impl FnOnce(&mut StdRng) -> std::result::Result<logstore::Statement, StoreError>
    + Send
    + 'static,
) -> Result<logstore::Statement> {
    let mut rng = randomness()?;
    let hashed = tokio::task::spawn_blocking(move || work(&mut rng))
        .await
        .map_err(|error| Error::internal("hash the password", &error))?;
    hashed.map_err(|error| match error {
        StoreError::Password(_) => Error::new(
            ErrorKind::Invalid,
            error.to_string(),
            "Choose another; a short sentence is easy to remember.",
        ),
        other => other.into(),
    })
}

pub(crate) fn is_conflict(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Log {
            source: logstore::LogStoreError::Conflict { .. },
            ..
        }
    )
}

pub(crate) fn not_allowed(message: &str) -> Error {
    Error::new(ErrorKind::NotAllowed, message, "Sign in.")
}

fn refused() -> Error {
    Error::new(
        ErrorKind::NotAllowed,
        "name or password is wrong",
        "Type them again. In an emergency, break-glass lets you in.",
    )
}

fn has_one() -> Error {
    Error::new(
        ErrorKind::Conflict,
        "there is an administrator already",
        "An administrator adds further users.",
    )
}

fn taken() -> Error {
    Error::new(
        ErrorKind::Conflict,
        "that name to sign in with is taken",
        "Choose another.",
    )
}
