//! Looking for what would get in the way of a session, and saying what to do.

use crate::awake::{Obstacle, Standing};
use crate::engine_room::Room;
use crate::limits::{ASSUMED_BYTES_PER_HOUR, DISK_PROBLEM_HOURS};
use std::path::Path;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Good,
    /// Works, with a risk.
    Warning,
    /// Recording or evidence is at risk.
    Problem,
}

/// One thing looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// How bad.
    pub level: Level,
    /// What was found.
    pub found: String,
    /// What to do; empty when nothing.
    pub remedy: String,
}

impl Finding {
    fn new(check: &'static str, level: Level, found: impl Into<String>, remedy: &str) -> Self {
        Self {
            check,
            level,
            found: found.into(),
            remedy: remedy.to_owned(),
        }
    }
}

/// Everything there is to look at.
pub(crate) async fn examine(room: &Room) -> Vec<Finding> {
    let warning_hours = crate::policies::in_force(room).await.disk_warning_hours;
    let mut findings = vec![
        disk(room, warning_hours),
        store(room),
        permissions(&room.config.data_dir),
    ];
    findings.push(keys(room));
    findings.push(policies(room));
    findings.push(ports());
    findings.push(bluetooth().await);
    findings.push(clock());
    findings.push(sleep(room).await);
    let discovery = room.drivers.discover().await;
    let found = format!("{} device(s) found", discovery.devices.len());
    findings.push(if discovery.problems.is_empty() {
        Finding::new("devices", Level::Good, found, "")
    } else {
        let found = format!("{found}; {}", discovery.problems.join("; "));
        Finding::new(
            "devices",
            Level::Warning,
            found,
            "See the driver's message.",
        )
    });
    findings
}

/// The site's policies, as far as they can be used.
fn policies(room: &Room) -> Finding {
    let problems = &room.site.problems;
    if problems.is_empty() {
        return Finding::new("policies", Level::Good, "in force", "");
    }
    let found = format!(
        "{} is obeyed in part: {}",
        room.config.policy_file.display(),
        problems.join("; ")
    );
    let remedy = "Correct that file, then start the engine anew.";
    Finding::new("policies", Level::Warning, found, remedy)
}

fn disk(room: &Room, warning_hours: f64) -> Finding {
    match crate::disk::free_bytes(&room.config.data_dir) {
        Ok(free) => {
            let hours = free as f64 / ASSUMED_BYTES_PER_HOUR;
            let found = format!(
                "{:.1} GB free, {hours:.0} h of a 32-channel EEG",
                free as f64 / 1e9
            );
            let remedy = "Free space on the disk of the data folder, or move the data folder.";
            match hours {
                h if h < DISK_PROBLEM_HOURS => Finding::new("disk", Level::Problem, found, remedy),
                h if h < warning_hours => Finding::new("disk", Level::Warning, found, remedy),
                _ => Finding::new("disk", Level::Good, found, ""),
            }
        }
        Err(error) => {
            let found = format!("free space is not known: {error}");
            Finding::new("disk", Level::Warning, found, "Look at the disk yourself.")
        }
    }
}

fn store(room: &Room) -> Finding {
    match room.store_problem() {
        None => Finding::new("store", Level::Good, "open", ""),
        Some((problem, remedy)) => Finding::new("store", Level::Problem, problem, &remedy),
    }
}

fn keys(room: &Room) -> Finding {
    match room.key_note() {
        Ok(note) => Finding::new("keys", note.0, note.1, &note.2),
        Err(error) => Finding::new("keys", Level::Problem, error.to_string(), error.remedy()),
    }
}

#[cfg(unix)]
fn permissions(data_dir: &Path) -> Finding {
    use std::os::unix::fs::MetadataExt;
    match std::fs::metadata(data_dir) {
        Ok(data) if data.mode() & 0o077 == 0 => {
            Finding::new("permissions", Level::Good, "the data folder is private", "")
        }
        Ok(data) => Finding::new(
            "permissions",
            Level::Warning,
            format!(
                "other users may enter the data folder (mode {:o})",
                data.mode() & 0o777
            ),
            "Run 'chmod 700' on the data folder.",
        ),
        Err(error) => Finding::new(
            "permissions",
            Level::Problem,
            format!("the data folder cannot be read: {error}"),
            "Make it readable and writable for the engine's user.",
        ),
    }
}

#[cfg(not(unix))]
fn permissions(_data_dir: &Path) -> Finding {
    Finding::new(
        "permissions",
        Level::Good,
        "not looked at on this system",
        "",
    )
}

/// Serial ports that are there but closed to this user.
fn ports() -> Finding {
    let Ok(entries) = std::fs::read_dir("/dev") else {
        return Finding::new("ports", Level::Good, "no serial ports to look at", "");
    };
    let mut open = 0;
    let mut closed = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("ttyUSB") || name.starts_with("ttyACM") {
            match std::fs::OpenOptions::new()
                .read(true)
                .write(true)
                .open(entry.path())
            {
                Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                    closed.push(name);
                }
                _ => open += 1,
            }
        }
    }
    if closed.is_empty() {
        return Finding::new(
            "ports",
            Level::Good,
            format!("{open} serial port(s) usable"),
            "",
        );
    }
    Finding::new(
        "ports",
        Level::Problem,
        format!("no permission for {}", closed.join(", ")),
        "Add the engine's user to the group 'dialout' and sign in anew.",
    )
}

/// Whether wireless devices can be reached. A station without a radio is a good station.
async fn bluetooth() -> Finding {
    let looked = tokio::task::spawn_blocking(bluetooth::usable).await;
    let (level, found) = match looked {
        Ok(Ok(())) => (Level::Good, "an adapter is switched on".to_owned()),
        Ok(Err(error)) if error.kind == contract::ErrorKind::NotFound => {
            (Level::Good, format!("not here: {}", error.message))
        }
        Ok(Err(error)) => (Level::Warning, error.message),
        Err(join) => (Level::Warning, format!("it could not be looked at: {join}")),
    };
    let remedy = match level {
        Level::Good => "",
        _ => "Do so before a wireless device is to be recorded; others do not need it.",
    };
    Finding::new("bluetooth", level, found, remedy)
}

/// Whether the system's clock is kept right by a time service.
fn clock() -> Finding {
    // systemd-timesyncd's mark, and chrony's and ntpd's drift files.
    let marks = [
        "/run/systemd/timesync/synchronized",
        "/var/lib/chrony/drift",
        "/var/lib/ntp/ntp.drift",
    ];
    if marks.iter().any(|mark| Path::new(mark).exists()) {
        return Finding::new("clock", Level::Good, "a time service keeps the clock", "");
    }
    Finding::new(
        "clock",
        Level::Warning,
        "no time service was found; the wall clock may be wrong",
        "Turn on systemd-timesyncd, chrony or ntpd. Sample times are fitted apart and stay smooth.",
    )
}

/// Whether sleep is held off, or would be while something records: that is tried.
async fn sleep(room: &Room) -> Finding {
    let (outcome, when) = match room.awake.standing() {
        Standing::Held(refused) => (Ok(refused), "is held off now"),
        Standing::Not(obstacle) => (Err(obstacle), ""),
        Standing::Idle | Standing::Asking => {
            let tried = room.awake.trial().await;
            (tried, "can be held off, and is while something records")
        }
    };
    match outcome {
        Ok(refused) if refused.is_empty() => {
            let found = format!("sleep, shutdown and restart: {when}");
            Finding::new("sleep", Level::Good, found, "")
        }
        Ok(refused) => {
            let found = format!("sleep: {when}; refused: {}", refused.join(", "));
            let remedy = "See that nobody shuts the computer down or closes it while it records.";
            Finding::new("sleep", Level::Warning, found, remedy)
        }
        Err(Obstacle { why, remedy, .. }) => {
            let found = format!("sleep cannot be held off: {why}");
            Finding::new("sleep", Level::Warning, found, remedy)
        }
    }
}
