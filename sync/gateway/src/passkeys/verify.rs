//! What an authenticator says and whether it holds: Web Authentication Level 3, sections 7.1 and 7.2, for
//! attestation `none` and the algorithms ES256 and EdDSA.
//!
//! On `ring`, since the libraries that do the whole of it bring OpenSSL. Pure: neither clock nor state.

use std::fmt;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ciborium::Value as Cbor;
use ring::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::limits::passkeys as limits;

/// Flags of authenticator data (section 6.1).
const USER_PRESENT: u8 = 1;
const USER_VERIFIED: u8 = 1 << 2;
const BACKUP_ELIGIBLE: u8 = 1 << 3;
const BACKED_UP: u8 = 1 << 4;
const HAS_CREDENTIAL: u8 = 1 << 6;
const HAS_EXTENSIONS: u8 = 1 << 7;

/// Why an authenticator's answer is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PasskeyRefusal {
    /// Not what the standard says it is.
    #[error("the answer is malformed")]
    Malformed,
    /// A registration where a sign-in is due, or the other way round.
    #[error("the answer is of another ceremony")]
    OtherCeremony,
    /// The page is none of those that are configured.
    #[error("the answer is another origin's")]
    OtherOrigin,
    /// The page was within another's.
    #[error("the answer comes from within another page")]
    CrossOrigin,
    /// For another relying party.
    #[error("the answer is for another relying party")]
    OtherParty,
    /// Nobody touched it.
    #[error("nobody was present")]
    NotPresent,
    /// Nobody proved to it who they are.
    #[error("the user was not verified")]
    NotVerified,
    /// An attestation that was not asked for.
    #[error("the attestation is not `none`")]
    Attestation,
    /// A key that is not taken.
    #[error("the key is of a kind that is not taken")]
    Key,
    /// The signature is not the key's.
    #[error("the signature does not hold")]
    Signature,
    /// The counter did not grow: there are two of this authenticator.
    #[error("the signature counter went back: the passkey was copied")]
    Counter,
}

type Result<T> = std::result::Result<T, PasskeyRefusal>;

/// A passkey's public key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "alg", content = "point")]
pub(super) enum Key {
    /// ECDSA on P-256 with SHA-256: the uncompressed point, base64.
    #[serde(rename = "ES256")]
    Es256(String),
    /// Ed25519: the point, base64.
    #[serde(rename = "EdDSA")]
    EdDsa(String),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Es256(_) => "Key(ES256)",
            Self::EdDsa(_) => "Key(EdDSA)",
        })
    }
}

impl Key {
    /// Of a COSE key (RFC 9053, sections 7.1.1 and 7.2).
    fn of_cose(cose: &Cbor) -> Result<Self> {
        let members = cose.as_map().ok_or(PasskeyRefusal::Malformed)?;
        let member = |label: i64| {
            let mut found = members.iter().filter(|(key, _)| *key == Cbor::from(label));
            let first = found.next().map(|(_, value)| value);
            // A label that stands there twice can be read in two ways.
            if found.next().is_some() { None } else { first }
        };
        let number =
            |label| member(label).and_then(|value| i64::try_from(value.as_integer()?).ok());
        let point = |label| {
            member(label)
                .and_then(Cbor::as_bytes)
                .filter(|bytes| bytes.len() == 32)
                .ok_or(PasskeyRefusal::Key)
        };
        match (number(1), number(3), number(-1)) {
            (Some(2), Some(-7), Some(1)) => {
                let point = [&[4][..], point(-2)?, point(-3)?].concat();
                Ok(Self::Es256(BASE64_URL_SAFE_NO_PAD.encode(point)))
            }
            (Some(1), Some(-8), Some(6)) => {
                Ok(Self::EdDsa(BASE64_URL_SAFE_NO_PAD.encode(point(-2)?)))
            }
            _ => Err(PasskeyRefusal::Key),
        }
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let (Self::Es256(point) | Self::EdDsa(point)) = self;
        let Ok(point) = BASE64_URL_SAFE_NO_PAD.decode(point) else {
            return false;
        };
        match self {
            Self::Es256(_) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(message, signature)
            }
            Self::EdDsa(_) => UnparsedPublicKey::new(&ED25519, point).verify(message, signature),
        }
        .is_ok()
    }
}

/// What is to be, whichever ceremony it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Party<'a> {
    pub(super) id: &'a str,
    pub(super) origins: &'a [String],
}

/// What the browser says it asked the authenticator for (section 5.8.1).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClientData {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
    #[serde(default)]
    cross_origin: bool,
    #[serde(default)]
    top_origin: Option<String>,
}

/// The ceremonies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ceremony {
    Create,
    Get,
}

impl ClientData {
    pub(super) fn parse(json: &[u8]) -> Result<Self> {
        if json.len() > limits::MAX_PART_BYTES {
            return Err(PasskeyRefusal::Malformed);
        }
        serde_json::from_slice(json).map_err(|_| PasskeyRefusal::Malformed)
    }

    /// The challenge: whether it was given out is for the caller to see.
    pub(super) fn challenge(&self) -> Result<Vec<u8>> {
        BASE64_URL_SAFE_NO_PAD
            .decode(&self.challenge)
            .map_err(|_| PasskeyRefusal::Malformed)
    }

    fn holds(&self, ceremony: Ceremony, party: &Party<'_>) -> Result<()> {
        let due = match ceremony {
            Ceremony::Create => "webauthn.create",
            Ceremony::Get => "webauthn.get",
        };
        if self.kind != due {
            return Err(PasskeyRefusal::OtherCeremony);
        }
        if !party.origins.contains(&self.origin) {
            return Err(PasskeyRefusal::OtherOrigin);
        }
        if self.cross_origin || self.top_origin.is_some() {
            return Err(PasskeyRefusal::CrossOrigin);
        }
        Ok(())
    }
}

/// Authenticator data taken apart (section 6.1).
struct Data<'a> {
    party: &'a [u8],
    flags: u8,
    counter: u32,
    credential: Option<(&'a [u8], Key)>,
}

fn split(bytes: &[u8], at: usize) -> Result<(&[u8], &[u8])> {
    bytes.split_at_checked(at).ok_or(PasskeyRefusal::Malformed)
}

/// The next value, which the bytes then begin after.
fn cbor(bytes: &mut &[u8]) -> Result<Cbor> {
    ciborium::from_reader(bytes).map_err(|_| PasskeyRefusal::Malformed)
}

impl<'a> Data<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self> {
        if bytes.len() > limits::MAX_PART_BYTES {
            return Err(PasskeyRefusal::Malformed);
        }
        let (party, rest) = split(bytes, 32)?;
        let (flags, rest) = rest.split_first().ok_or(PasskeyRefusal::Malformed)?;
        let (counter, mut rest) = rest
            .split_first_chunk::<4>()
            .ok_or(PasskeyRefusal::Malformed)?;
        let mut credential = None;
        if flags & HAS_CREDENTIAL != 0 {
            // The model's id is of interest with attestations only.
            let (_, after) = split(rest, 16)?;
            let (length, after) = after
                .split_first_chunk::<2>()
                .ok_or(PasskeyRefusal::Malformed)?;
            let length = usize::from(u16::from_be_bytes(*length));
            if !(1..=limits::MAX_ID_BYTES).contains(&length) {
                return Err(PasskeyRefusal::Malformed);
            }
            let (id, after) = split(after, length)?;
            rest = after;
            credential = Some((id, Key::of_cose(&cbor(&mut rest)?)?));
        }
        if flags & HAS_EXTENSIONS != 0 && !cbor(&mut rest)?.is_map() {
            return Err(PasskeyRefusal::Malformed);
        }
        let impossible = flags & BACKED_UP != 0 && flags & BACKUP_ELIGIBLE == 0;
        if !rest.is_empty() || impossible {
            return Err(PasskeyRefusal::Malformed);
        }
        Ok(Self {
            party,
            flags: *flags,
            counter: u32::from_be_bytes(*counter),
            credential,
        })
    }

    fn holds(&self, party: &Party<'_>) -> Result<()> {
        if self.party != Sha256::digest(party.id.as_bytes()).as_slice() {
            return Err(PasskeyRefusal::OtherParty);
        }
        if self.flags & USER_PRESENT == 0 {
            return Err(PasskeyRefusal::NotPresent);
        }
        if self.flags & USER_VERIFIED == 0 {
            return Err(PasskeyRefusal::NotVerified);
        }
        Ok(())
    }
}

/// A credential that a registration has made.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Made {
    pub(super) id: Vec<u8>,
    pub(super) key: Key,
    pub(super) counter: u32,
}

/// The credential of a registration, if all holds (section 7.1).
pub(super) fn registration(
    client: &ClientData,
    attestation: &[u8],
    party: &Party<'_>,
) -> Result<Made> {
    client.holds(Ceremony::Create, party)?;
    if attestation.len() > limits::MAX_PART_BYTES {
        return Err(PasskeyRefusal::Malformed);
    }
    let mut rest = attestation;
    let object = cbor(&mut rest)?;
    let members = object.as_map().ok_or(PasskeyRefusal::Malformed)?;
    if !rest.is_empty() || members.len() != 3 {
        return Err(PasskeyRefusal::Malformed);
    }
    let member = |name: &str| {
        let found = members.iter().find(|(key, _)| key.as_text() == Some(name));
        found
            .map(|(_, value)| value)
            .ok_or(PasskeyRefusal::Malformed)
    };
    let statement = member("attStmt")?.as_map();
    if member("fmt")?.as_text() != Some("none") || statement.is_none_or(|map| !map.is_empty()) {
        return Err(PasskeyRefusal::Attestation);
    }
    let data = member("authData")?
        .as_bytes()
        .ok_or(PasskeyRefusal::Malformed)?;
    let data = Data::parse(data)?;
    data.holds(party)?;
    let (id, key) = data.credential.ok_or(PasskeyRefusal::Malformed)?;
    Ok(Made {
        id: id.to_vec(),
        key,
        counter: data.counter,
    })
}

/// The new counter of a sign-in, if all holds (section 7.2).
pub(super) fn assertion(
    (client, client_json): (&ClientData, &[u8]),
    data: &[u8],
    signature: &[u8],
    (key, counter): (&Key, u32),
    party: &Party<'_>,
) -> Result<u32> {
    client.holds(Ceremony::Get, party)?;
    let parsed = Data::parse(data)?;
    parsed.holds(party)?;
    let message = [data, &Sha256::digest(client_json)].concat();
    if !key.verifies(&message, signature) {
        return Err(PasskeyRefusal::Signature);
    }
    // Many have none; they always say 0.
    if (parsed.counter != 0 || counter != 0) && parsed.counter <= counter {
        return Err(PasskeyRefusal::Counter);
    }
    Ok(parsed.counter)
}

#[cfg(test)]
mod tests {
    use super::{PasskeyRefusal as P, *};

    /// Web Authentication Level 3, section 16.2 (ES256, attestation `none`).
    const ATTESTATION: &str = "a363666d74646e6f6e656761747453746d74a068617574684461746158a4bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b559000000008446ccb9ab1db374750b2367ff6f3a1f0020f91f391db4c9b2fde0ea70189cba3fb63f579ba6122b33ad94ff3ec330084be4a5010203262001215820afefa16f97ca9b2d23eb86ccb64098d20db90856062eb249c33a9b672f26df61225820930a56b87a2fca66334b03458abf879717c12cc68ed73290af2e2664796b9220";
    const CREATE: &str = "7b2274797065223a22776562617574686e2e637265617465222c226368616c6c656e6765223a22414d4d507434557878475453746e63647134313759447742466938767049612d7077386f4f755657345441222c226f726967696e223a2268747470733a2f2f6578616d706c652e6f7267222c2263726f73734f726967696e223a66616c73652c22657874726144617461223a22636c69656e74446174614a534f4e206d617920626520657874656e6465642077697468206164646974696f6e616c206669656c647320696e20746865206675747572652c207375636820617320746869733a20426b5165446a646354427258426941774a544c453551227d";
    const GET: &str = "7b2274797065223a22776562617574686e2e676574222c226368616c6c656e6765223a224f63446e55685158756c5455506f334a5558543049393770767a7a59425039745a63685879617630314167222c226f726967696e223a2268747470733a2f2f6578616d706c652e6f7267222c2263726f73734f726967696e223a66616c73657d";
    const DATA: &str = "bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b51900000000";
    const SIGNATURE: &str = "3046022100f50a4e2e4409249c4a853ba361282f09841df4dd4547a13a87780218deffcd380221008480ac0f0b93538174f575bf11a1dd5d78c6e486013f937295ea13653e331e87";

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect()
    }

    /// Where the flags stand in the attestation object: the data of 164 bytes ends it.
    fn flags_at(attestation: &[u8]) -> usize {
        attestation.len() - 164 + 32
    }

    fn party(origins: &[String]) -> Party<'_> {
        Party {
            id: "example.org",
            origins,
        }
    }

    fn origins() -> Vec<String> {
        vec!["https://example.org".to_owned()]
    }

    #[test]
    fn the_standards_registration_holds_once_its_user_is_verified() {
        let origins = origins();
        let client = ClientData::parse(&bytes(CREATE)).unwrap();
        let due = bytes("00c30fb78531c464d2b6771dab8d7b603c01162f2fa486bea70f283ae556e130");
        assert_eq!(client.challenge().unwrap(), due);
        let mut attestation = bytes(ATTESTATION);
        // The example's user was present and not verified.
        assert_eq!(
            registration(&client, &attestation, &party(&origins)),
            Err(PasskeyRefusal::NotVerified)
        );
        let at = flags_at(&attestation);
        attestation[at] |= USER_VERIFIED;
        let made = registration(&client, &attestation, &party(&origins)).unwrap();
        let id = bytes("f91f391db4c9b2fde0ea70189cba3fb63f579ba6122b33ad94ff3ec330084be4");
        assert_eq!((made.id, made.counter), (id, 0));
        let mut absent = attestation.clone();
        absent[at] &= !USER_PRESENT;
        let mut odd = attestation.clone();
        odd[at] &= !BACKUP_ELIGIBLE;
        let mut packed = attestation.clone();
        packed[6..10].copy_from_slice(b"nono");
        let mut longer = attestation.clone();
        longer.push(0);
        for (changed, due) in [
            (absent, P::NotPresent),
            (odd, P::Malformed),
            (packed, P::Attestation),
            (longer, P::Malformed),
        ] {
            let refused = registration(&client, &changed, &party(&origins));
            assert_eq!(refused, Err(due));
        }
        for length in 0..attestation.len() {
            let cut = registration(&client, &attestation[..length], &party(&origins));
            assert!(cut.is_err(), "{length}");
        }
        let elsewhere = Party {
            id: "example.com",
            origins: &origins,
        };
        assert_eq!(
            registration(&client, &attestation, &elsewhere),
            Err(P::OtherParty)
        );
        let other = ["https://example.org:8443".to_owned()];
        assert_eq!(
            registration(&client, &attestation, &party(&other)),
            Err(P::OtherOrigin)
        );
        let get = ClientData::parse(&bytes(GET)).unwrap();
        assert_eq!(
            registration(&get, &attestation, &party(&origins)),
            Err(P::OtherCeremony)
        );
    }

    #[test]
    fn the_standards_signature_is_its_keys() {
        let attestation = bytes(ATTESTATION);
        let data = Data::parse(&attestation[attestation.len() - 164..]).unwrap();
        let (_, key) = data.credential.unwrap();
        let (client, data) = (bytes(GET), bytes(DATA));
        let message = [&data[..], &Sha256::digest(&client)].concat();
        assert!(key.verifies(&message, &bytes(SIGNATURE)));
        for at in 0..message.len() {
            let mut changed = message.clone();
            changed[at] ^= 1;
            assert!(!key.verifies(&changed, &bytes(SIGNATURE)), "{at}");
        }
        // As it stands, nobody proved to be its owner.
        let parsed = ClientData::parse(&client).unwrap();
        let origins = origins();
        let outcome = assertion(
            (&parsed, &client),
            &data,
            &bytes(SIGNATURE),
            (&key, 0),
            &party(&origins),
        );
        assert_eq!(outcome, Err(PasskeyRefusal::NotVerified));
    }

    #[test]
    fn pages_within_others_are_refused() {
        let origins = origins();
        let client = |more: &str| {
            let json = format!(
                r#"{{"type":"webauthn.create","challenge":"AA","origin":"https://example.org"{more}}}"#
            );
            ClientData::parse(json.as_bytes()).unwrap()
        };
        let holds = |more| client(more).holds(Ceremony::Create, &party(&origins));
        assert_eq!(holds(""), Ok(()));
        assert_eq!(
            holds(r#","crossOrigin":true"#),
            Err(PasskeyRefusal::CrossOrigin)
        );
        assert_eq!(
            holds(r#","topOrigin":"https://x""#),
            Err(PasskeyRefusal::CrossOrigin)
        );
    }
}
