//! What events of each type and version must look like.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use axum::{
    Json,
    extract::{Path, State as Shared},
    http::StatusCode,
};
use events::SystemEvent;
use jsonschema::{PatternOptions, Validator};
use serde::Serialize;
use serde_json::Value;

use super::{
    EventApi,
    fault::{Answer, Body, bad_request, conflict, not_found, of_state, unprocessable},
    query::is_type,
};
use crate::{
    Failure,
    limits::events as limits,
    state::{Expect, Op, Space, State, StateError},
};

/// Registered schemas by `<type>/<version>`.
const SPACE: Space = "event_schemas";

/// Code of an event whose type and version nobody has described.
pub(super) const UNKNOWN_SCHEMA: &str = "event.unknown_schema";

/// Embeds the schemas of this program's own events, those of earlier versions included.
macro_rules! built_in {
    ($($name:literal),* $(,)?) => {
        const BUILT_IN: &[(&str, &str)] = &[$((
            $name,
            include_str!(concat!("../../../../assets/schemas/events/", $name, ".json")),
        )),*];
    };
}

built_in![
    "clock.stepped.v1",
    "device.connected.v1",
    "device.disconnected.v1",
    "device.retrying.v1",
    "disk.space_low.v1",
    "export.created.v1",
    "ledger.event_recorded.v1",
    "model.inference_completed.v1",
    "order.added.v1",
    "order.cancelled.v1",
    "patient.consent_noted.v1",
    "patient.consent_open.v1",
    "patient.edited.v1",
    "patient.registered.v1",
    "patient.searched.v1",
    "patient.viewed.v1",
    "policy.changed.v1",
    "recorder.gap.v1",
    "recording.annotated.v1",
    "recording.finished.v1",
    "recording.segment_closed.v1",
    "report.created.v1",
    "report.signed.v1",
    "safety.emergency_stop.v1",
    "security.authentication_failed.v1",
    "security.break_glass.v1",
    "security.signed_in.v1",
    "security.signed_out.v1",
    "session.completed.v1",
    "session.consent_withdrawn.v1",
    "session.paused.v1",
    "session.reassigned.v1",
    "session.relabelled.v1",
    "session.requirement_waived.v1",
    "session.started.v1",
    "session.step.v1",
    "signal.quality_alert.v1",
    "signal.quality_alert.v2",
    "system.health_check.v1",
    "timing.certified.v1",
    "user.added.v1",
    "user.disabled.v1",
];

/// Schemas compiled for checking.
pub(super) struct Schemas {
    state: State,
    built_in: HashMap<String, Arc<Validator>>,
    /// By the commit that registered each.
    registered: RwLock<HashMap<String, (u64, Arc<Validator>)>>,
}

impl fmt::Debug for Schemas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schemas").finish_non_exhaustive()
    }
}

/// Patterns take time in proportion to the text, and nothing is fetched from elsewhere.
fn compile(schema: &Value) -> Result<Validator, String> {
    let patterns = PatternOptions::regex().size_limit(limits::MAX_PATTERN_BYTES);
    jsonschema::options()
        .with_pattern_options(patterns)
        .build(schema)
        .map_err(|error| error.to_string())
}

fn key_of(kind: &str, version: u32) -> String {
    format!("{kind}/{version}")
}

/// The key of `<type>.v<version>`.
fn key_of_file(name: &str) -> String {
    let (kind, version) = name.rsplit_once(".v").unwrap_or((name, ""));
    format!("{kind}/{version}")
}

fn source_of_built_in(key: &str) -> Option<&'static str> {
    let found = BUILT_IN.iter().find(|(name, _)| key_of_file(name) == key);
    found.map(|(_, text)| *text)
}

impl Schemas {
    pub(super) fn new(state: State) -> Self {
        let mut built_in = HashMap::new();
        for (name, text) in BUILT_IN {
            // A test compiles them all; one that did not would let no event of its type in.
            let compiled = serde_json::from_str(text)
                .map_err(|error| error.to_string())
                .and_then(|schema| compile(&schema));
            match compiled {
                Ok(validator) => {
                    built_in.insert(key_of_file(name), Arc::new(validator));
                }
                Err(error) => tracing::error!(name, %error, "a schema of our own is no schema"),
            }
        }
        Self {
            state,
            built_in,
            registered: RwLock::default(),
        }
    }

    fn find(&self, key: &str) -> Option<Arc<Validator>> {
        if let Some(validator) = self.built_in.get(key) {
            return Some(Arc::clone(validator));
        }
        let item = self.state.get(SPACE, key)?;
        let known = self
            .registered
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((index, validator)) = known.get(key)
            && *index == item.modified
        {
            return Some(Arc::clone(validator));
        }
        drop(known);
        let schema = serde_json::from_slice(&item.value).ok()?;
        let validator = Arc::new(compile(&schema).ok()?);
        let mut known = self
            .registered
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        known.insert(key.to_owned(), (item.modified, Arc::clone(&validator)));
        Some(validator)
    }

    /// Reads what other replicas have registered up to now, as every commit does.
    pub(super) async fn refresh(&self, event: &SystemEvent) {
        let key = key_of(event.event_type.as_str(), event.schema_version);
        let nothing = vec![Op::require(SPACE, key, Expect::Present)];
        if let Err(error) = self.state.commit(nothing).await {
            tracing::debug!(%error, "a schema is not known at any replica");
        }
    }

    /// Whether an event is as its type's schema says; a code and a reason if not. The reason says where
    /// and which rule, and repeats no value: those have no place in logs.
    pub(super) fn check(&self, event: &SystemEvent) -> Result<(), (&'static str, String)> {
        let (kind, version) = (event.event_type.as_str(), event.schema_version);
        let Some(validator) = self.find(&key_of(kind, version)) else {
            let reason = format!("{kind} has no schema of version {version}; register it first");
            return Err((UNKNOWN_SCHEMA, reason));
        };
        validator.validate(&event.data).map_err(|error| {
            let path = error.instance_path().to_string();
            let place = if path.is_empty() { "its data" } else { &path };
            let rule = error.schema_path().to_string();
            let reason = format!("{place} breaks the rule {rule} of {kind} version {version}");
            ("event.against_schema", reason)
        })
    }
}

/// A schema that is known.
#[derive(Debug, Serialize)]
pub(super) struct Listed {
    #[serde(rename = "type")]
    kind: String,
    version: u32,
    /// Of this program's own events.
    built_in: bool,
}

pub(super) async fn list(Shared(api): Shared<EventApi>) -> Json<Vec<Listed>> {
    let own = BUILT_IN.iter().map(|(name, _)| (key_of_file(name), true));
    let registered = api.state.list(SPACE, "");
    let registered = registered.iter().map(|item| (item.key.clone(), false));
    let mut listed: Vec<_> = own
        .chain(registered)
        .filter_map(|(key, built_in)| {
            let (kind, version) = key.split_once('/')?;
            Some(Listed {
                kind: kind.to_owned(),
                version: version.parse().ok()?,
                built_in,
            })
        })
        .collect();
    listed.sort_by(|a, b| (&a.kind, a.version).cmp(&(&b.kind, b.version)));
    Json(listed)
}

fn named(kind: &str, version: &str) -> Result<String, Failure> {
    let version = version.parse::<u32>().ok().filter(|version| *version > 0);
    match version {
        Some(version) if is_type(kind) => Ok(key_of(kind, version)),
        _ => Err(bad_request(
            "schema.malformed",
            "a type is named area.what_happened, and a version is a number from 1",
        )),
    }
}

pub(super) async fn get(
    Shared(api): Shared<EventApi>,
    Path((kind, version)): Path<(String, String)>,
) -> Answer<Value> {
    let key = named(&kind, &version)?;
    let missing = || not_found("schema.not_found", "no such schema is known");
    let schema = match source_of_built_in(&key) {
        Some(text) => serde_json::from_str(text),
        None => {
            let item = api.state.get(SPACE, &key).ok_or_else(missing)?;
            serde_json::from_slice(&item.value)
        }
    };
    schema.map(Json).map_err(|_| missing())
}

pub(super) async fn put(
    Shared(api): Shared<EventApi>,
    Path((kind, version)): Path<(String, String)>,
    Body(schema): Body<Value>,
) -> Result<StatusCode, Failure> {
    let key = named(&kind, &version)?;
    if source_of_built_in(&key).is_some() {
        let detail = "that is a schema of this program's own events";
        return Err(conflict("schema.built_in", detail));
    }
    let text = schema.to_string();
    if text.len() > limits::MAX_SCHEMA_BYTES {
        let detail = format!(
            "{} bytes, of at most {}",
            text.len(),
            limits::MAX_SCHEMA_BYTES
        );
        return Err(unprocessable("schema.too_large", detail));
    }
    compile(&schema)
        .map_err(|error| unprocessable("schema.malformed", format!("no JSON Schema: {error}")))?;
    let taken = || {
        conflict(
            "schema.registered",
            "that version is registered and differs; events rely on it, so register the next one",
        )
    };
    let same = |item: &crate::state::Item| {
        serde_json::from_slice::<Value>(&item.value).is_ok_and(|known| known == schema)
    };
    if let Some(item) = api.state.get(SPACE, &key) {
        return if same(&item) {
            Ok(StatusCode::OK)
        } else {
            Err(taken())
        };
    }
    if api.state.list(SPACE, "").len() >= limits::MAX_SCHEMAS {
        return Err(conflict(
            "schema.too_many",
            "no more schemas can be registered",
        ));
    }
    let ops = vec![
        Op::require(SPACE, key.clone(), Expect::Absent),
        Op::put(SPACE, key.clone(), text.clone()),
    ];
    match api.state.commit(ops).await {
        Ok(_) => Ok(StatusCode::CREATED),
        // Registered at the same moment, here or at another replica.
        Err(StateError::Conflict { .. }) => match api.state.get(SPACE, &key) {
            Some(item) if same(&item) => Ok(StatusCode::OK),
            _ => Err(taken()),
        },
        Err(error) => Err(of_state(&error)),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    #[test]
    fn every_schema_in_the_assets_is_built_in_and_compiles() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/schemas/events");
        let files: BTreeSet<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "system_event.json")
            .collect();
        let known: BTreeSet<_> = BUILT_IN
            .iter()
            .map(|(name, _)| format!("{name}.json"))
            .collect();
        assert_eq!(known, files);
        for (name, text) in BUILT_IN {
            compile(&serde_json::from_str(text).unwrap()).unwrap();
            assert_eq!(
                source_of_built_in(&key_of_file(name)),
                Some(*text),
                "{name}"
            );
        }
    }
}
