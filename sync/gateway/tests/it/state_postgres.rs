//! The state on PostgreSQL: the contract, and two replicas on one database.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use gateway::state::{Backend, Expect, Op, PostgresBackend, State, conformance};
use ledger::{CanonicalJson, Digest, Draft};
use logstore::postgres as database;
use sqlx::postgres::PgConnectOptions;
use uuid::Uuid;

use test_servers::postgres::Server;

const SPACE: &str = "test";
const LONG: Duration = Duration::from_secs(20);

async fn backend(options: &PgConnectOptions) -> Arc<PostgresBackend> {
    let opened = PostgresBackend::open(options, Uuid::now_v7()).await;
    Arc::new(opened.expect("a backend"))
}

async fn replicas(options: &PgConnectOptions) -> [State; 2] {
    let one = State::open(backend(options).await).await.expect("a state");
    let other = State::open(backend(options).await).await.expect("a state");
    [one, other]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_in_postgresql_conforms() {
    let server = Server::shared();
    let options = server.database().await;
    conformance::check(backend(&options).await, async || {
        backend(&options).await as Arc<dyn Backend>
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_replica_writes_wakes_who_waits_at_the_other() {
    let server = Server::shared();
    let [one, other] = replicas(&server.database().await).await;
    for round in 0..20 {
        let index = other.index(SPACE, "seen/");
        let waiting = {
            let other = other.clone();
            tokio::spawn(async move { other.wait(&[(SPACE, "seen/")], index, LONG).await })
        };
        let value = format!("{round}");
        let put = Op::put(SPACE, "seen/key", value.clone());
        let committed = one.commit(vec![put]).await.expect("a put");
        assert!(
            waiting.await.expect("the task"),
            "woken by the other replica"
        );
        let item = other.get(SPACE, "seen/key").expect("the item");
        assert_eq!(
            (&item.value[..], item.modified),
            (value.as_bytes(), committed)
        );
    }
    let index = other.index(SPACE, "seen/");
    one.commit(vec![Op::delete(SPACE, "seen/key")])
        .await
        .expect("a deletion");
    assert!(other.wait(&[(SPACE, "seen/")], index, LONG).await);
    assert_eq!(other.get(SPACE, "seen/key"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_replicas_that_race_one_wins_and_no_index_is_used_twice() {
    const ROUNDS: usize = 40;
    const EACH: usize = 4;
    let server = Server::shared();
    let replicas = replicas(&server.database().await).await;
    let mut indexes = BTreeSet::new();
    for round in 0..ROUNDS {
        let mut tasks = Vec::new();
        for n in 0..replicas.len() * EACH {
            let state = replicas[n % replicas.len()].clone();
            tasks.push(tokio::spawn(async move {
                let key = format!("race/{round}");
                let race = vec![
                    Op::require(SPACE, key.clone(), Expect::Absent),
                    Op::put(SPACE, key, n.to_string()),
                ];
                let own = vec![Op::put(SPACE, format!("own/{round}/{n}"), "x")];
                let raced = state.commit(race).await;
                (n, raced, state.commit(own).await.expect("a put"))
            }));
        }
        let mut winners = Vec::new();
        for task in tasks {
            let (n, raced, own) = task.await.expect("the task");
            assert!(indexes.insert(own), "{own} was used before");
            if let Ok(index) = raced {
                assert!(indexes.insert(index), "{index} was used before");
                winners.push(n.to_string());
            }
        }
        assert_eq!(winners.len(), 1, "round {round}");
        // Whoever asks either replica under the lock finds the winner's value.
        for state in &replicas {
            let key = format!("race/{round}");
            let after = state
                .commit(vec![Op::require(SPACE, key.clone(), Expect::Present)])
                .await;
            after.expect("the key is there");
            let item = state.get(SPACE, &key).expect("the item");
            assert_eq!(item.value, winners[0].as_bytes());
        }
    }
    let last = indexes.last().copied();
    assert_eq!(last, Some(indexes.len() as u64), "and none was left out");
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_connections_heal() {
    let server = Server::shared();
    let options = server.database().await;
    let [one, other] = replicas(&options).await;
    for round in 0..3 {
        server.disconnect_all(&options).await;
        let index = other.index(SPACE, "");
        let put = Op::put(SPACE, "key", format!("{round}"));
        one.commit(vec![put])
            .await
            .expect("a put on a new connection");
        assert!(
            other.wait(&[(SPACE, "")], index, LONG).await,
            "round {round}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_join_one_chain_with_the_changes_they_speak_of() {
    let server = Server::shared();
    let options = server.database().await;
    let replicas = replicas(&options).await;
    let draft = |n: usize| Draft {
        kind: "kv.write".into(),
        time_ns: 7,
        actor: "someone".into(),
        payload: CanonicalJson::from_value(&serde_json::json!({ "n": n })).expect("a payload"),
    };
    let mut tasks = Vec::new();
    for n in 0..40 {
        let (state, draft) = (replicas[n % 2].clone(), draft(n));
        tasks.push(tokio::spawn(async move {
            let put = Op::put(SPACE, format!("{n}"), "x");
            state.commit_with(vec![put], vec![draft]).await
        }));
    }
    for task in tasks {
        task.await.expect("the task").expect("a commit");
    }
    let refused = vec![Op::require(SPACE, "none", Expect::Present)];
    let refused = replicas[0].commit_with(refused, vec![draft(99)]).await;
    refused.expect_err("the key is not there");
    let mut connection = database::connect(&options).await.expect("a connection");
    let entries = database::entries(&mut connection, 0..1_000)
        .await
        .expect("entries");
    assert_eq!(
        entries.len(),
        40,
        "those of refused commits are not entered"
    );
    let mut previous = Digest::ZERO;
    for (sequence, entry) in (0..).zip(&entries) {
        entry.check(sequence, previous).expect("an unbroken chain");
        previous = entry.hash;
    }
}
