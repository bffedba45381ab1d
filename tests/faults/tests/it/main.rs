//! What must not break it: malformed files and messages, kills, power loss, full disks, lost devices.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)] // A test fails loudly, and says what it skips.

mod clock;
mod device;
mod disk;
mod kills;
mod parsers;
mod rpc;
mod sleep;
mod store;
mod terminal;
mod without_store;
