//! Crash-safe encrypted journal, its reader, and the overview pyramid.
