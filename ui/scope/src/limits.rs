//! Every limit and default of the canvas, with its unit and where it comes from.

/// Rows a view may have in all; the feed carries as many in one message.
pub(crate) const MAX_ROWS: usize = 4_096;

/// Streams a view may have. A session has a handful.
pub(crate) const MAX_STREAMS: usize = 16;

/// Values kept of one stream, rows × columns: 256 rows × 8,192 columns (two pages of a wide screen), 16 MiB.
pub(crate) const MAX_KEPT_VALUES: usize = 256 * 8_192;

/// Pages of a live stream that are kept: the one shown, and one more so that a frozen or slower page
/// loses nothing while the next message comes.
pub(crate) const KEPT_PAGES: f64 = 2.0;

/// How near a column's length must be to the period of a sample to be one, as a part of it.
pub(crate) const SINGLE_SAMPLE: f64 = 0.01;

/// Fewest columns kept of a stream, whatever its messages say of their length.
pub(crate) const MIN_KEPT_COLUMNS: usize = 256;

/// Gaps and annotations kept in a view: ten a minute over a day, and some.
pub(crate) const MAX_MARKS: usize = 20_000;

/// Messages to the page that wait to be taken; the oldest is dropped. The page takes them after each frame.
pub(crate) const MAX_EVENTS: usize = 64;

/// Silence after which a new view is shown although it has not caught up with the old one, s.
pub(crate) const SWITCH_AFTER_S: f64 = 0.5;

/// Silence after the history of a new view that tells that all of it has come, s.
pub(crate) const BREATH_S: f64 = 0.03;

/// How far a new view may lag behind the old one and be whole all the same, ns: one message of the feed.
pub(crate) const CAUGHT_UP_NS: i64 = 250_000_000;

/// Silence of a live feed after which the canvas says so, s.
pub(crate) const SILENT_AFTER_S: f64 = 2.0;

/// Shortest time between two frames of live data, s: 30 a second follow a hand, and spare a shared processor.
pub(crate) const LIVE_FRAME_S: f64 = 1.0 / 30.0;

/// Areas of a frame that are painted each by itself, and the part of the canvas up to which that is worth it:
/// above, the whole is painted, which takes hardly longer.
#[cfg(any(target_arch = "wasm32", test))]
pub(crate) const MAX_DAMAGES: usize = 8;
/// See [`MAX_DAMAGES`].
#[cfg(any(target_arch = "wasm32", test))]
pub(crate) const WHOLE_PART: f32 = 0.6;

/// Band left blank ahead of the write position of a sweep, as a part of the page, and at least in CSS pixels.
pub(crate) const SWEEP_BLANK_PART: f64 = 0.015;
pub(crate) const SWEEP_BLANK_PT: f64 = 12.0;

/// Sensitivity taken, µV/mm; the program offers 1 to 1,000.
pub(crate) const SENSITIVITY_UV_MM: std::ops::RangeInclusive<f64> = 0.01..=100_000.0;

/// Time base taken, s/page; the program offers 5 to 60, a zoomed page goes further.
pub(crate) const PAGE_S: std::ops::RangeInclusive<f64> = 0.1..=86_400.0;

/// Time base that a pinch may ask for, s/page.
pub(crate) const ZOOM_PAGE_S: std::ops::RangeInclusive<f64> = 1.0..=300.0;

/// Offset of a clock from UTC, minutes: UTC−12 to UTC+14, and some.
pub(crate) const ZONE_MIN: std::ops::RangeInclusive<i32> = -1_080..=1_080;

/// CSS pixels a millimetre taken: 25 to 1,270 dots an inch.
pub(crate) const PX_PER_MM: std::ops::RangeInclusive<f64> = 1.0..=50.0;

/// Sensitivity of ECG, µV/mm: the 10 mm/mV that ECG is read at everywhere. Said beside the row's label.
pub(crate) const ECG_UV_MM: f64 = 100.0;

/// Height of a row of ECG as a multiple of the others': its waves are as high as that.
pub(crate) const ECG_ROW_HEIGHTS: f64 = 2.5;

/// Part of its height that a row of another unit fills.
pub(crate) const FIT_PART: f64 = 0.8;

/// A fitted row is drawn larger again when it fills less than this of its range.
pub(crate) const FIT_SHRINK: f64 = 0.4;

/// Two values of a row are joined when they lie no further apart than so many columns or samples.
pub(crate) const JOINED_STEPS: f64 = 1.6;

/// Width of a trace, CSS pixels; never thinner than a physical pixel.
pub(crate) const TRACE_PT: f64 = 1.1;

/// Physical pixels a side of the traces may have; graphics of 2014 hold as much in one texture.
pub(crate) const MAX_SIDE_PX: usize = 8_192;

/// Column of labels at the left, CSS pixels. Of a fixed width: the traces must not change theirs with the
/// montage, or every switch would ask for other data.
pub(crate) const GUTTER_PT: f32 = 104.0;
pub(crate) const RIGHT_PT: f32 = 8.0;
pub(crate) const AXIS_PT: f32 = 22.0;
/// Strip of the annotations' flags at the top, CSS pixels: two lanes.
pub(crate) const FLAGS_PT: f32 = 40.0;
pub(crate) const FLAG_LANE_PT: f32 = 20.0;
pub(crate) const FLAG_LANES: usize = 2;

/// Characters of a flag and of a label.
pub(crate) const FLAG_CHARS: usize = 28;
pub(crate) const LABEL_CHARS: usize = 16;

/// Space between chains, in heights of a row.
pub(crate) const CHAIN_SPACE: f64 = 0.6;

/// Distance at which an annotation is hit, CSS pixels.
pub(crate) const HIT_PT: f32 = 5.0;

/// Part of a page that a notch of the wheel (100 CSS pixels) scrolls.
pub(crate) const WHEEL_PAGE_PART: f64 = 0.1;
pub(crate) const WHEEL_NOTCH_PT: f64 = 100.0;

/// A line of the wheel where the browser counts lines: three of them are a notch.
#[cfg(target_arch = "wasm32")]
pub(crate) const WHEEL_LINE_PT: f64 = 33.0;

/// How often a canvas that paints nothing looks whether it should, ms.
#[cfg(target_arch = "wasm32")]
pub(crate) const TICK_MS: i32 = 1_000;

/// Amplitudes of the scale bar, µV, the preferred one first.
pub(crate) const BAR_UV: &[f64] = &[
    50.0, 20.0, 100.0, 10.0, 200.0, 5.0, 500.0, 2.0, 1_000.0, 1.0, 2_000.0, 5_000.0, 10_000.0, 0.5,
    0.2, 0.1,
];
/// Heights and widths of the scale bar, CSS pixels, that can be read and are not in the way.
pub(crate) const BAR_HEIGHT_PT: std::ops::RangeInclusive<f64> = 16.0..=110.0;
pub(crate) const BAR_WIDTH_PT: std::ops::RangeInclusive<f64> = 24.0..=260.0;
/// Times of the scale bar, s, the preferred one first.
pub(crate) const BAR_S: &[f64] = &[1.0, 0.5, 5.0, 0.2, 0.1, 10.0, 30.0, 60.0, 300.0, 3_600.0];

// The band of a sweep stays a small part of the page, and a page fits what is kept.
const _: () = assert!(SWEEP_BLANK_PART < 0.05 && KEPT_PAGES >= 2.0);
