//! The emulators' own parts: what is played, and when.

mod source;
