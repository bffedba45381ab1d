//! The device's thread: what is due goes through the line's faults to whoever is subscribed.

use super::objects::{Adapter, AgentManager, Characteristic, Device, Service, Shared};
use super::{BluetoothConfig, Peripheral, Sent};
use crate::{Delivery, DeliveryLog, Error, Fate, Line, Pace, Script, Step};
use contract::Clock;
use signal::HostNanos;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use zbus::{OwnedObjectPath, Variant};

/// Longest sleep between looks for commands.
const LOOK: Duration = Duration::from_millis(2);
/// Between two advertisements.
const ADVERTISING: Duration = Duration::from_millis(100);
/// Packets whose way is remembered; the line holds one back.
const ROUTES: usize = 16;

fn bus(what: &str) -> impl FnOnce(zbus::Error) -> Error {
    move |error| Error::io(format!("bus: {what}"), std::io::Error::other(error))
}

fn path(text: String) -> Result<OwnedObjectPath, Error> {
    OwnedObjectPath::try_from(text).map_err(bus("path"))
}

pub(super) struct Radio {
    connection: zbus::Connection,
    device: Box<dyn Peripheral>,
    device_path: OwnedObjectPath,
    paths: Vec<OwnedObjectPath>,
    air: Shared,
    faults: Line,
    script: Script,
    /// The device's clock since it streams, and its turns.
    pace: Option<Pace>,
    turns: u64,
    back_at: Option<HostNanos>,
    /// How long it streams without a command, and when it heard the last.
    patience: Option<Duration>,
    heard: HostNanos,
    advertised: HostNanos,
    /// Packets so far, and where the last ones belong: a fault may let one go after another's.
    packets: u64,
    routes: VecDeque<(u64, usize, bool)>,
    log: DeliveryLog,
    clock: Arc<dyn Clock>,
}

impl Radio {
    pub(super) async fn new(
        config: BluetoothConfig,
        device: Box<dyn Peripheral>,
        log: DeliveryLog,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let air = Shared::default();
        let connection = zbus::connection::Builder::address(config.bus.as_str())
            .build()
            .await
            .map_err(bus("connect"))?;
        let server = connection.object_server();
        (server.at("/", zbus::fdo::ObjectManager).await).map_err(bus("serve"))?;
        let agents = path("/org/bluez".to_owned())?;
        (server.at(&agents, AgentManager).await).map_err(bus("serve"))?;
        let adapter = path("/org/bluez/hci0".to_owned())?;
        let name = config.address.replace(':', "_");
        let device_path = path(format!("{}/dev_{name}", adapter.as_str()))?;
        let mut paths = Vec::new();
        if config.adapter {
            let object = Adapter {
                powered: config.powered,
                air: air.clone(),
            };
            (server.at(&adapter, object).await).map_err(bus("serve"))?;
            let object = Device {
                address: config.address.clone(),
                name: device.name(),
                service: device.service(),
                adapter: adapter.clone(),
                air: air.clone(),
            };
            (server.at(&device_path, object).await).map_err(bus("serve"))?;
            let service = path(format!("{}/service0001", device_path.as_str()))?;
            let object = Service {
                uuid: device.service(),
                device: device_path.clone(),
            };
            (server.at(&service, object).await).map_err(bus("serve"))?;
            for (index, (uuid, flags)) in device.characteristics().into_iter().enumerate() {
                let at = path(format!("{}/char{index:04x}", service.as_str()))?;
                let object = Characteristic {
                    index,
                    uuid,
                    flags,
                    service: service.clone(),
                    value: device.value(index),
                    air: air.clone(),
                };
                (server.at(&at, object).await).map_err(bus("serve"))?;
                paths.push(at);
            }
        }
        air.lock().notifying = vec![false; paths.len()];
        air.lock().never = config.script.answers.never;
        (connection.request_name("org.bluez").await).map_err(bus("own org.bluez"))?;
        Ok(Self {
            connection,
            device,
            device_path,
            paths,
            air,
            faults: Line::new(&config.script),
            script: config.script,
            pace: None,
            turns: 0,
            back_at: None,
            patience: config.patience,
            heard: clock.host(),
            advertised: clock.host(),
            packets: 0,
            routes: VecDeque::new(),
            log,
            clock,
        })
    }

    pub(super) async fn run(mut self, off: &AtomicBool) -> Result<(), Error> {
        while !off.load(Ordering::Relaxed) {
            self.come_back();
            self.advertise().await?;
            self.hear().await?;
            self.lose_patience().await?;
            let due = (self.pace.as_ref()).map_or(LOOK, |pace| pace.wait(self.turns));
            if due.is_zero() {
                self.turn().await?;
            } else {
                tokio::time::sleep(due.min(LOOK)).await;
            }
        }
        self.log.flush();
        Ok(())
    }

    fn come_back(&mut self) {
        if self.back_at.is_some_and(|at| self.clock.host() >= at) {
            self.back_at = None;
            self.air.lock().away = false;
        }
    }

    /// While someone listens, an advertisement is heard again and again.
    async fn advertise(&mut self) -> Result<(), Error> {
        let now = self.clock.host();
        let is_heard = {
            let air = self.air.lock();
            air.discovering && !air.connected && !air.away && !air.never
        };
        let since = now.nanos_since(self.advertised);
        if !is_heard || u128::from(since.unsigned_abs()) < ADVERTISING.as_nanos() {
            return Ok(());
        }
        self.advertised = now;
        let changed = HashMap::from([("RSSI", Variant::from(-60_i16))]);
        let device = self.device_path.clone();
        self.changed(&device, "org.bluez.Device1", changed).await
    }

    async fn lose_patience(&mut self) -> Result<(), Error> {
        let Some(patience) = self.patience.filter(|_| self.device.streams()) else {
            return Ok(());
        };
        let silent = self.clock.host().nanos_since(self.heard);
        if u128::from(silent.unsigned_abs()) > patience.as_nanos() && self.air.lock().connected {
            self.hang_up(Duration::ZERO).await?;
        }
        Ok(())
    }

    async fn hear(&mut self) -> Result<(), Error> {
        let (fresh, commands) = {
            let mut air = self.air.lock();
            (
                std::mem::take(&mut air.fresh),
                std::mem::take(&mut air.commands),
            )
        };
        if fresh {
            self.device.connected();
        }
        for command in commands {
            self.heard = self.clock.host();
            let text = String::from_utf8_lossy(&command).into_owned();
            let instead = self.script.answers.instead.get(&text).cloned();
            let mut answers = self.device.hear(&command);
            if let (Some(instead), Some((_, bytes))) = (instead, answers.first_mut()) {
                *bytes = instead.into_bytes();
            }
            let delay = Duration::from_millis(self.script.answers.delay_ms);
            if !answers.is_empty() && !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            for (from, bytes) in answers {
                self.notify(from, &bytes).await?;
            }
        }
        match (self.device.streams(), &self.pace) {
            (true, None) => {
                let rate = self.device.turns_per_s();
                let clock = Arc::clone(&self.clock);
                self.pace = Some(Pace::new(clock, rate, &self.script, false));
                self.turns = 0;
            }
            (false, Some(_)) => self.pace = None,
            _ => {}
        }
        Ok(())
    }

    async fn turn(&mut self) -> Result<(), Error> {
        self.turns += 1;
        for Sent {
            from,
            packet,
            logged,
        } in self.device.next()?
        {
            self.routes.push_back((self.packets, from, logged));
            if self.routes.len() == ROUTES {
                self.routes.pop_front();
            }
            self.packets += 1;
            if !self.air.lock().connected {
                let lost = self.faults.skip(&packet);
                self.enter(logged.then_some(lost));
                continue;
            }
            let mut steps = Vec::new();
            self.faults.pass(packet, &mut steps);
            for step in steps {
                self.perform(from, step).await?;
            }
        }
        Ok(())
    }

    async fn perform(&mut self, from: usize, step: Step) -> Result<(), Error> {
        match step {
            Step::Send { bytes, delivery } => {
                let (from, logged) = delivery.map_or((from, false), |d| self.route(d.packet, from));
                let held = self.faults.jitter();
                if !held.is_zero() {
                    tokio::time::sleep(held).await;
                }
                let sent = self.notify(from, &bytes).await?;
                let delivery = delivery.map(|delivery| Delivery {
                    fate: if sent { delivery.fate } else { Fate::Lost },
                    ..delivery
                });
                self.enter(delivery.filter(|_| logged));
            }
            Step::Drop(delivery) => {
                let (_, logged) = self.route(delivery.packet, from);
                self.enter(logged.then_some(delivery));
            }
            Step::Pause(length) => tokio::time::sleep(length).await,
            Step::Disconnect(length) => self.hang_up(length).await?,
        }
        Ok(())
    }

    /// Breaks the connection and is out of reach for `length`.
    async fn hang_up(&mut self, length: Duration) -> Result<(), Error> {
        {
            let mut air = self.air.lock();
            air.connected = false;
            air.away = true;
            air.notifying.fill(false);
        }
        let nanos = i64::try_from(length.as_nanos()).unwrap_or(i64::MAX);
        self.back_at = Some(self.clock.host().plus_nanos(nanos));
        let changed = HashMap::from([
            ("Connected", Variant::from(false)),
            ("ServicesResolved", Variant::from(false)),
        ]);
        let device = self.device_path.clone();
        self.changed(&device, "org.bluez.Device1", changed).await
    }

    fn route(&self, packet: u64, otherwise: usize) -> (usize, bool) {
        let known = self.routes.iter().find(|route| route.0 == packet);
        known.map_or((otherwise, false), |route| (route.1, route.2))
    }

    fn enter(&self, delivery: Option<Delivery>) {
        if let Some(delivery) = delivery {
            self.log.add(delivery);
        }
    }

    /// Sends a notification; whether someone was there to take it.
    async fn notify(&self, from: usize, bytes: &[u8]) -> Result<bool, Error> {
        let listening = {
            let air = self.air.lock();
            air.connected && air.notifying.get(from).copied().unwrap_or(false)
        };
        if let (true, Some(path)) = (listening, self.paths.get(from)) {
            let changed = HashMap::from([("Value", Variant::from(bytes.to_vec()))]);
            self.changed(path, "org.bluez.GattCharacteristic1", changed)
                .await?;
        }
        Ok(listening)
    }

    async fn changed(
        &self,
        path: &OwnedObjectPath,
        interface: &str,
        changed: HashMap<&str, Variant<'_>>,
    ) -> Result<(), Error> {
        let none: Vec<&str> = Vec::new();
        let body = (interface, changed, none);
        let (properties, signal) = ("org.freedesktop.DBus.Properties", "PropertiesChanged");
        (self.connection)
            .emit_signal(None::<&str>, path, properties, signal, &body)
            .await
            .map_err(bus("signal"))
    }
}
