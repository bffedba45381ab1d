//! A heart-rate strap (Bluetooth SIG, Heart Rate Service 1.0), and a Polar H10, which gives its ECG besides (Polar's
//! 'Measurement Data Specification').

use super::{BluetoothConfig, Model, Peripheral, Sent};
use crate::{Error, Packet, Source, SourceSpec};

/// Samples of an ECG frame, and turns of a strap that gives it: ten frames a second, a beat every eighth.
const FRAME: u64 = 13;
const TURNS_PER_BEAT: u64 = 8;
/// Index of the ECG's data.
const ECG: usize = 3;

pub(super) struct HeartRate {
    beats: u64,
    ecg: Option<Ecg>,
}

struct Ecg {
    source: Source,
    numbered: bool,
    streaming: bool,
    turns: u64,
}

impl HeartRate {
    pub(super) fn new(config: &BluetoothConfig) -> Result<Self, Error> {
        let ecg = (config.model == Model::Polar).then(|| {
            let spec = SourceSpec {
                file: config.file.clone(),
                seed: config.seed,
                channels: 1,
                rate_hz: 130,
            };
            Source::new(spec).map(|source| Ecg {
                source,
                numbered: config.numbered,
                streaming: false,
                turns: 0,
            })
        });
        Ok(Self {
            beats: 0,
            ecg: ecg.transpose()?,
        })
    }

    /// One beat: the interval is its number, from 1 on, so that a lost one is seen.
    fn beat(&mut self) -> Sent {
        let first_sample = self.beats;
        self.beats += 1;
        let mut bytes = vec![0x16, 75];
        bytes.extend((self.beats as u16).to_le_bytes());
        let packet = Packet {
            bytes,
            first_sample,
            samples: 1,
        };
        Sent {
            from: 0,
            packet,
            logged: self.ecg.is_none(),
        }
    }
}

impl Ecg {
    fn frame(&mut self) -> Result<Sent, Error> {
        let first_sample = self.turns * FRAME;
        let last_ns = (first_sample + FRAME) * 1_000_000_000 / 130;
        let mut bytes = vec![0];
        bytes.extend(last_ns.to_le_bytes());
        bytes.push(0);
        for n in 0..FRAME {
            let mut uv = [0.0];
            self.source.next_uv(&mut uv)?;
            let value = if self.numbered {
                ((first_sample + n) & 0x7F_FFFF) as i32
            } else {
                uv[0].round().clamp(-8_388_608.0, 8_388_607.0) as i32
            };
            bytes.extend(&value.to_le_bytes()[..3]);
        }
        let packet = Packet {
            bytes,
            first_sample,
            samples: FRAME as u32,
        };
        Ok(Sent {
            from: ECG,
            packet,
            logged: true,
        })
    }
}

impl Peripheral for HeartRate {
    fn name(&self) -> &'static str {
        if self.ecg.is_some() {
            "Polar H10 00000001"
        } else {
            "Strap 0001"
        }
    }

    fn service(&self) -> &'static str {
        "0000180d-0000-1000-8000-00805f9b34fb"
    }

    fn characteristics(&self) -> Vec<(String, &'static [&'static str])> {
        let uuid = |number: u16| format!("0000{number:04x}-0000-1000-8000-00805f9b34fb");
        let mut all: Vec<(String, &'static [&'static str])> =
            vec![(uuid(0x2A37), &["notify"]), (uuid(0x2A19), &["read"])];
        if self.ecg.is_some() {
            let uuid = |number: u8| format!("fb005c{number:02x}-02e7-f387-1cad-8acd2d8df0c8");
            all.push((uuid(0x81), &["read", "write", "indicate"]));
            all.push((uuid(0x82), &["notify"]));
        }
        all
    }

    fn turns_per_s(&self) -> f64 {
        // 75 beats a minute.
        if self.ecg.is_some() { 10.0 } else { 1.25 }
    }

    fn streams(&self) -> bool {
        true
    }

    fn connected(&mut self) {
        if let Some(ecg) = &mut self.ecg {
            ecg.streaming = false;
        }
    }

    fn hear(&mut self, command: &[u8]) -> Vec<(usize, Vec<u8>)> {
        let Some(ecg) = &mut self.ecg else {
            return Vec::new();
        };
        match command {
            [0x02, 0x00, 0x00, 0x01, 0x82, 0x00, 0x01, 0x01, 0x0E, 0x00] => ecg.streaming = true,
            [0x03, 0x00] => ecg.streaming = false,
            _ => return Vec::new(),
        }
        // Response, which command, of what, success, nothing more.
        vec![(2, vec![0xF0, command[0], 0x00, 0x00, 0x00])]
    }

    fn value(&self, characteristic: usize) -> Vec<u8> {
        if characteristic == 1 {
            vec![77]
        } else {
            Vec::new()
        }
    }

    fn next(&mut self) -> Result<Vec<Sent>, Error> {
        let Some(ecg) = &mut self.ecg else {
            return Ok(vec![self.beat()]);
        };
        let mut all = Vec::new();
        let beats = ecg.turns.is_multiple_of(TURNS_PER_BEAT);
        if ecg.streaming {
            all.push(ecg.frame()?);
        }
        // Its clock and its samples go on whether anyone listens or not.
        ecg.turns += 1;
        if beats {
            all.push(self.beat());
        }
        Ok(all)
    }
}
