//! The gateway as its clients see it.
#![allow(clippy::unwrap_used, reason = "a test stops at the first error")]

mod behind;
mod client_discovery;
mod client_identity;
mod discovery;
mod edge;
mod event_api;
mod events_postgres;
mod evidence;
mod fleet;
mod observability;
mod oidc;
mod openapi;
mod passkeys;
mod people;
mod problems;
mod program;
mod reload;
mod replicas;
mod rig;
mod state;
mod state_postgres;
mod trust;
