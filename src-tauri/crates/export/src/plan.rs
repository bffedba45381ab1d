//! Which streams share a file, and how runs of unbroken samples become data records.
//!
//! A file's records all last equally long and hold whole samples of every rate. A run therefore
//! becomes one file where some record duration divides it; otherwise a main file and a tail file
//! whose one record lasts exactly as long as what is left. No sample is padded or left out.

use crate::Continuity;
use crate::duration::{self, Grid, Rate};
use crate::limits::{MAX_RECORD_BYTES, RECORD_MAX_US, TAIL_TARGET_US};
use crate::source::Run;
use signal::{NANOS_PER_S, UtcNanos};

/// A stream that can be written.
#[derive(Debug)]
pub(crate) struct StreamPlan {
    pub(crate) rate: Rate,
    pub(crate) runs: Vec<Run>,
    pub(crate) channels: u64,
    /// Needs 24 bits.
    pub(crate) wide: bool,
}

/// Samples of one stream within a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member {
    /// Position of the stream in the list of [`StreamPlan`]s.
    pub(crate) stream: usize,
    pub(crate) per_record: u64,
}

/// Contiguous records of a file.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    /// First sample index of each member.
    pub(crate) first: Vec<u64>,
    pub(crate) records: u64,
    /// Fitted time of the first sample, and of the one after the last.
    pub(crate) start: UtcNanos,
    pub(crate) end: UtcNanos,
    /// How long it lasts at the nominal rate, ns.
    pub(crate) nominal_ns: i64,
}

/// One file with samples.
#[derive(Debug, Clone)]
pub(crate) struct FilePlan {
    pub(crate) members: Vec<Member>,
    pub(crate) duration: String,
    /// Record duration in ticks of 100 ns.
    pub(crate) ticks: i64,
    pub(crate) rate_error: f64,
    pub(crate) oversized: bool,
    pub(crate) discontinuous: bool,
    pub(crate) segments: Vec<Segment>,
    /// Run it belongs to; `None` when it covers them all.
    pub(crate) run: Option<usize>,
    /// Whether it holds what a main file left over.
    pub(crate) tail: bool,
}

impl FilePlan {
    pub(crate) fn records(&self) -> u64 {
        self.segments.iter().map(|segment| segment.records).sum()
    }

    pub(crate) fn start(&self) -> UtcNanos {
        self.segments
            .first()
            .map_or(UtcNanos(0), |segment| segment.start)
    }
}

/// A stretch of one stream still to be placed.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    stream: usize,
    run: usize,
    /// Samples into the run.
    skip: u64,
    len: u64,
}

/// Streams that share files, as positions in the list.
pub(crate) fn groups(streams: &[StreamPlan]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for position in 0..streams.len() {
        match groups
            .iter_mut()
            .find(|group| joins(streams, group, position))
        {
            Some(group) => group.push(position),
            None => groups.push(vec![position]),
        }
    }
    groups
}

/// Whether the stream starts with the group after every gap, to half a sample of the fastest, and a
/// record duration suits them all.
fn joins(streams: &[StreamPlan], group: &[usize], position: usize) -> bool {
    let new = &streams[position];
    let fits = group.iter().all(|other| {
        let other = &streams[*other];
        let tolerance = half_sample_ns(new.rate).min(half_sample_ns(other.rate));
        new.runs.len() == other.runs.len()
            && new
                .runs
                .iter()
                .zip(&other.runs)
                .all(|(a, b)| a.start.nanos_since(b.start).abs() <= tolerance)
    });
    if !fits {
        return false;
    }
    let all: Vec<_> = group.iter().copied().chain([position]).collect();
    grid(streams, &all).is_some_and(|grid| {
        let steps = grid.preferred();
        grid.micros(steps) <= RECORD_MAX_US || !grid.oversized(steps)
    })
}

fn half_sample_ns(rate: Rate) -> i64 {
    let ns = u128::from(rate.seconds) * u128::from(NANOS_PER_S.unsigned_abs())
        / u128::from(rate.samples)
        / 2;
    i64::try_from(ns).unwrap_or(i64::MAX)
}

/// The record durations that suit `members`, at the width they need together.
pub(crate) fn grid(streams: &[StreamPlan], members: &[usize]) -> Option<Grid> {
    let width = if members.iter().any(|m| streams[*m].wide) {
        3
    } else {
        2
    };
    let rates: Vec<_> = members
        .iter()
        .map(|m| (streams[*m].rate, streams[*m].channels * width))
        .collect();
    Grid::new(&rates)
}

/// The files of one group.
pub(crate) fn files(
    streams: &[StreamPlan],
    group: &[usize],
    continuity: Continuity,
) -> Result<Vec<FilePlan>, String> {
    let runs = group
        .iter()
        .map(|s| streams[*s].runs.len())
        .max()
        .unwrap_or(0);
    let mut files = Vec::new();
    if continuity == Continuity::Discontinuous && runs > 1 {
        discontinuous(streams, group, runs, &mut files)?;
    } else {
        for run in 0..runs {
            split(streams, &stretches(streams, group, run), false, &mut files)?;
        }
    }
    Ok(files)
}

fn stretches(streams: &[StreamPlan], group: &[usize], run: usize) -> Vec<Stretch> {
    group
        .iter()
        .map(|stream| Stretch {
            stream: *stream,
            run,
            skip: 0,
            len: streams[*stream].runs[run].len,
        })
        .collect()
}

/// One file over all runs, with records that divide each of them; what no common record holds goes
/// into tails.
fn discontinuous(
    streams: &[StreamPlan],
    group: &[usize],
    runs: usize,
    files: &mut Vec<FilePlan>,
) -> Result<(), String> {
    let grid = grid(streams, group).ok_or_else(no_duration)?;
    let wholes: Vec<(u64, bool)> = (0..runs)
        .map(|run| grid.whole(&lens(&stretches(streams, group, run))))
        .collect();
    let totals: Vec<u64> = wholes.iter().map(|(steps, _)| *steps).collect();
    let steps = if wholes.iter().all(|(_, exact)| *exact) {
        grid.dividing(&totals)
    } else {
        None
    };
    let steps = steps.unwrap_or_else(|| grid.preferred());
    let mut segments = Vec::new();
    let mut rests = Vec::new();
    for (run, total) in totals.iter().enumerate() {
        let stretches = stretches(streams, group, run);
        let records = whole_records(streams, &grid, &stretches, steps, *total);
        let (taken, rest) = take(&grid, &stretches, steps, records);
        if records > 0 {
            segments.push(segment(streams, &taken, records, grid.micros(steps)));
        }
        rests.push(rest);
    }
    if !segments.is_empty() {
        files.push(FilePlan {
            discontinuous: segments.len() > 1,
            segments,
            run: None,
            ..file(&grid, group, steps)?
        });
    }
    for rest in rests {
        split(streams, &rest, true, files)?;
    }
    Ok(())
}

fn no_duration() -> String {
    "no record duration of eight characters holds whole samples at its rate".to_owned()
}

fn lens(stretches: &[Stretch]) -> Vec<u64> {
    stretches.iter().map(|stretch| stretch.len).collect()
}

/// The first `records` records of the stretches, and what is left.
fn take(
    grid: &Grid,
    stretches: &[Stretch],
    steps: u64,
    records: u64,
) -> (Vec<Stretch>, Vec<Stretch>) {
    let mut taken = Vec::new();
    let mut rest = Vec::new();
    for (position, stretch) in stretches.iter().enumerate() {
        let len = grid.samples(position, steps) * records;
        taken.push(Stretch { len, ..*stretch });
        if stretch.len > len {
            rest.push(Stretch {
                skip: stretch.skip + len,
                len: stretch.len - len,
                ..*stretch
            });
        }
    }
    (taken, rest)
}

/// Places stretches that start together: one file where a record divides them, else main and tails.
fn split(
    streams: &[StreamPlan],
    stretches: &[Stretch],
    tail: bool,
    files: &mut Vec<FilePlan>,
) -> Result<(), String> {
    if stretches.is_empty() {
        return Ok(());
    }
    let group: Vec<usize> = stretches.iter().map(|stretch| stretch.stream).collect();
    let grid = grid(streams, &group).ok_or_else(no_duration)?;
    let (total, exact) = grid.whole(&lens(stretches));
    let dividing = if exact { grid.dividing(&[total]) } else { None };
    let steps = dividing.unwrap_or_else(|| grid.preferred());
    let records = whole_records(streams, &grid, stretches, steps, total);
    let (taken, rest) = take(&grid, stretches, steps, records);
    if records > 0 {
        files.push(FilePlan {
            segments: vec![segment(streams, &taken, records, grid.micros(steps))],
            run: Some(stretches[0].run),
            tail,
            ..file(&grid, &group, steps)?
        });
    }
    if rest.is_empty() {
        Ok(())
    } else if together(streams, stretches, &rest) {
        files.push(single_record(streams, &rest, tail || records > 0)?);
        Ok(())
    } else {
        let tail = tail || records > 0;
        rest.iter()
            .try_for_each(|one| split(streams, &[*one], tail, files))
    }
}

/// Records that `total` steps fill, less those that a tail needs to be rounded by little.
fn whole_records(
    streams: &[StreamPlan],
    grid: &Grid,
    stretches: &[Stretch],
    steps: u64,
    total: u64,
) -> u64 {
    let records = total / steps;
    let (_, rest) = take(grid, stretches, steps, records);
    if !rest.is_empty() && together(streams, stretches, &rest) {
        records - lengthening(streams, grid, &rest, steps).min(records)
    } else {
        records
    }
}

/// Whether all streams are left over, and equally long.
fn together(streams: &[StreamPlan], stretches: &[Stretch], rest: &[Stretch]) -> bool {
    let lasts = |stretch: &Stretch| {
        let rate = streams[stretch.stream].rate;
        (
            u128::from(stretch.len) * u128::from(rate.seconds),
            u128::from(rate.samples),
        )
    };
    let (len, per) = lasts(&rest[0]);
    rest.len() == stretches.len()
        && rest.iter().all(|stretch| {
            let (other, other_per) = lasts(stretch);
            len * other_per == other * per
        })
}

/// Records to move into the tail, so that eight characters round its duration by little.
fn lengthening(streams: &[StreamPlan], grid: &Grid, rest: &[Stretch], steps: u64) -> u64 {
    let rate = streams[rest[0].stream].rate;
    match duration::rounded_duration(rate, rest[0].len) {
        Some((_, error)) if error > 0.0 => {
            let room = MAX_RECORD_BYTES / grid.bytes(steps).max(1);
            (TAIL_TARGET_US / grid.micros(steps)).min(room.saturating_sub(1))
        }
        _ => 0,
    }
}

fn file(grid: &Grid, group: &[usize], steps: u64) -> Result<FilePlan, String> {
    let micros = grid.micros(steps);
    Ok(FilePlan {
        members: group
            .iter()
            .enumerate()
            .map(|(position, stream)| Member {
                stream: *stream,
                per_record: grid.samples(position, steps),
            })
            .collect(),
        duration: duration::duration_text(micros).ok_or_else(no_duration)?,
        ticks: i64::try_from(micros * 10).unwrap_or(i64::MAX),
        rate_error: 0.0,
        oversized: grid.oversized(steps),
        discontinuous: false,
        segments: Vec::new(),
        run: None,
        tail: false,
    })
}

/// One record that lasts exactly as long as the stretches.
fn single_record(
    streams: &[StreamPlan],
    stretches: &[Stretch],
    tail: bool,
) -> Result<FilePlan, String> {
    let rate = streams[stretches[0].stream].rate;
    let (text, error) =
        duration::rounded_duration(rate, stretches[0].len).ok_or_else(no_duration)?;
    let nanos = nominal_ns(rate, stretches[0].len);
    Ok(FilePlan {
        members: stretches
            .iter()
            .map(|stretch| Member {
                stream: stretch.stream,
                per_record: stretch.len,
            })
            .collect(),
        duration: text,
        ticks: nanos / crate::number::NANOS_PER_TICK,
        rate_error: error,
        oversized: false,
        discontinuous: false,
        segments: vec![segment(
            streams,
            stretches,
            1,
            u64::try_from(nanos / 1_000).unwrap_or(0),
        )],
        run: Some(stretches[0].run),
        tail,
    })
}

/// How long `samples` samples last at the nominal rate, ns, rounded down.
pub(crate) fn nominal_ns(rate: Rate, samples: u64) -> i64 {
    let ns =
        u128::from(samples) * u128::from(rate.seconds) * u128::from(NANOS_PER_S.unsigned_abs())
            / u128::from(rate.samples);
    i64::try_from(ns).unwrap_or(i64::MAX)
}

fn segment(streams: &[StreamPlan], taken: &[Stretch], records: u64, micros: u64) -> Segment {
    let lead = &taken[0];
    let stream = &streams[lead.stream];
    let run = &stream.runs[lead.run];
    Segment {
        first: taken
            .iter()
            .map(|one| streams[one.stream].runs[one.run].first_index + one.skip)
            .collect(),
        records,
        start: fitted(stream.rate, run, lead.skip),
        end: fitted(stream.rate, run, lead.skip + lead.len),
        nominal_ns: i64::try_from(micros.saturating_mul(1_000).saturating_mul(records))
            .unwrap_or(i64::MAX),
    }
}

/// When sample `offset` of `run` was taken, on the line between the run's ends.
fn fitted(rate: Rate, run: &Run, offset: u64) -> UtcNanos {
    let nanos = match run.end {
        Some(end) if run.len > 0 && end > run.start => {
            let span = i128::from(end.nanos_since(run.start));
            i64::try_from(span * i128::from(offset) / i128::from(run.len)).unwrap_or(i64::MAX)
        }
        _ => nominal_ns(rate, offset),
    };
    run.start.plus_nanos(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(samples: u64, seconds: u64, runs: &[(i64, u64)]) -> StreamPlan {
        let mut first_index = 0;
        StreamPlan {
            rate: Rate { samples, seconds },
            runs: runs
                .iter()
                .map(|(start, len)| {
                    let run = Run {
                        first_index,
                        len: *len,
                        start: UtcNanos(*start),
                        end: None,
                    };
                    first_index += len;
                    run
                })
                .collect(),
            channels: 2,
            wide: false,
        }
    }

    fn placed(files: &[FilePlan], stream: usize) -> u64 {
        files
            .iter()
            .map(|file| {
                let per: u64 = file
                    .members
                    .iter()
                    .filter(|member| member.stream == stream)
                    .map(|member| member.per_record)
                    .sum();
                per * file.records()
            })
            .sum()
    }

    #[test]
    fn a_run_that_divides_is_one_file() {
        let streams = [stream(250, 1, &[(0, 2_505)])]; // 10.02 s
        let files = files(&streams, &[0], Continuity::FilePerRun).unwrap();
        assert_eq!(files.len(), 1);
        assert_eq!((files[0].rate_error, placed(&files, 0)), (0.0, 2_505));
    }

    #[test]
    fn a_run_that_does_not_divide_has_a_tail() {
        let streams = [stream(256, 1, &[(0, 256 * 100 + 3)])];
        let files = files(&streams, &[0], Continuity::FilePerRun).unwrap();
        assert_eq!(files.len(), 2);
        assert_eq!(placed(&files, 0), 256 * 100 + 3);
        assert_eq!(files[0].rate_error, 0.0);
        assert!(
            files[1].tail && files[1].rate_error < 1e-7,
            "{}",
            files[1].rate_error
        );
    }

    #[test]
    fn uneven_ends_leave_tails_of_their_own() {
        let streams = [stream(100, 1, &[(0, 1_003)]), stream(64, 5, &[(0, 128)])];
        assert_eq!(groups(&streams), [[0, 1]]);
        let files = files(&streams, &[0, 1], Continuity::FilePerRun).unwrap();
        assert_eq!((placed(&files, 0), placed(&files, 1)), (1_003, 128));
        assert_eq!(files[0].members.len(), 2);
    }

    #[test]
    fn streams_that_start_apart_stay_apart() {
        let streams = [
            stream(100, 1, &[(0, 1_000)]),
            stream(100, 1, &[(6_000_000, 1_000)]),
        ];
        assert_eq!(groups(&streams), [[0], [1]]);
    }

    #[test]
    fn a_rate_that_would_stretch_the_records_stays_apart() {
        let streams = [stream(1_000, 1, &[(0, 60_000)]), stream(1, 60, &[(0, 1)])];
        assert_eq!(groups(&streams), [[0], [1]]);
    }

    #[test]
    fn a_discontinuous_file_covers_its_runs() {
        let second = NANOS_PER_S;
        let streams = [stream(
            128,
            1,
            &[(0, 1_280), (20 * second, 640), (40 * second, 129)],
        )];
        let files = files(&streams, &[0], Continuity::Discontinuous).unwrap();
        assert_eq!(placed(&files, 0), 1_280 + 640 + 129);
        assert!(files[0].discontinuous);
        assert_eq!(files[0].segments.len(), 2);
        assert_eq!(files[1..].len(), 1);
    }
}
