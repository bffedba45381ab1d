//! The gateway as its clients meet it: the real program with TLS, tokens, policies and audit, on loopback, the
//! client on the same cores.

mod proxies;

use crate::figure::{Figure, Row};
use crate::folders;
use crate::limits::{
    GATEWAY_API_S, GATEWAY_CACHE_LOOKUPS, GATEWAY_CACHED, GATEWAY_CHANGES, GATEWAY_LOOKUPS,
    GATEWAY_PUBLISH_S, GATEWAY_PUBLISHED, GATEWAY_PUBLISHERS, GATEWAY_RATE, GATEWAY_ROUTED,
    GATEWAY_SERVICES, GATEWAY_SUBSCRIBERS,
};
use crate::measure::{Times, digits, grouped, time};
use anyhow::{Context as _, Result, bail, ensure};
use client::{Credentials, Policy, Registry};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use uuid::Uuid;

pub(crate) const ROWS: [Row; 10] = [
    Row {
        what: "gateway: API p95, open loop at 2,000 requests a second",
        bound: "100 ms",
        aim: "10 ms",
    },
    Row {
        what: "gateway: latency that it adds to a routed request, p95, token and limit on",
        bound: "5 ms",
        aim: "1 ms",
    },
    Row {
        what: "gateway: lookup of a service among 1,000, p99, asked for over TLS",
        bound: "10 ms",
        aim: "1 ms",
    },
    Row {
        what: "gateway: publish to subscriber, p99, durable, over TLS",
        bound: "50 ms",
        aim: "5 ms",
    },
    Row {
        what: "gateway: durable events a second of 64 publishers over HTTP, SQLite, ack p99 ≤ 10 ms",
        bound: "10,000",
        aim: "50,000",
    },
    Row {
        what: "gateway: durable events a second of 64 publishers over HTTP, PostgreSQL, ack p99 ≤ 10 ms",
        bound: "5,000",
        aim: "20,000",
    },
    Row {
        what: "gateway: configuration change to watcher, p99",
        bound: "1 s",
        aim: "20 ms",
    },
    Row {
        what: "gateway: lookup of a service in the client's cache, p99",
        bound: "100 µs",
        aim: "1 µs",
    },
    Row {
        what: "gateway: resident memory with 1,000 services and 1,000 idle subscribers",
        bound: "500 MB",
        aim: "100 MB",
    },
    proxies::ROW,
];

const START: Duration = Duration::from_secs(30);
const PASSWORD: &str = "of a gateway that is measured";

/// A gateway of its own, and who calls it.
struct Gateway {
    _child: Child,
    pid: u32,
    base: String,
    token: String,
    ca: Vec<u8>,
    _folder: tempfile::TempDir,
}

impl Gateway {
    async fn start(program: &Path, further: &[&str]) -> Result<Self> {
        let folder = folders::scratch()?;
        let data = folder.path().join("gateway");
        let mut command = Command::new(program);
        command.arg("serve").arg("--data-dir").arg(&data);
        command.args(["--listen", "127.0.0.1:0", "--set", "log=error"]);
        command.args(["--set", "limits.per_minute=100000000"]);
        command.args(["--set", "limits.per_hour=1000000000"]);
        command.args(further);
        command.stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().context("cannot start the gateway")?;
        let output = child.stdout.take().context("the gateway has no output")?;
        let mut lines = BufReader::new(output).lines();
        let (mut port, mut code) = (None, None);
        let reading = async {
            while let Some(line) = lines.next_line().await? {
                if let Some(address) = line.strip_prefix("listening on https://") {
                    port = address.rsplit(':').next().map(str::to_owned);
                }
                if let Some((_, given)) = line.split_once("good once: ") {
                    code = Some(given.to_owned());
                    break;
                }
            }
            Ok::<_, std::io::Error>(())
        };
        tokio::time::timeout(START, reading)
            .await
            .context("the gateway says nothing")??;
        let base = format!(
            "https://localhost:{}",
            port.context("the gateway names no port")?
        );
        let mut gateway = Self {
            pid: child.id().context("the gateway has ended")?,
            _child: child,
            base,
            token: String::new(),
            ca: std::fs::read(data.join("ca.pem")).context("the gateway's certificate")?,
            _folder: folder,
        };
        let client = gateway.client()?;
        let code = code.context("the gateway prints no code")?;
        let body = json!({ "code": code, "login": "bench", "password": PASSWORD });
        sound(
            gateway
                .ask(&client, Method::POST, "/v1/set-up")
                .json(&body)
                .send()
                .await?,
        )
        .await?;
        let body = json!({ "login": "bench", "password": PASSWORD });
        let signed = gateway
            .ask(&client, Method::POST, "/auth/sign-in")
            .json(&body)
            .send()
            .await?;
        let signed: Value = sound(signed).await?.json().await?;
        gateway.token = signed["access_token"]
            .as_str()
            .context("no token")?
            .to_owned();
        Ok(gateway)
    }

    /// A client with a connection of its own.
    fn client(&self) -> Result<Client> {
        Ok(self.builder()?.build()?)
    }

    /// Registry and configuration through the client that services use.
    fn registry(&self) -> Result<Registry> {
        let client = client::Client::new(self.builder()?, Policy::default(), 1)?;
        let token = Credentials::Token(self.token.as_str().into());
        Ok(Registry::new(client, self.base.parse()?, token))
    }

    fn builder(&self) -> Result<reqwest::ClientBuilder> {
        let mut roots = rustls::RootCertStore::empty();
        for der in rustls_pem(&self.ca)? {
            roots.add(der)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Client::builder()
            .no_proxy()
            .tls_backend_preconfigured(config))
    }

    fn ask(&self, client: &Client, method: Method, path: &str) -> RequestBuilder {
        client
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(&self.token)
    }

    fn resident_bytes(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: f64 = line
            .and_then(|line| line.split_whitespace().next())
            .and_then(|text| text.parse().ok())
            .context("the gateway's memory cannot be read")?;
        Ok(kib * 1024.0)
    }
}

fn rustls_pem(pem: &[u8]) -> Result<Vec<rustls::pki_types::CertificateDer<'static>>> {
    use rustls::pki_types::pem::PemObject as _;
    rustls::pki_types::CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .context("the gateway's certificate")
}

async fn sound(response: Response) -> Result<Response> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    bail!(
        "{}: {status} {}",
        response.url().path().to_owned(),
        response.text().await?
    )
}

pub(crate) fn run() -> Result<Vec<Figure>> {
    let Some(program) = folders::program("neurascale-gateway") else {
        let why = "neurascale-gateway is neither in NEURASCALE_BIN_DIR nor beside this program";
        return Ok(ROWS.iter().map(|row| row.not_measured(why)).collect());
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start a runtime")?;
    runtime.block_on(async {
        let gateway = Arc::new(Gateway::start(&program, &[]).await?);
        Ok(vec![
            api(&gateway, ROWS[0]).await?,
            routed(&gateway, ROWS[1]).await?,
            lookup(&gateway, ROWS[2]).await?,
            published(&gateway, ROWS[3]).await?,
            throughput(&gateway, ROWS[4], 10_000.0).await?,
            on_postgres(&program, ROWS[5]).await?,
            watched(&gateway, ROWS[6]).await?,
            cached(&gateway, ROWS[7]).await?,
            memory(&gateway, ROWS[8]).await?,
            proxies::run(&gateway).await?,
        ])
    })
}

/// Requests at their times, whether or not those before them were answered: a gateway that falls behind shows it.
async fn api(gateway: &Arc<Gateway>, row: Row) -> Result<Figure> {
    let clients: Vec<Client> = (0..8).map(|_| gateway.client()).collect::<Result<_>>()?;
    for client in &clients {
        sound(gateway.ask(client, Method::GET, "/v1/me").send().await?).await?;
    }
    let total = GATEWAY_RATE * GATEWAY_API_S;
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for n in 0..total {
        let due = Duration::from_secs_f64(f64::from(n) / f64::from(GATEWAY_RATE));
        tokio::time::sleep_until((begun + due).into()).await;
        let (gateway, client) = (
            Arc::clone(gateway),
            clients[n as usize % clients.len()].clone(),
        );
        tasks.spawn(async move {
            let answer = gateway.ask(&client, Method::GET, "/v1/me").send().await?;
            sound(answer).await?.bytes().await?;
            // From when it was due, not from when this program came to it.
            Ok::<_, anyhow::Error>(begun.elapsed().saturating_sub(due))
        });
    }
    let mut times = Times::default();
    while let Some(done) = tasks.join_next().await {
        times.push(done??);
    }
    let took = begun.elapsed();
    Ok(row.measured(
        times.at(0.95) <= 0.100,
        format!(
            "{} (p50 {}, p99 {}; {} requests in {}, none failed; token, policy and audit each)",
            time(times.at(0.95)),
            time(times.p50()),
            time(times.at(0.99)),
            times.len(),
            time(took.as_secs_f64()),
        ),
    ))
}

async fn routed(gateway: &Arc<Gateway>, row: Row) -> Result<Figure> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let app = axum::Router::new().route("/", axum::routing::get(|| async { "answer" }));
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let client = gateway.client()?;
    let body = json!({
        "Name": "plain", "Address": "127.0.0.1", "Port": port,
        "Check": { "TCP": format!("127.0.0.1:{port}"), "Interval": "1h", "Status": "passing" },
    });
    let register = gateway
        .ask(&client, Method::PUT, "/v1/agent/service/register")
        .json(&body);
    sound(register.send().await?).await?;
    let direct = Client::builder()
        .no_proxy()
        .tls_backend_preconfigured(
            rustls::ClientConfig::builder_with_provider(Arc::new(
                rustls::crypto::ring::default_provider(),
            ))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth(),
        )
        .build()?;
    let url = format!("http://127.0.0.1:{port}/");
    let (mut plain, mut through) = (Times::default(), Times::default());
    // By turns, so that whatever else the machine does meets both.
    for n in 0..GATEWAY_ROUTED + 100 {
        let begun = Instant::now();
        sound(direct.get(&url).send().await?).await?.bytes().await?;
        let between = Instant::now();
        let routed = gateway
            .ask(&client, Method::GET, "/svc/plain/")
            .send()
            .await?;
        sound(routed).await?.bytes().await?;
        if n >= 100 {
            plain.push(between - begun);
            through.push(between.elapsed());
        }
    }
    server.abort();
    let added = through.at(0.95) - plain.at(0.95);
    Ok(row.measured(
        added <= 0.005,
        format!(
            "{} (p50 {}; through the gateway p95 {}, straight to the service {}, {} requests one after \
             another)",
            time(added),
            time(through.p50() - plain.p50()),
            time(through.at(0.95)),
            time(plain.at(0.95)),
            through.len(),
        ),
    ))
}

async fn lookup(gateway: &Arc<Gateway>, row: Row) -> Result<Figure> {
    let client = gateway.client()?;
    let mut tasks = JoinSet::new();
    for n in 0..GATEWAY_SERVICES {
        let body = json!({
            "ID": format!("s{n}"), "Name": format!("service-{n}"), "Address": "127.0.0.1", "Port": 9,
            "Check": { "TTL": "1h", "Status": "passing" },
        });
        let register = gateway
            .ask(&client, Method::PUT, "/v1/agent/service/register")
            .json(&body);
        tasks.spawn(async move { sound(register.send().await?).await.map(drop) });
        if tasks.len() >= 64
            && let Some(done) = tasks.join_next().await
        {
            done??;
        }
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    let mut times = Times::default();
    for n in 0..GATEWAY_LOOKUPS {
        let path = format!(
            "/v1/health/service/service-{}?passing",
            n % GATEWAY_SERVICES
        );
        let begun = Instant::now();
        let found: Value = sound(gateway.ask(&client, Method::GET, &path).send().await?)
            .await?
            .json()
            .await?;
        times.push(begun.elapsed());
        ensure!(
            found.as_array().is_some_and(|found| found.len() == 1),
            "{path}: {found}"
        );
    }
    Ok(row.measured(
        times.at(0.99) <= 0.010,
        format!(
            "{} (p50 {}, {} lookups of {GATEWAY_SERVICES} services)",
            time(times.at(0.99)),
            time(times.p50()),
            times.len()
        ),
    ))
}

fn event(n: u32) -> Value {
    let id = Uuid::now_v7();
    json!({
        "event_type": "system.health_check", "source_service": "bench", "event_id": id,
        "timestamp": "2026-01-01T00:00:00Z", "schema_version": 1,
        "data": { "state": "healthy", "items": [{ "name": format!("part {n}"), "state": "healthy" }] },
        "correlation_id": id, "causation_id": null,
    })
}

async fn published(gateway: &Arc<Gateway>, row: Row) -> Result<Figure> {
    let (publisher, subscriber) = (gateway.client()?, gateway.client()?);
    let stream = gateway
        .ask(&subscriber, Method::GET, "/v1/events/stream")
        .send()
        .await?;
    let mut stream = sound(stream).await?;
    let mut times = Times::default();
    let mut held = String::new();
    for n in 0..GATEWAY_PUBLISHED {
        let event = event(n);
        let id = event["event_id"].as_str().context("an id")?.to_owned();
        let begun = Instant::now();
        let send = gateway
            .ask(&publisher, Method::POST, "/v1/events")
            .json(&json!({ "events": [event] }));
        let sending = async { sound(send.send().await?).await.map(drop) };
        let receiving = async {
            while !held.contains(&id) {
                let chunk = stream.chunk().await?.context("the stream has ended")?;
                held.push_str(&String::from_utf8_lossy(&chunk));
            }
            Ok::<_, anyhow::Error>(begun.elapsed())
        };
        let (sent, received) = tokio::join!(sending, receiving);
        sent?;
        times.push(received?);
        held.clear();
    }
    Ok(row.measured(
        times.at(0.99) <= 0.050,
        format!(
            "{} (p50 {}, {} events one after another, from the request to the subscriber's line)",
            time(times.at(0.99)),
            time(times.p50()),
            times.len()
        ),
    ))
}

async fn on_postgres(program: &Path, row: Row) -> Result<Figure> {
    if !Path::new("/usr/lib/postgresql").is_dir() {
        return Ok(row.not_measured("PostgreSQL is not installed"));
    }
    let server = test_servers::postgres::Server::start();
    let database = server.database().await;
    let storage = format!("storage={}", server.address(&database));
    let gateway = Gateway::start(program, &["--set", &storage]).await?;
    throughput(&Arc::new(gateway), row, 5_000.0).await
}

/// As many events as 64 publishers get rid of, of which `bound` a second are due.
async fn throughput(gateway: &Arc<Gateway>, row: Row, bound: f64) -> Result<Figure> {
    let mut tasks = JoinSet::new();
    let until = Instant::now() + Duration::from_secs(GATEWAY_PUBLISH_S);
    let begun = Instant::now();
    for publisher in 0..GATEWAY_PUBLISHERS {
        let (gateway, client) = (Arc::clone(gateway), gateway.client()?);
        tasks.spawn(async move {
            let mut times = Times::default();
            while Instant::now() < until {
                let body = json!({ "events": [event(publisher)] });
                let asked = Instant::now();
                let send = gateway.ask(&client, Method::POST, "/v1/events").json(&body);
                sound(send.send().await?).await?.bytes().await?;
                times.push(asked.elapsed());
            }
            Ok::<_, anyhow::Error>(times)
        });
    }
    let mut times = Times::default();
    while let Some(done) = tasks.join_next().await {
        times.extend(done??);
    }
    let rate = times.len() as f64 / begun.elapsed().as_secs_f64();
    let p99 = times.at(0.99);
    Ok(row.measured(
        rate >= bound && p99 <= 0.010,
        format!(
            "{} with ack p99 {}, one event a request, its ledger entry in the same transaction, the 64 \
             publishers on the same cores",
            grouped(rate),
            time(p99)
        ),
    ))
}

async fn watched(gateway: &Arc<Gateway>, row: Row) -> Result<Figure> {
    let writer = gateway.client()?;
    let mut times = Times::default();
    let put = async |value: u32| {
        let put = gateway
            .ask(&writer, Method::PUT, "/v1/kv/bench/watched")
            .body(value.to_string());
        sound(put.send().await?).await.map(drop)
    };
    put(0).await?;
    let registry = gateway.registry()?;
    let mut watch = registry.watch_config("bench/watched").await?;
    for n in 1..=GATEWAY_CHANGES {
        // Long enough for the question to be waiting there.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let begun = Instant::now();
        let (put, told) = tokio::join!(put(n), async {
            let value = watch.changed().await;
            (value, begun.elapsed())
        });
        put?;
        let (value, took) = told;
        let value = value.context("what was written is gone")?.value;
        ensure!(value == n.to_string().as_bytes(), "not what was written");
        times.push(took);
    }
    Ok(row.measured(
        times.at(0.99) <= 1.0,
        format!(
            "{} (p50 {}, {} changes, from the request to write to the watcher of sync/client)",
            time(times.at(0.99)),
            time(times.p50()),
            times.len()
        ),
    ))
}

/// Of the services that the lookup at the server was measured with.
async fn cached(gateway: &Arc<Gateway>, row: Row) -> Result<Figure> {
    let registry = gateway.registry()?;
    let names: Vec<_> = (0..GATEWAY_CACHED)
        .map(|n| format!("service-{n}"))
        .collect();
    for name in &names {
        registry.discover_service(name).await?;
    }
    let mut times = Times::default();
    for name in names.iter().cycle().take(GATEWAY_CACHE_LOOKUPS) {
        let begun = Instant::now();
        std::hint::black_box(registry.discover_service(name).await?);
        times.push(begun.elapsed());
    }
    Ok(row.measured(
        times.at(0.99) <= 100e-6,
        format!(
            "{} (p50 {}, {} lookups of {GATEWAY_CACHED} services that are kept fresh)",
            time(times.at(0.99)),
            time(times.p50()),
            times.len()
        ),
    ))
}

async fn memory(gateway: &Arc<Gateway>, row: Row) -> Result<Figure> {
    let clients: Vec<Client> = (0..10).map(|_| gateway.client()).collect::<Result<_>>()?;
    let mut streams = Vec::new();
    for n in 0..GATEWAY_SUBSCRIBERS {
        let client = &clients[n as usize % clients.len()];
        let stream = gateway
            .ask(client, Method::GET, "/v1/events/stream")
            .send()
            .await?;
        streams.push(sound(stream).await?);
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let bytes = gateway.resident_bytes()?;
    drop(streams);
    Ok(row.measured(
        bytes <= 500e6,
        format!(
            "{} MB after all of the above ({GATEWAY_SERVICES} services, {GATEWAY_SUBSCRIBERS} event \
             streams on {} connections)",
            digits(bytes / 1e6),
            clients.len()
        ),
    ))
}
