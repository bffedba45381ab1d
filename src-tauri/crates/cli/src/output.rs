//! Results to standard output, the rest to standard error.

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;
use ui_types::{ApiError, Progress};

/// How results and progress are shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
}

/// Writes to standard output. A reader that has seen enough (`| head`) is no error.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush())
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        eprintln!("error: write to standard output: {error}");
    }
}

impl Output {
    pub(crate) const fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet }
    }

    /// Prints `result` as JSON, or as `text` writes it for people.
    pub(crate) fn result<R: Serialize>(&self, result: &R, text: impl FnOnce(&R, &mut String)) {
        if self.json {
            match serde_json::to_string_pretty(result) {
                Ok(json) => print(&format!("{json}\n")),
                Err(error) => eprintln!("the result could not be written as JSON: {error}"),
            }
        } else {
            let mut out = String::new();
            text(result, &mut out);
            print(&out);
        }
    }

    /// Prints one of a row of events: a line of JSON, or the text for people.
    pub(crate) fn line(&self, event: &serde_json::Value, text: &str) {
        if self.json {
            print(&format!("{event}\n"));
        } else {
            print(&format!("{text}\n"));
        }
    }

    /// Prints an error and what to do, and yields its exit code.
    pub(crate) fn failure(&self, error: &ApiError) -> ExitCode {
        if self.json {
            let json = serde_json::json!({ "error": error });
            print(&format!("{json:#}\n"));
        }
        eprintln!("error: {}", error.message);
        if !error.remedy.is_empty() {
            eprintln!("  {}", error.remedy);
        }
        ExitCode::from(error.code.exit_code())
    }

    /// A message for people beside the result.
    pub(crate) fn say(&self, text: &str) {
        if !self.quiet {
            eprintln!("{text}");
        }
    }

    /// A progress bar, hidden where nobody watches.
    pub(crate) fn bar(&self) -> ProgressBar {
        if self.quiet || self.json {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new(0);
        let style = ProgressStyle::with_template("{msg:24} [{bar:32}] {percent:>3} %  {elapsed}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.progress_chars("=> "));
        bar.enable_steady_tick(Duration::from_millis(250));
        bar
    }
}

/// Shows a call's progress on `bar`.
pub(crate) fn advance(bar: &ProgressBar, progress: Progress) {
    bar.set_message(progress.what);
    bar.set_length(progress.total.max(1));
    bar.set_position(progress.done);
}

/// Appends a line `name  value`.
pub(crate) fn field(out: &mut String, name: &str, value: impl std::fmt::Display) {
    let _ = writeln!(out, "{name:<16} {value}");
}

/// Appends a table whose columns are as wide as their widest cell.
pub(crate) fn table(out: &mut String, head: &[&str], rows: &[Vec<String>]) {
    let width = |column: usize| {
        let cells = rows
            .iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count());
        cells
            .chain(head.get(column).map(|name| name.chars().count()))
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut text = String::new();
        for (cell, width) in cells.zip(&widths) {
            let _ = write!(text, "{cell:<width$}  ");
        }
        let _ = writeln!(out, "{}", text.trim_end());
    };
    line(&mut head.iter().copied());
    for row in rows {
        line(&mut row.iter().map(String::as_str));
    }
}
