//! Tokens: who they are for, who signed them, and whether they still hold.

use std::{sync::Arc, time::Duration};

use events::{Clock, Ids};
use protocol::{Principal, Role};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    KeySet, Keyring, KeyringError,
    jws::{JwsError, Unproven},
};
use crate::limits::trust as limits;

/// What a token of the gateway's own says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who signed it.
    pub iss: String,
    /// Whom it speaks of.
    pub sub: String,
    /// Whom it is for.
    pub aud: Audience,
    /// Until when it holds, seconds after 1970.
    pub exp: i64,
    /// From when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iat: Option<i64>,
    /// Its own id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// The session that it belongs to: it ends with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<Uuid>,
    /// The site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// The roles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Role>,
    /// The certificate that it is bound to (RFC 8705, section 3.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
}

/// One audience or several (RFC 7519, section 4.1.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl Audience {
    pub(super) fn holds(&self, wanted: &str) -> bool {
        match self {
            Self::One(one) => one == wanted,
            Self::Several(several) => several.iter().any(|one| one == wanted),
        }
    }
}

/// What binds a token to a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// SHA-256 of the certificate, base64url.
    #[serde(rename = "x5t#S256")]
    pub certificate_sha256: String,
}

/// Why a token is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It is no token, or its signature does not hold.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// Nobody who is known signed it.
    #[error("the token's issuer is not known")]
    UnknownIssuer,
    /// Its issuer has no such key.
    #[error("the token's key is not known")]
    UnknownKey,
    /// It is for somebody else.
    #[error("the token is for another audience")]
    OtherAudience,
    /// It does not hold any more.
    #[error("the token has expired")]
    Expired,
    /// It does not hold yet.
    #[error("the token does not hold yet")]
    TooEarly,
    /// It does not say who it speaks of, or what of.
    #[error("the token lacks {0}")]
    Lacks(&'static str),
    /// The gateway's keys failed.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
}

/// An issuer whose tokens are taken beside the gateway's own.
#[derive(Debug, Clone)]
pub struct ExternalIssuer {
    /// The issuer's name, as `iss` says it.
    pub iss: String,
    /// The audience that its tokens must be for.
    pub audience: String,
    /// Whose limits apply.
    pub consumer: String,
    /// The site of those whom it speaks of.
    pub site: String,
    /// Their roles.
    pub roles: Vec<Role>,
    /// Its keys.
    pub keys: KeySet,
}

/// Makes and checks tokens.
#[derive(Debug)]
pub struct Tokens {
    keyring: Arc<Keyring>,
    issuer: String,
    external: Vec<ExternalIssuer>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

/// What is read before anything is proven: whose keys to ask for.
#[derive(Deserialize)]
struct WhoSigned {
    iss: String,
}

impl Tokens {
    /// Tokens that the gateway signs as `issuer`, for itself, and those of others.
    pub fn new(
        keyring: Arc<Keyring>,
        issuer: &str,
        external: Vec<ExternalIssuer>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
    ) -> Self {
        Self {
            keyring,
            issuer: issuer.to_owned(),
            external,
            clock,
            ids,
        }
    }

    /// Issuers beside the gateway.
    pub fn external(&self) -> &[ExternalIssuer] {
        &self.external
    }

    /// The keys under it.
    pub fn keyring(&self) -> &Arc<Keyring> {
        &self.keyring
    }

    /// A token that says who `principal` is, for `lifetime`; `session` is what it ends with,
    /// `certificate_sha256` the certificate that alone may bring it.
    pub fn issue(
        &self,
        principal: &Principal,
        lifetime: Duration,
        session: Option<Uuid>,
        certificate_sha256: Option<String>,
    ) -> Result<String, TokenError> {
        let now = self.clock.now();
        let now_s = now.0.div_euclid(1_000_000_000);
        let lifetime_s = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
        let claims = Claims {
            iss: self.issuer.clone(),
            sub: principal.subject.clone(),
            aud: Audience::One(self.issuer.clone()),
            exp: now_s.saturating_add(lifetime_s),
            nbf: Some(now_s),
            iat: Some(now_s),
            jti: Some(self.ids.next(now).to_string()),
            sid: session,
            site: Some(principal.site.clone()),
            roles: principal.roles.clone(),
            cnf: certificate_sha256.map(|certificate_sha256| Confirmation { certificate_sha256 }),
        };
        Ok(self.keyring.sign(&claims)?)
    }

    /// Whom a token speaks of, if it holds. The caller still sees whether its session is on and its
    /// certificate the peer's.
    pub fn check(&self, token: &str) -> Result<(Principal, Claims), TokenError> {
        let unproven = Unproven::parse(token)?;
        let WhoSigned { iss } = unproven.unproven_claims()?;
        let kid = unproven.header.kid.as_deref();
        if iss == self.issuer {
            let key = self
                .keyring
                .find(kid.ok_or(TokenError::UnknownKey)?)?
                .ok_or(TokenError::UnknownKey)?;
            let claims: Claims = unproven.prove(&key)?;
            self.holds(&claims, &self.issuer)?;
            let principal = Principal {
                subject: claims.sub.clone(),
                site: claims.site.clone().ok_or(TokenError::Lacks("its site"))?,
                roles: claims.roles.clone(),
                consumer: format!("own:{}", claims.sub),
            };
            return Ok((principal, claims));
        }
        let external = self
            .external
            .iter()
            .find(|external| external.iss == iss)
            .ok_or(TokenError::UnknownIssuer)?;
        let key = external.keys.find(kid).ok_or(TokenError::UnknownKey)?;
        // An issuer says who somebody is; what they may be here is configured, not claimed.
        let claims: ForeignClaims = unproven.prove(&key)?;
        let claims = claims.known();
        self.holds(&claims, &external.audience)?;
        let principal = Principal {
            // Two issuers may know two people under one name.
            subject: format!("{}|{}", external.consumer, claims.sub),
            site: external.site.clone(),
            roles: external.roles.clone(),
            consumer: external.consumer.clone(),
        };
        Ok((principal, claims))
    }

    fn holds(&self, claims: &Claims, audience: &str) -> Result<(), TokenError> {
        let now_s = self.clock.now().0.div_euclid(1_000_000_000);
        let leeway_s = i64::try_from(limits::TOKEN_LEEWAY.as_secs()).unwrap_or(0);
        if !claims.aud.holds(audience) {
            return Err(TokenError::OtherAudience);
        }
        if claims.exp.saturating_add(leeway_s) <= now_s {
            return Err(TokenError::Expired);
        }
        if claims
            .nbf
            .is_some_and(|nbf| nbf > now_s.saturating_add(leeway_s))
        {
            return Err(TokenError::TooEarly);
        }
        if claims.sub.is_empty() {
            return Err(TokenError::Lacks("whom it speaks of"));
        }
        Ok(())
    }
}

/// What is read of another issuer's token; whatever else it says is its own affair.
#[derive(Deserialize)]
struct ForeignClaims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: i64,
    #[serde(default)]
    nbf: Option<i64>,
}

impl ForeignClaims {
    fn known(self) -> Claims {
        Claims {
            iss: self.iss,
            sub: self.sub,
            aud: self.aud,
            exp: self.exp,
            nbf: self.nbf,
            iat: None,
            jti: None,
            sid: None,
            site: None,
            roles: Vec::new(),
            cnf: None,
        }
    }
}
