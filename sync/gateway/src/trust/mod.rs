//! Trust: the gateway's certificate authority, its tokens, and how devices and services are enrolled.
//!
//! A certificate proves a device or service at the handshake; a token, signed by the gateway or by an
//! issuer that is configured, proves who asks. Private keys are sealed before they go into the state, so
//! that all replicas share them and a copy of the database opens nothing.

mod authority;
mod enrolment;
mod id_token;
mod jws;
mod key_sets;
mod keyring;
mod tls;
mod tokens;

pub(crate) use authority::hex;
pub use authority::{Authority, AuthorityError, Issued, Peer, Subject, SubjectKind};
pub use enrolment::{Enrolled, Enrolment, EnrolmentCode, EnrolmentError};
pub(crate) use id_token::{Due, Identity, has_key, verify as verify_id_token};
pub use jws::{Algorithm, JwsError, PublicKey};
pub use key_sets::{KeySet, KeySetError, KeySource};
pub use keyring::{Keyring, KeyringError};
pub use tls::{PeerCertificate, Tls, TlsError};
pub use tokens::{Claims, ExternalIssuer, TokenError, Tokens};
