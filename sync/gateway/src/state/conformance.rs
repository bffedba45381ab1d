//! What every backend of the state must do. Panics where one does not.

use std::{sync::Arc, time::Duration};

use super::{Backend, Expect, Op, State, StateError};

const SPACE: &str = "conformance";
const OTHER: &str = "conformance_other";

/// Runs every check on an empty backend; `reopen` closes it and opens the same storage again.
#[allow(clippy::missing_panics_doc, reason = "panicking is what it is for")]
pub async fn check<F>(backend: Arc<dyn Backend>, reopen: F)
where
    F: AsyncFnOnce() -> Arc<dyn Backend>,
{
    let state = State::open(backend).await.expect("an empty state opens");
    reads_what_was_committed(&state).await;
    takes_all_or_nothing(&state).await;
    wakes_who_waits(&state).await;
    numbers_commits_that_come_at_once(&state).await;
    let before: Vec<_> = [SPACE, OTHER].map(|space| state.list(space, "")).into();
    let indexes = (state.last_index(), state.index(SPACE, "deleted/"));
    drop(state);
    let state = State::open(reopen().await)
        .await
        .expect("a state opens again");
    let after: Vec<_> = [SPACE, OTHER].map(|space| state.list(space, "")).into();
    assert_eq!(before, after, "what was committed is there after a restart");
    assert_eq!(
        indexes,
        (state.last_index(), state.index(SPACE, "deleted/")),
        "indexes go on after a restart, those of deletions included"
    );
}

async fn reads_what_was_committed(state: &State) {
    assert_eq!(state.index(SPACE, ""), 0);
    let first = state
        .commit(vec![Op::put(SPACE, "a/1", "one")])
        .await
        .expect("a put");
    let second = state
        .commit(vec![Op::put(SPACE, "a/2", "two")])
        .await
        .expect("a put");
    assert!(second > first);
    let third = state
        .commit(vec![Op::put(SPACE, "a/1", "uno")])
        .await
        .expect("a put");
    let item = state.get(SPACE, "a/1").expect("the item");
    assert_eq!(
        (&item.value[..], item.created, item.modified),
        (&b"uno"[..], first, third)
    );
    assert_eq!(state.get(OTHER, "a/1"), None, "spaces are apart");
    let again = state
        .commit(vec![Op::put(SPACE, "a/1", "uno")])
        .await
        .expect("a put");
    assert_eq!(again, third, "the same value changes nothing");
    let keys: Vec<_> = state
        .list(SPACE, "a/")
        .iter()
        .map(|item| item.key.clone())
        .collect();
    assert_eq!(keys, ["a/1", "a/2"]);
    assert_eq!(state.index(SPACE, "a/2"), second);
    assert_eq!(state.index(SPACE, "a/"), third);
    state
        .commit(vec![Op::put(SPACE, "deleted/1", "x")])
        .await
        .expect("a put");
    let deleted = state
        .commit(vec![Op::delete(SPACE, "deleted/1")])
        .await
        .expect("a deletion");
    assert_eq!(state.get(SPACE, "deleted/1"), None);
    assert_eq!(
        state.index(SPACE, "deleted/"),
        deleted,
        "a deletion is a change"
    );
    let made = state
        .commit(vec![Op::put(SPACE, "deleted/1", "x")])
        .await
        .expect("a put");
    let item = state.get(SPACE, "deleted/1").expect("the item");
    assert_eq!(item.created, made, "what was deleted and made again is new");
    let gone = state
        .commit(vec![Op::delete_tree(SPACE, "deleted/")])
        .await
        .expect("a deletion");
    assert_eq!(state.index(SPACE, "deleted/"), gone);
    assert!(state.list(SPACE, "deleted/").is_empty());
}

async fn takes_all_or_nothing(state: &State) {
    let before = state.last_index();
    let item = state.get(SPACE, "a/2").expect("the item");
    for (key, expect) in [
        ("a/2", Expect::Absent),
        ("a/none", Expect::Present),
        ("a/2", Expect::Modified(item.modified + 1)),
        ("a/none", Expect::Modified(1)),
    ] {
        let refused = state
            .commit(vec![
                Op::put(OTHER, "half", "x"),
                Op::require(SPACE, key, expect),
            ])
            .await;
        assert!(
            matches!(refused, Err(StateError::Conflict { .. })),
            "{key} {expect:?}"
        );
    }
    assert_eq!(state.last_index(), before);
    assert_eq!(state.get(OTHER, "half"), None);
    let index = state
        .commit(vec![
            Op::require(SPACE, "a/2", Expect::Modified(item.modified)),
            Op::put(SPACE, "a/2", "due"),
            Op::put(OTHER, "whole", "x"),
        ])
        .await
        .expect("what is required holds");
    assert_eq!(state.get(SPACE, "a/2").expect("the item").modified, index);
    assert_eq!(state.get(OTHER, "whole").expect("the item").modified, index);
}

async fn wakes_who_waits(state: &State) {
    let index = state.last_index();
    let waiting = {
        let state = state.clone();
        tokio::spawn(async move {
            state
                .wait(&[(SPACE, "w/")], index, Duration::from_secs(20))
                .await
        })
    };
    state
        .commit(vec![Op::put(SPACE, "v/1", "x")])
        .await
        .expect("a put");
    state
        .commit(vec![Op::put(SPACE, "w/1", "x")])
        .await
        .expect("a put");
    assert!(
        waiting.await.expect("the task"),
        "a change under the prefix wakes"
    );
    let index = state.last_index();
    let woken = state
        .wait(&[(SPACE, "w/")], index, Duration::from_millis(20))
        .await;
    assert!(!woken, "nothing has changed");
    state
        .commit(vec![Op::delete(SPACE, "w/1")])
        .await
        .expect("a deletion");
    assert!(
        state
            .wait(&[(SPACE, "w/")], index, Duration::from_secs(20))
            .await
    );
}

/// Of many that want a key at once one gets it, and nobody's number is another's.
async fn numbers_commits_that_come_at_once(state: &State) {
    const MANY: usize = 64;
    let mut tasks = Vec::new();
    for n in 0..MANY {
        let state = state.clone();
        tasks.push(tokio::spawn(async move {
            let own = state
                .commit(vec![Op::put(OTHER, format!("many/{n}"), "x")])
                .await;
            let race = vec![
                Op::require(OTHER, "race", Expect::Absent),
                Op::put(OTHER, "race", n.to_string()),
            ];
            (own.expect("a put"), state.commit(race).await.is_ok())
        }));
    }
    let mut indexes = Vec::new();
    let mut winners = 0;
    for task in tasks {
        let (index, won) = task.await.expect("the task");
        indexes.push(index);
        winners += usize::from(won);
    }
    indexes.sort_unstable();
    indexes.dedup();
    assert_eq!((indexes.len(), winners), (MANY, 1));
}
