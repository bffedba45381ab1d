//! Who may do what: Cedar policies over roles, actions and sites.
//!
//! Every route has an action ([`routes`]); a route that has none is refused. A decision names the policies
//! that made it, for the audit.

mod routes;

use std::{path::Path, str::FromStr};

use cedar_policy::{
    Authorizer, Context, Decision as Verdict, Entities, Entity, EntityId, EntityTypeName,
    EntityUid, PolicySet, Request, RestrictedExpression, Schema, ValidationMode, Validator,
};
use protocol::Principal;

pub use routes::{Matched, Route, Routes, RoutesError};

/// Subject of who has proven nothing.
pub const ANONYMOUS: &str = "anonymous";

const SCHEMA: &str = include_str!("../../policies/schema.cedarschema");
const DEFAULT: &str = include_str!("../../policies/default.cedar");

/// Why policies do not hold.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The file cannot be read.
    #[error("cannot read the policies {path}")]
    Read {
        /// The file.
        path: String,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
    /// The policies are not well-formed, or speak of what there is not.
    #[error("the policies {name}: {reason}")]
    Policies {
        /// Which.
        name: String,
        /// Why.
        reason: String,
    },
}

/// What was decided, and by which policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Whether it is allowed.
    pub allowed: bool,
    /// Ids of the policies that decided; none where nothing permits it.
    pub policies: Vec<String>,
}

impl Decision {
    fn refused_by(policy: &str) -> Self {
        Self {
            allowed: false,
            policies: vec![policy.to_owned()],
        }
    }
}

/// The policies in force.
pub struct Access {
    policies: PolicySet,
    schema: Schema,
    authorizer: Authorizer,
    types: Types,
}

struct Types {
    role: EntityTypeName,
    principal: EntityTypeName,
    place: EntityTypeName,
    action: EntityTypeName,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access")
            .field("policies", &self.policies.policies().count())
            .finish_non_exhaustive()
    }
}

impl Access {
    /// The policies that the program brings.
    pub fn brought() -> Result<Self, PolicyError> {
        Self::parse("of the program", DEFAULT)
    }

    /// The policies of a file, in place of those that the program brings.
    pub fn from_file(path: &Path) -> Result<Self, PolicyError> {
        let text = std::fs::read_to_string(path).map_err(|source| PolicyError::Read {
            path: path.display().to_string(),
            source,
        })?;
        Self::parse(&path.display().to_string(), &text)
    }

    fn parse(name: &str, text: &str) -> Result<Self, PolicyError> {
        let wrong = |reason: String| PolicyError::Policies {
            name: name.to_owned(),
            reason,
        };
        let (schema, _) = Schema::from_cedarschema_str(SCHEMA).map_err(|e| wrong(e.to_string()))?;
        let policies = PolicySet::from_str(text).map_err(|e| wrong(e.to_string()))?;
        let checked = Validator::new(schema.clone()).validate(&policies, ValidationMode::Strict);
        if !checked.validation_passed() {
            let reasons: Vec<_> = checked
                .validation_errors()
                .map(ToString::to_string)
                .collect();
            return Err(wrong(reasons.join("; ")));
        }
        let type_name =
            |text: &str| EntityTypeName::from_str(text).map_err(|e| wrong(e.to_string()));
        let types = Types {
            role: type_name("Role")?,
            principal: type_name("Principal")?,
            place: type_name("Place")?,
            action: type_name("Action")?,
        };
        Ok(Self {
            policies,
            schema,
            authorizer: Authorizer::new(),
            types,
        })
    }

    /// Whether `principal` (nobody known, if `None`) may do `action` at `site`, to what belongs to
    /// `owner`. Whatever cannot be decided is refused.
    pub fn decide(
        &self,
        principal: Option<&Principal>,
        action: &str,
        site: &str,
        owner: Option<&str>,
    ) -> Decision {
        self.ask(principal, action, site, owner)
            .unwrap_or_else(|reason| {
                tracing::error!(action, reason, "a decision failed and is a refusal");
                Decision::refused_by("undecided")
            })
    }

    fn ask(
        &self,
        principal: Option<&Principal>,
        action: &str,
        site: &str,
        owner: Option<&str>,
    ) -> Result<Decision, String> {
        let uid = |kind: &EntityTypeName, id: &str| {
            EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
        };
        let subject = principal.map_or(ANONYMOUS, |principal| &principal.subject);
        // Who is known carries this name in no token; should one try, nobody is who they are.
        if principal.is_some() && subject == ANONYMOUS {
            return Ok(Decision::refused_by("anonymous"));
        }
        let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
        let roles = principal
            .map(|principal| principal.roles.as_slice())
            .unwrap_or_default();
        let who = Entity::new(
            uid(&self.types.principal, subject),
            [(
                "site".to_owned(),
                text(principal.map_or(site, |principal| &principal.site)),
            )]
            .into(),
            roles
                .iter()
                .map(|role| uid(&self.types.role, role.as_str()))
                .collect(),
        )
        .map_err(|error| error.to_string())?;
        let mut attributes = vec![("site".to_owned(), text(site))];
        attributes.extend(owner.map(|owner| ("owner".to_owned(), text(owner))));
        let what = Entity::new(
            uid(&self.types.place, site),
            attributes.into_iter().collect(),
            Default::default(),
        )
        .map_err(|error| error.to_string())?;
        let request = Request::new(
            who.uid(),
            uid(&self.types.action, action),
            what.uid(),
            Context::empty(),
            Some(&self.schema),
        )
        .map_err(|error| error.to_string())?;
        let entities = Entities::from_entities([who, what], Some(&self.schema))
            .map_err(|error| error.to_string())?;
        let response = self
            .authorizer
            .is_authorized(&request, &self.policies, &entities);
        if let Some(error) = response.diagnostics().errors().next() {
            return Err(error.to_string());
        }
        let mut policies: Vec<_> = response
            .diagnostics()
            .reason()
            .map(|id| {
                self.policies
                    .annotation(id, "id")
                    .map_or_else(|| id.to_string(), str::to_owned)
            })
            .collect();
        policies.sort();
        Ok(Decision {
            allowed: response.decision() == Verdict::Allow,
            policies,
        })
    }
}

#[cfg(test)]
mod tests {
    use protocol::Role;

    use super::*;

    fn person(site: &str, roles: &[Role]) -> Principal {
        Principal {
            subject: "p1".to_owned(),
            site: site.to_owned(),
            roles: roles.to_vec(),
            consumer: "people".to_owned(),
        }
    }

    #[test]
    fn nobody_reaches_beyond_their_site_but_who_runs_the_gateway() {
        let access = Access::brought().unwrap();
        for role in Role::ALL {
            let principal = person("north", &[role]);
            let abroad = access.decide(Some(&principal), "kv.read", "south", None);
            assert_eq!(
                abroad.allowed,
                role == Role::SuperAdmin,
                "{role} {abroad:?}"
            );
            if role != Role::SuperAdmin {
                assert_eq!(abroad.policies, ["site"]);
            }
        }
        let admin = person("north", &[Role::Admin]);
        let home = access.decide(Some(&admin), "kv.write", "north", None);
        assert_eq!(
            (home.allowed, home.policies),
            (true, vec!["admin".to_owned()])
        );
    }

    #[test]
    fn what_nothing_permits_is_refused() {
        let access = Access::brought().unwrap();
        let nobody = access.decide(None, "kv.read", "north", None);
        assert_eq!((nobody.allowed, nobody.policies.len()), (false, 0));
        assert!(access.decide(None, "session.begin", "north", None).allowed);
        assert!(!access.decide(None, "session.end", "north", None).allowed);
        let patient = person("north", &[Role::Patient]);
        assert!(
            !access
                .decide(Some(&patient), "catalog.read", "north", None)
                .allowed
        );
        assert!(
            access
                .decide(Some(&patient), "self.read", "north", None)
                .allowed
        );
        let mut disguised = person("north", &[Role::SuperAdmin]);
        disguised.subject = ANONYMOUS.to_owned();
        assert!(
            !access
                .decide(Some(&disguised), "kv.read", "north", None)
                .allowed
        );
        let admin = person("north", &[Role::SuperAdmin]);
        let unknown = access.decide(Some(&admin), "no.such_action", "north", None);
        assert_eq!(unknown, Decision::refused_by("undecided"));
    }

    #[test]
    fn policies_that_speak_of_what_there_is_not_are_refused() {
        for text in [
            "permit (principal in Role::\"admin\", action == Action::\"fly\", resource);",
            "permit (principal, action, resource) when { principal.shoe_size > 40 };",
            "permit (principal",
        ] {
            assert!(Access::parse("test", text).is_err(), "{text}");
        }
    }
}
