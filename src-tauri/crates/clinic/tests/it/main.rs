//! The clinic's workflows on the embedded engine: what they ask for, in which order, whatever fails.

mod onboarding;
mod session;
