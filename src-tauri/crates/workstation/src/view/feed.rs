//! The live feed of a running session: history first, then what comes, on a thread of its own.

use crate::error::{Error, ErrorKind, Result};
use crate::limits::{MAX_COLUMNS_PER_S, MAX_HISTORY_S, MAX_VIEW_PAIRS, MIN_COLUMNS_PER_S};
use crate::view::columns::{Chunk, IndexColumns, Ratio};
use crate::view::hub::{Hub, Item, Joined};
use crate::view::messages::{
    MarkView, OpenGap, Outbox, ViewDescription, ViewMessage, ViewMessages, outbox,
};
use crate::view::page;
use crate::view::plan::{Plan, ViewSpec};
use crate::view::shelf::Kept;
use recording::{Provenance, Recording};
use signal::{Gap, SampleBlock, StreamDescription, StreamIndex, UtcNanos, ZoneOffset};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What a feed shows, and how finely.
#[derive(Debug, Clone, PartialEq)]
pub struct FeedRequest {
    /// Montage and filters.
    pub spec: ViewSpec,
    /// Columns a second.
    pub columns_per_s: f64,
    /// History to begin with, s.
    pub history_s: f64,
}

/// The running session that is shown.
pub(crate) struct Source {
    pub(crate) hub: Arc<Hub>,
    /// The session's streams under the labels that hold now.
    pub(crate) streams: Vec<StreamDescription>,
    pub(crate) provenance: Provenance,
    pub(crate) zone: ZoneOffset,
    /// When this start of the session began.
    pub(crate) started: UtcNanos,
    /// Whether something was recorded before this start.
    pub(crate) resumed: bool,
    /// Opens the recording, or finds it open; looked at anew each time.
    pub(crate) journal: Box<dyn Fn() -> Result<Arc<Kept>> + Send>,
}

/// Opens a feed. It runs until the session ends or the messages are dropped.
///
/// # Errors
/// A request that makes no sense or is too great; the session has ended.
pub(crate) fn open(source: Source, request: &FeedRequest) -> Result<ViewMessages> {
    let plan = checked(&source, request)?;
    let mut streams = Vec::new();
    for stream in &plan.streams {
        let ratio = Ratio::new(request.columns_per_s, stream.rate);
        streams.push(IndexColumns::new(
            stream,
            ratio,
            1e9 / request.columns_per_s,
        )?);
    }
    // Joined here, so that a client that has its feed misses nothing from now on.
    let joined = source.hub.join()?;
    let (send, receive) = outbox();
    let feed = Feed {
        source,
        plan,
        streams,
        show_from: Vec::new(),
        history_s: request.history_s,
        told: Vec::new(),
        joined,
        send,
    };
    std::thread::Builder::new()
        .name("display".to_owned())
        .spawn(move || feed.run())
        .map_err(|error| Error::internal("start a display feed", &error))?;
    Ok(receive)
}

fn checked(source: &Source, request: &FeedRequest) -> Result<Plan> {
    let invalid = |message: String| Error::new(ErrorKind::Invalid, message, "");
    let columns = request.columns_per_s;
    if !(MIN_COLUMNS_PER_S..=MAX_COLUMNS_PER_S).contains(&columns) {
        return Err(invalid(format!(
            "a feed has {MIN_COLUMNS_PER_S} to {MAX_COLUMNS_PER_S} columns a second"
        )));
    }
    if !(0.0..=MAX_HISTORY_S).contains(&request.history_s) {
        return Err(invalid(format!(
            "a feed begins with 0 to {MAX_HISTORY_S} s of history"
        )));
    }
    let plan = Plan::new(&request.spec, &source.streams)?;
    let pairs = |stream: &crate::view::plan::StreamPlan| {
        let hz = stream.rate.as_hz().unwrap_or(0.0).min(columns);
        hz * request.history_s * stream.rows.len() as f64
    };
    if plan.streams.iter().map(pairs).sum::<f64>() > MAX_VIEW_PAIRS as f64 {
        return Err(invalid(
            "so much history of so many rows is too much at once".to_owned(),
        ));
    }
    Ok(plan)
}

struct Feed {
    source: Source,
    plan: Plan,
    streams: Vec<IndexColumns>,
    /// By stream of the plan: first index that is shown.
    show_from: Vec<u64>,
    history_s: f64,
    /// Marks that came with the history; the journal may know them before the hub tells.
    told: Vec<MarkView>,
    joined: Joined,
    send: Outbox,
}

impl Feed {
    fn run(mut self) {
        match self.history() {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => tracing::error!(%error, "a display feed ends"),
        }
        loop {
            let (item, dropped) = self.joined.next(Duration::from_secs(1));
            if dropped > 0 {
                self.send.count_dropped(dropped);
            }
            let told = match item {
                None => !self.send.is_closed(),
                Some(Item::Block(block, time)) => self.block(&block, time),
                Some(Item::Gap(open)) => self.gap(&open) && self.send.put(ViewMessage::Gap(open)),
                Some(Item::Mark(mark)) if self.told.contains(&mark) => true,
                Some(Item::Mark(mark)) => {
                    self.send.put(ViewMessage::Mark(Box::new((*mark).clone())))
                }
                Some(Item::Ended) => {
                    self.end();
                    return;
                }
            };
            if !told {
                return;
            }
        }
    }

    fn end(&mut self) {
        for at in 0..self.streams.len() {
            self.streams[at].flush();
            self.send_columns(at, false);
        }
        self.send.put(ViewMessage::End);
    }

    /// Position in the plan of a stream.
    fn place(&self, stream: StreamIndex) -> Option<usize> {
        self.plan
            .streams
            .iter()
            .position(|plan| plan.stream == stream)
    }

    fn block(&mut self, block: &SampleBlock, time: UtcNanos) -> bool {
        match self.place(block.stream) {
            Some(at) => self.push(at, block, time) && self.send_columns(at, false),
            None => true,
        }
    }

    fn push(&mut self, at: usize, block: &SampleBlock, time: UtcNanos) -> bool {
        let hidden = self.show_from[at].saturating_sub(block.first_index);
        let chunk = Chunk {
            samples: &block.samples,
            len: block.len,
            first_index: block.first_index,
            time,
            stamps: &block.stamps,
            show: usize::try_from(hidden).unwrap_or(usize::MAX).min(block.len)..block.len,
        };
        let pushed = self.streams[at].push(&chunk);
        if let Err(error) = &pushed {
            tracing::error!(%error, "a display feed ends");
        }
        pushed.is_ok()
    }

    fn gap(&mut self, open: &OpenGap) -> bool {
        if let Some(at) = self.place(open.gap.stream)
            && !open.open
        {
            let in_index = open.gap.resumes_at > open.gap.first_missing;
            self.streams[at].gap(in_index);
            return self.send_columns(at, false);
        }
        true
    }

    fn send_columns(&mut self, at: usize, history: bool) -> bool {
        let mut told = true;
        for mut envelope in self.streams[at].drain() {
            envelope.history = history;
            told &= self.send.put(ViewMessage::Columns(envelope));
        }
        told
    }

    /// Description and history; `false` when the client has gone meanwhile.
    fn history(&mut self) -> Result<bool> {
        let held = std::mem::take(&mut self.joined.held);
        let wanted = self.wanted(&held);
        let behind = wanted.iter().any(|stream| stream.needs_journal());
        let journal = if self.source.resumed || behind {
            match (self.source.journal)() {
                Ok(kept) => Some(kept),
                Err(error) => {
                    // What is in memory is shown all the same.
                    tracing::warn!(%error, "a display's history cannot be read from the journal");
                    None
                }
            }
        } else {
            None
        };
        let recorded = journal.as_ref().map(|kept| kept.read());
        let recorded = recorded.as_deref();
        if !self.send.put(self.description(recorded)) {
            return Ok(false);
        }
        self.show_from = wanted.iter().map(|stream| stream.show_from).collect();
        for (at, wanted) in wanted.iter().enumerate() {
            if let Some(recorded) = recorded
                && let Err(error) = self.replay(at, wanted, recorded)
            {
                tracing::warn!(%error, "a part of a display's history cannot be read");
            }
            let stream = self.plan.streams[at].stream;
            for item in &held {
                let pushed = match item {
                    Item::Block(block, time) if block.stream == stream => {
                        self.push(at, block, *time)
                    }
                    Item::Gap(open) if open.gap.stream == stream => {
                        let in_index = open.gap.resumes_at > open.gap.first_missing;
                        self.streams[at].gap(in_index);
                        true
                    }
                    _ => true,
                };
                if !pushed {
                    return Ok(false);
                }
            }
            if !self.send_columns(at, true) {
                return Ok(false);
            }
        }
        let gaps = held.iter().filter_map(|item| match item {
            Item::Gap(open) => Some(open.gap),
            _ => None,
        });
        Ok(self.past(gaps.collect(), recorded))
    }

    /// What of each stream is shown and read, by what is held.
    fn wanted(&self, held: &[Item]) -> Vec<Wanted> {
        let of = |at: usize| {
            let plan = &self.plan.streams[at];
            let stream = usize::from(plan.stream.0);
            let end = self.joined.ends.get(stream).copied().flatten();
            let first_held = held.iter().find_map(|item| match item {
                Item::Block(block, _) if block.stream == plan.stream => Some(block.first_index),
                _ => None,
            });
            let end = end.map(|(index, _)| index);
            let columns = &self.streams[at];
            // Markers come as they like: all that is held of them is shown.
            let hz = plan.rate.as_hz().unwrap_or(0.0);
            let length = (self.history_s * hz).ceil() as u64;
            let show_from = match end {
                Some(end) if hz > 0.0 => columns.column_start(end.saturating_sub(length)),
                _ => 0,
            };
            Wanted {
                show_from,
                read_from: show_from.saturating_sub(columns.warm_up()),
                held_from: first_held.or(end),
                length,
            }
        };
        (0..self.plan.streams.len()).map(of).collect()
    }

    /// Feeds what is not held any more from the journal.
    fn replay(&mut self, at: usize, wanted: &Wanted, recorded: &Recording) -> Result<()> {
        let plan = &self.plan.streams[at];
        let (stream, rate) = (plan.stream, plan.rate);
        let runs = recorded.runs(stream)?;
        let known = runs.last().map_or(0, |run| run.end_index);
        let mut wanted = *wanted;
        if wanted.held_from.is_none() {
            // Nothing has come since this start: the journal's end is the end.
            wanted.held_from = Some(known);
            wanted.show_from = self.streams[at].column_start(known.saturating_sub(wanted.length));
            wanted.read_from = wanted.show_from.saturating_sub(self.streams[at].warm_up());
            self.show_from[at] = wanted.show_from;
        }
        let until = wanted.held_from.unwrap_or(known);
        if wanted.read_from >= until || rate.as_hz().is_none() {
            return Ok(());
        }
        let begins = |index: u64| runs.binary_search_by_key(&index, |r| r.first_index).is_ok();
        for piece in recorded.pieces(stream, wanted.read_from..until)? {
            let piece = piece?;
            if begins(piece.first_index) {
                self.streams[at].gap(false);
            }
            let hidden = wanted.show_from.saturating_sub(piece.first_index);
            self.streams[at].push(&Chunk {
                samples: &piece.samples,
                len: piece.len,
                first_index: piece.first_index,
                time: piece.start,
                stamps: &piece.stamps,
                show: usize::try_from(hidden).unwrap_or(usize::MAX).min(piece.len)..piece.len,
            })?;
        }
        Ok(())
    }

    fn description(&self, recorded: Option<&Recording>) -> ViewMessage {
        let known = recorded.and_then(|recorded| page::bounds(recorded).ok());
        let ends = self.joined.ends.iter().flatten().map(|(_, time)| *time);
        let begin = match (known, self.source.resumed) {
            (Some((begin, _)), true) => begin,
            _ => self.joined.begin.unwrap_or(self.source.started),
        };
        ViewMessage::Description(Box::new(ViewDescription {
            montage: self.plan.montage.clone(),
            title: self.plan.title.clone(),
            reference: self.plan.reference.clone(),
            filters: self.plan.filters.clone(),
            notes: self.plan.notes.clone(),
            overview: false,
            provenance: self.source.provenance,
            begin,
            end: ends.max().or(known.map(|(_, end)| end)).unwrap_or(begin),
            zone: self.source.zone,
            streams: page::rows(&self.plan),
        }))
    }

    /// Gaps and marks that touch the history.
    fn past(&mut self, held: Vec<Gap>, recorded: Option<&Recording>) -> bool {
        let ends = self.joined.ends.iter().flatten().map(|(_, time)| *time);
        let Some(now) = ends.max().or_else(|| {
            let bounds = recorded.and_then(|recorded| page::bounds(recorded).ok());
            bounds.map(|(_, end)| end)
        }) else {
            return true;
        };
        let since = now.plus_nanos(-((self.history_s * 1e9) as i64));
        let mut gaps = held;
        let mut marks: BTreeMap<u64, MarkView> = BTreeMap::new();
        if let Some(recorded) = recorded {
            for known in recorded.gaps() {
                let same = |gap: &Gap| {
                    (gap.stream, gap.resumes_at, gap.from)
                        == (known.gap.stream, known.gap.resumes_at, known.gap.from)
                };
                // What the journal has beyond what was held comes live.
                if known.gap.until <= now && !gaps.iter().any(same) {
                    gaps.push(known.gap);
                }
            }
            // Marks are also set a little ahead of the last sample.
            let ahead = UtcNanos(i64::MAX);
            marks.extend(page::marks(recorded, since, ahead).map(|m| (m.annotation.id.0, m)));
        }
        // Later words on a mark stand behind earlier ones.
        for mark in &self.joined.marks {
            marks.insert(mark.annotation.id.0, (**mark).clone());
        }
        gaps.retain(|gap| gap.until >= since);
        gaps.sort_by_key(|gap| gap.from);
        marks.retain(|_, mark| {
            let annotation = &mark.annotation;
            let empty = annotation.text.is_empty() && annotation.code.is_none();
            let end = annotation
                .onset
                .plus_nanos(annotation.duration_ns.unwrap_or(0));
            mark.superseded_by.is_none() && !empty && end >= since
        });
        self.told = marks.values().cloned().collect();
        let gaps = gaps
            .into_iter()
            .map(|gap| ViewMessage::Gap(OpenGap { gap, open: false }));
        let marks = (marks.into_values()).map(|mark| ViewMessage::Mark(Box::new(mark)));
        gaps.chain(marks).all(|message| self.send.put(message))
    }
}

/// What of a stream a feed begins with.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    /// First index shown.
    show_from: u64,
    /// First index that the filters need.
    read_from: u64,
    /// First index held in memory; what is before comes from the journal.
    held_from: Option<u64>,
    /// Samples of history.
    length: u64,
}

impl Wanted {
    fn needs_journal(&self) -> bool {
        self.held_from.is_some_and(|held| self.read_from < held)
    }
}
