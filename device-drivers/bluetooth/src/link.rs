//! The radio: finding, connecting, commands, notifications. btleplug on a runtime of the device's own thread.

use crate::limits::{CONNECT, LISTEN, LOOK, REQUEST, SEARCH, WAITING};
use btleplug::api::{
    BDAddr, Central as _, CentralState, CharPropFlags, Characteristic, Manager as _,
    Peripheral as _, ScanFilter, ValueNotification, WriteType,
};
use btleplug::platform::{Adapter, Manager, Peripheral};
use contract::{Clock, DeviceError, ErrorKind};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use futures_util::{Stream, StreamExt as _};
use signal::HostNanos;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use uuid::Uuid;

/// A device that advertises one of the services asked for.
#[derive(Debug)]
pub(crate) struct Advertised {
    pub(crate) address: String,
    pub(crate) name: String,
}

fn started(operation: &str, builder: &mut Builder) -> Result<Runtime, DeviceError> {
    (builder.enable_all().thread_name("bluetooth").build()).map_err(|error| {
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
        _ if has("ServiceUnknown") || has("NameHasNoOwner") || has("not provided by any") => (
            ErrorKind::NotFound,
            "the system's Bluetooth service does not run; start it (systemctl start bluetooth)".to_owned(),
        ),
        _ if has("NoServer") || has("FileNotFound") || has("Failed to connect to socket") => (
            ErrorKind::NotFound,
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
            ErrorKind::NotFound,
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
    started(operation, &mut Builder::new_current_thread())?
        .block_on(async { adapter(operation).await.map(|_| ()) })
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

/// Listens for devices that advertise one of `services`; a computer without Bluetooth hears none.
pub(crate) fn discover(services: &[Uuid]) -> Result<Vec<Advertised>, DeviceError> {
    // The same for every driver, so that what stands in the way is told once.
    let operation = "look for Bluetooth devices";
    started(operation, &mut Builder::new_current_thread())?.block_on(async {
        let adapter = match adapter(operation).await {
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(Vec::new()),
            adapter => adapter?,
        };
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

/// What a characteristic told, and when that reached this program.
#[derive(Debug)]
pub(crate) struct Notification {
    pub(crate) uuid: Uuid,
    pub(crate) value: Vec<u8>,
    pub(crate) at: HostNanos,
}

/// What waiting for a notification ended with.
#[derive(Debug)]
pub(crate) enum Heard {
    Notification(Notification),
    Nothing,
    Gone,
}

/// Stamps notifications as they come, whatever the reader does meanwhile. What a full queue does not take is
/// counted; the device's own counters say where it is missing.
async fn pump(
    mut notifications: Notifications,
    queue: Sender<Notification>,
    overrun: Arc<AtomicU64>,
    clock: Arc<dyn Clock>,
) {
    while let Some(ValueNotification { uuid, value, .. }) = notifications.next().await {
        let at = clock.host();
        match queue.try_send(Notification { uuid, value, at }) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                overrun.fetch_add(1, Ordering::Relaxed);
            }
            Err(TrySendError::Disconnected(_)) => return,
        }
    }
}

/// A connected device; let go when dropped, so that another program or a later opening finds it.
pub(crate) struct Link {
    /// Its thread runs the pump; requests wait on the caller's. Taken only when dropped.
    runtime: Option<Runtime>,
    pump: Option<JoinHandle<()>>,
    peripheral: Peripheral,
    characteristics: Vec<Characteristic>,
    queue: Receiver<Notification>,
    overrun: Arc<AtomicU64>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("address", &self.peripheral.address())
            .finish_non_exhaustive()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else {
            return;
        };
        let pump = self.pump.take();
        runtime.block_on(async {
            // Its stream tells the bus that it ends, which needs the runtime.
            if let Some(pump) = pump {
                pump.abort();
                let _ = pump.await;
            }
            if let Err(error) = within("let go", REQUEST, self.peripheral.disconnect()).await {
                tracing::debug!(%error, "the device could not be let go");
            }
        });
        runtime.shutdown_background();
    }
}

impl Link {
    /// Finds the device at `address` and connects.
    pub(crate) fn open(
        operation: &str,
        address: &str,
        service: Uuid,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, DeviceError> {
        let runtime = started(operation, Builder::new_multi_thread().worker_threads(1))?;
        let peripheral = runtime.block_on(async {
            let adapter = adapter(operation).await?;
            let peripheral = find(operation, &adapter, address, service).await?;
            // A connection that a program left behind would keep what was subscribed.
            if peripheral.is_connected().await.unwrap_or(false) {
                let _ = within(operation, REQUEST, peripheral.disconnect()).await;
            }
            Ok::<_, DeviceError>(peripheral)
        })?;
        let (sender, queue) = bounded(WAITING);
        // From here on what fails lets the device go.
        let mut link = Self {
            runtime: Some(runtime),
            pump: None,
            peripheral,
            characteristics: Vec::new(),
            queue,
            overrun: Arc::new(AtomicU64::new(0)),
        };
        link.wait(operation, CONNECT, async {
            link.peripheral.connect().await?;
            link.peripheral.discover_services().await
        })?;
        link.characteristics = (link.peripheral.services().into_iter())
            .flat_map(|service| service.characteristics)
            .collect();
        // Before anything is subscribed, so that nothing is missed.
        let notifications = link.wait(operation, REQUEST, link.peripheral.notifications())?;
        let pumping = pump(notifications, sender, Arc::clone(&link.overrun), clock);
        link.pump = link.runtime.as_ref().map(|runtime| runtime.spawn(pumping));
        Ok(link)
    }

    /// Runs a request on the caller's thread.
    fn wait<T>(
        &self,
        operation: &str,
        limit: Duration,
        request: impl Future<Output = btleplug::Result<T>> + Send,
    ) -> Result<T, DeviceError> {
        match &self.runtime {
            Some(runtime) => runtime.block_on(within(operation, limit, request)),
            None => Err(explain(operation, &btleplug::Error::NotConnected)),
        }
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
        self.wait(
            operation,
            REQUEST,
            self.peripheral.subscribe(characteristic),
        )
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
        self.wait(
            operation,
            REQUEST,
            self.peripheral.write(characteristic, bytes, how),
        )
    }

    /// Reads `uuid`.
    pub(crate) fn read(&self, operation: &str, uuid: Uuid) -> Result<Vec<u8>, DeviceError> {
        let characteristic = self.known(operation, uuid)?;
        self.wait(operation, REQUEST, self.peripheral.read(characteristic))
    }

    /// Waits for a notification.
    pub(crate) fn next(&self, timeout: Duration) -> Heard {
        match self.queue.recv_timeout(timeout) {
            Ok(notification) => Heard::Notification(notification),
            Err(RecvTimeoutError::Timeout) => Heard::Nothing,
            Err(RecvTimeoutError::Disconnected) => Heard::Gone,
        }
    }

    /// Notifications that the full queue did not take since it was last asked.
    pub(crate) fn overrun(&self) -> u64 {
        self.overrun.swap(0, Ordering::Relaxed)
    }

    /// Whether the connection still stands.
    pub(crate) fn stands(&self) -> bool {
        let asked = self.wait("ask", REQUEST, self.peripheral.is_connected());
        matches!(asked, Ok(true))
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
