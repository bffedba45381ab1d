//! What a display shows of the streams at hand: rows by stream, their derivations and filters.

use crate::error::{Error, ErrorKind, Result};
use crate::limits::MAX_FILTER_HZ;
use dsp::{DerivationMatrix, DisplayFilter, FilterSettings};
use signal::{
    Channel, ChannelKind, ColourHint, HardwareFilter, Input, Montage, Reference,
    ResolvedDerivation, SampleType, Samples, SamplingRate, StreamDescription, StreamIndex,
};
use std::collections::BTreeMap;

/// Name of the montage that shows every channel as it was recorded.
pub const AS_RECORDED: &str = "as-recorded";

const AS_RECORDED_TITLE: &str = "As recorded";

/// Every kind of channel with the word by which it is called outside.
const KINDS: [(ChannelKind, &str); 12] = [
    (ChannelKind::Eeg, "eeg"),
    (ChannelKind::Eog, "eog"),
    (ChannelKind::Ecg, "ecg"),
    (ChannelKind::Emg, "emg"),
    (ChannelKind::Ppg, "ppg"),
    (ChannelKind::Respiration, "respiration"),
    (ChannelKind::VitalSign, "vital_sign"),
    (ChannelKind::Accelerometer, "accelerometer"),
    (ChannelKind::Gyroscope, "gyroscope"),
    (ChannelKind::Temperature, "temperature"),
    (ChannelKind::Trigger, "trigger"),
    (ChannelKind::Other, "other"),
];

fn word(kind: ChannelKind) -> &'static str {
    let found = KINDS.iter().find(|(known, _)| *known == kind);
    found.map_or("other", |(_, word)| word)
}

/// Filters by kind of channel, as its word.
pub type FiltersByKind = BTreeMap<String, FilterSettings>;

/// Montage and filters.
#[derive(Debug, Clone, PartialEq)]
pub struct ViewSpec {
    /// Montage's name, or [`AS_RECORDED`].
    pub montage: String,
    /// Filters by kind of channel; a kind that is not named has its default.
    pub filters: FiltersByKind,
}

impl ViewSpec {
    /// Every channel as recorded, under the default filters.
    #[must_use]
    pub fn as_recorded() -> Self {
        Self {
            montage: AS_RECORDED.to_owned(),
            filters: FiltersByKind::new(),
        }
    }

    /// The settings for `kind`.
    fn settings(&self, kind: ChannelKind) -> FilterSettings {
        let chosen = self.filters.get(word(kind)).copied();
        chosen.unwrap_or_else(|| FilterSettings::default_for(kind))
    }

    /// Refuses montages and kinds that there are not, and corners that are no frequencies.
    fn check(&self) -> Result<()> {
        let invalid = |message: String| Err(Error::new(ErrorKind::Invalid, message, ""));
        if self.montage != AS_RECORDED && Montage::by_name(&self.montage).is_none() {
            return invalid("there is no montage of that name".to_owned());
        }
        for (kind, settings) in &self.filters {
            if !KINDS.iter().any(|(_, word)| word == kind) {
                return invalid("filters are given for a kind of channel that is not known".into());
            }
            let corners = [settings.lff_hz, settings.hff_hz, settings.notch_hz];
            for hz in corners.into_iter().flatten() {
                if !(hz.is_finite() && hz > 0.0 && hz <= MAX_FILTER_HZ) {
                    return invalid(format!("a filter of {hz} Hz cannot be set"));
                }
            }
        }
        Ok(())
    }
}

/// One row of a display.
#[derive(Debug, Clone, PartialEq)]
pub struct RowPlan {
    /// Label ('Fp1-F7').
    pub label: String,
    /// Chain; a space is drawn between chains.
    pub chain: String,
    /// Its colour.
    pub colour: ColourHint,
    /// Kind of channel, as its word.
    pub kind: &'static str,
    /// Unit's symbol.
    pub unit: String,
    /// Channels that take part, by label.
    pub inputs: Vec<String>,
    /// Why the row is blank.
    pub blank: Option<String>,
}

/// Rows of one stream, and how they are computed.
#[derive(Debug, Clone)]
pub(crate) struct StreamPlan {
    pub(crate) stream: StreamIndex,
    pub(crate) name: String,
    pub(crate) rate: SamplingRate,
    pub(crate) rows: Vec<RowPlan>,
    matrix: DerivationMatrix,
    kinds: Vec<ChannelKind>,
    settings: Vec<(ChannelKind, FilterSettings)>,
}

/// Everything that a display shows.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) montage: String,
    pub(crate) title: String,
    pub(crate) reference: String,
    pub(crate) filters: FiltersByKind,
    pub(crate) notes: Vec<String>,
    pub(crate) streams: Vec<StreamPlan>,
}

impl Plan {
    /// The plan of `spec` over `streams`. A montage's row belongs to the stream that has its
    /// inputs; one that lacks an input is blank and stands with the stream that has most of EEG.
    ///
    /// # Errors
    /// No such montage, or a filter that cannot be.
    pub(crate) fn new(spec: &ViewSpec, streams: &[StreamDescription]) -> Result<Self> {
        spec.check()?;
        let montage = Montage::by_name(&spec.montage);
        let shown: Vec<usize> = (0..streams.len())
            .filter(|index| streams[*index].sample_type != SampleType::Text)
            .collect();
        let mut plan = Self {
            montage: spec.montage.clone(),
            title: montage.map_or(AS_RECORDED_TITLE.to_owned(), |m| m.title.clone()),
            reference: references(streams),
            filters: FiltersByKind::new(),
            notes: Vec::new(),
            streams: Vec::new(),
        };
        let assigned = montage.map(|montage| assign(montage, streams, &shown));
        for index in shown {
            let stream = &streams[index];
            let (rows, kinds, matrix, hardware) = match &assigned {
                None => as_recorded(stream),
                Some(assigned) => {
                    let derivations = &assigned[index];
                    if derivations.is_empty() {
                        continue;
                    }
                    derived(derivations, stream)
                }
            };
            let settings = plan.take_filters(spec, stream.rate, &kinds, &hardware);
            plan.streams.push(StreamPlan {
                stream: StreamIndex(u16::try_from(index).unwrap_or(u16::MAX)),
                name: stream.name.clone(),
                rate: stream.rate,
                rows,
                matrix,
                kinds,
                settings,
            });
        }
        Ok(plan)
    }

    /// Notes which filters are in force in a stream, and what must be highlighted of them.
    fn take_filters(
        &mut self,
        spec: &ViewSpec,
        rate: SamplingRate,
        kinds: &[ChannelKind],
        hardware: &[HardwareFilter],
    ) -> Vec<(ChannelKind, FilterSettings)> {
        let mut settings: Vec<(ChannelKind, FilterSettings)> = Vec::new();
        let Some(hz) = rate.as_hz() else {
            return settings;
        };
        for (kind, hardware) in kinds.iter().zip(hardware) {
            let known = settings.iter().find(|(known, _)| known == kind);
            let chosen = match known {
                Some((_, chosen)) => *chosen,
                None => {
                    let mut chosen = spec.settings(*kind);
                    if chosen.design(hz).is_err() {
                        self.note(*kind, &format!("no filter fits {hz} samples a second"));
                        chosen = FilterSettings::OFF;
                    }
                    settings.push((*kind, chosen));
                    if chosen != FilterSettings::OFF || spec.filters.contains_key(word(*kind)) {
                        self.filters.insert(word(*kind).to_owned(), chosen);
                    }
                    chosen
                }
            };
            if kind.is_potential() || chosen != FilterSettings::OFF {
                for note in chosen.notes(*kind, hardware, hz) {
                    self.note(*kind, &note.to_string());
                }
            }
        }
        settings
    }

    fn note(&mut self, kind: ChannelKind, what: &str) {
        let text = format!("{}: {what}", word(kind).to_uppercase());
        if !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }

    /// Rows over all streams.
    pub(crate) fn rows(&self) -> usize {
        self.streams.iter().map(|stream| stream.rows.len()).sum()
    }
}

type Rows = (
    Vec<RowPlan>,
    Vec<ChannelKind>,
    DerivationMatrix,
    Vec<HardwareFilter>,
);

fn as_recorded(stream: &StreamDescription) -> Rows {
    let row = |channel: &Channel| RowPlan {
        label: channel.label.clone(),
        chain: word(channel.kind).to_owned(),
        colour: colour_of(channel),
        kind: word(channel.kind),
        unit: match channel.unit.microvolts() {
            Some(_) => signal::Unit::Microvolt.symbol().to_owned(),
            None => channel.unit.symbol().to_owned(),
        },
        inputs: vec![channel.label.clone()],
        blank: None,
    };
    let channels = &stream.channels;
    (
        channels.iter().map(row).collect(),
        channels.iter().map(|channel| channel.kind).collect(),
        DerivationMatrix::as_recorded(channels),
        (channels.iter().map(|c| c.hardware_filter.clone())).collect(),
    )
}

fn colour_of(channel: &Channel) -> ColourHint {
    let alone = std::slice::from_ref(channel);
    let resolved = signal::as_recorded(alone, &[]);
    (resolved.first()).map_or(ColourHint::Other, |derivation| derivation.colour)
}

fn derived(derivations: &[ResolvedDerivation], stream: &StreamDescription) -> Rows {
    let channels = &stream.channels;
    let labels = |derivation: &ResolvedDerivation| {
        let of = |weight: &signal::Weight| channels[weight.channel].label.clone();
        derivation.weights.iter().map(of).collect()
    };
    let row = |derivation: &ResolvedDerivation| RowPlan {
        label: derivation.label.clone(),
        chain: derivation.chain.clone(),
        colour: derivation.colour,
        kind: word(derivation.kind),
        unit: signal::Unit::Microvolt.symbol().to_owned(),
        inputs: labels(derivation),
        blank: derivation.blank.as_ref().map(ToString::to_string),
    };
    let hardware = |derivation: &ResolvedDerivation| {
        let first = derivation.weights.first();
        first.map_or_else(HardwareFilter::default, |weight| {
            channels[weight.channel].hardware_filter.clone()
        })
    };
    (
        derivations.iter().map(row).collect(),
        derivations.iter().map(|d| d.kind).collect(),
        DerivationMatrix::new(derivations, channels),
        derivations.iter().map(hardware).collect(),
    )
}

/// The montage's derivations by stream.
fn assign(
    montage: &Montage,
    streams: &[StreamDescription],
    shown: &[usize],
) -> Vec<Vec<ResolvedDerivation>> {
    let resolved: Vec<Vec<ResolvedDerivation>> = streams
        .iter()
        .map(|stream| montage.resolve(&stream.channels, &[]))
        .collect();
    let eeg = |index: usize| {
        let channels = streams[index].channels.iter();
        channels.filter(|c| c.kind == ChannelKind::Eeg).count()
    };
    // The first of those that have most.
    let main = shown.iter().copied().rev().max_by_key(|index| eeg(*index));
    let mut assigned: Vec<Vec<ResolvedDerivation>> = vec![Vec::new(); streams.len()];
    for (at, _) in montage.derivations.iter().enumerate() {
        let of = |index: usize| &resolved[index][at];
        let has = |index: &usize| of(*index).blank.is_none();
        let home = main.filter(has).or_else(|| shown.iter().copied().find(has));
        if let Some(home) = home.or(main) {
            assigned[home].push(of(home).clone());
        }
    }
    assigned
}

/// What the EEG was recorded against, for people.
fn references(streams: &[StreamDescription]) -> String {
    let channels = || streams.iter().flat_map(|stream| &stream.channels);
    let mut names: Vec<String> = Vec::new();
    let eeg = channels().filter(|channel| channel.kind == ChannelKind::Eeg);
    for channel in eeg {
        let name = match &channel.reference {
            Reference::Unknown => "unknown".to_owned(),
            Reference::Named(name) => name.clone(),
            Reference::Average => "average".to_owned(),
            Reference::Bipolar(_) => "bipolar".to_owned(),
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() {
        names.push("unknown".to_owned());
    }
    names.join(", ")
}

/// Computes the rows of one stream, block after block.
#[derive(Debug)]
pub(crate) struct Rendering {
    matrix: DerivationMatrix,
    filter: Option<DisplayFilter>,
    values: Vec<f64>,
}

impl Rendering {
    /// # Errors
    /// A filter that cannot be designed; the plan has tried them.
    pub(crate) fn new(plan: &StreamPlan) -> Result<Self> {
        let off = |kind: ChannelKind| {
            let known = plan.settings.iter().find(|(known, _)| *known == kind);
            known.map_or(FilterSettings::OFF, |(_, settings)| *settings)
        };
        let filtered = (plan.settings.iter()).any(|(_, chosen)| *chosen != FilterSettings::OFF);
        let filter = match plan.rate.as_hz() {
            Some(hz) if filtered => Some(
                DisplayFilter::new(hz, &plan.kinds, off)
                    .map_err(|error| Error::internal("design the display filters", &error))?,
            ),
            _ => None,
        };
        Ok(Self {
            matrix: plan.matrix.clone(),
            filter,
            values: Vec::new(),
        })
    }

    /// Samples before the first one shown that the filters need.
    pub(crate) fn warm_up(&self, rate: SamplingRate) -> u64 {
        let seconds = self.filter.as_ref().map_or(0.0, DisplayFilter::warm_up_s);
        (seconds * rate.as_hz().unwrap_or(0.0)).ceil() as u64
    }

    /// The rows of `samples` (channels × `len`): rows × `len`.
    ///
    /// # Errors
    /// Samples of another shape than the plan's stream has.
    pub(crate) fn apply(&mut self, samples: &Samples, len: usize) -> Result<&[f64]> {
        let wrong = |error| Error::internal("compute a display's rows", &error);
        self.matrix
            .apply_samples(samples, len, &mut self.values)
            .map_err(wrong)?;
        if let Some(filter) = &mut self.filter {
            filter.process(&mut self.values, len).map_err(wrong)?;
        }
        Ok(&self.values)
    }

    /// Samples are missing before the next ones.
    pub(crate) fn gap(&mut self) {
        if let Some(filter) = &mut self.filter {
            filter.gap();
        }
    }
}

/// A montage of the menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MontageOffer {
    /// Name.
    pub name: String,
    /// Title.
    pub title: String,
    /// Rows that have all their inputs.
    pub complete: usize,
    /// Rows.
    pub rows: usize,
}

/// The montages of the menu, told by whether `streams` have their inputs, and the one to begin
/// with: the longitudinal bipolar one whose electrodes are all there, else everything as recorded.
pub(crate) fn offers(streams: Option<&[StreamDescription]>) -> (Vec<MontageOffer>, String) {
    let mut default = None;
    let mut offers = Vec::new();
    for montage in Montage::shipped() {
        let mut complete = 0;
        if let Some(streams) = streams {
            let all: Vec<usize> = (0..streams.len()).collect();
            let resolved: Vec<_> = assign(montage, streams, &all).concat();
            complete = resolved.iter().filter(|d| d.blank.is_none()).count();
            let lacks_electrodes = (montage.derivations.iter())
                .filter(|derivation| !matches!(derivation.input1, Input::Kind(_)))
                .any(|wanted| {
                    let same = |d: &&ResolvedDerivation| {
                        d.blank.is_none() && d.chain == wanted.chain && d.label == wanted.label
                    };
                    resolved.iter().find(same).is_none()
                });
            let longitudinal = montage.name.starts_with("longitudinal-bipolar");
            if longitudinal && !lacks_electrodes && default.is_none() {
                default = Some(montage.name.clone());
            }
        }
        offers.push(MontageOffer {
            name: montage.name.clone(),
            title: montage.title.clone(),
            complete,
            rows: montage.derivations.len(),
        });
    }
    let channels = streams.map_or(0, |s| s.iter().map(|stream| stream.channels.len()).sum());
    offers.push(MontageOffer {
        name: AS_RECORDED.to_owned(),
        title: AS_RECORDED_TITLE.to_owned(),
        complete: channels,
        rows: channels,
    });
    let none = match streams {
        Some(_) => AS_RECORDED.to_owned(),
        None => Montage::shipped()
            .first()
            .map_or(AS_RECORDED.to_owned(), |montage| montage.name.clone()),
    };
    (offers, default.unwrap_or(none))
}

/// The filters of every kind when nothing is chosen.
pub(crate) fn default_filters() -> FiltersByKind {
    let kinds = KINDS.iter();
    kinds
        .map(|(kind, word)| ((*word).to_owned(), FilterSettings::default_for(*kind)))
        .filter(|(_, settings)| *settings != FilterSettings::OFF)
        .collect()
}
