//! What must not break it: malformed files and messages, kills, power loss, full disks, lost devices.

mod device;
mod disk;
mod kills;
mod parsers;
mod rpc;
mod store;
mod terminal;
