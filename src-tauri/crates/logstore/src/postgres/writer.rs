//! The one task of a replica that appends: what waits for it shares a transaction.

use events::{Committed, LogError, Position, RecordedEvent, SystemEvent};
use sqlx::{PgConnection, Row, postgres::PgConnectOptions};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

use super::{announce::Announcer, connect, failure};
use crate::{
    LogStoreError,
    limits::{GROUP_UNITS, GROUP_YIELDS, POSTGRES_GROUP_BYTES, POSTGRES_STATEMENT_TIMEOUT},
};

const APPEND: &str = "appending events";

/// Events that are appended together, with their data as text.
#[derive(Debug)]
pub(super) struct Append {
    pub(super) events: Vec<SystemEvent>,
    pub(super) texts: Vec<String>,
    pub(super) answer: oneshot::Sender<Result<Vec<Position>, LogError>>,
}

impl Append {
    fn bytes(&self) -> usize {
        self.texts.iter().map(String::len).sum()
    }
}

pub(super) struct Writer {
    pub(super) options: PgConnectOptions,
    pub(super) connection: Option<PgConnection>,
    pub(super) queue: mpsc::Receiver<Append>,
    pub(super) announcer: Arc<Announcer>,
}

impl Writer {
    pub(super) async fn run(mut self) {
        while let Some(first) = self.queue.recv().await {
            let mut bytes = first.bytes();
            let mut group = vec![first];
            for _ in 0..=GROUP_YIELDS {
                while group.len() < GROUP_UNITS
                    && bytes < POSTGRES_GROUP_BYTES
                    && let Ok(next) = self.queue.try_recv()
                {
                    bytes += next.bytes();
                    group.push(next);
                }
                // Publishers that the last group has just answered come with their next events.
                tokio::task::yield_now().await;
            }
            self.append(group).await;
        }
        if let Some(connection) = self.connection.take() {
            let _ = sqlx::Connection::close(connection).await;
        }
    }

    async fn append(&mut self, group: Vec<Append>) {
        // An append is the same when it is repeated, so a lost connection is no reason to fail: if the
        // first attempt was committed, the second finds its events there.
        let mut places = self.attempt(&group).await;
        if places.is_err() {
            places = self.attempt(&group).await;
        }
        match places {
            Ok((before, places)) => {
                let mut places = places.into_iter();
                let (mut fresh, mut last) = (Vec::new(), before);
                for Append { events, answer, .. } in group {
                    let positions: Vec<_> = places.by_ref().take(events.len()).collect();
                    for (event, &position) in events.into_iter().zip(&positions) {
                        if position.0 == last + 1 {
                            last = position.0;
                            fresh.push(RecordedEvent { position, event });
                        }
                    }
                    let _ = answer.send(Ok(positions));
                }
                self.announcer.offer(before, Committed::from(fresh));
            }
            Err(error) => {
                tracing::error!(error = %error, events = group.len(), "events could not be appended");
                let error = error.into_log(APPEND);
                for append in group {
                    let _ = append.answer.send(Err(error.clone()));
                }
            }
        }
    }

    /// Position of the last event before these, and theirs.
    async fn attempt(&mut self, group: &[Append]) -> Result<(u64, Vec<Position>), LogStoreError> {
        let failed = |error| failure(APPEND, error);
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => within(connect(&self.options)).await.map_err(failed)?,
        };
        let places = within(call(&mut connection, group)).await.map_err(failed)?;
        // Only a connection that has just worked is used again.
        self.connection = Some(connection);
        let mut places = places.into_iter().map(i64::unsigned_abs);
        let before = places.next().unwrap_or(0);
        let places: Vec<_> = places.map(Position).collect();
        if places.len()
            != group
                .iter()
                .map(|append| append.events.len())
                .sum::<usize>()
        {
            return Err(LogStoreError::corrupt(APPEND, "positions are missing"));
        }
        Ok((before, places))
    }
}

/// A server that does not answer at all fails like one that is gone.
async fn within<T>(work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    match tokio::time::timeout(POSTGRES_STATEMENT_TIMEOUT, work).await {
        Ok(done) => done,
        Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
    }
}

async fn call(connection: &mut PgConnection, group: &[Append]) -> Result<Vec<i64>, sqlx::Error> {
    fn column<'a, T>(group: &'a [Append], value: impl Fn(&'a SystemEvent) -> T + Copy) -> Vec<T> {
        let events = group.iter().flat_map(|append| &append.events);
        events.map(value).collect()
    }
    let texts = group.iter().flat_map(|append| &append.texts);
    let row = sqlx::query("SELECT append_events($1, $2, $3, $4, $5, $6, $7, $8)")
        .bind(column(group, |event| &event.event_id.as_bytes()[..]))
        .bind(column(group, |event| event.event_type.as_str()))
        .bind(column(group, |event| event.source_service.as_str()))
        .bind(column(group, |event| event.timestamp.as_nanos()))
        .bind(column(group, |event| i64::from(event.schema_version)))
        .bind(column(group, |event| &event.correlation_id.as_bytes()[..]))
        .bind(column(group, |event| {
            event.causation_id.as_ref().map(|id| &id.as_bytes()[..])
        }))
        .bind(texts.map(String::as_str).collect::<Vec<_>>())
        .fetch_one(connection)
        .await?;
    row.try_get(0)
}
