//! `neurascale-engine`: the engine process, sole owner of devices, store and ledger.

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use engine::{ServeOptions, restore, serve};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Owns devices, store and ledger; serves window and command line over a local socket.
#[derive(Debug, Parser)]
#[command(name = "neurascale-engine", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run until told to stop.
    Serve {
        /// Folder of recordings, store and keys.
        #[arg(long, env = "NEURASCALE_DATA_DIR")]
        data_dir: PathBuf,
        /// Leave after so many seconds without a session or a call; never when absent.
        #[arg(long)]
        idle_exit_s: Option<u64>,
    },
    /// Put a backup in place of the store. No engine may run on the folder.
    Restore {
        /// Folder of recordings, store and keys.
        #[arg(long, env = "NEURASCALE_DATA_DIR")]
        data_dir: PathBuf,
        /// The backup.
        #[arg(long)]
        from: PathBuf,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The log may not exist yet; whoever started the engine reads its standard error.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            let code = error
                .downcast_ref::<engine::Failure>()
                .map_or(11, engine::Failure::code);
            ExitCode::from(code)
        }
    }
}

fn run(arguments: Arguments) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("engine")
        .enable_all()
        .build()
        .context("start the engine's threads")?;
    match arguments.command {
        Command::Serve {
            data_dir,
            idle_exit_s,
        } => {
            let options = ServeOptions {
                data_dir,
                idle_exit: idle_exit_s.map(Duration::from_secs),
            };
            runtime.block_on(serve(options))?;
        }
        Command::Restore { data_dir, from } => runtime.block_on(restore(&data_dir, &from))?,
    }
    // Blocking tasks that are stuck in a driver must not keep the process.
    runtime.shutdown_timeout(Duration::from_secs(2));
    Ok(())
}
