//! What a report says about the samples, computed from the record itself.
//!
//! Quality: `dsp`'s measures, second by second. Spectra: Welch over everything recorded but gaps and
//! intervals with test current. Peak alpha: eyes-closed epochs only. Nothing here concludes.

use crate::ReportError;
use crate::excerpts;
use crate::limits::{EXCERPT_S, MAX_EXCERPTS, SENSITIVITY_UV_MM, WELCH_SEGMENT_S};
use crate::model::{
    Analysis, BandRow, ChannelQuality, ClockRow, Excerpt, GapRow, LossRow, SpectrumCurve,
};
use crate::times;
use dsp::{
    BANDS, QualityFlags, QualityLimits, QualityMonitor, QualityVerdict, Scaling, Spectrum, Welch,
    WelchState,
};
use recording::{Piece, Recording};
use signal::{
    Annotation, Channel, HostNanos, Missing, NANOS_PER_S, SampleBlock, SampleType, StreamIndex,
    StreamRole, UtcNanos,
};

/// A page of traces to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExcerptRequest {
    /// What it shows.
    pub title: String,
    /// Where it begins.
    pub start: UtcNanos,
}

/// What the analysis may be told.
#[derive(Debug, Clone, PartialEq)]
pub struct AnalysisOptions {
    /// Mains frequency, Hz.
    pub mains_hz: f64,
    /// Montage of the excerpts by name; the first shipped one when there is none of that name.
    pub montage: String,
    /// Excerpts, in the order asked for. Empty: emergency stops, then coded annotations, then the
    /// beginning.
    pub excerpts: Vec<ExcerptRequest>,
    /// Length of each, s.
    pub excerpt_s: f64,
    /// Sensitivity, µV/mm.
    pub sensitivity_uv_mm: f64,
    /// Intervals with test current, beside annotations coded 'impedance_check' and 'calibration':
    /// not analysed.
    pub excluded: Vec<(UtcNanos, UtcNanos)>,
}

impl Default for AnalysisOptions {
    fn default() -> Self {
        Self {
            mains_hz: 50.0,
            montage: String::new(),
            excerpts: Vec::new(),
            excerpt_s: EXCERPT_S,
            sensitivity_uv_mm: SENSITIVITY_UV_MM,
            excluded: Vec::new(),
        }
    }
}

pub(crate) fn recorded(
    operation: &'static str,
) -> impl Fn(recording::RecordingError) -> ReportError {
    move |source| ReportError::Recording {
        operation,
        source: Box::new(source),
    }
}

pub(crate) fn computed(operation: &'static str) -> impl Fn(dsp::DspError) -> ReportError {
    move |source| ReportError::Analysis {
        operation,
        source: Box::new(source),
    }
}

/// Index past the last sample of a stream.
pub(crate) const WHOLE: std::ops::Range<u64> = 0..u64::MAX;

/// Everything a report says about the samples of `recording`.
///
/// # Errors
/// [`ReportError::Recording`] when it cannot be read, [`ReportError::Analysis`] when a measure
/// refuses its input.
pub fn analyse(recording: &Recording, options: &AnalysisOptions) -> Result<Analysis, ReportError> {
    let annotations: Vec<Annotation> = recording.standing_annotations();
    let mut analysis = Analysis {
        bands: BANDS
            .iter()
            .map(|b| (b.name.to_owned(), b.low_hz, b.high_hz))
            .collect(),
        gaps: gaps(recording),
        clocks: clocks(recording)?,
        ..Analysis::default()
    };
    for (position, stream) in recording.streams().iter().enumerate() {
        let regular = stream
            .rate
            .as_hz()
            .filter(|_| stream.sample_type != SampleType::Text);
        let potentials = stream
            .channels
            .iter()
            .any(|channel| channel.kind.is_potential());
        if let (Some(rate_hz), true, StreamRole::Signal) = (regular, potentials, stream.role) {
            let index = StreamIndex(u16::try_from(position).unwrap_or(u16::MAX));
            let view = View {
                recording,
                index,
                channels: &stream.channels,
                rate_hz,
            };
            examine(&view, options, &annotations, &mut analysis)?;
            if analysis.excerpts.is_empty() {
                analysis.excerpts = pages(&view, options, &annotations)?;
            }
        }
    }
    Ok(analysis)
}

/// One stream of a recording.
pub(crate) struct View<'a> {
    pub(crate) recording: &'a Recording,
    pub(crate) index: StreamIndex,
    pub(crate) channels: &'a [Channel],
    pub(crate) rate_hz: f64,
}

/// A piece as the block that `dsp` takes.
pub(crate) fn block(view: &View<'_>, piece: Piece) -> SampleBlock {
    SampleBlock {
        stream: view.index,
        channels: piece.channels,
        len: piece.len,
        first_index: piece.first_index,
        counter: None,
        arrival: HostNanos(0),
        device_time: None,
        fitted: None,
        stamps: piece.stamps,
        samples: piece.samples,
    }
}

/// Index ranges in which the electrodes carried test current, or the inputs a test signal.
fn excluded(
    view: &View<'_>,
    options: &AnalysisOptions,
    annotations: &[Annotation],
) -> Result<Vec<(u64, u64)>, ReportError> {
    let coded = annotations
        .iter()
        .filter(|a| matches!(a.code.as_deref(), Some("impedance_check" | "calibration")))
        .map(|a| (a.onset, a.onset.plus_nanos(a.duration_ns.unwrap_or(0))));
    let spans: Vec<_> = coded.chain(options.excluded.iter().copied()).collect();
    indices(view, &spans)
}

/// Spans of time as index ranges.
fn indices(
    view: &View<'_>,
    spans: &[(UtcNanos, UtcNanos)],
) -> Result<Vec<(u64, u64)>, ReportError> {
    let find = |at| {
        let found = view.recording.index_at(view.index, at);
        found.map_err(recorded("find a time in the recording"))
    };
    let mut ranges = Vec::new();
    for (from, until) in spans {
        if let (Some(from), Some(until)) = (find(*from)?, find(*until)?)
            && from < until
        {
            ranges.push((from, until));
        }
    }
    Ok(ranges)
}

/// Rows of potentials of one stream, µV, on their way into averages.
struct Rows<'a> {
    potentials: Vec<(usize, f64, f64)>,
    /// Everything analysed.
    whole: WelchState,
    /// Eyes-closed epochs only.
    closed: WelchState,
    excluded: &'a [(u64, u64)],
    eyes_closed: &'a [(u64, u64)],
    next: u64,
}

impl Rows<'_> {
    /// Adds a piece, cut where it enters or leaves an interval that is treated apart.
    fn push(&mut self, piece: &Piece) -> Result<(), dsp::DspError> {
        if piece.first_index != self.next {
            self.whole.gap();
            self.closed.gap();
        }
        let end = piece.first_index + piece.len as u64;
        self.next = end;
        let mut cuts = vec![piece.first_index, end];
        for (from, until) in self.excluded.iter().chain(self.eyes_closed) {
            cuts.extend(
                [*from, *until]
                    .into_iter()
                    .filter(|i| (piece.first_index..end).contains(i)),
            );
        }
        cuts.sort_unstable();
        cuts.dedup();
        for part in cuts.windows(2) {
            let inside = |spans: &[(u64, u64)]| {
                spans
                    .iter()
                    .any(|(from, until)| (*from..*until).contains(&part[0]))
            };
            let out = inside(self.excluded);
            let closed = !out && inside(self.eyes_closed);
            let (data, len) = self.microvolts(piece, part[0], part[1]);
            if out {
                self.whole.gap();
            } else {
                self.whole.push(&data, len)?;
            }
            if closed {
                self.closed.push(&data, len)?;
            } else {
                self.closed.gap();
            }
        }
        Ok(())
    }

    fn microvolts(&self, piece: &Piece, from: u64, until: u64) -> (Vec<f64>, usize) {
        let skip = usize::try_from(from - piece.first_index).unwrap_or(0);
        let len = usize::try_from(until - from).unwrap_or(0);
        let mut data = Vec::with_capacity(self.potentials.len() * len);
        for (channel, gain, offset) in &self.potentials {
            let start = channel * piece.len + skip;
            data.extend((start..start + len).map(|position| {
                piece
                    .samples
                    .as_f64(position)
                    .unwrap_or(0.0)
                    .mul_add(*gain, *offset)
            }));
        }
        (data, len)
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a rate times two seconds
fn welch(rate_hz: f64) -> Result<Welch, ReportError> {
    let segment = ((rate_hz * WELCH_SEGMENT_S).round() as usize).max(2);
    Welch::new(rate_hz, segment, segment / 2, Scaling::Density)
        .map_err(computed("plan the spectra"))
}

fn examine(
    view: &View<'_>,
    options: &AnalysisOptions,
    annotations: &[Annotation],
    analysis: &mut Analysis,
) -> Result<(), ReportError> {
    let potentials: Vec<(usize, f64, f64)> = view
        .channels
        .iter()
        .enumerate()
        .filter(|(_, channel)| channel.kind.is_potential())
        .filter_map(|(row, channel)| {
            let factor = channel.unit.microvolts()?;
            Some((
                row,
                channel.scale.gain * factor,
                channel.scale.offset * factor,
            ))
        })
        .collect();
    let excluded = excluded(view, options, annotations)?;
    let end = view.recording.finished().unwrap_or(UtcNanos(i64::MAX));
    let eyes_closed = indices(view, &dsp::eyes_closed(annotations, end))?;
    let plan = welch(view.rate_hz)?;
    let mut rows = Rows {
        whole: WelchState::new(plan.clone(), potentials.len()),
        closed: WelchState::new(plan, potentials.len()),
        potentials,
        excluded: &excluded,
        eyes_closed: &eyes_closed,
        next: 0,
    };
    let limits = QualityLimits::default();
    let mut monitor = QualityMonitor::new(view.channels, view.rate_hz, options.mains_hz, limits)
        .map_err(computed("plan the quality measures"))?;
    let mut verdicts = Vec::new();
    let pieces = view.recording.pieces(view.index, WHOLE);
    for piece in pieces.map_err(recorded("read the samples"))? {
        let piece = piece.map_err(recorded("read the samples"))?;
        rows.push(&piece).map_err(computed("compute the spectra"))?;
        let block = block(view, piece);
        monitor
            .push(&block, &mut verdicts)
            .map_err(computed("judge the quality"))?;
    }
    monitor.finish(&mut verdicts);
    quality(view, &verdicts, analysis);
    spectra(view, &rows, analysis);
    Ok(())
}

/// The findings, in the words of the report.
fn findings(flags: QualityFlags) -> [(&'static str, bool); 7] {
    [
        ("flat", flags.flat),
        ("railed", flags.railed),
        ("mains", flags.mains),
        ("muscle", flags.muscle),
        ("electrode pop", flags.electrode_pop),
        ("excessive amplitude", flags.excessive),
        ("samples missing", flags.gap),
    ]
}

#[allow(clippy::cast_precision_loss)] // counts of seconds
fn quality(view: &View<'_>, verdicts: &[QualityVerdict], analysis: &mut Analysis) {
    for (row, channel) in view.channels.iter().enumerate() {
        if !channel.kind.is_potential() {
            continue;
        }
        let own: Vec<&QualityVerdict> = verdicts.iter().filter(|v| v.channel == row).collect();
        let seconds = own.len() as f64;
        let share = |count: usize| {
            if own.is_empty() {
                f64::NAN
            } else {
                count as f64 / seconds
            }
        };
        let mut found: Vec<(String, f64)> = findings(QualityFlags::default())
            .iter()
            .enumerate()
            .map(|(n, (name, _))| {
                let count = own.iter().filter(|v| findings(v.flags)[n].1).count();
                ((*name).to_owned(), share(count))
            })
            .filter(|(_, share)| *share > 0.0)
            .collect();
        found.sort_by(|a, b| b.1.total_cmp(&a.1));
        analysis.quality.push(ChannelQuality {
            label: channel.label.clone(),
            good: share(own.iter().filter(|v| v.flags.is_clean()).count()),
            seconds: own.len() as u64,
            findings: found,
        });
    }
}

fn spectra(view: &View<'_>, rows: &Rows<'_>, analysis: &mut Analysis) {
    let whole = rows.whole.spectra();
    let labels = rows
        .potentials
        .iter()
        .map(|(row, ..)| view.channels[*row].label.as_str());
    for (label, spectrum) in labels.clone().zip(&whole) {
        if spectrum.segments == 0 {
            continue;
        }
        analysis.band_powers.push(BandRow {
            label: label.to_owned(),
            power: dsp::band_powers(spectrum).absolute_uv2.to_vec(),
        });
        analysis.spectra.push(SpectrumCurve {
            label: label.to_owned(),
            hz: (0..spectrum.values.len())
                .map(|bin| spectrum.frequency_hz(bin))
                .collect(),
            power: spectrum.values.clone(),
        });
    }
    if let Some(first) = whole.first().filter(|spectrum| spectrum.segments > 0) {
        analysis.spectra_method = format!(
            "Welch's method on the unfiltered record against its own reference: {} Hann windows of {WELCH_SEGMENT_S} s, half overlapping; gaps and intervals with test signals left out.",
            first.segments
        );
    }
    let closed: Vec<(&str, Spectrum)> = labels.zip(rows.closed.spectra()).collect();
    if analysis.peak_alpha.is_empty() || analysis.peak_alpha.starts_with("not") {
        analysis.peak_alpha = peak_alpha(&closed);
    }
}

/// The channel whose alpha stands out most, of those over the back of the head where there are any.
fn peak_alpha(closed: &[(&str, Spectrum)]) -> String {
    let segments = closed.first().map_or(0, |(_, spectrum)| spectrum.segments);
    if segments == 0 {
        return "not determined: no eyes-closed epoch was marked".to_owned();
    }
    let posterior = |label: &str| {
        signal::parse_label(label)
            .electrode
            .is_some_and(|electrode| electrode.starts_with(['O', 'P']))
    };
    let any = closed.iter().any(|(label, _)| posterior(label));
    let best = closed
        .iter()
        .filter(|(label, _)| !any || posterior(label))
        .filter_map(|(label, spectrum)| {
            let alpha = dsp::peak_alpha(spectrum)?;
            Some((*label, alpha.peak_hz?, dsp::band_power(spectrum, 8.0, 13.0)))
        })
        .max_by(|a, b| a.2.total_cmp(&b.2));
    match best {
        Some((label, hz, _)) => {
            format!(
                "{hz:.1} Hz at {label}, from {segments} eyes-closed windows of {WELCH_SEGMENT_S} s"
            )
        }
        None => format!("not found in {segments} eyes-closed windows"),
    }
}

fn pages(
    view: &View<'_>,
    options: &AnalysisOptions,
    annotations: &[Annotation],
) -> Result<Vec<Excerpt>, ReportError> {
    let requests = if options.excerpts.is_empty() {
        chosen(view, options, annotations)
    } else {
        options.excerpts.clone()
    };
    requests
        .iter()
        .map(|request| excerpts::excerpt(view, options, annotations, request))
        .collect()
}

/// Emergency stops, then coded annotations, then the beginning; none that overlaps one before it.
#[allow(clippy::cast_possible_truncation)] // seconds to ns
fn chosen(
    view: &View<'_>,
    options: &AnalysisOptions,
    annotations: &[Annotation],
) -> Vec<ExcerptRequest> {
    let length = (options.excerpt_s * NANOS_PER_S as f64) as i64;
    let lead = length / 5;
    let start = view
        .recording
        .runs(view.index)
        .ok()
        .and_then(|runs| runs.first().map(|r| r.start));
    let Some(start) = start else {
        return Vec::new();
    };
    let stops = view
        .recording
        .marks()
        .iter()
        .filter(|mark| mark.kind == "emergency_stop")
        .map(|mark| ("Emergency stop".to_owned(), mark.at));
    let emergency = |a: &&Annotation| a.code.as_deref() == Some("emergency_stop");
    let (urgent, coded): (Vec<&Annotation>, Vec<&Annotation>) = annotations
        .iter()
        .filter(|a| a.code.is_some())
        .partition(emergency);
    let mut requests: Vec<ExcerptRequest> = Vec::new();
    let marks = stops.chain(
        urgent
            .into_iter()
            .chain(coded)
            .map(|a| (a.text.clone(), a.onset)),
    );
    for (title, at) in marks.chain([("Beginning".to_owned(), start.plus_nanos(lead))]) {
        let from = at.plus_nanos(-lead).max(start);
        let apart = |other: &ExcerptRequest| other.start.nanos_since(from).abs() >= length;
        if requests.len() < MAX_EXCERPTS && requests.iter().all(apart) {
            requests.push(ExcerptRequest { title, start: from });
        }
    }
    requests
}

fn gaps(recording: &Recording) -> Vec<GapRow> {
    let zone = recording.header().zone;
    let gaps = recording.gaps();
    gaps.into_iter()
        .map(|known| {
            let gap = known.gap;
            let stream = recording.streams().get(usize::from(gap.stream.0));
            let cause = format!("{:?}", gap.cause).to_lowercase();
            GapRow {
                stream: stream.map_or_else(String::new, |stream| stream.name.clone()),
                at: times::stamp(gap.from, zone),
                duration: format!("{:.3} s", gap.until.seconds_since(gap.from)),
                missing: match gap.missing {
                    Missing::Exact(count) => count.to_string(),
                    Missing::Ambiguous { least, modulus } => format!("{least} + k × {modulus}"),
                    Missing::Unknown => "unknown".to_owned(),
                },
                cause: if known.recorded {
                    cause
                } else {
                    format!("{cause}, found by index")
                },
            }
        })
        .collect()
}

fn clocks(recording: &Recording) -> Result<Vec<ClockRow>, ReportError> {
    let mut rows = Vec::new();
    for (position, stream) in recording.streams().iter().enumerate() {
        let index = StreamIndex(u16::try_from(position).unwrap_or(u16::MAX));
        let quality = recording::stream_quality(recording, index)
            .map_err(recorded("judge a stream's clock"))?;
        rows.push(ClockRow {
            stream: stream.name.clone(),
            nominal_hz: quality.nominal_hz,
            found_hz: quality.found_hz,
            drift_ppm: quality.drift_ppm(),
            jitter_ms: quality.jitter_ms,
            samples: quality.samples,
            lost: quality.lost(),
            losses: (quality.losses.iter())
                .map(|loss| LossRow {
                    cause: format!("{:?}", loss.cause).to_lowercase(),
                    gaps: loss.gaps,
                    samples: loss.samples,
                    uncertain: loss.uncertain,
                })
                .collect(),
        });
    }
    Ok(rows)
}
