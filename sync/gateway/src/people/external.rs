//! People whose identity provider says who they are: matched by its name and its id of them, and by nothing
//! else. A name or an address of mail that happens to be the same leads to nobody's account.

use protocol::Role;
use sha2::{Digest as _, Sha256};

use super::{
    People, PeopleError, Person, SignIn,
    store::{IDS, PEOPLE, read, write},
};
use crate::{
    state::{Expect, Op, Space},
    trust::hex,
};

/// Logins of people, by the hash of issuer and subject.
const EXTERNAL: Space = "people_external";

/// Hexadecimal letters of that hash that a login has: nobody types it in.
const LOGIN_LETTERS: usize = 16;

/// What a provider has proven of somebody, and what the configuration makes of it.
#[derive(Debug, Clone)]
pub struct External<'a> {
    /// The provider's name in the configuration.
    pub provider: &'a str,
    /// The provider's issuer.
    pub issuer: &'a str,
    /// Its id of them.
    pub sub: &'a str,
    /// What others see, if it says so.
    pub display_name: Option<String>,
    /// Their site.
    pub site: String,
    /// What they may be: this and no more.
    pub roles: Vec<Role>,
}

impl People {
    /// Signs in whom a provider has proven; enters them if they are new. What they may be is what the
    /// provider says now, whatever it said before.
    pub async fn sign_in_external(&self, external: External<'_>) -> Result<SignIn, PeopleError> {
        let sound = |role: &Role| !matches!(role, Role::SuperAdmin | Role::Device | Role::Service);
        if external.roles.is_empty() || !external.roles.iter().all(sound) {
            let reason =
                "a provider gives the roles of people, and not that of who runs the gateway";
            return Err(PeopleError::Refused(reason.to_owned()));
        }
        match self.try_external(&external).await {
            // A first sign-in on two screens at once: the second finds what the first has entered.
            Err(PeopleError::Changed) => self.try_external(&external).await,
            outcome => outcome,
        }
    }

    async fn try_external(&self, external: &External<'_>) -> Result<SignIn, PeopleError> {
        // An issuer is an address, and holds no line feed.
        let key = hex(&Sha256::digest(format!(
            "{}\n{}",
            external.issuer, external.sub
        )));
        let Some(login) = self.state.get(EXTERNAL, &key) else {
            let person = self.newcomer(external, &key);
            let ops = vec![
                Op::require(EXTERNAL, &key, Expect::Absent),
                Op::require(PEOPLE, &person.login, Expect::Absent),
                Op::put(EXTERNAL, &key, person.login.clone()),
                Op::put(PEOPLE, &person.login, write(&person)?),
                Op::put(IDS, person.id.to_string(), person.login.clone()),
            ];
            let by = person.id.to_string();
            let person = self.write(ops, "people.provided", &by, person).await?;
            return Ok(SignIn::Accepted(Box::new(person)));
        };
        let login = String::from_utf8_lossy(&login.value).into_owned();
        let item = self.state.get(PEOPLE, &login).ok_or(PeopleError::Unknown)?;
        let mut person = read(&item)?;
        if person.disabled {
            let what = serde_json::json!({
                "person": person.id, "provider": external.provider, "reason": "disabled",
            });
            let entry = self.draft("people.sign_in_refused", "anonymous", &what)?;
            self.state.commit_with(Vec::new(), vec![entry]).await?;
            return Ok(SignIn::Refused("disabled"));
        }
        person.site.clone_from(&external.site);
        person.roles.clone_from(&external.roles);
        if let Some(name) = &external.display_name {
            person.display_name.clone_from(name);
        }
        person.provider = Some(external.provider.to_owned());
        let mut ops = vec![Op::require(PEOPLE, &login, Expect::Modified(item.modified))];
        let value = write(&person)?;
        if value != item.value {
            ops.push(Op::put(PEOPLE, &login, value));
        }
        let by = person.id.to_string();
        let person = self.write(ops, "people.signed_in", &by, person).await?;
        Ok(SignIn::Accepted(Box::new(person)))
    }

    fn newcomer(&self, external: &External<'_>, key: &str) -> Person {
        let now = self.clock.now();
        let login = format!("{}.{}", external.provider, &key[..LOGIN_LETTERS]);
        Person {
            id: self.ids.next(now),
            display_name: external
                .display_name
                .clone()
                .unwrap_or_else(|| login.clone()),
            login,
            site: external.site.clone(),
            roles: external.roles.clone(),
            disabled: false,
            created_at: now,
            second_factor: None,
            password: String::new(),
            provider: Some(external.provider.to_owned()),
        }
    }
}
