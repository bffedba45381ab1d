//! What EDF+ has no place for: exact scales, gaps, annotations in full, shifted dates.

use crate::calendar::Local;
use crate::marks::Kept;
use crate::options::ExportOptions;
use crate::outcome::{Omitted, SignalFile, SignalScale};
use crate::plan::StreamPlan;
use crate::source::SourceInfo;
use recording::StreamQuality;
use serde::Serialize;
use signal::{AnnotationOrigin, Gap, GapCause, Missing, NANOS_PER_S, UtcNanos};
use std::fmt::Write as _;

/// Version of the manifest's layout.
const MANIFEST_VERSION: u32 = 1;

/// Writes dates as the export may state them: true ones where the patient is named, shifted ones
/// otherwise. Seconds count from the first sample of the export.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock<'a> {
    pub(crate) info: &'a SourceInfo,
    pub(crate) options: &'a ExportOptions,
    pub(crate) origin: UtcNanos,
}

impl Clock<'_> {
    fn seconds(&self, at: UtcNanos) -> String {
        nanos_text(at.nanos_since(self.origin))
    }

    /// Local date and time with nine decimals.
    pub(crate) fn date(&self, at: UtcNanos) -> String {
        let local = Local::new(at, self.info.zone);
        let local = match self.options.deidentification() {
            Some(how) => local.shifted(how.date_shift_days),
            None => local,
        };
        format!("{}.{:09}", local.iso(), at.0.rem_euclid(NANOS_PER_S))
    }
}

/// `nanos` as decimal seconds, exact.
fn nanos_text(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let magnitude = nanos.unsigned_abs();
    let per_s = NANOS_PER_S.unsigned_abs();
    format!("{sign}{}.{:09}", magnitude / per_s, magnitude % per_s)
}

#[derive(Serialize)]
struct Manifest<'a> {
    manifest_version: u32,
    software: &'a str,
    provenance: &'static str,
    identified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    recording_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    age_years: Option<String>,
    dates: &'static str,
    start: String,
    zone_offset_s: i32,
    digital_values: &'static str,
    files: Vec<ManifestFile<'a>>,
    runs: Vec<ManifestRun>,
    stream_quality: Vec<ManifestQuality<'a>>,
    omitted_streams: &'a [Omitted],
    dropped_annotations: usize,
    warnings: &'a [String],
}

#[derive(Serialize)]
struct ManifestFile<'a> {
    name: &'a str,
    kind: crate::FileKind,
    sha256: &'a str,
    bytes: u64,
    start: String,
    start_s: String,
    records: u64,
    record_duration_s: &'a str,
    rate_error: f64,
    streams: Vec<u16>,
    first_index_and_samples: &'a [Vec<(u64, u64)>],
    signals: &'a [SignalScale],
}

#[derive(Serialize)]
struct ManifestRun {
    stream: u16,
    first_index: u64,
    samples: u64,
    start_s: String,
    nominal_rate_hz: f64,
    /// From the fitted clock; absent where only the nominal rate is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    fitted_rate_hz: Option<f64>,
}

/// How honest a stream's time is and what it lost. The constant part of the latency is in none of it.
#[derive(Serialize)]
struct ManifestQuality<'a> {
    stream: u16,
    name: &'a str,
    nominal_rate_hz: Option<f64>,
    found_rate_hz: Option<f64>,
    drift_ppm: Option<f64>,
    jitter_ms_rms: Option<f64>,
    samples: u64,
    missing_samples: u64,
    losses: Vec<ManifestLoss>,
}

#[derive(Serialize)]
struct ManifestLoss {
    cause: &'static str,
    gaps: u64,
    missing_samples: u64,
    uncertain_gaps: u64,
}

/// A file with samples, as the manifest lists it.
pub(crate) struct Listed<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: crate::FileKind,
    pub(crate) sha256: &'a str,
    pub(crate) bytes: u64,
    pub(crate) signals: &'a SignalFile,
}

/// What the manifest needs beside the files.
pub(crate) struct Context<'a> {
    pub(crate) clock: Clock<'a>,
    pub(crate) streams: &'a [(signal::StreamIndex, &'a StreamPlan)],
    pub(crate) qualities: &'a [StreamQuality],
    pub(crate) omitted: &'a [Omitted],
    pub(crate) dropped_annotations: usize,
    pub(crate) warnings: &'a [String],
}

/// The manifest's JSON.
pub(crate) fn manifest(context: &Context<'_>, files: &[Listed<'_>]) -> serde_json::Result<Vec<u8>> {
    let clock = context.clock;
    let how = clock.options.deidentification();
    let manifest = Manifest {
        manifest_version: MANIFEST_VERSION,
        software: &clock.options.software,
        provenance: clock.info.provenance.mark().unwrap_or("DEVICE"),
        identified: how.is_none(),
        recording_id: how.is_none().then_some(clock.info.recording_id.as_str()),
        subject_code: how.map(|how| how.subject_code.as_str()),
        age_years: how.and_then(crate::Deidentification::age_text),
        dates: if how.is_some() {
            "shifted, local time"
        } else {
            "local time"
        },
        start: clock.date(clock.origin),
        zone_offset_s: clock.info.zone.0,
        digital_values: "identical for integer streams; floating-point streams are quantised within quantisation_bound",
        files: files
            .iter()
            .map(|file| manifest_file(clock, file))
            .collect(),
        runs: context
            .streams
            .iter()
            .flat_map(|(index, plan)| runs(clock, *index, plan))
            .collect(),
        stream_quality: (context.qualities.iter())
            .map(|quality| manifest_quality(clock.info, quality))
            .collect(),
        omitted_streams: context.omitted,
        dropped_annotations: context.dropped_annotations,
        warnings: context.warnings,
    };
    let mut bytes = serde_json::to_vec_pretty(&manifest)?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn manifest_file<'a>(clock: Clock<'_>, file: &Listed<'a>) -> ManifestFile<'a> {
    ManifestFile {
        name: file.name,
        kind: file.kind,
        sha256: file.sha256,
        bytes: file.bytes,
        start: clock.date(file.signals.start),
        start_s: clock.seconds(file.signals.start),
        records: file.signals.records,
        record_duration_s: &file.signals.record_duration,
        rate_error: file.signals.rate_error,
        streams: file.signals.streams.iter().map(|stream| stream.0).collect(),
        first_index_and_samples: &file.signals.ranges,
        signals: &file.signals.scales,
    }
}

fn manifest_quality<'a>(info: &'a SourceInfo, quality: &StreamQuality) -> ManifestQuality<'a> {
    let stream = info.streams.get(usize::from(quality.stream.0));
    ManifestQuality {
        stream: quality.stream.0,
        name: stream.map_or("", |stream| stream.name.as_str()),
        nominal_rate_hz: quality.nominal_hz,
        found_rate_hz: quality.found_hz,
        drift_ppm: quality.drift_ppm(),
        jitter_ms_rms: quality.jitter_ms,
        samples: quality.samples,
        missing_samples: quality.lost(),
        losses: (quality.losses.iter())
            .map(|loss| ManifestLoss {
                cause: cause(loss.cause),
                gaps: loss.gaps,
                missing_samples: loss.samples,
                uncertain_gaps: loss.uncertain,
            })
            .collect(),
    }
}

#[allow(clippy::cast_precision_loss)]
fn runs(clock: Clock<'_>, index: signal::StreamIndex, plan: &StreamPlan) -> Vec<ManifestRun> {
    plan.runs
        .iter()
        .map(|run| ManifestRun {
            stream: index.0,
            first_index: run.first_index,
            samples: run.len,
            start_s: clock.seconds(run.start),
            nominal_rate_hz: plan.rate.samples as f64 / plan.rate.seconds as f64,
            fitted_rate_hz: run
                .end
                .map(|end| end.seconds_since(run.start))
                .filter(|seconds| *seconds > 0.0)
                .map(|seconds| run.len as f64 / seconds),
        })
        .collect()
}

/// The table of gaps.
pub(crate) fn gaps(clock: Clock<'_>, gaps: &[Gap]) -> String {
    let mut out = String::from(
        "stream\tfrom_s\tuntil_s\tduration_s\tfrom\tuntil\tfirst_missing\tresumes_at\tmissing_samples\tcertainty\tcause\n",
    );
    for gap in gaps {
        let (missing, certainty) = match gap.missing {
            Missing::Exact(count) => (count.to_string(), "exact".to_owned()),
            Missing::Ambiguous { least, modulus } => (
                least.to_string(),
                format!("ambiguous: or more by multiples of {modulus}"),
            ),
            Missing::Unknown => ("n/a".to_owned(), "time only".to_owned()),
        };
        let _ = writeln!(
            out,
            "{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{missing}\t{certainty}\t{}",
            gap.stream.0,
            clock.seconds(gap.from),
            clock.seconds(gap.until),
            nanos_text(gap.until.nanos_since(gap.from)),
            clock.date(gap.from),
            clock.date(gap.until),
            gap.first_missing,
            gap.resumes_at,
            cause(gap.cause),
        );
    }
    out
}

const fn cause(cause: GapCause) -> &'static str {
    match cause {
        GapCause::Transport => "transport",
        GapCause::Disconnected => "disconnected",
        GapCause::Silence => "silence",
        GapCause::RecorderFull => "recorder_full",
        GapCause::Suspended => "suspended",
        GapCause::Restarted => "restarted",
        GapCause::Source => "source",
        GapCause::Paused => "paused",
    }
}

/// The table of annotations, texts uncut.
pub(crate) fn annotations(clock: Clock<'_>, kept: &[Kept]) -> String {
    let mut out = String::from("onset_s\tduration_s\tclock\tcode\torigin\tchannels\tdescription\n");
    for one in kept {
        let _ = writeln!(
            out,
            "{}\t{}\t{}\t{}\t{}\t{}\t{}",
            clock.seconds(one.onset),
            one.duration_ns.map_or_else(|| "n/a".to_owned(), nanos_text),
            clock.date(one.onset),
            one.code.as_deref().map_or_else(|| "n/a".to_owned(), cell),
            origin(one.origin),
            if one.channels.is_empty() {
                "n/a".to_owned()
            } else {
                cell(&one.channels.join(","))
            },
            cell(&one.text),
        );
    }
    out
}

const fn origin(origin: AnnotationOrigin) -> &'static str {
    match origin {
        AnnotationOrigin::Person => "person",
        AnnotationOrigin::Protocol => "protocol",
        AnnotationOrigin::Device => "device",
        AnnotationOrigin::Source => "source",
        AnnotationOrigin::Program => "program",
    }
}

/// A table's cell: one line, no tab.
fn cell(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// BIDS's table of files and their shifted acquisition times.
pub(crate) fn scans<'a>(
    clock: Clock<'_>,
    files: impl Iterator<Item = (&'a str, UtcNanos)>,
) -> String {
    let mut out = String::from("filename\tacq_time\n");
    for (name, start) in files {
        let _ = writeln!(out, "{name}\t{}", clock.date(start));
    }
    out
}
