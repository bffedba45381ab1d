//! `neurascale-gateway try-out`: the gateway at work, with nothing prepared. Everything is real: the first
//! person is set up, a service of this process is registered and checked, and the call goes through the edge.

use std::{
    io::Write as _,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use clap::Args;
use gateway::random::Random;
use reqwest::{Client, StatusCode};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// What is registered and called.
const SERVICE: &str = "hello";

/// How long the service's first check may take: its interval is a second.
const HEALTHY_WITHIN: Duration = Duration::from_secs(20);

/// Shows a gateway at work.
#[derive(Debug, Args)]
pub(crate) struct TryOut {
    /// The gateway.
    #[arg(long, default_value = "https://localhost:8702")]
    url: String,
    /// The certificate to trust; `serve` names it. By default that of the default data folder.
    #[arg(long)]
    ca: Option<PathBuf>,
    /// The set-up code that `serve` printed, where nobody has been set up yet.
    #[arg(long)]
    code: Option<String>,
    /// Who signs in; with a code, who is set up.
    #[arg(long, default_value = "first")]
    login: String,
    /// Their password. With a code, one is made and shown where none is given.
    #[arg(long, env = "NEURASCALE_GATEWAY_PASSWORD", hide_env_values = true)]
    password: Option<String>,
}

/// Says what is done, as it is done.
fn say(text: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{text}").context("writing to the standard output")
}

fn client(ca: &Path) -> Result<Client> {
    let pem = std::fs::read(ca)
        .with_context(|| format!("reading {}; does the gateway run?", ca.display()))?;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&pem).context("the certificate is no PEM")?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Client::builder()
        .no_proxy()
        .tls_backend_preconfigured(config)
        .build()?)
}

impl TryOut {
    pub(crate) async fn run(self, data_dir: &Path) -> Result<()> {
        let client = client(&self.ca.clone().unwrap_or_else(|| data_dir.join("ca.pem")))?;
        let password = self.password(&client).await?;
        let body = json!({ "login": self.login, "password": password });
        let signed_in = self.post(&client, "/auth/sign-in", &body).await?;
        let token = signed_in["access_token"]
            .as_str()
            .context("the gateway gave no token")?;
        say(&format!("signed in as {}", self.login))?;

        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let service = axum::Router::new()
            .route("/health", axum::routing::get(|| async { "fine" }))
            .route(
                "/greeting",
                axum::routing::get(|| async { "Hello from behind the gateway." }),
            );
        let serving = tokio::spawn(async move { axum::serve(listener, service).await });
        let registration = json!({
            "ID": SERVICE, "Name": SERVICE, "Address": "127.0.0.1", "Port": port,
            "Check": {
                "HTTP": format!("http://127.0.0.1:{port}/health"), "Interval": "1s", "Timeout": "1s",
                "DeregisterCriticalServiceAfter": "1m",
            },
        });
        let register = client.put(format!("{}/v1/agent/service/register", self.url));
        let registered = register
            .bearer_auth(token)
            .json(&registration)
            .send()
            .await?;
        if !registered.status().is_success() {
            bail!("registering: {}", registered.text().await?);
        }
        say(&format!(
            "registered the service `{SERVICE}` on port {port}"
        ))?;
        self.until_healthy(&client, token).await?;
        say("its check passes")?;

        let path = format!("/svc/{SERVICE}/greeting");
        let answer = client
            .get(format!("{}{path}", self.url))
            .bearer_auth(token)
            .send()
            .await?;
        let status = answer.status();
        let text = answer.text().await?;
        if status != StatusCode::OK {
            bail!("calling {path}: {status} {text}");
        }
        say(&format!("GET {path}: {text}"))?;
        let deregister = format!("{}/v1/agent/service/deregister/{SERVICE}", self.url);
        client
            .put(deregister)
            .bearer_auth(token)
            .send()
            .await?
            .error_for_status()?;
        serving.abort();
        Ok(())
    }

    /// The password to sign in with; sets the first person up where there is a code.
    async fn password(&self, client: &Client) -> Result<String> {
        let Some(code) = &self.code else {
            return self.password.clone().context(
                "whose password? Give --login and --password, or --code at a first start",
            );
        };
        let made = || -> Result<String> {
            let random = Random::from_system().context("the system gives no randomness")?;
            Ok(BASE64_URL_SAFE_NO_PAD.encode(random.bytes::<18>()))
        };
        let password = self.password.clone().map_or_else(made, Ok)?;
        let body = json!({ "code": code, "login": self.login, "password": password });
        self.post(client, "/v1/set-up", &body).await?;
        say(&format!("set up {} to run the gateway", self.login))?;
        if self.password.is_none() {
            say(&format!("    password, shown once: {password}"))?;
        }
        Ok(password)
    }

    async fn until_healthy(&self, client: &Client, token: &str) -> Result<()> {
        let url = format!("{}/v1/health/service/{SERVICE}?passing", self.url);
        let begun = tokio::time::Instant::now();
        loop {
            let found: Value = client
                .get(&url)
                .bearer_auth(token)
                .send()
                .await?
                .json()
                .await?;
            if found.as_array().is_some_and(|found| !found.is_empty()) {
                return Ok(());
            }
            if begun.elapsed() > HEALTHY_WITHIN {
                bail!("the service's check does not pass");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn post(&self, client: &Client, path: &str, body: &Value) -> Result<Value> {
        let request = client.post(format!("{}{path}", self.url)).json(body);
        let answer = request
            .send()
            .await
            .with_context(|| format!("calling {}", self.url))?;
        let status = answer.status();
        let body: Value = answer.json().await?;
        if !status.is_success() {
            bail!("{path}: {}", body["detail"].as_str().unwrap_or("refused"));
        }
        Ok(body)
    }
}
