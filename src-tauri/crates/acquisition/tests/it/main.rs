//! Whole acquisitions: real threads and queues, a scripted device that numbers its samples.
#![allow(clippy::print_stderr)] // Figures, and what was skipped.
#![allow(clippy::unwrap_used)] // Helpers of tests fail by panicking, as tests do.

mod allocation;
mod drivers;
mod faults;
mod recorder;
mod scripted;
mod speed;
mod supervision;
