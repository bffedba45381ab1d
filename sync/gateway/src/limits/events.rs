//! Limits of this part.
