//! What must not break it: malformed files and messages, kills, power loss, full disks, lost devices.

mod kills;
mod parsers;
