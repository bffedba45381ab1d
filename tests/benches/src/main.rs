//! The figures of the README, measured beside their peers.
//!
//! Ratios are taken within one run. A figure that misses its bound is shown like the others, and
//! ends the program with an error after everything has been written.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that speaks to a terminal"
)]

mod beside_recording;
mod cyton;
mod export_speed;
mod figure;
mod filters;
mod folders;
mod gateway;
mod journal_size;
mod limits;
mod load;
mod measure;
mod memory;
mod paging;
mod rig;
mod socket;
mod spectra;
mod steps;
mod synthetic;
mod throughput;
mod window;

use crate::figure::{Figure, Report, Row, machine};
use anyhow::Result;
use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::Instant;

/// Measures the figures of the README. Without filters, all of them.
#[derive(Debug, Parser)]
struct Arguments {
    /// File to write the figures to, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Watch for minutes what is otherwise watched for longer
    #[arg(long)]
    quick: bool,
    /// Names of groups to measure
    filters: Vec<String>,
}

/// Figures that are measured together.
struct Group {
    name: &'static str,
    rows: &'static [Row],
    run: fn() -> Result<Vec<Figure>>,
}

/// What a person waits for first, the long ones last.
const GROUPS: [Group; 16] = [
    Group {
        name: "load",
        rows: &load::ROWS,
        run: load::run,
    },
    Group {
        name: "filters",
        rows: &filters::ROWS,
        run: filters::run,
    },
    Group {
        name: "spectra",
        rows: &spectra::ROWS,
        run: spectra::run,
    },
    Group {
        name: "cyton",
        rows: &cyton::ROWS,
        run: cyton::run,
    },
    Group {
        name: "events",
        rows: &beside_recording::ROWS,
        run: beside_recording::run,
    },
    Group {
        name: "throughput",
        rows: &throughput::ROWS,
        run: throughput::run,
    },
    Group {
        name: "workflow",
        rows: &steps::ROWS,
        run: steps::run,
    },
    Group {
        name: "paging",
        rows: &paging::ROWS,
        run: paging::run,
    },
    Group {
        name: "socket",
        rows: &socket::ROWS,
        run: socket::run,
    },
    Group {
        name: "window",
        rows: &window::ROWS,
        run: window::run,
    },
    Group {
        name: "gateway",
        rows: &gateway::ROWS,
        run: gateway::run,
    },
    Group {
        name: "export",
        rows: &export_speed::ROWS,
        run: export_speed::run,
    },
    Group {
        name: "size",
        rows: &journal_size::ROWS,
        run: journal_size::run,
    },
    Group {
        name: "channels",
        rows: &load::CHANNEL_ROWS,
        run: load::run_channels,
    },
    Group {
        name: "memory",
        rows: &memory::ROWS,
        run: memory::run,
    },
    Group {
        name: "window-memory",
        rows: &window::MEMORY_ROWS,
        run: window::run_memory,
    },
];

/// Whether what can be shortened is to be; see [`Arguments::quick`].
static QUICK: OnceLock<bool> = OnceLock::new();

fn quick() -> bool {
    QUICK.get().copied().unwrap_or(false)
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    QUICK.get_or_init(|| arguments.quick);
    let known = |filter: &String| {
        GROUPS
            .iter()
            .any(|group| group.name.contains(filter.as_str()))
    };
    if let Some(unknown) = arguments.filters.iter().find(|filter| !known(filter)) {
        let names: Vec<_> = GROUPS.iter().map(|group| group.name).collect();
        anyhow::bail!(
            "there is no figure '{unknown}'; there are: {}",
            names.join(", ")
        );
    }
    let wanted = |group: &&Group| {
        arguments.filters.is_empty()
            || arguments
                .filters
                .iter()
                .any(|filter| group.name.contains(filter.as_str()))
    };
    let mut report = Report {
        machine: machine(),
        figures: Vec::new(),
    };
    println!("{}", report.machine);
    for group in GROUPS.iter().filter(wanted) {
        let begun = Instant::now();
        eprintln!("measuring {} …", group.name);
        let figures = (group.run)().unwrap_or_else(|error| {
            let why = format!("{error:#}");
            group
                .rows
                .iter()
                .map(|row| row.not_measured(&why))
                .collect()
        });
        for figure in &figures {
            let met = if figure.met { "met" } else { "MISSED" };
            println!(
                "{}\n    bound {}; aim {}\n    {} [{met}]",
                figure.what, figure.bound, figure.aim, figure.measured
            );
        }
        eprintln!("  took {:.0} s", begun.elapsed().as_secs_f64());
        report.figures.extend(figures);
        // Written as it grows: a crash in one group does not take the others' figures along.
        if let Some(path) = &arguments.json {
            report.write(path)?;
        }
    }
    let missed = report.figures.iter().filter(|figure| !figure.met).count();
    if missed > 0 {
        eprintln!(
            "{missed} of {} figures miss their bound",
            report.figures.len()
        );
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
