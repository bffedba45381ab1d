//! Room left for recordings. The one module here that asks the platform.

use crate::limits::{DISK_CHECK, DISK_PROBLEM_HOURS};
use events::payloads::{DiskSpaceLow, Severity};
use signal::HostNanos;
use std::io;
use std::path::Path;

/// Bytes free for this user on the disk of `path`.
#[cfg(unix)]
pub(crate) fn free_bytes(path: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Bytes free: not asked on this platform yet.
#[cfg(not(unix))]
pub(crate) fn free_bytes(_path: &Path) -> io::Result<u64> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

/// Watches the disk while something is recorded, and says each threshold once.
#[derive(Debug, Default)]
pub(crate) struct DiskWatch {
    looked: Option<HostNanos>,
    said: Option<Severity>,
}

impl DiskWatch {
    /// What is to be said now: `recorded_s` seconds have taken `bytes` on the disk of `folder`; below
    /// `warning_hours` a warning is due.
    pub(crate) fn look(
        &mut self,
        now: HostNanos,
        folder: &Path,
        recorded_s: f64,
        warning_hours: f64,
        bytes: impl FnOnce() -> u64,
    ) -> Option<DiskSpaceLow> {
        let due = self
            .looked
            .is_none_or(|at| now.nanos_since(at) >= DISK_CHECK.as_nanos() as i64);
        if !due || recorded_s < DISK_CHECK.as_secs_f64() {
            return None;
        }
        self.looked = Some(now);
        let free_bytes = free_bytes(folder).ok()?;
        let hours_left = free_bytes as f64 / (bytes() as f64 / recorded_s).max(1.0) / 3_600.0;
        let severity = match hours_left {
            h if h < DISK_PROBLEM_HOURS => Severity::Critical,
            h if h < warning_hours => Severity::Warning,
            _ => {
                self.said = None;
                return None;
            }
        };
        if self.said == Some(severity) {
            return None;
        }
        self.said = Some(severity);
        Some(DiskSpaceLow {
            severity,
            free_bytes,
            hours_left: Some(hours_left),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_threshold_is_said_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut watch = DiskWatch::default();
        let at = |s: i64| HostNanos(s * signal::NANOS_PER_S);
        let mut look = |s, bytes: u64| {
            watch
                .look(at(s), folder.path(), 60.0, 24.0, || bytes)
                .map(|said| said.severity)
        };
        assert_eq!(look(100, 1), None, "a byte a minute lasts");
        assert_eq!(look(200, u64::MAX), Some(Severity::Critical));
        assert_eq!(look(201, u64::MAX), None, "not looked at again yet");
        assert_eq!(look(300, u64::MAX), None, "said already");
        assert_eq!(look(400, 1), None);
        assert_eq!(
            look(500, u64::MAX),
            Some(Severity::Critical),
            "said anew after it was well"
        );
    }
}
