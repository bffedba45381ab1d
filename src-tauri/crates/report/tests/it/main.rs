//! Reports as their readers get them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod analysis;
mod content;
mod html;
mod pdf;
