//! The whole program: set-up, people, devices, what is refused, and what is left after a kill.

use std::{fs, sync::Arc};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    program::{Caller, PASSWORD, Program, command, problem, settle},
    trust::{key_pem, request_pem},
};

#[tokio::test(flavor = "multi_thread")]
async fn the_first_person_is_set_up_once_and_with_the_printed_code_alone() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Program::start(folder.path()).await;
    let nobody = gateway.client(None);
    let body = |code: &str| json!({ "code": code, "login": "root", "password": PASSWORD });
    for code in ["", "AAAA-AAAA-AAAA-A", "0000-0000-0000-0"] {
        let refused = problem(nobody.post("/v1/set-up", &body(code)).await).await;
        assert_eq!(refused, (403, "set_up.code".to_owned()));
    }
    let root = gateway.first_person().await;
    let again = nobody
        .post("/v1/set-up", &body(gateway.code.as_deref().unwrap()))
        .await;
    assert_eq!(problem(again).await.0, 403);
    let me: Value = root.get("/v1/me").await.json().await.unwrap();
    assert_eq!(me["roles"], json!(["super_admin"]));
    settle(folder.path());
    let second = command(folder.path()).output().await.unwrap();
    assert!(!second.status.success(), "one gateway a folder");
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains("another gateway runs"), "{said}");
    gateway.stop().await;
    let gateway = Program::start(folder.path()).await;
    assert_eq!(gateway.code, None, "nobody is set up twice");
    let root = gateway.first_person().await;
    assert_eq!(root.get("/v1/me").await.status(), StatusCode::OK);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_signs_out_or_is_kept_out_is_out_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Program::start(folder.path()).await;
    let root = gateway.first_person().await;
    let nobody = gateway.client(None);
    let ada = root.somebody("ada", "clinician").await;
    let wrong = nobody
        .post("/auth/sign-in", &json!({ "login": "ada", "password": "x" }))
        .await;
    let unknown = nobody
        .post("/auth/sign-in", &json!({ "login": "eve", "password": "x" }))
        .await;
    assert_eq!(
        problem(wrong).await,
        problem(unknown).await,
        "both are answered alike"
    );
    assert_eq!(ada.get("/v1/me").await.status(), StatusCode::OK);
    assert_eq!(
        problem(ada.get("/v1/people").await).await,
        (403, "access.denied".to_owned())
    );
    assert_eq!(
        ada.post("/auth/sign-out", &json!({})).await.status(),
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        problem(ada.get("/v1/me").await).await,
        (401, "auth.invalid".to_owned())
    );

    let body = json!({ "login": "ada", "password": PASSWORD });
    let granted: Value = nobody
        .post("/auth/sign-in", &body)
        .await
        .json()
        .await
        .unwrap();
    let ada = nobody.with_token(granted["access_token"].as_str().unwrap());
    let refresh = json!({ "refresh_token": granted["refresh_token"] });
    let renewed: Value = nobody
        .post("/auth/refresh", &refresh)
        .await
        .json()
        .await
        .unwrap();
    assert!(renewed["access_token"].is_string());
    let copied = nobody.post("/auth/refresh", &refresh).await;
    assert_eq!(copied.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(
        ada.get("/v1/me").await.status(),
        StatusCode::UNAUTHORIZED,
        "a copied token ends it"
    );

    let ada = nobody.signed_in("ada", PASSWORD).await;
    let people: Value = root.get("/v1/people").await.json().await.unwrap();
    let id = people["people"]
        .as_array()
        .unwrap()
        .iter()
        .find(|person| person["login"] == "ada")
        .unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    // What she may be is looked up at every request, not taken from her token.
    root.put(&format!("/v1/people/{id}"), &json!({ "roles": ["admin"] }))
        .await;
    assert_eq!(ada.get("/v1/people").await.status(), StatusCode::OK);
    let raise = json!({ "roles": ["super_admin"] });
    let raised = ada.put(&format!("/v1/people/{id}"), &raise).await;
    assert_eq!(
        problem(raised).await,
        (403, "access.denied".to_owned()),
        "nobody raises themselves"
    );
    root.put(&format!("/v1/people/{id}"), &json!({ "disabled": true }))
        .await;
    assert_eq!(ada.get("/v1/me").await.status(), StatusCode::UNAUTHORIZED);
    let shut: Value = root.get("/v1/people").await.json().await.unwrap();
    assert!(
        !shut.to_string().contains("argon2"),
        "no hash leaves the gateway"
    );
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_enrolled_by_a_code_and_ends_at_once_when_it_is_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Program::start(folder.path()).await;
    let root = gateway.first_person().await;
    let nobody = gateway.client(None);
    let work = tempfile::tempdir().unwrap();
    let pem = request_pem(work.path(), "device");
    let code = json!({ "kind": "device", "name": "bedside 1" });
    let code: Value = root
        .post("/v1/enrolment-codes", &code)
        .await
        .json()
        .await
        .unwrap();
    let body = json!({ "code": code["code"], "request": pem });
    let enrolled = nobody.post("/v1/enrol", &body).await;
    assert_eq!(enrolled.status(), StatusCode::CREATED);
    let enrolled: Value = enrolled.json().await.unwrap();
    let again = nobody.post("/v1/enrol", &body).await;
    assert_eq!(problem(again).await, (403, "enrolment.code".to_owned()));

    let chain = enrolled["certificate"].as_str().unwrap();
    let key = key_pem(work.path(), "device");
    let device = gateway.client(Some((chain, &key)));
    let me: Value = device.get("/v1/me").await.json().await.unwrap();
    assert_eq!(
        (&me["roles"], &me["account"]),
        (&json!(["device"]), &Value::Null)
    );
    assert_eq!(
        device.get("/v1/people").await.status(),
        StatusCode::FORBIDDEN
    );
    let granted: Value = device
        .post("/auth/service-token", &json!({}))
        .await
        .json()
        .await
        .unwrap();
    let token = granted["access_token"].as_str().unwrap();
    assert_eq!(
        device.with_token(token).get("/v1/me").await.status(),
        StatusCode::OK
    );
    let stolen = problem(nobody.with_token(token).get("/v1/me").await).await;
    assert_eq!(
        stolen,
        (401, "auth.invalid".to_owned()),
        "the token is bound to its certificate"
    );
    let person = root.post("/auth/service-token", &json!({})).await;
    assert_eq!(
        problem(person).await,
        (401, "auth.certificate_due".to_owned())
    );

    let renewal = json!({ "request": pem });
    let renewed = nobody.post("/v1/certificates/renew", &renewal).await;
    assert_eq!(renewed.status(), StatusCode::OK);
    let strange = json!({ "request": request_pem(work.path(), "stranger") });
    let strange = nobody.post("/v1/certificates/renew", &strange).await;
    assert_eq!(
        problem(strange).await,
        (403, "enrolment.unknown".to_owned())
    );

    let id = enrolled["subject"]["id"].as_str().unwrap();
    let ended = root.delete(&format!("/v1/enrolled/device/{id}")).await;
    assert_eq!(ended.status(), StatusCode::NO_CONTENT);
    // On the connection that is open already, and on a new one.
    assert_eq!(
        device.get("/v1/me").await.status(),
        StatusCode::UNAUTHORIZED
    );
    let fresh = gateway.client(Some((chain, &key)));
    let refused = fresh.request(Method::GET, "/v1/me").send().await;
    assert!(refused.is_err(), "the handshake fails");
    let renewed = nobody.post("/v1/certificates/renew", &renewal).await;
    assert_eq!(renewed.status(), StatusCode::FORBIDDEN);
    gateway.stop().await;
}

/// Open to everybody: what proves somebody, and what says how the gateway is.
const OPEN: [&str; 16] = [
    "/healthz",
    "/readyz",
    "/status",
    "/openapi.json",
    "/v1/set-up",
    "/auth/sign-in",
    "/auth/refresh",
    "/auth/providers",
    "/auth/providers/{name}/begin",
    "/auth/providers/{name}/complete",
    "/auth/passkey/begin",
    "/auth/passkey/complete",
    "/v1/ca.pem",
    "/.well-known/jwks.json",
    "/v1/enrol",
    "/v1/certificates/renew",
];

/// Open to whoever is somebody.
const OWN: [&str; 8] = [
    "/v1/me",
    "/v1/me/password",
    "/v1/me/second-factor",
    "/v1/me/passkeys",
    "/v1/me/passkeys/begin",
    "/v1/me/passkeys/{id}",
    "/auth/sign-out",
    "/auth/sign-out-everywhere",
];

/// Every route there is, asked by nobody, with a token that does not hold, and by the least of roles.
#[tokio::test(flavor = "multi_thread")]
async fn no_route_is_left_open() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Program::start(folder.path()).await;
    let root = gateway.first_person().await;
    let patient = root.somebody("pat", "patient").await;
    let nobody = gateway.client(None);
    for (method, path, action) in gateway::service::routes() {
        let method = if method == "ANY" { "GET" } else { method };
        let filled = path.replace("{id}", &uuid::Uuid::nil().to_string());
        let filled = filled
            .replace("{kind}", "device")
            .replace("{*", "{")
            .replace(['{', '}'], "");
        let ask = async |caller: &Caller| {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let answer = caller
                .request(method, &filled)
                .json(&json!({}))
                .send()
                .await
                .unwrap();
            let status = answer.status().as_u16();
            let code = if status < 400 {
                String::new()
            } else {
                answer.text().await.unwrap()
            };
            (status, code)
        };
        let (status, problem) = ask(&nobody).await;
        let closed = status == 401 && problem.contains("auth.required");
        assert_eq!(
            closed,
            !OPEN.contains(&path),
            "{method} {path} by nobody: {status} {problem}"
        );
        let (status, problem) = ask(&nobody.with_token("e30.e30.AA")).await;
        let refused = status == 401 && problem.contains("auth.invalid");
        assert!(
            refused,
            "{method} {path} with a token that is none: {status} {problem}"
        );
        if !OPEN.contains(&path) && !OWN.contains(&path) {
            let (status, problem) = ask(&patient).await;
            let denied = status == 403 && problem.contains("access.denied");
            assert!(
                denied,
                "{method} {path} ({action}) as a patient: {status} {problem}"
            );
        }
        if action != "session.end" {
            let (status, problem) = ask(&root).await;
            // There is no service to pass a call on to.
            let nowhere = action == "service.call" && status == 503;
            assert!(
                status < 500 || nowhere,
                "{method} {path}: {status} {problem}"
            );
        }
    }
    let admin = root.somebody("adm", "admin").await;
    let abroad = admin
        .request(Method::GET, "/v1/people")
        .header("x-neurascale-site", "south");
    let abroad = abroad.send().await.unwrap();
    assert_eq!(
        problem(abroad).await,
        (403, "access.denied".to_owned()),
        "another tenant"
    );
    let unknown = root.get("/v1/nothing").await;
    assert_eq!(problem(unknown).await, (404, "route.unknown".to_owned()));
    let method = root.delete("/healthz").await;
    assert_eq!(problem(method).await, (405, "route.method".to_owned()));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_holds_every_denial_and_write_and_a_hash_of_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Program::start(folder.path()).await;
    let root = gateway.first_person().await;
    let tess = root.somebody("tess", "clinician").await;
    for _ in 0..20 {
        tess.get("/v1/me").await;
    }
    let denied = tess
        .request(Method::GET, "/v1/people")
        .header("x-request-id", "look-at-me")
        .send();
    assert_eq!(
        denied.await.unwrap().headers()["x-request-id"],
        "look-at-me"
    );
    let entries = root.entries().await;
    let found: Vec<Value> = entries
        .iter()
        .filter(|entry| entry.kind == "audit.denied")
        .map(|entry| serde_json::from_str(entry.payload.as_str()).unwrap())
        .filter(|payload: &Value| payload["request_id"] == "look-at-me")
        .collect();
    let [found] = &found[..] else {
        panic!("one entry: {found:?}")
    };
    assert_eq!(
        (&found["action"], &found["status"]),
        (&json!("people.read"), &json!(403))
    );
    assert_eq!(found["from"], "127.0.0.1");
    settle(folder.path());
    gateway.stop().await;

    let gateway = Program::start(folder.path()).await;
    let root = gateway.first_person().await;
    let entries = root.entries().await;
    assert_is_sound(&entries);
    let mut lines = 0;
    for entry in entries.iter().filter(|entry| entry.kind == "audit.batch") {
        let batch: Value = serde_json::from_str(entry.payload.as_str()).unwrap();
        let file = folder
            .path()
            .join("audit")
            .join(batch["file"].as_str().unwrap());
        let text = fs::read(file).unwrap();
        let from = usize::try_from(batch["from_byte"].as_u64().unwrap()).unwrap();
        let count = usize::try_from(batch["lines"].as_u64().unwrap()).unwrap();
        let rest = &text[from..];
        let end = rest
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'\n')
            .nth(count - 1)
            .unwrap()
            .0;
        assert_eq!(
            batch["sha256"],
            ledger::Digest::of(&[&rest[..=end]]).to_string()
        );
        lines += count;
    }
    assert!(
        lines >= 20,
        "the requests of a clinician's own account are among {lines} lines"
    );
    let all = fs::read_dir(folder.path().join("audit")).unwrap();
    for file in all {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        assert!(
            !text.contains("tess") && !text.contains(PASSWORD),
            "ids only"
        );
    }
    gateway.stop().await;
}

/// Every entry follows from the one before it and is what was hashed.
fn assert_is_sound(entries: &[ledger::Entry]) {
    let mut previous = ledger::Digest::ZERO;
    for (sequence, entry) in entries.iter().enumerate() {
        assert_eq!(
            (entry.sequence, entry.previous),
            (sequence as u64, previous)
        );
        assert_eq!(ledger::Digest::of(&[&entry.encode()]), entry.hash);
        previous = entry.hash;
    }
    assert!(!entries.is_empty());
}

/// Killed while codes are given out: whichever was acknowledged is there, and the ledger is sound.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_outlives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Program::start(folder.path()).await;
    gateway.first_person().await;
    settle(folder.path());
    gateway.stop().await;
    let mut acknowledged = Vec::new();
    for round in 0..rounds() {
        let gateway = Arc::new(Program::start(folder.path()).await);
        let root = gateway.first_person().await;
        let mut tasks = Vec::new();
        for writer in 0..4 {
            let root = root.clone();
            tasks.push(tokio::spawn(async move {
                let mut done = Vec::new();
                for n in 0.. {
                    let name = format!("code {round}.{writer}.{n}");
                    let body = json!({ "kind": "device", "name": name });
                    let sent = root
                        .request(Method::POST, "/v1/enrolment-codes")
                        .json(&body)
                        .send();
                    let Ok(answer) = sent.await else { break };
                    let status = answer.status();
                    let Ok(code) = answer.json::<Value>().await else {
                        break;
                    };
                    assert_eq!(status, StatusCode::CREATED, "{code}");
                    done.push(code["code"].as_str().unwrap().to_owned());
                }
                done
            }));
        }
        tokio::time::sleep(std::time::Duration::from_millis(150 + 97 * round)).await;
        Arc::into_inner(gateway)
            .expect("nobody else holds it")
            .kill()
            .await;
        for task in tasks {
            acknowledged.extend(task.await.unwrap());
        }
    }
    assert!(acknowledged.len() > 20, "{} codes", acknowledged.len());
    let gateway = Program::start(folder.path()).await;
    let root = gateway.first_person().await;
    assert_is_sound(&root.entries().await);
    let nobody = gateway.client(None);
    let work = tempfile::tempdir().unwrap();
    let pem = request_pem(work.path(), "device");
    for code in &acknowledged {
        let enrolled = nobody
            .post("/v1/enrol", &json!({ "code": code, "request": pem }))
            .await;
        assert_eq!(
            enrolled.status(),
            StatusCode::CREATED,
            "a code that was given out is good"
        );
    }
    gateway.stop().await;
}

fn rounds() -> u64 {
    if std::env::var_os("NEURASCALE_SOAK").is_some() {
        50
    } else {
        5
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_made_while_it_runs_brings_everything_back() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Program::start(folder.path()).await;
    let root = gateway.first_person().await;
    settle(folder.path());
    let put = async |value: &'static str| {
        let sent = root
            .request(Method::PUT, "/v1/kv/a")
            .body(value)
            .send()
            .await
            .unwrap();
        assert_eq!(sent.status(), StatusCode::OK);
    };
    put("before").await;
    let copy = folder.path().join("copy");
    let run = async |verb: &str, file: &std::path::Path| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_neurascale-gateway"));
        command
            .arg(verb)
            .arg("--data-dir")
            .arg(folder.path())
            .arg(file);
        command.output().await.unwrap()
    };
    let made = run("backup", &copy).await;
    assert!(made.status.success(), "{made:?}");
    assert!(
        !run("backup", &copy).await.status.success(),
        "a backup is not written over"
    );
    put("after").await;
    assert!(
        !run("restore", &copy).await.status.success(),
        "not while a gateway runs"
    );
    gateway.stop().await;
    let bytes = fs::read(&copy).unwrap();
    for needle in [&b"SQLite format"[..], b"before", b"root"] {
        assert!(
            !bytes.windows(needle.len()).any(|part| part == needle),
            "it is encrypted"
        );
    }
    let damaged = folder.path().join("damaged");
    let mut changed = bytes.clone();
    changed[bytes.len() / 2] ^= 1;
    fs::write(&damaged, changed).unwrap();
    let refused = run("restore", &damaged).await;
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("not sound"),
        "{refused:?}"
    );
    let restored = run("restore", &copy).await;
    assert!(restored.status.success(), "{restored:?}");
    let gateway = Program::start(folder.path()).await;
    let root = gateway.first_person().await;
    let value = root.get("/v1/kv/a?raw").await.text().await.unwrap();
    assert_eq!(value, "before");
    assert_is_sound(&root.entries().await);
    gateway.stop().await;
}

/// An answer that comes before the whole of its request must not end the connection behind it unannounced.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_before_the_body_has_come_leaves_the_connection_open() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let folder = tempfile::tempdir().unwrap();
    let gateway = Program::start(folder.path()).await;
    let mut open = gateway.raw().await;
    for _ in 0..3 {
        let head = "POST /v1/people HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                    content-length: 12\r\n\r\n";
        open.write_all(head.as_bytes()).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        open.write_all(b"{\"login\": 1}").await.unwrap();
        let mut text = String::new();
        let mut bytes = [0; 4096];
        while !text.ends_with('}') {
            let read = open.read(&mut bytes).await.unwrap();
            assert!(read > 0, "the connection was closed: {text}");
            text.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
        assert!(text.starts_with("HTTP/1.1 401"), "{text}");
    }
    gateway.stop().await;
}
