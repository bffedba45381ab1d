//! Reports as their readers get them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

mod analysis;
mod content;
mod html;
mod pdf;
