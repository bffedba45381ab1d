//! Users and their signing in.

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use events::payloads::{
    AuthenticationFailed, AuthenticationFailure, AuthenticationMethod, SignedIn,
};
use logstore::{Statement, UnitOfWork};
use rand::CryptoRng;
use zeroize::Zeroizing;

use crate::{
    Store, StoreError,
    limits::{MAX_PASSWORD_CHARS, MIN_PASSWORD_CHARS, PASSWORD_ARGON2},
    read::{Reader, user},
    rows::UserRow,
};

/// The outcome of signing in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignIn {
    /// It is this user.
    Accepted(UserRow),
    /// It is not. The person is told no reason; the event says it.
    Refused(AuthenticationFailure),
}

fn argon2() -> Result<Argon2<'static>, StoreError> {
    let (memory, passes, lanes) = PASSWORD_ARGON2;
    let params = Params::new(memory, passes, lanes, None)
        .map_err(|error| StoreError::Password(error.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// A statement that enters a user with a password; it takes some ten milliseconds of computing.
pub fn insert_user(
    row: &UserRow,
    password: &str,
    rng: &mut impl CryptoRng,
) -> Result<Statement, StoreError> {
    let sql = "INSERT INTO users (id, login, display_name, role, password_hash, disabled, \
               created_ns) VALUES (?, ?, ?, ?, ?, ?, ?)";
    insert(sql, row, password, rng)
}

/// The same for the first administrator: the unit fails when there is one already.
pub fn insert_first_administrator(
    row: &UserRow,
    password: &str,
    rng: &mut impl CryptoRng,
) -> Result<Statement, StoreError> {
    let sql = "INSERT INTO users (id, login, display_name, role, password_hash, disabled, \
               created_ns) SELECT ?, ?, ?, ?, ?, ?, ? \
               WHERE NOT EXISTS (SELECT 1 FROM users WHERE role = 'administrator')";
    insert(sql, row, password, rng)
}

fn insert(
    sql: &'static str,
    row: &UserRow,
    password: &str,
    rng: &mut impl CryptoRng,
) -> Result<Statement, StoreError> {
    if password.chars().count() < MIN_PASSWORD_CHARS {
        let reason = format!("it needs at least {MIN_PASSWORD_CHARS} characters");
        return Err(StoreError::Password(reason));
    }
    // Longer ones would only make the hashing of a forged request long.
    if password.chars().count() > MAX_PASSWORD_CHARS {
        let reason = format!("it may have at most {MAX_PASSWORD_CHARS} characters");
        return Err(StoreError::Password(reason));
    }
    let mut salt = [0; 16];
    rng.fill_bytes(&mut salt);
    let hash = argon2()?
        .hash_password_with_salt(password.as_bytes(), &salt)
        .map_err(|error| StoreError::Password(error.to_string()))?
        .to_string();
    let statement = Statement::new(
        sql,
        [
            row.id.0.into(),
            row.login.clone().into(),
            row.display_name.clone().into(),
            row.role.as_str().into(),
            hash.into(),
            row.disabled.into(),
            row.created_at.as_nanos().into(),
        ],
    );
    Ok(statement.expecting(1))
}

/// What an attempt is for: signing in is told of, signing a document is told of by the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    SignIn,
    Confirm,
}

impl Store {
    /// Signs a user in. Every attempt becomes an event, and so a ledger entry, before this returns.
    pub async fn sign_in(&self, login: &str, password: &str) -> Result<SignIn, StoreError> {
        self.attempt(login, password, Purpose::SignIn).await
    }

    /// Asks a user who is signed in for the password again. A failure becomes an event; success is
    /// told by what follows from it.
    pub async fn confirm(&self, login: &str, password: &str) -> Result<SignIn, StoreError> {
        self.attempt(login, password, Purpose::Confirm).await
    }

    async fn attempt(
        &self,
        login: &str,
        password: &str,
        purpose: Purpose,
    ) -> Result<SignIn, StoreError> {
        const OPERATION: &str = "signing in";
        let sql = "SELECT id, login, display_name, role, disabled, created_ns, password_hash \
                   FROM users WHERE login = ?";
        let row = sqlx::query(sql)
            .bind(login)
            .fetch_optional(self.log().readers())
            .await
            .map_err(|error| StoreError::database(OPERATION, error))?;
        let found = match &row {
            Some(row) => {
                let hash: String = Reader {
                    row,
                    operation: OPERATION,
                }
                .get(6)?;
                Some((
                    user(Reader {
                        row,
                        operation: OPERATION,
                    })?,
                    hash,
                ))
            }
            None => None,
        };
        let (known, hash) = found.unzip();
        let right = matches(password, hash).await?;
        let outcome = match known {
            None => SignIn::Refused(AuthenticationFailure::UnknownUser),
            Some(_) if !right => SignIn::Refused(AuthenticationFailure::WrongSecret),
            Some(user) if user.disabled => SignIn::Refused(AuthenticationFailure::Disabled),
            Some(user) => SignIn::Accepted(user),
        };
        let user_id = row.as_ref().map(|row| {
            Reader {
                row,
                operation: OPERATION,
            }
            .id(0)
        });
        let publisher = self.bus().publisher("store");
        let method = AuthenticationMethod::Password;
        let event = match &outcome {
            SignIn::Accepted(_) if purpose == Purpose::Confirm => return Ok(outcome),
            SignIn::Accepted(user) => publisher.event(&SignedIn {
                user_id: user.id.0,
                method,
            }),
            SignIn::Refused(reason) => {
                let user_id = user_id.transpose()?;
                publisher.event(&AuthenticationFailed {
                    user_id,
                    method,
                    reason: *reason,
                })
            }
        };
        let event = event.map_err(|error| StoreError::Row {
            operation: OPERATION,
            reason: error.to_string(),
        })?;
        self.commit(UnitOfWork::new().event(event)).await?;
        Ok(outcome)
    }
}

/// Whether the password is the one of the hash. Without a hash it computes as long, so that the
/// time does not tell who is known.
async fn matches(password: &str, hash: Option<String>) -> Result<bool, StoreError> {
    let too_long = password.chars().count() > MAX_PASSWORD_CHARS;
    let hash = if too_long { None } else { hash };
    let password = Zeroizing::new(if too_long {
        String::new()
    } else {
        password.to_owned()
    });
    let argon2 = argon2()?;
    let task = tokio::task::spawn_blocking(move || {
        let Some(hash) = hash else {
            let _ = argon2.hash_password_with_salt(password.as_bytes(), &[0; 16]);
            return Ok(false);
        };
        let hash = PasswordHash::new(&hash).map_err(|error| StoreError::Row {
            operation: "signing in",
            reason: error.to_string(),
        })?;
        Ok(argon2.verify_password(password.as_bytes(), &hash).is_ok())
    });
    task.await
        .map_err(|_| StoreError::Password("it could not be checked".into()))?
}
