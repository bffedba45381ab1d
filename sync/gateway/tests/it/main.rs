//! The gateway's tests.

mod discovery;
mod edge;
mod event_api;
mod events_postgres;
mod fleet;
mod people;
mod postgres;
mod program;
mod rig;
mod state;
mod state_postgres;
mod trust;
