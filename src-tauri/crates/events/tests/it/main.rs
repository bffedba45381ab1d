//! Integration tests of the event bus.

mod bus;
mod schemas;
