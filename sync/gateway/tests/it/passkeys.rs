//! Passkeys against the gateway's program, with an authenticator that others wrote.

use std::{path::Path, process::Stdio};

use serde_json::{Value, json};
use tokio::process::Command;

use crate::program::{PASSWORD, Program, problem};

#[tokio::test(flavor = "multi_thread")]
async fn an_authenticator_registers_signs_in_and_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let pages = [
        "--set",
        "passkeys.rp_id=clinic.test",
        "--set",
        "passkeys.origins=[\"https://eeg.clinic.test\"]",
    ];
    let gateway = Program::start_with(folder.path(), &pages).await;
    let root = gateway.first_person().await;
    let environment = std::env::var_os("NEURASCALE_PYENV")
        .expect("NEURASCALE_PYENV names the virtual environment of the tests (xtask makes it)");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/passkey_peer.py");
    let output = Command::new(Path::new(&environment).join("bin/python"))
        .arg(script)
        .arg(gateway.port.to_string())
        .arg(gateway.folder.join("ca.pem"))
        .env("PASSWORD", PASSWORD)
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let wrong = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}\n{wrong}");
    assert!(said.ends_with("all held\n"), "{said}");
    let reasons: Vec<String> = root
        .entries()
        .await
        .iter()
        .filter(|entry| entry.kind.ends_with("_refused"))
        .map(|entry| {
            serde_json::from_str::<Value>(entry.payload.as_str()).unwrap()["reason"].to_string()
        })
        .collect();
    for due in [
        "another origin's",
        "another relying party",
        "nobody was present",
        "the user was not verified",
        "another ceremony",
        "the counter went back",
        "the signature does not hold",
        "the challenge was used before",
        "the challenge is none of the gateway's for this",
        "unknown passkey",
        "said to be another's",
    ] {
        let due = due.replace("the counter", "the signature counter");
        assert!(
            reasons.iter().any(|reason| reason.contains(&due)),
            "{due} is not among {reasons:?}"
        );
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_relying_party_there_are_no_passkeys() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Program::start(folder.path()).await;
    let root = gateway.first_person().await;
    let nobody = gateway.client(None);
    let off = nobody.post("/auth/passkey/begin", &json!({})).await;
    assert_eq!(problem(off).await, (404, "passkey.off".to_owned()));
    let body = json!({ "password": PASSWORD });
    let off = root.post("/v1/me/passkeys/begin", &body).await;
    assert_eq!(problem(off).await, (404, "passkey.off".to_owned()));
    let none: Value = root.get("/v1/me/passkeys").await.json().await.unwrap();
    assert_eq!(none, json!({ "passkeys": [] }));
    gateway.stop().await;
}
