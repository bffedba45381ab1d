//! The OpenAPI document: whether it holds what there is, and what is asked of every operation in it.

use std::{collections::BTreeSet, fs, process::Stdio, sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use gateway::trust::{Keyring, Tokens};
use protocol::{Principal, Role};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    program::{Caller, PASSWORD, Program},
    rig::ground,
};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");

fn document() -> Value {
    serde_json::from_str(&fs::read_to_string(FILE).unwrap()).unwrap()
}

/// One operation of the document.
#[derive(Clone)]
struct Operation {
    method: Method,
    path: String,
    says: Value,
}

fn operations() -> Vec<Operation> {
    let document = document();
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, says) in item.as_object().unwrap() {
            all.push(Operation {
                method: Method::from_bytes(method.to_uppercase().as_bytes()).unwrap(),
                path: path.clone(),
                says: says.clone(),
            });
        }
    }
    all
}

impl Operation {
    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    fn parameters(&self) -> &[Value] {
        self.says["parameters"].as_array().unwrap()
    }

    /// The path with a value for each of its parts that is of its kind, or with `wrong` for one of them.
    fn filled(&self, wrong: Option<&str>) -> String {
        let mut path = self.path.clone();
        for parameter in self.parameters().iter().filter(|one| one["in"] == "path") {
            let name = parameter["name"].as_str().unwrap();
            let schema = &parameter["schema"];
            let value = match (schema["type"].as_str(), schema["format"].as_str()) {
                _ if wrong == Some(name) => "~".to_owned(),
                (Some("integer"), _) => "1".to_owned(),
                (_, Some("uuid")) => uuid::Uuid::nil().to_string(),
                _ => schema["enum"][0].as_str().unwrap_or("x").to_owned(),
            };
            path = path.replace(&format!("{{{name}}}"), &value);
        }
        assert!(
            !path.contains('{'),
            "{}: a part is not described",
            self.path
        );
        path
    }

    fn is_open(&self) -> bool {
        self.says["security"] == json!([])
    }

    fn may(&self, role: Role) -> bool {
        let roles = self.says["x-neurascale-roles"].as_array().unwrap();
        roles.contains(&json!(role))
    }

    /// Media type of its body, if it takes one.
    fn media(&self) -> Option<&str> {
        let content = self.says["requestBody"]["content"].as_object()?;
        content.keys().next().map(String::as_str)
    }

    async fn ask(&self, caller: &Caller, headers: &[(&str, &str)]) -> Response {
        let mut request = caller.request(self.method.clone(), &self.filled(None));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    /// That an answer is a problem of this status and code. The answer to a HEAD has no body that says it.
    async fn refuses(&self, what: &str, answer: Response, due: (u16, &str)) {
        let status = answer.status().as_u16();
        let body = self.problem(what, answer).await;
        let code = body["code"].as_str().unwrap_or(due.1);
        assert_eq!((status, code), due, "{} {what}: {body}", self.name());
    }

    async fn problem(&self, what: &str, answer: Response) -> Value {
        let name = self.name();
        let media = answer.headers().get("content-type").cloned();
        assert_eq!(
            media.as_ref().map(|media| media.as_bytes()),
            Some(b"application/problem+json".as_slice()),
            "{name} {what}: {}",
            answer.status()
        );
        if self.method == Method::HEAD {
            return Value::Null;
        }
        answer.json().await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_what_the_code_says_and_holds_every_route() {
    let made = Command::new(env!("CARGO_BIN_EXE_neurascale-gateway"))
        .arg("openapi")
        .output()
        .await
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let made = String::from_utf8(made.stdout).unwrap();
    assert!(
        made == fs::read_to_string(FILE).unwrap(),
        "routes or bodies have changed: neurascale-gateway openapi > sync/gateway/openapi.json"
    );
    let mut routes = BTreeSet::new();
    for (method, path, _) in gateway::service::routes() {
        let any = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
        let methods = if method == "ANY" { &any[..] } else { &[method] };
        routes.extend(
            methods
                .iter()
                .map(|method| format!("{method} {}", path.replace("{*", "{"))),
        );
    }
    let described: BTreeSet<_> = operations().iter().map(Operation::name).collect();
    assert_eq!(described, routes);
    let folder = tempfile::tempdir().unwrap();
    let gateway = Program::start(folder.path()).await;
    let served = gateway.client(None).get("/openapi.json").await;
    assert_eq!(served.headers()["content-type"], "application/json");
    assert!(served.text().await.unwrap() == made);
    gateway.stop().await;
}

/// An issuer elsewhere: the configuration that lets it in, and its tokens.
struct Issuer {
    tokens: Tokens,
    expired: String,
    point: Vec<u8>,
    configured: String,
}

impl Issuer {
    async fn new(folder: &std::path::Path, site: &str, role: Role) -> Self {
        let ground = ground().await;
        // What is signed now has expired when the clock is right again.
        ground.clock.pass_s(-7_200);
        let seed = site.bytes().map(u64::from).sum();
        let keyring = Keyring::open(
            ground.state,
            ground.sealer,
            ground.clock.clone(),
            gateway::random::Random::from_seed(seed),
        );
        let keyring = Arc::new(keyring.await.unwrap());
        let iss = format!("https://id.{site}.test");
        let keys = keyring.published().unwrap();
        let file = folder.join(format!("{site}.jwks"));
        fs::write(&file, keys.to_string()).unwrap();
        let configured = format!(
            "{{ iss = \"{iss}\", audience = \"{iss}\", consumer = \"{site}\", jwks = \"{}\", \
             site = \"{site}\", roles = [\"{role}\"] }}",
            file.display()
        );
        let tokens = Tokens::new(keyring, &iss, vec![], ground.clock.clone(), ground.ids);
        let expired = token_of(&tokens);
        ground.clock.pass_s(7_200);
        Self {
            tokens,
            expired,
            point: BASE64
                .decode(keys["keys"][0]["x"].as_str().unwrap())
                .unwrap(),
            configured,
        }
    }

    fn token(&self) -> String {
        token_of(&self.tokens)
    }

    /// The same claims under a header that names another algorithm, signed as that one would be.
    fn under(&self, algorithm: &str) -> String {
        let token = self.token();
        let parts: Vec<_> = token.split('.').collect();
        let mut header: Value = serde_json::from_slice(&BASE64.decode(parts[0]).unwrap()).unwrap();
        header["alg"] = algorithm.into();
        let signed = format!("{}.{}", BASE64.encode(header.to_string()), parts[1]);
        let signature = match algorithm {
            "none" => String::new(),
            // The public key, which everybody knows, as if it were a secret.
            "HS256" => {
                let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &self.point);
                BASE64.encode(ring::hmac::sign(&key, signed.as_bytes()))
            }
            _ => parts[2].to_owned(),
        };
        format!("{signed}.{signature}")
    }
}

/// Waits until the keys of somebody's issuer are read, which is in the background.
async fn known(somebody: &Caller) {
    let mut tries = 0;
    while somebody.get("/v1/me").await.status() != StatusCode::OK {
        tries += 1;
        assert!(tries < 300, "their keys are never known");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A token of an hour.
fn token_of(tokens: &Tokens) -> String {
    let somebody = Principal {
        subject: "somebody".to_owned(),
        site: String::new(),
        roles: vec![],
        consumer: String::new(),
    };
    tokens
        .issue(&somebody, Duration::from_secs(3_600), None, None)
        .unwrap()
}

/// Everything that must be refused, of every operation of the document.
#[tokio::test(flavor = "multi_thread")]
async fn every_operation_refuses_whom_and_what_it_must() {
    let folder = tempfile::tempdir().unwrap();
    let here = Issuer::new(folder.path(), "default", Role::Patient).await;
    let south = Issuer::new(folder.path(), "south", Role::Admin).await;
    let issuers = format!("issuers=[{}, {}]", here.configured, south.configured);
    let gateway = Program::start_with(folder.path(), &["--set", &issuers]).await;
    let root = gateway.first_person().await;
    let nobody = gateway.client(None);
    let patient = nobody.with_token(&here.token());
    let abroad = nobody.with_token(&south.token());
    known(&patient).await;
    known(&abroad).await;
    let invalid = [
        ("expired", here.expired.clone()),
        ("of no algorithm", here.under("none")),
        ("under the public key", here.under("HS256")),
        ("of another algorithm", here.under("RS256")),
    ];
    let all = operations();
    for operation in &all {
        let name = operation.name();
        let answer = operation.ask(&nobody, &[]).await;
        if operation.is_open() {
            assert_ne!(answer.status(), StatusCode::FORBIDDEN, "{name}");
            let challenged = answer.headers().contains_key("www-authenticate");
            let text = answer.text().await.unwrap();
            assert!(
                !challenged && !text.contains("auth.required"),
                "{name}: {text}"
            );
        } else {
            assert_eq!(answer.headers()["www-authenticate"], "Bearer", "{name}");
            operation
                .refuses("by nobody", answer, (401, "auth.required"))
                .await;
        }
        for (what, token) in &invalid {
            let answer = operation.ask(&nobody.with_token(token), &[]).await;
            operation.refuses(what, answer, (401, "auth.invalid")).await;
        }
        if !operation.may(Role::Patient) {
            let answer = operation.ask(&patient, &[]).await;
            operation
                .refuses("by a patient", answer, (403, "access.denied"))
                .await;
        }
        let answer = operation
            .ask(&abroad, &[("x-neurascale-site", "default")])
            .await;
        operation
            .refuses("from another site", answer, (403, "access.denied"))
            .await;
        oversized(operation, &root).await;
        malformed(operation, &root).await;
    }
    replayed(&all, &nobody).await;
    assert_eq!(root.get("/v1/me").await.status(), StatusCode::OK);
    gateway.stop().await;
}

async fn oversized(operation: &Operation, root: &Caller) {
    let Some(media) = operation.media() else {
        return;
    };
    // A service's own limit is a gigabyte, and is asked for in the tests of the edge.
    if operation.says["x-neurascale-action"] == "service.call" {
        return;
    }
    let most = operation.says["x-neurascale-max-body-bytes"]
        .as_u64()
        .unwrap();
    let grpc = media == "application/grpc";
    let mut body = vec![b' '; usize::try_from(most).unwrap() + 1];
    if grpc {
        // One message, uncompressed, of all the bytes that follow.
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        drop(body.splice(..0, [0].into_iter().chain(length)));
    }
    let request = root.request(operation.method.clone(), &operation.filled(None));
    let answer = request
        .header("content-type", media)
        .body(body)
        .send()
        .await
        .unwrap();
    if grpc {
        let status = answer
            .headers()
            .get("grpc-status")
            .expect("its status")
            .clone();
        assert_ne!(status, "0", "{}", operation.name());
        return;
    }
    let status = answer.status();
    let problem = operation.problem("too large", answer).await;
    assert_eq!(
        status,
        StatusCode::PAYLOAD_TOO_LARGE,
        "{}: {problem}",
        operation.name()
    );
}

async fn malformed(operation: &Operation, root: &Caller) {
    let is_free = |schema: &Value| {
        let free = schema["type"] == "string" && schema.get("format").is_none();
        free && schema.get("enum").is_none_or(|values| values[0] == "")
    };
    for parameter in operation.parameters() {
        // Where any text is right, none is malformed.
        if is_free(&parameter["schema"]) && parameter["name"] != "wait" {
            continue;
        }
        let parameter_name = parameter["name"].as_str().unwrap();
        let within = parameter["in"].as_str().unwrap();
        let path = operation.filled((within == "path").then_some(parameter_name));
        let path = match within {
            "query" => format!("{path}?{parameter_name}=~"),
            _ => path,
        };
        let mut request = root.request(operation.method.clone(), &path);
        if within == "header" {
            request = request.header(parameter_name, "~");
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let what = format!("with a wrong {parameter_name}");
        let problem = operation.problem(&what, answer).await;
        assert_eq!(
            status,
            StatusCode::BAD_REQUEST,
            "{} {what}: {problem}",
            operation.name()
        );
    }
    if operation.media() == Some("application/json") {
        for body in ["", "{\"", "\u{0}", "[[[["] {
            if body.is_empty() && operation.says["requestBody"]["required"] == false {
                continue;
            }
            let request = root.request(operation.method.clone(), &operation.filled(None));
            let request = request
                .header("content-type", "application/json")
                .body(body);
            let answer = request.send().await.unwrap();
            let status = answer.status();
            let problem = operation.problem("malformed", answer).await;
            assert!(
                [400, 422].contains(&status.as_u16()),
                "{} {body:?}: {status} {problem}",
                operation.name()
            );
        }
    }
}

/// A refresh token that comes twice, at every operation that takes one.
async fn replayed(all: &[Operation], nobody: &Caller) {
    let document = document();
    let schemas = &document["components"]["schemas"];
    let takes = |operation: &&Operation| {
        let content = &operation.says["requestBody"]["content"]["application/json"];
        let schema = content["schema"]["$ref"]
            .as_str()
            .and_then(|name| name.rsplit('/').next());
        schema.is_some_and(|name| schemas[name]["properties"].get("refresh_token").is_some())
    };
    let taking: Vec<_> = all.iter().filter(takes).collect();
    assert!(!taking.is_empty());
    for operation in taking {
        let sign_in = json!({ "login": "root", "password": PASSWORD });
        let granted: Value = nobody
            .post("/auth/sign-in", &sign_in)
            .await
            .json()
            .await
            .unwrap();
        let body = json!({ "refresh_token": granted["refresh_token"] });
        let ask = async || {
            let request = nobody.request(operation.method.clone(), &operation.path);
            request.json(&body).send().await.unwrap()
        };
        assert_eq!(ask().await.status(), StatusCode::OK);
        operation
            .refuses("replayed", ask().await, (401, "auth.refused"))
            .await;
        let ended = nobody.with_token(granted["access_token"].as_str().unwrap());
        assert_eq!(ended.get("/v1/me").await.status(), StatusCode::UNAUTHORIZED);
    }
}

/// What schemathesis is not given, and why. Everything here is in the table above.
fn is_left_out(operation: &Operation) -> bool {
    let by_itself = [
        // Wrong secrets wait, up to half a minute each.
        "/auth/sign-in",
        // They go on for ever.
        "/v1/events/stream",
        "/v1/events/ws",
        "/neurascale.events.v1.Events/Subscribe",
    ];
    // There is no service behind the gateway, which is what it says.
    let called = operation.says["x-neurascale-action"] == "service.call";
    by_itself.contains(&operation.path.as_str()) || called
}

/// Requests made up from the document, sound and unsound ones: none makes the gateway fail.
#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_nothing_that_fails() {
    let folder = tempfile::tempdir().unwrap();
    // An administrator whom no request can sign out or give another password, as it can everybody who is kept
    // here: ids that answers hold come back in later requests.
    let issuer = Issuer::new(folder.path(), "default", Role::Admin).await;
    let issuers = format!("issuers=[{}]", issuer.configured);
    let gateway = Program::start_with(folder.path(), &["--set", &issuers]).await;
    gateway.first_person().await;
    let admin = gateway.client(None).with_token(&issuer.token());
    known(&admin).await;
    let all = operations();
    let mut document = document();
    for operation in &all {
        let item = document["paths"][&operation.path].as_object_mut().unwrap();
        let method = operation.method.as_str().to_lowercase();
        if is_left_out(operation) {
            item.remove(&method);
            continue;
        }
        // Who waits for a change that does not come waits for minutes.
        let parameters = item[&method]["parameters"].as_array_mut().unwrap();
        parameters.retain(|parameter| parameter["name"] != "index");
    }
    document["components"]["schemas"]["FetchWish"]["properties"]
        .as_object_mut()
        .unwrap()
        .remove("wait_ms");
    let file = folder.path().join("openapi.json");
    fs::write(&file, document.to_string()).unwrap();
    let environment = std::env::var_os("NEURASCALE_PYENV")
        .expect("NEURASCALE_PYENV names the virtual environment of the tests (xtask makes it)");
    let soak = std::env::var_os("NEURASCALE_SOAK").is_some();
    // It goes on for as long as it is let; the edges of every operation take half of the shorter time.
    let (seconds, examples) = if soak { ("600", "1000") } else { ("30", "2") };
    let output = Command::new(std::path::Path::new(&environment).join("bin/schemathesis"))
        .arg("run")
        .arg(&file)
        .args(["--url", &format!("https://localhost:{}", gateway.port)])
        .arg("--tls-verify")
        .arg(folder.path().join("ca.pem"))
        .args([
            "-H",
            &format!("Authorization: Bearer {}", admin.token.as_deref().unwrap()),
        ])
        .args([
            "--checks",
            "not_a_server_error",
            "--phases",
            "coverage,fuzzing",
        ])
        .args([
            "--seed",
            "20261127",
            "--max-time",
            seconds,
            "--max-examples",
            examples,
        ])
        .args(["--generation-database", "none", "--request-timeout", "30"])
        .args([
            "--continue-on-failure",
            "--no-color",
            "--suppress-health-check",
            "all",
        ])
        .args(["--warnings", "off"])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let wrong = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}\n{wrong}");
    // It has asked in earnest: every route that it was given, as somebody who may.
    assert_eq!(admin.get("/v1/me").await.status(), StatusCode::OK);
    let metrics = admin.get("/metrics").await.text().await.unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        let route = path.replace("/v1/kv/{key}", "/v1/kv/{*key}");
        for method in item.as_object().unwrap().keys() {
            let method = method.to_uppercase();
            let asked = format!("route=\"{route}\",method=\"{method}\"");
            assert!(metrics.contains(&asked), "{asked} was never asked\n{said}");
        }
    }
    gateway.stop().await;
}
