//! The second factor: time-based one-time passwords (RFC 6238), as common applications on telephones make them.

use totp_rs::{Algorithm, Builder, Secret, Totp};
use zeroize::Zeroizing;

use crate::limits::people as limits;

/// Bytes of a secret: as many as HMAC-SHA-1 gives out (RFC 4226, section 4).
pub(crate) const SECRET_BYTES: usize = 20;

/// Who gives the codes out, as the application shows it.
const ISSUER: &str = "NeuraScale";

/// A person's secret.
#[derive(Clone)]
pub struct TotpSecret(Zeroizing<Vec<u8>>);

impl std::fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TotpSecret")
    }
}

impl TotpSecret {
    /// A secret of these bytes.
    pub fn new(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn totp(&self, account: &str) -> Option<Totp> {
        // SHA-1, six digits and 30 s are what every application knows.
        Builder::new()
            .with_algorithm(Algorithm::SHA1)
            .with_secret(self.0.to_vec())
            .with_step_duration(limits::TOTP_STEP_S)
            .with_skew(limits::TOTP_SKEW_STEPS.into())
            .with_account_name(account)
            .with_issuer(Some(ISSUER))
            .build()
            .ok()
    }

    /// The step that `code` is of, if it is of one that may be used `unix_s` after 1970. The caller sees to
    /// it that no step is used twice (RFC 6238, section 5.2).
    pub fn step_of(&self, code: &str, unix_s: u64) -> Option<u64> {
        self.totp("")?.check(code.trim(), unix_s)
    }

    /// The secret as people type it: base32.
    pub fn to_base32(&self) -> Zeroizing<String> {
        Zeroizing::new(Secret::from(self.0.to_vec()).to_base32())
    }
}

/// The address that applications read from a picture (`otpauth://…`).
pub fn otpauth_url(secret: &TotpSecret, login: &str) -> Option<String> {
    secret.totp(login)?.to_url().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B (SHA-1), the last six of its eight digits.
    #[test]
    fn codes_are_those_of_the_standard() {
        let secret = TotpSecret::new(Zeroizing::new(b"12345678901234567890".to_vec()));
        for (unix_s, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(secret.step_of(code, unix_s), Some(unix_s / 30));
            assert_eq!(
                secret.step_of(code, unix_s + 30),
                Some(unix_s / 30),
                "a step late"
            );
            assert_eq!(secret.step_of(code, unix_s + 90), None, "three steps late");
        }
        for wrong in ["", "28708", "2870822", "28708x", "000000"] {
            assert_eq!(secret.step_of(wrong, 59), None, "{wrong:?}");
        }
        let url = otpauth_url(&secret, "ada").unwrap();
        assert!(
            url.starts_with("otpauth://totp/NeuraScale:ada?secret="),
            "{url}"
        );
    }
}
