//! Typed client of the engine's local socket.
//!
//! [`Client::connect`] finds the engine of a data folder, starting it when none runs and the caller
//! wants that; [`Client::call`] makes one call and yields its typed reply; [`Client::feed`] yields
//! the binary display feed. A client holds no state that a session depends on: its death changes
//! nothing, and the engine finishes every call it has accepted.

mod client;
mod error;
mod feed;
pub mod limits;
mod locate;
mod start;
mod transport;

pub use client::Client;
pub use error::ClientError;
pub use feed::Feed;
pub use locate::{ENDPOINT_FILE, data_dir};
pub use start::{Start, engine_program};
