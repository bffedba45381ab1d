// What the pages need of the shell and of the canvas. Everything that crosses to the pages is text; samples
// go from the shell's channel straight to the canvas and never through the pages' memory.

const { invoke, Channel } = window.__TAURI__.core;

// Times in ns pass through JavaScript's numbers here and lose less than 256 ns, far below a sample.

// An error as the pages read it, whatever was thrown.
function refused(error) {
  if (error && typeof error === "object" && "code" in error) return JSON.stringify(error);
  return JSON.stringify({ code: "unavailable", message: String(error), remedy: "" });
}

async function asked(command, values) {
  try {
    return await invoke(command, values);
  } catch (error) {
    throw refused(error);
  }
}

async function askedText(command, values) {
  return JSON.stringify((await asked(command, values)) ?? {});
}

export function call(name, body, onProgress) {
  const progress = new Channel();
  progress.onmessage = (step) => onProgress?.(JSON.stringify(step));
  return askedText("call", { name, body: JSON.parse(body), progress });
}

export const emergencyStop = () => askedText("emergency_stop", { id: null });
export const heartbeat = () => asked("heartbeat", {});
export const screen = () => askedText("screen", {});
export const setScreen = (value) => askedText("set_screen", { px_per_mm: value, pxPerMm: value });
export const quit = (confirmed) => asked("quit", { confirmed });

export async function listen(event, then) {
  await window.__TAURI__.event.listen(event, (message) => then(JSON.stringify(message.payload ?? null)));
}

// --- the canvas -------------------------------------------------------------------------------------

const scopes = new Map();
let module = null;
let made = 0;

// The canvas' module is fetched when the first canvas is wanted, and anew after a failure: an instance that
// has panicked cannot be used again.
async function scopeModule(fresh) {
  if (!module || fresh) {
    const address = fresh ? `./scope.js?again=${made}` : "./scope.js";
    module = import(address).then(async (loaded) => {
      await loaded.default({ module_or_path: new URL("scope_bg.wasm", import.meta.url) });
      return loaded;
    });
    module.catch(() => (module = null));
  }
  return module;
}

// Fetches and compiles it before it is wanted, while a recording is being prepared.
export function warmScope() {
  scopeModule(false).catch(() => {}); // the canvas that wants it will say what is wrong
  warmGraphics();
}

// The first context of a page starts the graphics driver, which takes a quarter of a second where it is software:
// not while somebody waits for the first trace. The context is given back at once.
let warmed = false;
function warmGraphics() {
  if (warmed) return;
  warmed = true;
  const gl = document.createElement("canvas").getContext("webgl2");
  if (!gl) return; // the canvas that wants one will say so
  gl.clear(gl.COLOR_BUFFER_BIT);
  gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
  gl.getExtension("WEBGL_lose_context")?.loseContext();
}

export async function createScope(canvas, settings, fresh, onEvent) {
  try {
    made += 1;
    const handle = made;
    const { Scope } = await scopeModule(fresh);
    scopes.set(handle, await Scope.create(canvas, settings, onEvent));
    return handle;
  } catch (error) {
    throw refused(error);
  }
}

// A canvas that has failed answers nothing; the pages learn of it through its event.
function quietly(handle, use) {
  const scope = scopes.get(handle);
  if (!scope) return undefined;
  try {
    return use(scope);
  } catch (error) {
    console.error("the canvas failed", error);
    return undefined;
  }
}

export const scopeSettings = (handle, settings) => quietly(handle, (scope) => scope.settings(settings));
export const scopeState = (handle) => quietly(handle, (scope) => scope.state()) ?? "";
export function destroyScope(handle) {
  quietly(handle, (scope) => scope.destroy());
  scopes.delete(handle);
}

// --- feeds and pages --------------------------------------------------------------------------------

// Kinds of the messages that are text (ui/types, feed.rs): the pages read these as well.
const TEXTS = { 2: "end", 3: "description", 4: "gap", 5: "annotation" };
const HEADER = 48;
const decoder = new TextDecoder();

function tell(bytes, onText) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + HEADER <= bytes.length; ) {
    const total = view.getUint32(at, true) + 4;
    const kind = TEXTS[view.getUint16(at + 4, true)];
    if (kind) onText(kind, decoder.decode(bytes.subarray(at + HEADER, at + total)));
    at += Math.max(total, HEADER);
  }
}

// Bytes as they come: text of base64 where they are few (src-tauri, feeds.rs), else as they are.
function bytesOf(message) {
  if (message instanceof Uint8Array) return message;
  if (typeof message === "string") {
    return Uint8Array.fromBase64?.(message) ?? Uint8Array.from(atob(message), (letter) => letter.charCodeAt(0));
  }
  return message instanceof ArrayBuffer ? new Uint8Array(message) : Uint8Array.from(message);
}

// Gives whole messages to `take`. Short ones come in pieces (src-tauri, feeds.rs), in order; each begins with
// its length.
function joined(take) {
  let held = new Uint8Array(0);
  return (message) => {
    let bytes = bytesOf(message);
    if (held.length > 0) {
      const both = new Uint8Array(held.length + bytes.length);
      both.set(held);
      both.set(bytes, held.length);
      bytes = both;
    }
    let whole = 0;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    while (whole + 4 <= bytes.length) {
      const end = whole + 4 + view.getUint32(whole, true);
      if (end > bytes.length) break;
      whole = end;
    }
    held = bytes.slice(whole);
    if (whole > 0) take(bytes.subarray(0, whole));
  };
}

export async function openFeed(handle, generation, request, onText) {
  const channel = new Channel();
  quietly(handle, (scope) => scope.begin_feed(generation));
  channel.onmessage = joined((bytes) => {
    quietly(handle, (scope) => scope.push(generation, bytes));
    tell(bytes, onText);
  });
  return asked("open_feed", { request: JSON.parse(request), channel });
}

export const closeFeed = (id) => asked("close_feed", { id });

export async function readPage(handle, request, onText) {
  const bytes = bytesOf(await asked("read_page", { request: JSON.parse(request) }));
  quietly(handle, (scope) => scope.show_page(bytes));
  tell(bytes, onText);
}

// --- the page ---------------------------------------------------------------------------------------

// When a key went down, ns since 1970 UTC: the event's own time, by the wall clock of now.
export function keyDownNs(event) {
  const ago = Math.max(0, performance.now() - event.timeStamp);
  return BigInt(Math.round((Date.now() - ago) * 1000)) * 1000n;
}

export const nowNs = () => BigInt(Math.round(Date.now() * 1000)) * 1000n;

// The policy of the window forbids style sheets within a document, also in the frame of the report. Its own
// is given to it as an object, which the policy allows, without loosening it.
export function styleReport(frame, style) {
  const sheet = new frame.contentWindow.CSSStyleSheet();
  sheet.replaceSync(style);
  frame.contentDocument.adoptedStyleSheets = [sheet];
}

export async function copyText(text) {
  await navigator.clipboard.writeText(text);
}

export function download(name, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

// The sound of a critical alert: two short tones, made here so that nothing has to be loaded.
let sound = null;
export function beep() {
  sound ??= new AudioContext();
  [0, 0.25].forEach((delay) => {
    const tone = sound.createOscillator();
    const level = sound.createGain();
    level.gain.value = 0.15;
    tone.frequency.value = 660;
    tone.connect(level).connect(sound.destination);
    tone.start(sound.currentTime + delay);
    tone.stop(sound.currentTime + delay + 0.15);
  });
}
