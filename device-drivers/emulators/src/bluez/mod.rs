//! Bluetooth devices behind BlueZ's interface on a private bus, so that a driver's own client code runs.
//!
//! Written from BlueZ's documentation (org.bluez.Adapter, Device, GattService, GattCharacteristic). The bus is any
//! `dbus-daemon` that lets this program own `org.bluez`; the program under test finds it by
//! `DBUS_SYSTEM_BUS_ADDRESS`.

mod athena;
mod ganglion;
mod heart_rate;
mod muse;
mod objects;
mod radio;

use crate::{DeliveryLog, Error, Packet, Running, Script};
use contract::Clock;
use radio::Radio;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Which device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// The Muse of 2016.
    Muse2016,
    /// The Muse 2 or S: with light.
    Muse2,
    /// The Muse S Athena.
    Athena,
    /// A Ganglion with firmware 2.
    Ganglion2,
    /// A Ganglion with firmware 3.
    Ganglion3,
    /// A heart-rate strap.
    HeartRate,
    /// A Polar H10: a heart-rate strap with ECG.
    Polar,
}

/// How the device is.
#[derive(Debug, Clone)]
pub struct BluetoothConfig {
    /// Which device.
    pub model: Model,
    /// Address of the bus.
    pub bus: String,
    /// The device's address.
    pub address: String,
    /// A file to play in place of the simulator.
    pub file: Option<PathBuf>,
    /// Seed of the simulator.
    pub seed: u64,
    /// Whether the last channel of the potentials carries the sample's number: 12 bits with a Muse, 14 with
    /// an Athena, times 128 with a Ganglion of firmware 3, whose lowest bits are not sent.
    pub numbered: bool,
    /// Whether the computer has an adapter.
    pub adapter: bool,
    /// Whether Bluetooth is switched on.
    pub powered: bool,
    /// It hangs up when it hears no command for so long while it streams, as a Muse does after about a minute.
    pub patience: Option<Duration>,
    /// What goes wrong.
    pub script: Script,
}

impl BluetoothConfig {
    /// A device on the bus at `bus` that nothing goes wrong with.
    #[must_use]
    pub fn new(model: Model, bus: String) -> Self {
        Self {
            model,
            bus,
            address: "00:55:DA:B0:00:01".to_owned(),
            file: None,
            seed: 1,
            numbered: false,
            adapter: true,
            powered: true,
            patience: match model {
                Model::Muse2016 | Model::Muse2 | Model::Athena => Some(Duration::from_secs(60)),
                _ => None,
            },
            script: Script::default(),
        }
    }
}

/// A notification on its way.
#[derive(Debug)]
struct Sent {
    /// Index of the characteristic.
    from: usize,
    packet: Packet,
    /// Whether it carries the numbered channel, which the log is about.
    logged: bool,
}

/// What a device does behind the radio.
trait Peripheral: Send {
    fn name(&self) -> &'static str;

    /// The service it advertises.
    fn service(&self) -> &'static str;

    /// Its characteristics, with BlueZ's flags.
    fn characteristics(&self) -> Vec<(String, &'static [&'static str])>;

    /// Turns of [`Self::next`] in a second.
    fn turns_per_s(&self) -> f64;

    /// Whether it sends now.
    fn streams(&self) -> bool;

    /// The connection is new.
    fn connected(&mut self);

    /// Takes a command; answers as (characteristic, bytes).
    fn hear(&mut self, command: &[u8]) -> Vec<(usize, Vec<u8>)>;

    /// What a read gives.
    fn value(&self, _characteristic: usize) -> Vec<u8> {
        Vec::new()
    }

    /// What is sent in the next turn.
    fn next(&mut self) -> Result<Vec<Sent>, Error>;
}

impl BluetoothConfig {
    /// Switches the device on. It keeps in `log` what became of the packets of its numbered channel.
    ///
    /// # Errors
    /// The bus is not there or does not let us be BlueZ, or what is to be played cannot be.
    pub fn start(self, log: DeliveryLog, clock: Arc<dyn Clock>) -> Result<Running, Error> {
        let device: Box<dyn Peripheral> = match self.model {
            Model::Muse2016 | Model::Muse2 => Box::new(muse::Muse::new(&self)?),
            Model::Athena => Box::new(athena::Athena::new(&self)?),
            Model::Ganglion2 | Model::Ganglion3 => Box::new(ganglion::Ganglion::new(&self)?),
            Model::HeartRate | Model::Polar => Box::new(heart_rate::HeartRate::new(&self)?),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::io("cannot make an event loop", error))?;
        let radio = runtime.block_on(Radio::new(self, device, log.clone(), clock))?;
        Running::start("bluez", log, move |off| runtime.block_on(radio.run(&off)))
    }
}

/// Numbers of `width` bits after each other, highest bit first, in `bytes` bytes.
fn packed(numbers: impl IntoIterator<Item = u32>, width: u32, bytes: usize) -> Vec<u8> {
    let mut packed = vec![0; bytes];
    let bits =
        (numbers.into_iter()).flat_map(|n| (0..width).rev().map(move |bit| n >> bit & 1 == 1));
    for (at, _) in bits
        .enumerate()
        .filter(|(_, bit)| *bit)
        .take_while(|(at, _)| *at < bytes * 8)
    {
        packed[at / 8] |= 0x80 >> (at % 8);
    }
    packed
}
