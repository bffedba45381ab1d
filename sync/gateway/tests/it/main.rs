//! The gateway's tests.

mod discovery;
mod fleet;
mod people;
mod program;
mod rig;
mod state;
mod trust;
