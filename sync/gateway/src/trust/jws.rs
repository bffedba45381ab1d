//! Signed tokens: JSON Web Signatures in compact form (RFC 7515) under EdDSA, ES256 and RS256, on `ring`.
//!
//! Not a library's: the one in common use brings a second set of cryptography or one of its own for the whole
//! process, and reads the system's clock; here time is passed in. A key has one algorithm. What the token's
//! header says is compared with it and decides nothing, so that no key can be used in another's way.

use std::fmt;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, Ed25519KeyPair, RSA_PKCS1_2048_8192_SHA256,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::limits::trust as limits;

/// Signature algorithms that are taken (RFC 7518, section 3.1; RFC 8037).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// RSA, PKCS#1 v1.5, with SHA-256; 2048 bits and more.
    #[serde(rename = "RS256")]
    Rs256,
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        })
    }
}

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwsError {
    /// Larger than any token that is looked at.
    #[error("the token is too large")]
    TooLarge,
    /// Not three parts of base64, or not JSON in them.
    #[error("the token is malformed")]
    Malformed,
    /// The header asks for something that is not understood (`crit`, RFC 7515 section 4.1.11), or is of
    /// another kind of token.
    #[error("the token asks for what is not understood")]
    NotUnderstood,
    /// The header names another algorithm than the key has.
    #[error("the token's algorithm is not that of its key")]
    OtherAlgorithm,
    /// The signature is not the key's.
    #[error("the token's signature does not hold")]
    Signature,
}

/// A key that signatures are checked with.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    algorithm: Algorithm,
    key: Key,
}

#[derive(Clone, PartialEq, Eq)]
enum Key {
    /// The point, as the algorithm writes it.
    Point(Vec<u8>),
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.algorithm)
    }
}

/// A key of a key set (RFC 7517): what is read of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Jwk {
    pub(crate) kty: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) alg: Option<String>,
    #[serde(rename = "use", default, skip_serializing_if = "Option::is_none")]
    pub(crate) use_: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) crv: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) x: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) y: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) n: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) e: Option<String>,
}

impl PublicKey {
    /// An Ed25519 key of 32 bytes.
    pub fn ed25519(point: &[u8]) -> Option<Self> {
        (point.len() == 32).then(|| Self {
            algorithm: Algorithm::EdDsa,
            key: Key::Point(point.to_vec()),
        })
    }

    /// The key of a key set's member; none where it is of a kind, use or size that is not taken.
    pub(crate) fn from_jwk(jwk: &Jwk) -> Option<Self> {
        if jwk.use_.as_deref().is_some_and(|use_| use_ != "sig") {
            return None;
        }
        let bytes = |text: &Option<String>| BASE64_URL_SAFE_NO_PAD.decode(text.as_deref()?).ok();
        let key = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("OKP", Some("Ed25519")) => Self::ed25519(&bytes(&jwk.x)?)?,
            ("EC", Some("P-256")) => {
                let (x, y) = (bytes(&jwk.x)?, bytes(&jwk.y)?);
                if x.len() != 32 || y.len() != 32 {
                    return None;
                }
                // Uncompressed (SEC 1, section 2.3.3).
                let point = [&[4][..], &x, &y].concat();
                Self {
                    algorithm: Algorithm::Es256,
                    key: Key::Point(point),
                }
            }
            ("RSA", _) => Self {
                algorithm: Algorithm::Rs256,
                key: Key::Rsa {
                    n: bytes(&jwk.n)?,
                    e: bytes(&jwk.e)?,
                },
            },
            _ => return None,
        };
        let named = jwk.alg.as_deref();
        named
            .is_none_or(|named| named == key.algorithm.to_string())
            .then_some(key)
    }

    /// Its one algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match (&self.key, self.algorithm) {
            (Key::Point(point), Algorithm::EdDsa) => {
                UnparsedPublicKey::new(&ED25519, point).verify(message, signature)
            }
            (Key::Point(point), Algorithm::Es256) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
            (Key::Rsa { n, e }, Algorithm::Rs256) => RsaPublicKeyComponents { n, e }.verify(
                &RSA_PKCS1_2048_8192_SHA256,
                message,
                signature,
            ),
            (Key::Point(_), Algorithm::Rs256) | (Key::Rsa { .. }, _) => return false,
        }
        .is_ok()
    }
}

/// What a token's header says.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Header {
    alg: String,
    #[serde(default)]
    pub(crate) kid: Option<String>,
    #[serde(default)]
    typ: Option<String>,
    #[serde(default)]
    crit: Option<serde_json::Value>,
}

/// A token taken apart; nothing of it is proven yet.
#[derive(Debug)]
pub(crate) struct Unproven<'a> {
    pub(crate) header: Header,
    claims: Vec<u8>,
    message: &'a [u8],
    signature: Vec<u8>,
}

impl<'a> Unproven<'a> {
    pub(crate) fn parse(token: &'a str) -> Result<Self, JwsError> {
        if token.len() > limits::MAX_TOKEN_BYTES {
            return Err(JwsError::TooLarge);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(JwsError::Malformed)?;
        let (header, claims) = message.split_once('.').ok_or(JwsError::Malformed)?;
        let decode = |text| {
            BASE64_URL_SAFE_NO_PAD
                .decode(text)
                .map_err(|_| JwsError::Malformed)
        };
        let header: Header =
            serde_json::from_slice(&decode(header)?).map_err(|_| JwsError::Malformed)?;
        let kind = header.typ.as_deref().unwrap_or("JWT");
        let known = kind.eq_ignore_ascii_case("JWT") || kind.eq_ignore_ascii_case("at+jwt");
        if header.crit.is_some() || !known {
            return Err(JwsError::NotUnderstood);
        }
        Ok(Self {
            header,
            claims: decode(claims)?,
            message: message.as_bytes(),
            signature: decode(signature)?,
        })
    }

    /// The claims before anything is proven: to find whose key is to be asked for, and for nothing else.
    pub(crate) fn unproven_claims<T: DeserializeOwned>(&self) -> Result<T, JwsError> {
        serde_json::from_slice(&self.claims).map_err(|_| JwsError::Malformed)
    }

    /// The claims, if the signature is the key's.
    pub(crate) fn prove<T: DeserializeOwned>(&self, key: &PublicKey) -> Result<T, JwsError> {
        if self.header.alg != key.algorithm.to_string() {
            return Err(JwsError::OtherAlgorithm);
        }
        if !key.verifies(self.message, &self.signature) {
            return Err(JwsError::Signature);
        }
        self.unproven_claims()
    }
}

/// Signs claims with an Ed25519 key of this id.
pub(crate) fn sign(key: &Ed25519KeyPair, kid: &str, claims: &impl Serialize) -> Option<String> {
    let header = serde_json::json!({ "alg": "EdDSA", "kid": kid, "typ": "at+jwt" });
    let header = BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(&header).ok()?);
    let claims = BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(claims).ok()?);
    let message = format!("{header}.{claims}");
    let signature = BASE64_URL_SAFE_NO_PAD.encode(key.sign(message.as_bytes()));
    Some(format!("{message}.{signature}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ring::signature::KeyPair as _;
    use serde_json::{Value, json};

    use super::*;

    fn pair() -> (Ed25519KeyPair, PublicKey) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[9; 32]).unwrap();
        let public = PublicKey::ed25519(pair.public_key().as_ref()).unwrap();
        (pair, public)
    }

    fn parts(header: &Value, claims: &Value, signature: &[u8]) -> String {
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signature = BASE64_URL_SAFE_NO_PAD.encode(signature);
        format!("{}.{}.{signature}", part(header), part(claims))
    }

    fn prove(token: &str, key: &PublicKey) -> Result<Value, JwsError> {
        Unproven::parse(token)?.prove(key)
    }

    /// RFC 8037, appendix A.4: a signature that others made.
    #[test]
    fn the_standards_example_holds() {
        let jwk: Jwk = serde_json::from_value(json!({
            "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        }))
        .unwrap();
        let key = PublicKey::from_jwk(&jwk).unwrap();
        let message = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let signature = BASE64_URL_SAFE_NO_PAD
            .decode("hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg")
            .unwrap();
        assert!(key.verifies(message, &signature));
    }

    /// RFC 7515, appendices A.2 (RS256) and A.3 (ES256).
    #[test]
    fn the_standards_examples_of_other_algorithms_hold() {
        let claims = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let ec: Jwk = serde_json::from_value(json!({
            "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        }))
        .unwrap();
        let token = format!(
            "eyJhbGciOiJFUzI1NiJ9.{claims}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
        );
        let proven = prove(&token, &PublicKey::from_jwk(&ec).unwrap()).unwrap();
        assert_eq!(proven["iss"], "joe");
        let rsa: Jwk = serde_json::from_value(json!({ "kty": "RSA", "e": "AQAB", "n": concat!(
            "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yR",
            "T-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXB",
            "dQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9ia",
            "GNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"
        )}))
        .unwrap();
        let token = format!(
            "eyJhbGciOiJSUzI1NiJ9.{claims}.{}",
            concat!(
                "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9",
                "uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB",
                "_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rq",
                "Vt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
            )
        );
        let proven = prove(&token, &PublicKey::from_jwk(&rsa).unwrap()).unwrap();
        assert_eq!(proven["iss"], "joe");
        assert_eq!(
            prove(&token, &PublicKey::from_jwk(&ec).unwrap()),
            Err(JwsError::OtherAlgorithm)
        );
    }

    #[test]
    fn what_is_signed_is_proven_by_its_key_alone() {
        let (pair, key) = pair();
        let token = sign(&pair, "k1", &json!({"sub": "x"})).unwrap();
        assert_eq!(prove(&token, &key).unwrap()["sub"], "x");
        let other = Ed25519KeyPair::from_seed_unchecked(&[8; 32]).unwrap();
        let other = PublicKey::ed25519(other.public_key().as_ref()).unwrap();
        assert_eq!(prove(&token, &other), Err(JwsError::Signature));
    }

    #[test]
    fn no_header_talks_a_key_into_another_algorithm() {
        let (_, key) = pair();
        let claims = json!({"sub": "x"});
        for alg in [
            "none", "None", "NONE", "", "HS256", "HS512", "RS256", "ES256", "eddsa",
        ] {
            for signature in [&b""[..], &[0; 64]] {
                let token = parts(&json!({"alg": alg}), &claims, signature);
                assert_eq!(prove(&token, &key), Err(JwsError::OtherAlgorithm), "{alg}");
            }
        }
        // The public key as the secret of a MAC: the confusion that old libraries fell for.
        let Key::Point(point) = &key.key else {
            panic!("a point")
        };
        let header = json!({"alg": "HS256", "typ": "JWT"});
        let unsigned = parts(&header, &claims, b"");
        let message = unsigned.trim_end_matches('.');
        let mac = ring::hmac::sign(
            &ring::hmac::Key::new(ring::hmac::HMAC_SHA256, point),
            message.as_bytes(),
        );
        let token = parts(&header, &claims, mac.as_ref());
        assert_eq!(prove(&token, &key), Err(JwsError::OtherAlgorithm));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let (_, key) = pair();
        let claims = json!({});
        for header in [
            json!({"alg": "EdDSA", "crit": ["exp"]}),
            json!({"alg": "EdDSA", "crit": []}),
            json!({"alg": "EdDSA", "typ": "dpop+jwt"}),
        ] {
            let token = parts(&header, &claims, &[0; 64]);
            assert_eq!(
                prove(&token, &key),
                Err(JwsError::NotUnderstood),
                "{header}"
            );
        }
        let twice = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none","alg":"EdDSA"}"#);
        assert_eq!(
            prove(&format!("{twice}.e30.AA"), &key),
            Err(JwsError::Malformed)
        );
        let long = "x".repeat(limits::MAX_TOKEN_BYTES + 1);
        assert_eq!(prove(&long, &key), Err(JwsError::TooLarge));
        for text in ["", ".", "..", "a.b", "a.b.c.d", "e30.e30.AA"] {
            assert_eq!(prove(text, &key), Err(JwsError::Malformed), "{text}");
        }
    }

    #[test]
    fn keys_for_other_uses_are_not_taken() {
        let jwk = |value: Value| serde_json::from_value::<Jwk>(value).unwrap();
        let x = BASE64_URL_SAFE_NO_PAD.encode([1; 32]);
        for value in [
            json!({"kty": "OKP", "crv": "Ed25519", "x": x, "use": "enc"}),
            json!({"kty": "OKP", "crv": "Ed25519", "x": x, "alg": "RS256"}),
            json!({"kty": "OKP", "crv": "X25519", "x": x}),
            json!({"kty": "oct", "k": x}),
            json!({"kty": "EC", "crv": "P-256", "x": x}),
        ] {
            assert_eq!(PublicKey::from_jwk(&jwk(value.clone())), None, "{value}");
        }
    }

    proptest! {
        #[test]
        fn one_changed_letter_proves_nothing(at in 0_usize..200, letter in "[A-Za-z0-9_.-]") {
            let (pair, key) = pair();
            let token = sign(&pair, "k1", &json!({"sub": "x", "exp": 5})).unwrap();
            let at = at % token.len();
            let mut changed = token.clone();
            changed.replace_range(at..=at, &letter);
            prop_assume!(changed != token);
            prop_assert!(prove(&changed, &key).is_err());
        }

        #[test]
        fn any_text_is_refused_quietly(text in ".{0,200}") {
            let (_, key) = pair();
            prop_assert!(prove(&text, &key).is_err());
        }
    }
}
