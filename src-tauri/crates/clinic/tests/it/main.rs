//! The clinic's workflows on the embedded engine: what they ask for, in which order, whatever fails.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod onboarding;
mod session;
