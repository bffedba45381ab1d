//! The gateway as a proxy beside two that do nothing else: TLS 1.3 outside, the same plain service inside, the
//! same load, by turns. The gateway checks a token, a policy and limits and writes its audit; they do not.

use super::{Gateway, sound};
use crate::figure::{Figure, Row};
use crate::folders;
use crate::limits::{PROXY_CONNECTIONS, PROXY_TURN_S, PROXY_TURNS};
use crate::measure::{Times, digits, grouped, time};
use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::json;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

pub(crate) const ROW: Row = Row {
    what: "gateway: requests a second through it, of those through the faster of HAProxy and Envoy",
    bound: "1/5",
    aim: "2/5",
};

const SERVICE: &str = "beside";
const STARTS_WITHIN: Duration = Duration::from_secs(20);

/// Someone who passes requests on.
struct Proxy {
    name: &'static str,
    url: String,
    /// What every request says beside.
    header: Option<String>,
    pid: u32,
    /// Requests a second of each turn, and the processor time of each request.
    rates: Times,
    cost: Times,
    slowest: Times,
    _child: Option<Child>,
}

pub(crate) async fn run(gateway: &Gateway) -> Result<Figure> {
    let Some(wrk) = found("wrk") else {
        return Ok(ROW.not_measured("wrk is not installed"));
    };
    let folder = folders::scratch()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let behind = listener.local_addr()?.port();
    let service = axum::Router::new().route("/", axum::routing::get(|| async { "answer" }));
    let serving = tokio::spawn(async move { axum::serve(listener, service).await });

    let mut proxies = vec![through_gateway(gateway, behind).await?];
    certificate(folder.path()).await?;
    if let Some(program) = found("haproxy").or_else(|| found("/usr/sbin/haproxy")) {
        proxies.push(haproxy(&program, folder.path(), behind).await?);
    }
    if let Some(program) = envoy_program() {
        proxies.push(envoy(&program, folder.path(), behind).await?);
    }
    // What comes first warms up: caches, connections, the provider of TLS sessions.
    for turn in 0..=PROXY_TURNS {
        for proxy in &mut proxies {
            let seen = load(&wrk, proxy).await?;
            if turn > 0 {
                proxy.rates.push_s(seen.rate);
                proxy.cost.push_s(seen.cost_s);
                proxy.slowest.push_s(seen.p99_s);
            }
        }
    }
    serving.abort();
    let (ours, peers) = proxies.split_first().context("no proxy")?;
    let Some(fastest) = peers.iter().map(|peer| peer.rates.p50()).reduce(f64::max) else {
        return Ok(ROW.not_measured("neither HAProxy nor Envoy is installed"));
    };
    let share = ours.rates.p50() / fastest;
    let said: Vec<_> = proxies.iter().map(Proxy::said).collect();
    Ok(ROW.measured(
        share >= 0.2,
        format!(
            "{} of the faster: {} ({PROXY_CONNECTIONS} connections, HTTP/1.1 over TLS 1.3, the median of \
             {PROXY_TURNS} turns; load and service on the same cores)",
            digits(share),
            said.join(", ")
        ),
    ))
}

impl Proxy {
    fn said(&self) -> String {
        format!(
            "{} {} (p99 {}; {} of a core a request)",
            self.name,
            grouped(self.rates.p50()),
            time(self.slowest.p50()),
            time(self.cost.p50())
        )
    }
}

async fn through_gateway(gateway: &Gateway, behind: u16) -> Result<Proxy> {
    let body = json!({
        "Name": SERVICE, "Address": "127.0.0.1", "Port": behind,
        "Check": { "TCP": format!("127.0.0.1:{behind}"), "Interval": "1h", "Status": "passing" },
    });
    let client = gateway.client()?;
    let register = gateway
        .ask(&client, Method::PUT, "/v1/agent/service/register")
        .json(&body);
    sound(register.send().await?).await?;
    Ok(Proxy {
        name: "the gateway",
        url: format!("{}/svc/{SERVICE}/", gateway.base),
        header: Some(format!("Authorization: Bearer {}", gateway.token)),
        pid: gateway.pid,
        rates: Times::default(),
        cost: Times::default(),
        slowest: Times::default(),
        _child: None,
    })
}

/// A certificate for the peers, of the same kind as the gateway's: P-256.
async fn certificate(folder: &Path) -> Result<()> {
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
        ])
        .args([
            "-nodes",
            "-days",
            "1",
            "-subj",
            "/CN=localhost",
            "-keyout",
            "key.pem",
            "-out",
            "cert.pem",
        ])
        .current_dir(folder)
        .output()
        .await
        .context("openssl is not installed")?;
    ensure!(made.status.success(), "openssl made no certificate");
    let read = |name: &str| std::fs::read(folder.join(name));
    let both = [read("cert.pem")?, read("key.pem")?].concat();
    std::fs::write(folder.join("both.pem"), both)?;
    Ok(())
}

async fn haproxy(program: &Path, folder: &Path, behind: u16) -> Result<Proxy> {
    let port = free_port().await?;
    let config = folder.join("haproxy.cfg");
    let both = folder.join("both.pem");
    std::fs::write(
        &config,
        format!(
            "global\n  maxconn 1000\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 30s\n  \
             timeout server 30s\nfrontend outside\n  bind 127.0.0.1:{port} ssl crt {} ssl-min-ver TLSv1.3\n  \
             default_backend inside\nbackend inside\n  server one 127.0.0.1:{behind}\n",
            both.display()
        ),
    )?;
    let mut command = Command::new(program);
    command.arg("-db").arg("-f").arg(&config);
    start("HAProxy", command, port).await
}

async fn envoy(program: &Path, folder: &Path, behind: u16) -> Result<Proxy> {
    let port = free_port().await?;
    let config = folder.join("envoy.json");
    let address =
        |port: u16| json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } });
    let kind = |name: &str| format!("type.googleapis.com/{name}");
    let tls = json!({
        "@type": kind("envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"),
        "common_tls_context": {
            "tls_params": { "tls_minimum_protocol_version": "TLSv1_3" },
            "tls_certificates": [{
                "certificate_chain": { "filename": folder.join("cert.pem") },
                "private_key": { "filename": folder.join("key.pem") },
            }],
        },
    });
    let connections = json!({
        "@type": kind("envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "outside",
        "http_filters": [{
            "name": "router",
            "typed_config": { "@type": kind("envoy.extensions.filters.http.router.v3.Router") },
        }],
        "route_config": { "virtual_hosts": [{
            "name": "all", "domains": ["*"],
            "routes": [{ "match": { "prefix": "/" }, "route": { "cluster": "inside" } }],
        }] },
    });
    let whole = json!({ "static_resources": {
        "listeners": [{
            "name": "outside", "address": address(port),
            "filter_chains": [{
                "transport_socket": { "name": "tls", "typed_config": tls },
                "filters": [{ "name": "http", "typed_config": connections }],
            }],
        }],
        "clusters": [{
            "name": "inside", "connect_timeout": "5s",
            "load_assignment": { "cluster_name": "inside", "endpoints": [{
                "lb_endpoints": [{ "endpoint": { "address": address(behind) } }],
            }] },
        }],
    } });
    std::fs::write(&config, serde_json::to_vec(&whole)?)?;
    let mut command = Command::new(program);
    command.arg("-c").arg(&config);
    command.args(["--log-level", "error", "--disable-hot-restart"]);
    start("Envoy", command, port).await
}

async fn start(name: &'static str, mut command: Command, port: u16) -> Result<Proxy> {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.kill_on_drop(true).spawn();
    let child = child.with_context(|| format!("{name} does not start"))?;
    let begun = tokio::time::Instant::now();
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port))
        .await
        .is_err()
    {
        ensure!(begun.elapsed() < STARTS_WITHIN, "{name} does not listen");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(Proxy {
        name,
        url: format!("https://localhost:{port}/"),
        header: None,
        pid: child.id().with_context(|| format!("{name} has ended"))?,
        rates: Times::default(),
        cost: Times::default(),
        slowest: Times::default(),
        _child: Some(child),
    })
}

/// What wrk saw of one turn.
struct Seen {
    rate: f64,
    cost_s: f64,
    p99_s: f64,
}

async fn load(wrk: &Path, proxy: &Proxy) -> Result<Seen> {
    let before = processor_s(proxy.pid)?;
    let mut command = Command::new(wrk);
    command.args(["--threads", "1", "--latency"]);
    command.args(["--connections", &PROXY_CONNECTIONS.to_string()]);
    command.args(["--duration", &format!("{PROXY_TURN_S}s")]);
    if let Some(header) = &proxy.header {
        command.args(["--header", header]);
    }
    let output = command.arg(&proxy.url).output().await.context("wrk")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success() && !text.contains("Non-2xx") && !text.contains("Socket errors"),
        "{}: {text}{}",
        proxy.name,
        String::from_utf8_lossy(&output.stderr)
    );
    let cost = processor_s(proxy.pid)? - before;
    read(&text, cost).with_context(|| format!("wrk said: {text}"))
}

/// Reads wrk's summary; `cost` is the processor time of the whole turn, s.
fn read(text: &str, cost: f64) -> Option<Seen> {
    let after = |name: &str| {
        let line = text
            .lines()
            .find_map(|line| line.trim().strip_prefix(name))?;
        Some(line.trim().to_owned())
    };
    let all = text
        .lines()
        .find_map(|line| line.trim().split_once(" requests in "))?;
    let requests: f64 = all.0.parse().ok()?;
    Some(Seen {
        rate: after("Requests/sec:")?.parse().ok()?,
        cost_s: cost / requests,
        p99_s: seconds(&after("99%")?)?,
    })
}

/// A time as wrk writes it: `1.23ms`.
fn seconds(text: &str) -> Option<f64> {
    let (factor, number) = [("us", 1e-6), ("ms", 1e-3), ("s", 1.0)]
        .into_iter()
        .find_map(|(unit, factor)| Some((factor, text.strip_suffix(unit)?)))?;
    Some(number.parse::<f64>().ok()? * factor)
}

/// Processor time of a process until now, s: fields 14 and 15 of proc(5)'s stat, in hundredths.
fn processor_s(pid: u32) -> Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, after) = text.rsplit_once(") ").context("an odd stat")?;
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks = |at: usize| -> Result<f64> {
        let field = fields.get(at).context("a short stat")?;
        Ok(field.parse::<f64>()?)
    };
    Ok((ticks(11)? + ticks(12)?) / 100.0)
}

async fn free_port() -> Result<u16> {
    let free = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    Ok(free.local_addr()?.port())
}

/// A program on the path.
fn found(name: &str) -> Option<PathBuf> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths)
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}

/// Envoy as its Python package brings it.
fn envoy_program() -> Option<PathBuf> {
    let environment = PathBuf::from(std::env::var_os("NEURASCALE_PYENV")?);
    let versions = std::fs::read_dir(environment.join("lib")).ok()?;
    versions
        .filter_map(|entry| Some(entry.ok()?.path().join("site-packages/envoy/_bin/envoy")))
        .find(|program| program.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wrk_says_is_read() {
        let text = "Running 1s test @ https://localhost:1/\n  Latency Distribution\n     50%    1.20ms\n     \
                    99%  450.00us\n  4000 requests in 1.00s, 1.0MB read\nRequests/sec:   3999.10\n";
        let seen = read(text, 0.4).unwrap();
        assert!((seen.rate - 3999.1).abs() < 1e-9, "{}", seen.rate);
        assert!((seen.cost_s - 1e-4).abs() < 1e-12, "{}", seen.cost_s);
        assert!((seen.p99_s - 450e-6).abs() < 1e-12, "{}", seen.p99_s);
        assert!(read("", 1.0).is_none());
    }
}
