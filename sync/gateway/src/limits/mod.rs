//! Limits and defaults of the gateway, each with its unit and its source; one file a part.

pub mod discovery;
pub mod edge;
pub mod events;
pub mod oidc;
pub mod passkeys;
pub mod people;
pub mod service;
pub mod state;
pub mod traces;
pub mod trust;
