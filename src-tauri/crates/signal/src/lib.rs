//! The vocabulary: streams, channels, sample blocks, gaps, montages.
