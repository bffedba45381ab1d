//! A provider's word on who somebody is (OpenID Connect Core 1.0, sections 2 and 3.1.3.7).

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    KeySet,
    jws::{JwsError, Unproven},
    tokens::Audience,
};
use crate::limits::{oidc as limits, trust};

/// What a proven ID token says of somebody.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Identity {
    /// The provider's own id of them, which it gives to nobody else.
    pub(crate) sub: String,
    /// Whatever else it says.
    pub(crate) claims: Map<String, Value>,
}

/// Why an ID token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IdTokenError {
    #[error(transparent)]
    Jws(#[from] JwsError),
    #[error("the ID token's key is not known")]
    UnknownKey,
    #[error("the ID token is another issuer's")]
    OtherIssuer,
    #[error("the ID token is for another client")]
    OtherAudience,
    #[error("the ID token has expired, or is too old")]
    Expired,
    #[error("the ID token does not hold yet")]
    TooEarly,
    #[error("the ID token belongs to another sign-in")]
    OtherNonce,
    #[error("the ID token does not say whom it speaks of")]
    NoSubject,
}

/// What an ID token must say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Due<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) client_id: &'a str,
    pub(crate) nonce: &'a str,
    /// Seconds after 1970.
    pub(crate) now_s: i64,
}

#[derive(Deserialize)]
struct IdClaims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: i64,
    iat: i64,
    #[serde(default)]
    nbf: Option<i64>,
    #[serde(default)]
    nonce: Option<String>,
    #[serde(default)]
    azp: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// Whether the key that an ID token names is among these.
pub(crate) fn has_key(token: &str, keys: &KeySet) -> bool {
    Unproven::parse(token).is_ok_and(|token| keys.find(token.header.kid.as_deref()).is_some())
}

/// Whom an ID token speaks of, if it is what is due.
pub(crate) fn verify(token: &str, keys: &KeySet, due: &Due<'_>) -> Result<Identity, IdTokenError> {
    let unproven = Unproven::parse(token)?;
    let key = keys
        .find(unproven.header.kid.as_deref())
        .ok_or(IdTokenError::UnknownKey)?;
    let claims: IdClaims = unproven.prove(&key)?;
    let leeway_s = i64::try_from(trust::TOKEN_LEEWAY.as_secs()).unwrap_or(0);
    let age_s = i64::try_from(limits::ID_TOKEN_AGE.as_secs()).unwrap_or(0);
    if claims.iss != due.issuer {
        return Err(IdTokenError::OtherIssuer);
    }
    // Where it is for several, `azp` says which of them asked; where it says so, it must be us.
    let several = matches!(&claims.aud, Audience::Several(all) if all.len() > 1);
    let asked_by_us = claims
        .azp
        .as_deref()
        .map_or(!several, |azp| azp == due.client_id);
    if !claims.aud.holds(due.client_id) || !asked_by_us {
        return Err(IdTokenError::OtherAudience);
    }
    let earliest = due.now_s.saturating_sub(leeway_s);
    let latest = due.now_s.saturating_add(leeway_s);
    if claims.exp <= earliest || claims.iat < earliest.saturating_sub(age_s) {
        return Err(IdTokenError::Expired);
    }
    if claims.iat > latest || claims.nbf.is_some_and(|nbf| nbf > latest) {
        return Err(IdTokenError::TooEarly);
    }
    if claims.nonce.as_deref() != Some(due.nonce) {
        return Err(IdTokenError::OtherNonce);
    }
    if claims.sub.is_empty() || claims.sub.chars().count() > limits::MAX_SUBJECT_CHARS {
        return Err(IdTokenError::NoSubject);
    }
    Ok(Identity {
        sub: claims.sub,
        claims: claims.rest,
    })
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    use ring::signature::{Ed25519KeyPair, KeyPair as _};
    use serde_json::json;

    use super::*;
    use crate::trust::{KeySource, jws::sign};

    const DUE: Due<'_> = Due {
        issuer: "https://login.test",
        client_id: "us",
        nonce: "n1",
        now_s: 1_000_000,
    };

    fn pair(seed: u8) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
    }

    fn keys() -> KeySet {
        let x = BASE64_URL_SAFE_NO_PAD.encode(pair(9).public_key().as_ref());
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "k1", "x": x });
        KeySet::new(KeySource::Given(json!({ "keys": [jwk] })))
    }

    /// Outcome of a sound token with these members changed; null takes one out.
    fn changed(changes: &Value) -> Result<Identity, IdTokenError> {
        let mut claims = json!({
            "iss": "https://login.test", "sub": "s1", "aud": "us", "nonce": "n1",
            "iat": 999_990, "exp": 1_000_300, "groups": ["eeg"],
        });
        for (name, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
                value => claims[name] = value.clone(),
            }
        }
        verify(&sign(&pair(9), "k1", &claims).unwrap(), &keys(), &DUE)
    }

    #[test]
    fn what_is_due_is_taken() {
        let identity = changed(&json!({})).unwrap();
        assert_eq!(identity.sub, "s1");
        assert_eq!(identity.claims["groups"], json!(["eeg"]));
        for sound in [
            json!({"aud": ["us"]}),
            json!({"azp": "us"}),
            json!({"aud": ["us", "others"], "azp": "us"}),
        ] {
            assert!(changed(&sound).is_ok(), "{sound}");
        }
    }

    #[test]
    fn what_is_not_due_is_refused() {
        use IdTokenError as E;
        for (changes, due) in [
            (json!({"iss": "https://login.test/"}), E::OtherIssuer),
            (json!({"iss": "https://evil.test"}), E::OtherIssuer),
            (json!({"aud": "others"}), E::OtherAudience),
            (json!({"aud": ["us", "others"]}), E::OtherAudience),
            (json!({"aud": "us", "azp": "others"}), E::OtherAudience),
            (json!({"nonce": "n2"}), E::OtherNonce),
            (json!({"nonce": null}), E::OtherNonce),
            (json!({"exp": 999_970}), E::Expired),
            (json!({"iat": 999_000}), E::Expired),
            (json!({"iat": 1_000_031}), E::TooEarly),
            (json!({"nbf": 1_000_031}), E::TooEarly),
            (json!({"sub": ""}), E::NoSubject),
            (json!({"sub": "x".repeat(256)}), E::NoSubject),
            (json!({"sub": null}), E::Jws(JwsError::Malformed)),
            (json!({"exp": null}), E::Jws(JwsError::Malformed)),
            (json!({"iat": null}), E::Jws(JwsError::Malformed)),
        ] {
            assert_eq!(changed(&changes), Err(due), "{changes}");
        }
    }

    #[test]
    fn another_key_proves_nothing() {
        let claims = json!({
            "iss": "https://login.test", "sub": "s1", "aud": "us", "nonce": "n1",
            "iat": 999_990, "exp": 1_000_300,
        });
        let forged = sign(&pair(8), "k1", &claims).unwrap();
        let forged = verify(&forged, &keys(), &DUE);
        assert_eq!(forged, Err(IdTokenError::Jws(JwsError::Signature)));
        let unknown = sign(&pair(9), "k2", &claims).unwrap();
        assert!(!has_key(&unknown, &keys()));
        let unknown = verify(&unknown, &keys(), &DUE);
        assert_eq!(unknown, Err(IdTokenError::UnknownKey));
    }
}
