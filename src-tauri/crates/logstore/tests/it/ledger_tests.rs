//! The ledger in the store.

use events::EventLog;
use ledger::{ConsistencyProof, EntryFault, KeyKind, NoteSigner, ProofBundle};
use logstore::{EntryQuery, LedgerStore as _, LogStore, UnitOfWork};
use sqlx::{ConnectOptions, Row};

use crate::support::{base, event, open};

fn signer() -> NoteSigner {
    NoteSigner::from_seed("station.test/ledger", KeyKind::Ed25519, &[3; 32]).unwrap()
}

async fn filled(folder: &std::path::Path, entries: u64) -> LogStore {
    let store = open(folder).await;
    let mut unit = UnitOfWork::new();
    for number in 0..entries {
        unit = unit.event(event("session.step", number));
    }
    store.commit(unit).await.unwrap();
    store
}

#[tokio::test]
async fn proofs_hold_across_stored_subtrees() {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path(), 700).await;
    let old = store.ledger_checkpoint(&signer()).await.unwrap();
    store.append(vec![event("session.step", 1)]).await.unwrap();
    for sequence in [0, 1, 255, 256, 511, 512, 699] {
        let bundle = store.prove(sequence, &signer()).await.unwrap();
        let text = serde_json::to_string(&bundle).unwrap();
        ProofBundle::from_json(&text)
            .unwrap()
            .verify(signer().verifier())
            .unwrap();
    }
    let bundle = store.prove(700, &signer()).await.unwrap();
    bundle.verify(signer().verifier()).unwrap();
    assert_eq!(
        bundle.checkpoint.checkpoint().size,
        701,
        "a covering checkpoint was signed"
    );
    store.prove(701, &signer()).await.unwrap_err();

    for old_size in [1, 255, 256, 257, 512, 700] {
        let proof: ConsistencyProof = store.consistency_proof(old_size, 701).await.unwrap();
        if old_size == 700 {
            let new = store.last_checkpoint().await.unwrap().unwrap();
            proof
                .verify(&old.checkpoint().root, &new.checkpoint().root)
                .unwrap();
        }
    }
    let again = store.ledger_checkpoint(&signer()).await.unwrap();
    let checkpoints = store.checkpoints().await.unwrap();
    assert_eq!(checkpoints.len(), 2, "nothing new, no new checkpoint");
    assert_eq!(checkpoints[1], again);
    let report = store
        .verify_ledger(signer().verifier(), &mut |_| ())
        .await
        .unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!((report.entries, report.checkpoints_held), (701, 2));
}

#[tokio::test]
async fn whatever_is_changed_in_the_tables_is_found() {
    let cases: [(&'static str, u64); 6] = [
        (
            "UPDATE ledger_entries SET payload = replace(payload, '5', '6') WHERE sequence = 5",
            5,
        ),
        (
            "UPDATE ledger_entries SET actor = 'somebody' WHERE sequence = 6",
            6,
        ),
        (
            "UPDATE ledger_entries SET time_ns = time_ns + 1 WHERE sequence = 7",
            7,
        ),
        (
            "UPDATE ledger_entries SET hash = x'00' WHERE sequence = 8",
            8,
        ),
        ("DELETE FROM ledger_entries WHERE sequence = 9", 9),
        (
            "UPDATE ledger_entries SET kind = 'session.started' WHERE sequence = 0",
            0,
        ),
    ];
    for (tampering, sequence) in cases {
        let folder = tempfile::tempdir().unwrap();
        let store = filled(folder.path(), 20).await;
        store.ledger_checkpoint(&signer()).await.unwrap();
        store.close().await;
        let mut connection = base(&folder.path().join("log.sqlite"))
            .connect()
            .await
            .unwrap();
        sqlx::query(tampering)
            .execute(&mut connection)
            .await
            .unwrap();
        drop(connection);
        let store = open(folder.path()).await;
        let report = store
            .verify_ledger(signer().verifier(), &mut |_| ())
            .await
            .unwrap();
        let bad = report
            .first_bad
            .unwrap_or_else(|| panic!("{tampering} was not found"));
        assert_eq!(bad.sequence, sequence, "{tampering}: {}", bad.fault);
        store.close().await;
    }
}

#[tokio::test]
async fn a_cut_tail_does_not_open_and_a_missing_one_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path(), 20).await;
    let checkpoint = store.ledger_checkpoint(&signer()).await.unwrap();
    store.close().await;
    let path = folder.path().join("log.sqlite");
    let mut connection = base(&path).connect().await.unwrap();
    let cut = "DELETE FROM ledger_entries WHERE sequence = 19";
    sqlx::query(cut).execute(&mut connection).await.unwrap();
    drop(connection);
    let refused = crate::support::try_open(folder.path()).await.unwrap_err();
    assert!(
        matches!(refused, logstore::LogStoreError::Corrupt { .. }),
        "{refused}"
    );

    // One who also forges the state is found by the signed checkpoint.
    let other = tempfile::tempdir().unwrap();
    let store = filled(other.path(), 19).await;
    store.save_checkpoint(&checkpoint).await.unwrap();
    let report = store
        .verify_ledger(signer().verifier(), &mut |_| ())
        .await
        .unwrap();
    let bad = report.first_bad.unwrap();
    assert_eq!(
        (bad.sequence, bad.fault),
        (19, EntryFault::Missing { size: 20 })
    );
}

#[tokio::test]
async fn entries_are_found_by_kind_and_by_what_they_belong_to() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let of = uuid::Uuid::from_u128(8);
    let mut unit = UnitOfWork::new();
    for number in 0..600 {
        let kind = if number % 3 == 0 {
            "session.started"
        } else {
            "session.step"
        };
        let mut event = event(kind, number);
        if number % 10 == 0 {
            event.correlation_id = of;
        }
        unit = unit.event(event);
    }
    store.commit(unit).await.unwrap();
    let check = async |query: EntryQuery<'_>, expected: &[u64]| {
        let found = store.find_entries(&query).await.unwrap();
        let found: Vec<_> = found.iter().map(|entry| entry.sequence).collect();
        assert_eq!(found, expected, "{query:?}");
    };
    let all = EntryQuery {
        limit: 3,
        ..EntryQuery::default()
    };
    let newest = EntryQuery {
        newest_first: true,
        ..all
    };
    check(all, &[0, 1, 2]).await;
    check(
        EntryQuery {
            from: Some(598),
            ..all
        },
        &[598, 599],
    )
    .await;
    check(newest, &[599, 598, 597]).await;
    check(
        EntryQuery {
            from: Some(1),
            ..newest
        },
        &[1, 0],
    )
    .await;
    let started = Some("session.started");
    check(
        EntryQuery {
            kind: started,
            from: Some(4),
            ..all
        },
        &[6, 9, 12],
    )
    .await;
    check(
        EntryQuery {
            kind: started,
            ..newest
        },
        &[597, 594, 591],
    )
    .await;
    check(
        EntryQuery {
            correlation: Some(of),
            ..all
        },
        &[0, 10, 20],
    )
    .await;
    check(
        EntryQuery {
            correlation: Some(of),
            kind: started,
            from: Some(1),
            ..all
        },
        &[30, 60, 90],
    )
    .await;
    check(
        EntryQuery {
            correlation: Some(of),
            kind: started,
            ..newest
        },
        &[570, 540, 510],
    )
    .await;
    check(
        EntryQuery {
            kind: Some("no.such"),
            ..newest
        },
        &[],
    )
    .await;
}

/// What keeps a page of a long ledger quick: each filter through its index, nothing sorted.
#[tokio::test]
async fn pages_of_the_ledger_use_their_indexes() {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path(), 10).await;
    for (condition, index) in [
        ("kind = 'session.step'", "ledger_by_kind"),
        (
            "+kind = 'session.step' AND json_extract(payload, '$.correlation_id') = 'x'",
            "ledger_by_correlation",
        ),
    ] {
        for order in ["", "DESC"] {
            let sql = format!(
                "EXPLAIN QUERY PLAN SELECT payload FROM ledger_entries WHERE sequence >= 3 \
                 AND {condition} ORDER BY sequence {order} LIMIT 10"
            );
            let plan = sqlx::query(sqlx::AssertSqlSafe(sql))
                .fetch_all(store.readers())
                .await
                .unwrap();
            let plan: Vec<String> = plan
                .iter()
                .map(|row| row.get::<String, _>("detail"))
                .collect();
            assert_eq!(plan.len(), 1, "{plan:?}");
            assert!(plan[0].contains(index), "{plan:?}");
        }
    }
}
