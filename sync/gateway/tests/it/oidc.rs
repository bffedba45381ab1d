//! Signing in at a provider that others wrote, through the gateway's program. The test is the browser.

use std::{path::Path, process::Stdio, sync::Arc, time::Duration};

use reqwest::{Client, Url, redirect::Policy};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::program::{Caller, PASSWORD, Program, problem};

const REDIRECT: &str = "http://127.0.0.1:9/signed-in";

/// The provider, and a browser.
struct Provider {
    _child: Child,
    url: String,
    browser: Client,
}

impl Provider {
    async fn start() -> Self {
        let environment = std::env::var_os("NEURASCALE_PYENV")
            .expect("NEURASCALE_PYENV names the virtual environment of the tests (xtask makes it)");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/oidc_provider.py");
        let mut child = Command::new(Path::new(&environment).join("bin/python"))
            .arg(script)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = timeout(Duration::from_secs(60), lines.next_line()).await;
        let line = first.unwrap().unwrap().expect("a line");
        let port = line.strip_prefix("listening on ").expect("its port");
        Self {
            _child: child,
            url: format!("http://127.0.0.1:{port}"),
            browser: browser(),
        }
    }

    /// A client with these addresses: id and secret.
    async fn client(&self, redirect: &[&str], method: &str) -> (String, String) {
        let body = json!({ "redirect_uris": redirect, "token_endpoint_auth_method": method });
        let url = format!("{}/oauth2/clients", self.url);
        let made = self.browser.post(url).json(&body).send().await.unwrap();
        assert_eq!(made.status(), 201);
        let made: Value = made.json().await.unwrap();
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        (text("client_id"), text("client_secret"))
    }

    /// Sets what it says of somebody.
    async fn say(&self, sub: &str, claims: &Value) {
        let url = format!("{}/users/{sub}", self.url);
        let set = self.browser.put(url).json(claims).send().await.unwrap();
        assert_eq!(set.status(), 204);
    }

    /// Somebody signs in on the page at this address; what the page sends back.
    async fn sign_in(&self, url: &str, sub: &str) -> String {
        let answer = self
            .browser
            .post(url)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("sub={sub}"))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 302, "{}", answer.text().await.unwrap());
        answer.headers()["location"].to_str().unwrap().to_owned()
    }

    fn settings(&self, name: &str, id: &str, secret: &Path, issuer: &str) -> String {
        format!(
            "{{ name = \"{name}\", issuer = \"{issuer}\", client_id = \"{id}\",
                client_secret_file = \"{}\", redirect_uris = [\"{REDIRECT}\"], claim = \"groups\",
                grants = [
                    {{ value = \"eeg\", roles = [\"clinician\"], site = \"default\" }},
                    {{ value = \"lab\", roles = [\"researcher\"], site = \"default\" }},
                ] }}",
            secret.display()
        )
        .replace('\n', " ")
    }
}

/// A client that follows nobody, over TLS of the tests' own: the gateway's is none of a process' default.
fn browser() -> Client {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .tls_backend_preconfigured(tls)
        .build()
        .unwrap()
}

/// A member of the query of an address.
fn member(url: &str, name: &str) -> Option<String> {
    let url = Url::parse(url).unwrap();
    let found = url.query_pairs().find(|(key, _)| key == name);
    found.map(|(_, value)| value.into_owned())
}

async fn begin(nobody: &Caller, name: &str) -> Value {
    let body = json!({ "redirect_uri": REDIRECT });
    let begun = nobody
        .post(&format!("/auth/providers/{name}/begin"), &body)
        .await;
    assert_eq!(begun.status(), 200);
    assert_eq!(begun.headers()["cache-control"], "no-store");
    begun.json().await.unwrap()
}

/// What the browser brings back, as it is brought to the gateway.
fn brought(begun: &Value, location: &str) -> Value {
    assert!(location.starts_with(REDIRECT), "{location}");
    json!({
        "state": member(location, "state"), "code": member(location, "code"),
        "binding": begun["binding"],
    })
}

async fn complete(nobody: &Caller, body: &Value) -> reqwest::Response {
    nobody.post("/auth/providers/hospital/complete", body).await
}

async fn whole(nobody: &Caller, provider: &Provider, sub: &str) -> reqwest::Response {
    let begun = begin(nobody, "hospital").await;
    let url = begun["authorization_url"].as_str().unwrap();
    let location = provider.sign_in(url, sub).await;
    complete(nobody, &brought(&begun, &location)).await
}

struct Rig {
    _folder: tempfile::TempDir,
    provider: Provider,
    gateway: Program,
    root: Caller,
    nobody: Caller,
}

async fn rig() -> Rig {
    let provider = Provider::start().await;
    let folder = tempfile::tempdir().unwrap();
    let mut settings = Vec::new();
    for (name, method) in [
        ("hospital", "client_secret_basic"),
        ("clinic", "client_secret_basic"),
        ("wrong", "client_secret_basic"),
    ] {
        let (id, secret) = provider.client(&[REDIRECT], method).await;
        let file = folder.path().join(name);
        std::fs::write(&file, format!("{secret}\n")).unwrap();
        let issuer = match name {
            // As somebody writes it who has not looked: the provider is another then.
            "wrong" => format!("{}/", provider.url),
            _ => provider.url.clone(),
        };
        settings.push(provider.settings(name, &id, &file, &issuer));
    }
    let settings = format!("providers=[{}]", settings.join(","));
    let gateway = Program::start_with(folder.path(), &["--set", &settings]).await;
    let root = gateway.first_person().await;
    let nobody = gateway.client(None);
    Rig {
        _folder: folder,
        provider,
        gateway,
        root,
        nobody,
    }
}

/// Reasons of the refusals on record.
async fn refusals(root: &Caller) -> Vec<String> {
    let entries = root.entries().await;
    let refused = entries
        .iter()
        .filter(|entry| entry.kind == "people.sign_in_refused");
    refused
        .map(|entry| {
            let payload: Value = serde_json::from_str(entry.payload.as_str()).unwrap();
            payload["reason"].as_str().unwrap().to_owned()
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_signs_in_at_a_provider_is_one_person_with_what_is_granted() {
    let rig = rig().await;
    let (provider, nobody, root) = (&rig.provider, &rig.nobody, &rig.root);
    let listed: Value = nobody.get("/auth/providers").await.json().await.unwrap();
    assert_eq!(listed["providers"][0]["name"], "hospital");
    let said = json!({ "name": "Ada L.", "groups": ["eeg", "others"], "roles": ["super_admin"] });
    provider.say("ada", &said).await;
    let granted = whole(nobody, provider, "ada").await;
    assert_eq!(granted.status(), 200);
    let granted: Value = granted.json().await.unwrap();
    let ada = nobody.with_token(granted["access_token"].as_str().unwrap());
    let me: Value = ada.get("/v1/me").await.json().await.unwrap();
    assert_eq!(me["roles"], json!(["clinician"]));
    assert_eq!(me["site"], "default");
    assert_eq!(me["account"]["display_name"], "Ada L.");
    assert_eq!(me["account"]["provider"], "hospital");
    let denied = ada.get("/v1/people").await;
    assert_eq!(problem(denied).await, (403, "access.denied".to_owned()));

    // There is no password of theirs, and nobody gives them one, or other roles, behind the provider's back.
    let login = me["account"]["login"].as_str().unwrap();
    for password in ["", PASSWORD] {
        let body = json!({ "login": login, "password": password });
        let refused = nobody.post("/auth/sign-in", &body).await;
        assert_eq!(problem(refused).await, (401, "auth.refused".to_owned()));
    }
    let path = format!("/v1/people/{}", me["subject"].as_str().unwrap());
    for change in [
        json!({ "password": PASSWORD }),
        json!({ "roles": ["admin"] }),
    ] {
        let refused = root.put(&path, &change).await;
        assert_eq!(problem(refused).await, (422, "people.refused".to_owned()));
    }
    let factor = ada.post("/v1/me/second-factor", &json!({})).await;
    assert_eq!(problem(factor).await, (422, "people.refused".to_owned()));

    // The same person again, on a second screen, with what the provider says now.
    provider.say("ada", &json!({ "groups": "lab" })).await;
    let again: Value = whole(nobody, provider, "ada").await.json().await.unwrap();
    let second = nobody.with_token(again["access_token"].as_str().unwrap());
    let now: Value = second.get("/v1/me").await.json().await.unwrap();
    assert_eq!(now["subject"], me["subject"]);
    assert_eq!(now["roles"], json!(["researcher"]));
    let first: Value = ada.get("/v1/me").await.json().await.unwrap();
    assert_eq!(first["roles"], json!(["researcher"]), "at once, everywhere");
    provider.say("bob", &json!({ "groups": ["lab"] })).await;
    let bob: Value = whole(nobody, provider, "bob").await.json().await.unwrap();
    let bob = nobody.with_token(bob["access_token"].as_str().unwrap());
    let bob: Value = bob.get("/v1/me").await.json().await.unwrap();
    assert_ne!(bob["subject"], me["subject"]);

    // The session is the gateway's own: it goes on with its refresh token, and signing out ends it everywhere.
    let refresh = json!({ "refresh_token": again["refresh_token"] });
    let renewed = nobody.post("/auth/refresh", &refresh).await;
    assert_eq!(renewed.status(), 200);
    let renewed: Value = renewed.json().await.unwrap();
    let out = second.post("/auth/sign-out-everywhere", &json!({})).await;
    assert_eq!(out.status(), 204);
    for caller in [&ada, &second] {
        assert_eq!(problem(caller.get("/v1/me").await).await.0, 401);
    }
    let refresh = json!({ "refresh_token": renewed["refresh_token"] });
    let over = nobody.post("/auth/refresh", &refresh).await;
    assert_eq!(problem(over).await, (401, "auth.refused".to_owned()));

    // Who is kept out here stays out, whatever the provider says.
    let kept_out = root.put(&path, &json!({ "disabled": true })).await;
    assert_eq!(kept_out.status(), 200);
    let refused = whole(nobody, provider, "ada").await;
    assert_eq!(problem(refused).await, (401, "auth.refused".to_owned()));
    let recorded = refusals(root).await;
    assert_eq!(recorded.last().map(String::as_str), Some("disabled"));
    rig.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_belong_together_signs_nobody_in_and_is_on_record() {
    let rig = rig().await;
    let (provider, nobody, root) = (&rig.provider, &rig.nobody, &rig.root);
    provider.say("ada", &json!({ "groups": ["eeg"] })).await;
    let refused = async |body: &Value, reason: &str| {
        let answer = complete(nobody, body).await;
        assert_eq!(problem(answer).await, (401, "auth.refused".to_owned()));
        let recorded = refusals(root).await;
        assert_eq!(recorded.last().map(String::as_str), Some(reason));
    };

    // A redirect address that is not listed, or only nearly.
    for uri in [
        "https://evil.test/",
        "http://127.0.0.1:9/signed-in/",
        "http://127.0.0.1:9/signed-in?x=1",
        "HTTP://127.0.0.1:9/signed-in",
    ] {
        let body = json!({ "redirect_uri": uri });
        let answer = nobody.post("/auth/providers/hospital/begin", &body).await;
        assert_eq!(problem(answer).await, (422, "provider.redirect".to_owned()));
    }
    assert_eq!(refusals(root).await.len(), 4);
    let unknown = nobody
        .post(
            "/auth/providers/x/begin",
            &json!({ "redirect_uri": REDIRECT }),
        )
        .await;
    assert_eq!(problem(unknown).await, (404, "provider.unknown".to_owned()));

    // A state used twice, with the same code and with a new one.
    let begun = begin(nobody, "hospital").await;
    let url = begun["authorization_url"].as_str().unwrap();
    let first = brought(&begun, &provider.sign_in(url, "ada").await);
    assert_eq!(complete(nobody, &first).await.status(), 200);
    refused(&first, "the state was used before").await;
    let second = brought(&begun, &provider.sign_in(url, "ada").await);
    refused(&second, "the state was used before").await;

    // A code used twice, under a new state.
    let mut twice = begin(nobody, "hospital").await;
    twice["code"] = first["code"].clone();
    let body = |from: &Value| json!({ "state": from["state"], "code": from["code"], "binding": from["binding"] });
    let taken = "the provider does not take the code (invalid_grant)";
    refused(&body(&twice), taken).await;

    // A code of another sign-in: PKCE at the provider. With the verifier it would be the nonce.
    let others = begin(nobody, "hospital").await;
    let url = others["authorization_url"].as_str().unwrap();
    let location = provider.sign_in(url, "ada").await;
    let mut slipped = begin(nobody, "hospital").await;
    slipped["code"] = json!(member(&location, "code"));
    refused(&body(&slipped), taken).await;

    // A nonce that somebody changed on the way.
    let begun = begin(nobody, "hospital").await;
    let url = begun["authorization_url"].as_str().unwrap();
    let nonce = member(url, "nonce").unwrap();
    let changed = url.replace(&nonce, "another-nonce-of-somebody");
    let body_ = brought(&begun, &provider.sign_in(&changed, "ada").await);
    refused(&body_, "the ID token belongs to another sign-in").await;

    // Somebody else's state; a state of another provider; one that was changed; none.
    let begun = begin(nobody, "hospital").await;
    let url = begun["authorization_url"].as_str().unwrap();
    let mut stolen = brought(&begun, &provider.sign_in(url, "ada").await);
    let own = std::mem::replace(&mut stolen["binding"], json!("guessed"));
    refused(&stolen, "the state was begun by somebody else").await;
    stolen["binding"] = own;
    stolen["iss"] = json!("https://another.test");
    refused(&stolen, "the answer is another issuer's").await;
    let none = "the state is none of the gateway's for this provider";
    let clinic = begin(nobody, "clinic").await;
    let url = clinic["authorization_url"].as_str().unwrap();
    let clinics = brought(&clinic, &provider.sign_in(url, "ada").await);
    refused(&clinics, none).await;
    for state in [
        "",
        "x",
        &"A".repeat(10_000),
        clinic["binding"].as_str().unwrap(),
    ] {
        let body = json!({ "state": state, "code": "x", "binding": "x" });
        refused(&body, none).await;
    }

    // What the provider refuses, and nothing at all.
    let denied = begin(nobody, "hospital").await;
    let denied = json!({
        "state": denied["state"], "binding": denied["binding"], "error": "access_denied",
    });
    refused(&denied, "the provider says access_denied").await;
    let empty = begin(nobody, "hospital").await;
    let empty = json!({ "state": empty["state"], "binding": empty["binding"] });
    refused(&empty, "there is no code").await;

    // Nothing is granted to who is in no group of ours.
    provider
        .say("eve", &json!({ "groups": ["visitors"] }))
        .await;
    let answer = whole(nobody, provider, "eve").await;
    assert_eq!(
        problem(answer).await,
        (403, "provider.nothing_granted".to_owned())
    );
    // A discovery document of another issuer.
    let body = json!({ "redirect_uri": REDIRECT });
    let answer = nobody.post("/auth/providers/wrong/begin", &body).await;
    assert_eq!(
        problem(answer).await,
        (502, "provider.unavailable".to_owned())
    );
    let recorded = refusals(root).await;
    assert_eq!(
        recorded[recorded.len() - 2..],
        [
            "nothing is granted to them",
            "the provider's discovery document does not hold (it names another issuer)",
        ]
    );
    // Two people were let in by all this: the first, and ada.
    let people: Value = root.get("/v1/people").await.json().await.unwrap();
    assert_eq!(people["people"].as_array().unwrap().len(), 2);
    rig.gateway.stop().await;
}
