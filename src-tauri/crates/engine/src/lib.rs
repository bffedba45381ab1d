//! The engine process: the façade behind a local socket.
//!
//! [`serve`] takes the data folder's lock, opens the workstation, listens, and stops cleanly on
//! SIGTERM, SIGINT, the stop call, or after idling. Wire types end here: the `api` modules convert
//! them to and from the rooms' own.

mod access;
mod api;
mod failure;
mod feed;
pub mod limits;
mod lock;
mod log_file;
mod rpc;
mod serve;
mod socket;

pub use failure::Failure;
pub use serve::{ServeOptions, restore, serve};
