//! The clinical report as PDF and HTML.
