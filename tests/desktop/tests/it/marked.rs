//! One marked sample of a real recording, played in the window: the pixel column that it stands in, how many
//! millimetres high, and what a marquee over it measures; on screens of one and of two pixels a CSS pixel,
//! before and after a gap.

use desktop_tests::{Bedside, PATIENCE, Person, Window, css};
use end_to_end::recordings;
use serde_json::json;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

const PASSWORD: &str = "correct horse battery staple";

/// EDF+D of one signal, Fp1 at 128 Hz, physical minimum above the maximum, gaps of 60 s and 120 s.
const SOURCE: &str = "edge/discontinuous_derived.edf";
/// The excerpt: 10 records of 1 s before its first gap, and 30 after it.
const RECORDS: Range<usize> = 110..150;
const BEFORE_GAP: usize = 10;
const GAP_S: usize = 60;
const RATE_HZ: usize = 128;
/// Header of two signals; a record of 128 samples and 20 words of annotations.
const HEADER_BYTES: usize = 3 * 256;
const RECORD_BYTES: usize = 2 * (RATE_HZ + 20);
/// Begin of the first record after the file's start, as the source has it.
const FIRST_ONSET_NS: i64 = 394_531_200;
/// 2020-01-24 04:05:56, the file's start taken as UTC.
const START_NS: i64 = 1_579_838_756_000_000_000;

/// The count in place of the sample's own: of an inverting file, a negative spike.
const COUNT: i16 = 1_000;
const SECOND_NS: i64 = 1_000_000_000;
const PAGE_S: f64 = 10.0;
const SENSITIVITY_UV_MM: f64 = 7.0;
const PX_PER_MM: f64 = 4.25;
/// Colour of a left electrode's trace in the dark theme.
const TRACE: [u8; 3] = [0x6c, 0xae, 0xf7];

/// A sample that is marked: record of the excerpt, sample within it.
#[derive(Debug, Clone, Copy)]
struct Marked {
    record: usize,
    sample: usize,
}

const BEFORE: Marked = Marked {
    record: 6,
    sample: 41,
};
const AFTER: Marked = Marked {
    record: BEFORE_GAP + 6,
    sample: 90,
};

impl Marked {
    fn utc_ns(self) -> i64 {
        begin_ns(self.record) + (self.sample as i64) * SECOND_NS / RATE_HZ as i64
    }
}

/// When a record of the excerpt begins.
fn begin_ns(record: usize) -> i64 {
    let gap_s = if record < BEFORE_GAP { 0 } else { GAP_S };
    START_NS + FIRST_ONSET_NS + (record + gap_s) as i64 * SECOND_NS
}

/// The spike's value by the file's header: 8711 at count −32768 and −8711 at 32767.
fn value_uv() -> f64 {
    8_711.0 + (f64::from(COUNT) + 32_768.0) * (-8_711.0 - 8_711.0) / 65_535.0
}

/// The excerpt with its two marked samples.
fn excerpt(source: &[u8]) -> Vec<u8> {
    let mut file = source[..HEADER_BYTES].to_vec();
    file[236..244].copy_from_slice(format!("{:<8}", RECORDS.len()).as_bytes());
    for (record, from) in RECORDS.enumerate() {
        let from = HEADER_BYTES + from * RECORD_BYTES;
        let mut bytes = source[from..from + 2 * RATE_HZ].to_vec();
        for marked in [BEFORE, AFTER] {
            if marked.record == record {
                bytes[2 * marked.sample..][..2].copy_from_slice(&COUNT.to_le_bytes());
            }
        }
        let since_start = begin_ns(record) - START_NS;
        let onset = format!(
            "+{}.{:07}\u{14}\u{14}",
            since_start / SECOND_NS,
            since_start % SECOND_NS / 100
        );
        bytes.extend(onset.as_bytes());
        bytes.resize(RECORD_BYTES, 0);
        file.extend(bytes);
    }
    file
}

/// The canvas as it lies on the screen.
struct Seen {
    /// Screen pixels a CSS pixel.
    density: f64,
    /// Left edge and width of the traces, screen pixels.
    left: usize,
    width: usize,
    /// Zero line of the row, CSS pixels from the canvas's top.
    base: f64,
    /// Begin of the page by the canvas's own words.
    from_ns: i64,
    /// The canvas's corner on the page, CSS pixels.
    corner: [f64; 2],
    /// Where the spike was found: its column among the traces' columns, and its tip, screen pixels.
    column: usize,
    tip: usize,
}

fn number(person: Person<'_>, id: &str, name: &str) -> f64 {
    let text = person.attribute(id, name);
    text.parse()
        .unwrap_or_else(|_| panic!("{name} of {id} is {text:?}"))
}

/// Looks at the canvas for the highest point of the trace, once neither it nor the words beside it change:
/// those follow each second.
fn look(person: Person<'_>, picture: &Path) -> Seen {
    let page = person.page;
    let mut before = String::new();
    person.waits(PATIENCE, "the canvas stands still", || {
        std::thread::sleep(Duration::from_millis(1_200));
        let frames = person.attribute("scope-twin", "data-frames");
        std::mem::replace(&mut before, frames.clone()) == frames
    });
    let density = page
        .run("return devicePixelRatio", json!([]))
        .as_f64()
        .expect("a density");
    let corner = page.run(
        "const at = document.querySelector(arguments[0]).getBoundingClientRect(); return [at.left, at.top]",
        json!([css("scope")]),
    );
    let row = page.run(
        "const row = document.querySelector(arguments[0] + ' tr[data-row=Fp1]');
         return [row.dataset.y, row.dataset.up]",
        json!([css("scope-twin")]),
    );
    assert_eq!(row[1], "negative", "EEG is drawn negative up");
    let canvas = page.canvas(&css("scope"));
    canvas.save(picture);
    let px = |css_px: f64| (css_px * density).round() as usize;
    let left = px(number(person, "scope-twin", "data-left"));
    let width = px(number(person, "scope-twin", "data-width"));
    let is_trace = |x: usize, y: usize| {
        let apart = canvas
            .at(left + x, y)
            .into_iter()
            .zip(TRACE)
            .map(|(found, wanted)| u32::from(found.abs_diff(wanted)));
        apart.sum::<u32>() < 60
    };
    let top = |x: usize| (0..canvas.height).find(|y| is_trace(x, *y));
    let tops: Vec<_> = (0..width).map(top).collect();
    let tip = tops.iter().flatten().min().copied().expect("a trace");
    let column = tops
        .iter()
        .position(|top| top.is_some_and(|top| top <= tip + 1));
    Seen {
        density,
        left,
        width,
        base: row[0]
            .as_str()
            .and_then(|text| text.parse().ok())
            .expect("a row"),
        from_ns: person
            .attribute("scope-twin", "data-from-ns")
            .parse()
            .expect("a time"),
        corner: [
            corner[0].as_f64().expect("left"),
            corner[1].as_f64().expect("top"),
        ],
        column: column.expect("the tip's column"),
        tip,
    }
}

impl Seen {
    /// Screen pixels that a moment of the page lies from its left edge.
    fn place(&self, utc_ns: i64) -> f64 {
        (utc_ns - self.from_ns) as f64 / 1e9 / PAGE_S * self.width as f64
    }

    /// The spike is as many true millimetres high as it has microvolts, and points up.
    fn is_true_to_size(&self) {
        let found_px = self.base * self.density - self.tip as f64;
        let wanted_px = -value_uv() / SENSITIVITY_UV_MM * PX_PER_MM * self.density;
        // The base is told to a tenth of a CSS pixel; half the line's width stands above the value.
        let most = (0.1 + 0.55) * self.density + 1.0;
        assert!(
            (found_px - wanted_px).abs() <= most,
            "{found_px} px high, not {wanted_px}"
        );
    }

    /// A marquee drawn over the spike with the mouse has its value and its time.
    fn measures(&self, person: Person<'_>, marked: Marked) {
        let css_x = self.corner[0] + (self.left + self.column) as f64 / self.density;
        let y = self.corner[1] + self.base;
        let at = |x: f64, y: f64| (x.round() as i64, y.round() as i64);
        assert!(
            !person.sees("measurement"),
            "a frame of another page stands here"
        );
        person
            .page
            .drag(at(css_x - 20.0, y), at(css_x + 20.0, y + 30.0));
        person.waits(PATIENCE, "the marquee's figures", || {
            person.sees("measurement")
        });
        let least = number(person, "measurement", "data-min");
        assert!(
            (least / value_uv() - 1.0).abs() < 1e-6,
            "{least} µV, not {}",
            value_uv()
        );
        assert!(
            number(person, "measurement", "data-max") < 100.0,
            "nothing else is marked"
        );
        assert_eq!(person.attribute("measurement", "data-unit"), "µV");
        let from: i64 = person
            .attribute("measurement", "data-from-ns")
            .parse()
            .expect("a time");
        let length_s = number(person, "measurement", "data-duration");
        let into_s = (marked.utc_ns() - from) as f64 / 1e9;
        assert!(
            (0.0..length_s).contains(&into_s),
            "{into_s} s into {length_s} s"
        );
        let wanted_s = 40.0 * self.density / self.width as f64 * PAGE_S;
        let pixel_s = PAGE_S / self.width as f64;
        assert!(
            (length_s - wanted_s).abs() <= 2.0 * self.density * pixel_s,
            "{length_s} s, not {wanted_s}"
        );
    }

    /// The spike stands in the very column that its time has on this page.
    fn stands_where_it_belongs(&self, marked: Marked, page_from_ns: i64) {
        // Where samples are fewer than pixels, a page begins with the sample that is nearest.
        let sample_ns = SECOND_NS / RATE_HZ as i64;
        assert!(
            (self.from_ns - page_from_ns).abs() <= sample_ns / 2 + 1,
            "{} and {page_from_ns}",
            self.from_ns
        );
        let place = self.place(marked.utc_ns());
        assert!(
            (0.02..0.98).contains(&place.fract()),
            "{place}: the test marks a sample between two columns"
        );
        assert_eq!(
            self.column,
            place.floor() as usize,
            "{place} of {}",
            self.width
        );
    }
}

fn at_work(bedside: &Bedside) -> Window {
    let window = bedside.open();
    let ada = Person { page: &window.page };
    ada.makes_first_administrator("ada", PASSWORD);
    // A ruler is held to the screen.
    ada.press("nav-5");
    ada.press("settings-screen");
    ada.find("ruler");
    window.page.run(
        "const bar = document.querySelector(arguments[0]); bar.value = arguments[1];
         bar.dispatchEvent(new Event('input', { bubbles: true }))",
        json!([css("ruler"), PX_PER_MM.to_string()]),
    );
    ada.press("ruler-save");
    ada.waits(PATIENCE, "the ruler is kept", || {
        let screen = window.page.invoke("screen", &json!({}));
        screen.is_ok_and(|screen| screen["px_per_mm"] == PX_PER_MM && screen["calibrated"] == true)
    });
    window
}

fn played(scale: u32) {
    let Some(folder) = recordings() else { return };
    let source = std::fs::read(folder.join(SOURCE)).expect("the recording");
    let bedside = Bedside::with_screen(
        1_440 * scale,
        900 * scale,
        &[("GDK_SCALE", &scale.to_string())],
    );
    let file = bedside.station.path().join("marked.edf");
    std::fs::write(&file, excerpt(&source)).expect("the excerpt");
    let window = at_work(&bedside);
    let ada = Person { page: &window.page };
    let pictures =
        |name: &str| desktop_tests::screenshots().join(format!("marked-{name}-{scale}x.png"));

    // Played at its own speed, watched live.
    let device = format!("playback:{}", file.display());
    bedside.station.ok(&[
        "session",
        "start",
        "--training",
        "--now",
        "--device",
        &device,
        "--duration",
        "unlimited",
    ]);
    ada.press("nav-1");
    ada.sees_traces();
    ada.find("lff");
    ada.choose("lff", "off");
    ada.choose("hff", "off");
    let newest = || {
        ada.attribute("scope-twin", "data-newest-ns")
            .parse::<i64>()
            .unwrap_or_default()
    };
    ada.waits(PATIENCE, "the sample after the gap", || {
        newest() > AFTER.utc_ns() + SECOND_NS
    });
    ada.press("freeze");
    let seen = look(ada, &pictures("live"));
    assert!(
        newest() < AFTER.utc_ns() + 9 * SECOND_NS,
        "frozen too late: the sweep has come round"
    );
    assert!(
        (seen.density - f64::from(scale)).abs() < 1e-9,
        "{} pixels a CSS pixel",
        seen.density
    );
    seen.is_true_to_size();
    // A sweep's pages begin at whole pages of the clock, to a pixel.
    let page_ns = (PAGE_S * 1e9) as i64;
    let place = AFTER.utc_ns().rem_euclid(page_ns) as f64 / page_ns as f64 * seen.width as f64;
    assert!(
        (seen.column as f64 - place).abs() <= 1.5,
        "{} and {place}",
        seen.column
    );
    seen.measures(ada, AFTER);

    // And read again.
    ada.waits(PATIENCE * 2, "the file ends", || ada.sees("open-review"));
    ada.press("open-review");
    ada.sees_traces();
    let shows = |from_ns: i64| {
        ada.waits(PATIENCE, "the page", || {
            let from = ada.attribute("scope-twin", "data-from-ns").parse::<i64>();
            from.is_ok_and(|from| (from - from_ns).abs() < SECOND_NS / 2)
        });
    };
    let begin = begin_ns(0);
    ada.press("to-begin");
    shows(begin);
    let seen = look(ada, &pictures("before-gap"));
    seen.is_true_to_size();
    seen.stands_where_it_belongs(BEFORE, begin);
    seen.measures(ada, BEFORE);

    // The page that begins 2 s before the gap ends.
    for _ in 0..7 {
        ada.press("page-on");
    }
    shows(begin + 70 * SECOND_NS);
    for _ in 0..2 {
        window.page.chord("\u{e008}", "\u{e012}"); // Shift and the arrow to the left
    }
    let from = begin + 68 * SECOND_NS;
    shows(from);
    let seen = look(ada, &pictures("after-gap"));
    seen.is_true_to_size();
    seen.stands_where_it_belongs(AFTER, from);
    seen.measures(ada, AFTER);
}

#[test]
fn a_marked_sample_stands_in_its_pixel_column_and_measures_its_value() {
    played(1);
}

#[test]
fn a_marked_sample_stands_in_its_pixel_column_on_a_dense_screen() {
    played(2);
}
