//! The event API behind a real socket, and a client of it.

use std::{sync::Arc, time::Duration};

use axum::{Extension, body::Bytes, http};
use events::{Bus, Clock, EventLog, Ids, MemoryLog, RandomIds, SystemClock, SystemEvent};
use gateway::{
    event_api::{EventApi, router},
    state::{MemoryBackend, State},
};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use protocol::{Principal, Role};
use serde_json::{Value, json};
use uuid::Uuid;

pub(super) const LONG: Duration = Duration::from_secs(20);

/// A replica on a port of its own; ends with it.
pub(super) struct Replica {
    pub(super) address: std::net::SocketAddr,
    pub(super) log: Arc<dyn EventLog>,
    pub(super) api: EventApi,
    client: Client<HttpConnector, Full<Bytes>>,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Replica {
    pub(super) async fn in_memory() -> Self {
        let state = State::open(Arc::new(MemoryBackend::default())).await;
        let state = state.expect("a state");
        Self::over(Arc::new(MemoryLog::new()), state, "north").await
    }

    pub(super) async fn over(log: Arc<dyn EventLog>, state: State, site: &str) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let ids = Arc::new(RandomIds::default());
        let bus = Bus::new(Arc::clone(&log), Arc::clone(&clock), ids);
        let principal = Principal {
            subject: "someone".into(),
            site: site.into(),
            roles: vec![Role::Service],
            consumer: "test".into(),
        };
        let api = EventApi::new(bus, state, clock);
        let routes = router(api.clone()).layer(Extension(principal));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = tokio::spawn(async move {
            axum::serve(listener, routes).await.expect("serving");
        });
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Self {
            address,
            log,
            api,
            client,
            server,
        }
    }

    pub(super) async fn open(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> http::Response<hyper::body::Incoming> {
        let mut request = http::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).expect("a request");
        self.client.request(request).await.expect("an answer")
    }

    pub(super) async fn send(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let answer = self.open(method, path, &[], body).await;
        let status = answer.status().as_u16();
        let bytes = answer
            .into_body()
            .collect()
            .await
            .expect("a body")
            .to_bytes();
        (
            status,
            serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        )
    }

    /// The answer to a request that must succeed.
    pub(super) async fn done(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.send(method, path, body).await;
        assert!(status < 300, "{method} {path}: {status} {answer}");
        answer
    }

    /// Status and code of a request that must fail.
    pub(super) async fn refused(&self, method: &str, path: &str, body: Value) -> (u16, String) {
        let (status, answer) = self.send(method, path, body).await;
        assert!(status >= 400, "{method} {path}: {status} {answer}");
        (
            status,
            answer["code"].as_str().unwrap_or_default().to_owned(),
        )
    }

    pub(super) async fn append(&self, events: &[SystemEvent]) -> Vec<u64> {
        let answer = self
            .done("POST", "/v1/events", json!({ "events": events }))
            .await;
        serde_json::from_value(answer["positions"].clone()).expect("positions")
    }

    /// Follows with server-sent events.
    pub(super) async fn stream(&self, path: &str, resumed: Option<u64>) -> Stream {
        let id = resumed.map(|id| id.to_string());
        let headers: Vec<_> = id.iter().map(|id| ("last-event-id", id.as_str())).collect();
        let answer = self.open("GET", path, &headers, "").await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Stream {
            body: answer.into_body(),
            text: String::new(),
        }
    }
}

/// A stream of server-sent events, read as the standard says (WHATWG HTML, section 9.2.6).
pub(super) struct Stream {
    body: hyper::body::Incoming,
    text: String,
}

impl Stream {
    /// Whether it ends without a further event.
    pub(super) async fn ends(mut self) -> bool {
        let rest = async {
            let mut rest = self.text;
            while let Some(frame) = self.body.frame().await {
                let data = frame.expect("a frame").into_data().expect("data");
                rest.push_str(std::str::from_utf8(&data).expect("a text"));
            }
            rest
        };
        let rest = tokio::time::timeout(LONG, rest).await;
        rest.is_ok_and(|rest| !rest.contains("data:"))
    }

    /// Id and data of the next event.
    pub(super) async fn next(&mut self) -> (u64, Value) {
        let next = async {
            loop {
                while let Some((block, rest)) = self.text.split_once("\n\n") {
                    let field = |name: &str| {
                        let line = block.lines().find_map(|line| line.strip_prefix(name));
                        line.map(|value| value.trim_start().to_owned())
                    };
                    let found = field("id:").zip(field("data:"));
                    self.text = rest.to_owned();
                    if let Some((id, data)) = found {
                        return (
                            id.parse().expect("an id"),
                            serde_json::from_str(&data).expect("data"),
                        );
                    }
                }
                let frame = self.body.frame().await.expect("no end").expect("a frame");
                let data = frame.into_data().expect("data");
                self.text
                    .push_str(std::str::from_utf8(&data).expect("a text"));
            }
        };
        tokio::time::timeout(LONG, next)
            .await
            .expect("an event in time")
    }
}

/// A step of a session: one of this program's own events.
pub(super) fn step(attempt: u64) -> SystemEvent {
    thread_local! { static IDS: RandomIds = RandomIds::default(); }
    let timestamp = SystemClock.now();
    let event_id = IDS.with(|ids| ids.next(timestamp));
    SystemEvent {
        event_type: events::EventType::new("session.step"),
        source_service: "test".into(),
        event_id,
        timestamp,
        schema_version: 1,
        data: json!({ "session_id": Uuid::from_u128(1), "step": "collect", "state": "started", "attempt": attempt, "reason_code": null }),
        correlation_id: event_id,
        causation_id: None,
        site: Some("north".into()),
        traceparent: None,
    }
}

pub(super) fn steps(count: u64) -> Vec<SystemEvent> {
    (1..=count).map(step).collect()
}

/// Positions of a page's or a delivery's events.
pub(super) fn positions(answer: &Value) -> Vec<u64> {
    let events = answer["events"].as_array().expect("events");
    events
        .iter()
        .map(|event| event["position"].as_u64().expect("a position"))
        .collect()
}
