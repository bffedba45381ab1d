//! An export from beginning to end.

use crate::calendar::Local;
use crate::encode::Axis;
use crate::header::{self, Header, Identification, SignalHeader};
use crate::label;
use crate::marks::{self, Kept};
use crate::outcome::{Export, ExportedFile, FileKind, SignalFile};
use crate::plan::{self, FilePlan};
use crate::records::{self, Meter};
use crate::sidecar::{self, Clock, Context, Listed};
use crate::source::{Source, SourceInfo};
use crate::stage::Stage;
use crate::survey::{self, Survey};
use crate::tal::Layout;
use crate::{ExportError, ExportOptions, Progress};
use signal::{NANOS_PER_S, StreamIndex, UtcNanos};
use std::ops::ControlFlow;
use std::path::Path;

/// One file, ready to be written.
struct Job {
    name: String,
    kind: FileKind,
    plan: FilePlan,
    signals: Vec<SignalHeader>,
    axis: Axis,
    layout: Layout,
    header: Vec<u8>,
}

impl Job {
    /// Values of all channels in one record.
    fn values(&self) -> u64 {
        self.signals.iter().map(|signal| signal.samples).sum()
    }

    fn bytes(&self) -> u64 {
        let width = if self.kind.is_bdf() { 3 } else { 2 };
        let record = self.values() * width + self.layout.bytes as u64;
        self.header.len() as u64 + record * self.plan.records()
    }
}

/// Writes `source` as EDF+ or BDF+ into the folder `destination`, with a manifest and the tables of
/// gaps and annotations beside it.
///
/// Digital values of integer streams are identical, sample for sample; a run that no record duration
/// divides is followed by a file with its tail, so that nothing is padded or cut. Files appear
/// together at the end, or not at all. `report` is called after every chunk (about 1 MiB) and may
/// stop the export.
///
/// # Errors
/// An [`ExportError`]; nothing is left behind then.
pub fn export_edf(
    source: &dyn Source,
    destination: &Path,
    options: &ExportOptions,
    report: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Export, ExportError> {
    options.check()?;
    let mut survey = survey::survey(source, options)?;
    if survey.plans.is_empty() {
        return Err(nothing(&survey));
    }
    let guarded = survey::guarded(source, options);
    let annotations = source.annotations().map_err(|source| ExportError::Source {
        operation: "read the annotations",
        source,
    })?;
    let (kept, dropped) = marks::select(annotations, options, guarded);
    let files = name_files(source.info(), options, &mut survey);
    let Some(origin) = files.iter().map(|(_, file)| file.start()).min() else {
        return Err(nothing(&survey));
    };
    let jobs = prepare(source.info(), options, &mut survey, files, &kept, origin)?;
    if !dropped.is_empty() {
        survey.warnings.push(format!(
            "{} free-text annotations left out: nobody has reviewed them for names",
            dropped.len()
        ));
    }
    let names = sidecar_names(options);
    if !options.overwrite {
        refuse_existing(destination, jobs.iter().map(|job| &job.name).chain(&names))?;
    }

    let needed = jobs.iter().map(Job::bytes).sum();
    let total = jobs
        .iter()
        .map(|job| job.values() * job.plan.records())
        .sum();
    let mut stage = Stage::new(destination, needed)?;
    let mut meter = Meter {
        done: Progress { samples: 0, total },
        report,
    };
    let mut written = Vec::new();
    for job in &jobs {
        written.push(write(source, &survey, job, &mut stage, &mut meter)?);
    }
    let clock = Clock {
        info: source.info(),
        options,
        origin,
    };
    let sidecars = Sidecars {
        clock,
        kept: &kept,
        dropped: dropped.len(),
        names: &names,
    };
    let extra = sidecars.write(source, &survey, &written, &mut stage)?;
    stage.commit(options.overwrite)?;
    tracing::info!(files = written.len(), samples = total, "export written");
    written.extend(extra);
    Ok(Export {
        files: written,
        samples: total,
        dropped_annotations: dropped,
        omitted: survey.omitted,
        warnings: survey.warnings,
        identified: options.deidentification().is_none(),
    })
}

fn nothing(survey: &Survey) -> ExportError {
    let reasons: Vec<String> = survey
        .omitted
        .iter()
        .map(|omitted| format!("stream {} {}", omitted.stream.0, omitted.reason))
        .collect();
    let reasons = if reasons.is_empty() {
        "there are no streams".to_owned()
    } else {
        reasons.join("; ")
    };
    ExportError::Nothing { reasons }
}

fn refuse_existing<'a>(
    destination: &Path,
    names: impl Iterator<Item = &'a String>,
) -> Result<(), ExportError> {
    for name in names {
        if destination.join(name).symlink_metadata().is_ok() {
            return Err(ExportError::Exists { name: name.clone() });
        }
    }
    Ok(())
}

/// Plans every group's files and names them: stream where there are several groups, run where there
/// are several runs, tail where a run has one. Groups that cannot be planned are omitted.
fn name_files(
    info: &SourceInfo,
    options: &ExportOptions,
    survey: &mut Survey,
) -> Vec<(String, FilePlan)> {
    let groups = plan::groups(&survey.plans);
    let several = groups.len() > 1;
    let mut named: Vec<(String, FilePlan)> = Vec::new();
    for group in groups {
        let mut files = match plan::files(&survey.plans, &group, options.continuity) {
            Ok(files) => files,
            Err(reason) => {
                let omitted = group.iter().map(|stream| crate::Omitted {
                    stream: survey.streams[*stream].index,
                    reason: reason.clone(),
                });
                survey.omitted.extend(omitted);
                continue;
            }
        };
        files.sort_by_key(FilePlan::start);
        let runs = survey.plans[group[0]].runs.len();
        let index = survey.streams[group[0]].index;
        let mut base = options.base_name.clone();
        if several {
            base = format!("{base}_{}", stream_name(info, index));
        }
        for file in files {
            let wide = file
                .members
                .iter()
                .any(|member| survey.plans[member.stream].wide);
            let mut name = base.clone();
            if let Some(run) = file.run
                && runs > 1
            {
                name = format!("{name}_run-{:02}", run + 1);
            }
            if file.tail {
                name.push_str("_tail");
            }
            let ending = if wide { "bdf" } else { "edf" };
            let mut full = format!("{name}.{ending}");
            let mut n = 2;
            while named.iter().any(|(taken, _)| *taken == full) {
                full = format!("{name}-{n}.{ending}");
                n += 1;
            }
            named.push((full, file));
        }
    }
    named
}

/// A stream's name for file names: its own where its words name no one, else its number.
fn stream_name(info: &SourceInfo, index: StreamIndex) -> String {
    let own = info
        .streams
        .get(usize::from(index.0))
        .map_or("", |stream| stream.name.as_str());
    let plain = own.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if !own.is_empty() && plain && own.len() <= 32 && label::harmless(own) {
        own.to_owned()
    } else {
        format!("stream-{:02}", index.0)
    }
}

fn prepare(
    info: &SourceInfo,
    options: &ExportOptions,
    survey: &mut Survey,
    files: Vec<(String, FilePlan)>,
    kept: &[Kept],
    origin: UtcNanos,
) -> Result<Vec<Job>, ExportError> {
    let mut jobs = Vec::new();
    let (mut cuts, mut changed) = (0, false);
    for (group, files) in by_group(files) {
        let sets = sets_of(&files, kept);
        tracing::debug!(stream = group, files = files.len(), "group planned");
        for ((name, file), set) in files.into_iter().zip(sets) {
            let prepared = prepare_one(info, options, survey, name, file, &set, origin)?;
            cuts += prepared.cuts;
            changed |= prepared.identification.changed;
            warn_of_file(&prepared.job, &mut survey.warnings);
            jobs.push(prepared.job);
        }
    }
    if cuts > 0 {
        survey.warnings.push(format!(
            "{cuts} annotation texts were cut in the files; the table of annotations has them in full"
        ));
    }
    if changed {
        survey.warnings.push(
            "an identification field was cut or lost characters that are not ASCII".to_owned(),
        );
    }
    Ok(jobs)
}

fn warn_of_file(job: &Job, warnings: &mut Vec<String>) {
    let name = &job.name;
    if matches!(job.kind, FileKind::EdfD | FileKind::BdfD) {
        warnings.push(format!(
            "{name} is discontinuous: common readers take it for continuous and place everything after a gap too early"
        ));
    }
    if job.plan.oversized {
        warnings.push(format!(
            "{name}: a data record holds more than the 61440 bytes that the specification recommends"
        ));
    }
    if job.plan.rate_error > 0.0 {
        warnings.push(format!(
            "{name}: its one record lasts as long as what was left over; eight characters round that by {:.1e} of itself",
            job.plan.rate_error
        ));
    }
}

/// Files of one group together, by the stream that leads it; file order is kept.
fn by_group(files: Vec<(String, FilePlan)>) -> Vec<(usize, Vec<(String, FilePlan)>)> {
    let mut groups: Vec<(usize, Vec<(String, FilePlan)>)> = Vec::new();
    for (name, file) in files {
        let streams: Vec<usize> = file.members.iter().map(|member| member.stream).collect();
        let known = groups.iter_mut().find(|(_, others)| {
            others.iter().any(|(_, other): &(String, FilePlan)| {
                other
                    .members
                    .iter()
                    .any(|member| streams.contains(&member.stream))
            })
        });
        match known {
            Some((_, others)) => others.push((name, file)),
            None => groups.push((streams[0], vec![(name, file)])),
        }
    }
    groups
}

/// Every group carries all annotations, so that each of its files can be read alone. A file over all
/// runs takes them all.
fn sets_of<'a>(files: &[(String, FilePlan)], kept: &'a [Kept]) -> Vec<Vec<&'a Kept>> {
    if let Some(whole) = files.iter().position(|(_, file)| file.run.is_none()) {
        let mut sets = vec![Vec::new(); files.len()];
        sets[whole] = kept.iter().collect();
        return sets;
    }
    let starts: Vec<UtcNanos> = files.iter().map(|(_, file)| file.start()).collect();
    marks::divide(&starts, kept)
}

struct Prepared {
    job: Job,
    cuts: usize,
    identification: Identification,
}

fn prepare_one(
    info: &SourceInfo,
    options: &ExportOptions,
    survey: &Survey,
    name: String,
    plan: FilePlan,
    set: &[&Kept],
    origin: UtcNanos,
) -> Result<Prepared, ExportError> {
    let wide = plan
        .members
        .iter()
        .any(|member| survey.plans[member.stream].wide);
    let kind = FileKind::new(wide, plan.discontinuous);
    // The header counts whole seconds; the first record's onset has the rest.
    let second = UtcNanos(plan.start().0.div_euclid(NANOS_PER_S) * NANOS_PER_S);
    let mut start = Local::new(second, info.zone);
    if options.deidentification().is_some() {
        start = start.anonymised(Local::new(origin, info.zone));
    }
    let axis = Axis::new(&plan, second);
    let (marks, cuts) = marks::on_axis(set, &axis);
    let width = if wide { 3 } else { 2 };
    let layout = Layout::new(
        &marks,
        plan.records(),
        width,
        |record| axis.onset(record),
        |onset| axis.record(onset),
    );
    let mut signals = Vec::new();
    for member in &plan.members {
        for signal in &survey.streams[member.stream].signals {
            signals.push(SignalHeader {
                samples: member.per_record,
                ..signal.clone()
            });
        }
    }
    let identification = header::identification(info, options, start);
    let header = Header {
        kind,
        identification: &identification,
        start,
        records: plan.records(),
        duration: &plan.duration,
        signals: &signals,
        annotation_samples: (layout.bytes / width) as u64,
    };
    let header = header.bytes().ok_or_else(|| ExportError::Option {
        option: "recording",
        reason: format!("{name} needs more digits or signals than a header holds"),
    })?;
    Ok(Prepared {
        job: Job {
            name,
            kind,
            plan,
            signals,
            axis,
            layout,
            header,
        },
        cuts,
        identification,
    })
}

fn write(
    source: &dyn Source,
    survey: &Survey,
    job: &Job,
    stage: &mut Stage,
    meter: &mut Meter<'_>,
) -> Result<ExportedFile, ExportError> {
    let mut file = stage.create(&job.name)?;
    file.write(&job.header)?;
    records::write(
        source,
        &job.plan,
        &survey.streams,
        (&job.axis, &job.layout),
        job.kind.is_bdf(),
        &mut file,
        meter,
    )?;
    let (bytes, sha256) = file.finish()?;
    let ranges = job
        .plan
        .members
        .iter()
        .enumerate()
        .map(|(position, member)| {
            let stretch = |segment: &plan::Segment| {
                (segment.first[position], member.per_record * segment.records)
            };
            job.plan.segments.iter().map(stretch).collect()
        })
        .collect();
    Ok(ExportedFile {
        kind: job.kind,
        path: stage.path(&job.name),
        name: job.name.clone(),
        bytes,
        sha256,
        signals: Some(SignalFile {
            streams: job
                .plan
                .members
                .iter()
                .map(|m| survey.streams[m.stream].index)
                .collect(),
            ranges,
            start: job.plan.start(),
            records: job.plan.records(),
            record_duration: job.plan.duration.clone(),
            rate_error: job.plan.rate_error,
            scales: job
                .signals
                .iter()
                .map(|signal| signal.scale.clone())
                .collect(),
        }),
    })
}

fn sidecar_names(options: &ExportOptions) -> Vec<String> {
    let base = &options.base_name;
    let mut names = vec![
        format!("{base}.json"),
        format!("{base}_gaps.tsv"),
        format!("{base}_annotations.tsv"),
    ];
    if options.deidentification().is_some() {
        names.push(format!("{base}_scans.tsv"));
    }
    names
}

struct Sidecars<'a> {
    clock: Clock<'a>,
    kept: &'a [Kept],
    dropped: usize,
    names: &'a [String],
}

impl Sidecars<'_> {
    fn write(
        &self,
        source: &dyn Source,
        survey: &Survey,
        files: &[ExportedFile],
        stage: &mut Stage,
    ) -> Result<Vec<ExportedFile>, ExportError> {
        let gaps = source.gaps().map_err(|source| ExportError::Source {
            operation: "read the gaps",
            source,
        })?;
        let streams: Vec<_> = survey
            .streams
            .iter()
            .map(|stream| stream.index)
            .zip(&survey.plans)
            .collect();
        let mut qualities = Vec::new();
        for (index, _) in &streams {
            let quality = source
                .quality(*index)
                .map_err(|source| ExportError::Source {
                    operation: "judge a stream's clock",
                    source,
                })?;
            qualities.extend(quality);
        }
        let context = Context {
            clock: self.clock,
            streams: &streams,
            qualities: &qualities,
            omitted: &survey.omitted,
            dropped_annotations: self.dropped,
            warnings: &survey.warnings,
        };
        let listed: Vec<Listed<'_>> = files
            .iter()
            .filter_map(|file| {
                Some(Listed {
                    name: &file.name,
                    kind: file.kind,
                    sha256: &file.sha256,
                    bytes: file.bytes,
                    signals: file.signals.as_ref()?,
                })
            })
            .collect();
        let manifest = sidecar::manifest(&context, &listed).map_err(|error| ExportError::Io {
            operation: "write",
            name: self.names[0].clone(),
            source: error.into(),
        })?;
        let starts = listed.iter().map(|file| (file.name, file.signals.start));
        let contents = [
            (FileKind::Manifest, manifest),
            (
                FileKind::Gaps,
                sidecar::gaps(self.clock, &gaps).into_bytes(),
            ),
            (
                FileKind::Annotations,
                sidecar::annotations(self.clock, self.kept).into_bytes(),
            ),
            (
                FileKind::Scans,
                sidecar::scans(self.clock, starts).into_bytes(),
            ),
        ];
        // An identified export has no shifted dates to tell, and so one name fewer.
        self.names
            .iter()
            .zip(contents)
            .map(|(name, (kind, content))| {
                let mut file = stage.create(name)?;
                file.write(&content)?;
                let (bytes, sha256) = file.finish()?;
                Ok(ExportedFile {
                    kind,
                    path: stage.path(name),
                    name: name.clone(),
                    bytes,
                    sha256,
                    signals: None,
                })
            })
            .collect()
    }
}
