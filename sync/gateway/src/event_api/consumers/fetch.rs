//! Delivering: what is due again first, then what is new; waiting where there is neither.

use std::time::Duration;

use events::{Committed, Filter, Position, RecordedEvent};
use serde::Serialize;
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::Instant,
};

use super::record::{InFlight, Key, More, Record, SPACE, Seen, find, save};
use crate::{
    Failure,
    event_api::{
        EventApi,
        fault::{conflict, of_log, unavailable},
        page,
    },
    limits::{events as limits, state::MAX_OPERATIONS},
};

/// Why an event that nobody answered for is a dead letter.
const UNANSWERED: &str = "its last delivery was not acknowledged in time";

/// Events under a lease.
#[derive(Debug, Default, Serialize)]
pub(in crate::event_api) struct Delivery {
    /// To be named when they are acknowledged or given back; 0 when there are none.
    lease: u64,
    events: Vec<Delivered>,
}

#[derive(Debug, Serialize)]
struct Delivered {
    /// Deliveries of this event, this one included.
    attempt: u32,
    #[serde(flatten)]
    recorded: RecordedEvent,
}

/// A delivery that is worked out and not yet committed.
struct Plan {
    record: Record,
    more: More,
    delivery: Delivery,
    /// Everything up to here is delivered with it or not wanted.
    scanned: Position,
}

/// One long poll.
pub(super) struct Fetch<'a> {
    api: &'a EventApi,
    key: &'a Key,
    max: usize,
    deadline: Instant,
    /// Where the last look at the log ended: nothing wanted lies between the record's cursor and here,
    /// as long as the filter is this one.
    scanned: Option<(Filter, Position)>,
}

impl<'a> Fetch<'a> {
    pub(super) fn new(api: &'a EventApi, key: &'a Key, max: usize, wait: Duration) -> Self {
        Self {
            api,
            key,
            max,
            deadline: Instant::now() + wait,
            scanned: None,
        }
    }

    pub(super) async fn run(mut self) -> Result<Delivery, Failure> {
        // Listening first: nothing that is committed from now on can be missed.
        let mut live = self.api.log().committed();
        let mut refused = 0;
        loop {
            let seen = find(&self.api.state, self.key).await?;
            let filter = seen.record.settings.filter(&self.key.site)?;
            let plan = self.plan(&seen, &filter).await?;
            let skipped = plan.scanned.0.saturating_sub(seen.record.cursor.0);
            let buried = !plan.more.is_empty();
            if !plan.delivery.events.is_empty() || buried || skipped > limits::SKIPPED_BEFORE_SAVING
            {
                let state = &self.api.state;
                if save(state, self.key, &seen, &plan.record, plan.more).await? {
                    if !plan.delivery.events.is_empty() {
                        return Ok(plan.delivery);
                    }
                } else {
                    refused += 1;
                    if refused >= limits::CHANGE_ATTEMPTS {
                        let detail = "too many change this consumer at once; try again";
                        return Err(conflict("consumer.busy", detail));
                    }
                }
                continue;
            }
            self.scanned = Some((filter.clone(), plan.scanned));
            if Instant::now() >= self.deadline || *self.api.closing.borrow() {
                return Ok(Delivery::default());
            }
            self.wait(&seen, &filter, &mut live).await?;
        }
    }

    async fn plan(&self, seen: &Seen, filter: &Filter) -> Result<Plan, Failure> {
        let log = self.api.log().as_ref();
        let now = self.api.clock.now();
        let mut record = seen.record.clone();
        let settings = record.settings.clone();
        let wait_ns = i64::try_from(settings.ack_wait_ms.saturating_mul(1_000_000));
        let due_ns = now.as_nanos().saturating_add(wait_ns.unwrap_or(i64::MAX));
        let lease = record.deliveries + 1;
        let (mut events, mut more) = (Vec::new(), Vec::new());
        let mut bytes = 0;
        let mut room_for_dead = limits::MAX_DEAD
            .saturating_sub(self.api.state.list(SPACE, &self.key.dead_prefix()).len());
        let stalled = room_for_dead == 0;
        let mut kept = Vec::with_capacity(record.in_flight.len());
        for mut entry in std::mem::take(&mut record.in_flight) {
            if entry.due_ns > now.as_nanos() || stalled {
                kept.push(entry);
            } else if entry.attempts >= settings.max_attempts {
                // The rest have their turn in the next commit.
                if room_for_dead == 0 || more.len() + 2 >= MAX_OPERATIONS {
                    kept.push(entry);
                    continue;
                }
                room_for_dead -= 1;
                more.push(Record::bury(self.key, &entry, UNANSWERED, now)?);
            } else if events.len() >= self.max || bytes >= limits::PAGE_BYTES {
                kept.push(entry);
            } else {
                let before = Position(entry.position.0.saturating_sub(1));
                let read = log.read(before, 1, &Filter::all()).await;
                let read = read.map_err(|error| of_log(&error))?;
                let recorded = read
                    .into_iter()
                    .next()
                    .filter(|r| r.position == entry.position);
                let recorded = recorded.ok_or_else(|| {
                    tracing::error!(position = %entry.position, "a delivered event is not in the log");
                    unavailable("events.storage", "a delivered event is not in the log")
                })?;
                entry.attempts += 1;
                entry.lease = lease;
                entry.due_ns = due_ns;
                bytes += recorded.event.data.to_string().len();
                events.push(Delivered {
                    attempt: entry.attempts,
                    recorded,
                });
                kept.push(entry);
            }
        }
        if stalled {
            let detail = "it has too many dead letters; retry or discard them";
            return Err(conflict("consumer.stalled", detail));
        }
        record.in_flight = kept;
        let free = settings
            .max_in_flight
            .saturating_sub(record.in_flight.len());
        let room = free.min(self.max - events.len());
        let mut scanned = match &self.scanned {
            Some((of, position)) if of == filter => record.cursor.max(*position),
            _ => record.cursor,
        };
        if room > 0 && bytes < limits::PAGE_BYTES {
            let page = page::of(log, scanned, room, filter).await;
            let page = page.map_err(|error| of_log(&error))?;
            scanned = page.next;
            for recorded in page.events {
                record.in_flight.push(InFlight {
                    position: recorded.position,
                    attempts: 1,
                    lease,
                    due_ns,
                });
                events.push(Delivered {
                    attempt: 1,
                    recorded,
                });
            }
        }
        record.in_flight.sort_by_key(|entry| entry.position);
        record.cursor = record.cursor.max(scanned);
        if !events.is_empty() {
            record.deliveries = lease;
        }
        let lease = if events.is_empty() { 0 } else { lease };
        Ok(Plan {
            record,
            more,
            delivery: Delivery { lease, events },
            scanned,
        })
    }

    /// Until something may be there to deliver.
    async fn wait(
        &self,
        seen: &Seen,
        filter: &Filter,
        live: &mut Receiver<Committed>,
    ) -> Result<(), Failure> {
        let full = seen.record.in_flight.len() >= seen.record.settings.max_in_flight;
        let now = self.api.clock.now().as_nanos();
        let first_due = seen.record.in_flight.iter().map(|entry| entry.due_ns).min();
        let due = first_due.map(|due| {
            let nanos = due.saturating_sub(now).max(1_000_000).unsigned_abs();
            Instant::now() + Duration::from_nanos(nanos)
        });
        let until = due.map_or(self.deadline, |due| due.min(self.deadline));
        let progress = self.key.progress();
        let watched = [(SPACE, progress.as_str())];
        let longest = until.saturating_duration_since(Instant::now());
        let changed = self.api.state.wait(&watched, seen.modified, longest);
        let arrived = async {
            loop {
                match live.recv().await {
                    Ok(batch) => {
                        if !full && batch.iter().any(|recorded| filter.wants(&recorded.event)) {
                            return Ok(());
                        }
                    }
                    Err(RecvError::Lagged(_)) => return Ok(()),
                    Err(RecvError::Closed) => {
                        return Err(unavailable("events.closed", "the gateway is closing"));
                    }
                }
            }
        };
        let mut closing = self.api.closing.subscribe();
        tokio::select! {
            _ = changed => Ok(()),
            _ = closing.wait_for(|closing| *closing) => Ok(()),
            arrived = arrived => arrived,
        }
    }
}
