//! The radio: finding, connecting, commands, notifications. btleplug on a runtime of the device's own thread.

use crate::limits::{CONNECT, LISTEN, LOOK, REQUEST, SEARCH};
use btleplug::api::{
    BDAddr, Central as _, CentralState, CharPropFlags, Characteristic, Manager as _,
    Peripheral as _, ScanFilter, ValueNotification, WriteType,
};
use btleplug::platform::{Adapter, Manager, Peripheral};
use contract::{DeviceError, ErrorKind};
use futures_util::{Stream, StreamExt as _};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use tokio::runtime::Runtime;
use uuid::Uuid;

/// A device that advertises one of the services asked for.
#[derive(Debug)]
pub(crate) struct Advertised {
    pub(crate) address: String,
    pub(crate) name: String,
}

fn runtime(operation: &str) -> Result<Runtime, DeviceError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            DeviceError::new(ErrorKind::Io, operation, "the system gave no event loop")
                .with_source(error)
        })
}

/// What went wrong, and what a person can do.
fn explain(operation: &str, error: &btleplug::Error) -> DeviceError {
    let text = error.to_string();
    let has = |word: &str| text.contains(word);
    let (kind, message) = match error {
        btleplug::Error::PermissionDenied => (
            ErrorKind::Permission,
            "Bluetooth may not be used; allow it for this program in the system's settings".to_owned(),
        ),
        btleplug::Error::NotConnected => (
            ErrorKind::Disconnected,
            "the connection is gone; bring the device closer and see that it is switched on".to_owned(),
        ),
        _ if has("AccessDenied") || has("NotAuthorized") || has("NotPermitted") => (
            ErrorKind::Permission,
            "Bluetooth may not be used; add the user to the group 'bluetooth' (or 'lp') and sign in again".to_owned(),
        ),
        _ if has("ServiceUnknown") || has("NameHasNoOwner") => (
            ErrorKind::Io,
            "the system's Bluetooth service does not run; start it (systemctl start bluetooth)".to_owned(),
        ),
        _ if has("NoServer") || has("FileNotFound") || has("Failed to connect to socket") => (
            ErrorKind::Io,
            "there is no system bus, through which Bluetooth is reached; start dbus and bluetooth".to_owned(),
        ),
        _ if has("UnknownObject") || has("UnknownMethod") || has("Not Connected") => (
            ErrorKind::Disconnected,
            "the device is gone; bring it closer and see that it is switched on".to_owned(),
        ),
        _ if has("InProgress") => (
            ErrorKind::Busy,
            "the adapter is busy with the device; try again in a moment".to_owned(),
        ),
        _ => (ErrorKind::Io, format!("Bluetooth failed: {text}")),
    };
    DeviceError::new(kind, operation, message)
}

async fn within<T>(
    operation: &str,
    limit: Duration,
    request: impl Future<Output = btleplug::Result<T>> + Send,
) -> Result<T, DeviceError> {
    match tokio::time::timeout(limit, request).await {
        Ok(result) => result.map_err(|error| explain(operation, &error)),
        Err(_) => Err(DeviceError::new(
            ErrorKind::Disconnected,
            operation,
            format!("no answer within {limit:?}; switch the device off and on, and try again"),
        )),
    }
}

/// The first adapter that is switched on.
async fn adapter(operation: &str) -> Result<Adapter, DeviceError> {
    let manager = within(operation, REQUEST, Manager::new()).await?;
    let adapters = within(operation, REQUEST, manager.adapters()).await?;
    if adapters.is_empty() {
        return Err(DeviceError::new(
            ErrorKind::Io,
            operation,
            "this computer has no Bluetooth adapter; plug one in",
        ));
    }
    for adapter in adapters {
        let state = within(operation, REQUEST, adapter.adapter_state()).await?;
        if state != CentralState::PoweredOff {
            return Ok(adapter);
        }
    }
    Err(DeviceError::new(
        ErrorKind::Io,
        operation,
        "Bluetooth is switched off; switch it on in the system's settings (rfkill unblock bluetooth, bluetoothctl power on)",
    ))
}

/// Whether Bluetooth can be used now.
pub(crate) fn usable() -> Result<(), DeviceError> {
    let operation = "look for a Bluetooth adapter";
    runtime(operation)?.block_on(async { adapter(operation).await.map(|_| ()) })
}

fn address_of(peripheral: &Peripheral) -> String {
    let address = peripheral.address();
    if address == BDAddr::default() {
        // Apple's systems give no address but an identity of their own.
        peripheral.id().to_string()
    } else {
        address.to_string()
    }
}

fn filter(services: &[Uuid]) -> ScanFilter {
    ScanFilter {
        services: services.to_vec(),
    }
}

/// Listens for devices that advertise one of `services`.
pub(crate) fn discover(operation: &str, services: &[Uuid]) -> Result<Vec<Advertised>, DeviceError> {
    runtime(operation)?.block_on(async {
        let adapter = adapter(operation).await?;
        within(operation, REQUEST, adapter.start_scan(filter(services))).await?;
        tokio::time::sleep(LISTEN).await;
        let mut found = Vec::new();
        for peripheral in within(operation, REQUEST, adapter.peripherals()).await? {
            // One that is gone again by now is not there.
            let Ok(Some(properties)) = peripheral.properties().await else {
                continue;
            };
            let fits = (properties.services.iter()).any(|service| services.contains(service));
            // Known from earlier and out of reach: it has no signal strength and no connection.
            let near =
                properties.rssi.is_some() || peripheral.is_connected().await.unwrap_or(false);
            if fits && near {
                found.push(Advertised {
                    address: address_of(&peripheral),
                    name: properties.local_name.unwrap_or_default(),
                });
            }
        }
        if let Err(error) = within(operation, REQUEST, adapter.stop_scan()).await {
            tracing::debug!(%error, "the scan could not be ended");
        }
        Ok(found)
    })
}

type Notifications = Pin<Box<dyn Stream<Item = ValueNotification> + Send>>;

/// What waiting for a notification ended with.
#[derive(Debug)]
pub(crate) enum Heard {
    Notification(ValueNotification),
    Nothing,
    Gone,
}

/// A connected device.
pub(crate) struct Link {
    runtime: Runtime,
    peripheral: Peripheral,
    characteristics: Vec<Characteristic>,
    notifications: Notifications,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("address", &self.peripheral.address())
            .finish_non_exhaustive()
    }
}

impl Link {
    /// Finds the device at `address` and connects.
    pub(crate) fn open(operation: &str, address: &str, service: Uuid) -> Result<Self, DeviceError> {
        let runtime = runtime(operation)?;
        let (peripheral, characteristics, notifications) = runtime.block_on(async {
            let adapter = adapter(operation).await?;
            let peripheral = find(operation, &adapter, address, service).await?;
            // A connection that a program left behind would keep what was subscribed.
            if peripheral.is_connected().await.unwrap_or(false) {
                let _ = within(operation, REQUEST, peripheral.disconnect()).await;
            }
            within(operation, CONNECT, async {
                peripheral.connect().await?;
                peripheral.discover_services().await
            })
            .await?;
            let characteristics: Vec<Characteristic> = peripheral
                .services()
                .into_iter()
                .flat_map(|service| service.characteristics)
                .collect();
            // Before anything is subscribed, so that nothing is missed.
            let notifications = within(operation, REQUEST, peripheral.notifications()).await?;
            Ok::<_, DeviceError>((peripheral, characteristics, notifications))
        })?;
        Ok(Self {
            runtime,
            peripheral,
            characteristics,
            notifications,
        })
    }

    /// Whether the device has `characteristic`.
    pub(crate) fn has(&self, characteristic: Uuid) -> bool {
        self.characteristic(characteristic).is_some()
    }

    fn characteristic(&self, uuid: Uuid) -> Option<&Characteristic> {
        self.characteristics.iter().find(|one| one.uuid == uuid)
    }

    fn known(&self, operation: &str, uuid: Uuid) -> Result<&Characteristic, DeviceError> {
        self.characteristic(uuid).ok_or_else(|| {
            DeviceError::new(
                ErrorKind::Protocol,
                operation,
                format!("the device lacks the characteristic {uuid}; it is of another kind than its name says"),
            )
        })
    }

    /// Asks for notifications of `uuid`.
    pub(crate) fn subscribe(&self, operation: &str, uuid: Uuid) -> Result<(), DeviceError> {
        let characteristic = self.known(operation, uuid)?;
        (self.runtime).block_on(within(
            operation,
            REQUEST,
            self.peripheral.subscribe(characteristic),
        ))
    }

    /// Writes a command to `uuid`.
    pub(crate) fn write(
        &self,
        operation: &str,
        uuid: Uuid,
        bytes: &[u8],
    ) -> Result<(), DeviceError> {
        let characteristic = self.known(operation, uuid)?;
        let quick = (characteristic.properties).contains(CharPropFlags::WRITE_WITHOUT_RESPONSE);
        let how = if quick {
            WriteType::WithoutResponse
        } else {
            WriteType::WithResponse
        };
        (self.runtime).block_on(within(
            operation,
            REQUEST,
            self.peripheral.write(characteristic, bytes, how),
        ))
    }

    /// Reads `uuid`.
    pub(crate) fn read(&self, operation: &str, uuid: Uuid) -> Result<Vec<u8>, DeviceError> {
        let characteristic = self.known(operation, uuid)?;
        (self.runtime).block_on(within(
            operation,
            REQUEST,
            self.peripheral.read(characteristic),
        ))
    }

    /// Waits for a notification.
    pub(crate) fn next(&mut self, timeout: Duration) -> Heard {
        let Self {
            runtime,
            notifications,
            ..
        } = self;
        runtime.block_on(async {
            match tokio::time::timeout(timeout, notifications.next()).await {
                Ok(Some(notification)) => Heard::Notification(notification),
                Ok(None) => Heard::Gone,
                Err(_) => Heard::Nothing,
            }
        })
    }

    /// Whether the connection still stands.
    pub(crate) fn stands(&self) -> bool {
        self.runtime.block_on(async {
            let asked = tokio::time::timeout(REQUEST, self.peripheral.is_connected()).await;
            matches!(asked, Ok(Ok(true)))
        })
    }

    /// Ends the connection, so that another program or a later opening finds the device.
    pub(crate) fn close(self, operation: &str) {
        let ended =
            (self.runtime).block_on(within(operation, REQUEST, self.peripheral.disconnect()));
        if let Err(error) = ended {
            tracing::debug!(%error, "the device could not be let go");
        }
    }
}

async fn find(
    operation: &str,
    adapter: &Adapter,
    address: &str,
    service: Uuid,
) -> Result<Peripheral, DeviceError> {
    within(operation, REQUEST, adapter.start_scan(filter(&[service]))).await?;
    let began = tokio::time::Instant::now();
    let found = loop {
        let peripherals = within(operation, REQUEST, adapter.peripherals()).await?;
        let ours = (peripherals.into_iter())
            .find(|peripheral| address_of(peripheral).eq_ignore_ascii_case(address));
        if ours.is_some() || began.elapsed() > SEARCH {
            break ours;
        }
        tokio::time::sleep(LOOK).await;
    };
    // Adapters connect more surely when they do not scan meanwhile.
    if let Err(error) = within(operation, REQUEST, adapter.stop_scan()).await {
        tracing::debug!(%error, "the scan could not be ended");
    }
    found.ok_or_else(|| {
        DeviceError::new(
            ErrorKind::NotFound,
            operation,
            "no such device is in reach; switch it on, bring it closer, and end its connection to a telephone",
        )
    })
}
