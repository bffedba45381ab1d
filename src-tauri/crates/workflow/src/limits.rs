//! Every default and limit of the workflow room, with its unit and source.

use std::time::Duration;

/// First retry's wait. Source: Temporal's default retry policy.
pub const RETRY_INITIAL_INTERVAL: Duration = Duration::from_secs(1);
/// Growth of the waits. Source: Temporal's default retry policy.
pub const RETRY_BACKOFF_COEFFICIENT: f64 = 2.0;
/// Longest wait as a multiple of the first. Source: Temporal's default retry policy.
pub const RETRY_MAXIMUM_INTERVAL_FACTOR: u32 = 100;

/// Attempts after which an activity whose engine died every time is given up: it may be what kills the
/// engine. Chosen: far more deaths than a faulty machine brings about by chance during one activity.
pub const INTERRUPTED_ATTEMPTS: u32 = 20;

/// Activities that run at the same time in one engine. A bedside session has about five; the
/// number only guards against a runaway loop, as Temporal's worker default of 200 does.
pub const MAX_CONCURRENT_ACTIVITIES: usize = 200;

/// Shortest time between two heartbeats of one activity being written to the store. Details that
/// come faster replace each other in memory; a crash then loses at most this much progress.
pub const HEARTBEAT_PERSIST_INTERVAL: Duration = Duration::from_secs(1);

/// First and longest wait before a failed append is tried again. A locked or full store must
/// delay a workflow and never fail it.
pub const APPEND_RETRY_FIRST: Duration = Duration::from_millis(50);
/// See [`APPEND_RETRY_FIRST`].
pub const APPEND_RETRY_LONGEST: Duration = Duration::from_secs(5);

/// Requests (signals, queries, activity results) that may wait for one workflow before senders
/// are held back.
pub const RUN_QUEUE: usize = 1024;
/// Requests that may wait for the engine's dispatcher before senders are held back.
pub const ENGINE_QUEUE: usize = 1024;

/// Polls of one turn after which workflow code counts as spinning: it woke itself every time
/// without ever waiting for an event.
pub const MAX_POLLS_PER_TURN: usize = 10_000;

/// Events a history may hold before each further turn is logged as a warning. Source: Temporal
/// warns from 10,240 events.
pub const HISTORY_WARN_EVENTS: u64 = 10_240;

/// How long a stopping engine waits for its activities to give way before it breaks them off.
/// Sealing a recording's open segments takes well under a second.
pub const STOP_GRACE: Duration = Duration::from_secs(5);

/// Times that a request is put to a run which ends before it answers. A run ends so when it was
/// just being put away or when another engine took the workflow over; both pass in one or two.
pub const ASK_ATTEMPTS: usize = 32;
