//! TLS of the gateway: version 1.3, its own certificate replaced while connections go on, client
//! certificates taken where they are shown.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig,
    SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime},
    server::{
        ClientHello, ResolvesServerCert, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::CertifiedKey,
    version::TLS13,
};

use super::{Authority, AuthorityError};

/// The certificate that a peer has shown and the handshake verified (DER): an extension of its requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate(pub Arc<[u8]>);

/// Why TLS cannot be spoken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The authority failed.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The certificate does not make a configuration.
    #[error("setting up TLS failed")]
    Tls(#[from] Error),
    /// The root does not make a verifier.
    #[error("setting up the verification of client certificates failed ({0})")]
    Verifier(String),
}

/// The gateway's side of TLS.
#[derive(Debug)]
pub struct Tls {
    authority: Arc<Authority>,
    names: Vec<String>,
    shown: Arc<Shown>,
    config: Arc<ServerConfig>,
    to_services: Arc<ClientConfig>,
}

impl Tls {
    /// With a new certificate for `names`.
    pub fn new(authority: Arc<Authority>, names: Vec<String>) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(authority.root()?)?;
        let mut trusted = roots.clone();
        let native = rustls_native_certs::load_native_certs();
        for error in native.errors {
            tracing::debug!(%error, "a certificate of the machine's store was not read");
        }
        trusted.add_parsable_certificates(native.certs);
        let to_services = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&TLS13])?
            .with_root_certificates(trusted)
            .with_no_client_auth();
        let inner = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .allow_unauthenticated()
            .build()
            .map_err(|error| TlsError::Verifier(error.to_string()))?;
        let verifier = Arc::new(Unrevoked {
            inner,
            authority: Arc::clone(&authority),
        });
        let shown = Arc::new(Shown(RwLock::new(certified(
            &authority, &names, &provider,
        )?)));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(shown.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self {
            authority,
            names,
            shown,
            config: Arc::new(config),
            to_services: Arc::new(to_services),
        })
    }

    /// What connections are accepted with.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// For connections to others: certificates of the gateway's own authority are trusted, and those that the
    /// machine trusts.
    pub(crate) fn client_config(&self) -> ClientConfig {
        ClientConfig::clone(&self.to_services)
    }

    /// Shows a new certificate from the next connection on; those that are open go on.
    pub fn renew(&self) -> Result<(), TlsError> {
        let certified = certified(&self.authority, &self.names, &ring::default_provider())?;
        *self.shown.0.write().unwrap_or_else(PoisonError::into_inner) = certified;
        Ok(())
    }
}

fn certified(
    authority: &Authority,
    names: &[String],
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, TlsError> {
    let (issued, key) = authority.issue_server(names)?;
    let key = PrivateKeyDer::Pkcs8(key);
    Ok(Arc::new(CertifiedKey::from_der(
        issued.chain,
        key,
        provider,
    )?))
}

struct Shown(RwLock<Arc<CertifiedKey>>);

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown")
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(
            &self.0.read().unwrap_or_else(PoisonError::into_inner),
        ))
    }
}

/// Verifies as usual, and then refuses what was revoked.
#[derive(Debug)]
struct Unrevoked {
    inner: Arc<dyn ClientCertVerifier>,
    authority: Arc<Authority>,
}

impl ClientCertVerifier for Unrevoked {
    fn offer_client_auth(&self) -> bool {
        self.inner.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self
            .inner
            .verify_client_cert(end_entity, intermediates, now)?;
        let refused = rustls::CertificateError::ApplicationVerificationFailure;
        let peer = self
            .authority
            .peer(end_entity)
            .map_err(|_| Error::InvalidCertificate(refused))?;
        if self.authority.is_revoked(&peer.serial) {
            return Err(Error::InvalidCertificate(rustls::CertificateError::Revoked));
        }
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
