//! Certificates, tokens and enrolment, checked with OpenSSL where another program's word is worth more.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
    sync::Arc,
    time::Duration,
};

use gateway::trust::{
    Authority, Enrolment, EnrolmentError, ExternalIssuer, KeySet, KeySource, Keyring, Subject,
    SubjectKind, TokenError, Tokens,
};
use protocol::{Principal, Role};
use serde_json::json;

use crate::rig::{Ground, SetClock, ground};

const ISSUER: &str = "https://gateway.test";

fn openssl(arguments: &[&str], folder: &Path) -> Output {
    Command::new("openssl")
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("openssl is installed (xtask's setup sees to it)")
}

fn ok(output: &Output) {
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A key and a request for it, made by OpenSSL; the request as DER.
fn request(folder: &Path, name: &str) -> Vec<u8> {
    make_request(folder, name, "DER")
}

/// The same as PEM; the key is [`key_pem`].
pub(crate) fn request_pem(folder: &Path, name: &str) -> String {
    String::from_utf8(make_request(folder, name, "PEM")).expect("a text")
}

/// The key of a request.
pub(crate) fn key_pem(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(format!("{name}.key"))).expect("the key")
}

fn make_request(folder: &Path, name: &str, form: &str) -> Vec<u8> {
    let (key, file) = (format!("{name}.key"), format!("{name}.csr"));
    ok(&openssl(
        &[
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-keyout",
            &key,
            "-subj",
            "/CN=whatever it says",
            "-addext",
            "subjectAltName=DNS:somebody.else",
            "-outform",
            form,
            "-out",
            &file,
        ],
        folder,
    ));
    fs::read(folder.join(file)).unwrap()
}

async fn authority(ground: &Ground) -> Arc<Authority> {
    let opened = Authority::open(
        ground.state.clone(),
        ground.sealer.clone(),
        ground.clock.clone(),
        ground.random.clone(),
    );
    Arc::new(opened.await.unwrap())
}

async fn tokens(ground: &Ground, external: Vec<ExternalIssuer>) -> Tokens {
    let keyring = Keyring::open(
        ground.state.clone(),
        ground.sealer.clone(),
        ground.clock.clone(),
        ground.random.clone(),
    );
    let keyring = Arc::new(keyring.await.unwrap());
    Tokens::new(
        keyring,
        ISSUER,
        external,
        ground.clock.clone(),
        ground.ids.clone(),
    )
}

fn somebody() -> Principal {
    Principal {
        subject: "p1".to_owned(),
        site: "north".to_owned(),
        roles: vec![Role::Clinician],
        consumer: "own:p1".to_owned(),
    }
}

#[tokio::test]
async fn openssl_verifies_what_the_authority_issues() {
    let ground = ground().await;
    let authority = authority(&ground).await;
    let folder = tempfile::tempdir().unwrap();
    let subject = Subject {
        site: "north".to_owned(),
        kind: SubjectKind::Device,
        id: "d1".to_owned(),
    };
    let issued = authority
        .issue_client(&subject, &request(folder.path(), "one"))
        .await
        .unwrap();
    fs::write(
        folder.path().join("root.pem"),
        authority.root_pem().unwrap(),
    )
    .unwrap();
    fs::write(folder.path().join("chain.pem"), issued.pem()).unwrap();
    let verify = |purpose: &str| {
        let arguments = [
            "verify",
            "-x509_strict",
            "-purpose",
            purpose,
            "-CAfile",
            "root.pem",
            "-untrusted",
            "chain.pem",
            "chain.pem",
        ];
        openssl(&arguments, folder.path())
    };
    ok(&verify("sslclient"));
    assert!(
        !verify("sslserver").status.success(),
        "a device is no server"
    );
    let shown = openssl(
        &["x509", "-in", "chain.pem", "-noout", "-text"],
        folder.path(),
    );
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(
        text.contains("URI:neurascale://site/north/device/d1"),
        "{text}"
    );
    assert!(
        !text.contains("whatever") && !text.contains("somebody.else"),
        "{text}"
    );
    let peer = authority.peer(&issued.chain[0]).unwrap();
    assert_eq!(
        (peer.subject, peer.serial.clone()),
        (subject.clone(), issued.serial)
    );
    assert!(!authority.is_revoked(&peer.serial));
    assert!(
        authority.is_revoked("00"),
        "what was never issued here is refused"
    );
    assert_eq!(authority.revoke(&subject).await.unwrap(), 1);
    assert!(authority.is_revoked(&peer.serial));
    let (server, _) = authority
        .issue_server(&["localhost".to_owned(), "127.0.0.1".to_owned()])
        .unwrap();
    fs::write(folder.path().join("chain.pem"), server.pem()).unwrap();
    ok(&verify("sslserver"));
}

#[tokio::test]
async fn a_new_issuing_certificate_takes_over_unnoticed() {
    let ground = ground().await;
    let authority = authority(&ground).await;
    let folder = tempfile::tempdir().unwrap();
    let subject = Subject {
        site: "north".to_owned(),
        kind: SubjectKind::Service,
        id: "s1".to_owned(),
    };
    let der = request(folder.path(), "one");
    let before = authority.issue_client(&subject, &der).await.unwrap();
    authority.rotate().await.unwrap();
    let same = authority.issue_client(&subject, &der).await.unwrap();
    assert_eq!(before.chain[1], same.chain[1], "it is not due yet");
    ground.clock.pass_s(200 * 86_400);
    authority.rotate().await.unwrap();
    let after = authority.issue_client(&subject, &der).await.unwrap();
    assert_ne!(before.chain[1], after.chain[1]);
    fs::write(
        folder.path().join("root.pem"),
        authority.root_pem().unwrap(),
    )
    .unwrap();
    fs::write(folder.path().join("chain.pem"), after.pem()).unwrap();
    let at = (events::Clock::now(&*ground.clock).0 / 1_000_000_000).to_string();
    let arguments = [
        "verify",
        "-attime",
        &at,
        "-CAfile",
        "root.pem",
        "-untrusted",
        "chain.pem",
        "chain.pem",
    ];
    ok(&openssl(&arguments, folder.path()));
    // Another replica, opened over the same state, is the same authority.
    let other = Authority::open(
        ground.state.clone(),
        ground.sealer.clone(),
        ground.clock.clone(),
        ground.random.clone(),
    );
    assert_eq!(
        other.await.unwrap().root().unwrap(),
        authority.root().unwrap()
    );
}

#[tokio::test]
async fn requests_that_prove_nothing_are_refused() {
    let ground = ground().await;
    let authority = authority(&ground).await;
    let folder = tempfile::tempdir().unwrap();
    let der = request(folder.path(), "one");
    let mut unsigned = 0;
    for at in 0..der.len() {
        let mut changed = der.clone();
        changed[at] ^= 1;
        // The outermost bytes are not signed; what they hold still is.
        if let Ok(key) = authority.key_of_request(&changed) {
            assert_eq!(key, authority.key_of_request(&der).unwrap(), "byte {at}");
            unsigned += 1;
        }
    }
    assert!(
        unsigned < 4,
        "{unsigned} of {} bytes decide nothing",
        der.len()
    );
    for length in [0, 1, der.len() / 2, der.len() - 1] {
        assert!(authority.key_of_request(&der[..length]).is_err());
    }
    assert!(authority.key_of_request(&vec![0; 1 << 20]).is_err());
}

#[tokio::test]
async fn a_token_holds_for_its_audience_and_time() {
    let ground = ground().await;
    let tokens = tokens(&ground, vec![]).await;
    let session = uuid::Uuid::from_u128(7);
    let lifetime = Duration::from_secs(600);
    let token = tokens
        .issue(&somebody(), lifetime, Some(session), Some("hash".into()))
        .unwrap();
    let (principal, claims) = tokens.check(&token).unwrap();
    assert_eq!(principal, somebody());
    assert_eq!(claims.sid, Some(session));
    assert_eq!(claims.cnf.unwrap().certificate_sha256, "hash");
    ground.clock.pass_s(620);
    assert!(tokens.check(&token).is_ok(), "clocks may differ");
    ground.clock.pass_s(20);
    assert!(matches!(tokens.check(&token), Err(TokenError::Expired)));
    ground.clock.pass_s(-700);
    assert!(matches!(tokens.check(&token), Err(TokenError::TooEarly)));
    ground.clock.pass_s(60);
    // One that another gateway signed for itself, with its own keys.
    let elsewhere = self::ground().await;
    let keyring = Keyring::open(
        elsewhere.state.clone(),
        elsewhere.sealer.clone(),
        elsewhere.clock.clone(),
        gateway::random::Random::from_seed(2),
    );
    let stranger = Tokens::new(
        Arc::new(keyring.await.unwrap()),
        ISSUER,
        vec![],
        elsewhere.clock.clone(),
        elsewhere.ids.clone(),
    );
    let forged = stranger.issue(&somebody(), lifetime, None, None).unwrap();
    assert!(matches!(tokens.check(&forged), Err(TokenError::UnknownKey)));
    let unknown = Tokens::new(
        Arc::clone(stranger.keyring()),
        "https://elsewhere.test",
        vec![],
        elsewhere.clock.clone(),
        elsewhere.ids.clone(),
    );
    let foreign = unknown.issue(&somebody(), lifetime, None, None).unwrap();
    assert!(matches!(
        tokens.check(&foreign),
        Err(TokenError::UnknownIssuer)
    ));
}

#[tokio::test]
async fn keys_are_replaced_before_anybody_misses_them() {
    let ground = ground().await;
    let tokens = tokens(&ground, vec![]).await;
    let keyring = tokens.keyring();
    let count = || {
        keyring.published().unwrap()["keys"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(count(), 1);
    let first = keyring.published().unwrap()["keys"][0]["kid"].clone();
    let kid = |token: &str| -> serde_json::Value {
        use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
        let header = BASE64_URL_SAFE_NO_PAD
            .decode(token.split('.').next().unwrap())
            .unwrap();
        serde_json::from_slice::<serde_json::Value>(&header).unwrap()["kid"].clone()
    };
    let issue = || {
        tokens
            .issue(&somebody(), Duration::from_secs(600), None, None)
            .unwrap()
    };
    keyring.rotate().await.unwrap();
    assert_eq!(count(), 1, "none is due");
    ground.clock.pass_s(29 * 86_400 + 1);
    keyring.rotate().await.unwrap();
    keyring.rotate().await.unwrap();
    assert_eq!(count(), 2, "the next one is published …");
    assert_eq!(kid(&issue()), first, "… and does not sign yet");
    ground.clock.pass_s(86_400);
    let token = issue();
    assert_ne!(kid(&token), first);
    ground.clock.pass_s(2 * 86_400);
    keyring.rotate().await.unwrap();
    assert_eq!(
        count(),
        1,
        "the old one is gone once no token of its can hold"
    );
    let token = issue();
    assert!(tokens.check(&token).is_ok());
    keyring.replace_all().await.unwrap();
    assert!(
        matches!(tokens.check(&token), Err(TokenError::UnknownKey)),
        "after a theft"
    );
    assert!(tokens.check(&issue()).is_ok());
}

#[tokio::test]
async fn what_another_issuer_says_of_roles_and_sites_decides_nothing() {
    let ground = ground().await;
    let other = self::ground().await;
    let theirs = Tokens::new(
        Arc::new(
            Keyring::open(
                other.state.clone(),
                other.sealer.clone(),
                ground.clock.clone(),
                gateway::random::Random::from_seed(9),
            )
            .await
            .unwrap(),
        ),
        "https://id.hospital.test",
        vec![],
        ground.clock.clone(),
        other.ids.clone(),
    );
    let keys = theirs.keyring().published().unwrap();
    let issuer = |audience: &str, keys: &serde_json::Value| ExternalIssuer {
        iss: "https://id.hospital.test".to_owned(),
        audience: audience.to_owned(),
        consumer: "hospital".to_owned(),
        site: "north".to_owned(),
        roles: vec![Role::Researcher],
        keys: KeySet::new(KeySource::Given(keys.clone())),
    };
    let mut greedy = somebody();
    greedy.roles = vec![Role::SuperAdmin];
    greedy.site = "south".to_owned();
    let token = theirs
        .issue(&greedy, Duration::from_secs(60), None, None)
        .unwrap();
    // Their own tokens are for themselves: the audience that this gateway asks for is configured.
    let tokens = self::tokens(&ground, vec![issuer("https://id.hospital.test", &keys)]).await;
    let (principal, _) = tokens.check(&token).unwrap();
    assert_eq!(principal.subject, "hospital|p1");
    assert_eq!(
        (principal.site.as_str(), &principal.roles[..]),
        ("north", &[Role::Researcher][..])
    );
    let tokens = self::tokens(&ground, vec![issuer(ISSUER, &keys)]).await;
    assert!(matches!(
        tokens.check(&token),
        Err(TokenError::OtherAudience)
    ));
    let tokens = self::tokens(&ground, vec![issuer(ISSUER, &json!({"keys": []}))]).await;
    assert!(matches!(tokens.check(&token), Err(TokenError::UnknownKey)));
}

#[tokio::test]
async fn a_code_enrols_one_key_which_is_renewed_after_expiry_and_never_after_its_end() {
    let ground = ground().await;
    let authority = authority(&ground).await;
    let enrolment = Enrolment::new(
        ground.state.clone(),
        Arc::clone(&authority),
        ground.clock.clone(),
        ground.ids.clone(),
        ground.random.clone(),
    );
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (request(folder.path(), "one"), request(folder.path(), "two"));
    let give = || enrolment.give_code(("north", SubjectKind::Device, "bedside 1"), None, "admin");
    let (code, _) = give().await.unwrap();
    for wrong in [
        "",
        "AAAA-AAAA-AAAA-0",
        code.reveal().trim_end_matches(|_| true),
    ] {
        let refused = enrolment.enrol(wrong, &one).await;
        assert!(matches!(refused, Err(EnrolmentError::Code)), "{wrong:?}");
    }
    assert!(enrolment.renew(&one).await.is_err(), "not enrolled yet");
    // Two at once with one code: one of them gets in.
    let (first, second) = tokio::join!(
        enrolment.enrol(code.reveal(), &one),
        enrolment.enrol(code.reveal(), &two)
    );
    assert!(first.is_ok() != second.is_ok());
    let (enrolled, _, der) = match (first, second) {
        (Ok((enrolled, issued)), _) => (enrolled, issued, one),
        (_, Ok((enrolled, issued))) => (enrolled, issued, two),
        _ => unreachable!("one of them"),
    };
    assert_eq!(enrolled.subject.site, "north");
    let stored = ground.state.list("enrolment_codes", "");
    assert!(stored.is_empty(), "a used code is gone");
    ground.clock.pass_s(3 * 86_400);
    let renewed = enrolment.renew(&der).await.unwrap();
    assert_eq!(renewed.key_sha256, enrolled.key_sha256);
    assert!(enrolment.end(&enrolled.subject, "admin").await.unwrap());
    assert!(!enrolment.end(&enrolled.subject, "admin").await.unwrap());
    assert!(authority.is_revoked(&renewed.serial));
    assert!(matches!(
        enrolment.renew(&der).await,
        Err(EnrolmentError::Unknown)
    ));
    let (code, _) = give().await.unwrap();
    pass(&ground.clock);
    assert!(matches!(
        enrolment.enrol(code.reveal(), &der).await,
        Err(EnrolmentError::Code)
    ));
}

fn pass(clock: &SetClock) {
    clock.pass_s(2 * 86_400);
}

/// An issuer that replaces its key: its new tokens are taken within seconds, and its old ones no more.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_set_follows_its_issuer() {
    let ground = ground().await;
    let published = Arc::new(std::sync::Mutex::new(json!({ "keys": [] })));
    let shown = Arc::clone(&published);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    let app = axum::Router::new().route(
        "/keys",
        axum::routing::get(move || async move { axum::Json(shown.lock().unwrap().clone()) }),
    );
    tokio::spawn(async move { axum::serve(listener, app).await });
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_backend_preconfigured(
            rustls::ClientConfig::builder_with_provider(Arc::new(
                rustls::crypto::ring::default_provider(),
            ))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth(),
        )
        .build()
        .unwrap();
    let theirs = self::tokens(&self::ground().await, vec![]).await;
    let set = KeySet::new(KeySource::Url(url));
    assert!(
        set.refresh(&client).await.is_err(),
        "a set without keys replaces none"
    );
    let issuer = ExternalIssuer {
        iss: ISSUER.to_owned(),
        audience: ISSUER.to_owned(),
        consumer: "hospital".to_owned(),
        site: "north".to_owned(),
        roles: vec![Role::Researcher],
        keys: set.clone(),
    };
    let keyring = Keyring::open(
        ground.state.clone(),
        ground.sealer.clone(),
        ground.clock.clone(),
        gateway::random::Random::from_seed(77),
    );
    let ours = Tokens::new(
        Arc::new(keyring.await.unwrap()),
        "https://ours.test",
        vec![issuer],
        ground.clock.clone(),
        ground.ids.clone(),
    );
    let token = || {
        theirs
            .issue(&somebody(), Duration::from_secs(60), None, None)
            .unwrap()
    };
    *published.lock().unwrap() = theirs.keyring().published().unwrap();
    set.refresh(&client).await.unwrap();
    let old = token();
    assert!(ours.check(&old).is_ok());
    theirs.keyring().replace_all().await.unwrap();
    *published.lock().unwrap() = theirs.keyring().published().unwrap();
    let keeping = tokio::spawn(set.keep(client));
    let begun = tokio::time::Instant::now();
    while ours.check(&token()).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(15));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(matches!(ours.check(&old), Err(TokenError::UnknownKey)));
    keeping.abort();
}
