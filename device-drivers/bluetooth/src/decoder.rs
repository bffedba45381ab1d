//! The decoders without a radio. Nothing here allocates or panics, whatever the bytes.

pub mod athena;
pub mod ganglion;
pub mod heart_rate;
pub mod muse;
pub mod polar;
