//! The gateway of a fleet of workstations: edge, trust, discovery, configuration, events.
//!
//! One program. With no configuration at all it keeps its state in one SQLite file in its data
//! folder, has its own certificate authority, listens on loopback and prints a set-up code.

pub mod access;
pub mod config;
pub mod discovery;
pub mod edge;
pub mod event_api;
pub mod limits;
pub mod oidc;
pub mod openapi;
pub mod passkeys;
pub mod people;
mod problem;
pub mod random;
pub mod sealing;
pub mod service;
pub mod state;
mod tickets;
pub mod traces;
pub mod trust;

pub use problem::Failure;
