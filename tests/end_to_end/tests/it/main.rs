//! Whole sessions through the real programs.
#![allow(clippy::unwrap_used, reason = "a test stops at the first error")]

mod bedside;
mod clients;
mod evidence;
mod people;
mod playback;
mod quality;
mod rules;
mod simulated_session;
mod views;
