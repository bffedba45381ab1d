//! Enrolment: a one-time code that a person reads out makes a device or service known, by its own key.
//!
//! The key is what is enrolled. Certificates for it are renewed for as long as it is, also after the last
//! one has expired: the request proves that the key is at hand.

use std::{sync::Arc, time::Duration};

use events::{Clock, Ids, Timestamp};
use ledger::{CanonicalJson, Draft};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{Authority, AuthorityError, Issued, Subject, SubjectKind, authority::hex};
use crate::{
    limits::trust as limits,
    random::Random,
    state::{Expect, Op, Space, State, StateError},
};

/// Codes that were given out, by their hash.
const CODES: Space = "enrolment_codes";
/// What is enrolled, by site, kind and id.
const ENROLLED: Space = "enrolled";

/// Crockford's base 32: no letter that is read for another.
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Why somebody was not enrolled or renewed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnrolmentError {
    /// The code is mistyped, was used, has expired, or never was.
    #[error("the code does not hold: mistyped, used already, or expired")]
    Code,
    /// The key is not enrolled.
    #[error("this key is not enrolled, or not any more")]
    Unknown,
    /// Something makes no sense.
    #[error("{0}")]
    Refused(String),
    /// The authority failed.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The state failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// What the state holds is no enrolment.
    #[error("the state holds what is no enrolment ({0})")]
    Damaged(String),
}

/// A code as a person types it, `XXXX-XXXX-XXXX-X`: the last letter finds a slip.
#[derive(Clone)]
pub struct EnrolmentCode(Zeroizing<String>);

impl std::fmt::Debug for EnrolmentCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EnrolmentCode")
    }
}

/// Check letter: sums of letters weighted by their odd place, modulo 32. Finds one wrong letter, since an odd
/// weight has an inverse, and two neighbours changed places unless they are sixteen apart.
fn check_letter(values: impl Iterator<Item = u8>) -> u8 {
    let sum = values
        .zip((1_u32..).step_by(2))
        .fold(0, |sum, (value, weight)| {
            (sum + u32::from(value) * weight) % 32
        });
    LETTERS[sum as usize]
}

fn value_of(letter: u8) -> Option<u8> {
    let letter = match letter.to_ascii_uppercase() {
        b'O' => b'0',
        b'I' | b'L' => b'1',
        letter => letter,
    };
    LETTERS
        .iter()
        .position(|&known| known == letter)
        .and_then(|at| u8::try_from(at).ok())
}

impl EnrolmentCode {
    pub(crate) fn new(random: &Random) -> Self {
        let bytes: [u8; limits::ENROLMENT_CODE_LETTERS] = random.bytes();
        let values = bytes.map(|byte| byte % 32);
        let mut letters: Vec<u8> = values
            .iter()
            .map(|&value| LETTERS[usize::from(value)])
            .collect();
        letters.push(check_letter(values.into_iter()));
        let text: Vec<_> = letters
            .chunks(4)
            .map(|four| String::from_utf8_lossy(four))
            .collect();
        Self(Zeroizing::new(text.join("-")))
    }

    /// As somebody typed it: small letters, spaces and O for 0 do not matter. None if there is a slip in it.
    pub fn parse(text: &str) -> Option<Self> {
        let values: Option<Vec<u8>> = text
            .bytes()
            .filter(|byte| !matches!(byte, b'-' | b' '))
            .map(value_of)
            .collect();
        let values = values?;
        if values.len() != limits::ENROLMENT_CODE_LETTERS + 1 {
            return None;
        }
        let (check, rest) = values.split_last()?;
        if check_letter(rest.iter().copied()) != LETTERS[usize::from(*check)] {
            return None;
        }
        let letters: Vec<u8> = values
            .iter()
            .map(|&value| LETTERS[usize::from(value)])
            .collect();
        let text: Vec<_> = letters
            .chunks(4)
            .map(|four| String::from_utf8_lossy(four))
            .collect();
        Some(Self(Zeroizing::new(text.join("-"))))
    }

    /// The text to be shown once.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    fn key(&self) -> String {
        hex(&Sha256::digest(self.0.as_bytes()))
    }
}

#[derive(Serialize, Deserialize)]
struct KeptCode {
    site: String,
    kind: SubjectKind,
    name: String,
    expires_at: Timestamp,
    by: String,
}

/// A device or service that is enrolled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolled {
    /// What its certificates speak of.
    pub subject: Subject,
    /// What people call it.
    pub name: String,
    /// SHA-256 of its public key, hexadecimal.
    pub key_sha256: String,
    /// Since when.
    pub enrolled_at: Timestamp,
    /// Who gave the code out.
    pub by: String,
}

/// Codes, and what was enrolled with them.
#[derive(Debug)]
pub struct Enrolment {
    state: State,
    authority: Arc<Authority>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    random: Random,
}

fn enrolled_key(subject: &Subject) -> String {
    format!("{}/{}/{}", subject.site, subject.kind.as_str(), subject.id)
}

impl Enrolment {
    /// Over the state and the authority.
    pub fn new(
        state: State,
        authority: Arc<Authority>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        random: Random,
    ) -> Self {
        Self {
            state,
            authority,
            clock,
            ids,
            random,
        }
    }

    /// A code for one device or service of a site.
    pub async fn give_code(
        &self,
        (site, kind, name): (&str, SubjectKind, &str),
        holds_for: Option<Duration>,
        by: &str,
    ) -> Result<(EnrolmentCode, Timestamp), EnrolmentError> {
        let holds_for = holds_for.unwrap_or(limits::ENROLMENT_CODE_FOR);
        if holds_for > limits::ENROLMENT_CODE_AT_MOST || holds_for.is_zero() {
            return Err(EnrolmentError::Refused(format!(
                "a code holds for at most {} days",
                limits::ENROLMENT_CODE_AT_MOST.as_secs() / 86_400
            )));
        }
        let now = self.clock.now();
        let nanos = i64::try_from(holds_for.as_nanos()).unwrap_or(i64::MAX);
        let expires_at = Timestamp(now.0.saturating_add(nanos));
        let code = EnrolmentCode::new(&self.random);
        let kept = KeptCode {
            site: site.to_owned(),
            kind,
            name: name.to_owned(),
            expires_at,
            by: by.to_owned(),
        };
        let entry = self.entry(
            "enrolment.code_given",
            by,
            &serde_json::json!({
                "site": site, "kind": kind, "expires_at": expires_at,
            }),
        )?;
        let ops = vec![Op::put(CODES, code.key(), write(&kept)?)];
        self.state.commit_with(ops, vec![entry]).await?;
        Ok((code, expires_at))
    }

    /// Uses a code up for the key of a request.
    pub async fn enrol(
        &self,
        code: &str,
        request_der: &[u8],
    ) -> Result<(Enrolled, Issued), EnrolmentError> {
        let key_sha256 = self.authority.key_of_request(request_der)?;
        let code = EnrolmentCode::parse(code).ok_or(EnrolmentError::Code)?;
        let item = self
            .state
            .get(CODES, &code.key())
            .ok_or(EnrolmentError::Code)?;
        let kept: KeptCode = serde_json::from_slice(&item.value)
            .map_err(|error| EnrolmentError::Damaged(error.to_string()))?;
        let now = self.clock.now();
        if kept.expires_at <= now {
            self.state
                .commit(vec![Op::delete(CODES, code.key())])
                .await?;
            return Err(EnrolmentError::Code);
        }
        let subject = Subject {
            site: kept.site,
            kind: kept.kind,
            id: self.ids.next(now).to_string(),
        };
        let enrolled = Enrolled {
            subject: subject.clone(),
            name: kept.name,
            key_sha256,
            enrolled_at: now,
            by: kept.by,
        };
        let entry = self.entry(
            "enrolment.enrolled",
            &subject.id,
            &serde_json::json!({
                "site": subject.site, "kind": subject.kind, "key_sha256": enrolled.key_sha256,
                "code_given_by": enrolled.by,
            }),
        )?;
        let ops = vec![
            Op::require(CODES, code.key(), Expect::Modified(item.modified)),
            Op::delete(CODES, code.key()),
            Op::put(ENROLLED, enrolled_key(&subject), write(&enrolled)?),
        ];
        match self.state.commit_with(ops, vec![entry]).await {
            Ok(_) => {}
            // Somebody else used it at the same time.
            Err(StateError::Conflict { .. }) => return Err(EnrolmentError::Code),
            Err(error) => return Err(error.into()),
        }
        let issued = self.authority.issue_client(&subject, request_der).await?;
        Ok((enrolled, issued))
    }

    /// Another certificate for an enrolled key: what the request proves is enough, also after the last
    /// certificate has expired.
    pub async fn renew(&self, request_der: &[u8]) -> Result<Issued, EnrolmentError> {
        let key_sha256 = self.authority.key_of_request(request_der)?;
        let enrolled = self
            .all()?
            .into_iter()
            .find(|enrolled| enrolled.key_sha256 == key_sha256)
            .ok_or(EnrolmentError::Unknown)?;
        Ok(self
            .authority
            .issue_client(&enrolled.subject, request_der)
            .await?)
    }

    /// Everything that is enrolled.
    pub fn all(&self) -> Result<Vec<Enrolled>, EnrolmentError> {
        let items = self.state.list(ENROLLED, "");
        items
            .iter()
            .map(|item| {
                serde_json::from_slice(&item.value)
                    .map_err(|error| EnrolmentError::Damaged(error.to_string()))
            })
            .collect()
    }

    /// Whether this is enrolled.
    pub fn is_enrolled(&self, subject: &Subject) -> bool {
        self.state.get(ENROLLED, &enrolled_key(subject)).is_some()
    }

    /// Ends an enrolment: its certificates are revoked and none is renewed. Whether there was one.
    pub async fn end(&self, subject: &Subject, by: &str) -> Result<bool, EnrolmentError> {
        if !self.is_enrolled(subject) {
            return Ok(false);
        }
        let entry = self.entry(
            "enrolment.ended",
            by,
            &serde_json::json!({
                "site": subject.site, "kind": subject.kind, "id": subject.id,
            }),
        )?;
        let ops = vec![Op::delete(ENROLLED, enrolled_key(subject))];
        self.state.commit_with(ops, vec![entry]).await?;
        self.authority.revoke(subject).await?;
        Ok(true)
    }

    fn entry(
        &self,
        kind: &str,
        by: &str,
        what: &serde_json::Value,
    ) -> Result<Draft, EnrolmentError> {
        Ok(Draft {
            kind: kind.to_owned(),
            time_ns: self.clock.now().as_nanos(),
            actor: by.to_owned(),
            payload: CanonicalJson::from_value(what)
                .map_err(|error| EnrolmentError::Damaged(error.to_string()))?,
        })
    }
}

fn write(kept: &impl Serialize) -> Result<Vec<u8>, EnrolmentError> {
    serde_json::to_vec(kept).map_err(|error| EnrolmentError::Damaged(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_people_type_it_and_a_slip_is_found() {
        let random = Random::from_seed(4);
        for _ in 0..100 {
            let code = EnrolmentCode::new(&random);
            let typed = code
                .reveal()
                .to_lowercase()
                .replace('-', " ")
                .replace('0', "o");
            assert_eq!(
                EnrolmentCode::parse(&typed).unwrap().reveal(),
                code.reveal()
            );
            let letters: Vec<char> = code.reveal().chars().collect();
            for at in (0..letters.len()).filter(|&at| letters[at] != '-') {
                let mut slip = letters.clone();
                slip[at] = if slip[at] == 'A' { 'B' } else { 'A' };
                let slip: String = slip.into_iter().collect();
                assert!(EnrolmentCode::parse(&slip).is_none(), "{slip}");
            }
        }
        for text in ["", "AAAA", "AAAA-AAAA-AAAA-AA", "UUUU-UUUU-UUUU-U", "äöüß"] {
            assert!(EnrolmentCode::parse(text).is_none(), "{text}");
        }
    }
}
