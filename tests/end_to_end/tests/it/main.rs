//! Whole sessions through the real programs.
#![allow(clippy::unwrap_used, reason = "a test stops at the first error")]

mod bedside;
mod bluetooth_device;
mod clients;
mod evidence;
mod network_device;
mod outlet;
mod people;
mod playback;
mod quality;
mod reports;
mod rules;
mod serial_device;
mod settings;
mod simulated_session;
mod views;
mod worklist;
