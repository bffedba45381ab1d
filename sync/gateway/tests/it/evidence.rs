//! The gateway's record: signed, proven, checked as a whole, and what a change of it looks like.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use events::{RandomIds, SystemClock};
use gateway::{
    config::Config,
    random::Random,
    service::{MainKey, Verification, verify},
};
use ledger::{
    ConsistencyProof, Draft, KeyKind, NoteSigner, ProofBundle, SignedCheckpoint, VerifierKey,
};
use logstore::{LedgerStore as _, LogStoreOptions, postgres::PostgresLog};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{ConnectOptions as _, sqlite::SqliteConnectOptions};
use test_servers::postgres::Server;

use crate::program::{Program, problem, settle};

async fn verified(folder: &Path) -> (bool, Value) {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_neurascale-gateway"));
    command
        .arg("verify")
        .arg("--json")
        .arg("--data-dir")
        .arg(folder);
    let output = command.output().await.unwrap();
    let said = serde_json::from_slice(&output.stdout);
    (
        output.status.success(),
        said.unwrap_or_else(|_| panic!("{output:?}")),
    )
}

fn day_file(folder: &Path) -> PathBuf {
    let files = fs::read_dir(folder.join("audit")).unwrap();
    let mut days = files.map(|file| file.unwrap().path());
    days.find(|path| path.extension().is_some_and(|name| name == "jsonl"))
        .unwrap()
}

fn options() -> LogStoreOptions {
    LogStoreOptions::new(Arc::new(SystemClock), Arc::new(RandomIds::default()))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_is_signed_proven_and_checked_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Program::start(folder.path()).await;
    let root = gateway.first_person().await;
    settle(folder.path());
    let state = async || -> Value {
        let answer = root.get("/v1/audit/checkpoint").await;
        assert_eq!(answer.status(), StatusCode::OK);
        answer.json().await.unwrap()
    };
    let noted = state().await;
    let key = VerifierKey::parse(noted["key"].as_str().unwrap()).unwrap();
    let signed: SignedCheckpoint = noted["checkpoint"].as_str().unwrap().parse().unwrap();
    signed.verify(&key).expect("the signature holds");
    for n in 0..20 {
        let put = root.request(Method::PUT, &format!("/v1/kv/k{n}")).body("x");
        assert_eq!(put.send().await.unwrap().status(), StatusCode::OK);
        root.get("/v1/me").await;
    }
    // Offline, with nothing but the key that was noted.
    let answer = root.get("/v1/audit/entries/3/proof").await;
    let proof = ProofBundle::from_json(&answer.text().await.unwrap()).unwrap();
    proof.verify(&key).expect("the entry stands there");
    assert_eq!(proof.entry, root.entries().await[3]);
    let later = state().await;
    let later: SignedCheckpoint = later["checkpoint"].as_str().unwrap().parse().unwrap();
    let later = later.verify(&key).unwrap();
    let path = format!(
        "/v1/audit/consistency?old={}&new={}",
        signed.checkpoint().size,
        later.size
    );
    let consistent: ConsistencyProof = root.get(&path).await.json().await.unwrap();
    consistent
        .verify(&signed.checkpoint().root, &later.root)
        .expect("nothing noted before was changed");
    let missing = problem(root.get("/v1/audit/entries/100000/proof").await).await;
    assert_eq!(missing, (404, "audit.no_entry".to_owned()));
    for sizes in [
        "old=9&new=2",
        "old=0&new=0",
        "old=0&new=3",
        "old=1&new=100000",
    ] {
        let impossible = root.get(&format!("/v1/audit/consistency?{sizes}")).await;
        assert_eq!(problem(impossible).await.0, 404, "{sizes}");
    }

    let (sound, found) = verified(folder.path()).await;
    assert!(sound && found["sound"] == true, "while it runs: {found}");
    gateway.stop().await;
    let (sound, found) = verified(folder.path()).await;
    assert!(sound, "{found}");
    assert_eq!(found["key"], key.to_string());
    assert_eq!(found["audit"]["unhashed_bytes"], 0, "{found}");
    assert!(found["audit"]["lines"].as_u64().unwrap() >= 20, "{found}");
    let last: SignedCheckpoint = found["checkpoint"].as_str().unwrap().parse().unwrap();
    assert_eq!(
        Some(last.checkpoint().size),
        found["ledger"]["entries"].as_u64(),
        "an orderly end signs all of it"
    );

    // A line of the audit: changed, added, gone.
    let file = day_file(folder.path());
    let kept = fs::read(&file).unwrap();
    let mut changed = kept.clone();
    let at = changed.iter().position(|byte| *byte == b'r').unwrap();
    changed[at] = b'R';
    fs::write(&file, &changed).unwrap();
    let (sound, found) = verified(folder.path()).await;
    assert!(
        !sound && found["audit"]["bad"][0]["sequence"].is_u64(),
        "{found}"
    );
    fs::write(&file, [&kept[..], b"{}\n"].concat()).unwrap();
    let (sound, found) = verified(folder.path()).await;
    assert!(
        sound,
        "an added line is no evidence, and said to be none: {found}"
    );
    assert_eq!(found["audit"]["unhashed_bytes"], 3);
    fs::remove_file(&file).unwrap();
    let (sound, found) = verified(folder.path()).await;
    assert!(
        !sound && !found["audit"]["bad"].as_array().unwrap().is_empty(),
        "{found}"
    );
    fs::write(&file, &kept).unwrap();

    // Whoever has the key can write into the database; not unseen.
    let key = MainKey::load(folder.path(), true, &Random::from_seed(1)).unwrap();
    let digits: String = key
        .derive("database")
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let database = SqliteConnectOptions::new()
        .filename(folder.path().join("gateway.sqlite"))
        .pragma("key", format!("\"x'{digits}'\""));
    let mut connection = database.connect().await.unwrap();
    let change = "UPDATE ledger_entries SET actor = 'somebody else' WHERE sequence = 2";
    sqlx::query(change).execute(&mut connection).await.unwrap();
    sqlx::Connection::close(connection).await.unwrap();
    let (sound, found) = verified(folder.path()).await;
    assert!(!sound);
    assert_eq!(found["ledger"]["first_bad_sequence"], 2, "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_was_cut_off_is_found_out_by_its_signatures() {
    let server = Server::shared();
    let database = server.database().await;
    let log = PostgresLog::open(&database, options()).await.unwrap();
    let signer = NoteSigner::from_seed("gateway.test/ledger", KeyKind::Ed25519, &[3; 32]).unwrap();
    let draft = |n: i64| Draft {
        kind: "test.entry".into(),
        time_ns: n,
        actor: "test".into(),
        payload: ledger::CanonicalJson::from_value(&json!({ "n": n })).unwrap(),
    };
    log.enter((0..700).map(draft).collect()).await.unwrap();
    let old = log.ledger_checkpoint(&signer).await.unwrap();
    assert_eq!(old.checkpoint().size, 700);
    for sequence in [0, 1, 255, 256, 511, 512, 699] {
        let proof = log.prove(sequence, &signer).await.unwrap();
        proof.verify(signer.verifier()).expect("a proof");
    }
    log.enter(vec![draft(700)]).await.unwrap();
    let new = log.ledger_checkpoint(&signer).await.unwrap();
    let proof = log.consistency_proof(700, 701).await.unwrap();
    proof
        .verify(&old.checkpoint().root, &new.checkpoint().root)
        .expect("one is the other's beginning");
    let report = log
        .verify_ledger(signer.verifier(), &mut |_| ())
        .await
        .unwrap();
    assert!(
        report.is_sound() && report.checkpoints_held == 2,
        "{report:?}"
    );
    // The end taken away, and the state made to fit.
    let mut shorter = ledger::Tree::new();
    for entry in log.ledger_entries(0..690).await.unwrap() {
        shorter.push(entry.leaf_hash());
    }
    sqlx::query("DELETE FROM ledger_entries WHERE sequence >= 690")
        .execute(log.pool())
        .await
        .unwrap();
    sqlx::query("UPDATE ledger_state SET tree = $1")
        .bind(shorter.to_bytes())
        .execute(log.pool())
        .await
        .unwrap();
    let report = log
        .verify_ledger(signer.verifier(), &mut |_| ())
        .await
        .unwrap();
    assert!(!report.is_sound(), "{report:?}");
    log.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_check_their_own_lines() {
    let server = Server::shared();
    let database = server.database().await;
    let storage = server.address(&database);
    let argument = format!("storage={storage}");
    let folder = tempfile::tempdir().unwrap();
    let one = Program::start_with(folder.path(), &["--set", &argument]).await;
    let root = one.first_person().await;
    let other = tempfile::tempdir().unwrap();
    fs::copy(
        folder.path().join("gateway.key"),
        other.path().join("gateway.key"),
    )
    .unwrap();
    settle(other.path());
    let two = Program::start_with(other.path(), &["--set", &argument]).await;
    for _ in 0..5 {
        root.get("/v1/me").await;
        two.client(None)
            .with_token(root.token.as_deref().unwrap())
            .get("/v1/me")
            .await;
    }
    one.stop().await;
    two.stop().await;
    for folder in [folder.path(), other.path()] {
        let config = Config {
            data_dir: folder.to_owned(),
            storage: storage.clone(),
            ..Config::default()
        };
        let found: Verification = verify(&config, options(), &Random::from_seed(1), &mut |_| ())
            .await
            .unwrap();
        assert!(found.sound, "{found:?}");
        assert!(
            found.audit.batches > 0 && found.audit.elsewhere > 0,
            "{found:?}"
        );
    }
}
