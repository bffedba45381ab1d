//! Montages: ordered sets of derivations, as texts and as the ones shipped.

use crate::{ChannelKind, Electrode, Side};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use thiserror::Error;

/// One input of a derivation.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// An electrode by its canonical name.
    Electrode(String),
    /// The first channel of a kind, as it was recorded (ECG).
    Kind(ChannelKind),
    /// The reference that the other input was recorded against.
    RecordedReference,
    /// The average of the scalp electrodes.
    Average,
    /// A weighted mean of electrodes; weights add up to 1.
    Weighted(Vec<(String, f64)>),
}

/// The difference of two inputs, input 1 − input 2, drawn upward when negative.
#[derive(Debug, Clone, PartialEq)]
pub struct Derivation {
    /// Label as the montage gives it ('Fp1-F7').
    pub label: String,
    /// The chain it belongs to ('left temporal'); a space is drawn between chains.
    pub chain: String,
    /// What is measured.
    pub input1: Input,
    /// What it is measured against.
    pub input2: Input,
    /// A hint for its colour.
    pub colour: ColourHint,
}

/// Which of the four clinical trace colours a derivation takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColourHint {
    /// Left hemisphere: drawn blue.
    Left,
    /// Right hemisphere: drawn red.
    Right,
    /// Midline, or from one side to the other.
    Midline,
    /// Electrocardiogram.
    Ecg,
    /// Any other kind of channel.
    Other,
}

/// An ordered set of derivations.
#[derive(Debug, Clone, PartialEq)]
pub struct Montage {
    /// Identifier ('longitudinal-bipolar-10-20').
    pub name: String,
    /// What a person reads.
    pub title: String,
    /// '10-20' or '10-10'.
    pub system: String,
    /// Derivations from the top of the page to its bottom.
    pub derivations: Vec<Derivation>,
    /// Electrodes left out of averages beside A1/A2, mastoids, non-EEG and rejected channels.
    pub average_leaves_out: Vec<Electrode>,
}

/// Electrodes that carry eye movements, which an average may leave out.
pub const FRONTAL_LEFT_OUT: [&str; 4] = ["Fp1", "Fp2", "F7", "F8"];

/// Why a text describes no montage.
#[derive(Debug, Error)]
pub enum MontageError {
    /// The text is not of the form described with the shipped assets.
    #[error("cannot read the montage")]
    Syntax(#[from] toml::de::Error),
    /// A derivation is written in no known form.
    #[error("cannot read derivation {0:?} of the montage")]
    Derivation(String),
    /// A '-LAP' derivation whose electrode has no neighbours, or whose weights are not positive.
    #[error("electrode {0:?} of the montage has no neighbours with positive weights")]
    Neighbours(String),
    /// An electrode to leave out that the 10-10 system does not know.
    #[error("{0:?}, left out of the average, is no position of the 10-10 system")]
    LeftOut(String),
    /// Two derivations have one label.
    #[error("derivation {0:?} stands twice in the montage")]
    Duplicate(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    title: String,
    system: String,
    #[serde(default)]
    leave_out: Vec<String>,
    chain: Vec<Chain>,
    #[serde(default)]
    neighbours: BTreeMap<String, BTreeMap<String, f64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Chain {
    name: String,
    derivations: Vec<String>,
}

macro_rules! shipped {
    ($($name:literal),* $(,)?) => {
        [$(include_str!(concat!("../../../../assets/montages/", $name, ".toml"))),*]
    };
}

/// Order of the montage menu.
const SHIPPED: [&str; 11] = shipped![
    "longitudinal-bipolar-10-20",
    "transverse-10-20",
    "average-10-20",
    "laplacian-10-20",
    "referential-10-20",
    "referential-ears-10-20",
    "longitudinal-bipolar-10-10",
    "transverse-10-10",
    "average-10-10",
    "laplacian-10-10",
    "referential-10-10",
];

impl Montage {
    /// The montages that come with the program; the first is the default.
    #[must_use]
    pub fn shipped() -> &'static [Self] {
        static MONTAGES: OnceLock<Vec<Montage>> = OnceLock::new();
        MONTAGES.get_or_init(|| {
            let parsed = SHIPPED.iter().map(|text| Self::parse(text));
            parsed
                .collect::<Result<_, _>>()
                .expect("every embedded montage is parsed in a test")
        })
    }

    /// The shipped montage called `name`.
    #[must_use]
    pub fn by_name(name: &str) -> Option<&'static Self> {
        Self::shipped().iter().find(|montage| montage.name == name)
    }

    /// A montage from a TOML text of the form of `assets/montages`. A derivation is 'Fp1-F7', or
    /// an electrode against 'REF' (as recorded), 'AVG' (average) or 'LAP' (its neighbours), or a
    /// kind alone ('ECG', 'EOG', 'EMG').
    ///
    /// # Errors
    /// [`MontageError`], which names the derivation.
    pub fn parse(text: &str) -> Result<Self, MontageError> {
        let file: File = toml::from_str(text)?;
        let mut derivations: Vec<Derivation> = Vec::new();
        for chain in &file.chain {
            for label in &chain.derivations {
                if derivations.iter().any(|known| known.label == *label) {
                    return Err(MontageError::Duplicate(label.clone()));
                }
                derivations.push(derivation(label, &chain.name, &file.neighbours)?);
            }
        }
        let leave_out = file
            .leave_out
            .iter()
            .map(|name| Electrode::parse(name).ok_or_else(|| MontageError::LeftOut(name.clone())));
        let average_leaves_out = leave_out.collect::<Result<_, _>>()?;
        let File {
            name,
            title,
            system,
            ..
        } = file;
        Ok(Self {
            name,
            title,
            system,
            derivations,
            average_leaves_out,
        })
    }

    /// This montage with Fp1, Fp2, F7 and F8 left out of its averages.
    #[must_use]
    pub fn without_frontal_in_average(mut self) -> Self {
        self.average_leaves_out = FRONTAL_LEFT_OUT
            .iter()
            .filter_map(|n| Electrode::parse(n))
            .collect();
        self
    }
}

/// The spelling under which inputs are compared: canonical for known positions, else upper case.
pub(crate) fn canonical(name: &str) -> String {
    Electrode::parse(name).map_or_else(|| name.trim().to_uppercase(), |e| e.name().to_owned())
}

fn derivation(
    label: &str,
    chain: &str,
    neighbours: &BTreeMap<String, BTreeMap<String, f64>>,
) -> Result<Derivation, MontageError> {
    let made = |input1, input2, colour| Derivation {
        label: label.to_owned(),
        chain: chain.to_owned(),
        input1,
        input2,
        colour,
    };
    let Some((first, second)) = label.split_once('-') else {
        let (kind, colour) = match label {
            "ECG" => (ChannelKind::Ecg, ColourHint::Ecg),
            "EOG" => (ChannelKind::Eog, ColourHint::Other),
            "EMG" => (ChannelKind::Emg, ColourHint::Other),
            _ => return Err(MontageError::Derivation(label.to_owned())),
        };
        return Ok(made(Input::Kind(kind), Input::RecordedReference, colour));
    };
    if first.trim().is_empty() || second.trim().is_empty() || second.contains('-') {
        return Err(MontageError::Derivation(label.to_owned()));
    }
    let electrode = canonical(first);
    let alone = side_of(&electrode);
    let (input2, colour) = match second {
        "REF" => (Input::RecordedReference, alone),
        "AVG" => (Input::Average, alone),
        "LAP" => (Input::Weighted(weights(first, neighbours)?), alone),
        other => {
            let other = canonical(other);
            let colour = colour_between(alone, side_of(&other));
            (Input::Electrode(other), colour)
        }
    };
    Ok(made(Input::Electrode(electrode), input2, colour))
}

fn side_of(electrode: &str) -> ColourHint {
    match Electrode::parse(electrode).map(Electrode::side) {
        Some(Side::Left) => ColourHint::Left,
        Some(Side::Right) => ColourHint::Right,
        Some(Side::Midline) => ColourHint::Midline,
        None => ColourHint::Other,
    }
}

/// From a side to itself or to the midline is that side's; across the head is the midline's.
fn colour_between(one: ColourHint, other: ColourHint) -> ColourHint {
    use ColourHint::{Left, Midline, Other, Right};
    match (one, other) {
        (Left, Left | Midline) | (Midline, Left) => Left,
        (Right, Right | Midline) | (Midline, Right) => Right,
        (Left | Right | Midline, Left | Right | Midline) => Midline,
        _ => Other,
    }
}

/// The neighbours of `electrode` with weights that add up to 1 exactly as far as floats allow.
fn weights(
    electrode: &str,
    neighbours: &BTreeMap<String, BTreeMap<String, f64>>,
) -> Result<Vec<(String, f64)>, MontageError> {
    let wrong = || MontageError::Neighbours(electrode.to_owned());
    let list = neighbours.get(electrode).ok_or_else(wrong)?;
    let valid = |weight: &f64| weight.is_finite() && *weight > 0.0;
    if list.is_empty() || !list.values().all(valid) || list.contains_key(electrode) {
        return Err(wrong());
    }
    let sum: f64 = list.values().sum();
    if !sum.is_finite() {
        return Err(wrong());
    }
    Ok(list
        .iter()
        .map(|(name, weight)| (canonical(name), weight / sum))
        .collect())
}
