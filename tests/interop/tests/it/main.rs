//! Files of ours in the hands of programs that others wrote.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

mod bluetooth;
mod cyton;
mod exports;
mod lsl;
mod source;

use std::path::{Path, PathBuf};

/// The interpreter with the other programs; `None`, loudly, where there is none.
fn python(what: &str) -> Option<PathBuf> {
    let Some(environment) = std::env::var_os("NEURASCALE_PYENV") else {
        eprintln!("SKIPPED: {what} (NEURASCALE_PYENV is not set)");
        return None;
    };
    Some(Path::new(&environment).join("bin").join("python"))
}
