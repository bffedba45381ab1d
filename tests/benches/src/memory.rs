//! Resident memory of the real engine over a long session, simulated fast.

use crate::figure::{Figure, Row};
use crate::folders;
use crate::limits::{WATCH_EVERY, WATCH_FOR, WATCHED};
use crate::measure::{Times, digits, time};
use anyhow::{Context as _, Result, bail, ensure};
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) const ROWS: [Row; 1] = [Row {
    what: "resident memory of the engine, 2 h session of 64 channels × 1 kHz (simulated fast)",
    bound: "250 MB, flat",
    aim: "100 MB",
}];

/// Bytes.
const BOUND: f64 = 250e6;
/// Growth from the second to the last quarter of the collection up to which memory counts as flat.
const FLAT: f64 = 0.20;
/// How long the engine may take to answer.
const START: Duration = Duration::from_secs(30);

pub(crate) fn run() -> Result<Vec<Figure>> {
    let (Some(engine), Some(client)) = (
        folders::program("neurascale-engine"),
        folders::program("neurascale"),
    ) else {
        let why = "neurascale and neurascale-engine are neither in NEURASCALE_BIN_DIR nor beside \
                   this program";
        return Ok(vec![ROWS[0].not_measured(why)]);
    };
    let folder = folders::scratch()?;
    let data = folder.path().join("data");
    let log = File::create(folder.path().join("engine.log")).context("cannot keep the log")?;
    let mut serve = Command::new(engine);
    serve
        .arg("serve")
        .arg("--data-dir")
        .arg(&data)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let mut engine = serve
        .stderr(log)
        .spawn()
        .context("cannot start the engine")?;
    let watched = session(&mut engine, &client, &data);
    if watched.is_err() {
        let log = fs::read_to_string(folder.path().join("engine.log")).unwrap_or_default();
        eprintln!(
            "{}",
            log.lines().rev().take(5).collect::<Vec<_>>().join("\n")
        );
    }
    stop(&mut engine, &client, &data);
    watched.map(|watched| vec![watched.figure()])
}

/// What was seen of the engine.
struct Watched {
    /// Memory while it collected and while it analysed, reported and exported, bytes.
    collecting: Vec<f64>,
    afterwards: Vec<f64>,
    /// Length of both, s.
    took: (f64, f64),
    /// Whether the session came to its end.
    ended: bool,
}

impl Watched {
    fn figure(&self) -> Figure {
        let quarter = self.collecting.len() / 4;
        let median = |part: &[f64]| {
            let mut values = Times::default();
            part.iter().for_each(|value| values.push_s(*value));
            values.p50()
        };
        let early = median(&self.collecting[quarter..quarter * 2]);
        let late = median(&self.collecting[quarter * 3..]);
        let peak = |part: &[f64]| part.iter().copied().fold(0.0, f64::max);
        let (collecting, afterwards) = (peak(&self.collecting), peak(&self.afterwards));
        let growth = late / early - 1.0;
        let most = collecting.max(afterwards);
        let mb = |bytes: f64| digits(bytes / 1e6);
        let ended = if self.ended {
            ""
        } else {
            "; GIVEN UP before the session's end"
        };
        ROWS[0].measured(
            most <= BOUND && growth <= FLAT && self.ended,
            format!(
                "{} MB at most: {} MB while collecting ({} MB in the second quarter, {} MB in the \
                 last; {}), {} MB while analysing and reporting ({}){ended}",
                mb(most),
                mb(collecting),
                mb(early),
                mb(late),
                time(self.took.0),
                mb(afterwards),
                time(self.took.1),
            ),
        )
    }
}

fn command(client: &Path, data: &Path) -> Command {
    let mut command = Command::new(client);
    command
        .arg("--data-dir")
        .arg(data)
        .args(["--json", "--quiet", "--no-start"]);
    command.stdin(Stdio::null());
    command
}

fn session(engine: &mut Child, client: &Path, data: &Path) -> Result<Watched> {
    let begun = Instant::now();
    loop {
        let status = command(client, data).args(["engine", "status"]).output();
        if status.context("cannot ask the engine")?.status.success() {
            break;
        }
        if let Some(status) = engine.try_wait()? {
            bail!("the engine ended at once ({status})");
        }
        ensure!(begun.elapsed() < START, "the engine does not answer");
        thread::sleep(Duration::from_millis(200));
    }
    let (seconds, channels, hz) = WATCHED;
    let mut run = command(client, data);
    run.args([
        "session",
        "run",
        "--training",
        "--device",
        "simulated:amplifier",
    ]);
    run.args([
        "--protocol",
        "free-recording",
        "--duration",
        &format!("{seconds}s"),
    ]);
    for setting in [
        format!("channels={channels}"),
        format!("rate={hz}"),
        format!("duration_s={seconds}"),
        "speed=max".to_owned(),
        "pattern=cheap".to_owned(),
    ] {
        run.args(["--set", &setting]);
    }
    run.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut run = run.spawn().context("cannot start a session")?;
    let watched = watch(engine, &mut run, data);
    if run.try_wait()?.is_none() {
        run.kill().context("cannot end the command line")?;
        run.wait()?;
    }
    watched
}

/// Reads the engine's memory until the session has ended. The collection is over when the journal
/// has not grown for a while.
fn watch(engine: &mut Child, run: &mut Child, data: &Path) -> Result<Watched> {
    let begun = Instant::now();
    let mut seen: Vec<(f64, f64)> = Vec::new();
    let (mut size, mut grew, mut looked) = (0, 0.0, begun);
    let ended = loop {
        let at = begun.elapsed().as_secs_f64();
        seen.push((at, resident(engine.id())?));
        if looked.elapsed() >= Duration::from_secs(1) {
            looked = Instant::now();
            let now = bytes_in(data);
            // The store grows a little all the time.
            if now > size + 1_000_000 {
                (size, grew) = (now, at);
            }
        }
        if let Some(status) = run.try_wait()? {
            ensure!(status.success(), "the session failed ({status})");
            break true;
        }
        if begun.elapsed() > WATCH_FOR {
            break false;
        }
        thread::sleep(WATCH_EVERY);
    };
    let took = begun.elapsed().as_secs_f64();
    let part = |wanted: &dyn Fn(f64) -> bool| {
        seen.iter()
            .filter(|(at, _)| wanted(*at))
            .map(|(_, bytes)| *bytes)
            .collect::<Vec<_>>()
    };
    let (collecting, afterwards) = (part(&|at| at <= grew), part(&|at| at > grew));
    ensure!(
        collecting.len() >= 8,
        "the collection was over before it could be watched"
    );
    Ok(Watched {
        collecting,
        afterwards,
        took: (grew, took - grew),
        ended,
    })
}

/// Resident memory of a process, bytes.
fn resident(process: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))
        .context("cannot read the engine's memory (it has ended, or this is no Linux)")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    Ok(kib.context("the system does not tell the engine's memory")? * 1024.0)
}

fn bytes_in(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes_in(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

/// Stops the engine cleanly, or else at once: nothing it holds is kept.
fn stop(engine: &mut Child, client: &Path, data: &Path) {
    let asked = command(client, data)
        .args(["engine", "stop", "--force"])
        .output();
    let patience = Instant::now();
    while asked.is_ok() && patience.elapsed() < Duration::from_secs(10) {
        if matches!(engine.try_wait(), Ok(Some(_))) {
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
    // It has ended already, which is as well.
    drop(engine.kill());
    drop(engine.wait());
}
