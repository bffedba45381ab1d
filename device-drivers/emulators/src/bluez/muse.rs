//! The Muse of 2016 and the Muse 2. Facts from muse-lsl and muse-js, which agree.

use super::{BluetoothConfig, Model, Peripheral, Sent, packed};
use crate::{Error, Packet, Source, SourceSpec};

const NOTIFY: &[&str] = &["notify"];
const CONTROL: &[&str] = &["notify", "write-without-response"];
/// Numbers of the characteristics: control, telemetry, gyroscope, accelerometer, potentials, light.
const NUMBERS: [u8; 12] = [
    0x01, 0x0b, 0x09, 0x0a, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0f, 0x10, 0x11,
];
const TELEMETRY: usize = 1;
const GYROSCOPE: usize = 2;
const ACCELEROMETER: usize = 3;
const EEG: usize = 4;
const PPG: usize = 9;

pub(super) struct Muse {
    source: Source,
    has_light: bool,
    numbered: bool,
    channels: usize,
    light: bool,
    streaming: bool,
    turns: u64,
    motions: u64,
}

impl Muse {
    pub(super) fn new(config: &BluetoothConfig) -> Result<Self, Error> {
        Ok(Self {
            source: Source::new(SourceSpec {
                file: config.file.clone(),
                seed: config.seed,
                channels: 5,
                rate_hz: 256,
            })?,
            has_light: config.model == Model::Muse2,
            numbered: config.numbered,
            channels: 4,
            light: false,
            streaming: false,
            turns: 0,
            motions: 0,
        })
    }

    fn sent(from: usize, counter: u64, body: &[u8], first_sample: u64, samples: u32) -> Sent {
        let mut bytes = (counter % 65_536).to_be_bytes()[6..].to_vec();
        bytes.extend_from_slice(body);
        Sent {
            from,
            packet: Packet {
                bytes,
                first_sample,
                samples,
            },
            logged: false,
        }
    }
}

/// The text of a command: length, text, end of line; anything else is not heard.
pub(super) fn text(command: &[u8]) -> Option<&[u8]> {
    let (length, rest) = command.split_first()?;
    let text = rest.strip_suffix(b"\n")?;
    (usize::from(*length) == rest.len()).then_some(text)
}

impl Peripheral for Muse {
    fn name(&self) -> &'static str {
        "Muse-0001"
    }

    fn service(&self) -> &'static str {
        "0000fe8d-0000-1000-8000-00805f9b34fb"
    }

    fn characteristics(&self) -> Vec<(String, &'static [&'static str])> {
        let count = if self.has_light { 12 } else { PPG };
        (NUMBERS.iter().take(count).enumerate())
            .map(|(at, number)| {
                let uuid = format!("273e00{number:02x}-4c4d-454d-96be-f03bac821358");
                (uuid, if at == 0 { CONTROL } else { NOTIFY })
            })
            .collect()
    }

    fn turns_per_s(&self) -> f64 {
        256.0 / 12.0
    }

    fn streams(&self) -> bool {
        self.streaming
    }

    fn connected(&mut self) {
        self.streaming = false;
    }

    fn hear(&mut self, command: &[u8]) -> Vec<(usize, Vec<u8>)> {
        let Some(text) = text(command) else {
            return Vec::new();
        };
        match text {
            b"d" => self.streaming = true,
            b"h" => self.streaming = false,
            b"p20" => (self.channels, self.light) = (5, false),
            b"p21" => (self.channels, self.light) = (4, false),
            b"p50" => (self.channels, self.light) = (5, self.has_light),
            b"p51" => (self.channels, self.light) = (4, self.has_light),
            b"k" => return Vec::new(),
            _ => {}
        }
        vec![(0, b"\x08{\"rc\":0}".to_vec())]
    }

    fn next(&mut self) -> Result<Vec<Sent>, Error> {
        let turn = self.turns;
        self.turns += 1;
        let mut counts = [[0_u32; 12]; 5];
        for n in 0..12 {
            let mut sample = [0.0; 5];
            self.source.next_uv(&mut sample)?;
            for (row, uv) in counts.iter_mut().zip(sample) {
                row[n] = (uv / 0.488_281_25 + 2_048.0).round().clamp(0.0, 4_095.0) as u32;
            }
            if self.numbered {
                counts[self.channels - 1][n] = ((turn * 12 + n as u64) % 4_096) as u32;
            }
        }
        let mut all: Vec<Sent> = (counts.iter().take(self.channels).enumerate())
            .map(|(channel, counts)| {
                let body = packed(*counts, 12, 18);
                let mut sent = Self::sent(EEG + channel, turn, &body, turn * 12, 12);
                sent.logged = channel + 1 == self.channels;
                sent
            })
            .collect();
        // 52 samples a second in packets of three.
        while self.motions * 3 * 256 < self.turns * 12 * 52 {
            let still = [[0_u32, 0, 0x4000]; 3].concat();
            let number = self.motions;
            for from in [GYROSCOPE, ACCELEROMETER] {
                let body = packed(still.iter().copied(), 16, 18);
                all.push(Self::sent(from, number, &body, number * 3, 3));
            }
            self.motions += 1;
        }
        // 64 samples a second in packets of six: every other turn.
        if self.light && turn % 2 == 1 {
            for channel in 0..3 {
                let body = packed([0x12_3456; 6], 24, 18);
                all.push(Self::sent(PPG + channel, turn / 2, &body, turn / 2 * 6, 6));
            }
        }
        if turn.is_multiple_of(213) {
            let body = packed([80 * 512, 3_900, 3_700, 31], 16, 8);
            all.push(Self::sent(TELEMETRY, turn / 213, &body, 0, 0));
        }
        Ok(all)
    }
}
