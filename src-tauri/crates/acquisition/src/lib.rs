//! Device threads: sample counting, gaps, clock fit, fan-out of blocks.
