//! Devices that exist as bytes: what the real ones send, with faults by a script.
//!
//! A device plays a [`Source`] (the physiological simulator or a file), encodes its samples into
//! packets and passes them through a [`Line`], which loses, repeats, spoils and delays them as a
//! [`Script`] says and keeps in a [`DeliveryLog`] what became of each. Nothing here is shared with
//! the drivers that read these bytes: an error in one must not hide behind the same error in the
//! other.

#[cfg(target_os = "linux")]
pub mod bluez;
#[cfg(unix)]
pub mod cyton;
mod error;
mod limits;
mod line;
mod log;
mod pace;
#[cfg(unix)]
mod pty;
mod running;
mod script;
pub mod servers;
mod source;

pub use error::Error;
pub use line::{Line, Packet, Step};
pub use log::{Delivery, DeliveryLog, Fate};
pub use pace::Pace;
pub use running::Running;
pub use script::{Answers, Chance, Fault, Kind, Script};
pub use source::{Source, SourceSpec};
