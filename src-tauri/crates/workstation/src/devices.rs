//! The drivers of this station, and the devices they find.

use crate::error::{Error, ErrorKind, Result};
use crate::limits::DISCOVER_TIMEOUT;
use contract::{Clock, Device, DeviceDescription, DeviceSummary, Driver, Settings};
use signal::Impedance;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Every driver there is.
#[derive(Debug, Clone)]
pub(crate) struct Drivers {
    drivers: Arc<Vec<Arc<dyn Driver>>>,
    clock: Arc<dyn Clock>,
}

/// What looking for devices found.
#[derive(Debug, Clone, Default)]
pub struct Discovery {
    /// Devices, by driver.
    pub devices: Vec<DeviceSummary>,
    /// Drivers that could not look, and why.
    pub problems: Vec<String>,
}

/// What a device says of itself.
#[derive(Debug, Clone)]
pub struct Probe {
    /// Its description.
    pub description: DeviceDescription,
    /// Its impedances; empty when it cannot measure them.
    pub impedances: Vec<Impedance>,
}

impl Drivers {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            drivers: Arc::new(
                [
                    simulated::drivers(),
                    serial::drivers(),
                    network::drivers(),
                    bluetooth::drivers(),
                ]
                .concat(),
            ),
            clock,
        }
    }

    /// Asks every driver at once; one that hangs holds up no other.
    pub(crate) async fn discover(&self) -> Discovery {
        let mut found = Discovery::default();
        // Drivers of one room fail alike: each failure is told once, with those that it stopped.
        let mut failures: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        let mut looking = tokio::task::JoinSet::new();
        for driver in self.drivers.iter() {
            let driver = Arc::clone(driver);
            looking.spawn_blocking(move || (driver.name(), driver.discover()));
        }
        let deadline = tokio::time::Instant::now() + DISCOVER_TIMEOUT;
        loop {
            match tokio::time::timeout_at(deadline, looking.join_next()).await {
                Ok(Some(Ok((_, Ok(devices))))) => found.devices.extend(devices),
                Ok(Some(Ok((name, Err(error))))) => {
                    let failure = crate::error::chain(&error);
                    failures.entry(failure).or_default().push(name);
                }
                Ok(Some(Err(join))) => found.problems.push(format!("a driver failed: {join}")),
                Ok(None) => break,
                Err(_) => {
                    found
                        .problems
                        .push("a driver did not answer in time".to_owned());
                    break;
                }
            }
        }
        let told = failures.into_iter().map(|(failure, mut names)| {
            names.sort_unstable();
            format!("{}: {failure}", names.join(", "))
        });
        found.problems.extend(told);
        found.devices.sort_by(|a, b| a.id.cmp(&b.id));
        found
    }

    /// Opens the device `id`. Blocks; call it on a thread of its own.
    pub(crate) fn open(&self, id: &str, settings: &Settings) -> Result<Box<dyn Device>> {
        let (name, address) = id.split_once(':').ok_or_else(|| {
            Error::new(
                ErrorKind::Invalid,
                format!("'{id}' is no device: write driver:address"),
                "'neurascale device list' shows what is there.",
            )
        })?;
        let driver = self
            .drivers
            .iter()
            .find(|driver| driver.name() == name)
            .ok_or_else(|| {
                let names: Vec<_> = self.drivers.iter().map(|driver| driver.name()).collect();
                Error::new(
                    ErrorKind::NotFound,
                    format!(
                        "there is no driver '{name}'; there are: {}",
                        names.join(", ")
                    ),
                    "",
                )
            })?;
        Ok(driver.open(address, settings, self.clock.clone())?)
    }

    /// Opens a device, describes it, measures its impedances where it can, and lets it go.
    pub(crate) fn probe(
        &self,
        id: &str,
        settings: &Settings,
        mut progress: impl FnMut(&Impedance),
    ) -> Result<Probe> {
        let mut device = self.open(id, settings)?;
        let description = device.description().clone();
        let impedances = if description.capabilities.impedance {
            device.measure_impedances(&mut |impedance| {
                progress(impedance);
                ControlFlow::Continue(())
            })?
        } else {
            Vec::new()
        };
        Ok(Probe {
            description,
            impedances,
        })
    }
}
