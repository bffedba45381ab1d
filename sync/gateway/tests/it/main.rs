//! The gateway as its clients see it.
#![allow(clippy::unwrap_used, reason = "a test stops at the first error")]

mod behind;
mod discovery;
mod edge;
mod event_api;
mod events_postgres;
mod fleet;
mod openapi;
mod people;
mod postgres;
mod problems;
mod program;
mod replicas;
mod rig;
mod state;
mod state_postgres;
mod trust;
