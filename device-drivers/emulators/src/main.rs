//! neurascale-emulator: devices that exist as bytes, for tests and demonstrations.
#![allow(
    clippy::print_stdout,
    reason = "a program that tells a script where its device is"
)]

use clap::{Parser, Subcommand};
use emulators::Script;
use std::path::PathBuf;
use std::process::ExitCode;

/// Emulates a device byte for byte, with faults by a script.
#[derive(Debug, Parser)]
#[command(name = "neurascale-emulator", version)]
struct Arguments {
    #[command(subcommand)]
    device: Device,
}

#[derive(Debug, Subcommand)]
enum Device {
    /// Check a fault script
    CheckScript {
        /// The script
        file: PathBuf,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().device {
        Device::CheckScript { file } => {
            Script::load(&file)?;
            println!("the script is sound");
        }
    }
    Ok(ExitCode::SUCCESS)
}
