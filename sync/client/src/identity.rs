//! Who this machine is: a key that never leaves it, and the certificates that the gateway gives for it.

use std::{
    fmt, fs, io,
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::Url;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject as _},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    Call, Client, Error, Policy, ServiceTokens, discovery::Task, discovery::again, limits,
};

const KEY: &str = "identity.key";
const CERTIFICATE: &str = "identity.json";

/// What tells the time: the system's, or that of a test.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Key or certificate cannot be kept or read.
    #[error("the identity's file {0} cannot be used")]
    File(PathBuf, #[source] io::Error),
    /// A key or certificate that is none.
    #[error("{0} is damaged")]
    Damaged(&'static str),
    /// The key or the request for its certificate could not be made.
    #[error("no key or request could be made")]
    Key(#[from] rcgen::Error),
    /// Trust or identity that TLS does not take.
    #[error("TLS does not take the identity")]
    Tls(#[from] rustls::Error),
    /// The gateway did not answer, or refused.
    #[error("the gateway gave no certificate")]
    Gateway(#[from] Error),
}

/// The last certificate, as the gateway answers and as it is kept.
#[derive(Clone, Serialize, Deserialize)]
struct Held {
    /// Chain, PEM.
    certificate: String,
    renew_at: String,
}

/// Where the identity is kept, and who gives its certificates.
#[derive(Clone)]
pub struct Identity {
    folder: PathBuf,
    gateway: Url,
    roots: Arc<RootCertStore>,
    policy: Policy,
    seed: u64,
    now: Clock,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

/// A client with the identity, which is renewed for as long as this lives.
#[derive(Debug)]
pub struct Enrolled {
    client: Client,
    _renewing: Task,
}

impl Enrolled {
    /// Shows the certificate to the gateway, and brings a service token with every request to it.
    pub fn client(&self) -> &Client {
        &self.client
    }
}

impl Identity {
    /// In this folder, which exists; the gateway is trusted by these roots (PEM) alone.
    pub fn new(
        folder: &Path,
        gateway: Url,
        roots: &[u8],
        (policy, seed): (Policy, u64),
        now: Clock,
    ) -> Result<Self, IdentityError> {
        let mut store = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(roots) {
            store.add(root.map_err(|_| IdentityError::Damaged("the root"))?)?;
        }
        Ok(Self {
            folder: folder.to_owned(),
            gateway,
            roots: Arc::new(store),
            policy,
            seed,
            now,
        })
    }

    /// Whether a certificate was given.
    pub fn is_enrolled(&self) -> bool {
        self.folder.join(CERTIFICATE).exists()
    }

    /// Uses a one-time code up. The key is kept before the gateway learns of it: where the answer is
    /// lost, the code is spent, and [`Self::open`] gets the certificate by the key.
    pub async fn enrol(&self, code: &str) -> Result<(), IdentityError> {
        let body = json!({ "code": code, "request": self.request()? });
        self.obtain("/v1/enrol", &body).await.map(drop)
    }

    /// The client, at once where a certificate is there, be it expired: the bedside does not wait for the
    /// gateway. A new one is fetched in the background when it is due.
    pub async fn open(&self) -> Result<Enrolled, IdentityError> {
        let held = match self.held()? {
            Some(held) => held,
            None => self.renew().await?,
        };
        let client = Client::new(self.shown(&held)?, self.policy, self.seed)?;
        let issuer = self.at("/auth/service-token");
        let client = client.with_service_tokens(ServiceTokens::new(client.clone(), issuer));
        let renewing = keep_renewed(self.clone(), client.clone(), held);
        Ok(Enrolled {
            client,
            _renewing: Task(tokio::spawn(renewing)),
        })
    }

    fn at(&self, path: &str) -> Url {
        let mut url = self.gateway.clone();
        url.set_path(path);
        url
    }

    /// By the key alone, so that it works after the certificate's end as well.
    async fn renew(&self) -> Result<Held, IdentityError> {
        let body = json!({ "request": self.request()? });
        self.obtain("/v1/certificates/renew", &body).await
    }

    async fn obtain(&self, path: &str, body: &serde_json::Value) -> Result<Held, IdentityError> {
        let bare = self.config()?.with_no_client_auth();
        let client = Client::new(builder(bare), self.policy, self.seed)?;
        let held: Held = client.post(self.at(path), body, Call::default()).await?;
        // Never kept unless it can be shown.
        self.shown(&held).map(drop)?;
        moment(&held.renew_at)?;
        let text = serde_json::to_vec(&held).map_err(Error::from)?;
        self.keep(CERTIFICATE, &text)?;
        Ok(held)
    }

    fn config(
        &self,
    ) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>, IdentityError>
    {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        Ok(ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(Arc::clone(&self.roots)))
    }

    fn shown(&self, held: &Held) -> Result<reqwest::ClientBuilder, IdentityError> {
        let chain = CertificateDer::pem_slice_iter(held.certificate.as_bytes());
        let chain: Vec<_> = chain
            .collect::<Result<_, _>>()
            .map_err(|_| IdentityError::Damaged("the certificate"))?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key()?.serialize_der()));
        Ok(builder(self.config()?.with_client_auth_cert(chain, key)?))
    }

    fn held(&self) -> Result<Option<Held>, IdentityError> {
        let Some(text) = self.read(CERTIFICATE)? else {
            return Ok(None);
        };
        // What cannot be read is fetched anew by the key.
        Ok(serde_json::from_slice(&text).ok())
    }

    /// The key, made where there is none.
    fn key(&self) -> Result<rcgen::KeyPair, IdentityError> {
        if let Some(text) = self.read(KEY)? {
            let der = PrivatePkcs8KeyDer::from_pem_slice(&text)
                .map_err(|_| IdentityError::Damaged("the key"))?;
            return Ok(rcgen::KeyPair::from_pkcs8_der_and_sign_algo(
                &der,
                &rcgen::PKCS_ECDSA_P256_SHA256,
            )?);
        }
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let text = pem("PRIVATE KEY", &key.serialize_der());
        self.keep(KEY, text.as_bytes())?;
        Ok(key)
    }

    /// What the certificate says of the machine is the gateway's to decide: the request names nothing.
    fn request(&self) -> Result<String, IdentityError> {
        let request = rcgen::CertificateParams::default().serialize_request(&self.key()?)?;
        Ok(pem("CERTIFICATE REQUEST", request.der()))
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, IdentityError> {
        let path = self.folder.join(name);
        match fs::read(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(IdentityError::File(path, error)),
        }
    }

    /// Whole or not at all, readable by this user alone.
    fn keep(&self, name: &str, text: &[u8]) -> Result<(), IdentityError> {
        let path = self.folder.join(name);
        let new = self.folder.join(format!("{name}.new"));
        let written = || {
            match fs::remove_file(&new) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut options = fs::OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut file = options.open(&new)?;
            file.write_all(text)?;
            file.sync_all()?;
            fs::rename(&new, &path)?;
            // The name as well (unix; Windows has no folder to open).
            #[cfg(unix)]
            fs::File::open(&self.folder)?.sync_all()?;
            Ok(())
        };
        written().map_err(|error| IdentityError::File(path.clone(), error))
    }
}

fn builder(config: ClientConfig) -> reqwest::ClientBuilder {
    let mut config = config;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    reqwest::Client::builder()
        .no_proxy()
        .tls_backend_preconfigured(config)
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    // Lines of 64 characters (RFC 7468, section 2).
    for (at, letter) in text.chars().enumerate() {
        if at > 0 && at % 64 == 0 {
            pem.push('\n');
        }
        pem.push(letter);
    }
    pem.push_str(&format!("\n-----END {label}-----\n"));
    pem
}

fn moment(text: &str) -> Result<SystemTime, IdentityError> {
    let moment = OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| IdentityError::Damaged("the time of renewal"))?;
    Ok(moment.into())
}

async fn keep_renewed(identity: Identity, client: Client, mut held: Held) {
    let mut failures = 0_u32;
    // Whatever the clock says, the gateway is not asked for one certificate after another.
    let mut least = Duration::ZERO;
    loop {
        let due = moment(&held.renew_at).map_or(Duration::ZERO, |due| {
            due.duration_since((identity.now)()).unwrap_or_default()
        });
        // Looked at often: a machine that slept, or whose clock was set, is late otherwise.
        let pause = if failures > 0 { again(failures) } else { due };
        tokio::time::sleep(pause.min(limits::RENEWAL_LOOK).max(least)).await;
        least = Duration::ZERO;
        if moment(&held.renew_at).is_ok_and(|due| (identity.now)() < due) {
            continue;
        }
        let renewed = async {
            let new = identity.renew().await?;
            // Requests that are under way end on the connections they are on.
            client.replace(identity.shown(&new)?)?;
            Ok::<_, IdentityError>(new)
        };
        match renewed.await {
            Ok(new) => (held, failures, least) = (new, 0, limits::RENEWAL_LEAST),
            Err(_) => failures = failures.saturating_add(1),
        }
    }
}
