//! What a Cyton is opened with.

use contract::{DeviceError, Settings, SettingsReader};

/// Gains of the converter and their codes (ADS1299 data sheet, CHnSET; OpenBCI 'Cyton Board SDK', channel
/// settings).
const GAINS: [(&str, Gain); 7] = [
    (
        "1",
        Gain {
            times: 1.0,
            code: '0',
        },
    ),
    (
        "2",
        Gain {
            times: 2.0,
            code: '1',
        },
    ),
    (
        "4",
        Gain {
            times: 4.0,
            code: '2',
        },
    ),
    (
        "6",
        Gain {
            times: 6.0,
            code: '3',
        },
    ),
    (
        "8",
        Gain {
            times: 8.0,
            code: '4',
        },
    ),
    (
        "12",
        Gain {
            times: 12.0,
            code: '5',
        },
    ),
    (
        "24",
        Gain {
            times: 24.0,
            code: '6',
        },
    ),
];

/// Positions of the maker's own headset (OpenBCI documentation, 'Ultracortex Mark IV', default montage).
pub(crate) const ULTRACORTEX: [&str; 16] = [
    "Fp1", "Fp2", "C3", "C4", "P7", "P8", "O1", "O2", "F7", "F8", "F3", "F4", "T7", "T8", "P3",
    "P4",
];

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Gain {
    pub(crate) times: f64,
    pub(crate) code: char,
}

/// What the auxiliary bytes carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BoardMode {
    /// Acceleration.
    Accelerometer,
    /// The analogue inputs A5 to A7.
    Analog,
    /// The digital inputs D11, D12, D13, D17, D18.
    Digital,
    /// Markers that are sent to the board.
    Marker,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CytonSettings {
    pub(crate) gain: Gain,
    /// `None`: as the board says.
    pub(crate) daisy: Option<bool>,
    pub(crate) electrodes: Vec<String>,
    pub(crate) reference: String,
    pub(crate) ground: String,
    pub(crate) inverting: bool,
    pub(crate) mode: BoardMode,
    pub(crate) stamps: bool,
    pub(crate) numbered: bool,
}

impl CytonSettings {
    pub(crate) fn read(operation: &str, settings: &Settings) -> Result<Self, DeviceError> {
        let mut reader = SettingsReader::new(operation, settings);
        let on_off = [("on", true), ("off", false)];
        let electrodes = match reader.text("electrodes") {
            None => (1..=16).map(|n| format!("E{n}")).collect(),
            Some("ultracortex") => ULTRACORTEX.map(str::to_owned).to_vec(),
            Some(list) => electrodes(list)
                .ok_or_else(|| reader.refuse("setting electrodes must be 'ultracortex' or 8 or 16 different names between commas"))?,
        };
        let named =
            |text: Option<&str>, terminal: &str| text.map_or(terminal, str::trim).to_owned();
        let read = Self {
            gain: reader.word("gain", &GAINS)?.unwrap_or(GAINS[6].1),
            daisy: reader
                .word(
                    "daisy",
                    &[("auto", None), ("on", Some(true)), ("off", Some(false))],
                )?
                .flatten(),
            electrodes,
            reference: named(reader.text("reference"), "SRB2"),
            ground: named(reader.text("ground"), "BIAS"),
            inverting: reader
                .word("wiring", &[("inverting", true), ("straight", false)])?
                .unwrap_or(true),
            mode: reader
                .word(
                    "aux",
                    &[
                        ("accelerometer", BoardMode::Accelerometer),
                        ("analog", BoardMode::Analog),
                        ("digital", BoardMode::Digital),
                        ("marker", BoardMode::Marker),
                    ],
                )?
                .unwrap_or(BoardMode::Accelerometer),
            stamps: reader.word("timestamps", &on_off)?.unwrap_or(false),
            numbered: reader.word("numbered", &on_off)?.unwrap_or(false),
        };
        if read.reference.is_empty() || read.ground.is_empty() {
            return Err(reader.refuse("settings reference and ground must be names"));
        }
        reader.finish()?;
        Ok(read)
    }
}

fn electrodes(list: &str) -> Option<Vec<String>> {
    let names: Vec<String> = list.split(',').map(|name| name.trim().to_owned()).collect();
    let mut unique = names.clone();
    unique.sort();
    unique.dedup();
    let sound = matches!(names.len(), 8 | 16) && unique.len() == names.len();
    (sound
        && names
            .iter()
            .all(|name| !name.is_empty() && name.len() <= 16))
    .then_some(names)
}
