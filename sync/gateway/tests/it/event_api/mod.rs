//! The event API over real HTTP.

mod consumers;
mod grpc;
mod hostile;
mod log;
mod measure;
mod support;
