//! A small writer of EDF and BDF files, for tests alone.

use std::fmt::Write as _;

#[derive(Debug, Clone)]
pub(crate) struct Signal {
    pub(crate) label: String,
    pub(crate) unit: Vec<u8>,
    pub(crate) physical: (String, String),
    pub(crate) digital: (String, String),
    pub(crate) samples: usize,
}

impl Signal {
    pub(crate) fn new(label: &str, samples: usize) -> Self {
        Self {
            label: label.into(),
            unit: b"uV".to_vec(),
            physical: ("-3276.8".into(), "3276.7".into()),
            digital: ("-32768".into(), "32767".into()),
            samples,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Spec {
    pub(crate) bdf: bool,
    pub(crate) reserved: String,
    pub(crate) count: String,
    pub(crate) duration: String,
    pub(crate) signals: Vec<Signal>,
    /// Records × signals × samples.
    pub(crate) records: Vec<Vec<Vec<i32>>>,
    /// Bytes of the annotation signal, one a record; none when empty.
    pub(crate) annotations: Vec<Vec<u8>>,
}

impl Spec {
    /// Records counted up from 0 in every signal, wrapping within 16 bits.
    pub(crate) fn counting(signals: Vec<Signal>, records: usize) -> Self {
        let value = |signal: usize, n: usize| ((n * 3 + signal * 1_000) % 30_000) as i32 - 10_000;
        Self {
            bdf: false,
            reserved: String::new(),
            count: records.to_string(),
            duration: "1".into(),
            records: (0..records)
                .map(|record| {
                    (signals.iter().enumerate())
                        .map(|(index, signal)| {
                            let first = record * signal.samples;
                            (0..signal.samples)
                                .map(|i| value(index, first + i))
                                .collect()
                        })
                        .collect()
                })
                .collect(),
            signals,
            annotations: Vec::new(),
        }
    }

    /// Makes it a plus file with these annotation bytes a record.
    pub(crate) fn with_annotations(mut self, reserved: &str, lists: &[&str]) -> Self {
        self.reserved = reserved.into();
        self.annotations = lists.iter().map(|text| text.as_bytes().to_vec()).collect();
        self
    }

    fn width(&self) -> usize {
        if self.bdf { 3 } else { 2 }
    }

    /// Bytes of the annotation signal in each record.
    fn annotation_bytes(&self) -> usize {
        let longest = self.annotations.iter().map(Vec::len).max().unwrap_or(0);
        longest.div_ceil(self.width()) * self.width()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut signals = self.signals.clone();
        if !self.annotations.is_empty() {
            let label = if self.bdf {
                "BDF Annotations"
            } else {
                "EDF Annotations"
            };
            signals.push(Signal {
                physical: ("-1".into(), "1".into()),
                unit: Vec::new(),
                ..Signal::new(label, self.annotation_bytes() / self.width())
            });
        }
        let mut bytes = self.header(&signals);
        for (record, samples) in self.records.iter().enumerate() {
            for value in samples.iter().flatten() {
                bytes.extend_from_slice(&value.to_le_bytes()[..self.width()]);
            }
            if let Some(list) = self.annotations.get(record) {
                let end = bytes.len() + self.annotation_bytes();
                bytes.extend_from_slice(list);
                bytes.resize(end, 0);
            }
        }
        bytes
    }

    fn header(&self, signals: &[Signal]) -> Vec<u8> {
        let mut head = String::new();
        let date = "02.03.2404.05.06";
        let len = 256 * (signals.len() + 1);
        let (patient, recording) = ("Test^Patient", "Startdate 02-MAR-2024 X X X");
        write!(
            head,
            "{patient:<80}{recording:<80}{date}{len:<8}{:<44}{:<8}{:<8}{:<4}",
            self.reserved,
            self.count,
            self.duration,
            signals.len()
        )
        .unwrap();
        let mut bytes = if self.bdf {
            b"\xffBIOSEMI".to_vec()
        } else {
            b"0       ".to_vec()
        };
        bytes.extend_from_slice(head.as_bytes());
        assert_eq!(bytes.len(), 256);
        let mut fields = |width: usize, field: &dyn Fn(&Signal) -> Vec<u8>| {
            for signal in signals {
                let mut text = field(signal);
                assert!(text.len() <= width, "{text:?}");
                text.resize(width, b' ');
                bytes.extend_from_slice(&text);
            }
        };
        fields(16, &|s| s.label.clone().into_bytes());
        fields(80, &|_| Vec::new());
        fields(8, &|s| s.unit.clone());
        fields(8, &|s| s.physical.0.clone().into_bytes());
        fields(8, &|s| s.physical.1.clone().into_bytes());
        fields(8, &|s| s.digital.0.clone().into_bytes());
        fields(8, &|s| s.digital.1.clone().into_bytes());
        fields(80, &|_| b"HP:0.1Hz LP:75Hz".to_vec());
        fields(8, &|s| s.samples.to_string().into_bytes());
        fields(32, &|_| Vec::new());
        bytes
    }
}
