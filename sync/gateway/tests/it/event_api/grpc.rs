//! Following over gRPC, by a client that others wrote.

use std::process::Stdio;

use events::{EventType, RecordedEvent};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::timeout,
};

use super::support::{LONG, Replica, step};

#[tokio::test(flavor = "multi_thread")]
async fn a_grpc_client_made_from_the_proto_file_follows() {
    let replica = Replica::in_memory().await;
    let mut caused = step(3);
    caused.causation_id = Some(step(1).event_id);
    let mut other = step(2);
    other.event_type = EventType::new("clock.stepped");
    other.data = json!({ "step_ms": 5 });
    replica.append(&[step(1), other, caused.clone()]).await;
    let environment = std::env::var_os("NEURASCALE_PYENV")
        .expect("NEURASCALE_PYENV names the virtual environment of the tests (xtask makes it)");
    let mut peer = Command::new(std::path::Path::new(&environment).join("bin/python"))
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/it/event_api/grpc_peer.py"
        ))
        .arg(replica.address.port().to_string())
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/proto"))
        .args(["1", "2", "session.step"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the peer");
    let mut said = BufReader::new(peer.stdout.take().expect("its output")).lines();
    let mut line = async || {
        let line = timeout(LONG, said.next_line()).await.expect("in time");
        line.expect("a text").expect("a line")
    };
    assert_eq!(line().await, "subscribed");
    let replayed: RecordedEvent = serde_json::from_str(&line().await).expect("an event");
    assert_eq!((replayed.position.0, replayed.event), (3, caused));
    let live = step(4);
    replica.append(std::slice::from_ref(&live)).await;
    let followed: RecordedEvent = serde_json::from_str(&line().await).expect("an event");
    assert_eq!((followed.position.0, followed.event), (4, live));
    let ended = timeout(LONG, peer.wait()).await.expect("in time");
    assert!(ended.expect("its end").success());
}
