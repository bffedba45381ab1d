//! A stretch of a recording: the same rows, filters and messages as a live feed has.

use crate::error::{Error, ErrorKind, Result};
use crate::limits::{
    LONGEST_PAGE_S, MAX_PAGE_COLUMNS, MAX_PAGE_S, MAX_VIEW_PAIRS, MIN_PAGE_S, PAGE_MOST_VALUES,
    PAGE_VALUES,
};
use crate::view::columns::{Chunk, IndexColumns, Ratio, TimeColumns};
use crate::view::hub::is_regular;
use crate::view::messages::{
    Envelope, MarkView, OpenGap, StreamRows, ViewDescription, ViewMessage,
};
use crate::view::plan::{Plan, Rendering, StreamPlan, ViewSpec};
use dsp::FilterSettings;
use recording::{Piece, Recording};
use signal::{StreamDescription, StreamIndex, UtcNanos};

/// Which stretch, how wide, and what of it.
#[derive(Debug, Clone, PartialEq)]
pub struct PageRequest {
    /// Montage and filters.
    pub spec: ViewSpec,
    /// Begin; the recording's when absent.
    pub from: Option<UtcNanos>,
    /// Length, s; up to the recording's end when absent.
    pub duration_s: Option<f64>,
    /// Columns.
    pub columns: u32,
}

/// What a page of the overview says of itself.
const OVERVIEW_NOTE: &str = "overview: channels as recorded, unfiltered";

/// A stretch of time in columns.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    from: UtcNanos,
    duration_ns: i64,
    columns: usize,
}

impl Stretch {
    const fn end(&self) -> UtcNanos {
        self.from.plus_nanos(self.duration_ns)
    }

    fn seconds(&self) -> f64 {
        self.duration_ns as f64 / 1e9
    }

    /// Whether a stream has fewer samples here than there are columns.
    fn is_sparse(&self, rate: signal::SamplingRate) -> bool {
        let hz = rate.as_hz().unwrap_or(f64::INFINITY);
        hz * self.seconds() < self.columns as f64
    }
}

/// The page's messages, in order; the last is the end.
///
/// # Errors
/// A request that makes no sense or is too great; a damaged recording.
pub(crate) fn render(recording: &Recording, request: &PageRequest) -> Result<Vec<ViewMessage>> {
    let (begin, end) = bounds(recording)?;
    let stretch = stretch(request, begin, end)?;
    let streams = crate::relabel::streams_at(recording, stretch.from);
    let mut plan = Plan::new(&request.spec, &streams)?;
    let overview = is_too_long(&plan, recording, &stretch);
    if overview {
        plan = overview_plan(request, &streams)?;
    }
    if plan.rows().saturating_mul(stretch.columns) > MAX_VIEW_PAIRS {
        return Err(Error::new(
            ErrorKind::Invalid,
            format!(
                "{} rows in {} columns are too much at once",
                plan.rows(),
                stretch.columns
            ),
            "Ask for fewer columns.",
        ));
    }
    let mut messages = vec![ViewMessage::Description(Box::new(describe(
        &plan,
        recording,
        (begin, end),
        overview,
    )))];
    for stream in &plan.streams {
        let description = &recording.streams()[usize::from(stream.stream.0)];
        let drawn = if overview && is_regular(stream.rate) && !stretch.is_sparse(stream.rate) {
            from_overview(recording, description, stream, &stretch)?
        } else if is_regular(stream.rate) && stretch.is_sparse(stream.rate) {
            by_sample(recording, stream, &stretch)?
        } else {
            by_time(recording, description, stream, &stretch)?
        };
        messages.extend(drawn.into_iter().map(ViewMessage::Columns));
    }
    messages.extend(gaps(recording, &stretch).map(ViewMessage::Gap));
    messages.extend(
        marks(recording, stretch.from, stretch.end()).map(|mark| ViewMessage::Mark(Box::new(mark))),
    );
    messages.push(ViewMessage::End);
    Ok(messages)
}

/// First sample and end of the recording; its creation when nothing is recorded.
pub(crate) fn bounds(recording: &Recording) -> Result<(UtcNanos, UtcNanos)> {
    let mut found: Option<(UtcNanos, UtcNanos)> = None;
    for index in 0..recording.streams().len() {
        let stream = StreamIndex(u16::try_from(index).unwrap_or(u16::MAX));
        let runs = recording.runs(stream)?;
        let (Some(first), Some(last)) = (runs.first(), runs.last()) else {
            continue;
        };
        let end = recording.end_time(stream, last.end_index);
        let end = end.unwrap_or(last.start);
        let (begin, known) = found.unwrap_or((first.start, end));
        found = Some((begin.min(first.start), known.max(end)));
    }
    let created = recording.header().created;
    Ok(found.unwrap_or((created, created)))
}

fn stretch(request: &PageRequest, begin: UtcNanos, end: UtcNanos) -> Result<Stretch> {
    let invalid = |message: &str| Error::new(ErrorKind::Invalid, message, "");
    if request.columns == 0 || request.columns > MAX_PAGE_COLUMNS {
        let message = format!("a page has 1 to {MAX_PAGE_COLUMNS} columns");
        return Err(invalid(&message));
    }
    let from = request.from.unwrap_or(begin);
    let least_ns = (MIN_PAGE_S * 1e9) as i64;
    let duration_ns = match request.duration_s {
        Some(s) if s.is_finite() && (MIN_PAGE_S..=MAX_PAGE_S).contains(&s) => {
            (s * 1e9).round() as i64
        }
        Some(_) => {
            return Err(invalid(
                "the page's length is no sensible number of seconds",
            ));
        }
        None => end.nanos_since(from).max(least_ns),
    };
    if from.0.checked_add(duration_ns).is_none() {
        return Err(invalid("the page's begin is no sensible time"));
    }
    Ok(Stretch {
        from,
        duration_ns,
        columns: request.columns as usize,
    })
}

/// Whether the samples are too many to be derived and filtered while someone waits.
fn is_too_long(plan: &Plan, recording: &Recording, stretch: &Stretch) -> bool {
    let values: f64 = (plan.streams.iter())
        .map(|stream| {
            let channels = recording.streams()[usize::from(stream.stream.0)]
                .channels
                .len();
            channels as f64 * stream.rate.as_hz().unwrap_or(0.0) * stretch.seconds()
        })
        .sum();
    let limit = if stretch.seconds() <= LONGEST_PAGE_S {
        PAGE_MOST_VALUES
    } else {
        PAGE_VALUES
    };
    values > limit as f64
}

/// Every channel as recorded, without filters: what minima and maxima of the overview can show.
fn overview_plan(request: &PageRequest, streams: &[StreamDescription]) -> Result<Plan> {
    let mut spec = ViewSpec::as_recorded();
    let defaults = crate::view::plan::default_filters();
    let kinds = defaults.keys().chain(request.spec.filters.keys());
    spec.filters = kinds
        .map(|kind| (kind.clone(), FilterSettings::OFF))
        .collect();
    let mut plan = Plan::new(&spec, streams)?;
    plan.notes = vec![OVERVIEW_NOTE.to_owned()];
    Ok(plan)
}

fn describe(
    plan: &Plan,
    recording: &Recording,
    (begin, end): (UtcNanos, UtcNanos),
    overview: bool,
) -> ViewDescription {
    let header = recording.header();
    ViewDescription {
        montage: plan.montage.clone(),
        title: plan.title.clone(),
        reference: plan.reference.clone(),
        filters: plan.filters.clone(),
        notes: plan.notes.clone(),
        overview,
        provenance: header.provenance,
        begin,
        end,
        zone: header.zone,
        streams: rows(plan),
    }
}

/// The plan's rows as a description lists them.
pub(crate) fn rows(plan: &Plan) -> Vec<StreamRows> {
    let of = |stream: &StreamPlan| StreamRows {
        stream: stream.stream,
        name: stream.name.clone(),
        rate_hz: stream.rate.as_hz().unwrap_or(0.0),
        rows: stream.rows.clone(),
    };
    plan.streams.iter().map(of).collect()
}

/// Feeds every recorded piece that stands in the stretch, and what the filters need before it, to
/// `take`; the flag says that something is missing before the piece.
fn pieces(
    recording: &Recording,
    plan: &StreamPlan,
    stretch: &Stretch,
    warm_up: u64,
    mut take: impl FnMut(Piece, bool) -> Result<()>,
) -> Result<()> {
    let Some(range) = recording.indices_between(plan.stream, stretch.from, stretch.end())? else {
        return Ok(());
    };
    let runs = recording.runs(plan.stream)?;
    let begins = |index: u64| {
        runs.binary_search_by_key(&index, |run| run.first_index)
            .is_ok()
    };
    let mut next = None;
    let range = range.start.saturating_sub(warm_up)..range.end;
    for piece in recording.pieces(plan.stream, range)? {
        let piece = piece?;
        let broken = next.is_some_and(|next| next != piece.first_index || begins(next));
        next = Some(piece.first_index + piece.len as u64);
        take(piece, broken)?;
    }
    Ok(())
}

/// Columns of equal time.
fn by_time(
    recording: &Recording,
    description: &StreamDescription,
    plan: &StreamPlan,
    stretch: &Stretch,
) -> Result<Vec<Envelope>> {
    let mut rendering = Rendering::new(plan)?;
    let warm_up = rendering.warm_up(plan.rate);
    let mut canvas = TimeColumns::new(
        plan.rows.len(),
        stretch.columns,
        stretch.from,
        stretch.duration_ns,
    );
    pieces(recording, plan, stretch, warm_up, |piece, broken| {
        if broken {
            rendering.gap();
        }
        let values = rendering.apply(&piece.samples, piece.len)?;
        canvas.put(values, piece.len, |sample| {
            time_in(description, &piece, sample)
        });
        Ok(())
    })?;
    Ok(canvas.envelopes(plan.stream))
}

/// UTC of one of a piece's samples.
fn time_in(description: &StreamDescription, piece: &Piece, sample: usize) -> UtcNanos {
    match (piece.stamps.first(), piece.stamps.get(sample)) {
        (Some(first), Some(stamp)) => piece.start.plus_nanos(stamp - first),
        _ => piece
            .start
            .plus_nanos(description.rate.nanos_of(sample as u64)),
    }
}

/// A column a sample, where there are fewer samples than columns.
fn by_sample(recording: &Recording, plan: &StreamPlan, stretch: &Stretch) -> Result<Vec<Envelope>> {
    let mut columns = IndexColumns::new(plan, Ratio::SAMPLES, 0.0)?;
    let warm_up = columns.warm_up();
    pieces(recording, plan, stretch, warm_up, |piece, broken| {
        if broken {
            columns.gap(false);
        }
        let ahead = |time: UtcNanos| {
            let nanos = time.nanos_since(piece.start);
            // The first sample that does not stand before `time`.
            let near = plan.rate.index_at(nanos);
            let before = plan.rate.nanos_of(near) < nanos;
            usize::try_from(near + u64::from(before)).unwrap_or(usize::MAX)
        };
        let (from, to) = (ahead(stretch.from), ahead(stretch.end()));
        columns.push(&Chunk {
            samples: &piece.samples,
            len: piece.len,
            first_index: piece.first_index,
            time: piece.start,
            stamps: &piece.stamps,
            show: from.min(piece.len)..to.min(piece.len),
        })
    })?;
    columns.flush();
    let mut envelopes: Vec<Envelope> = columns.drain().collect();
    for envelope in &mut envelopes {
        let ahead = envelope.time.nanos_since(stretch.from) as f64;
        envelope.first_column = (ahead / envelope.column_ns).round().max(0.0) as u64;
    }
    Ok(envelopes)
}

/// Columns from the overview: least and greatest of each channel, as recorded.
fn from_overview(
    recording: &Recording,
    description: &StreamDescription,
    plan: &StreamPlan,
    stretch: &Stretch,
) -> Result<Vec<Envelope>> {
    let drawn = recording.overview_between(
        plan.stream,
        (stretch.from, stretch.duration_ns),
        stretch.columns,
    )?;
    let columns = stretch.columns;
    let mut canvas = TimeColumns::new(plan.rows.len(), columns, stretch.from, stretch.duration_ns);
    for (row, channel) in description.channels.iter().enumerate() {
        let factor = channel.unit.microvolts().unwrap_or(1.0);
        let value =
            |raw: f64| (raw * (channel.scale.gain * factor) + channel.scale.offset * factor) as f32;
        let range = row * columns..(row + 1) * columns;
        let pairs = drawn.min[range.clone()].iter().zip(&drawn.max[range]);
        for (column, (least, greatest)) in pairs.enumerate() {
            // A negative gain turns them round; NaN stays.
            let (one, other) = (value(*least), value(*greatest));
            canvas.set(row, column, one.min(other), one.max(other));
        }
    }
    Ok(canvas.envelopes(plan.stream))
}

fn gaps<'a>(
    recording: &Recording,
    stretch: &'a Stretch,
) -> impl Iterator<Item = OpenGap> + use<'a> {
    let known = recording.gaps().into_iter().map(|known| known.gap);
    let touching = move |gap: &signal::Gap| gap.from < stretch.end() && gap.until >= stretch.from;
    known
        .filter(touching)
        .map(|gap| OpenGap { gap, open: false })
}

/// Marks that stand and touch a stretch.
pub(crate) fn marks(
    recording: &Recording,
    from: UtcNanos,
    until: UtcNanos,
) -> impl Iterator<Item = MarkView> + use<> {
    let standing = recording.standing_annotations();
    let touching = move |annotation: &signal::Annotation| {
        let end = annotation
            .onset
            .plus_nanos(annotation.duration_ns.unwrap_or(0));
        annotation.onset < until && end >= from
    };
    standing
        .into_iter()
        .filter(touching)
        .map(|annotation| MarkView {
            annotation,
            superseded_by: None,
        })
}
