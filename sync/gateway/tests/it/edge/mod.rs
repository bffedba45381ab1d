//! The edge in front of real servers.

mod faults;
mod hostile;
mod listener;
mod passing;
mod rate_limit;
mod rig;
mod versions;
