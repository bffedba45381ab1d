//! A service that enrols itself with the client, and is renewed while it works.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use ::client::{
    Call, Client, Credentials, Error, Health, Identity, IdentityError, Policy, Registration,
    Registry,
};
use events::{Clock as _, SystemClock};
use reqwest::Url;
use serde_json::{Value, json};

use crate::program::{Caller, Program};

const SOON: Duration = Duration::from_secs(60);

fn address(gateway: &Program, path: &str) -> Url {
    Url::parse(&format!("https://localhost:{}{path}", gateway.port)).unwrap()
}

/// An identity in this folder, and by how many seconds its clock is ahead.
fn identity(gateway: &Program, folder: &Path) -> (Identity, Arc<AtomicU64>) {
    let ahead = Arc::new(AtomicU64::new(0));
    let by = ahead.clone();
    let clock = move || {
        let now = u64::try_from(SystemClock.now().0).unwrap();
        SystemTime::UNIX_EPOCH
            + Duration::from_nanos(now)
            + Duration::from_secs(by.load(Ordering::SeqCst))
    };
    let roots = fs::read(gateway.folder.join("ca.pem")).unwrap();
    let how = (Policy::default(), 1);
    let identity = Identity::new(folder, address(gateway, "/"), &roots, how, Arc::new(clock));
    (identity.unwrap(), ahead)
}

async fn code(root: &Caller) -> String {
    let code = json!({ "kind": "service", "name": "reports" });
    let code = root.post("/v1/enrolment-codes", &code).await;
    let code: Value = code.json().await.unwrap();
    code["code"].as_str().unwrap().to_owned()
}

async fn roles(client: &Client, gateway: &Program) -> Result<Value, Error> {
    let me: Value = client
        .get(address(gateway, "/v1/me"), Call::default())
        .await?;
    Ok(me["roles"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_enrols_once_and_is_renewed_without_a_lost_request() {
    let folder = tempfile::tempdir().unwrap();
    let own = tempfile::tempdir().unwrap();
    let gateway = Arc::new(Program::start(folder.path()).await);
    let root = gateway.first_person().await;
    let (identity, ahead) = identity(&gateway, own.path());
    let unknown = identity.open().await;
    assert!(
        matches!(&unknown, Err(IdentityError::Gateway(Error::Refused(problem))) if problem.status == 403),
        "a key alone is nobody"
    );
    let code = code(&root).await;
    assert!(!identity.is_enrolled());
    identity.enrol(&code).await.unwrap();
    assert!(identity.is_enrolled());
    let again = identity.enrol(&code).await;
    assert!(
        matches!(&again, Err(IdentityError::Gateway(Error::Refused(problem))) if problem.status == 403)
    );
    let key = own.path().join("identity.key");
    assert_eq!(
        fs::metadata(&key).unwrap().permissions().mode() & 0o777,
        0o600
    );

    let enrolled = identity.open().await.unwrap();
    let client = enrolled.client().clone();
    assert_eq!(roles(&client, &gateway).await.unwrap(), json!(["service"]));
    let registry = Registry::new(client.clone(), address(&gateway, "/"), Credentials::Client);
    let entered = Registration {
        id: "reports".to_owned(),
        name: "reports".to_owned(),
        address: "127.0.0.1".to_owned(),
        port: 9,
        tags: Vec::new(),
        meta: std::collections::BTreeMap::new(),
        health: Health::Ttl(Duration::from_secs(60)),
        forgotten_after: None,
    };
    let entered = registry.register_service(entered).await.unwrap();

    // Two thirds of its life have passed, and it is busy.
    let held = fs::read(own.path().join("identity.json")).unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let busy: Vec<_> = (0..4)
        .map(|_| {
            let (client, gateway, done) = (client.clone(), gateway.clone(), done.clone());
            tokio::spawn(async move {
                let mut answered = 0;
                while !done.load(Ordering::SeqCst) {
                    assert_eq!(roles(&client, &gateway).await.unwrap(), json!(["service"]));
                    answered += 1;
                }
                answered
            })
        })
        .collect();
    ahead.store(17 * 3_600, Ordering::SeqCst);
    let end = Instant::now() + SOON;
    while fs::read(own.path().join("identity.json")).unwrap() == held {
        assert!(Instant::now() < end, "it is renewed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    ahead.store(0, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(500)).await;
    done.store(true, Ordering::SeqCst);
    for one in busy {
        assert!(one.await.unwrap() > 0);
    }
    assert!(
        client
            .breaker_counts()
            .values()
            .all(|counts| counts.failed == 0)
    );
    entered.deregister().await.unwrap();

    // With the certificate lost (as after its end), the key gets another.
    drop(enrolled);
    fs::remove_file(own.path().join("identity.json")).unwrap();
    let enrolled = identity.open().await.unwrap();
    assert_eq!(
        roles(enrolled.client(), &gateway).await.unwrap(),
        json!(["service"])
    );
}
