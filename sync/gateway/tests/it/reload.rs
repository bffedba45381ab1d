//! A configuration that changes while the gateway runs.

use std::{fs, time::Duration};

use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::program::{Caller, Program};

const LONG: Duration = Duration::from_secs(20);

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = tokio::time::Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < LONG, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn limit(caller: &Caller) -> Option<String> {
    let answer = caller.get("/v1/me").await;
    let policy = answer.headers().get("ratelimit-policy")?;
    Some(policy.to_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_configuration_holds_and_no_connection_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    let policies = folder.path().join("policies.cedar");
    fs::write(&file, "[limits]\nper_minute = 100000\nper_hour = 1000000\n").unwrap();
    let data = folder.path().join("data");
    let gateway = Program::configured(&data, &file).await;
    let root = gateway.first_person().await;
    let token = root.token.clone().unwrap();

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let service = axum::Router::new().route("/x", axum::routing::get(|| async { "behind" }));
    tokio::spawn(async move { axum::serve(listener, service).await });
    let body = json!({ "Name": "plain", "Address": "127.0.0.1", "Port": port,
        "Check": { "TTL": "1h", "Status": "passing" } });
    let registered = root.put("/v1/agent/service/register", &body).await;
    assert_eq!(registered.status(), StatusCode::OK);
    assert_eq!(root.get("/plain/x").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(
        limit(&root).await.unwrap(),
        "\"minute\";q=100000;w=60, \"hour\";q=1000000;w=3600"
    );

    // One connection that is open before, during and after.
    let mut open = gateway.raw().await;
    let mut ask = async |path: &str| -> String {
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n"
        );
        open.write_all(head.as_bytes()).await.unwrap();
        let mut seen = vec![0; 64 * 1024];
        let mut text = String::new();
        while !text.contains("\r\n\r\n") {
            let read = open.read(&mut seen).await.unwrap();
            assert!(read > 0, "the connection was closed");
            text.push_str(&String::from_utf8_lossy(&seen[..read]));
        }
        text
    };
    assert!(ask("/v1/kv/none").await.starts_with("HTTP/1.1 404"));

    let forbids = "permit (principal in Role::\"super_admin\", action, resource);\n\
        permit (principal, action in [Action::\"session.begin\"], resource);\n\
        @id(\"no_keys\") forbid (principal, action in [Action::\"kv.read\"], resource);\n";
    fs::write(&policies, forbids).unwrap();
    fs::write(
        &file,
        format!(
            "policies = \"{}\"\nlisten = \"127.0.0.1:1\"\ncors_origins = [\"https://wards.example\"]\n\
             [[rules]]\nprefix = \"/plain\"\nservice = \"plain\"\nstrip_prefix = true\n\
             [limits]\nper_minute = 50000\nper_hour = 500000\n",
            policies.display()
        ),
    )
    .unwrap();
    gateway.hang_up().await;
    until("the rule leads to the service", async || {
        root.get("/plain/x").await.status() == StatusCode::OK
    })
    .await;
    assert_eq!(
        limit(&root).await.unwrap(),
        "\"minute\";q=50000;w=60, \"hour\";q=500000;w=3600"
    );
    assert!(
        ask("/v1/kv/none").await.starts_with("HTTP/1.1 403"),
        "on the old connection"
    );
    let asked = root
        .request(Method::GET, "/v1/me")
        .header("origin", "https://wards.example");
    let answer = asked.send().await.unwrap();
    assert_eq!(
        answer.headers()["access-control-allow-origin"],
        "https://wards.example"
    );
    let entered = root.entries().await;
    assert!(entered.iter().any(|entry| entry.kind == "config.reloaded"));

    // What does not hold changes nothing: policies that speak of what there is not, and half a file.
    for broken in [
        "permit (principal, action in [Action::\"fly\"], resource);",
        "permit (",
    ] {
        fs::write(&policies, broken).unwrap();
        gateway.hang_up().await;
        gateway.hang_up().await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(ask("/v1/kv/none").await.starts_with("HTTP/1.1 403"));
        assert_eq!(root.get("/plain/x").await.status(), StatusCode::OK);
        let checked = tokio::process::Command::new(env!("CARGO_BIN_EXE_neurascale-gateway"))
            .args(["check-config", "--config"])
            .arg(&file)
            .output()
            .await
            .unwrap();
        assert!(!checked.status.success(), "check-config says so beforehand");
    }
    fs::write(&file, "[limits]\nper_minute = 100000\nper_hour = 1000000\n").unwrap();
    gateway.hang_up().await;
    until("the program's own policies hold again", async || {
        root.get("/v1/kv/none").await.status() == StatusCode::NOT_FOUND
    })
    .await;
    assert!(
        ask("/v1/kv/none").await.starts_with("HTTP/1.1 404"),
        "on the old connection"
    );
    gateway.stop().await;
}
