//! The workflow room on a Temporal cluster.
