//! The Driver trait, device and stream descriptions, and the conformance suite.
