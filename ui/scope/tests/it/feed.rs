//! Messages as the engine sends them.

use ui_types::feed::{Envelope, Message};
use ui_types::{GapMark, RowView, StreamRows, ViewDescription};

/// A round minute, so that pages and seconds are easily told.
pub(crate) const BEGIN: i64 = 1_700_000_040_000_000_000;
pub(crate) const SECOND: i64 = 1_000_000_000;

pub(crate) fn row(label: &str, chain: &str, colour: &str) -> RowView {
    RowView {
        label: label.to_owned(),
        chain: chain.to_owned(),
        colour: colour.to_owned(),
        kind: if colour == "ecg" { "ecg" } else { "eeg" }.to_owned(),
        unit: "uV".to_owned(),
        inputs: label.split('-').map(str::to_owned).collect(),
        blank: None,
    }
}

pub(crate) fn description(rows: Vec<RowView>) -> ViewDescription {
    ViewDescription {
        montage: "test".to_owned(),
        montage_title: "Test montage".to_owned(),
        provenance: "live".to_owned(),
        begin_utc_ns: BEGIN,
        streams: vec![StreamRows {
            stream: 0,
            name: "EEG".to_owned(),
            rate_hz: 500.0,
            rows,
        }],
        ..ViewDescription::default()
    }
}

/// Envelopes of a signal given by row and time in seconds from the begin, each column of as many samples
/// as 500 Hz give; NaN where the signal is.
pub(crate) fn envelope(
    rows: usize,
    column_ns: f64,
    columns: std::ops::Range<u64>,
    history: bool,
    signal: &dyn Fn(usize, f64) -> f32,
) -> Message {
    let count = columns.end - columns.start;
    let begin_ns = |column: u64| column as f64 * column_ns;
    let mut values = Vec::new();
    for row in 0..rows {
        for column in columns.clone() {
            // Samples at whole 2 ms, each in the column that its time falls into.
            let sample = |at_ns: f64| (at_ns / 2e6 - 1e-6).ceil() as u64;
            let (mut low, mut high) = (f32::NAN, f32::NAN);
            for number in sample(begin_ns(column))..sample(begin_ns(column + 1)) {
                let value = signal(row, number as f64 / 500.0);
                low = low.min(value);
                high = high.max(value);
            }
            values.extend([low, high]);
        }
    }
    Message::Envelope(Envelope {
        stream: 0,
        rows: rows as u32,
        columns: count as u32,
        first_column: columns.start,
        time_utc_ns: BEGIN + begin_ns(columns.start) as i64,
        column_ns,
        dropped: 0,
        history,
        values,
    })
}

pub(crate) fn gap(from_s: f64, duration_s: Option<f64>) -> Message {
    Message::Gap(GapMark {
        stream: 0,
        from_utc_ns: BEGIN + (from_s * 1e9) as i64,
        duration_ns: duration_s.map(|duration| (duration * 1e9) as i64),
        missing: "500".to_owned(),
        ambiguous: false,
        cause: "lost on the way".to_owned(),
    })
}

/// The same columns as another stream's.
pub(crate) fn of_stream(message: Message, stream: u16) -> Message {
    match message {
        Message::Envelope(envelope) => Message::Envelope(Envelope { stream, ..envelope }),
        other => other,
    }
}

pub(crate) fn bytes(messages: &[Message]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for message in messages {
        message.encode(&mut bytes);
    }
    bytes
}
