//! What is reported: figures, and the machine they were measured on.

use anyhow::{Context as _, Result};
use serde::Serialize;
use std::fs;
use std::path::Path;

/// One row of the table.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figure {
    pub(crate) what: String,
    pub(crate) bound: String,
    pub(crate) aim: String,
    pub(crate) measured: String,
    /// Whether the bound holds; a figure that could not be measured does not meet it.
    pub(crate) met: bool,
}

/// What a figure is held to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) what: &'static str,
    pub(crate) bound: &'static str,
    pub(crate) aim: &'static str,
}

impl Row {
    pub(crate) fn measured(self, met: bool, measured: impl Into<String>) -> Figure {
        Figure {
            what: self.what.to_owned(),
            bound: self.bound.to_owned(),
            aim: self.aim.to_owned(),
            measured: measured.into(),
            met,
        }
    }

    pub(crate) fn not_measured(self, why: &str) -> Figure {
        self.measured(false, format!("not measured: {why}"))
    }
}

/// Everything measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: String,
    pub(crate) figures: Vec<Figure>,
}

impl Report {
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(self).context("cannot write the figures")?;
        text.push(b'\n');
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Processor, cores, memory, kernel, and what else the machine was doing when the run began.
pub(crate) fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.split_once(':'))
            .map(|(_, value)| value.trim().to_owned())
    };
    let processor = field(&read("/proc/cpuinfo"), "model name")
        .unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = field(&read("/proc/meminfo"), "MemTotal")
        .and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok())
        .map_or(String::new(), |kb| format!(", {:.0} GB", kb * 1.024e-6));
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let load = load.split_whitespace().next().unwrap_or("unknown");
    format!(
        "{processor}, {cores} cores{memory}, {} {}; load average at the start {load}",
        std::env::consts::OS,
        kernel.trim()
    )
}
