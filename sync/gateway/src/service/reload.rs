//! What may change while the gateway runs: policies, rules of the edge, limits, origins. Nothing is closed for it;
//! what is under way goes on by what held when it began.

use std::sync::{Arc, PoisonError, RwLock};

use hyper::http::HeaderValue;
use ledger::{CanonicalJson, Draft};
use serde_json::json;

use super::{Gateway, OpenError};
use crate::{
    access::{Access, PolicyError},
    config::{Config, RuleConfig},
    edge::RateOptions,
};

/// What holds now.
#[derive(Debug)]
pub(crate) struct Live(RwLock<Arc<Settings>>);

/// A state of it.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) access: Access,
    /// Origins whose pages may call.
    pub(crate) origins: Vec<HeaderValue>,
}

/// The policies that a configuration names.
pub fn policies(config: &Config) -> Result<Access, PolicyError> {
    if config.policies.as_os_str().is_empty() {
        return Access::brought();
    }
    Access::from_file(&config.policies)
}

fn settings(config: &Config) -> Result<Arc<Settings>, PolicyError> {
    let origins = config.cors_origins.iter();
    Ok(Arc::new(Settings {
        access: policies(config)?,
        origins: origins.filter_map(|origin| origin.parse().ok()).collect(),
    }))
}

pub(crate) fn rate(config: &Config) -> RateOptions {
    RateOptions {
        per_minute: config.limits.per_minute,
        per_hour: config.limits.per_hour,
    }
}

impl Live {
    pub(crate) fn new(config: &Config) -> Result<Self, PolicyError> {
        settings(config).map(RwLock::new).map(Self)
    }

    pub(crate) fn now(&self) -> Arc<Settings> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, settings: Arc<Settings>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = settings;
    }
}

impl Gateway {
    /// Takes over a changed configuration, whole or, where something in it does not hold, not at all. Returns the
    /// settings that differ and hold from the next start on only. The change is an entry of the ledger.
    pub async fn reload(&self, config: &Config) -> Result<Vec<&'static str>, OpenError> {
        let settings = settings(config)?;
        self.proxy
            .set_rules(config.rules.iter().map(RuleConfig::rule).collect())?;
        self.rate_limit.set_options(rate(config));
        self.live.set(settings);
        let payload = json!({
            "per_minute": config.limits.per_minute,
            "per_hour": config.limits.per_hour,
            "rules": config.rules.len(),
            "origins": config.cors_origins,
            "policies": config.policies,
        });
        let payload = CanonicalJson::from_value(&payload).unwrap_or_else(|error| {
            tracing::warn!(%error, "the ledger tells less of the reload");
            CanonicalJson::unchecked("{}")
        });
        let entry = Draft {
            kind: "config.reloaded".to_owned(),
            time_ns: self.clock.now().as_nanos(),
            actor: "operator".to_owned(),
            payload,
        };
        self.log.enter(vec![entry]).await?;
        Ok(waiting(&self.config, config))
    }
}

fn waiting(before: &Config, after: &Config) -> Vec<&'static str> {
    [
        ("data_dir", before.data_dir != after.data_dir),
        ("listen", before.listen != after.listen),
        ("names", before.names != after.names),
        ("site", before.site != after.site),
        ("storage", before.storage != after.storage),
        ("issuers", before.issuers != after.issuers),
        ("providers", before.providers != after.providers),
        ("passkeys", before.passkeys != after.passkeys),
        ("drain_s", before.drain_s != after.drain_s),
        ("observability", before.observability != after.observability),
    ]
    .into_iter()
    .filter_map(|(name, differs)| differs.then_some(name))
    .collect()
}
