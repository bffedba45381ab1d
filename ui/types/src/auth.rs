//! Who uses the program. A call that carries a token (`authorization: Bearer …`) is made in that
//! person's name; one that carries none (the command line, a service) in the name of the system's
//! user who owns the engine.

use crate::Nothing;
use crate::call::call;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a person may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Came in by break-glass: records and marks, for a while.
    BreakGlass,
}

/// A person who uses the program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserView {
    /// Opaque id.
    pub id: String,
    /// Name to sign in with.
    pub login: String,
    /// Name to show.
    pub display_name: String,
    /// What the person may do.
    pub role: Role,
    /// May not sign in.
    pub disabled: bool,
}

/// A password on its way; never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Password(pub String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// Asks who is signed in, and whether anyone can.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct AuthStatus {}
call!(AuthStatus, "auth.status", AuthStatusReply);

/// Who is signed in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AuthStatusReply {
    /// Whether there is a first administrator; if not, [`AuthFirstAdministrator`] makes one.
    pub has_administrator: bool,
    /// The person whose token the call carried, while it holds.
    pub user: Option<UserView>,
    /// Shortest password, characters.
    pub min_password_chars: u32,
    /// The window locks itself after so long without a key or movement, s.
    pub lock_after_s: u32,
}

/// Makes the first administrator; refused when there is one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AuthFirstAdministrator {
    /// Name to sign in with.
    pub login: String,
    /// Name to show.
    pub display_name: String,
    /// Password.
    pub password: Password,
}
call!(
    AuthFirstAdministrator,
    "auth.first_administrator",
    SignedInReply
);

/// Signs a person in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AuthSignIn {
    /// Name to sign in with.
    pub login: String,
    /// Password.
    pub password: Password,
}
call!(AuthSignIn, "auth.sign_in", SignedInReply);

/// Lets someone in who cannot sign in, so that care is not blocked; ends by itself and stands in the
/// ledger.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AuthBreakGlass {
    /// Who it is.
    pub name: String,
    /// Why.
    pub reason: String,
}
call!(AuthBreakGlass, "auth.break_glass", SignedInReply);

/// Someone is signed in.
#[derive(Clone, Serialize, Deserialize)]
pub struct SignedInReply {
    /// To be carried by every call; a secret.
    pub token: String,
    /// Who.
    pub user: UserView,
    /// When it ends by itself, RFC 3339.
    pub expires: String,
}

impl fmt::Debug for SignedInReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedInReply")
            .field("user", &self.user)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// Ends the token the call carries.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct AuthSignOut {}
call!(AuthSignOut, "auth.sign_out", Nothing);

/// Lists users. For administrators.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct UserList {}
call!(UserList, "user.list", UserListReply);

/// Users.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UserListReply {
    /// In order of login.
    pub users: Vec<UserView>,
}

/// Adds a user. For administrators.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UserAdd {
    /// Name to sign in with.
    pub login: String,
    /// Name to show.
    pub display_name: String,
    /// What the person may do.
    pub role: Role,
    /// First password.
    pub password: Password,
}
call!(UserAdd, "user.add", UserView);

/// Lets a user sign in, or not. For administrators.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UserDisable {
    /// Opaque id.
    pub id: String,
    /// May not sign in.
    pub disabled: bool,
}
call!(UserDisable, "user.disable", Nothing);
