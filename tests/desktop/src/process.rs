//! A program started by a test, ended by its process id.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// A running program; killed when it is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("start {command:?}: {error}"));
        Self { child }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it with SIGKILL and waits for its end.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// The exit code, once it has ended within `limit`.
    pub fn ended(&mut self, limit: Duration) -> Option<i32> {
        let began = Instant::now();
        while began.elapsed() < limit {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status.code().unwrap_or(-1));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Process ids of the children of `parent` whose program has this name.
#[must_use]
pub(crate) fn children(parent: u32, name: &str) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| {
            let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
                return false;
            };
            // pid (name) state parent …; the name is cut to 15 bytes and may hold anything.
            let Some((head, tail)) = stat.rsplit_once(')') else {
                return false;
            };
            let found = head.split_once('(').map_or("", |(_, found)| found);
            let cut = &name[..name.len().min(15)];
            found == cut && tail.split_whitespace().nth(1) == Some(&parent.to_string())
        })
        .collect()
}

/// Whether a process of this id runs (a zombie does not).
#[must_use]
pub(crate) fn runs(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        stat.rsplit_once(')')
            .is_some_and(|(_, tail)| !tail.trim_start().starts_with('Z'))
    })
}

/// Resident memory of a process, bytes; `None` once it has ended.
#[must_use]
pub(crate) fn resident(pid: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024.0)
}

/// When a process was started, s since the machine was, to a clock tick (10 ms).
#[must_use]
pub(crate) fn started_s(pid: u32) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, tail) = stat.rsplit_once(')')?;
    // proc_pid_stat(5): field 22, counted from the process id; what follows the name begins with the third.
    let ticks: f64 = tail.split_whitespace().nth(22 - 3)?.parse().ok()?;
    Some(ticks / TICKS_PER_S)
}

/// USER_HZ, which Linux promises to programs on every machine that this program is built for.
const TICKS_PER_S: f64 = 100.0;

/// Now by the same clock.
#[must_use]
pub(crate) fn uptime_s() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/uptime").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

/// Kills a process that is not our child.
pub(crate) fn kill(pid: u32) {
    let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
}
