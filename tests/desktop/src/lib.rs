//! A bedside for a test: a screen of its own, a station with its engine, and the real window on it,
//! driven over WebDriver and by the keyboard.
//!
//! The programs are those that the same build made, as in `end-to-end`. Everything is started in a
//! folder of its own and stopped by its process id.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::print_stderr)] // A test's tool: failing loudly is its purpose.

mod display;
pub mod gauge;
mod http;
mod person;
mod picture;
mod process;
mod webdriver;
mod window;

pub use display::Display;
pub use person::{Person, css};
pub use picture::Picture;
pub use process::Process;
pub use webdriver::{Element, Session};
pub use window::{Bedside, Window};

use end_to_end::bin_dir;
use std::path::PathBuf;
use std::time::Duration;

/// How long a page may take to show what was asked of it, on two loaded cores.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Folder that pictures of the window are kept in: beside the programs.
#[must_use]
pub fn screenshots() -> PathBuf {
    bin_dir().join("screenshots")
}

/// axe-core's source, or `None` after saying loudly that it is missing.
#[must_use]
pub fn axe() -> Option<String> {
    let found = std::env::var_os("NEURASCALE_AXE")
        .map(PathBuf::from)
        .and_then(|file| std::fs::read_to_string(file).ok());
    if found.is_none() {
        eprintln!("SKIPPED: NEURASCALE_AXE is not set; pages are not checked with axe-core");
    }
    found
}
