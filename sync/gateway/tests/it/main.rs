//! The gateway's tests.

mod state;
