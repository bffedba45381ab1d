//! The board: commands, answers, and how samples become packets.
//!
//! Written from OpenBCI's documentation ('Cyton Data Format', 'Cyton Board SDK') and the answers of firmware 3.

use crate::cyton::CytonConfig;
use std::f64::consts::TAU;

/// What the board does after a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    None,
    Start,
    Stop,
}

const GAINS: [f64; 7] = [1.0, 2.0, 4.0, 6.0, 8.0, 12.0, 24.0];
const NAMES: &str = "12345678QWERTYUI";

/// One input's state.
#[derive(Debug, Clone, Copy)]
struct Input {
    gain: f64,
    test: bool,
    off: bool,
    lead_off: bool,
}

const DEFAULT: Input = Input {
    gain: 24.0,
    test: false,
    off: false,
    lead_off: false,
};

/// State of the board.
#[derive(Debug)]
pub(crate) struct Board {
    config: CytonConfig,
    inputs: [Input; 16],
    sixteen: bool,
    mode: u8,
    stamps: bool,
    stamps_fresh: bool,
    marker: u8,
    command: Vec<u8>,
    pub(crate) streaming: bool,
    counter: u8,
}

impl Board {
    pub(crate) fn new(config: CytonConfig) -> Self {
        Self {
            sixteen: config.daisy,
            config,
            inputs: [DEFAULT; 16],
            mode: b'0',
            stamps: false,
            stamps_fresh: false,
            marker: 0,
            command: Vec::new(),
            streaming: false,
            counter: 0,
        }
    }

    /// Whether samples come as two packets.
    pub(crate) const fn is_paired(&self) -> bool {
        self.sixteen
    }

    /// Takes one byte; gives the answer, when a command is complete that has one.
    pub(crate) fn take(&mut self, byte: u8) -> (Option<String>, Effect) {
        self.command.push(byte);
        let whole = match (self.command[0], self.command.len()) {
            (b'x', count) => byte == b'X' || count > 12,
            (b'z', count) => byte == b'Z' || count > 8,
            (b'/' | b'~' | b'`', count) => count == 2,
            _ => true,
        };
        if !whole {
            return (None, Effect::None);
        }
        let command = String::from_utf8_lossy(&self.command).into_owned();
        self.command.clear();
        let (answer, effect) = self.perform(&command);
        match effect {
            Effect::Start => {
                self.streaming = true;
                self.counter = 0;
            }
            Effect::Stop => self.streaming = false,
            Effect::None => {}
        }
        // Between samples the board answers nothing.
        let answer = answer.filter(|_| !self.streaming);
        let instead = self.config.script.answers.instead.get(&command);
        let answer = instead.cloned().or(answer);
        (answer.map(|text| text + "$$$"), effect)
    }

    fn perform(&mut self, command: &str) -> (Option<String>, Effect) {
        let said = |text: &str| (Some(text.to_owned()), Effect::None);
        match command.as_bytes() {
            b"v" => {
                let streaming = self.streaming;
                *self = Self::new(self.config.clone());
                let effect = if streaming {
                    Effect::Stop
                } else {
                    Effect::None
                };
                self.streaming = false;
                (Some(self.greeting()), effect)
            }
            b"b" if !self.streaming => (None, Effect::Start),
            b"s" => (None, Effect::Stop),
            b"d" => {
                self.inputs = [DEFAULT; 16];
                said("updating channel settings to default")
            }
            b"C" if self.config.daisy => {
                self.sixteen = true;
                said("16")
            }
            b"C" => said("no daisy to attach!8"),
            b"c" => {
                let had = std::mem::replace(&mut self.sixteen, false);
                said(if had { "daisy removed8" } else { "8" })
            }
            b"-" | b"=" | b"[" | b"]" | b"p" | b"0" => {
                for input in &mut self.inputs {
                    input.test = true;
                }
                said("Success: Configured internal test signal.")
            }
            b"<" => {
                (self.stamps, self.stamps_fresh) = (true, true);
                said("Time stamp ON")
            }
            b">" => {
                (self.stamps, self.stamps_fresh) = (false, true);
                said("Time stamp OFF")
            }
            [b'/', mode @ b'0'..=b'4'] => {
                self.mode = *mode;
                let names = ["default", "debug", "analog", "digital", "marker"];
                said(&format!("Success: {}", names[usize::from(mode - b'0')]))
            }
            [b'`', marker] => {
                self.marker = *marker;
                (None, Effect::None)
            }
            [b'x', name, off, gain, source, _, _, _, b'X'] => {
                self.channel(*name, *off, *gain, *source)
            }
            [b'x', ..] => said("Failure: too few chars"),
            [b'z', name, p, n, b'Z'] => match place(*name) {
                Some((at, number)) => {
                    self.inputs[at].lead_off = *p == b'1' || *n == b'1';
                    said(&format!("Success: Lead off set for {number}"))
                }
                None => said("Failure: bad channel"),
            },
            [b'z', ..] => said("Failure: too few chars"),
            _ => (None, Effect::None),
        }
    }

    fn channel(&mut self, name: u8, off: u8, gain: u8, source: u8) -> (Option<String>, Effect) {
        let times = GAINS.get(usize::from(gain.wrapping_sub(b'0')));
        let (Some((at, number)), Some(times)) = (place(name), times) else {
            return (Some("Failure: bad value".to_owned()), Effect::None);
        };
        let input = &mut self.inputs[at];
        input.gain = *times;
        input.off = off == b'1';
        input.test = source == b'5';
        (
            Some(format!("Success: Channel set for {number}")),
            Effect::None,
        )
    }

    fn greeting(&self) -> String {
        let daisy = if self.config.daisy {
            "On Daisy ADS1299 Device ID: 0x3E\r\n"
        } else {
            ""
        };
        format!(
            "OpenBCI V3 8-16 channel\r\nOn Board ADS1299 Device ID: 0x3E\r\n{daisy}LIS3DH Device ID: 0x33\r\nFirmware: v3.1.2\r\n"
        )
    }

    /// The packet of one half (the only one without a Daisy) of a sample: its number, its time in s, µV of all
    /// channels.
    #[allow(clippy::cast_possible_truncation)]
    pub(crate) fn packet(&mut self, number: u64, seconds: f64, uv: &[f64; 16]) -> Vec<u8> {
        // Counter 0, even, comes first: with a Daisy it is half of a sample whose other half was never sent.
        let counter = self.counter;
        self.counter = self.counter.wrapping_add(1);
        let from = if self.sixteen && counter.is_multiple_of(2) {
            8
        } else {
            0
        };
        let last = if self.sixteen { 15 } else { 7 };
        let mut bytes = Vec::with_capacity(33);
        bytes.extend([0xA0, counter]);
        for (channel, uv) in uv.iter().enumerate().skip(from).take(8) {
            let count = if self.config.numbered && channel == last {
                (number & 0x7F_FFFF) as i32
            } else {
                self.count(channel, seconds, *uv)
            };
            bytes.extend(&count.to_be_bytes()[1..]);
        }
        let (aux, footer) = self.aux(counter, seconds);
        bytes.extend(aux);
        bytes.push(footer);
        bytes
    }

    #[allow(clippy::cast_possible_truncation)]
    fn count(&self, channel: usize, seconds: f64, uv: f64) -> i32 {
        let input = self.inputs[channel];
        if input.off {
            return 0;
        }
        let volts_uv = if input.test {
            let high = (seconds * 2_048_000.0 / 2_097_152.0).fract() < 0.5;
            if high { 1_875.0 } else { -1_875.0 }
        } else {
            let kohm = self
                .config
                .impedances_kohm
                .get(channel)
                .copied()
                .unwrap_or(5.0);
            let drop_uv = if input.lead_off {
                (kohm + 2.2) * 6.0
            } else {
                0.0
            };
            // Electrodes are at the negative inputs.
            -(uv + drop_uv * (TAU * 31.2 * seconds).sin())
        };
        let count = volts_uv / (4.5e6 / input.gain) * 8_388_607.0;
        count.round().clamp(-8_388_608.0, 8_388_607.0) as i32
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn aux(&mut self, counter: u8, seconds: f64) -> ([u8; 6], u8) {
        let (mode, mut aux) = (self.mode, [0; 6]);
        match mode {
            // The three pins see a ramp, a constant and the counter.
            b'2' => {
                let words = [u16::from(counter) * 4, 512, u16::from(counter)];
                for (two, word) in aux.chunks_exact_mut(2).zip(words) {
                    two.copy_from_slice(&word.to_be_bytes());
                }
            }
            b'3' => aux = [counter >> 7, counter >> 6 & 1, counter >> 5 & 1, 1, 0, 1],
            b'4' => aux[1] = std::mem::take(&mut self.marker),
            // One g along z, 25 times a second.
            b'0' if !self.stamps && counter.is_multiple_of(10) => {
                aux = [0, 1, 0xFF, 0xFF, 0x1F, 0x40];
            }
            _ => {}
        }
        let plain = mode == b'0';
        if !self.stamps {
            let footer = if plain { 0xC0 } else { 0xC1 };
            return (aux, footer);
        }
        let fresh = std::mem::take(&mut self.stamps_fresh);
        let ms = (seconds * 1e3) as u32;
        aux[2..].copy_from_slice(&ms.to_be_bytes());
        let footer = match (plain, fresh) {
            (true, true) => 0xC3,
            (true, false) => 0xC4,
            (false, true) => 0xC5,
            (false, false) => 0xC6,
        };
        (aux, footer)
    }
}

/// Index and number of a channel's name.
fn place(name: u8) -> Option<(usize, usize)> {
    let at = NAMES.find(char::from(name))?;
    Some((at, at + 1))
}
