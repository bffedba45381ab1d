//! Typed client of the engine's socket, with the binary sample feed.
