//! The gateway's tests.

mod fleet;
mod people;
mod program;
mod rig;
mod state;
mod trust;
