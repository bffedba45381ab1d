//! What is measured of a window while a person works in it: how late samples come to its page, what a frame
//! costs, how soon the first trace stands there (in the page's own clock, to a millisecond: WebKit tells no
//! less), and the memory that it takes.

use crate::webdriver::Session;
use crate::window::Window;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Seconds, as they were measured.
pub type Seconds = Vec<f64>;

/// What was seen of a feed and of the frames of the canvas.
#[derive(Debug, Clone, Default)]
pub struct Frames {
    /// From the call of a frame to its last pixel, s; empty where only messages were looked at.
    pub cost_s: Seconds,
    /// From a message's arrival in the page to the end of the next frame, s.
    pub to_pixel_s: Seconds,
    /// How late a message was: from its last sample to its arrival in the page, s.
    pub late_s: Seconds,
    /// Length of the measurement, s.
    pub length_s: f64,
}

/// Looks at the messages of the feed that is shown as they arrive, before anything of the page's own does, and,
/// where wanted, at the frames that the canvas paints meanwhile. The samples' times are the engine's, of the same
/// machine's clock.
const FRAMES: &str = r"
const [ms, withFrames, done] = arguments;
const callbacks = window.__TAURI_INTERNALS__.callbacks;
const canvas = document.querySelector(`canvas[data-testid='scope']`);
const gl = canvas.getContext('webgl2');
const pixel = new Uint8Array(4);
const late = [], arrivals = [], frames = [], before = new Map();
let drawn = 0;
if (withFrames) gl.drawElements = function (...values) {
  drawn += 1;
  return WebGL2RenderingContext.prototype.drawElements.apply(this, values);
};
const plain = window.requestAnimationFrame;
if (withFrames) window.requestAnimationFrame = (callback) => plain.call(window, (at) => {
  const [before, begun] = [drawn, performance.now()];
  callback(at);
  if (drawn > before) {
    gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, pixel); // waits for every pixel
    frames.push([begun, performance.now()]);
  }
});
// A short message comes in pieces, each of which begins a message or continues one.
let held = new Uint8Array(0);
const look = (piece) => {
  const [now, here] = [Date.now(), performance.now()];
  const bytes = new Uint8Array(held.length + piece.length);
  bytes.set(held);
  bytes.set(piece, held.length);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (; at + 48 <= bytes.length && at + 4 + view.getUint32(at, true) <= bytes.length; at += view.getUint32(at, true) + 4) {
    const envelope = view.getUint16(at + 4, true) === 1 && (view.getUint32(at + 44, true) & 1) === 0;
    const columns = view.getUint32(at + 12, true);
    if (!envelope || columns === 0) continue;
    // To the end of the last whole column, which lies at most a column before the block's end.
    const last = Number(view.getBigInt64(at + 24, true)) + columns * view.getFloat64(at + 32, true);
    late.push(now - last / 1e6);
    arrivals.push(here);
  }
  held = bytes.slice(at);
};
for (const [id, call] of callbacks) {
  before.set(id, call);
  callbacks.set(id, (told) => {
    if (told?.message instanceof ArrayBuffer) look(new Uint8Array(told.message));
    if (typeof told?.message === 'string') look(Uint8Array.from(atob(told.message), (letter) => letter.charCodeAt(0)));
    return call(told);
  });
}
setTimeout(() => {
  for (const [id, call] of before) if (callbacks.has(id)) callbacks.set(id, call);
  window.requestAnimationFrame = plain;
  delete gl.drawElements;
  done({ late, arrivals, frames });
}, ms);
";

/// Watches the feed that a window shows, and with `frames` its canvas as well: waiting for every pixel of a frame
/// keeps messages waiting, so that their lateness is to be had without.
#[must_use]
pub fn watch(page: &Session, length: Duration, frames: bool) -> Frames {
    let ms = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
    let seen = page.run_async(FRAMES, json!([ms, frames]));
    let list = |name: &str| -> Vec<f64> {
        let all = seen[name].as_array().into_iter().flatten();
        all.filter_map(Value::as_f64).collect()
    };
    let painted: Vec<(f64, f64)> = seen["frames"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|frame| Some((frame[0].as_f64()?, frame[1].as_f64()?)))
        .collect();
    let to_pixel = list("arrivals").into_iter().filter_map(|arrived| {
        let next = painted.iter().find(|(begun, _)| *begun >= arrived)?;
        Some((next.1 - arrived) / 1e3)
    });
    Frames {
        cost_s: painted
            .iter()
            .map(|(begun, end)| (end - begun) / 1e3)
            .collect(),
        to_pixel_s: to_pixel.collect(),
        late_s: list("late").into_iter().map(|ms| ms / 1e3).collect(),
        length_s: length.as_secs_f64(),
    }
}

/// Notes when 'Start recording' is clicked, and then looks at the canvas until a trace of a left electrode's
/// colour stands on it.
const FIRST_TRACE: &str = r"
window.firstTrace = { clicked: null, canvas: null, traced: null };
document.addEventListener('click', (event) => {
  if (event.target.closest(`[data-testid='start']`)) window.firstTrace.clicked ??= performance.now();
}, true);
const looking = setInterval(() => {
  if (window.firstTrace.clicked === null) return;
  const canvas = document.querySelector(`canvas[data-testid='scope']`);
  // Before the canvas is ready its graphics are not to be asked for: they would be others than it wants.
  if (!canvas || document.querySelector('.traces .cover')) return;
  window.firstTrace.canvas ??= performance.now();
  const gl = canvas.getContext('webgl2');
  // The upper rows, of left electrodes. Reading the whole canvas again and again would take longer than painting
  // it, and keep the page from the very messages that are waited for.
  const left = Math.ceil(110 * devicePixelRatio);
  const [width, height] = [gl.drawingBufferWidth - left, Math.ceil(gl.drawingBufferHeight / 8)];
  const pixels = new Uint8Array(width * height * 4);
  gl.readPixels(left, gl.drawingBufferHeight - Math.ceil(1.5 * height), width, height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
  let found = 0;
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const at = (y * width + x) * 4;
      const apart = Math.abs(pixels[at] - 0x6c) + Math.abs(pixels[at + 1] - 0xae) + Math.abs(pixels[at + 2] - 0xf7);
      if (apart < 60) found += 1;
    }
  }
  if (found >= 10) {
    window.firstTrace.traced = performance.now();
    clearInterval(looking);
  }
}, 25);
";

/// From now on the page notes the click that starts a recording and the first trace that follows.
pub fn await_first_trace(page: &Session) {
    page.run(FIRST_TRACE, json!([]));
}

/// From the click to the canvas and to the first trace on it, s, once all were seen.
#[must_use]
pub fn first_trace_s(page: &Session) -> Option<(f64, f64)> {
    let seen = page.run("return window.firstTrace", json!([]));
    let at = |name: &str| seen[name].as_f64();
    let clicked = at("clicked")?;
    Some((
        (at("canvas")? - clicked) / 1e3,
        (at("traced")? - clicked) / 1e3,
    ))
}

/// Growth from the second to the last quarter up to which memory counts as flat.
const FLAT: f64 = 0.10;

/// How often memory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Resident memory of a window over time, bytes: medians of the second and of the last quarter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Memory {
    /// Of the window's process.
    pub window: [f64; 2],
    /// Of the process that shows its page.
    pub page: [f64; 2],
}

impl Memory {
    /// Whether neither grows.
    #[must_use]
    pub fn is_flat(&self) -> bool {
        let flat = |[early, late]: [f64; 2]| late / early - 1.0 <= FLAT;
        flat(self.window) && flat(self.page)
    }
}

/// Watches a window's memory; `None` when it ends meanwhile.
#[must_use]
pub fn memory(window: &Window, length: Duration) -> Option<Memory> {
    let begun = Instant::now();
    let (mut own, mut page) = (Vec::new(), Vec::new());
    while begun.elapsed() < length {
        let (of_window, of_page) = window.resident_bytes()?;
        own.push(of_window);
        page.push(of_page);
        std::thread::sleep(LOOK_EVERY);
    }
    let median = |part: &[f64]| {
        let mut sorted = part.to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied()
    };
    let quarters = |all: &[f64]| {
        let quarter = all.len() / 4;
        Some([
            median(&all[quarter..quarter * 2])?,
            median(&all[quarter * 3..])?,
        ])
    };
    Some(Memory {
        window: quarters(&own)?,
        page: quarters(&page)?,
    })
}
