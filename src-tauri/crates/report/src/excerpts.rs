//! Pages of traces from the record: the montage and the causal filters of the clinical page.

use crate::ReportError;
use crate::analyse::{AnalysisOptions, ExcerptRequest, View, block, computed, recorded};
use crate::model::{Excerpt, Trace, TraceColour};
use crate::times;
use dsp::{DerivationMatrix, DisplayFilter, FilterSettings};
use signal::{
    Annotation, ChannelKind, ColourHint, Montage, NANOS_PER_S, ResolvedDerivation, UtcNanos,
};

/// The page that `request` asks for.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss
)]
pub(crate) fn excerpt(
    view: &View<'_>,
    options: &AnalysisOptions,
    annotations: &[Annotation],
    request: &ExcerptRequest,
) -> Result<Excerpt, ReportError> {
    let (montage, derivations) = derivations(view, &options.montage);
    let mut matrix = DerivationMatrix::new(&derivations, view.channels);
    let kinds: Vec<ChannelKind> = derivations
        .iter()
        .map(|derivation| derivation.kind)
        .collect();
    let mut filter = DisplayFilter::new(view.rate_hz, &kinds, FilterSettings::default_for)
        .map_err(computed("design the display filters"))?;
    let seconds = options.excerpt_s.clamp(0.1, 60.0);
    let first = view
        .recording
        .index_at(view.index, request.start)
        .map_err(recorded("find a time in the recording"))?
        .unwrap_or(0);
    let len = (seconds * view.rate_hz).round() as usize;
    let warm_up = (filter.warm_up_s() * view.rate_hz).ceil() as u64;
    let mut values = vec![vec![f32::NAN; len]; derivations.len()];
    let end = first + len as u64;
    let pieces = view
        .recording
        .read(view.index, first.saturating_sub(warm_up)..end);
    let mut next = None;
    let mut rows = Vec::new();
    for piece in pieces.map_err(recorded("read an excerpt"))? {
        if next.is_some_and(|next| next != piece.first_index) {
            filter.gap();
        }
        let block = block(view, piece);
        next = Some(block.end_index());
        matrix
            .apply(&block, &mut rows)
            .map_err(computed("derive an excerpt"))?;
        filter
            .process(&mut rows, block.len)
            .map_err(computed("filter an excerpt"))?;
        if block.len == 0 {
            continue;
        }
        for (row, out) in rows.chunks_exact(block.len).zip(&mut values) {
            for (n, value) in row.iter().enumerate() {
                let index = block.first_index + n as u64;
                if (first..end).contains(&index) {
                    out[(index - first) as usize] = *value as f32;
                }
            }
        }
    }
    let until = request
        .start
        .plus_nanos((seconds * NANOS_PER_S as f64) as i64);
    Ok(Excerpt {
        title: request.title.clone(),
        start: times::stamp(request.start, view.recording.header().zone),
        duration_s: seconds,
        montage,
        filters: filters(view),
        sensitivity_uv_mm: options.sensitivity_uv_mm,
        annotations: within(annotations, request.start, until),
        gaps: gaps(&values, view.rate_hz, &derivations),
        traces: derivations
            .into_iter()
            .zip(values)
            .map(|(d, v)| trace(d, v, view.rate_hz))
            .collect(),
    })
}

/// The montage asked for; as recorded where none of its derivations has its inputs.
fn derivations(view: &View<'_>, name: &str) -> (String, Vec<ResolvedDerivation>) {
    let montage = Montage::by_name(name).or_else(|| Montage::shipped().first());
    if let Some(montage) = montage {
        let mut resolved = montage.resolve(view.channels, &[]);
        // What the recording never had is not worth a blank line, unless nearly all is blank.
        let shown = resolved
            .iter()
            .filter(|derivation| derivation.blank.is_none())
            .count();
        if shown * 2 >= resolved.len() {
            return (montage.title.clone(), resolved);
        }
        resolved
            .retain(|derivation| derivation.blank.is_none() && derivation.kind == ChannelKind::Eeg);
        if resolved.len() >= 4 {
            return (format!("{}, in part", montage.title), resolved);
        }
    }
    (
        "As recorded".to_owned(),
        signal::as_recorded(view.channels, &[]),
    )
}

fn trace(derivation: ResolvedDerivation, values_uv: Vec<f32>, rate_hz: f64) -> Trace {
    Trace {
        label: derivation.label,
        chain: derivation.chain,
        colour: match derivation.colour {
            ColourHint::Left => TraceColour::Left,
            ColourHint::Right => TraceColour::Right,
            ColourHint::Midline => TraceColour::Midline,
            ColourHint::Ecg => TraceColour::Ecg,
            ColourHint::Other => TraceColour::Other,
        },
        rate_hz,
        values_uv,
        blank: derivation.blank.map(|blank| blank.to_string()),
    }
}

/// The filters of the kinds that are shown, in words.
fn filters(view: &View<'_>) -> String {
    let mut kinds: Vec<ChannelKind> = Vec::new();
    for channel in view
        .channels
        .iter()
        .filter(|channel| channel.kind.is_potential())
    {
        if !kinds.contains(&channel.kind) {
            kinds.push(channel.kind);
        }
    }
    let words = |hz: Option<f64>| hz.map_or_else(|| "off".to_owned(), |hz| format!("{hz} Hz"));
    let texts: Vec<String> = kinds
        .into_iter()
        .map(|kind| {
            let settings = FilterSettings::default_for(kind);
            format!(
                "{}: LFF {}, HFF {}, notch {}",
                format!("{kind:?}").to_uppercase(),
                words(settings.lff_hz),
                words(settings.hff_hz),
                words(settings.notch_hz)
            )
        })
        .collect();
    texts.join("; ")
}

fn within(annotations: &[Annotation], start: UtcNanos, until: UtcNanos) -> Vec<(f64, String)> {
    annotations
        .iter()
        .filter(|annotation| (start..until).contains(&annotation.onset))
        .map(|annotation| {
            (
                annotation.onset.seconds_since(start),
                annotation.text.clone(),
            )
        })
        .collect()
}

/// Where a trace that is not blank has no samples, as seconds after the start.
#[allow(clippy::cast_precision_loss)] // a page's samples
fn gaps(values: &[Vec<f32>], rate_hz: f64, derivations: &[ResolvedDerivation]) -> Vec<(f64, f64)> {
    let shown = derivations
        .iter()
        .position(|derivation| derivation.blank.is_none());
    let Some(row) = shown.and_then(|row| values.get(row)) else {
        return Vec::new();
    };
    let mut gaps = Vec::new();
    let mut from = None;
    for (n, value) in row.iter().chain([&0.0]).enumerate() {
        match (value.is_nan() && n < row.len(), from) {
            (true, None) => from = Some(n),
            (false, Some(start)) => {
                gaps.push((start as f64 / rate_hz, n as f64 / rate_hz));
                from = None;
            }
            _ => {}
        }
    }
    gaps
}
