//! What others see of the gateway: traces at a real receiver, figures in a real Prometheus, a log that names nobody.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    process::{Child, Command},
};

use crate::{
    behind::echo,
    program::{Caller, PASSWORD, Program, command, problem},
};

/// How long something may take to be seen on a busy machine.
const SEEN: Duration = Duration::from_secs(60);

async fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

/// What a receiver was told of a span.
#[derive(Debug, Default, Clone)]
struct Told {
    trace: String,
    parent: String,
    id: String,
    name: String,
    kind: String,
    attributes: BTreeMap<String, String>,
}

/// Rotel, a receiver that writes down what it gets.
struct Receiver {
    _child: Child,
    port: u16,
    said: PathBuf,
}

impl Receiver {
    async fn start(folder: &Path) -> Self {
        let environment = std::env::var_os("NEURASCALE_PYENV")
            .expect("NEURASCALE_PYENV names the virtual environment of the tests (xtask makes it)");
        let libraries = PathBuf::from(environment).join("lib");
        let program = fs::read_dir(&libraries)
            .unwrap()
            .map(|python| {
                python
                    .unwrap()
                    .path()
                    .join("site-packages/rotel/rotel-agent")
            })
            .find(|program| program.exists())
            .expect("rotel in the tests' environment");
        let (grpc, port) = (free_port().await, free_port().await);
        let said = folder.join("rotel.out");
        let child = Command::new(program)
            .args(["start", "--otlp-grpc-endpoint"])
            .arg(format!("127.0.0.1:{grpc}"))
            .arg("--otlp-http-endpoint")
            .arg(format!("127.0.0.1:{port}"))
            .args(["--debug-log", "traces", "--debug-log-verbosity", "detailed"])
            .args(["--exporter", "blackhole"])
            .current_dir(folder)
            .stdout(fs::File::create(&said).unwrap())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let began = Instant::now();
        while tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .is_err()
        {
            assert!(began.elapsed() < SEEN, "the receiver listens");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Self {
            _child: child,
            port,
            said,
        }
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.said).unwrap()
    }

    fn spans(&self) -> Vec<Told> {
        let mut spans: Vec<Told> = Vec::new();
        for line in self.text().lines() {
            if line.starts_with("Span #") {
                spans.push(Told::default());
            }
            let Some(span) = spans.last_mut() else {
                continue;
            };
            if let Some((key, value)) = line
                .trim()
                .strip_prefix("-> ")
                .and_then(|l| l.split_once(": "))
            {
                let value = value.split_once('(').map_or(value, |(_, value)| value);
                let value = value.trim_end_matches(')').to_owned();
                span.attributes.insert(key.to_owned(), value);
            } else if let Some((key, value)) = line.split_once(':') {
                let value = value.trim().to_owned();
                match key.trim() {
                    "Trace ID" => span.trace = value,
                    "Parent ID" => span.parent = value,
                    "ID" => span.id = value,
                    "Name" => span.name = value,
                    "Kind" => span.kind = value,
                    _ => {}
                }
            }
        }
        spans
    }

    /// The spans of a trace, when there are so many.
    async fn trace(&self, id: &str, due: usize) -> Vec<Told> {
        let began = Instant::now();
        loop {
            let spans = self.spans();
            let of: Vec<_> = spans.into_iter().filter(|span| span.trace == id).collect();
            if of.len() >= due {
                return of;
            }
            assert!(began.elapsed() < SEEN, "{due} spans are due: {of:#?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

fn header(answer: &Value, name: &str) -> String {
    let headers = answer["headers"].as_array().unwrap();
    let found = headers.iter().find(|pair| pair[0] == name);
    found.expect(name)[1].as_str().unwrap().to_owned()
}

async fn traced(caller: &Caller, path: &str, traceparent: &str) -> Value {
    let request = caller.request(Method::GET, path);
    let answer = request.header("traceparent", traceparent).send().await;
    answer.unwrap().json().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_and_an_event_and_what_follows_from_it_are_one_trace() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(folder.path()).await;
    let endpoint = format!(
        "observability.otlp_endpoint=http://127.0.0.1:{}",
        receiver.port
    );
    let gateway = Program::start_with(folder.path(), &["--set", &endpoint]).await;
    let root = gateway.first_person().await;
    let service = echo(&root, "echo-1").await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let client = format!("00-{trace}-00f067aa0ba902b7-01");
    let answer = traced(&root, "/svc/echo/patients/MRN-4711?name=canary", &client).await;
    let at_service = header(&answer, "traceparent");
    // Publishing within the trace; the event brings it to whoever handles it.
    let id = "0197f0c0-0000-7000-8000-000000000001";
    let event = json!({
        "event_type": "system.health_check", "source_service": "test", "event_id": id,
        "timestamp": "2026-11-27T05:00:00Z", "schema_version": 1,
        "data": { "state": "healthy", "items": [] },
        "correlation_id": id, "causation_id": null,
    });
    let published = root
        .request(Method::POST, "/v1/events")
        .header("traceparent", &client)
        .json(&json!({ "events": [event] }))
        .send()
        .await
        .unwrap();
    let status = published.status();
    assert_eq!(
        status,
        StatusCode::OK,
        "{}",
        published.text().await.unwrap()
    );
    let page: Value = root.get("/v1/events").await.json().await.unwrap();
    let of_event = page["events"]
        .as_array()
        .unwrap()
        .iter()
        .find(|recorded| recorded["event"]["event_id"] == id)
        .expect("the event")["event"]["traceparent"]
        .as_str()
        .expect("its trace")
        .to_owned();
    traced(&root, "/svc/echo/follows", &of_event).await;
    // A request without a trace begins one of its own.
    let untraced: Value = root.get("/svc/echo/").await.json().await.unwrap();
    let other = header(&untraced, "traceparent");
    assert!(!other.contains(trace) && other.ends_with("-01"), "{other}");
    // One whose client does not record it is not recorded here.
    let unrecorded = "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-00f067aa0ba902b7-00";
    traced(&root, "/svc/echo/", unrecorded).await;

    let spans = receiver.trace(trace, 6).await;
    let of = |name: &str, parent: &str| {
        let found: Vec<_> = spans
            .iter()
            .filter(|span| span.name == name && span.parent == parent)
            .collect();
        assert_eq!(found.len(), 1, "{name} under {parent}: {spans:#?}");
        found[0].clone()
    };
    let call = of("GET /svc/{service}/{*path}", "00f067aa0ba902b7");
    assert_eq!(call.kind, "SPAN_KIND_SERVER");
    assert_eq!(call.attributes["neurascale.consumer.kind"], "person");
    assert_eq!(call.attributes["http.response.status_code"], "200");
    let attempt = of("GET", &call.id);
    assert_eq!(attempt.kind, "SPAN_KIND_CLIENT");
    assert_eq!(at_service, format!("00-{trace}-{}-01", attempt.id));
    let publish = of("POST /v1/events", "00f067aa0ba902b7");
    let event = of("publish events", &publish.id);
    assert_eq!(event.kind, "SPAN_KIND_PRODUCER");
    assert_eq!(of_event, format!("00-{trace}-{}-01", event.id));
    let follows = of("GET /svc/{service}/{*path}", &event.id);
    of("GET", &follows.id);
    receiver.trace(&other[3..35], 2).await;
    service.abort();
    gateway.stop().await;
    let all = receiver.text();
    assert!(!all.contains("aaaaaaaaaaaaaaaa"), "{all}");
    let token = root.token.clone().unwrap();
    for canary in ["MRN-4711", "canary", "root", token.as_str(), PASSWORD, id] {
        assert!(!all.contains(canary), "{canary} is in a span");
    }
}

/// A figure without labels.
fn figure(metrics: &str, name: &str) -> u64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name));
    let value = line.unwrap_or_else(|| panic!("{name} in {metrics}"));
    value.trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_never_answers_slows_nobody_and_what_it_misses_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    // Connections are taken by the system; nobody ever reads them.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!(
        "observability.otlp_endpoint=http://{}",
        silent.local_addr().unwrap()
    );
    let gateway = Program::start_with(folder.path(), &["--set", &endpoint]).await;
    let root = gateway.first_person().await;
    // More than the queue and a batch hold.
    let callers = (0..8).map(|_| {
        let caller = root.clone();
        tokio::spawn(async move {
            let mut took = Vec::new();
            for _ in 0..400 {
                let began = Instant::now();
                assert_eq!(caller.get("/nothing").await.status(), StatusCode::NOT_FOUND);
                took.push(began.elapsed());
            }
            took
        })
    });
    let mut took = Vec::new();
    for caller in callers.collect::<Vec<_>>() {
        took.extend(caller.await.unwrap());
    }
    took.sort();
    let slow = took[took.len() * 95 / 100];
    // Whoever waited for the receiver waited for its 10 s.
    assert!(slow < Duration::from_secs(2), "{slow:?}");
    let metrics = root.get("/metrics").await.text().await.unwrap();
    assert_eq!(figure(&metrics, "neurascale_spans_exported_total "), 0);
    let dropped = figure(&metrics, "neurascale_spans_dropped_total ");
    assert!(dropped >= 3_200 - 2_048 - 512, "{dropped}");
    let ended = Instant::now();
    gateway.stop().await;
    assert!(
        ended.elapsed() < Duration::from_secs(9),
        "its end waits for nobody either"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_told_by_dependency_and_an_end_is_told_before_it_comes() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = format!(
        "observability.otlp_endpoint=http://127.0.0.1:{}",
        free_port().await
    );
    let arguments = ["--set", &endpoint, "--set", "drain_s=5"];
    let gateway = Program::start_with(folder.path(), &arguments).await;
    let nobody = gateway.client(None);
    assert_eq!(nobody.get("/readyz").await.status(), StatusCode::OK);
    let began = Instant::now();
    loop {
        let answer = nobody.get("/status").await;
        // A receiver that is away is told of, and no reason to ask another gateway.
        assert_eq!(answer.status(), StatusCode::OK);
        let status: Value = answer.json().await.unwrap();
        assert_eq!(status["status"], "ok");
        let healthy: BTreeMap<_, _> = status["dependencies"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (one["name"].as_str().unwrap(), one["healthy"] == true))
            .collect();
        assert!(healthy["database"] && healthy["event_log"], "{status}");
        if !healthy["otlp"] {
            break;
        }
        assert!(began.elapsed() < SEEN, "{status}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    gateway.ask_to_end().await;
    let began = Instant::now();
    let told = loop {
        let answer = nobody.get("/readyz").await;
        if answer.status() != StatusCode::OK {
            break problem(answer).await;
        }
        assert!(began.elapsed() < SEEN);
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(told, (503, "status.draining".to_owned()));
    // Others are served meanwhile, on new connections too.
    let late = gateway.client(None).get("/healthz").await;
    assert_eq!(late.status(), StatusCode::OK);
    gateway.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_scrapes_it_and_answers_of_routes_consumers_and_services() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Program::start(folder.path()).await;
    let root = gateway.first_person().await;
    let service = echo(&root, "echo-1").await;
    for _ in 0..5 {
        assert_eq!(root.get("/svc/echo/a").await.status(), StatusCode::OK);
    }
    let refused = gateway.client(None).get("/svc/echo/a").await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    let config = folder.path().join("prometheus.yml");
    let text = json!({
        "global": { "scrape_interval": "1s" },
        "scrape_configs": [{
            "job_name": "gateway", "scheme": "https",
            "tls_config": { "ca_file": folder.path().join("ca.pem") },
            "authorization": { "credentials": root.token },
            "static_configs": [{ "targets": [format!("localhost:{}", gateway.port)] }],
        }],
    });
    // JSON is YAML.
    fs::write(&config, text.to_string()).unwrap();
    let port = free_port().await;
    let mut prometheus = Command::new("prometheus")
        .arg(format!("--config.file={}", config.display()))
        .arg(format!(
            "--storage.tsdb.path={}",
            folder.path().join("tsdb").display()
        ))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("prometheus (Debian: prometheus)");
    // Plain HTTP, and a provider of cryptography for the client all the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask = async |query: &str| -> Option<f64> {
        let url = format!("http://127.0.0.1:{port}/api/v1/query");
        let url = reqwest::Url::parse_with_params(&url, [("query", query)]).unwrap();
        let answer = client.get(url).send().await.ok()?;
        let answer: Value = answer.json().await.ok()?;
        answer["data"]["result"][0]["value"][1]
            .as_str()?
            .parse()
            .ok()
    };
    let route = "route=\"/svc/{service}/{*path}\",method=\"GET\"";
    for (query, due) in [
        (format!("neurascale_requests_total{{{route},consumer=\"person\",code=\"200\"}}"), 5.0),
        (format!("neurascale_requests_total{{{route},consumer=\"nobody\",code=\"401\"}}"), 1.0),
        (format!("neurascale_request_seconds_count{{{route},consumer=\"person\"}}"), 5.0),
        ("neurascale_edge_upstream_seconds_count{service=\"default/echo\"}".to_owned(), 5.0),
        ("neurascale_edge_gateway_seconds_bucket{service=\"default/echo\",le=\"+Inf\"}".to_owned(), 5.0),
        ("neurascale_edge_answers_total{service=\"default/echo\",class=\"2xx\"}".to_owned(), 5.0),
        ("count(neurascale_edge_breaker{service=\"default/echo\"} == 0)".to_owned(), 1.0),
        (format!("count(neurascale_sent_bytes_total{{{route},consumer=\"person\"}} > 500)"), 1.0),
        ("count(neurascale_received_bytes_total{route=\"/v1/set-up\"} > 40)".to_owned(), 1.0),
        ("count(histogram_quantile(0.95, sum by (le) (neurascale_edge_upstream_seconds_bucket)) > 0)".to_owned(), 1.0),
    ] {
        let began = Instant::now();
        loop {
            let found = ask(&query).await;
            if found == Some(due) {
                break;
            }
            assert!(began.elapsed() < SEEN, "{query}: {found:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    prometheus.kill().await.unwrap();
    service.abort();
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_a_busy_run_names_nobody_and_each_of_its_requests_has_a_trace() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut command = command(folder.path());
    command
        .args(["--set", "log=debug"])
        .stderr(fs::File::create(&log).unwrap());
    let gateway = Program::run(folder.path(), command).await;
    let code = gateway.code.clone().unwrap();
    let root = gateway.first_person().await;
    let service = echo(&root, "echo-1").await;
    let ada = root.somebody("canary-login", "clinician").await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    for number in 0..20 {
        let path = format!("/svc/echo/patients/MRN-4711-{number}?name=canary-name");
        let asked = ada
            .request(Method::POST, &path)
            .header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"))
            .header("tracestate", "vendor=canary-state")
            .header("x-request-id", "canary-request")
            .json(&json!({ "born": "canary-birth" }))
            .send()
            .await;
        assert_eq!(asked.unwrap().status(), StatusCode::OK);
    }
    let wrong = json!({ "login": "canary-login", "password": "canary-password" });
    assert_eq!(
        root.post("/auth/sign-in", &wrong).await.status(),
        StatusCode::UNAUTHORIZED
    );
    let forged = root.with_token("e30.canary-token.AA").get("/v1/me").await;
    assert_eq!(forged.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(
        root.get("/canary-nowhere").await.status(),
        StatusCode::NOT_FOUND
    );
    root.put("/v1/kv/canary-key", &json!("canary-value")).await;
    root.post("/v1/events", &json!({ "events": [{ "canary-event": 1 }] }))
        .await;
    service.abort();
    let _ = service.await;
    // Nobody is there to answer.
    ada.get("/svc/echo/patients/MRN-4711").await;
    gateway.stop().await;
    let text = fs::read_to_string(&log).unwrap();
    let tokens = [root.token.clone().unwrap(), ada.token.clone().unwrap()];
    let mut canaries = vec!["canary", "MRN-4711", PASSWORD, code.as_str()];
    canaries.extend(tokens.iter().map(String::as_str));
    for canary in canaries {
        let lines: Vec<_> = text.lines().filter(|line| line.contains(canary)).collect();
        assert!(lines.is_empty(), "{canary} is in the log: {lines:#?}");
    }
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("each line is JSON"))
        .collect();
    let answered: Vec<_> = lines
        .iter()
        .filter(|line| line["fields"]["message"] == "answered")
        .collect();
    assert!(answered.len() > 25, "{}", answered.len());
    for line in &answered {
        assert_eq!(
            line["span"]["trace_id"].as_str().map(str::len),
            Some(32),
            "{line}"
        );
    }
    let of_trace = answered
        .iter()
        .filter(|line| line["span"]["trace_id"] == trace);
    assert_eq!(of_trace.count(), 20);
}
