//! EDF and BDF files decoded plainly from the specification, sharing no code with the product.

use std::path::Path;

const NANOS_PER_S: i64 = 1_000_000_000;

/// An ordinary signal.
#[derive(Debug)]
pub(crate) struct Signal {
    pub(crate) label: String,
    pub(crate) per_record: usize,
    pub(crate) physical: [f64; 2],
    pub(crate) digital: [f64; 2],
    /// The file's integers, all whole records one after the other.
    pub(crate) values: Vec<i32>,
}

impl Signal {
    /// What a reader of the file computes from a count.
    pub(crate) fn physical_value(&self, count: i32) -> f64 {
        let gain = (self.physical[1] - self.physical[0]) / (self.digital[1] - self.digital[0]);
        self.physical[0] + (f64::from(count) - self.digital[0]) * gain
    }
}

/// What a file says.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) patient: String,
    pub(crate) recording: String,
    /// Start, ns after 1970 (its local time taken as UTC).
    pub(crate) start_ns: i64,
    pub(crate) record_ns: i64,
    pub(crate) records: usize,
    pub(crate) signals: Vec<Signal>,
    /// When each record begins, ns after the start.
    pub(crate) onsets: Vec<i64>,
    /// Onset (ns after the start), duration, text; in the file's order.
    pub(crate) annotations: Vec<(i64, Option<i64>, String)>,
}

impl Source {
    /// Breaks as (record before which it lies, ns from, ns until); anything below half a record is rounding.
    pub(crate) fn breaks(&self) -> Vec<(usize, i64, i64)> {
        (1..self.records)
            .map(|record| {
                (
                    record,
                    self.onsets[record - 1] + self.record_ns,
                    self.onsets[record],
                )
            })
            .filter(|(_, from, until)| (until - from).abs() > self.record_ns / 2)
            .collect()
    }

    /// The distinct numbers of samples a record, in order of appearance: one stream each.
    pub(crate) fn rates(&self) -> Vec<usize> {
        let mut rates = Vec::new();
        for signal in &self.signals {
            if !rates.contains(&signal.per_record) {
                rates.push(signal.per_record);
            }
        }
        rates
    }

    /// Samples of a signal with `per_record` that fit in `nanos`.
    pub(crate) fn samples_in(&self, nanos: i64, per_record: usize) -> u64 {
        let samples = i128::from(nanos) * per_record as i128;
        let whole = (samples + i128::from(self.record_ns) / 2) / i128::from(self.record_ns);
        u64::try_from(whole).expect("forward in time")
    }
}

/// Decodes the file at `path`: what it holds, be that nothing.
pub(crate) fn read(path: &Path) -> Source {
    let bytes = std::fs::read(path).unwrap();
    let bdf = bytes[0] == 0xFF;
    let width = if bdf { 3 } else { 2 };
    let text = |from: usize, len: usize| latin1(&bytes[from..from + len]);
    let count: usize = text(252, 4).parse().unwrap();
    let plus = ["EDF+", "BDF+"].contains(&text(192, 4).as_str());
    let mut at = 256;
    let mut column = |len: usize| -> Vec<String> {
        let found = (0..count).map(|n| text(at + n * len, len)).collect();
        at += count * len;
        found
    };
    let labels = column(16);
    let (_, _) = (column(80), column(8));
    let [pmin, pmax, dmin, dmax] = [(); 4].map(|()| column(8));
    column(80);
    let per: Vec<usize> = column(8).iter().map(|n| n.parse().unwrap()).collect();
    let head = 256 * (count + 1);
    let record_bytes = width * per.iter().sum::<usize>();
    let whole = (bytes.len() - head) / record_bytes;
    let stated = text(236, 8).parse::<i64>().unwrap();
    let records = usize::try_from(stated)
        .ok()
        .filter(|n| *n > 0)
        .unwrap_or(whole)
        .min(whole);

    let real = |text: &String| text.parse::<f64>().unwrap();
    let record_ns = nanos(&text(244, 8));
    let mut source = Source {
        patient: text(8, 80),
        recording: text(88, 80),
        start_ns: start(&text(168, 8), &text(176, 8)),
        record_ns,
        records,
        signals: Vec::new(),
        onsets: (0..records).map(|n| n as i64 * record_ns).collect(),
        annotations: Vec::new(),
    };
    let mut offset = 0;
    let mut keeps_time = true;
    for n in 0..count {
        let size = per[n] * width;
        let first = head + offset;
        let parts = (0..records).map(|record| &bytes[first + record * record_bytes..][..size]);
        offset += size;
        if plus && ["EDF Annotations", "BDF Annotations"].contains(&labels[n].as_str()) {
            for (record, part) in parts.enumerate() {
                source.take_annotations(record, part, keeps_time);
            }
            keeps_time = false;
            continue;
        }
        source.signals.push(Signal {
            label: labels[n].clone(),
            per_record: per[n],
            physical: [real(&pmin[n]), real(&pmax[n])],
            digital: [real(&dmin[n]), real(&dmax[n])],
            values: parts
                .flat_map(|part| part.chunks_exact(width))
                .map(integer)
                .collect(),
        });
    }
    source
}

impl Source {
    /// Lists of a record: '+onset[\x15duration]\x14text\x14…\x14\0'.
    fn take_annotations(&mut self, record: usize, part: &[u8], keeps_time: bool) {
        let lists = part
            .split(|byte| *byte == 0)
            .filter(|list| !list.is_empty());
        for (position, list) in lists.enumerate() {
            let list = std::str::from_utf8(list).unwrap();
            let mut fields = list.split('\x14');
            let times = fields.next().unwrap();
            let (onset, duration) = match times.split_once('\x15') {
                Some((onset, duration)) => (nanos(onset), Some(nanos(duration))),
                None => (nanos(times), None),
            };
            if keeps_time && position == 0 {
                self.onsets[record] = onset;
            }
            for text in fields.filter(|text| !text.is_empty()) {
                self.annotations.push((onset, duration, text.to_owned()));
            }
        }
    }
}

fn latin1(bytes: &[u8]) -> String {
    let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    text.trim_matches([' ', '\0']).to_owned()
}

/// Little-endian two's complement of two or three bytes.
fn integer(bytes: &[u8]) -> i32 {
    match bytes {
        [low, high] => i32::from(i16::from_le_bytes([*low, *high])),
        [low, middle, high] => {
            let value = i32::from(*low) | i32::from(*middle) << 8 | i32::from(*high) << 16;
            if value >= 1 << 23 {
                value - (1 << 24)
            } else {
                value
            }
        }
        _ => unreachable!("samples of two or three bytes"),
    }
}

/// Decimal seconds as nanoseconds, further digits cut off.
fn nanos(text: &str) -> i64 {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.trim_start_matches('+')),
    };
    let (whole, rest) = digits.split_once('.').unwrap_or((digits, ""));
    let rest: String = rest.chars().chain("000000000".chars()).take(9).collect();
    sign * (whole.parse::<i64>().unwrap() * NANOS_PER_S + rest.parse::<i64>().unwrap())
}

/// dd.mm.yy and hh.mm.ss, counted day by day from 1970.
fn start(date: &str, time: &str) -> i64 {
    let three = |text: &str| -> Vec<i64> {
        text.split(|c: char| !c.is_ascii_digit())
            .map(|n| n.parse().unwrap())
            .collect()
    };
    let (date, time) = (three(date), three(time));
    let year = if date[2] >= 85 {
        1900 + date[2]
    } else {
        2000 + date[2]
    };
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let february = if leap(year) { 29 } else { 28 };
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let before: i64 = (1970..year)
        .map(|year| if leap(year) { 366 } else { 365 })
        .sum();
    let within: i64 = months[..usize::try_from(date[1] - 1).unwrap()].iter().sum();
    let days = before + within + date[0] - 1;
    (days * 86_400 + time[0] * 3_600 + time[1] * 60 + time[2]) * NANOS_PER_S
}
