//! Electrodes that turned out to sit elsewhere: another label from a moment on.
//!
//! The record keeps what the device delivered under the label it began with. A coded annotation
//! says what holds from when; everything that shows a label asks here.

use crate::error::{Error, ErrorKind, Result};
use crate::limits::MAX_LABEL_CHARS;
use acquisition::Mark;
use recording::Recording;
use signal::{AnnotationOrigin, StreamDescription, UtcNanos};

/// Code of the annotation. Its channels are the label as it was and the label from then on.
pub const RELABEL_CODE: &str = "relabel";

/// One change of a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relabel {
    /// From when.
    pub at: UtcNanos,
    /// Label as it was.
    pub from: String,
    /// Label from then on.
    pub to: String,
}

impl Relabel {
    /// Its annotation in the record.
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            onset: self.at,
            duration_ns: None,
            text: format!("{} is {} from here on", self.from, self.to),
            code: Some(RELABEL_CODE.to_owned()),
            origin: AnnotationOrigin::Program,
            channels: vec![self.from.clone(), self.to.clone()],
        }
    }
}

/// Changes of labels that stand in `recording`, in order.
#[must_use]
pub fn relabels(recording: &Recording) -> Vec<Relabel> {
    let mut all: Vec<_> = recording
        .annotations()
        .into_iter()
        .filter(|recorded| recorded.superseded_by.is_none())
        .filter_map(|recorded| {
            let annotation = recorded.annotation;
            match (annotation.code.as_deref(), annotation.channels.as_slice()) {
                (Some(RELABEL_CODE), [from, to]) => Some(Relabel {
                    at: annotation.onset,
                    from: from.clone(),
                    to: to.clone(),
                }),
                _ => None,
            }
        })
        .collect();
    all.sort_by_key(|relabel| relabel.at);
    all
}

/// Gives `streams` the labels that hold after `relabels`, the electrode's name with it.
pub fn apply(streams: &mut [StreamDescription], relabels: &[Relabel]) {
    for relabel in relabels {
        let channels = streams.iter_mut().flat_map(|stream| &mut stream.channels);
        for channel in channels.filter(|channel| channel.label == relabel.from) {
            if channel.electrode.is_some() {
                channel.electrode = Some(relabel.to.clone());
            }
            channel.label.clone_from(&relabel.to);
        }
    }
}

/// The streams of `recording` under the labels that hold at `at`.
pub(crate) fn streams_at(recording: &Recording, at: UtcNanos) -> Vec<StreamDescription> {
    let mut known = relabels(recording);
    known.retain(|relabel| relabel.at <= at);
    let mut streams = recording.streams().to_vec();
    apply(&mut streams, &known);
    streams
}

/// The label that a channel recorded as `label` ends with, and since when; `None` when it kept it.
pub(crate) fn ends_as(label: &str, relabels: &[Relabel]) -> Option<(String, UtcNanos)> {
    let mut now = (label.to_owned(), None);
    for relabel in relabels {
        if relabel.from == now.0 {
            now = (relabel.to.clone(), Some(relabel.at));
        }
    }
    now.1.map(|since| (now.0, since))
}

/// Checks a change against the labels that hold in `streams`.
pub(crate) fn check(streams: &[StreamDescription], from: &str, to: &str) -> Result<()> {
    let invalid = |message: String| Err(Error::new(ErrorKind::Invalid, message, ""));
    let count = |label: &str| {
        let channels = streams.iter().flat_map(|stream| &stream.channels);
        channels.filter(|channel| channel.label == label).count()
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || "+-/' ".contains(c);
    if to.trim() != to
        || to.is_empty()
        || to.chars().count() > MAX_LABEL_CHARS
        || !to.chars().all(fits)
    {
        return invalid(format!(
            "a label has 1 to {MAX_LABEL_CHARS} letters, digits, '+', '-' or '/'"
        ));
    }
    match (count(from), count(to)) {
        (0, _) => Err(Error::new(
            ErrorKind::NotFound,
            format!("there is no channel '{from}'"),
            "",
        )),
        (1, 0) => Ok(()),
        (1, _) => Err(Error::new(
            ErrorKind::Conflict,
            format!("there is a channel '{to}' already"),
            "Give that one its right label first.",
        )),
        (more, _) => invalid(format!("{more} channels are called '{from}'")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use signal::{Channel, ClockSource, Reference, SampleType, SamplingRate, StreamRole};

    fn streams() -> Vec<StreamDescription> {
        let channel = |label| Channel::eeg(label, 0.1, Reference::Unknown);
        vec![StreamDescription {
            name: "eeg".to_owned(),
            role: StreamRole::Signal,
            sample_type: SampleType::I16,
            rate: SamplingRate::hz(256),
            counter: None,
            clock: ClockSource::HostArrival,
            channels: ["Fp1", "Fp2", "C3"].map(channel).to_vec(),
        }]
    }

    fn relabel(s: i64, from: &str, to: &str) -> Relabel {
        Relabel {
            at: UtcNanos(s * signal::NANOS_PER_S),
            from: from.to_owned(),
            to: to.to_owned(),
        }
    }

    #[test]
    fn labels_follow_each_other_and_electrodes_follow_labels() {
        // Two that were swapped, by way of a third name.
        let all = [
            relabel(1, "Fp1", "X1"),
            relabel(2, "Fp2", "Fp1"),
            relabel(3, "X1", "Fp2"),
        ];
        let mut changed = streams();
        apply(&mut changed, &all);
        let labels: Vec<_> = changed[0]
            .channels
            .iter()
            .map(|c| c.label.as_str())
            .collect();
        assert_eq!(labels, ["Fp2", "Fp1", "C3"]);
        assert_eq!(changed[0].channels[0].electrode.as_deref(), Some("Fp2"));
        assert_eq!(
            ends_as("Fp1", &all),
            Some(("Fp2".to_owned(), UtcNanos(3 * signal::NANOS_PER_S)))
        );
        assert_eq!(ends_as("C3", &all), None);
    }

    #[test]
    fn what_would_confuse_is_refused() {
        let streams = streams();
        let kind = |from, to| check(&streams, from, to).map_err(|error| error.kind());
        assert_eq!(kind("Fp1", "F9"), Ok(()));
        assert_eq!(kind("Cz", "F9"), Err(ErrorKind::NotFound));
        assert_eq!(kind("Fp1", "C3"), Err(ErrorKind::Conflict));
        for nonsense in ["", " F9", "a long story of someone", "Müller"] {
            assert_eq!(kind("Fp1", nonsense), Err(ErrorKind::Invalid));
        }
    }
}
