//! neurascale-emulator: devices that exist as bytes, for tests and demonstrations.
#![allow(
    clippy::print_stdout,
    reason = "a program that tells a script where its device is"
)]

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use emulators::{DeliveryLog, Script};
use std::path::PathBuf;
use std::process::ExitCode;

/// Emulates a device byte for byte, with faults by a script. It runs until its input ends or it is killed.
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
    /// OpenBCI Cyton on a pseudo-terminal
    #[cfg(unix)]
    Cyton(CytonArgs),
    /// Muse headband behind BlueZ's interface
    #[cfg(target_os = "linux")]
    Muse(MuseArgs),
    /// OpenBCI Ganglion behind BlueZ's interface
    #[cfg(target_os = "linux")]
    Ganglion(GanglionArgs),
    /// Heart-rate strap behind BlueZ's interface
    #[cfg(target_os = "linux")]
    #[command(name = "heart-rate")]
    HeartRate(StrapArgs),
    /// BrainVision RDA server
    Rda(ServerArgs),
    /// FieldTrip buffer
    Fieldtrip(ServerArgs),
}

/// What every device has.
#[derive(Debug, Args)]
struct Common {
    /// EDF or BDF file to play in place of the simulator
    #[arg(long)]
    file: Option<PathBuf>,
    /// Seed of the simulator
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Number the samples in the last channel
    #[arg(long)]
    numbered: bool,
    /// As fast as the other side reads
    #[arg(long)]
    free: bool,
    /// Fault script
    #[arg(long)]
    script: Option<PathBuf>,
    /// File for a line of JSON about every packet
    #[arg(long)]
    log: Option<PathBuf>,
}

impl Common {
    fn script(&self) -> Result<Script> {
        let load = |path: &PathBuf| Script::load(path);
        Ok(self
            .script
            .as_ref()
            .map(load)
            .transpose()?
            .unwrap_or_default())
    }

    fn log(&self) -> Result<DeliveryLog> {
        let open = |path: &PathBuf| DeliveryLog::to_file(path);
        Ok(self.log.as_ref().map(open).transpose()?.unwrap_or_default())
    }
}

#[cfg(unix)]
#[derive(Debug, Args)]
struct CytonArgs {
    /// Where the port is to be
    port: PathBuf,
    /// With a Daisy: 16 channels
    #[arg(long)]
    daisy: bool,
    /// Impedances of the electrodes, kΩ, between commas
    #[arg(long, value_delimiter = ',')]
    impedances: Vec<f64>,
    #[command(flatten)]
    common: Common,
}

#[cfg(target_os = "linux")]
#[derive(Debug, Args)]
struct BusArgs {
    /// The bus on which it is BlueZ, and on which the program under test looks for it
    #[arg(long, env = "DBUS_SYSTEM_BUS_ADDRESS")]
    bus: String,
    /// The device's address
    #[arg(long, default_value = "00:55:DA:B0:00:01")]
    address: String,
    #[command(flatten)]
    common: Common,
}

#[cfg(target_os = "linux")]
#[derive(Debug, Args)]
struct MuseArgs {
    /// Which
    #[arg(long, value_parser = ["2016", "2", "athena"], default_value = "2")]
    model: String,
    #[command(flatten)]
    bus: BusArgs,
}

#[cfg(target_os = "linux")]
#[derive(Debug, Args)]
struct StrapArgs {
    /// A Polar H10, which gives its ECG besides
    #[arg(long)]
    polar: bool,
    #[command(flatten)]
    bus: BusArgs,
}

#[cfg(target_os = "linux")]
#[derive(Debug, Args)]
struct GanglionArgs {
    /// Firmware
    #[arg(long, value_parser = clap::value_parser!(u8).range(2..=3), default_value_t = 3)]
    firmware: u8,
    #[command(flatten)]
    bus: BusArgs,
}

#[derive(Debug, Args)]
struct ServerArgs {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: std::net::SocketAddr,
    /// Channels
    #[arg(long, default_value_t = 32)]
    channels: usize,
    /// Samples a second
    #[arg(long, default_value_t = 500)]
    rate: u32,
    /// Samples of a block
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    block: u32,
    /// 16-bit integers in place of floats
    #[arg(long)]
    integers: bool,
    /// A marker every so many samples
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    marker_every: Option<u32>,
    #[command(flatten)]
    common: Common,
}

impl ServerArgs {
    fn config(&self) -> Result<emulators::servers::ServerConfig> {
        Ok(emulators::servers::ServerConfig {
            listen: self.listen,
            file: self.common.file.clone(),
            seed: self.common.seed,
            channels: self.channels,
            rate_hz: self.rate,
            block: self.block,
            float: !self.integers,
            numbered: self.common.numbered,
            marker_every: self.marker_every,
            script: self.common.script()?,
        })
    }
}

fn main() -> Result<ExitCode> {
    match Arguments::parse().device {
        Device::CheckScript { file } => {
            Script::load(&file)?;
            println!("the script is sound");
        }
        #[cfg(unix)]
        Device::Cyton(arguments) => cyton(arguments)?,
        #[cfg(target_os = "linux")]
        Device::Muse(arguments) => {
            use emulators::bluez::Model;
            let model = match arguments.model.as_str() {
                "2016" => Model::Muse2016,
                "athena" => Model::Athena,
                _ => Model::Muse2,
            };
            bluetooth("muse", model, arguments.bus)?;
        }
        #[cfg(target_os = "linux")]
        Device::Ganglion(arguments) => {
            use emulators::bluez::Model;
            let new = arguments.firmware == 3;
            let model = [Model::Ganglion2, Model::Ganglion3][usize::from(new)];
            bluetooth("ganglion", model, arguments.bus)?;
        }
        #[cfg(target_os = "linux")]
        Device::HeartRate(arguments) => {
            use emulators::bluez::Model;
            let model = [Model::HeartRate, Model::Polar][usize::from(arguments.polar)];
            bluetooth("heart-rate", model, arguments.bus)?;
        }
        Device::Rda(arguments) => {
            let (config, log) = (arguments.config()?, arguments.common.log()?);
            let clock = std::sync::Arc::new(contract::SystemClock);
            let server = emulators::servers::ServerEmulator::rda(config, log, clock)?;
            println!("rda:{}", server.address());
            until_input_ends(|| server.is_running());
            server.finish()?;
        }
        Device::Fieldtrip(arguments) => {
            let (config, log) = (arguments.config()?, arguments.common.log()?);
            let clock = std::sync::Arc::new(contract::SystemClock);
            // Ten minutes, as buffers usually hold.
            let ring = config.rate_hz as usize * 600;
            let server = emulators::servers::ServerEmulator::fieldtrip(config, ring, log, clock)?;
            println!("fieldtrip:{}", server.address());
            until_input_ends(|| server.is_running());
            server.finish()?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(unix)]
fn cyton(arguments: CytonArgs) -> Result<()> {
    use emulators::cyton::CytonConfig;
    let common = &arguments.common;
    let config = CytonConfig {
        daisy: arguments.daisy,
        file: common.file.clone(),
        seed: common.seed,
        numbered: common.numbered,
        impedances_kohm: arguments.impedances,
        free: common.free,
        script: common.script()?,
        ..CytonConfig::new(arguments.port.clone())
    };
    let clock = std::sync::Arc::new(contract::SystemClock);
    let emulator = config.start(common.log()?, clock)?;
    println!("cyton:{}", arguments.port.display());
    until_input_ends(|| emulator.is_running());
    emulator.finish()?;
    Ok(())
}

#[cfg(target_os = "linux")]
fn bluetooth(driver: &str, model: emulators::bluez::Model, arguments: BusArgs) -> Result<()> {
    use emulators::bluez::BluetoothConfig;
    let common = &arguments.common;
    let config = BluetoothConfig {
        address: arguments.address.clone(),
        file: common.file.clone(),
        seed: common.seed,
        numbered: common.numbered,
        script: common.script()?,
        ..BluetoothConfig::new(model, arguments.bus)
    };
    let clock = std::sync::Arc::new(contract::SystemClock);
    let emulator = config.start(common.log()?, clock)?;
    println!("{driver}:{}", arguments.address);
    until_input_ends(|| emulator.is_running());
    emulator.finish()?;
    Ok(())
}

/// Waits until standard input ends, or until `running` says no.
fn until_input_ends(running: impl Fn() -> bool) {
    let (ended, ends) = std::sync::mpsc::sync_channel(1);
    let watching = std::thread::Builder::new()
        .name("input".into())
        .spawn(move || {
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            let _ = ended.send(());
        });
    if watching.is_err() {
        return;
    }
    let look = std::time::Duration::from_millis(100);
    while running() {
        if !matches!(
            ends.recv_timeout(look),
            Err(std::sync::mpsc::RecvTimeoutError::Timeout)
        ) {
            return;
        }
    }
}
