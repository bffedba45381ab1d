//! The dongle's USB chip holds bytes back to fill its packets: 16 ms unless told otherwise.
//!
//! Linux has a file for it, which belongs to root; the package's udev rule sets it when the dongle is plugged
//! in, and this sets it where the program may. On Windows it stands in the port's advanced settings (Device
//! Manager, Latency Timer), on macOS in the driver's property list; there the arrival times of packets come in
//! clusters, which the clock fit bears and reports as jitter.

/// Sets the latency timer of the port at `path` to 1 ms, where there is one and this user may.
#[cfg(target_os = "linux")]
pub(crate) fn shorten(path: &str) {
    let port = std::path::Path::new(path);
    let port = port.canonicalize().unwrap_or_else(|_| port.to_owned());
    let Some(name) = port.file_name().and_then(|name| name.to_str()) else {
        return;
    };
    let file = format!("/sys/bus/usb-serial/devices/{name}/latency_timer");
    match std::fs::read_to_string(&file) {
        // No such chip, or a pseudo-terminal.
        Err(_) => {}
        Ok(text) if text.trim() == "1" => {}
        Ok(text) => {
            if let Err(error) = std::fs::write(&file, "1") {
                tracing::warn!(
                    milliseconds = text.trim(),
                    %error,
                    "the serial port holds bytes back; the udev rule that comes with the program shortens it"
                );
            }
        }
    }
}

/// Nothing that a program may set there.
#[cfg(not(target_os = "linux"))]
pub(crate) fn shorten(_path: &str) {}
