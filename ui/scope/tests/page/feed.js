// Feeds the canvas with computed EEG, live or as a page, without engine or shell. What is shown is chosen in the
// address: ?theme=light&mode=scroll&rows=64&page_s=10&marks=1&gap=1&review=1&seconds=25. For a look by eye; it is
// served beside the files that `cargo xtask ui` lays out.
import init, { Scope } from "./scope.js";

const asked = new URLSearchParams(location.search);
const number = (name, usual) => Number(asked.get(name) ?? usual);
const BEGIN_NS = 1_800_000_000n * 1_000_000_000n + 3_000_000_000n;
const RATE_HZ = 256;

// Envelope 1, end 2, description 3, gap 4, annotation 5: see ui/types, feed.rs.
function message(kind, payload, head = {}) {
  const bytes = new Uint8Array(48 + payload.byteLength);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length - 4, true);
  view.setUint16(4, kind, true);
  view.setUint16(6, head.stream ?? 0, true);
  view.setUint32(8, head.rows ?? 0, true);
  view.setUint32(12, head.columns ?? 0, true);
  view.setBigUint64(16, BigInt(head.first ?? 0), true);
  view.setBigInt64(24, head.time ?? 0n, true);
  view.setFloat64(32, head.columnNs ?? 0, true);
  view.setUint32(44, head.history ? 1 : 0, true);
  bytes.set(new Uint8Array(payload), 48);
  return bytes;
}

// 64-bit numbers are written as they are: JSON has no limit, JavaScript's numbers do.
function json(value) {
  const text = JSON.stringify(value, (_, part) => (typeof part === "bigint" ? `#${part}#` : part));
  return new TextEncoder().encode(text.replace(/"#(-?\d+)#"/g, "$1")).buffer;
}

const CHAINS = [
  ["left temporal", "left", "Fp1-F7 F7-T7 T7-P7 P7-O1"],
  ["right temporal", "right", "Fp2-F8 F8-T8 T8-P8 P8-O2"],
  ["left parasagittal", "left", "Fp1-F3 F3-C3 C3-P3 P3-O1"],
  ["right parasagittal", "right", "Fp2-F4 F4-C4 C4-P4 P4-O2"],
  ["midline", "midline", "Fz-Cz Cz-Pz"],
];

function rows() {
  const list = [];
  for (const [chain, colour, labels] of CHAINS)
    for (const label of labels.split(" "))
      list.push({ label, chain, colour, kind: "eeg", unit: "uV", inputs: label.split("-"), blank: null });
  const wanted = number("rows", list.length + 1);
  for (let at = list.length; at < wanted - 1; at += 1)
    list.push({ label: `C${at}-Ref`, chain: `grid ${at >> 3}`, colour: at & 8 ? "left" : "right", kind: "eeg", unit: "uV", inputs: [`C${at}`], blank: null });
  if (asked.has("marks")) list[5].blank = "T8 is not recorded";
  list.push({ label: "ECG", chain: "ecg", colour: "ecg", kind: "ecg", unit: "uV", inputs: ["ECG"], blank: null });
  return list;
}

// Alpha behind, muscle at the temples, a blink now and then, spikes at F7; the heart at 70 a minute.
function sample(row, label, at) {
  const noise = (seed) => {
    const x = Math.sin(at * RATE_HZ * 12.9898 + seed * 78.233) * 43758.5453;
    return x - Math.floor(x) - 0.5;
  };
  if (label === "ECG") {
    const beat = (at * 1.17) % 1;
    const wave = (centre, width, height) => height * Math.exp(-(((beat - centre) / width) ** 2));
    return wave(0.3, 0.03, 100) - wave(0.385, 0.008, 150) + wave(0.4, 0.009, 1100) - wave(0.42, 0.01, 250) + wave(0.65, 0.05, 250);
  }
  const back = /[OP]/.test(label.split("-")[1]) ? 1 : 0.35;
  const waxing = 0.6 + 0.4 * Math.sin(at * 0.7 + row);
  let value = 28 * back * waxing * Math.sin(2 * Math.PI * (9.8 + 0.1 * Math.sin(row)) * at + row * 0.3);
  value += 9 * Math.sin(2 * Math.PI * 5.3 * at + row * 1.7) + 14 * noise(row) + 10 * Math.sin(2 * Math.PI * 1.1 * at + row);
  if (/^Fp/.test(label)) value += 130 * Math.exp(-((((at + 1.6) % 4.3) - 2.1) ** 2) / 0.015);
  if (/^F7/.test(label) || /-F7$/.test(label)) {
    const phase = (at % 3.7) - 1.9;
    const sign = /-F7$/.test(label) ? -1 : 1;
    value += sign * (-95 * Math.exp(-(phase ** 2) / 0.0006) + 45 * Math.exp(-((phase - 0.17) ** 2) / 0.012));
  }
  if (/T[78]/.test(label) && Math.sin(at * 0.9) > 0.8) value += 60 * noise(row + 99);
  return value;
}

// In a feed columns are numbered from the begin, in a page from the page's.
function envelope(list, columnNs, first, columns, history, page = false) {
  const values = new Float32Array(list.length * columns * 2);
  const gap = (at) => asked.has("gap") && at > 16.2 && at < 18.5;
  list.forEach((row, r) => {
    for (let c = 0; c < columns; c += 1) {
      const from = Math.ceil(((first + c) * columnNs * RATE_HZ) / 1e9 - 1e-9);
      const to = Math.ceil(((first + c + 1) * columnNs * RATE_HZ) / 1e9 - 1e-9);
      let low = NaN;
      let high = NaN;
      for (let s = from; s < to; s += 1) {
        const at = s / RATE_HZ;
        if (gap(at) || row.blank) continue;
        let value = sample(r, row.label, at);
        if (asked.has("marks") && row.label === "T7-P7") value = 180;
        low = Number.isNaN(low) ? value : Math.min(low, value);
        high = Number.isNaN(high) ? value : Math.max(high, value);
      }
      values[(r * columns + c) * 2] = low;
      values[(r * columns + c) * 2 + 1] = high;
    }
  });
  const time = BEGIN_NS + BigInt(Math.round(first * columnNs));
  return message(1, values.buffer, { rows: list.length, columns, first: page ? 0 : first, time, columnNs, history });
}

function joined(parts) {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function description(list) {
  const stream = { stream: 0, name: "EEG", rate_hz: RATE_HZ, rows: list };
  return message(3, json({
    montage: "double-banana", montage_title: "Double banana", reference: "Cz", filters: {}, filter_notes: [],
    provenance: "simulated", begin_utc_ns: BEGIN_NS, end_utc_ns: BEGIN_NS, zone_offset_min: 120, streams: [stream],
  }));
}

function annotation(id, at, text, durationS = null) {
  const onset = BEGIN_NS + BigInt(Math.round(at * 1e9));
  const duration = durationS && BigInt(Math.round(durationS * 1e9));
  return message(5, json({ id, onset_utc_ns: onset, duration_ns: duration, text, code: null, origin: "person", superseded_by: null }));
}

function settings() {
  const mode = asked.has("review") ? "review" : asked.get("mode") ?? "sweep";
  return {
    mode, sensitivity_uv_mm: number("sensitivity", 7), page_s: number("page_s", 10), px_per_mm: number("px_per_mm", 3.78),
    calibrated: asked.has("calibrated"), negative_up: !asked.has("positive"), theme: asked.get("theme") ?? "dark",
    zone_offset_min: 120, selected_annotation: 2,
    channel_marks: asked.has("marks") ? { P7: "railed", F4: "stale", Pz: "noisy" } : {},
  };
}

await init();
const told = [];
window.told = told;
const scope = await Scope.create("traces", JSON.stringify(settings()), (event) => told.push(JSON.parse(event)));
window.scope = scope;
window.shown = () => JSON.parse(scope.state());

// The first frame tells how many columns there are.
const resized = () => told.find((event) => event.event === "resized");
while (!resized()) await new Promise((then) => setTimeout(then, 20));
const size = resized();
const pageS = number("page_s", 10);
const columnNs = (pageS * 1e9) / size.columns;
const list = rows();
const marks = [annotation(1, 11.2, "Eyes open"), annotation(2, 13.4, "HV start"), annotation(3, 13.9, "Drowsy", 1.4)];
if (asked.has("gap")) {
  const from = BEGIN_NS + 16_200_000_000n;
  marks.push(message(4, json({ stream: 0, from_utc_ns: from, duration_ns: 2_300_000_000n, missing: "589", ambiguous: false, cause: "lost" })));
}

let generation = 0;
let column = 0;
const atS = (seconds) => Math.floor((seconds * 1e9) / columnNs);

// A feed with its history up to `seconds`; the same again is what a switch of the montage does.
window.feed = (seconds) => {
  generation += 1;
  scope.begin_feed(generation);
  column = atS(seconds);
  const first = Math.max(0, column - size.columns * 2);
  scope.push(generation, joined([description(list), envelope(list, columnNs, first, column - first, true), ...marks]));
};
window.live = (seconds) => {
  const next = atS(seconds);
  if (next > column) scope.push(generation, envelope(list, columnNs, column, next - column, false));
  column = Math.max(column, next);
};
if (asked.has("review")) {
  const first = atS(10);
  scope.show_page(joined([description(list), envelope(list, columnNs, first, size.columns, true, true), ...marks, message(2, new ArrayBuffer(0))]));
} else {
  const seconds = number("seconds", 25);
  window.feed(seconds);
  if (!asked.has("still")) {
    const begun = performance.now();
    setInterval(() => window.live(seconds + (performance.now() - begun) / 1e3), 33);
  }
}
document.title = "ready";
