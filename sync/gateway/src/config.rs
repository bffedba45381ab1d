//! The gateway's configuration: every value has a default, and one documented precedence decides.
//!
//! From the weakest to the strongest: the default, the configuration file, the environment
//! (`NEURASCALE_GATEWAY_` and the value's name in capitals, parts of a name with two underscores between
//! them: `NEURASCALE_GATEWAY_LIMITS__PER_MINUTE`), the command line (`--set limits.per_minute=500`).
//! A name that is not known is an error in each of them, so that a slip of the pen is not a default.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use protocol::Role;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::{
    edge::{Protocol, Rule},
    limits,
    oidc::{ProviderConfig, is_safe},
    passkeys::PasskeyConfig,
};

/// What the environment's names begin with.
pub const ENVIRONMENT_PREFIX: &str = "NEURASCALE_GATEWAY_";

/// Names of the environment that begin so and belong to the command line.
const NOT_SETTINGS: [&str; 2] = ["CONFIG", "PASSWORD"];

/// Names of the environment that other programs read as well, and the setting that they are of.
const OTHERS_NAMES: [(&str, &str); 1] = [(
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OBSERVABILITY__OTLP_ENDPOINT",
)];

/// Everything that can be configured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where state, keys and log lie.
    pub data_dir: PathBuf,
    /// Where the gateway listens with TLS.
    pub listen: SocketAddr,
    /// Names and addresses that the gateway's certificate is for.
    pub names: Vec<String>,
    /// The site of who was enrolled or registered without another.
    pub site: String,
    /// `sqlite`, or the address of a PostgreSQL database (`postgres://…`), which replicas share.
    pub storage: String,
    /// Origins whose pages may call with credentials: exact, with scheme and port.
    pub cors_origins: Vec<String>,
    /// Requests that a consumer may make.
    pub limits: RequestLimits,
    /// Hosts and paths that belong to services, beside `/svc/<name>/…`.
    pub rules: Vec<RuleConfig>,
    /// Who else may say who somebody is: identity providers whose tokens are taken.
    pub issuers: Vec<IssuerConfig>,
    /// A file of Cedar policies in place of those that the program brings (`policies/default.cedar`); empty: those.
    pub policies: PathBuf,
    /// Identity providers at which people sign in; [`ProviderConfig`] has an example, and says what is entered
    /// at the provider's.
    pub providers: Vec<ProviderConfig>,
    /// Pages that may use passkeys.
    pub passkeys: PasskeyConfig,
    /// What is logged, as `tracing` filters say it (`info`, `gateway=debug`).
    pub log: String,
    /// For how long the gateway goes on serving after it was told to end, seconds: `/readyz` says so meanwhile, and
    /// load balancers ask another.
    pub drain_s: u64,
    /// What others see of it.
    pub observability: Observability,
}

/// What others see of the gateway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Observability {
    /// Address of a receiver of traces over OTLP (HTTP with protobuf; `http://collector:4318`), to which `/v1/traces`
    /// is added; empty: none. `OTEL_EXPORTER_OTLP_ENDPOINT` says it as well, as the weakest of the environment.
    pub otlp_endpoint: String,
    /// Share of traces that is recorded, 0 to 1, of those that begin here. What comes with a trace is recorded or not
    /// as whoever began it has decided.
    pub sample: f64,
    /// How lines of the log are written.
    pub log_format: LogFormat,
}

impl Observability {
    pub(crate) fn endpoint(&self) -> Option<&str> {
        (!self.otlp_endpoint.is_empty()).then_some(&*self.otlp_endpoint)
    }
}

impl Default for Observability {
    fn default() -> Self {
        Self {
            otlp_endpoint: String::new(),
            sample: 1.0,
            log_format: LogFormat::default(),
        }
    }
}

/// How lines of the log are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// A JSON object each.
    #[default]
    Json,
    /// For people.
    Text,
}

/// Requests that a consumer may make.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RequestLimits {
    /// Requests a minute.
    pub per_minute: u32,
    /// Requests an hour.
    pub per_hour: u32,
}

/// A host and path whose requests go to a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleConfig {
    /// The host, without port; any where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// What the path begins with, whole segments.
    pub prefix: String,
    /// The service.
    pub service: String,
    /// Whether the service sees the path without the prefix.
    #[serde(default)]
    pub strip_prefix: bool,
    /// Whether its instances speak HTTP/2 without TLS, whatever is asked.
    #[serde(default)]
    pub http2: bool,
}

impl RuleConfig {
    pub(crate) fn rule(&self) -> Rule {
        Rule {
            host: self.host.as_deref().map(str::to_lowercase),
            prefix: self.prefix.clone(),
            service: self.service.clone(),
            strip_prefix: self.strip_prefix,
            protocol: if self.http2 {
                Protocol::Http2
            } else {
                Protocol::Auto
            },
            keep_authorization: false,
        }
    }
}

/// An identity provider whose tokens are taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerConfig {
    /// Its name, as its tokens' `iss` says it.
    pub iss: String,
    /// The audience that its tokens must be for.
    pub audience: String,
    /// Whose limits apply to those whom it speaks of, and part of their ids.
    pub consumer: String,
    /// Its key set: an address (`https://…`) or a file.
    pub jwks: String,
    /// The site of those whom it speaks of.
    pub site: String,
    /// Their roles.
    pub roles: Vec<Role>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: default_data_dir(),
            // Loopback only: nobody else's business until somebody says so.
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, limits::service::DEFAULT_PORT)),
            names: vec!["localhost".to_owned(), Ipv4Addr::LOCALHOST.to_string()],
            site: "default".to_owned(),
            storage: "sqlite".to_owned(),
            cors_origins: Vec::new(),
            rules: Vec::new(),
            issuers: Vec::new(),
            providers: Vec::new(),
            passkeys: PasskeyConfig::default(),
            limits: RequestLimits::default(),
            policies: PathBuf::new(),
            log: "info".to_owned(),
            drain_s: 0,
            observability: Observability::default(),
        }
    }
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            per_minute: limits::service::REQUESTS_A_MINUTE,
            per_hour: limits::service::REQUESTS_AN_HOUR,
        }
    }
}

/// `$STATE_DIRECTORY` where systemd gives one, else a folder of the user's.
fn default_data_dir() -> PathBuf {
    let home = || {
        std::env::var_os("XDG_DATA_HOME")
            .map(PathBuf::from)
            .or_else(|| std::env::home_dir().map(|home| home.join(".local/share")))
    };
    std::env::var_os("STATE_DIRECTORY")
        .map(PathBuf::from)
        .or_else(|| home().map(|base| base.join("neurascale-gateway")))
        .unwrap_or_else(|| PathBuf::from("neurascale-gateway"))
}

/// Where a value comes from, the weakest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Nobody said anything.
    Default,
    /// The configuration file.
    File(PathBuf),
    /// A variable of the environment.
    Environment(String),
    /// The command line.
    CommandLine,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => f.write_str(name),
            Self::CommandLine => f.write_str("command line"),
        }
    }
}

/// Why a configuration does not hold.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
    /// The file is no TOML.
    #[error("the configuration {path} is not well-formed: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why.
        reason: String,
    },
    /// A name is not known, or its value of another kind.
    #[error("{source_}: {reason}")]
    Value {
        /// Who said so.
        source_: Source,
        /// What is wrong.
        reason: String,
    },
    /// A value makes no sense.
    #[error("{name}: {reason} (set by {source_})")]
    Sense {
        /// The value's name.
        name: &'static str,
        /// Why.
        reason: String,
        /// Who said so.
        source_: Source,
    },
}

/// A configuration, and who said which part of it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Where each value that is not the default comes from, by dotted name.
    pub sources: BTreeMap<String, Source>,
}

impl Loaded {
    /// Who said this.
    pub fn source(&self, name: &str) -> Source {
        self.sources.get(name).cloned().unwrap_or(Source::Default)
    }

    /// Every value by its dotted name, secrets hidden, with who said so: what `check-config` shows.
    pub fn table(&self) -> Vec<(String, String, Source)> {
        let mut shown = self.config.clone();
        shown.storage = without_password(&shown.storage);
        let endpoint = &mut shown.observability.otlp_endpoint;
        *endpoint = without_password(endpoint);
        let table = Table::try_from(&shown).unwrap_or_default();
        let mut rows = Vec::new();
        flatten(&table, "", &mut |name, value| {
            let source = self.source(&name);
            rows.push((name, value.to_string(), source));
        });
        rows
    }
}

/// A database's address with its password hidden.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    match rest.rsplit_once('@') {
        Some((who, place)) => {
            let user = who.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}:…@{place}")
        }
        None => url.to_owned(),
    }
}

fn flatten(table: &Table, prefix: &str, found: &mut dyn FnMut(String, &Value)) {
    for (key, value) in table {
        let name = if prefix.is_empty() {
            key.clone()
        } else {
            format!("{prefix}.{key}")
        };
        match value {
            Value::Table(inner) => flatten(inner, &name, found),
            other => found(name, other),
        }
    }
}

/// Loads a configuration: the file, if there is one, then `environment` (names and values), then
/// `command_line` (dotted names and values).
pub fn load(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
    command_line: &[(String, String)],
) -> Result<Loaded, ConfigError> {
    let mut merged = Table::new();
    let mut sources = BTreeMap::new();
    if let Some(path) = file {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        let table: Table =
            text.parse()
                .map_err(|error: toml::de::Error| ConfigError::Malformed {
                    path: path.to_owned(),
                    reason: error.to_string(),
                })?;
        check(&table, &Source::File(path.to_owned()))?;
        flatten(&table, "", &mut |name, _| {
            sources.insert(name, Source::File(path.to_owned()));
        });
        merge(&mut merged, table);
    }
    let known = known_names();
    let mut variables: Vec<_> = environment
        .into_iter()
        .filter_map(|(name, value)| {
            if let Some((_, setting)) = OTHERS_NAMES.iter().find(|(known, _)| *known == name) {
                // Empty is as good as not there, to OpenTelemetry.
                return (!value.is_empty()).then(|| (name, (*setting).to_owned(), value));
            }
            let rest = name.strip_prefix(ENVIRONMENT_PREFIX)?.to_owned();
            (!NOT_SETTINGS.contains(&rest.as_str())).then_some((name, rest, value))
        })
        .collect();
    // Names that everybody's programs read are weaker than those of this one.
    variables.sort_by_key(|(name, ..)| (name.starts_with(ENVIRONMENT_PREFIX), name.clone()));
    for (variable, rest, value) in variables {
        let name = rest.to_lowercase().replace("__", ".");
        let source = Source::Environment(variable);
        set(&mut merged, &mut sources, &known, &name, &value, source)?;
    }
    for (name, value) in command_line {
        set(
            &mut merged,
            &mut sources,
            &known,
            name,
            value,
            Source::CommandLine,
        )?;
    }
    let config: Config =
        merged
            .try_into()
            .map_err(|error: toml::de::Error| ConfigError::Value {
                source_: Source::CommandLine,
                reason: error.message().to_owned(),
            })?;
    let loaded = Loaded { config, sources };
    sense(&loaded)?;
    Ok(loaded)
}

/// Whether a source alone makes a configuration, so that its error names it.
fn check(table: &Table, source: &Source) -> Result<(), ConfigError> {
    table
        .clone()
        .try_into::<Config>()
        .map(drop)
        .map_err(|error| ConfigError::Value {
            source_: source.clone(),
            reason: error.message().to_owned(),
        })
}

fn known_names() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    if let Ok(table) = Table::try_from(Config::default()) {
        flatten(&table, "", &mut |name, _| {
            names.insert(name);
        });
    }
    names
}

fn set(
    merged: &mut Table,
    sources: &mut BTreeMap<String, Source>,
    known: &BTreeSet<String>,
    name: &str,
    value: &str,
    source: Source,
) -> Result<(), ConfigError> {
    if !known.contains(name) {
        return Err(ConfigError::Value {
            reason: format!("there is no setting {name:?}"),
            source_: source,
        });
    }
    // A list or a number as TOML writes it; anything else is a text without its quotation marks.
    let literal: Option<Value> = format!("value = {value}")
        .parse::<Table>()
        .ok()
        .and_then(|mut table| table.remove("value"));
    let text = Value::String(value.to_owned());
    let candidates = literal.into_iter().chain([text]);
    let mut refusal = None;
    for candidate in candidates {
        let table = nested(name, candidate);
        match check(&table, &source) {
            Ok(()) => {
                merge(merged, table);
                sources.insert(name.to_owned(), source);
                return Ok(());
            }
            Err(error) => refusal = refusal.or(Some(error)),
        }
    }
    Err(refusal.unwrap_or(ConfigError::Value {
        source_: source,
        reason: format!("{name} has no such value"),
    }))
}

fn nested(name: &str, value: Value) -> Table {
    match name.split_once('.') {
        None => Table::from_iter([(name.to_owned(), value)]),
        Some((first, rest)) => {
            Table::from_iter([(first.to_owned(), Value::Table(nested(rest, value)))])
        }
    }
}

fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(old)), Value::Table(new)) => merge(old, new),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

/// Whether a site can be called so: part of keys and of certificates' names, and never a path.
pub(crate) fn is_site(text: &str) -> bool {
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=limits::service::MAX_SITE_BYTES).contains(&text.len()) && text.bytes().all(letter)
}

/// What can be said of a configuration before anything is started with it.
fn sense(loaded: &Loaded) -> Result<(), ConfigError> {
    let wrong = |name: &'static str, reason: &str| {
        Err(ConfigError::Sense {
            name,
            reason: reason.to_owned(),
            source_: loaded.source(name),
        })
    };
    let config = &loaded.config;
    if config.names.is_empty() {
        return wrong("names", "the certificate needs at least one name");
    }
    let word = is_site;
    if !word(&config.site) {
        return wrong("site", "small letters, digits and hyphens are due");
    }
    if config.limits.per_minute == 0 || config.limits.per_hour == 0 {
        return wrong("limits.per_minute", "a limit of none lets nobody in");
    }
    let observability = &config.observability;
    if !(0.0..=1.0).contains(&observability.sample) {
        return wrong("observability.sample", "a share from 0 to 1 is due");
    }
    let is_address = |text: &str| text.starts_with("http://") || text.starts_with("https://");
    if !observability.endpoint().is_none_or(is_address) {
        return wrong(
            "observability.otlp_endpoint",
            "an address is due, `http://…` or `https://…`",
        );
    }
    let storage = &config.storage;
    if storage != "sqlite" && !storage.starts_with("postgres://") {
        return wrong("storage", "`sqlite` or `postgres://…` is due");
    }
    for issuer in &config.issuers {
        // Whoever can change the answer on the way decides who is who.
        if issuer.jwks.starts_with("http://") && !is_safe(&issuer.jwks) {
            return wrong(
                "issuers",
                "a key set is fetched over https, or read from a file",
            );
        }
        if issuer.roles.is_empty() || issuer.roles.contains(&Role::SuperAdmin) {
            return wrong(
                "issuers",
                "at least one role is due, and none that runs the gateway",
            );
        }
        if !word(&issuer.consumer) || !word(&issuer.site) {
            return wrong(
                "issuers",
                "consumer and site have small letters, digits and hyphens",
            );
        }
    }
    if let Some(reason) = config.passkeys.nonsense() {
        return wrong("passkeys.rp_id", reason);
    }
    for (at, provider) in config.providers.iter().enumerate() {
        if let Some(reason) = provider.nonsense() {
            return wrong("providers", reason);
        }
        let same = |other: &ProviderConfig| other.name == provider.name;
        if config.providers[..at].iter().any(same) {
            return wrong("providers", "two providers have one name");
        }
    }
    for origin in &config.cors_origins {
        let sound = origin.starts_with("https://") || origin.starts_with("http://localhost");
        if !sound || origin.ends_with('/') {
            return wrong(
                "cors_origins",
                "an origin is a scheme (https, or http for localhost), a host and a port",
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect()
    }

    #[test]
    fn a_key_set_comes_by_a_way_that_nobody_can_change() {
        let asked = |jwks: &str| {
            let issuers = format!(
                "[{{iss=\"i\",audience=\"a\",consumer=\"c\",jwks=\"{jwks}\",site=\"s\",roles=[\"clinician\"]}}]"
            );
            load(None, [], &words(&[("issuers", &issuers)]))
        };
        for safe in [
            "https://idp.example/keys",
            "http://localhost:1/keys",
            "/etc/keys.json",
        ] {
            assert!(asked(safe).is_ok(), "{safe}");
        }
        for open in [
            "http://idp.example/keys",
            "http://localhost.evil.example/keys",
        ] {
            assert!(asked(open).is_err(), "{open}");
        }
    }

    #[test]
    fn without_a_word_it_listens_on_loopback_only() {
        let loaded = load(None, [], &[]).unwrap();
        assert!(loaded.config.listen.ip().is_loopback());
        assert_eq!(loaded.config.storage, "sqlite");
    }

    #[test]
    fn the_command_line_outranks_the_environment_and_that_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gateway.toml");
        std::fs::write(
            &file,
            "site = 'file'\nlog = 'file'\n[limits]\nper_minute = 1\nper_hour = 2\n",
        )
        .unwrap();
        let environment = words(&[
            ("NEURASCALE_GATEWAY_LIMITS__PER_MINUTE", "10"),
            ("NEURASCALE_GATEWAY_LOG", "environment"),
            ("NEURASCALE_GATEWAY_CONFIG", "not a setting"),
            ("PATH", "/bin"),
        ]);
        let flags = words(&[("log", "flag"), ("names", "[\"a\", \"b\"]")]);
        let loaded = load(Some(&file), environment, &flags).unwrap();
        let config = &loaded.config;
        assert_eq!(
            (config.site.as_str(), config.log.as_str()),
            ("file", "flag")
        );
        assert_eq!(
            config.limits,
            RequestLimits {
                per_minute: 10,
                per_hour: 2
            }
        );
        assert_eq!(config.names, ["a", "b"]);
        assert_eq!(loaded.source("log"), Source::CommandLine);
        assert_eq!(loaded.source("limits.per_hour"), Source::File(file));
        assert_eq!(
            loaded.source("limits.per_minute").to_string(),
            "NEURASCALE_GATEWAY_LIMITS__PER_MINUTE"
        );
        assert_eq!(loaded.source("listen"), Source::Default);
    }

    #[test]
    fn the_environment_of_others_is_weaker_than_its_own_and_stronger_than_the_file() {
        let usual = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://usual:4318");
        let own = (
            "NEURASCALE_GATEWAY_OBSERVABILITY__OTLP_ENDPOINT",
            "http://own:4318",
        );
        let empty = ("OTEL_EXPORTER_OTLP_ENDPOINT", "");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gateway.toml");
        std::fs::write(
            &file,
            "[observability]\notlp_endpoint = 'http://file:4318'\nsample = 1\n",
        )
        .unwrap();
        for (environment, due) in [
            (vec![usual], "http://usual:4318"),
            (vec![usual, own], "http://own:4318"),
            (vec![own, usual], "http://own:4318"),
            (vec![empty], "http://file:4318"),
        ] {
            let loaded = load(Some(&file), words(&environment), &[]).unwrap();
            assert_eq!(loaded.config.observability.endpoint(), Some(due));
        }
        assert_eq!(Config::default().observability.endpoint(), None);
    }

    #[test]
    fn slips_are_named_with_their_source() {
        for (environment, flags, due) in [
            (
                words(&[("NEURASCALE_GATEWAY_LISTN", "1")]),
                vec![],
                "NEURASCALE_GATEWAY_LISTN",
            ),
            (
                vec![],
                words(&[("limits.per_minute", "many")]),
                "command line",
            ),
            (vec![], words(&[("listen", "here")]), "command line"),
            (vec![], words(&[("site", "Über uns")]), "site"),
            (vec![], words(&[("storage", "mysql://x")]), "storage"),
            (
                vec![],
                words(&[("observability.sample", "2")]),
                "observability.sample",
            ),
            (
                words(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "collector")]),
                vec![],
                "OTEL_EXPORTER_OTLP_ENDPOINT",
            ),
            (
                vec![],
                words(&[("cors_origins", "[\"*\"]")]),
                "cors_origins",
            ),
        ] {
            let error = load(None, environment, &flags).unwrap_err().to_string();
            assert!(error.contains(due), "{error}");
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gateway.toml");
        std::fs::write(&file, "sites = 'x'").unwrap();
        let error = load(Some(&file), [], &[]).unwrap_err().to_string();
        assert!(
            error.contains("gateway.toml") && error.contains("sites"),
            "{error}"
        );
    }

    #[test]
    fn a_database_password_is_not_shown() {
        let flags = words(&[("storage", "postgres://gateway:secret@db:5432/gateway")]);
        let loaded = load(None, [], &flags).unwrap();
        let shown = format!("{:?}", loaded.table());
        assert!(
            shown.contains("postgres://gateway:") && !shown.contains("secret"),
            "{shown}"
        );
    }
}
