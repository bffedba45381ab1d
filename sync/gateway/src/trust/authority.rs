//! The gateway's certificate authority: a root, issuing certificates under it, and what they issue.
//!
//! Whoever is trusted trusts the root, and every certificate comes with the one that issued it; so a new
//! issuing certificate takes over without anybody noticing. A request gives a public key and the proof
//! that its private half is at hand, and nothing else: what stands in the certificate is decided here.

use std::{fmt, sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use events::{Clock, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PublicKeyData as _, SanType, SerialNumber,
};
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use x509_parser::{
    extensions::{GeneralName, ParsedExtension},
    prelude::{FromDer as _, X509Certificate},
};

use crate::{
    limits::trust as limits,
    random::Random,
    sealing::{SealError, Sealer},
    state::{Expect, Op, Space, State, StateError},
};

/// The authority's own keys and certificates.
const AUTHORITY: Space = "authority";
const ROOT: &str = "root";
const ISSUING: &str = "issuing/";
/// Which issuing certificate was made last.
const NEWEST: &str = "newest";
/// What was issued, by serial number.
const CERTIFICATES: Space = "certificates";

/// Why the authority failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// The request is no certificate signing request, or its signature does not hold.
    #[error("the certificate signing request is not sound ({0})")]
    Request(String),
    /// A name cannot stand in a certificate.
    #[error("{0:?} cannot stand in a certificate")]
    Name(String),
    /// The certificate is none of this authority's.
    #[error("the certificate is not understood ({0})")]
    Certificate(String),
    /// Making a key or certificate failed.
    #[error("making a certificate failed")]
    Make(#[from] rcgen::Error),
    /// The state failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// A sealed key does not open.
    #[error(transparent)]
    Sealed(#[from] SealError),
    /// What the state holds is not of the authority.
    #[error("the state holds what is no key of the authority ({0})")]
    Damaged(String),
}

/// What a certificate of this authority is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubjectKind {
    /// A workstation.
    Device,
    /// A program behind the gateway.
    Service,
}

impl SubjectKind {
    /// As it stands in certificates and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Service => "service",
        }
    }
}

/// Whom a certificate speaks of; in it as `neurascale://site/<site>/<kind>/<id>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The site.
    pub site: String,
    /// What it is.
    pub kind: SubjectKind,
    /// Its opaque id.
    pub id: String,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "neurascale://site/{}/{}/{}",
            self.site,
            self.kind.as_str(),
            self.id
        )
    }
}

impl Subject {
    fn parse(uri: &str) -> Option<Self> {
        let rest = uri.strip_prefix("neurascale://site/")?;
        let mut parts = rest.split('/');
        let (site, kind, id) = (parts.next()?, parts.next()?, parts.next()?);
        let kind = match kind {
            "device" => SubjectKind::Device,
            "service" => SubjectKind::Service,
            _ => return None,
        };
        let sound = parts.next().is_none() && !site.is_empty() && !id.is_empty();
        sound.then(|| Self {
            site: site.to_owned(),
            kind,
            id: id.to_owned(),
        })
    }
}

/// A certificate that was issued, with those that lead to the root.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The certificate and the one that issued it, DER.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its serial number, hexadecimal.
    pub serial: String,
    /// Until when it holds.
    pub expires_at: Timestamp,
    /// SHA-256 of the public key, hexadecimal: what an enrolled key is known by.
    pub key_sha256: String,
}

impl Issued {
    /// The chain as PEM.
    pub fn pem(&self) -> String {
        self.chain.iter().map(|der| pem(der)).collect()
    }
}

/// What a peer's certificate says, once the handshake has verified it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Whom it speaks of.
    pub subject: Subject,
    /// Its serial number, hexadecimal.
    pub serial: String,
    /// SHA-256 of the whole certificate.
    pub sha256: [u8; 32],
}

#[derive(Serialize, Deserialize)]
struct KeptIssuer {
    certificate: String,
    key: String,
    issues_from: Timestamp,
    expires_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct KeptCertificate {
    subject: Subject,
    expires_at: Timestamp,
    #[serde(default)]
    revoked_at: Option<Timestamp>,
}

/// The certificate authority of the gateway.
#[derive(Debug)]
pub struct Authority {
    state: State,
    sealer: Sealer,
    clock: Arc<dyn Clock>,
    random: Random,
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn pem(der: &[u8]) -> String {
    let encoded = BASE64_STANDARD.encode(der);
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in encoded.as_bytes().chunks(64) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}

fn moment(time: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(time.0.div_euclid(1_000_000_000))
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn later(time: Timestamp, by: Duration) -> Timestamp {
    let by = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
    Timestamp(time.0.saturating_add(by))
}

fn earlier(time: Timestamp, by: Duration) -> Timestamp {
    let by = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
    Timestamp(time.0.saturating_sub(by))
}

/// A key and a certificate that can issue.
struct Opened {
    certificate: CertificateDer<'static>,
    key: KeyPair,
    kept: KeptIssuer,
}

impl Authority {
    /// Over the state; makes root and first issuing certificate where there are none.
    pub async fn open(
        state: State,
        sealer: Sealer,
        clock: Arc<dyn Clock>,
        random: Random,
    ) -> Result<Self, AuthorityError> {
        let authority = Self {
            state,
            sealer,
            clock,
            random,
        };
        if authority.state.get(AUTHORITY, ROOT).is_none() {
            authority.make_root().await?;
        }
        authority.rotate().await?;
        Ok(authority)
    }

    fn params(&self, name: &str, lifetime: Duration) -> CertificateParams {
        let now = self.clock.now();
        let mut params = CertificateParams::default();
        params.not_before = moment(earlier(now, limits::BACKDATED));
        params.not_after = moment(later(now, lifetime));
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        // Random and positive (RFC 5280, section 4.1.2.2).
        let mut serial: [u8; 16] = self.random.bytes();
        serial[0] = serial[0] & 0x7f | 0x40;
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        params.use_authority_key_identifier_extension = true;
        params
    }

    async fn make_root(&self) -> Result<(), AuthorityError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = self.params("NeuraScale gateway root", limits::ROOT_FOR);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.use_authority_key_identifier_extension = false;
        let certificate = params.self_signed(&key)?;
        let kept = self.kept(ROOT, &key, certificate.der(), limits::ROOT_FOR)?;
        let made = self
            .state
            .commit(vec![
                Op::require(AUTHORITY, ROOT, Expect::Absent),
                Op::put(AUTHORITY, ROOT, write(&kept)?),
            ])
            .await;
        match made {
            // Another replica made one at the same time: that one is the root.
            Ok(_) | Err(StateError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes the next issuing certificate when the newest has reached half its life. To be called now and
    /// then by every replica; one of them does it.
    pub async fn rotate(&self) -> Result<(), AuthorityError> {
        let newest = self.state.get(AUTHORITY, NEWEST);
        if let Some(newest) = &newest {
            let key = String::from_utf8_lossy(&newest.value).into_owned();
            let kept: KeptIssuer = self.read(AUTHORITY, &key)?;
            if self.clock.now() < later(kept.issues_from, limits::ISSUING_FOR / 2) {
                return Ok(());
            }
        }
        let root = self.opened(ROOT)?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = self.params("NeuraScale gateway issuing", limits::ISSUING_FOR);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = Issuer::from_ca_cert_der(&root.certificate, root.key)?;
        let certificate = params.signed_by(&key, &issuer)?;
        let name = format!("{ISSUING}{}", hex(&self.random.bytes::<8>()));
        let kept = self.kept(&name, &key, certificate.der(), limits::ISSUING_FOR)?;
        let expect = newest.map_or(Expect::Absent, |item| Expect::Modified(item.modified));
        let made = self
            .state
            .commit(vec![
                Op::require(AUTHORITY, NEWEST, expect),
                Op::put(AUTHORITY, &name, write(&kept)?),
                Op::put(AUTHORITY, NEWEST, name),
            ])
            .await;
        match made {
            Ok(_) | Err(StateError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn kept(
        &self,
        name: &str,
        key: &KeyPair,
        certificate: &[u8],
        lifetime: Duration,
    ) -> Result<KeptIssuer, AuthorityError> {
        let now = self.clock.now();
        let secret = zeroize::Zeroizing::new(key.serialize_der());
        let sealed = self
            .random
            .with(|rng| self.sealer.seal(name, &secret, rng))?;
        Ok(KeptIssuer {
            certificate: BASE64_STANDARD.encode(certificate),
            key: BASE64_STANDARD.encode(sealed),
            issues_from: now,
            expires_at: later(now, lifetime),
        })
    }

    fn read<T: serde::de::DeserializeOwned>(
        &self,
        space: Space,
        key: &str,
    ) -> Result<T, AuthorityError> {
        let item = self
            .state
            .get(space, key)
            .ok_or_else(|| AuthorityError::Damaged(format!("{key} is missing")))?;
        serde_json::from_slice(&item.value)
            .map_err(|error| AuthorityError::Damaged(error.to_string()))
    }

    fn opened(&self, name: &str) -> Result<Opened, AuthorityError> {
        let kept: KeptIssuer = self.read(AUTHORITY, name)?;
        let decode = |text: &str| {
            BASE64_STANDARD
                .decode(text)
                .map_err(|error| AuthorityError::Damaged(error.to_string()))
        };
        let secret = self.sealer.open(name, &decode(&kept.key)?)?;
        let key = PrivatePkcs8KeyDer::from(secret.as_slice());
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_ECDSA_P256_SHA256)?;
        Ok(Opened {
            certificate: decode(&kept.certificate)?.into(),
            key,
            kept,
        })
    }

    fn issuing(&self) -> Result<Opened, AuthorityError> {
        let newest = self
            .state
            .get(AUTHORITY, NEWEST)
            .ok_or_else(|| AuthorityError::Damaged("there is no issuing certificate".to_owned()))?;
        self.opened(&String::from_utf8_lossy(&newest.value))
    }

    /// The root: what those who trust the gateway hold.
    pub fn root(&self) -> Result<CertificateDer<'static>, AuthorityError> {
        let kept: KeptIssuer = self.read(AUTHORITY, ROOT)?;
        let der = BASE64_STANDARD
            .decode(&kept.certificate)
            .map_err(|error| AuthorityError::Damaged(error.to_string()))?;
        Ok(der.into())
    }

    /// The root as PEM.
    pub fn root_pem(&self) -> Result<String, AuthorityError> {
        Ok(pem(&self.root()?))
    }

    /// A certificate for the gateway itself, with a new private key (PKCS #8).
    pub fn issue_server(
        &self,
        names: &[String],
    ) -> Result<(Issued, PrivatePkcs8KeyDer<'static>), AuthorityError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = self.params("NeuraScale gateway", limits::SERVER_CERTIFICATE_FOR);
        for name in names {
            let san = match name.parse() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(
                    name.as_str()
                        .try_into()
                        .map_err(|_| AuthorityError::Name(name.clone()))?,
                ),
            };
            params.subject_alt_names.push(san);
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let opened = self.issuing()?;
        let expires_at = later(self.clock.now(), limits::SERVER_CERTIFICATE_FOR);
        let issuer = Issuer::from_ca_cert_der(&opened.certificate, opened.key)?;
        let certificate = params.signed_by(&key, &issuer)?;
        let issued = issued(
            certificate.der(),
            opened.certificate,
            &params,
            &key,
            expires_at,
        );
        Ok((issued, PrivatePkcs8KeyDer::from(key.serialize_der())))
    }

    /// What a request asks for: its public key's SHA-256, once the proof that its private half is at hand
    /// was checked.
    pub fn key_of_request(&self, request_der: &[u8]) -> Result<String, AuthorityError> {
        Ok(key_sha256(
            &request(request_der)?.public_key.subject_public_key_info(),
        ))
    }

    /// A certificate for a device or service, for the key of its request.
    pub async fn issue_client(
        &self,
        subject: &Subject,
        request_der: &[u8],
    ) -> Result<Issued, AuthorityError> {
        let request = request(request_der)?;
        let uri = subject.to_string();
        let mut params = self.params(&subject.id, limits::CLIENT_CERTIFICATE_FOR);
        let san = uri
            .as_str()
            .try_into()
            .map_err(|_| AuthorityError::Name(uri.clone()))?;
        params.subject_alt_names = vec![SanType::URI(san)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let opened = self.issuing()?;
        let expires_at =
            later(self.clock.now(), limits::CLIENT_CERTIFICATE_FOR).min(opened.kept.expires_at);
        let issuer = Issuer::from_ca_cert_der(&opened.certificate, opened.key)?;
        let certificate = params.signed_by(&request.public_key, &issuer)?;
        let issued = issued(
            certificate.der(),
            opened.certificate,
            &params,
            &request.public_key,
            expires_at,
        );
        let kept = KeptCertificate {
            subject: subject.clone(),
            expires_at,
            revoked_at: None,
        };
        let ops = vec![Op::put(CERTIFICATES, &issued.serial, write(&kept)?)];
        self.state.commit(ops).await?;
        Ok(issued)
    }

    /// What a verified certificate says.
    pub fn peer(&self, der: &[u8]) -> Result<Peer, AuthorityError> {
        let wrong = |reason: &str| AuthorityError::Certificate(reason.to_owned());
        let (_, certificate) =
            X509Certificate::from_der(der).map_err(|error| wrong(&error.to_string()))?;
        let uris = certificate
            .extensions()
            .iter()
            .filter_map(|extension| match extension.parsed_extension() {
                ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
                _ => None,
            })
            .flatten()
            .filter_map(|name| match name {
                GeneralName::URI(uri) => Some(*uri),
                _ => None,
            });
        let subjects: Vec<_> = uris.filter_map(Subject::parse).collect();
        let [subject] = &subjects[..] else {
            return Err(wrong("it names no device or service, or more than one"));
        };
        Ok(Peer {
            subject: subject.clone(),
            serial: hex(certificate.raw_serial()),
            sha256: Sha256::digest(der).into(),
        })
    }

    /// Whether a certificate is to be refused although it holds: revoked, or never issued here.
    pub fn is_revoked(&self, serial: &str) -> bool {
        let kept = self.state.get(CERTIFICATES, serial);
        kept.and_then(|item| serde_json::from_slice::<KeptCertificate>(&item.value).ok())
            .is_none_or(|kept| kept.revoked_at.is_some())
    }

    /// Revokes every certificate of a subject; how many there were.
    pub async fn revoke(&self, subject: &Subject) -> Result<usize, AuthorityError> {
        let now = self.clock.now();
        let mut revoked = 0;
        for item in self.state.list(CERTIFICATES, "") {
            let mut kept: KeptCertificate = serde_json::from_slice(&item.value)
                .map_err(|error| AuthorityError::Damaged(error.to_string()))?;
            if kept.subject == *subject && kept.revoked_at.is_none() {
                kept.revoked_at = Some(now);
                self.state
                    .commit(vec![Op::put(CERTIFICATES, &item.key, write(&kept)?)])
                    .await?;
                revoked += 1;
            }
        }
        Ok(revoked)
    }

    /// Forgets certificates that have expired.
    pub async fn sweep(&self) -> Result<usize, AuthorityError> {
        let before = earlier(self.clock.now(), limits::CLIENT_CERTIFICATE_FOR);
        let mut swept = 0;
        for item in self.state.list(CERTIFICATES, "") {
            let kept = serde_json::from_slice::<KeptCertificate>(&item.value);
            if kept.is_ok_and(|kept| kept.expires_at < before) {
                self.state
                    .commit(vec![Op::delete(CERTIFICATES, &item.key)])
                    .await?;
                swept += 1;
            }
        }
        Ok(swept)
    }
}

fn key_sha256(spki: &[u8]) -> String {
    hex(&Sha256::digest(spki))
}

fn issued(
    certificate: &CertificateDer<'static>,
    issuer: CertificateDer<'static>,
    params: &CertificateParams,
    key: &impl rcgen::PublicKeyData,
    expires_at: Timestamp,
) -> Issued {
    let serial = params
        .serial_number
        .as_ref()
        .map(SerialNumber::to_bytes)
        .unwrap_or_default();
    Issued {
        chain: vec![certificate.clone(), issuer],
        serial: hex(&serial),
        expires_at,
        key_sha256: key_sha256(&key.subject_public_key_info()),
    }
}

fn request(der: &[u8]) -> Result<CertificateSigningRequestParams, AuthorityError> {
    if der.len() > limits::MAX_REQUEST_BYTES {
        return Err(AuthorityError::Request("it is too large".to_owned()));
    }
    CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(der))
        .map_err(|error| AuthorityError::Request(error.to_string()))
}

fn write(kept: &impl Serialize) -> Result<Vec<u8>, AuthorityError> {
    serde_json::to_vec(kept).map_err(|error| AuthorityError::Damaged(error.to_string()))
}
