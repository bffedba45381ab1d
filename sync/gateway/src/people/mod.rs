//! People: who they are, their passwords and second factors, and their being signed in.
//!
//! A person is kept under the login; a second key leads from the opaque id to it. Tokens and ledger carry
//! the id alone. Wrong secrets cost a growing wait and never lock anybody out.

mod external;
mod password;
mod patience;
mod sessions;
mod store;
mod totp;

pub use external::External;
pub use password::{PasswordError, Passwords};
pub use patience::Patience;
pub use sessions::{Refreshed, Session, Sessions};
pub use store::{NewPerson, People, PeopleError, Person, SignIn};
pub use totp::{TotpSecret, otpauth_url};
