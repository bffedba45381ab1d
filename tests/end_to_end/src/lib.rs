//! Whole sessions through the real programs.
