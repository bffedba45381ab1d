//! What a montage means for the channels at hand: weights over channels, or why there are none.

use crate::montage::canonical;
use crate::{Channel, ChannelKind, ColourHint, Derivation, Electrode, Input, Montage, Reference};
use std::fmt;

/// One channel's part in a derivation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weight {
    /// Index of the channel within its stream.
    pub channel: usize,
    /// Factor on the channel's value in µV, its own [`crate::Scale`] applied.
    pub weight: f64,
}

/// Why a derivation shows nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blank {
    /// These inputs were not recorded.
    Missing(Vec<String>),
    /// The inputs were recorded against references that differ, so their difference is not the one
    /// asked for. Named in order of appearance.
    References(Vec<String>),
    /// The channel's unit is no voltage.
    NotAVoltage(String),
    /// No channel is left to average.
    NothingToAverage,
}

impl fmt::Display for Blank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(names) => write!(f, "not recorded: {}", names.join(", ")),
            Self::References(names) => {
                write!(
                    f,
                    "recorded against different references: {}",
                    names.join(", ")
                )
            }
            Self::NotAVoltage(label) => write!(f, "{label} is not recorded in volts"),
            Self::NothingToAverage => f.write_str("no channel is left to average"),
        }
    }
}

/// A derivation over the channels of one stream.
#[derive(Debug, Clone, PartialEq)]
pub struct ResolvedDerivation {
    /// Label to show; against the recorded reference it names that reference ('Fp1-A1').
    pub label: String,
    /// The chain it belongs to.
    pub chain: String,
    /// A hint for its colour.
    pub colour: ColourHint,
    /// What its input 1 measures; decides its default filters.
    pub kind: ChannelKind,
    /// Weights over channels, by ascending index, none twice; empty when blank.
    pub weights: Vec<Weight>,
    /// Electrodes in the average or weighted mean of input 2, where it is one.
    pub members: Vec<String>,
    /// Inputs in use that are marked rejected; shown, but to be told apart.
    pub rejected: Vec<String>,
    /// Why it shows nothing, if it does not.
    pub blank: Option<Blank>,
}

impl Montage {
    /// This montage over `channels` of one stream. `rejected` lists indices of channels that a
    /// person or the quality check has set aside; averages and weighted means leave them out.
    ///
    /// A channel's value is its electrode minus its reference, so a difference of two channels is
    /// what the label says only where both share one reference: the same named one, or the one
    /// unknown reference of their stream. The shared named reference is itself an input of value
    /// zero. A channel that is bipolar already serves the derivation it is, either way round.
    #[must_use]
    pub fn resolve(&self, channels: &[Channel], rejected: &[usize]) -> Vec<ResolvedDerivation> {
        let inputs = Inputs {
            montage: self,
            channels,
            rejected,
        };
        self.derivations
            .iter()
            .map(|derivation| inputs.resolve(derivation))
            .collect()
    }
}

/// Every potential channel as it was recorded, against its own reference: what is shown when no
/// electrode names are known.
#[must_use]
pub fn as_recorded(channels: &[Channel], rejected: &[usize]) -> Vec<ResolvedDerivation> {
    let potentials = channels
        .iter()
        .enumerate()
        .filter(|(_, channel)| channel.kind.is_potential());
    potentials
        .map(|(index, channel)| {
            let side = channel
                .electrode
                .as_deref()
                .and_then(Electrode::parse)
                .map(Electrode::side);
            let colour = match (channel.kind, side) {
                (ChannelKind::Ecg, _) => ColourHint::Ecg,
                (_, Some(crate::Side::Left)) => ColourHint::Left,
                (_, Some(crate::Side::Right)) => ColourHint::Right,
                (_, Some(crate::Side::Midline)) => ColourHint::Midline,
                (_, None) => ColourHint::Other,
            };
            let voltage = channel.unit.microvolts().is_some();
            ResolvedDerivation {
                label: channel.label.clone(),
                chain: "as recorded".to_owned(),
                colour,
                kind: channel.kind,
                weights: if voltage {
                    vec![Weight {
                        channel: index,
                        weight: 1.0,
                    }]
                } else {
                    Vec::new()
                },
                members: Vec::new(),
                rejected: rejected
                    .contains(&index)
                    .then(|| channel.label.clone())
                    .into_iter()
                    .collect(),
                blank: (!voltage).then(|| Blank::NotAVoltage(channel.label.clone())),
            }
        })
        .collect()
}

/// A derivation as a sum over electrodes; the weights add up to zero, so that the potential of a
/// shared reference drops out.
#[derive(Default)]
struct Sum {
    terms: Vec<(String, f64)>,
    members: Vec<String>,
}

struct Inputs<'a> {
    montage: &'a Montage,
    channels: &'a [Channel],
    rejected: &'a [usize],
}

impl Inputs<'_> {
    fn resolve(&self, derivation: &Derivation) -> ResolvedDerivation {
        let mut resolved = ResolvedDerivation {
            label: derivation.label.clone(),
            chain: derivation.chain.clone(),
            colour: derivation.colour,
            kind: match derivation.input1 {
                Input::Kind(kind) => kind,
                _ => ChannelKind::Eeg,
            },
            weights: Vec::new(),
            members: Vec::new(),
            rejected: Vec::new(),
            blank: None,
        };
        if let Err(blank) = self.fill(derivation, &mut resolved) {
            resolved.weights.clear();
            resolved.members.clear();
            resolved.rejected.clear();
            resolved.blank = Some(blank);
        }
        resolved
    }

    fn fill(&self, derivation: &Derivation, to: &mut ResolvedDerivation) -> Result<(), Blank> {
        match (&derivation.input1, &derivation.input2) {
            (Input::Kind(kind), _) => {
                let index = self
                    .pick(|_, channel| channel.kind == *kind)
                    .ok_or_else(|| Blank::Missing(vec![derivation.label.clone()]))?;
                self.add(to, index, 1.0)
            }
            (Input::Electrode(name), Input::RecordedReference) => {
                let index = self
                    .recorded(name)
                    .ok_or_else(|| Blank::Missing(vec![name.clone()]))?;
                let reference = &self.channels[index].reference;
                if let Reference::Named(_) | Reference::Average = reference {
                    to.label = format!("{name}-{}", reference_name(reference));
                }
                self.add(to, index, 1.0)
            }
            (Input::Electrode(one), Input::Electrode(other)) => {
                if let Some((index, weight)) = self.recorded_pair(one, other) {
                    return self.add(to, index, weight);
                }
                let terms = vec![(one.clone(), 1.0), (other.clone(), -1.0)];
                self.combine(
                    Sum {
                        terms,
                        members: Vec::new(),
                    },
                    to,
                )
            }
            (Input::Electrode(name), Input::Average) => {
                let sum = self.against_average(name)?;
                self.combine(sum, to)
            }
            (Input::Electrode(name), Input::Weighted(list)) => {
                let sum = self.against_neighbours(name, list)?;
                self.combine(sum, to)
            }
            _ => Err(Blank::Missing(vec![derivation.label.clone()])),
        }
    }

    /// The first channel that fits, one not rejected before one rejected.
    fn pick(&self, fits: impl Fn(usize, &Channel) -> bool) -> Option<usize> {
        let fitting =
            || (0..self.channels.len()).filter(|index| fits(*index, &self.channels[*index]));
        fitting()
            .find(|index| !self.rejected.contains(index))
            .or_else(|| fitting().next())
    }

    /// The channel of `electrode` against a reference that it may share with others.
    fn recorded(&self, electrode: &str) -> Option<usize> {
        self.pick(|_, channel| {
            !matches!(channel.reference, Reference::Bipolar(_)) && is_electrode(channel, electrode)
        })
    }

    /// A channel that is `one` against `other` already, or the other way round.
    fn recorded_pair(&self, one: &str, other: &str) -> Option<(usize, f64)> {
        let is_pair = |channel: &Channel, input: &str, against: &str| {
            is_electrode(channel, input)
                && matches!(&channel.reference, Reference::Bipolar(name) | Reference::Named(name)
                    if canonical(name) == against)
        };
        let forward = self
            .pick(|_, channel| is_pair(channel, one, other))
            .map(|index| (index, 1.0));
        forward.or_else(|| {
            self.pick(|_, channel| is_pair(channel, other, one))
                .map(|index| (index, -1.0))
        })
    }

    /// `electrode` − mean of the scalp electrodes of the 10-10 system that are recorded in volts,
    /// are not rejected and not left out. A scalp electrode that is the shared reference belongs to
    /// the average with value zero.
    fn against_average(&self, electrode: &str) -> Result<Sum, Blank> {
        let mut members: Vec<Electrode> = Vec::new();
        let mut references: Vec<&Reference> = Vec::new();
        for (index, channel) in self.channels.iter().enumerate() {
            let Some(position) = self.scalp(channel) else {
                continue;
            };
            if self.rejected.contains(&index) || members.contains(&position) {
                continue;
            }
            members.push(position);
            if !references.contains(&&channel.reference) {
                references.push(&channel.reference);
            }
        }
        if let [Reference::Named(name)] = references[..]
            && let Some(site) = Electrode::parse(name)
            && self.averaged(site)
            && !members.contains(&site)
        {
            members.push(site);
        }
        if members.is_empty() {
            return Err(Blank::NothingToAverage);
        }
        members.sort();
        #[allow(clippy::cast_precision_loss)] // at most 93 members
        let share = -1.0 / members.len() as f64;
        let names: Vec<String> = members
            .iter()
            .map(|member| member.name().to_owned())
            .collect();
        let mut terms = vec![(electrode.to_owned(), 1.0)];
        terms.extend(names.iter().map(|name| (name.clone(), share)));
        Ok(Sum {
            terms,
            members: names,
        })
    }

    /// The scalp position of an EEG channel in volts, if averages take it.
    fn scalp(&self, channel: &Channel) -> Option<Electrode> {
        let suits = channel.kind == ChannelKind::Eeg
            && channel.unit.microvolts().is_some()
            && !matches!(channel.reference, Reference::Bipolar(_));
        let position = channel.electrode.as_deref().and_then(Electrode::parse);
        position.filter(|electrode| suits && self.averaged(*electrode))
    }

    fn averaged(&self, electrode: Electrode) -> bool {
        !electrode.is_ear() && !self.montage.average_leaves_out.contains(&electrode)
    }

    /// `electrode` − weighted mean of its neighbours. Rejected neighbours are left out and the
    /// weights of the others raised to 1 again; a neighbour not recorded leaves it blank.
    fn against_neighbours(&self, electrode: &str, list: &[(String, f64)]) -> Result<Sum, Blank> {
        let kept: Vec<_> = list
            .iter()
            .filter(|(name, _)| {
                self.recorded(name)
                    .is_none_or(|index| !self.rejected.contains(&index))
            })
            .collect();
        let whole: f64 = kept.iter().map(|(_, weight)| weight).sum();
        if kept.is_empty() {
            return Err(Blank::NothingToAverage);
        }
        let mut terms = vec![(electrode.to_owned(), 1.0)];
        terms.extend(
            kept.iter()
                .map(|(name, weight)| (name.clone(), -weight / whole)),
        );
        Ok(Sum {
            terms,
            members: kept.iter().map(|(name, _)| name.clone()).collect(),
        })
    }

    /// Turns a sum over electrodes into weights over channels of one shared reference.
    fn combine(&self, sum: Sum, to: &mut ResolvedDerivation) -> Result<(), Blank> {
        let found: Vec<_> = sum
            .terms
            .iter()
            .map(|(name, _)| self.recorded(name))
            .collect();
        let mut references: Vec<String> = Vec::new();
        for index in found.iter().flatten() {
            let name = reference_name(&self.channels[*index].reference);
            if !references.contains(&name) {
                references.push(name);
            }
        }
        let zero = |name: &String| references.len() == 1 && references[0] == *name;
        let lacking = sum
            .terms
            .iter()
            .zip(&found)
            .filter(|((name, _), index)| index.is_none() && !zero(name));
        let missing: Vec<String> = lacking.map(|((name, _), _)| name.clone()).collect();
        if !missing.is_empty() {
            return Err(Blank::Missing(missing));
        }
        if references.len() > 1 {
            return Err(Blank::References(references));
        }
        for ((_, weight), index) in sum.terms.iter().zip(&found) {
            if let Some(index) = index {
                self.add(to, *index, *weight)?;
            }
        }
        to.members = sum.members;
        Ok(())
    }

    fn add(&self, to: &mut ResolvedDerivation, index: usize, weight: f64) -> Result<(), Blank> {
        let channel = &self.channels[index];
        if channel.unit.microvolts().is_none() {
            return Err(Blank::NotAVoltage(channel.label.clone()));
        }
        if self.rejected.contains(&index) && !to.rejected.contains(&channel.label) {
            to.rejected.push(channel.label.clone());
        }
        match to
            .weights
            .binary_search_by_key(&index, |known| known.channel)
        {
            Ok(at) => to.weights[at].weight += weight,
            Err(at) => to.weights.insert(
                at,
                Weight {
                    channel: index,
                    weight,
                },
            ),
        }
        Ok(())
    }
}

fn is_electrode(channel: &Channel, name: &str) -> bool {
    channel.kind.is_potential()
        && channel
            .electrode
            .as_deref()
            .is_some_and(|electrode| canonical(electrode) == name)
}

/// One text for one reference, so that spellings of it compare equal.
fn reference_name(reference: &Reference) -> String {
    match reference {
        Reference::Unknown => "unknown".to_owned(),
        Reference::Named(name) => canonical(name),
        Reference::Average => "AVG".to_owned(),
        Reference::Bipolar(name) => format!("{} (bipolar)", canonical(name)),
    }
}
