//! The event API over real HTTP.

mod consumers;
mod hostile;
mod log;
mod measure;
mod support;
