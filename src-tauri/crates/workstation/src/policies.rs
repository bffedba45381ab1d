//! Policies of this station: the one list, with their defaults, and where each value comes from.
//!
//! A policy stands here only where the program obeys it. The site's file outranks what an
//! administrator set, which outranks the default.

use crate::engine_room::Room;
use crate::error::{Error, ErrorKind, Result};
use crate::facade::Workstation;
use crate::limits::{
    DISK_PROBLEM_HOURS, DISK_WARNING_HOURS, LOCK_AFTER_S, LONGEST_LOCK_AFTER_S, MAINS_HZ,
    MAX_POLICY_BYTES, MOST_DISK_WARNING_HOURS, SHORTEST_LOCK_AFTER_S,
};
use clinic::Protocol;
use events::payloads::PolicyChanged;
use logstore::UnitOfWork;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use signal::UtcNanos;
use std::collections::BTreeMap;
use std::path::Path;
use store::write;
use uuid::Uuid;

/// A policy that the program obeys.
struct Policy {
    name: &'static str,
    unit: &'static str,
    description: &'static str,
    default: fn() -> Value,
    fits: fn(&Value) -> bool,
    /// What fits, for people.
    expects: &'static str,
}

const LOCK: &str = "lock_after_s";
const MAINS: &str = "mains_hz";
const PROTOCOL: &str = "default_protocol";
const IDENTIFIED: &str = "identified_export";
const DISK: &str = "disk_warning_hours";
const OUTLET: &str = "lsl_outlet";

/// In the order of the page.
const POLICIES: [Policy; 6] = [
    Policy {
        name: LOCK,
        unit: "s",
        description: "The window locks itself after so long without a key or movement.",
        default: || json!(LOCK_AFTER_S),
        fits: |value| {
            value.as_u64().is_some_and(|s| {
                (u64::from(SHORTEST_LOCK_AFTER_S)..=u64::from(LONGEST_LOCK_AFTER_S)).contains(&s)
            })
        },
        expects: "whole seconds from 60 to 3600",
    },
    Policy {
        name: MAINS,
        unit: "Hz",
        description: "Mains frequency: where hum is looked for when signals are judged.",
        default: || json!(MAINS_HZ as u64),
        fits: |value| matches!(value.as_u64(), Some(50 | 60)),
        expects: "50 or 60",
    },
    Policy {
        name: PROTOCOL,
        unit: "",
        description: "The protocol that is offered first, and used where none is named.",
        default: || json!(Protocol::shipped().first().map(|p| p.id.clone())),
        fits: |value| value.as_str().is_some_and(|id| Protocol::find(id).is_ok()),
        expects: "the id of a protocol",
    },
    Policy {
        name: IDENTIFIED,
        unit: "",
        description: "Whether recordings may be exported with the patient's identity.",
        default: || json!(true),
        fits: Value::is_boolean,
        expects: "true or false",
    },
    Policy {
        name: DISK,
        unit: "h",
        description: "A warning is given when the disk lasts for less than this.",
        default: || json!(DISK_WARNING_HOURS),
        fits: |value| {
            value
                .as_f64()
                .is_some_and(|h| (DISK_PROBLEM_HOURS..=MOST_DISK_WARNING_HOURS).contains(&h))
        },
        expects: "hours from 2 to 720",
    },
    Policy {
        name: OUTLET,
        unit: "",
        description: "Whether sessions are published to other programs on the network (LSL), without identity.",
        default: || json!(false),
        fits: Value::is_boolean,
        expects: "true or false",
    },
];

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicySource {
    /// Nobody set it.
    Default,
    /// Set here.
    Administrator,
    /// Set by the site's file; it cannot be changed here.
    Site,
}

/// A policy in force.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyRecord {
    /// Name.
    pub name: &'static str,
    /// What it decides.
    pub description: &'static str,
    /// Value in force.
    pub value: Value,
    /// Unit; may be empty.
    pub unit: &'static str,
    /// Where it comes from.
    pub source: PolicySource,
    /// Who set it here, by name; empty where nobody did.
    pub set_by: String,
    /// When.
    pub set_at: Option<UtcNanos>,
}

/// What an administrator set.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Set {
    value: Value,
    by: Option<Uuid>,
    at_ns: i64,
}

/// The policies in force, as the program uses them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Policies {
    pub(crate) lock_after_s: u32,
    pub(crate) mains_hz: f64,
    pub(crate) default_protocol: String,
    pub(crate) identified_export: bool,
    pub(crate) disk_warning_hours: f64,
    pub(crate) lsl_outlet: bool,
}

/// What the site's file sets, and what in it cannot be used.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct SitePolicies {
    values: BTreeMap<String, Value>,
    pub(crate) problems: Vec<String>,
}

impl SitePolicies {
    /// Reads the site's file; without one, nothing is set. What cannot be used is told by the doctor
    /// and left out: a slip in one line must not put the others out of force.
    pub(crate) fn read(path: &Path) -> Self {
        match std::fs::metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Self::default(),
            Ok(metadata) if metadata.len() > MAX_POLICY_BYTES => Self::wrong("it is too large"),
            _ => match std::fs::read_to_string(path) {
                Ok(text) => Self::parse(&text),
                Err(error) => Self::wrong(&error.to_string()),
            },
        }
    }

    fn wrong(problem: &str) -> Self {
        Self {
            values: BTreeMap::new(),
            problems: vec![problem.to_owned()],
        }
    }

    fn parse(text: &str) -> Self {
        let table: BTreeMap<String, Value> = match toml::from_str(text) {
            Ok(table) => table,
            // The message quotes lines of a file that holds settings only.
            Err(error) => return Self::wrong(&error.to_string()),
        };
        let mut site = Self::default();
        for (name, value) in table {
            match policy(&name) {
                Some(policy) if (policy.fits)(&value) => {
                    site.values.insert(name, value);
                }
                Some(policy) => site
                    .problems
                    .push(format!("'{name}' must be {}", policy.expects)),
                None => site.problems.push(format!("there is no policy '{name}'")),
            }
        }
        site
    }
}

fn policy(name: &str) -> Option<&'static Policy> {
    POLICIES.iter().find(|policy| policy.name == name)
}

fn setting(name: &str) -> String {
    format!("policy.{name}")
}

async fn set_here(room: &Room, policy: &Policy) -> Result<Option<Set>> {
    let kept = room.store()?.setting(&setting(policy.name)).await?;
    // A value that a newer program allowed and this one does not is as good as none.
    Ok(kept
        .and_then(|kept| serde_json::from_value::<Set>(kept).ok())
        .filter(|set| (policy.fits)(&set.value)))
}

/// The policies in force; the defaults and the site's where the store cannot be asked.
pub(crate) async fn in_force(room: &Room) -> Policies {
    let mut values = BTreeMap::new();
    for policy in &POLICIES {
        let value = match room.site.values.get(policy.name) {
            Some(value) => value.clone(),
            None => match set_here(room, policy).await {
                Ok(Some(set)) => set.value,
                Ok(None) | Err(_) => (policy.default)(),
            },
        };
        values.insert(policy.name, value);
    }
    let of = |name: &str| values.get(name).cloned().unwrap_or_default();
    Policies {
        lock_after_s: of(LOCK)
            .as_u64()
            .and_then(|s| u32::try_from(s).ok())
            .unwrap_or(LOCK_AFTER_S),
        mains_hz: of(MAINS).as_f64().unwrap_or(MAINS_HZ),
        default_protocol: of(PROTOCOL).as_str().unwrap_or_default().to_owned(),
        identified_export: of(IDENTIFIED).as_bool().unwrap_or(true),
        disk_warning_hours: of(DISK).as_f64().unwrap_or(DISK_WARNING_HOURS),
        lsl_outlet: of(OUTLET).as_bool().unwrap_or(false),
    }
}

impl Workstation {
    /// The policies in force, and where each comes from.
    ///
    /// # Errors
    /// The store.
    pub async fn policies(&self) -> Result<Vec<PolicyRecord>> {
        let users = self.room.store()?.users().await?;
        let mut all = Vec::new();
        for policy in &POLICIES {
            let mut record = PolicyRecord {
                name: policy.name,
                description: policy.description,
                value: (policy.default)(),
                unit: policy.unit,
                source: PolicySource::Default,
                set_by: String::new(),
                set_at: None,
            };
            if let Some(value) = self.room.site.values.get(policy.name) {
                record.value = value.clone();
                record.source = PolicySource::Site;
            } else if let Some(set) = set_here(&self.room, policy).await? {
                record.value = set.value;
                record.source = PolicySource::Administrator;
                record.set_at = Some(UtcNanos(set.at_ns));
                record.set_by = match set.by {
                    None => "the system".to_owned(),
                    Some(by) => users
                        .iter()
                        .find(|user| user.id.0 == by)
                        .map_or_else(|| by.to_string(), |user| user.display_name.clone()),
                };
            }
            all.push(record);
        }
        Ok(all)
    }

    /// Sets a policy, or with no value puts its default back.
    ///
    /// # Errors
    /// No such policy, a value that does not fit, one that the site has set; the store.
    pub async fn set_policy(&self, name: &str, value: Option<Value>) -> Result<()> {
        let policy = policy(name).ok_or_else(|| Error::not_found("policy", name))?;
        if self.room.site.values.contains_key(name) {
            return Err(Error::new(
                ErrorKind::Refused,
                format!("'{name}' is set by the site"),
                "Ask whoever manages this machine.",
            ));
        }
        if value.as_ref().is_some_and(|value| !(policy.fits)(value)) {
            let message = format!("'{name}' must be {}", policy.expects);
            return Err(Error::new(ErrorKind::Invalid, message, ""));
        }
        let by = self.room.by_user_id();
        let payload = PolicyChanged {
            name: name.to_owned(),
            value: value.as_ref().map(Value::to_string),
            by_user_id: by,
        };
        let now = events::Timestamp(self.room.clock.utc().0);
        let statement = match value {
            None => write::delete_setting(&setting(name)),
            Some(value) => {
                let set = Set {
                    value,
                    by,
                    at_ns: now.0,
                };
                let set = serde_json::to_value(&set)
                    .map_err(|error| Error::internal("keep the policy", &error))?;
                write::set_setting(&setting(name), &set, now)
            }
        };
        let unit = UnitOfWork::new()
            .statement(statement)
            .event(self.event_of(Uuid::now_v7(), &payload)?);
        self.room.store()?.commit(unit).await?;
        Ok(())
    }

    /// Protocols, the one offered first at the top.
    pub async fn protocols(&self) -> Vec<Protocol> {
        let first = in_force(&self.room).await.default_protocol;
        let mut all = Protocol::shipped();
        all.sort_by_key(|protocol| protocol.id != first);
        all
    }

    /// The window locks itself after so long without a key or movement, s.
    pub async fn lock_after_s(&self) -> u32 {
        in_force(&self.room).await.lock_after_s
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_fits_and_names_are_unique() {
        let mut names: Vec<_> = POLICIES.iter().map(|policy| policy.name).collect();
        for policy in &POLICIES {
            assert!((policy.fits)(&(policy.default)()), "{}", policy.name);
            assert!(!(policy.fits)(&Value::Null), "{}", policy.name);
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), POLICIES.len());
    }

    #[test]
    fn a_slip_in_the_sites_file_leaves_the_rest_in_force() {
        let site = SitePolicies::parse("mains_hz = 60\nlock_after_s = 5\nno_such = true\n");
        assert_eq!(site.values, BTreeMap::from([(MAINS.to_owned(), json!(60))]));
        assert_eq!(site.problems.len(), 2, "{:?}", site.problems);
        let broken = SitePolicies::parse("mains_hz = ");
        assert!(broken.values.is_empty() && broken.problems.len() == 1);
        let none = SitePolicies::read(Path::new("/no/such/policy.toml"));
        assert_eq!(none, SitePolicies::default());
    }
}
