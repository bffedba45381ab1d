//! The engine's one encrypted database.
