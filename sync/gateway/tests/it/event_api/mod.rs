//! The event API over real HTTP.

mod consumers;
mod log;
mod measure;
mod support;
