//! A heart-rate strap (Bluetooth SIG, Heart Rate Service 1.0).

use super::{Peripheral, Sent};
use crate::{Error, Packet};

pub(super) struct HeartRate {
    beats: u64,
}

impl HeartRate {
    pub(super) const fn new() -> Self {
        Self { beats: 0 }
    }
}

impl Peripheral for HeartRate {
    fn name(&self) -> &'static str {
        "Strap 0001"
    }

    fn service(&self) -> &'static str {
        "0000180d-0000-1000-8000-00805f9b34fb"
    }

    fn characteristics(&self) -> Vec<(String, &'static [&'static str])> {
        let uuid = |number: u16| format!("0000{number:04x}-0000-1000-8000-00805f9b34fb");
        vec![(uuid(0x2A37), &["notify"]), (uuid(0x2A19), &["read"])]
    }

    fn turns_per_s(&self) -> f64 {
        // 75 beats a minute.
        1.25
    }

    fn streams(&self) -> bool {
        true
    }

    fn connected(&mut self) {}

    fn hear(&mut self, _command: &[u8]) -> Vec<(usize, Vec<u8>)> {
        Vec::new()
    }

    fn value(&self, characteristic: usize) -> Vec<u8> {
        if characteristic == 1 {
            vec![77]
        } else {
            Vec::new()
        }
    }

    /// One beat: the interval is its number, from 1 on, so that a lost one is seen.
    #[allow(clippy::cast_possible_truncation)]
    fn next(&mut self) -> Result<Vec<Sent>, Error> {
        let first_sample = self.beats;
        self.beats += 1;
        let mut bytes = vec![0x16, 75];
        bytes.extend((self.beats as u16).to_le_bytes());
        let packet = Packet {
            bytes,
            first_sample,
            samples: 1,
        };
        Ok(vec![Sent {
            from: 0,
            packet,
            logged: true,
        }])
    }
}
