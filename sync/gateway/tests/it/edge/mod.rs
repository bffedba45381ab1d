//! The edge in front of real servers.

mod rate_limit;
