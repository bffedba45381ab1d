//! BlueZ's objects.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zbus::{OwnedObjectPath, OwnedVariant};

/// What the objects and the radio share.
#[derive(Debug, Default)]
pub(super) struct Air {
    /// Whether someone is connected.
    pub(super) connected: bool,
    /// Out of reach: connecting fails.
    pub(super) away: bool,
    /// Answers nothing.
    pub(super) never: bool,
    /// Which characteristics are subscribed.
    pub(super) notifying: Vec<bool>,
    /// What was written.
    pub(super) commands: VecDeque<Vec<u8>>,
    /// Someone listens for advertisements.
    pub(super) discovering: bool,
    /// Someone connected since it was looked.
    pub(super) fresh: bool,
}

/// Shared state.
#[derive(Debug, Clone, Default)]
pub(super) struct Shared(Arc<Mutex<Air>>);

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Air> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Options = HashMap<String, OwnedVariant>;

/// Takes agents for pairing, which no device here asks for.
#[derive(Debug)]
pub(super) struct AgentManager;

#[zbus::interface(name = "org.bluez.AgentManager1")]
impl AgentManager {
    fn register_agent(&self, _agent: OwnedObjectPath, _capability: String) {}
    fn unregister_agent(&self, _agent: OwnedObjectPath) {}
    fn request_default_agent(&self, _agent: OwnedObjectPath) {}
}

#[derive(Debug)]
pub(super) struct Adapter {
    pub(super) powered: bool,
    pub(super) air: Shared,
}

#[zbus::interface(name = "org.bluez.Adapter1")]
impl Adapter {
    fn start_discovery(&self) {
        self.air.lock().discovering = true;
    }
    fn stop_discovery(&self) {
        self.air.lock().discovering = false;
    }
    fn set_discovery_filter(&self, _filter: Options) {}
    fn remove_device(&self, _device: OwnedObjectPath) {}
    #[zbus(property)]
    fn address(&self) -> &str {
        "00:00:00:00:5A:01"
    }
    #[zbus(property)]
    fn address_type(&self) -> &str {
        "public"
    }
    #[zbus(property)]
    fn name(&self) -> &str {
        "emulator"
    }
    #[zbus(property)]
    fn alias(&self) -> &str {
        "emulator"
    }
    #[zbus(property)]
    fn modalias(&self) -> &str {
        "usb:v1D6Bp0246d0542"
    }
    #[zbus(property)]
    fn powered(&self) -> bool {
        self.powered
    }
    #[zbus(property)]
    fn set_powered(&mut self, on: bool) {
        self.powered = on;
    }
    #[zbus(property)]
    fn discovering(&self) -> bool {
        self.air.lock().discovering
    }
    #[zbus(property, name = "UUIDs")]
    fn uuids(&self) -> Vec<String> {
        Vec::new()
    }
}

#[derive(Debug)]
pub(super) struct Device {
    pub(super) address: String,
    pub(super) name: &'static str,
    pub(super) service: &'static str,
    pub(super) adapter: OwnedObjectPath,
    pub(super) air: Shared,
}

#[zbus::interface(name = "org.bluez.Device1")]
impl Device {
    async fn connect(
        &self,
        #[zbus(signal_emitter)] emitter: zbus::object_server::SignalEmitter<'_>,
    ) -> zbus::fdo::Result<()> {
        {
            let mut air = self.air.lock();
            if air.away || air.never {
                return Err(zbus::fdo::Error::Failed(
                    "le-connection-abort-by-local".to_owned(),
                ));
            }
            air.connected = true;
            air.fresh = true;
        }
        let _ = self.connected_changed(&emitter).await;
        let _ = self.services_resolved_changed(&emitter).await;
        Ok(())
    }

    async fn disconnect(
        &self,
        #[zbus(signal_emitter)] emitter: zbus::object_server::SignalEmitter<'_>,
    ) {
        {
            let mut air = self.air.lock();
            air.connected = false;
            air.notifying.fill(false);
        }
        let _ = self.connected_changed(&emitter).await;
        let _ = self.services_resolved_changed(&emitter).await;
    }

    #[zbus(property)]
    fn address(&self) -> &str {
        &self.address
    }
    #[zbus(property)]
    fn address_type(&self) -> &str {
        "random"
    }
    #[zbus(property)]
    fn name(&self) -> &str {
        self.name
    }
    #[zbus(property)]
    fn alias(&self) -> &str {
        self.name
    }
    #[zbus(property)]
    fn adapter(&self) -> OwnedObjectPath {
        self.adapter.clone()
    }
    #[zbus(property)]
    fn connected(&self) -> bool {
        self.air.lock().connected
    }
    #[zbus(property)]
    fn services_resolved(&self) -> bool {
        self.air.lock().connected
    }
    #[zbus(property)]
    fn paired(&self) -> bool {
        false
    }
    #[zbus(property)]
    fn trusted(&self) -> bool {
        false
    }
    #[zbus(property)]
    fn blocked(&self) -> bool {
        false
    }
    #[zbus(property)]
    fn legacy_pairing(&self) -> bool {
        false
    }
    #[zbus(property, name = "RSSI")]
    fn rssi(&self) -> i16 {
        -60
    }
    #[zbus(property, name = "UUIDs")]
    fn uuids(&self) -> Vec<String> {
        vec![self.service.to_owned()]
    }
}

#[derive(Debug)]
pub(super) struct Service {
    pub(super) uuid: &'static str,
    pub(super) device: OwnedObjectPath,
}

#[zbus::interface(name = "org.bluez.GattService1")]
impl Service {
    #[zbus(property, name = "UUID")]
    fn uuid(&self) -> &str {
        self.uuid
    }
    #[zbus(property)]
    fn primary(&self) -> bool {
        true
    }
    #[zbus(property)]
    fn device(&self) -> OwnedObjectPath {
        self.device.clone()
    }
}

#[derive(Debug)]
pub(super) struct Characteristic {
    pub(super) index: usize,
    pub(super) uuid: String,
    pub(super) flags: &'static [&'static str],
    pub(super) service: OwnedObjectPath,
    pub(super) value: Vec<u8>,
    pub(super) air: Shared,
}

impl Characteristic {
    fn notify(&self, on: bool) -> zbus::fdo::Result<()> {
        let mut air = self.air.lock();
        if !air.connected {
            return Err(zbus::fdo::Error::Failed("Not Connected".to_owned()));
        }
        if let Some(notifying) = air.notifying.get_mut(self.index) {
            *notifying = on;
        }
        Ok(())
    }
}

#[zbus::interface(name = "org.bluez.GattCharacteristic1")]
impl Characteristic {
    fn start_notify(&self) -> zbus::fdo::Result<()> {
        self.notify(true)
    }
    fn stop_notify(&self) -> zbus::fdo::Result<()> {
        self.notify(false)
    }
    fn write_value(&self, value: Vec<u8>, _options: Options) -> zbus::fdo::Result<()> {
        let mut air = self.air.lock();
        if !air.connected {
            return Err(zbus::fdo::Error::Failed("Not Connected".to_owned()));
        }
        air.commands.push_back(value);
        Ok(())
    }
    fn read_value(&self, _options: Options) -> Vec<u8> {
        self.value.clone()
    }
    #[zbus(property, name = "UUID")]
    fn uuid(&self) -> &str {
        &self.uuid
    }
    #[zbus(property)]
    fn service(&self) -> OwnedObjectPath {
        self.service.clone()
    }
    #[zbus(property)]
    fn flags(&self) -> Vec<String> {
        self.flags.iter().map(|flag| (*flag).to_owned()).collect()
    }
}
