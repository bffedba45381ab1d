//! Tests of the simulator and of playback.
mod conformance;
mod support;
