//! The OpenBCI Ganglion, after OpenBCI's 'Ganglion Data Format' and 'Ganglion SDK'.

use super::{BluetoothConfig, Model, Peripheral, Sent, packed};
use crate::{Error, Packet, Source, SourceSpec};

pub(super) struct Ganglion {
    source: Source,
    two: bool,
    numbered: bool,
    accelerometer: bool,
    streaming: bool,
    testing: Option<u8>,
    /// Turns since the last impedance was told.
    waited: u8,
    /// Place in the cycle of packets, samples since it was switched on.
    place: u8,
    samples: u64,
    last: [i32; 4],
}

impl Ganglion {
    pub(super) fn new(config: &BluetoothConfig) -> Result<Self, Error> {
        Ok(Self {
            source: Source::new(SourceSpec {
                file: config.file.clone(),
                seed: config.seed,
                channels: 4,
                rate_hz: 200,
            })?,
            two: config.model == Model::Ganglion2,
            numbered: config.numbered,
            accelerometer: false,
            streaming: false,
            testing: None,
            waited: 0,
            place: 0,
            samples: 0,
            last: [0; 4],
        })
    }

    fn sample(&mut self) -> Result<[i32; 4], Error> {
        let mut uv = [0.0; 4];
        self.source.next_uv(&mut uv)?;
        let mut counts = uv.map(|uv| {
            let count = uv / (1.2e6 / (8_388_607.0 * 1.5 * 51.0));
            count.round().clamp(-8_388_608.0, 8_388_607.0) as i32
        });
        if self.numbered {
            let step = if self.two { 1 } else { 128 };
            counts[3] = ((self.samples * step) & 0x7F_FFFF) as i32;
        }
        self.samples += 1;
        Ok(counts)
    }
}

/// A number's lowest bit becomes its sign.
const fn signed_low(value: i32) -> u32 {
    (value & !1 | (value < 0) as i32) as u32
}

impl Peripheral for Ganglion {
    fn name(&self) -> &'static str {
        "Ganglion-0001"
    }

    fn service(&self) -> &'static str {
        "0000fe84-0000-1000-8000-00805f9b34fb"
    }

    fn characteristics(&self) -> Vec<(String, &'static [&'static str])> {
        let uuid = |number: u8| format!("2d30c0{number:02x}-f39f-4ce6-923f-3484ea480596");
        vec![
            (uuid(0x82), &["notify"]),
            (uuid(0x83), &["write", "write-without-response"]),
            (uuid(0x84), &["write"]),
        ]
    }

    fn turns_per_s(&self) -> f64 {
        // A cycle of firmware 2 has 101 packets and 201 samples.
        if self.two {
            200.0 * 101.0 / 201.0
        } else {
            100.0
        }
    }

    fn streams(&self) -> bool {
        self.streaming || self.testing.is_some()
    }

    fn connected(&mut self) {
        // The board resets when a connection opens.
        (self.streaming, self.testing, self.accelerometer) = (false, None, false);
    }

    fn hear(&mut self, command: &[u8]) -> Vec<(usize, Vec<u8>)> {
        match command {
            b"b" => {
                self.streaming = true;
                self.place = 0;
            }
            b"s" => self.streaming = false,
            b"n" => self.accelerometer = true,
            b"N" => self.accelerometer = false,
            b"z" => (self.testing, self.streaming) = (Some(0), false),
            b"Z" => self.testing = None,
            b"v" => {
                let version = if self.two { "v2.0.1" } else { "v3.0.0" };
                let first = format!("\u{0}OpenBCI Ganglion {version}\n");
                let mut first = first.into_bytes();
                first[0] = 206;
                return vec![(0, first), (0, b"\xCFLIS2DH ID: 0x33\n".to_vec())];
            }
            _ => {}
        }
        Vec::new()
    }

    fn next(&mut self) -> Result<Vec<Sent>, Error> {
        let first_sample = self.samples;
        if let Some(input) = self.testing {
            // The board takes about a second for an input; a fifth of that is enough to be interrupted.
            self.waited = (self.waited + 1) % 20;
            if self.waited != 0 {
                return Ok(Vec::new());
            }
            self.testing = Some((input + 1) % 5);
            let mut bytes = vec![201 + input];
            bytes.extend(format!("{}Z\n", 1_000 * (u32::from(input) + 1)).into_bytes());
            let packet = Packet {
                bytes,
                first_sample,
                samples: 0,
            };
            return Ok(vec![Sent {
                from: 0,
                packet,
                logged: false,
            }]);
        }
        let (place, width) = (self.place, if self.accelerometer { 18 } else { 19 });
        let base = if width == 19 { 100 } else { 0 };
        let (mut bytes, samples) = if self.two && place == 0 {
            let sample = self.sample()?;
            self.last = sample;
            let mut bytes = packed(sample.map(|count| count as u32), 24, 19);
            bytes[12..].copy_from_slice(b"ABCDEFG");
            bytes.insert(0, 0);
            (bytes, 1)
        } else {
            let mut numbers = Vec::with_capacity(8);
            for _ in 0..2 {
                let sample = self.sample()?;
                for (last, count) in self.last.iter_mut().zip(sample) {
                    numbers.push(signed_low(if self.two {
                        *last - count
                    } else {
                        count >> (24 - width)
                    }));
                    *last = count;
                }
            }
            let mut bytes = packed(numbers, width, 19);
            bytes.insert(0, base + place);
            (bytes, 2)
        };
        if width == 18 && (1..=3).contains(&(place % 10)) {
            // One g along z.
            bytes[19] = if place % 10 == 3 { 31 } else { 0 };
        }
        self.place = (place + 1) % if self.two { 101 } else { 100 };
        let packet = Packet {
            bytes,
            first_sample,
            samples,
        };
        Ok(vec![Sent {
            from: 0,
            packet,
            logged: true,
        }])
    }
}
