//! What crosses between the gateway, its workstations and the hospital's services.
//!
//! Types only: no I/O, clock or randomness. JSON field names are part of the protocol; a field is
//! added as an optional one, and anything else is a new path (`/v2/…`).

mod identity;
mod problem;

pub use identity::{Principal, Role, UnknownRole};
pub use problem::{PROBLEM_MEDIA_TYPE, Problem};
