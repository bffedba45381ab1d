//! How a provider is configured.

use std::path::PathBuf;

use protocol::Role;
use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{config::is_site, limits::oidc as limits};

/// An identity provider at which people sign in.
///
/// ```toml
/// [[providers]]
/// name = "hospital"
/// issuer = "https://login.hospital.example/realms/staff"
/// client_id = "neurascale"
/// client_secret_file = "/etc/neurascale/hospital.secret"
/// scopes = ["openid", "profile"]
/// redirect_uris = ["https://neuro.hospital.example/signed-in"]
/// claim = "groups"
///
/// [[providers.grants]]
/// value = "eeg-clinicians"
/// roles = ["clinician"]
/// site = "north"
/// ```
///
/// At the provider, the hospital enters a client of the kind "web application" (or "public" without a
/// secret) with the authorization code flow and PKCE (`S256`), the very same redirect addresses, and a
/// mapper that puts the groups or roles of people into the ID token under the name of `claim`. Keycloak:
/// a mapper "Group Membership" (full path off), added to the ID token. Entra ID: "Token configuration",
/// groups claim; its values are object ids, which then stand as `value`. Google has no groups in its tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderConfig {
    /// What it is called here: small letters, digits, hyphens.
    pub name: String,
    /// Its issuer, letter for letter as its tokens' `iss` says it.
    pub issuer: String,
    /// What the gateway is called there.
    pub client_id: String,
    /// A file with the client's secret, read at each sign-in so that it can be replaced; none for a client
    /// without one, which PKCE alone then protects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret_file: Option<PathBuf>,
    /// What is asked for; `openid` is among it.
    #[serde(default = "scopes")]
    pub scopes: Vec<String>,
    /// Where the provider may send people back to: exact.
    pub redirect_uris: Vec<String>,
    /// The claim that says what somebody may be: a name, or a JSON pointer (`/realm_access/roles`). Its value
    /// is a text or a list of texts.
    pub claim: String,
    /// What its values give. Who has none of them is not let in. Somebody belongs to one site: that of the
    /// first of these that holds; those of other sites then give nothing.
    pub grants: Vec<GrantConfig>,
}

/// What a value of the claim gives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantConfig {
    /// The value.
    pub value: String,
    /// What who has it may be.
    pub roles: Vec<Role>,
    /// Their site.
    pub site: String,
}

fn scopes() -> Vec<String> {
    vec!["openid".to_owned(), "profile".to_owned()]
}

/// Whether nobody on the way can read or change what is said to this address.
pub(crate) fn is_safe(url: &str) -> bool {
    let Ok(parsed) = Url::parse(url) else {
        return false;
    };
    let loopback = matches!(parsed.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
    let known_to_nobody = parsed.username().is_empty() && parsed.password().is_none();
    (parsed.scheme() == "https" || parsed.scheme() == "http" && loopback)
        && parsed.fragment().is_none()
        && known_to_nobody
}

impl ProviderConfig {
    /// What makes no sense of it, if anything.
    pub(crate) fn nonsense(&self) -> Option<&'static str> {
        if !is_site(&self.name) || self.name.len() > limits::MAX_NAME_BYTES {
            return Some("a provider's name has small letters, digits and hyphens");
        }
        if !is_safe(&self.issuer) || self.issuer.contains('?') {
            return Some("an issuer is an https address (or http on loopback) without a query");
        }
        if self.client_id.is_empty() || self.claim.is_empty() {
            return Some("a provider needs its client_id and its claim");
        }
        if !self.scopes.iter().any(|scope| scope == "openid") {
            return Some("without the scope `openid` a provider does not say who somebody is");
        }
        let redirect = |uri: &String| is_safe(uri) && uri.len() <= limits::MAX_REDIRECT_BYTES;
        if self.redirect_uris.is_empty() || !self.redirect_uris.iter().all(redirect) {
            return Some(
                "redirect_uris are https addresses (or http on loopback) without fragment",
            );
        }
        let people = |role: &Role| !matches!(role, Role::SuperAdmin | Role::Device | Role::Service);
        let sound = |grant: &GrantConfig| {
            is_site(&grant.site) && !grant.roles.is_empty() && grant.roles.iter().all(people)
        };
        if self.grants.is_empty() || !self.grants.iter().all(sound) {
            return Some(
                "a grant has a site and roles of people, and not that of who runs the gateway",
            );
        }
        None
    }

    /// What somebody of these claims may be, and where.
    pub(super) fn granted(&self, claims: &Map<String, Value>) -> Option<(String, Vec<Role>)> {
        let found = match self.claim.strip_prefix('/') {
            None => claims.get(&self.claim),
            Some(pointer) => {
                let (first, rest) = pointer.split_once('/').unwrap_or((pointer, ""));
                let first = claims.get(&first.replace("~1", "/").replace("~0", "~"));
                match rest {
                    "" => first,
                    rest => first.and_then(|value| value.pointer(&format!("/{rest}"))),
                }
            }
        };
        let values: Vec<&str> = match found? {
            Value::String(one) => vec![one],
            Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
            _ => return None,
        };
        let mut site: Option<&str> = None;
        let mut roles = Vec::new();
        for grant in &self.grants {
            if values.contains(&grant.value.as_str())
                && *site.get_or_insert(&grant.site) == grant.site
            {
                for role in &grant.roles {
                    if !roles.contains(role) {
                        roles.push(*role);
                    }
                }
            }
        }
        site.map(|site| (site.to_owned(), roles))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn provider(claim: &str) -> ProviderConfig {
        let grant = |value: &str, role, site: &str| GrantConfig {
            value: value.to_owned(),
            roles: vec![role],
            site: site.to_owned(),
        };
        ProviderConfig {
            name: "hospital".to_owned(),
            issuer: "https://login.test".to_owned(),
            client_id: "us".to_owned(),
            client_secret_file: None,
            scopes: scopes(),
            redirect_uris: vec!["https://app.test/in".to_owned()],
            claim: claim.to_owned(),
            grants: vec![
                grant("eeg", Role::Clinician, "north"),
                grant("it", Role::Admin, "south"),
                grant("labs", Role::Researcher, "north"),
            ],
        }
    }

    #[test]
    fn somebody_may_be_what_is_granted_and_no_more() {
        use Role::{Admin, Clinician, Researcher};
        let north = |roles: &[Role]| Some(("north".to_owned(), roles.to_vec()));
        let south = Some(("south".to_owned(), vec![Admin]));
        for (claim, claims, due) in [
            (
                "groups",
                json!({"groups": ["eeg", "x"]}),
                north(&[Clinician]),
            ),
            ("groups", json!({"groups": "eeg"}), north(&[Clinician])),
            (
                "groups",
                json!({"groups": ["labs", "eeg"]}),
                north(&[Clinician, Researcher]),
            ),
            // Another site's role is not had beside.
            (
                "groups",
                json!({"groups": ["it", "eeg"]}),
                north(&[Clinician]),
            ),
            ("groups", json!({"groups": ["it"]}), south),
            (
                "groups",
                json!({"groups": ["super_admin", "admin", "EEG"]}),
                None,
            ),
            ("groups", json!({"groups": [["eeg"], 1, null]}), None),
            ("groups", json!({"groups": {"eeg": true}}), None),
            ("groups", json!({}), None),
            (
                "https://x/roles",
                json!({"https://x/roles": ["eeg"]}),
                north(&[Clinician]),
            ),
            (
                "/realm/roles",
                json!({"realm": {"roles": ["eeg"]}}),
                north(&[Clinician]),
            ),
            ("/realm/roles", json!({"realm": ["eeg"]}), None),
            ("/roles", json!({"roles": ["eeg"]}), north(&[Clinician])),
        ] {
            let granted = provider(claim).granted(claims.as_object().unwrap());
            assert_eq!(granted, due, "{claim} {claims}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        assert_eq!(provider("groups").nonsense(), None);
        let with = |change: fn(&mut ProviderConfig)| {
            let mut changed = provider("groups");
            change(&mut changed);
            changed.nonsense()
        };
        let changes: [fn(&mut ProviderConfig); 13] = [
            |p| p.name = "The Hospital".to_owned(),
            |p| p.issuer = "http://login.test".to_owned(),
            |p| p.issuer = "http://localhost.evil.test".to_owned(),
            |p| p.issuer = "https://user:word@login.test".to_owned(),
            |p| p.client_id = String::new(),
            |p| p.scopes = vec!["profile".to_owned()],
            |p| p.redirect_uris = vec![],
            |p| p.redirect_uris = vec!["http://app.test/in".to_owned()],
            |p| p.redirect_uris = vec!["https://app.test/in#x".to_owned()],
            |p| p.grants.clear(),
            |p| p.grants[0].roles = vec![Role::SuperAdmin],
            |p| p.grants[0].roles = vec![Role::Device],
            |p| p.grants[0].site = "../x".to_owned(),
        ];
        for change in changes {
            assert!(with(change).is_some());
        }
    }
}
