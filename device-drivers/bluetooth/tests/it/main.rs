//! The Bluetooth drivers against recorded bytes and against devices that exist as bytes.

mod recordings;
