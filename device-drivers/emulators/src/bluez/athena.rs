//! The Muse S Athena, after the published analysis of the OpenMuse project and its recordings.

use super::{BluetoothConfig, Peripheral, Sent};
use crate::{Error, Packet, Source, SourceSpec};

/// Numbers of the characteristics: control, data.
const NUMBERS: [u8; 2] = [0x01, 0x13];
const DATA: usize = 1;
/// Ticks of the device's clock in a turn of 1/64 s.
const TICKS: u64 = 256_000 / 64;

pub(super) struct Athena {
    source: Source,
    numbered: bool,
    /// Channels of potentials and of light.
    channels: usize,
    light: usize,
    awake: bool,
    streaming: bool,
    turns: u64,
    /// Parts so far: potentials, light, motion, battery.
    parts: [u64; 4],
}

impl Athena {
    pub(super) fn new(config: &BluetoothConfig) -> Result<Self, Error> {
        Ok(Self {
            source: Source::new(SourceSpec {
                file: config.file.clone(),
                seed: config.seed,
                channels: 8,
                rate_hz: 256,
            })?,
            numbered: config.numbered,
            channels: 4,
            light: 0,
            awake: false,
            streaming: false,
            turns: 0,
            parts: [0; 4],
        })
    }

    fn part(&mut self, kind: usize, tag: u8, data: &[u8], bytes: &mut Vec<u8>) {
        let counter = self.parts[kind];
        self.parts[kind] += 1;
        bytes.push(tag);
        bytes.extend(&counter.to_le_bytes()[..1]);
        bytes.extend([0; 3]);
        bytes.extend_from_slice(data);
    }

    /// Four samples of potentials.
    fn potentials(&mut self, first: u64, bytes: &mut Vec<u8>) -> Result<(), Error> {
        let (channels, mut numbers) = (self.channels, Vec::with_capacity(32));
        for n in 0..4 {
            let mut uv = [0.0; 8];
            self.source.next_uv(&mut uv)?;
            for (channel, uv) in uv.iter().take(channels).enumerate() {
                let count = (uv / (1_450.0 / 16_383.0) + 8_192.0).round();
                let number = (first + n) % (1 << 14);
                let numbers_here = self.numbered && channel + 1 == channels;
                numbers.push(if numbers_here {
                    number as u32
                } else {
                    count.clamp(0.0, 16_383.0) as u32
                });
            }
        }
        let tag = if channels == 8 { 0x12 } else { 0x11 };
        for sixteen in numbers.chunks(16) {
            let data = low_first(sixteen, 14, 28);
            self.part(0, tag, &data, bytes);
        }
        Ok(())
    }
}

impl Peripheral for Athena {
    fn name(&self) -> &'static str {
        "MuseS-0001"
    }

    fn service(&self) -> &'static str {
        "0000fe8d-0000-1000-8000-00805f9b34fb"
    }

    fn characteristics(&self) -> Vec<(String, &'static [&'static str])> {
        let uuid = |number: u8| format!("273e00{number:02x}-4c4d-454d-96be-f03bac821358");
        vec![
            (uuid(NUMBERS[0]), &["notify", "write-without-response"]),
            (uuid(NUMBERS[1]), &["notify"]),
        ]
    }

    fn turns_per_s(&self) -> f64 {
        64.0
    }

    fn streams(&self) -> bool {
        self.streaming
    }

    fn connected(&mut self) {
        (self.awake, self.streaming) = (false, false);
    }

    fn hear(&mut self, command: &[u8]) -> Vec<(usize, Vec<u8>)> {
        let Some(text) = super::muse::text(command) else {
            return Vec::new();
        };
        match text {
            // The first order wakes it, the second is obeyed.
            b"dc001" => self.streaming = std::mem::replace(&mut self.awake, true),
            b"h" => (self.awake, self.streaming) = (false, false),
            b"p21" => (self.channels, self.light) = (4, 0),
            b"p1035" => (self.channels, self.light) = (4, 4),
            b"p1041" => (self.channels, self.light) = (8, 16),
            b"k" => return Vec::new(),
            _ => {}
        }
        vec![(0, b"\x08{\"rc\":0}".to_vec())]
    }

    /// One notification of one packet, with what was measured in 1/64 s.
    fn next(&mut self) -> Result<Vec<Sent>, Error> {
        let turn = self.turns;
        self.turns += 1;
        let (first_sample, ticks) = (turn * 4, turn * TICKS);
        let mut bytes = vec![0];
        bytes.extend(&turn.to_le_bytes()[..1]);
        bytes.extend(&ticks.to_le_bytes()[..4]);
        bytes.extend([0; 3]);
        self.potentials(first_sample, &mut bytes)?;
        match self.light {
            16 => {
                let data = low_first(&[0x12_345; 16], 20, 40);
                self.part(1, 0x36, &data, &mut bytes);
            }
            4 if turn.is_multiple_of(3) => {
                let data = low_first(&[0x12_345; 12], 20, 30);
                self.part(1, 0x34, &data, &mut bytes);
            }
            _ => {}
        }
        // 52 samples a second in parts of three; one g along z.
        if self.parts[2] * 3 * 64 < self.turns * 52 {
            let still = [[0_u32, 0, 0x4000, 0, 0, 0]; 3].concat();
            let data = low_first(&still, 16, 36);
            self.part(2, 0x47, &data, &mut bytes);
        }
        if turn.is_multiple_of(640) {
            let mut data = [0; 20];
            data[1] = 80;
            self.part(3, 0x98, &data, &mut bytes);
        }
        bytes[0] = u8::try_from(bytes.len()).unwrap_or(u8::MAX);
        let packet = Packet {
            bytes,
            first_sample,
            samples: 4,
        };
        Ok(vec![Sent {
            from: DATA,
            packet,
            logged: true,
        }])
    }
}

/// Numbers of `width` bits after each other, lowest bit first, in `bytes` bytes.
fn low_first(numbers: &[u32], width: usize, bytes: usize) -> Vec<u8> {
    let mut packed = vec![0; bytes];
    let bits = (numbers.iter()).flat_map(|n| (0..width).map(move |bit| n >> bit & 1 == 1));
    for (at, _) in bits.enumerate().filter(|(_, bit)| *bit) {
        if let Some(byte) = packed.get_mut(at / 8) {
            *byte |= 1 << (at % 8);
        }
    }
    packed
}
