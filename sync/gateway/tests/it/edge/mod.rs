//! The edge in front of real servers.

mod faults;
mod hostile;
mod passing;
mod rate_limit;
mod rig;
