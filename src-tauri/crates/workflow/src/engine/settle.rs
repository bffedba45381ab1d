//! What follows from the end of an activity's attempt: pure, so that every case can be tested.

use serde_json::Value;

use crate::failure::{ActivityError, Failure, TimeoutKind};
use crate::history::EventKind;
use crate::pending::{AttemptState, PendingActivity};
use crate::time::Timestamp;

/// How an attempt, or the wait for one, ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum AttemptEnd {
    Done(Value),
    Failed(Failure),
    TimedOut(TimeoutKind),
    /// The engine went away under it.
    Interrupted,
    /// Cancelled before it began.
    NotBegun,
}

/// The event that records the end of an attempt at activity `seq`: its completion, its failure, or
/// a retry.
pub(crate) fn settle(
    seq: u64,
    activity: &PendingActivity,
    end: AttemptEnd,
    last_heartbeat: Value,
    now: Timestamp,
) -> EventKind {
    let attempts = activity.attempts();
    let name = activity.name.clone();
    let failed = |error| EventKind::ActivityFailed { seq, error };
    let (failure, timeout) = match end {
        AttemptEnd::Done(result) => return EventKind::ActivityCompleted { seq, result },
        AttemptEnd::NotBegun => return failed(ActivityError::Cancelled { activity: name }),
        AttemptEnd::Failed(failure)
            if failure.kind == Failure::CANCELLED && activity.cancel_requested =>
        {
            return failed(ActivityError::Cancelled { activity: name });
        }
        AttemptEnd::Interrupted if activity.cancel_requested => {
            return failed(ActivityError::Cancelled { activity: name });
        }
        AttemptEnd::Failed(failure) => (failure, None),
        AttemptEnd::Interrupted => (
            Failure::new(
                Failure::INTERRUPTED,
                "the engine stopped during the attempt",
            ),
            None,
        ),
        AttemptEnd::TimedOut(kind) => {
            let failure = Failure::new(format!("Timeout:{kind:?}"), "the attempt ran out of time");
            (failure, Some(kind))
        }
    };
    // The time lost while the engine was away is wait enough.
    let wait = if failure.kind == Failure::INTERRUPTED {
        std::time::Duration::ZERO
    } else {
        activity.options.retry.backoff(attempts)
    };
    let retry_at = now + wait;
    let final_timeout = matches!(
        timeout,
        Some(TimeoutKind::ScheduleToStart | TimeoutKind::ScheduleToClose)
    );
    let in_time = activity
        .closes_at()
        .is_none_or(|closes_at| retry_at < closes_at);
    let retried = !final_timeout
        && !activity.cancel_requested
        && in_time
        && activity
            .options
            .retry
            .allows_retry(attempts, Some(&failure));
    if retried {
        return EventKind::ActivityRetried {
            seq,
            attempt: attempts,
            failure,
            retry_at,
        };
    }
    failed(match timeout {
        Some(timeout) => ActivityError::TimedOut {
            activity: name,
            attempts,
            timeout,
            last_heartbeat,
        },
        None => ActivityError::Failed {
            activity: name,
            attempts,
            failure,
        },
    })
}

/// What is next to happen to an activity by the mere passing of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    TimeOut(TimeoutKind),
    /// The next attempt may begin.
    Retry,
    /// A cancelled activity that is not running never will be.
    Drop,
}

/// When something is next due for `activity`, whose last heartbeat came at `last_beat`. `queued`
/// says that it waits for a free worker already.
pub(crate) fn next_due(
    activity: &PendingActivity,
    last_beat: Option<Timestamp>,
    queued: bool,
) -> Option<(Timestamp, Due)> {
    let options = &activity.options;
    let running = matches!(activity.state, AttemptState::Started { .. });
    if activity.cancel_requested && !running {
        return Some((Timestamp::EPOCH, Due::Drop));
    }
    let mut next = activity
        .closes_at()
        .map(|at| (at, Due::TimeOut(TimeoutKind::ScheduleToClose)));
    let mut consider = |at: Option<Timestamp>, due: Due| {
        if let Some(at) = at
            && next.is_none_or(|(earliest, _)| at < earliest)
        {
            next = Some((at, due));
        }
    };
    match activity.state {
        AttemptState::Scheduled => consider(
            options
                .schedule_to_start
                .map(|limit| activity.scheduled_at + limit),
            Due::TimeOut(TimeoutKind::ScheduleToStart),
        ),
        AttemptState::Started { at, .. } => {
            consider(
                options.start_to_close.map(|limit| at + limit),
                Due::TimeOut(TimeoutKind::StartToClose),
            );
            let alive = last_beat.map_or(at, |beat| beat.max(at));
            consider(
                options.heartbeat.map(|limit| alive + limit),
                Due::TimeOut(TimeoutKind::Heartbeat),
            );
        }
        AttemptState::Waiting { retry_at, .. } if !queued => consider(Some(retry_at), Due::Retry),
        AttemptState::Waiting { .. } => {}
    }
    next
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::limits::INTERRUPTED_ATTEMPTS;
    use crate::options::{ActivityOptions, RetryPolicy};

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn activity(options: ActivityOptions, state: AttemptState) -> PendingActivity {
        PendingActivity {
            name: "a".into(),
            input: Value::Null,
            options,
            scheduled_at: at(0),
            cancel_requested: false,
            last_failure: None,
            state,
        }
    }

    fn started(attempt: u32) -> AttemptState {
        AttemptState::Started { attempt, at: at(2) }
    }

    #[test]
    fn a_failure_is_retried_after_its_backoff() {
        let activity = activity(ActivityOptions::start_to_close(SECOND), started(3));
        let event = settle(
            1,
            &activity,
            AttemptEnd::Failed(Failure::new("Io", "")),
            Value::Null,
            at(5),
        );
        assert!(
            matches!(event, EventKind::ActivityRetried { attempt: 3, retry_at, .. } if retry_at == at(9)),
            "{event:?}"
        );
    }

    #[test]
    fn no_retry_begins_after_schedule_to_close() {
        let options = ActivityOptions::start_to_close(SECOND).with_schedule_to_close(9 * SECOND);
        let activity = activity(options, started(3));
        let event = settle(
            1,
            &activity,
            AttemptEnd::Failed(Failure::new("Io", "")),
            Value::Null,
            at(5),
        );
        assert!(
            matches!(
                event,
                EventKind::ActivityFailed {
                    error: ActivityError::Failed { attempts: 3, .. },
                    ..
                }
            ),
            "{event:?}"
        );
    }

    #[test]
    fn crashes_use_up_no_small_number_of_attempts_and_yet_come_to_an_end() {
        let thrice = ActivityOptions::start_to_close(SECOND).with_retry(RetryPolicy::attempts(3));
        let after = |attempts, end| {
            settle(
                1,
                &activity(thrice.clone(), started(attempts)),
                end,
                Value::Null,
                at(5),
            )
        };
        for attempts in [3, INTERRUPTED_ATTEMPTS - 1] {
            let event = after(attempts, AttemptEnd::Interrupted);
            assert!(
                matches!(event, EventKind::ActivityRetried { .. }),
                "{event:?}"
            );
        }
        let given_up = after(INTERRUPTED_ATTEMPTS, AttemptEnd::Interrupted);
        assert!(
            matches!(given_up, EventKind::ActivityFailed { .. }),
            "{given_up:?}"
        );
        let failed = after(3, AttemptEnd::Failed(Failure::new("Io", "")));
        assert!(
            matches!(failed, EventKind::ActivityFailed { .. }),
            "{failed:?}"
        );
    }

    #[test]
    fn an_interrupted_attempt_counts_and_is_retried_at_once() {
        let once = ActivityOptions::start_to_close(SECOND).with_retry(RetryPolicy::never());
        let given_up = settle(
            1,
            &activity(once, started(1)),
            AttemptEnd::Interrupted,
            Value::Null,
            at(5),
        );
        assert!(
            matches!(given_up, EventKind::ActivityFailed { .. }),
            "{given_up:?}"
        );
        let options = ActivityOptions::start_to_close(SECOND);
        let retried = settle(
            1,
            &activity(options, started(1)),
            AttemptEnd::Interrupted,
            Value::Null,
            at(5),
        );
        assert!(
            matches!(retried, EventKind::ActivityRetried { retry_at, .. } if retry_at == at(5)),
            "{retried:?}"
        );
    }

    #[test]
    fn the_earliest_limit_is_due_first() {
        let options = ActivityOptions::start_to_close(10 * SECOND)
            .with_heartbeat(3 * SECOND)
            .with_schedule_to_close(60 * SECOND)
            .with_schedule_to_start(SECOND);
        let running = activity(options.clone(), started(1));
        let heartbeat = Due::TimeOut(TimeoutKind::Heartbeat);
        assert_eq!(next_due(&running, None, false), Some((at(5), heartbeat)));
        assert_eq!(
            next_due(&running, Some(at(4)), false),
            Some((at(7), heartbeat))
        );
        let start_to_close = Due::TimeOut(TimeoutKind::StartToClose);
        assert_eq!(
            next_due(&running, Some(at(11)), false),
            Some((at(12), start_to_close))
        );
        let waiting = activity(options, AttemptState::Scheduled);
        let schedule_to_start = Due::TimeOut(TimeoutKind::ScheduleToStart);
        assert_eq!(
            next_due(&waiting, None, true),
            Some((at(1), schedule_to_start))
        );
    }
}
