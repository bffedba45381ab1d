//! What every [`HistoryStore`] must do. An implementation's tests run [`history_store`] on an empty
//! store of theirs; it panics, naming the rule, on the first one broken.

use std::sync::Arc;

use serde_json::json;

use crate::history::{EventKind, FORMAT_VERSION, HistoryEvent, WorkflowStatus};
use crate::store::{Heartbeat, HistoryStore, ListFilter, StoreError};
use crate::time::Timestamp;

/// Runs the whole suite on `store`, which must be empty.
///
/// # Panics
/// When the store breaks a rule.
pub async fn history_store(store: Arc<dyn HistoryStore>) {
    append_and_load(&*store).await;
    conflicts_write_nothing(&*store).await;
    invalid_appends_are_refused(&*store).await;
    summaries_follow_histories(&*store).await;
    lists_are_filtered_and_ordered(&*store).await;
    heartbeats_replace_each_other(&*store).await;
    one_of_many_writers_wins(store).await;
}

fn event(id: u64, micros: i64, kind: EventKind) -> HistoryEvent {
    HistoryEvent {
        id,
        time: Timestamp::from_micros(micros),
        kind,
    }
}

fn start(workflow_type: &str, micros: i64) -> HistoryEvent {
    let kind = EventKind::WorkflowStarted {
        format: FORMAT_VERSION,
        workflow_type: workflow_type.into(),
        run_id: format!("run-{workflow_type}-{micros}"),
        correlation_id: format!("correlation-{workflow_type}"),
        seed: u64::MAX,
        input: json!({"text": "µV", "number": 0.1}),
        parent: None,
    };
    event(1, micros, kind)
}

fn fired(id: u64) -> HistoryEvent {
    let time = 1000 + i64::try_from(id).unwrap_or(i64::MAX - 1000);
    event(id, time, EventKind::TimerFired { seq: id })
}

async fn append_and_load(store: &dyn HistoryStore) {
    let id = "suite/append";
    assert!(
        matches!(store.load(id, 0).await, Err(StoreError::NotFound { .. })),
        "loading an unknown workflow is NotFound"
    );
    assert!(
        store.summary(id).await.expect("summary").is_none(),
        "unknown: no summary"
    );
    let first = vec![start("append", 1000), fired(2)];
    let failed = EventKind::ActivityFailed {
        seq: 1,
        error: crate::ActivityError::TimedOut {
            activity: "collect".into(),
            attempts: 3,
            timeout: crate::TimeoutKind::Heartbeat,
            last_heartbeat: json!({"samples": 7}),
        },
    };
    let patch = EventKind::PatchMarked {
        patch: "a change".into(),
        deprecated: true,
    };
    let deferred = EventKind::Deferred {
        arrival: Box::new(failed),
    };
    let second = vec![event(3, 1003, deferred), event(4, 1004, patch), fired(5)];
    store
        .append(id, 0, &first)
        .await
        .expect("append to a new history");
    store
        .append(id, 2, &second)
        .await
        .expect("append to a history");
    let all: Vec<HistoryEvent> = first.into_iter().chain(second).collect();
    assert_eq!(
        store.load(id, 0).await.expect("load"),
        all,
        "events come back as written"
    );
    assert_eq!(
        store.load(id, 3).await.expect("load"),
        all[3..],
        "load resumes after an id"
    );
    assert!(
        store.load(id, 5).await.expect("load").is_empty(),
        "nothing after the end"
    );
}

async fn conflicts_write_nothing(store: &dyn HistoryStore) {
    let id = "suite/conflict";
    store
        .append(id, 0, &[start("conflict", 1000)])
        .await
        .expect("append");
    for (expected, batch) in [
        (0, vec![start("conflict", 1001)]),
        (2, vec![fired(3), fired(4)]),
    ] {
        match store.append(id, expected, &batch).await {
            Err(StoreError::Conflict {
                expected: e,
                actual,
                ..
            }) => {
                assert_eq!((e, actual), (expected, 1), "a conflict names both lengths");
            }
            other => panic!("an append at the wrong length is a Conflict, not {other:?}"),
        }
    }
    assert!(
        matches!(
            store.append("suite/none", 1, &[fired(2)]).await,
            Err(StoreError::Conflict { actual: 0, .. })
        ),
        "appending to a history that does not exist is a Conflict"
    );
    assert_eq!(
        store.load(id, 0).await.expect("load").len(),
        1,
        "a conflict writes nothing"
    );
}

async fn invalid_appends_are_refused(store: &dyn HistoryStore) {
    let id = "suite/invalid";
    let wrong: [(u64, Vec<HistoryEvent>); 4] = [
        (0, vec![]),
        (0, vec![fired(1)]),
        (0, vec![start("invalid", 1), fired(3)]),
        (1, vec![start("invalid", 1)]),
    ];
    for (expected, batch) in wrong {
        assert!(
            matches!(
                store.append(id, expected, &batch).await,
                Err(StoreError::Invalid { .. })
            ),
            "an append of {} events after {expected} is Invalid",
            batch.len()
        );
    }
    assert!(
        store.summary(id).await.expect("summary").is_none(),
        "and writes nothing"
    );
}

async fn summaries_follow_histories(store: &dyn HistoryStore) {
    let endings = [
        (
            EventKind::WorkflowCompleted { result: json!(1) },
            WorkflowStatus::Completed,
        ),
        (
            EventKind::WorkflowFailed {
                failure: crate::Failure::new("Suite", "as asked"),
            },
            WorkflowStatus::Failed,
        ),
        (
            EventKind::WorkflowCancelled { reason: "r".into() },
            WorkflowStatus::Cancelled,
        ),
        (
            EventKind::WorkflowTerminated { reason: "r".into() },
            WorkflowStatus::Terminated,
        ),
    ];
    for (n, (ending, status)) in endings.into_iter().enumerate() {
        let id = format!("suite/summary/{n}");
        store
            .append(&id, 0, &[start("summary", 5000)])
            .await
            .expect("append");
        let running = store
            .summary(&id)
            .await
            .expect("summary")
            .expect("it exists");
        assert_eq!(running.status, WorkflowStatus::Running);
        assert_eq!(running.workflow_id, id);
        assert_eq!(running.workflow_type, "summary");
        assert_eq!(running.run_id, "run-summary-5000");
        assert_eq!(running.correlation_id, "correlation-summary");
        assert_eq!(
            (running.started_at.as_micros(), running.closed_at),
            (5000, None)
        );
        store
            .append(&id, 1, &[fired(2), event(3, 9000, ending)])
            .await
            .expect("append");
        let closed = store
            .summary(&id)
            .await
            .expect("summary")
            .expect("it exists");
        assert_eq!(closed.status, status, "the closing event sets the status");
        assert_eq!(closed.closed_at, Some(Timestamp::from_micros(9000)));
        assert_eq!(closed.length, 3);
    }
}

async fn lists_are_filtered_and_ordered(store: &dyn HistoryStore) {
    for (id, micros) in [
        ("suite/list/b", 7000),
        ("suite/list/a", 7000),
        ("suite/list/c", 8000),
    ] {
        store
            .append(id, 0, &[start("list", micros)])
            .await
            .expect("append");
    }
    let done = event(
        2,
        9500,
        EventKind::WorkflowCompleted {
            result: json!(null),
        },
    );
    store
        .append("suite/list/b", 1, &[done])
        .await
        .expect("append");
    let mut filter = ListFilter {
        workflow_type: Some("list".into()),
        ..ListFilter::default()
    };
    let ids = async |filter: &ListFilter| -> Vec<String> {
        let found = store.list(filter).await.expect("list");
        found
            .into_iter()
            .map(|summary| summary.workflow_id)
            .collect()
    };
    assert_eq!(
        ids(&filter).await,
        ["suite/list/c", "suite/list/a", "suite/list/b"],
        "the latest started first, then by id"
    );
    filter.limit = Some(2);
    assert_eq!(
        ids(&filter).await,
        ["suite/list/c", "suite/list/a"],
        "the limit holds"
    );
    filter = ListFilter {
        workflow_type: Some("list".into()),
        ..ListFilter::running()
    };
    assert_eq!(
        ids(&filter).await,
        ["suite/list/c", "suite/list/a"],
        "by status"
    );
    filter = ListFilter {
        correlation_id: Some("correlation-conflict".into()),
        ..ListFilter::default()
    };
    assert_eq!(ids(&filter).await, ["suite/conflict"], "by correlation id");
}

async fn heartbeats_replace_each_other(store: &dyn HistoryStore) {
    let id = "suite/heartbeat";
    store
        .append(id, 0, &[start("heartbeat", 1000)])
        .await
        .expect("append");
    assert!(
        store.load_heartbeats(id).await.expect("load").is_empty(),
        "none at first"
    );
    let beat = |seq, attempt, details| Heartbeat {
        seq,
        attempt,
        details,
    };
    for heartbeat in [
        beat(2, 1, json!({"samples": 1})),
        beat(1, 1, json!("other")),
        beat(2, 3, json!({"samples": 9})),
    ] {
        store.save_heartbeat(id, &heartbeat).await.expect("save");
    }
    assert_eq!(
        store.load_heartbeats(id).await.expect("load"),
        [
            beat(1, 1, json!("other")),
            beat(2, 3, json!({"samples": 9}))
        ],
        "the last of each activity, by sequence number"
    );
}

async fn one_of_many_writers_wins(store: Arc<dyn HistoryStore>) {
    let id = "suite/race";
    store
        .append(id, 0, &[start("race", 1000)])
        .await
        .expect("append");
    let writers: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            async move { store.append(id, 1, &[fired(2), fired(3)]).await }
        })
        .collect();
    let results = futures_util::future::join_all(writers).await;
    let won = results.iter().filter(|result| result.is_ok()).count();
    assert_eq!(
        won, 1,
        "of several appends at one length exactly one succeeds"
    );
    assert!(
        results
            .iter()
            .all(|result| matches!(result, Ok(()) | Err(StoreError::Conflict { .. }))),
        "and the others are Conflicts"
    );
    assert_eq!(store.load(id, 0).await.expect("load").len(), 3);
}
