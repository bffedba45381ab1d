//! The gateway's tests.

mod people;
mod state;
