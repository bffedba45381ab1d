//! The embedded engine under simulated time: but for `latency`, every test runs on one thread with tokio's time
//! paused, so that hours pass in milliseconds and in the same order each time.

mod basics;
mod cancellation;
mod children;
mod combinators;
mod common;
mod crashes;
mod latency;
mod replay;
mod timeouts;
