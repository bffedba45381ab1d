//! Live traces and review.
