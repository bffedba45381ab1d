//! A sweep paints what has changed and lets the rest stand: the canvas is the same as when all of it is painted.

use desktop_tests::{Bedside, Person};
use serde_json::json;
use std::time::Duration;

const PASSWORD: &str = "correct horse battery staple";

/// Reads the canvas, takes its graphics away and gives them back, which has everything drawn anew, and reads it
/// again: pixels that were bright, whether the canvas was lost, and pixels that differ by more than a rounding.
const PAINTED_ANEW: &str = r"
const [done] = arguments;
const canvas = document.querySelector(`canvas[data-testid='scope']`);
const gl = canvas.getContext('webgl2');
const read = () => {
  const [width, height] = [gl.drawingBufferWidth, gl.drawingBufferHeight];
  const pixels = new Uint8Array(width * height * 4);
  gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
  return pixels;
};
const wait = (ms) => new Promise((then) => setTimeout(then, ms));
const frames = () => Number(document.querySelector(`[data-testid='scope-twin']`).dataset.frames);
(async () => {
  const before = read();
  const graphics = gl.getExtension('WEBGL_lose_context');
  graphics.loseContext();
  await wait(1500); // the words beside the canvas, which count its frames, follow once a second
  const lost = gl.isContextLost();
  const painted = frames();
  graphics.restoreContext();
  for (let tries = 0; frames() === painted && tries < 100; tries += 1) await wait(100);
  const after = read();
  const light = (pixels, at) => pixels[at] + pixels[at + 1] + pixels[at + 2];
  let [bright, differ] = [0, 0];
  for (let at = 0; at < before.length; at += 4) {
    if (light(before, at) > 300) bright += 1;
    const apart = [0, 1, 2].map((colour) => Math.abs(before[at + colour] - after[at + colour]));
    if (Math.max(...apart) > 2) differ += 1;
  }
  done({ lost, bright, differ: before.length === after.length ? differ : before.length });
})();
";

#[test]
fn a_sweep_painted_in_parts_is_what_it_is_painted_whole() {
    let bedside = Bedside::new();
    let window = bedside.open();
    let ada = Person { page: &window.page };
    ada.makes_first_administrator("ada", PASSWORD);
    ada.registers_training_patient("Training", "Tilda", "1971-04-02", "00012345");
    ada.starts_session("Training");
    ada.sees_traces();
    // Within the first page, over its edge, and with other rows.
    for turn in 0..3 {
        if turn == 2 {
            ada.choose("montage", "as-recorded");
        }
        std::thread::sleep(Duration::from_secs(6));
        ada.press("freeze");
        std::thread::sleep(Duration::from_secs(1)); // the last frame has come, the page's words too
        let seen = window.page.run_async(PAINTED_ANEW, json!([]));
        assert_eq!(seen["lost"], true, "{seen}");
        assert!(
            seen["bright"].as_u64().is_some_and(|pixels| pixels > 5_000),
            "{seen}"
        );
        assert_eq!(seen["differ"], 0, "in turn {turn}: {seen}");
        ada.press("freeze");
    }
    ada.ends_session();
}
