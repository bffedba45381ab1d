//! A small reader of EDF+ and BDF+, written from the specification and sharing no code with the
//! writer.

use std::path::Path;

#[derive(Debug)]
pub(crate) struct File {
    pub(crate) bdf: bool,
    pub(crate) patient: String,
    pub(crate) recording: String,
    pub(crate) date: String,
    pub(crate) time: String,
    pub(crate) reserved: String,
    pub(crate) record_s: f64,
    pub(crate) signals: Vec<Signal>,
    /// Onset of each record, s.
    pub(crate) onsets: Vec<f64>,
    /// Onset, duration, text.
    pub(crate) annotations: Vec<(f64, Option<f64>, String)>,
}

#[derive(Debug)]
pub(crate) struct Signal {
    pub(crate) label: String,
    pub(crate) transducer: String,
    pub(crate) unit: String,
    pub(crate) physical: [f64; 2],
    pub(crate) digital: [i32; 2],
    pub(crate) prefilter: String,
    pub(crate) per_record: usize,
    pub(crate) samples: Vec<i32>,
}

impl Signal {
    pub(crate) fn physical_value(&self, digital: i32) -> f64 {
        let gain =
            (self.physical[1] - self.physical[0]) / f64::from(self.digital[1] - self.digital[0]);
        self.physical[0] + (f64::from(digital) - f64::from(self.digital[0])) * gain
    }
}

pub(crate) fn read(path: &Path) -> File {
    let bytes = std::fs::read(path).unwrap();
    let bdf = bytes[0] == 0xFF;
    if bdf {
        assert_eq!(&bytes[1..8], b"BIOSEMI");
    } else {
        assert_eq!(&bytes[..8], b"0       ");
    }
    assert!(
        bytes[8..256].iter().all(|b| (32..127).contains(b)),
        "header is not ASCII"
    );
    let text = |from: usize, len: usize| {
        std::str::from_utf8(&bytes[from..from + len])
            .unwrap()
            .trim_end()
            .to_owned()
    };
    let count: usize = text(252, 4).parse().unwrap();
    assert_eq!(text(184, 8).parse::<usize>().unwrap(), 256 * (count + 1));
    let records: usize = text(236, 8).parse().unwrap();
    let mut at = 256;
    let mut column = |width: usize| -> Vec<String> {
        let found = (0..count).map(|n| text(at + n * width, width)).collect();
        at += count * width;
        found
    };
    let labels = column(16);
    let transducers = column(80);
    let units = column(8);
    let [pmin, pmax, dmin, dmax] = [(); 4].map(|()| column(8));
    let prefilters = column(80);
    let per = column(8);
    column(32);
    let mut signals: Vec<Signal> = (0..count)
        .map(|n| Signal {
            label: labels[n].clone(),
            transducer: transducers[n].clone(),
            unit: units[n].clone(),
            physical: [pmin[n].parse().unwrap(), pmax[n].parse().unwrap()],
            digital: [dmin[n].parse().unwrap(), dmax[n].parse().unwrap()],
            prefilter: prefilters[n].clone(),
            per_record: per[n].parse().unwrap(),
            samples: Vec::new(),
        })
        .collect();
    let width = if bdf { 3 } else { 2 };
    let record_bytes: usize = signals.iter().map(|s| s.per_record * width).sum();
    assert_eq!(
        bytes.len(),
        256 * (count + 1) + records * record_bytes,
        "file length"
    );
    let mut onsets = Vec::new();
    let mut annotations = Vec::new();
    let mut at = 256 * (count + 1);
    for _ in 0..records {
        for signal in &mut signals {
            let raw = &bytes[at..at + signal.per_record * width];
            at += raw.len();
            if signal.label.ends_with(" Annotations") {
                lists(raw, &mut onsets, &mut annotations);
            } else if bdf {
                signal.samples.extend(
                    raw.chunks(3)
                        .map(|b| i32::from_le_bytes([0, b[0], b[1], b[2]]) >> 8),
                );
            } else {
                let values = raw
                    .chunks(2)
                    .map(|b| i32::from(i16::from_le_bytes([b[0], b[1]])));
                signal.samples.extend(values);
            }
        }
    }
    assert_eq!(onsets.len(), records);
    let last = signals.pop().unwrap();
    assert_eq!(
        last.label,
        if bdf {
            "BDF Annotations"
        } else {
            "EDF Annotations"
        }
    );
    File {
        bdf,
        patient: text(8, 80),
        recording: text(88, 80),
        date: text(168, 8),
        time: text(176, 8),
        reserved: text(192, 44),
        record_s: text(244, 8).parse().unwrap(),
        signals,
        onsets,
        annotations,
    }
}

fn lists(raw: &[u8], onsets: &mut Vec<f64>, annotations: &mut Vec<(f64, Option<f64>, String)>) {
    let mut first = true;
    for list in raw.split(|b| *b == 0).filter(|list| !list.is_empty()) {
        let list = std::str::from_utf8(list).unwrap();
        let list = list.strip_suffix('\u{14}').expect("a list ends in 20");
        let (head, texts) = list.split_once('\u{14}').expect("a list has texts");
        let (onset, duration) = match head.split_once('\u{15}') {
            Some((onset, duration)) => (onset, Some(duration.parse().unwrap())),
            None => (head, None),
        };
        assert!(onset.starts_with(['+', '-']));
        let onset: f64 = onset.parse().unwrap();
        if first {
            assert_eq!(texts, "", "a record starts with its time");
            onsets.push(onset);
            first = false;
        } else {
            annotations.push((onset, duration, texts.to_owned()));
        }
    }
}
