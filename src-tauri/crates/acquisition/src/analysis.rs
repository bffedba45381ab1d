//! The thread `signal`: analysis that may panic without touching the record.

use crate::limits::{ANALYSIS_RESTART, ANALYSIS_TICK};
use crate::message::{AcquisitionEvent, Analyser, AnalyserFactory, FeedItem};
use crate::port::EventPort;
use crate::queue::BlockFeed;
use crate::stats::Shared;
use contract::Clock;
use signal::HostNanos;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Everything the thread owns.
pub(crate) struct AnalysisLoop {
    pub(crate) factory: AnalyserFactory,
    pub(crate) feed: BlockFeed,
    pub(crate) events: EventPort,
    pub(crate) shared: Arc<Shared>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl AnalysisLoop {
    /// Runs until the feed ends.
    pub(crate) fn run(mut self) {
        let mut analyser: Option<Box<dyn Analyser>> = None;
        let mut pause = ANALYSIS_RESTART.0;
        let mut restart_at: Option<HostNanos> = None;
        let mut ticked = self.clock.host();
        loop {
            // While there is no analyser, the feed is still read: it must not grow stale.
            let item = self.feed.next(ANALYSIS_TICK);
            let now = self.clock.host();
            if analyser.is_none() && restart_at.is_none_or(|at| now >= at) {
                let factory = &mut self.factory;
                analyser = catch_unwind(AssertUnwindSafe(factory)).ok();
                if analyser.is_none() {
                    restart_at = Some(self.crashed(now, &mut pause));
                }
            }
            let ended = matches!(item, Some(FeedItem::Ended(_)));
            let due = now.nanos_since(ticked) >= ANALYSIS_TICK.as_nanos() as i64;
            if let Some(alive) = analyser.as_mut() {
                let result = catch_unwind(AssertUnwindSafe(|| {
                    match &item {
                        Some(FeedItem::Block(block)) => alive.block(block),
                        Some(FeedItem::Gap(gap)) => alive.gap(gap),
                        Some(FeedItem::Ended(_)) | None => {}
                    }
                    if due {
                        alive.tick(now);
                    }
                }));
                if result.is_err() {
                    // Its destructor runs on a broken state and may panic as well.
                    let broken = analyser.take();
                    let dropped = catch_unwind(AssertUnwindSafe(|| drop(broken)));
                    if dropped.is_err() {
                        tracing::error!("analysis panicked again while it was let go");
                    }
                    restart_at = Some(self.crashed(now, &mut pause));
                } else if due {
                    // A tick survived: the next crash is a new one.
                    pause = ANALYSIS_RESTART.0;
                }
            }
            if due {
                ticked = now;
            }
            if ended {
                return;
            }
        }
    }

    /// Counts and announces a crash; returns when to start again.
    fn crashed(&self, now: HostNanos, pause: &mut Duration) -> HostNanos {
        let count = self
            .shared
            .analysis_restarts
            .fetch_add(1, Ordering::Relaxed)
            + 1;
        tracing::error!(count, "analysis panicked; the record is untouched");
        self.events
            .put(AcquisitionEvent::AnalysisRestarted { count });
        let at = now.plus_nanos(pause.as_nanos() as i64);
        *pause = (*pause * 2).min(ANALYSIS_RESTART.1);
        at
    }
}
