//! Playback of EDF and BDF files.

mod device;
mod plan;
mod scan;

use crate::edf::EdfError;
use crate::settings::SpeedSetting as _;
use contract::{
    Clock, Device, DeviceError, DeviceSummary, Driver, ErrorKind, Settings, SettingsReader,
};
use device::PlaybackDevice;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// The driver `playback`; the address is the path of an EDF or BDF file.
///
/// Setting: `speed` (a number, or `max` for as fast as the reader takes it). Each distinct rate of
/// the file is a stream, its samples are the file's own integers, and its clock is the file's: the
/// start time, which has no zone, is taken as UTC. Breaks of discontinuous files are jumped over
/// without waiting, announced as [`contract::DeviceEvent::Discontinuity`].
///
/// Messages do not repeat the path: file names from hospitals often hold a patient's name.
#[derive(Debug, Clone, Copy, Default)]
pub struct Playback;

const OPEN: &str = "open playback file";

impl Driver for Playback {
    fn name(&self) -> &'static str {
        "playback"
    }

    /// Files are not looked for: the list is empty.
    fn discover(&self) -> Result<Vec<DeviceSummary>, DeviceError> {
        Ok(Vec::new())
    }

    fn open(
        &self,
        address: &str,
        settings: &Settings,
        clock: Arc<dyn Clock>,
    ) -> Result<Box<dyn Device>, DeviceError> {
        let mut reader = SettingsReader::new(OPEN, settings);
        let speed = reader.speed()?;
        reader.finish()?;
        let file = open_file(Path::new(address))?;
        let device = PlaybackDevice::new(address, file, speed, clock);
        Ok(Box::new(device.map_err(|error| refused(OPEN, &error))?))
    }
}

fn open_file(path: &Path) -> Result<File, DeviceError> {
    let error = |source: std::io::Error| {
        let (kind, message) = match source.kind() {
            std::io::ErrorKind::NotFound => (ErrorKind::NotFound, "there is no such file"),
            std::io::ErrorKind::PermissionDenied => {
                (ErrorKind::Permission, "this user may not read the file")
            }
            _ => (ErrorKind::Io, "the file cannot be read"),
        };
        DeviceError::new(kind, OPEN, message).with_source(source)
    };
    let file = File::open(path).map_err(error)?;
    if !file.metadata().map_err(error)?.is_file() {
        let message = "this is no file; give the path of an EDF or BDF file";
        return Err(DeviceError::new(ErrorKind::NotFound, OPEN, message));
    }
    Ok(file)
}

fn refused(operation: &str, error: &EdfError) -> DeviceError {
    let kind = match error {
        EdfError::Io(_) => ErrorKind::Io,
        _ => ErrorKind::Protocol,
    };
    DeviceError::new(kind, operation, error.to_string())
}
