//! The gateway's program, started as a person would, and a client for it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};

pub(crate) const PASSWORD: &str = "correct horse battery";

/// How long a start may take on a busy machine.
const START: Duration = Duration::from_secs(60);

/// A running gateway.
pub(crate) struct Program {
    child: Child,
    pub(crate) folder: PathBuf,
    pub(crate) port: u16,
    /// The set-up code, if it printed one.
    pub(crate) code: Option<String>,
}

impl Program {
    pub(crate) async fn start(folder: &Path) -> Self {
        Self::start_with(folder, &[]).await
    }

    /// With further arguments.
    pub(crate) async fn start_with(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = command(folder);
        command.args(arguments);
        Self::run(folder, command).await
    }

    /// With a file that says everything but where.
    pub(crate) async fn configured(folder: &Path, file: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_neurascale-gateway"));
        command.arg("serve").arg("--data-dir").arg(folder);
        command
            .args(["--listen", "127.0.0.1:0", "--config"])
            .arg(file);
        Self::run(folder, command).await
    }

    /// As a command that a test has made.
    pub(crate) async fn run(folder: &Path, mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let (mut port, mut code) = (None, None);
        let reading = async {
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some(address) = line.strip_prefix("listening on https://") {
                    port = address
                        .rsplit(':')
                        .next()
                        .and_then(|port| port.parse().ok());
                }
                if let Some((_, given)) = line.split_once("good once: ") {
                    code = Some(given.to_owned());
                }
                // The last line of a first start and of any other.
                if line.contains("\"code\"") || (line.starts_with("certificate") && settled(folder))
                {
                    break;
                }
            }
        };
        timeout(START, reading)
            .await
            .expect("it says where it listens");
        Self {
            child,
            folder: folder.to_owned(),
            port: port.expect("it listens"),
            code,
        }
    }

    /// A connection whose bytes a test chooses.
    pub(crate) async fn raw(&self) -> tokio_rustls::client::TlsStream<tokio::net::TcpStream> {
        let connector = tokio_rustls::TlsConnector::from(Arc::new(self.tls(None, &[b"http/1.1"])));
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", self.port))
            .await
            .expect("a connection");
        let name = "localhost".try_into().expect("a name");
        connector.connect(name, stream).await.expect("a handshake")
    }

    /// The resilient client, before this gateway.
    pub(crate) fn resilient(&self, policy: client::Policy) -> client::Client {
        let builder = Client::builder()
            .tls_backend_preconfigured(self.tls(None, &[b"h2", b"http/1.1"]))
            .no_proxy();
        client::Client::new(builder, policy, 1).expect("a client")
    }

    fn tls(&self, identity: Option<(&str, &str)>, protocols: &[&[u8]]) -> ClientConfig {
        let pem = fs::read(self.folder.join("ca.pem")).expect("the root");
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(&pem).expect("a certificate"))
            .expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots);
        let mut config = match identity {
            None => config.with_no_client_auth(),
            Some((chain, key)) => {
                let chain = CertificateDer::pem_slice_iter(chain.as_bytes());
                let chain = chain.collect::<Result<_, _>>().expect("certificates");
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
                config
                    .with_client_auth_cert(chain, key)
                    .expect("an identity")
            }
        };
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        config
    }

    /// A client that trusts it, and shows a certificate if there is one (chain and key, PEM).
    pub(crate) fn client(&self, identity: Option<(&str, &str)>) -> Caller {
        let config = self.tls(identity, &[b"h2", b"http/1.1"]);
        let client = Client::builder()
            .tls_backend_preconfigured(config)
            .no_proxy()
            .timeout(Duration::from_secs(30))
            .build()
            .expect("a client");
        Caller {
            client,
            base: format!("https://localhost:{}", self.port),
            token: None,
        }
    }

    /// A client of the first person, who is entered if need be.
    pub(crate) async fn first_person(&self) -> Caller {
        let caller = self.client(None);
        if let Some(code) = &self.code {
            let body = json!({ "code": code, "login": "root", "password": PASSWORD });
            let made = caller.post("/v1/set-up", &body).await;
            assert_eq!(made.status(), StatusCode::CREATED);
        }
        caller.signed_in("root", PASSWORD).await
    }

    /// Ends it without warning.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("it was there");
    }

    /// Asks it to read its configuration again.
    pub(crate) async fn hang_up(&self) {
        let id = self.child.id().expect("it runs").to_string();
        let asked = Command::new("kill").args(["-HUP", &id]).status().await;
        assert!(asked.expect("kill").success());
    }

    /// Asks it to end, and waits until it has.
    pub(crate) async fn stop(self) {
        self.ask_to_end().await;
        self.ended().await;
    }

    /// Asks it to end.
    pub(crate) async fn ask_to_end(&self) {
        let id = self.child.id().expect("it runs");
        let asked = Command::new("kill").arg(id.to_string()).status().await;
        assert!(asked.expect("kill").success());
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(mut self) {
        let status = timeout(Duration::from_secs(30), self.child.wait()).await;
        assert!(status.expect("it ends").expect("its status").success());
    }
}

/// Whether somebody was set up here: then no code is printed.
fn settled(folder: &Path) -> bool {
    folder.join("settled").exists()
}

/// What makes later starts expect no code.
pub(crate) fn settle(folder: &Path) {
    fs::write(folder.join("settled"), "").expect("a file");
}

pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_neurascale-gateway"));
    command.arg("serve").arg("--data-dir").arg(folder);
    command.args(["--listen", "127.0.0.1:0", "--set", "log=warn"]);
    // Tests ask faster than anybody may; the one of the limit sets its own.
    command.args(["--set", "limits.per_minute=1000000"]);
    command.args(["--set", "limits.per_hour=10000000"]);
    command
}

/// Somebody who calls.
#[derive(Clone)]
pub(crate) struct Caller {
    client: Client,
    base: String,
    pub(crate) token: Option<String>,
}

impl Caller {
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Status of a request at another site; none where the client will not even send it.
    pub(crate) async fn get_as(&self, path: &str, site: &str) -> Option<u16> {
        let request = self
            .request(Method::GET, path)
            .header("x-neurascale-site", site);
        request
            .send()
            .await
            .ok()
            .map(|answer| answer.status().as_u16())
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path)
            .send()
            .await
            .expect("an answer")
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Response {
        self.request(Method::POST, path)
            .json(body)
            .send()
            .await
            .expect("an answer")
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Response {
        self.request(Method::PUT, path)
            .json(body)
            .send()
            .await
            .expect("an answer")
    }

    pub(crate) async fn delete(&self, path: &str) -> Response {
        self.request(Method::DELETE, path)
            .send()
            .await
            .expect("an answer")
    }

    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            ..self.clone()
        }
    }

    pub(crate) async fn signed_in(&self, login: &str, password: &str) -> Self {
        let body = json!({ "login": login, "password": password });
        let answer = self.post("/auth/sign-in", &body).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let answer: Value = answer.json().await.expect("JSON");
        self.with_token(answer["access_token"].as_str().expect("a token"))
    }

    /// Enters somebody and signs them in.
    pub(crate) async fn somebody(&self, login: &str, role: &str) -> Self {
        let body = json!({
            "login": login, "display_name": login, "roles": [role], "password": PASSWORD,
        });
        let made = self.post("/v1/people", &body).await;
        assert_eq!(made.status(), StatusCode::CREATED);
        Self {
            token: None,
            ..self.clone()
        }
        .signed_in(login, PASSWORD)
        .await
    }

    /// Every entry of the ledger.
    pub(crate) async fn entries(&self) -> Vec<ledger::Entry> {
        let mut all: Vec<ledger::Entry> = Vec::new();
        loop {
            let page: Value = self
                .get(&format!("/v1/audit/entries?from={}", all.len()))
                .await
                .json()
                .await
                .expect("JSON");
            let page: Vec<ledger::Entry> =
                serde_json::from_value(page["entries"].clone()).expect("entries");
            if page.is_empty() {
                return all;
            }
            all.extend(page);
        }
    }
}

/// The code of a problem.
pub(crate) async fn problem(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let media = response.headers()["content-type"]
        .to_str()
        .expect("a text")
        .to_owned();
    assert_eq!(media, "application/problem+json");
    assert!(
        response.headers().contains_key("x-request-id"),
        "every answer has an id"
    );
    let body: Value = response.json().await.expect("JSON");
    assert_eq!(body["status"], status);
    (status, body["code"].as_str().expect("a code").to_owned())
}
