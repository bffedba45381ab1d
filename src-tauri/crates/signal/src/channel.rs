//! One input's description: what it measures, in which unit, against which reference.

use serde::{Deserialize, Serialize};

/// What a channel measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelKind {
    /// Scalp or intracranial electroencephalogram.
    Eeg,
    /// Electro-oculogram.
    Eog,
    /// Electrocardiogram.
    Ecg,
    /// Electromyogram.
    Emg,
    /// Photoplethysmogram.
    Ppg,
    /// Respiration: effort, flow or sound.
    Respiration,
    /// Oxygen saturation, heart rate and other derived vital signs.
    VitalSign,
    /// Acceleration along one axis.
    Accelerometer,
    /// Angular rate about one axis.
    Gyroscope,
    /// Temperature.
    Temperature,
    /// Trigger inputs and status words: integers without a physical scale.
    Trigger,
    /// Anything else.
    Other,
}

impl ChannelKind {
    /// Whether the channel is an electrode's potential, which montages, filters and impedance
    /// checks apply to.
    #[must_use]
    pub const fn is_potential(self) -> bool {
        matches!(self, Self::Eeg | Self::Eog | Self::Ecg | Self::Emg)
    }
}

/// Physical unit of a channel's scaled values.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// 10⁻⁹ V.
    Nanovolt,
    /// 10⁻⁶ V.
    Microvolt,
    /// 10⁻³ V.
    Millivolt,
    /// Volt.
    Volt,
    /// Per cent.
    Percent,
    /// Standard gravity, 9.80665 m/s².
    G,
    /// Degrees a second.
    DegreePerSecond,
    /// Degrees Celsius.
    DegreeCelsius,
    /// Beats a minute.
    PerMinute,
    /// A number without a unit: counts, trigger codes.
    Count,
    /// As the source wrote it, when it is none of the above.
    Other(String),
}

impl Unit {
    /// How many microvolts one of this unit is; `None` when it is no voltage.
    #[must_use]
    pub const fn microvolts(&self) -> Option<f64> {
        match self {
            Self::Nanovolt => Some(1e-3),
            Self::Microvolt => Some(1.0),
            Self::Millivolt => Some(1e3),
            Self::Volt => Some(1e6),
            _ => None,
        }
    }

    /// The unit as people read it.
    #[must_use]
    pub fn symbol(&self) -> &str {
        match self {
            Self::Nanovolt => "nV",
            Self::Microvolt => "µV",
            Self::Millivolt => "mV",
            Self::Volt => "V",
            Self::Percent => "%",
            Self::G => "g",
            Self::DegreePerSecond => "°/s",
            Self::DegreeCelsius => "°C",
            Self::PerMinute => "/min",
            Self::Count => "",
            Self::Other(text) => text,
        }
    }
}

/// What a count is worth: `value = count × gain + offset`, in the channel's unit.
///
/// The gain's sign is the channel's polarity: an inverting amplifier, or an EDF file whose physical
/// minimum lies above its maximum, has a negative gain and unchanged counts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    /// Units a count; may be negative, never zero or non-finite for a valid channel.
    pub gain: f64,
    /// Units at count zero.
    pub offset: f64,
}

impl Scale {
    /// One unit a count: what an unscaled trigger word has.
    pub const UNITY: Self = Self {
        gain: 1.0,
        offset: 0.0,
    };

    /// The physical value of `count`, in the channel's unit.
    #[must_use]
    pub fn apply(&self, count: f64) -> f64 {
        count.mul_add(self.gain, self.offset)
    }
}

/// Least and greatest count a converter can give, as its source states them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigitalRange {
    /// Least count.
    pub min: i64,
    /// Greatest count.
    pub max: i64,
}

/// Physical values at the ends of the [`DigitalRange`], in the channel's unit; `min > max` inverts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PhysicalRange {
    /// Value at the least count.
    pub min: f64,
    /// Value at the greatest count.
    pub max: f64,
}

/// What an electrode is measured against, or a ground is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reference {
    /// The source does not say.
    #[default]
    Unknown,
    /// A named electrode ('A1', 'Cz', 'CMS').
    Named(String),
    /// An average of electrodes, by whatever means the amplifier forms it.
    Average,
    /// The channel is bipolar already: measured against this electrode of its own.
    Bipolar(String),
}

/// Filters in the amplifier, before the record; `None` where the source does not say.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct HardwareFilter {
    /// High-pass corner, Hz.
    pub high_pass_hz: Option<f64>,
    /// Low-pass corner, Hz.
    pub low_pass_hz: Option<f64>,
    /// Notch centre, Hz.
    pub notch_hz: Option<f64>,
    /// The source's own text, kept verbatim ('HP:0.1Hz LP:75Hz').
    pub text: String,
}

/// One input of a stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Channel {
    /// Label as the source gives it; need not be unique, the index within the stream is.
    pub label: String,
    /// What it measures.
    pub kind: ChannelKind,
    /// Unit of the scaled values.
    pub unit: Unit,
    /// What a count is worth, sign included.
    pub scale: Scale,
    /// Converter's range, where the source states one.
    pub digital_range: Option<DigitalRange>,
    /// Physical range over [`Self::digital_range`], where the source states one.
    pub physical_range: Option<PhysicalRange>,
    /// Electrode position name ('Fp1'), where the channel is an electrode's.
    pub electrode: Option<String>,
    /// What the electrode is measured against.
    pub reference: Reference,
    /// The amplifier's ground electrode.
    pub ground: Reference,
    /// Filters before the record.
    pub hardware_filter: HardwareFilter,
    /// Sensor type ('AgAgCl electrode'); empty when unknown.
    pub transducer: String,
}

impl Channel {
    /// An EEG electrode in microvolts with `gain_uv` microvolts a count.
    #[must_use]
    pub fn eeg(electrode: &str, gain_uv: f64, reference: Reference) -> Self {
        Self {
            label: electrode.to_owned(),
            kind: ChannelKind::Eeg,
            unit: Unit::Microvolt,
            scale: Scale {
                gain: gain_uv,
                offset: 0.0,
            },
            digital_range: None,
            physical_range: None,
            electrode: Some(electrode.to_owned()),
            reference,
            ground: Reference::Unknown,
            hardware_filter: HardwareFilter::default(),
            transducer: String::new(),
        }
    }

    /// A trigger or status word: counts without unit or scale.
    #[must_use]
    pub fn trigger(label: &str) -> Self {
        Self {
            label: label.to_owned(),
            kind: ChannelKind::Trigger,
            unit: Unit::Count,
            scale: Scale::UNITY,
            digital_range: None,
            physical_range: None,
            electrode: None,
            reference: Reference::Unknown,
            ground: Reference::Unknown,
            hardware_filter: HardwareFilter::default(),
            transducer: String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negative_gain_keeps_counts_and_turns_values() {
        let scale = Scale {
            gain: -0.5,
            offset: 1.0,
        };
        assert_eq!(scale.apply(100.0), -49.0);
    }

    #[test]
    fn only_voltages_have_microvolts() {
        assert_eq!(Unit::Millivolt.microvolts(), Some(1000.0));
        assert_eq!(Unit::Percent.microvolts(), None);
    }
}
