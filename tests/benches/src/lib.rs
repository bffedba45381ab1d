//! The figures of the README, measured beside their peers.
