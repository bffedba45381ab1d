//! Whole sessions through the real programs.

mod clients;
mod evidence;
mod people;
mod playback;
mod quality;
mod rules;
mod simulated_session;
