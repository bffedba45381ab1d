//! What a person at the window waits for: the real window on a screen in memory, which two cores draw in
//! software. All of it is measured through the window's own page; see `desktop_tests::gauge`.

use crate::figure::{Figure, Row};
use crate::folders;
use crate::limits::{
    FIRST_TRACES, WINDOW_CHANNELS, WINDOW_FOR, WINDOW_LOOK, WINDOW_QUICK, WINDOW_RATE_HZ,
    WINDOW_STARTS,
};
use crate::measure::{Times, digits, time};
use anyhow::{Context as _, Result, anyhow};
use desktop_tests::gauge::{self, Frames};
use desktop_tests::{Bedside, PATIENCE, Person, Window};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

pub(crate) const ROWS: [Row; 4] = [
    Row {
        what: "start of the window's program to the sign-in page",
        bound: "3 s",
        aim: "1.5 s",
    },
    Row {
        what: "click on 'Start recording' to the first trace, simulated headset",
        bound: "1 s",
        aim: "0.3 s",
    },
    Row {
        what: "device block to page, p99, beyond the block's own length, 64 channels × 1 kHz",
        bound: "20 ms",
        aim: "5 ms",
    },
    Row {
        what: "page to pixel, and cost of a frame, at 16, 64 and 256 channels × 1 kHz",
        bound: "reported",
        aim: "—",
    },
];

pub(crate) const MEMORY_ROWS: [Row; 1] = [Row {
    what: "resident memory of window and web process, session of 64 channels × 1 kHz on screen",
    bound: "flat",
    aim: "flat",
}];

/// Seconds.
const BOUNDS: [f64; 3] = [3.0, 1.0, 0.020];
const PASSWORD: &str = "correct horse battery staple";

pub(crate) fn run() -> Result<Vec<Figure>> {
    if let Some(why) = missing() {
        return Ok(ROWS.iter().map(|row| row.not_measured(&why)).collect());
    }
    let (shown, slow) = frames_by_channels();
    Ok(vec![
        measured(ROWS[0], start_to_sign_in),
        measured(ROWS[1], click_to_trace),
        shown,
        slow,
    ])
}

pub(crate) fn run_memory() -> Result<Vec<Figure>> {
    let row = MEMORY_ROWS[0];
    Ok(vec![match missing() {
        Some(why) => row.not_measured(&why),
        None => measured(row, memory),
    }])
}

/// What is not there of what the window needs.
fn missing() -> Option<String> {
    let ours = ["neurascale-desktop", "neurascale-engine", "neurascale"];
    if let Some(name) = ours.iter().find(|name| folders::program(name).is_none()) {
        return Some(format!("{name} is not in NEURASCALE_BIN_DIR"));
    }
    let found = |name: &&&str| {
        let paths = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&paths).any(|folder| folder.join(name).is_file())
    };
    let others = ["Xvfb", "WebKitWebDriver"];
    let lacking = others.iter().find(|name| !found(name))?;
    Some(format!("{lacking} is not installed"))
}

/// A person at the window fails loudly; here that is one figure less.
fn measured(row: Row, of: impl FnOnce(Row) -> Result<Figure>) -> Figure {
    let found = catch_unwind(AssertUnwindSafe(|| of(row))).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref::<&str>().copied());
        let line = said.and_then(|said| said.lines().next());
        Err(anyhow!("{}", line.unwrap_or("the window failed")))
    });
    found.unwrap_or_else(|error| row.not_measured(&format!("{error:#}")))
}

fn start_to_sign_in(row: Row) -> Result<Figure> {
    let bedside = Bedside::new();
    let first = opened(&bedside)?;
    let mut later = Times::default();
    for _ in 0..WINDOW_STARTS {
        bedside.station.ok(&["engine", "stop"]);
        later.push_s(opened(&bedside)?);
    }
    Ok(row.measured(
        later.max() <= BOUNDS[0],
        format!(
            "{} (worst of {}; p50 {}), the engine's own start included; {} at a station's very first \
             start, which makes keys and store",
            time(later.max()),
            later.len(),
            time(later.p50()),
            time(first)
        ),
    ))
}

/// How old the window is when its field for the login is there, s.
fn opened(bedside: &Bedside) -> Result<f64> {
    let window = bedside.open();
    window.page.wait("[data-testid='login']", PATIENCE);
    window.age_s().context("the window has ended")
}

/// A station with a training patient and whoever is signed in.
fn at_work(bedside: &Bedside) -> Window {
    let window = bedside.open();
    let ada = Person { page: &window.page };
    ada.makes_first_administrator("ada", PASSWORD);
    ada.registers_training_patient("Training", "Tilda", "1971-04-02", "00012345");
    window
}

fn click_to_trace(row: Row) -> Result<Figure> {
    let bedside = Bedside::new();
    let window = at_work(&bedside);
    let ada = Person { page: &window.page };
    gauge::await_first_trace(&window.page);
    let (mut all, mut ready) = (Times::default(), Times::default());
    for turn in 0..FIRST_TRACES {
        // One who was recorded waits for a signature.
        let family = format!("Turn{turn}");
        ada.registers_training_patient(&family, "Tilda", "1971-04-02", &format!("77{turn}"));
        ada.prepares_session(&family);
        ada.choose("protocol", "free-recording");
        ada.press("start");
        let mut seen = None;
        ada.waits(PATIENCE * 3, "the first trace", || {
            seen = gauge::first_trace_s(&window.page);
            seen.is_some()
        });
        let (canvas, trace) = seen.context("no trace")?;
        all.push_s(trace);
        ready.push_s(canvas);
        ada.ends_session();
        gauge::await_first_trace(&window.page);
    }
    Ok(row.measured(
        all.max() <= BOUNDS[1],
        format!(
            "{} (worst of {}; p50 {}; the canvas stands after {} p50), free recording; half a second of it \
             is the headset's impedance check",
            time(all.max()),
            all.len(),
            time(all.p50()),
            time(ready.p50())
        ),
    ))
}

/// Lateness in the page, and what frames cost by the number of channels.
fn frames_by_channels() -> (Figure, Figure) {
    let mut late = ROWS[2].not_measured("64 channels were not watched");
    let mut costs = Vec::new();
    for channels in WINDOW_CHANNELS {
        let seen = catch_unwind(|| frames_of(channels));
        let seen = seen.unwrap_or_else(|_| Err(anyhow!("the window failed")));
        costs.push(match &seen {
            Ok(seen) => cost(channels, seen),
            Err(error) => format!("{channels}: not measured ({error:#})"),
        });
        if channels == 64
            && let Ok(seen) = &seen
        {
            let times = times(&seen.late_s);
            late = ROWS[2].measured(
                times.p99() <= BOUNDS[2],
                format!(
                    "{} (p50 {}, worst {} of {} messages of the feed that is shown, to the end of the last \
                     whole column), to the page's millisecond, while it draws 64 traces",
                    time(times.p99()),
                    time(times.p50()),
                    time(times.max()),
                    times.len()
                ),
            );
        }
    }
    let any = costs.iter().any(|cost| !cost.contains("not measured"));
    (late, ROWS[3].measured(any, costs.join("; ")))
}

fn times(seconds: &[f64]) -> Times {
    let mut times = Times::default();
    seconds.iter().for_each(|s| times.push_s(*s));
    times
}

fn cost(channels: usize, seen: &Frames) -> String {
    let (cost, to_pixel) = (times(&seen.cost_s), times(&seen.to_pixel_s));
    format!(
        "{channels}: to pixel {} p50, {} p99; a frame {} p50, {} p99, {} frames/s",
        time(to_pixel.p50()),
        time(to_pixel.p99()),
        time(cost.p50()),
        time(cost.p99()),
        digits(cost.len() as f64 / seen.length_s)
    )
}

/// A window that shows a session of so many channels, as recorded.
fn showing(bedside: &Bedside, channels: usize) -> Result<(Window, String)> {
    let window = at_work(bedside);
    let ada = Person { page: &window.page };
    let (channels, rate) = (
        format!("channels={channels}"),
        format!("rate={WINDOW_RATE_HZ}"),
    );
    let started = bedside.station.ok(&[
        "session",
        "start",
        "--training",
        "--now",
        "--device",
        "simulated:amplifier",
        "--set",
        &channels,
        "--set",
        &rate,
        "--set",
        "pattern=cheap",
        "--protocol",
        "free-recording",
        "--duration",
        "unlimited",
    ]);
    let id = started["id"].as_str().context("no session")?.to_owned();
    ada.press("nav-1");
    ada.sees_traces();
    ada.choose("montage", "as-recorded");
    thread::sleep(Duration::from_secs(3)); // what is opened at the begin is open
    Ok((window, id))
}

fn frames_of(channels: usize) -> Result<Frames> {
    let bedside = Bedside::new();
    let (window, _) = showing(&bedside, channels)?;
    let late = gauge::watch(&window.page, WINDOW_LOOK, false);
    Ok(Frames {
        late_s: late.late_s,
        ..gauge::watch(&window.page, WINDOW_LOOK, true)
    })
}

fn memory(row: Row) -> Result<Figure> {
    let bedside = Bedside::new();
    let (window, _) = showing(&bedside, 64)?;
    let length = if crate::quick() {
        WINDOW_QUICK
    } else {
        WINDOW_FOR
    };
    let seen = gauge::memory(&window, length).context("the window has ended")?;
    let mb = |bytes: f64| digits(bytes / 1e6);
    Ok(row.measured(
        seen.is_flat(),
        format!(
            "window {} MB in the second quarter of {} min, {} MB in the last; web process {} MB and {} MB",
            mb(seen.window[0]),
            digits(length.as_secs_f64() / 60.0),
            mb(seen.window[1]),
            mb(seen.page[0]),
            mb(seen.page[1])
        ),
    ))
}
