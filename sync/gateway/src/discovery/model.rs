//! Nodes, services and checks: as they are kept, as clients bring them, as they are shown.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use super::{DATACENTER, Discovery, Fault, durations};
use crate::{
    limits::discovery as limits,
    state::{Item, Space},
};

/// Services, by site, node and id.
pub(crate) const SERVICES: Space = "services";
/// Checks, by site, node and id.
pub(crate) const CHECKS: Space = "checks";
/// Nodes, by site and name.
pub(crate) const NODES: Space = "nodes";
/// Until when a check that reports by itself is believed, ns after 1970: apart, so that a report that changes
/// nothing wakes nobody.
pub(crate) const DEADLINES: Space = "check_deadlines";

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It works.
    Passing,
    /// It works, and something is wrong.
    Warning,
    /// It does not work.
    Critical,
}

impl Status {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Passing => "passing",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Passing, Self::Warning, Self::Critical]
            .into_iter()
            .find(|status| status.as_str() == text)
    }
}

/// A list or a map that Go's programs send as null when it is empty.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A service as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Service {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) port: u16,
    pub(crate) tags: Vec<String>,
    pub(crate) meta: BTreeMap<String, String>,
    pub(crate) weights: (u32, u32),
}

/// How a check is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Probe {
    /// A request whose answer is 2xx (429 warns).
    Http { url: String, method: String },
    /// A connection.
    Tcp { address: String },
    /// gRPC's health protocol, of a service or of the whole server.
    Grpc { address: String, service: String },
    /// It reports by itself at least so often.
    Ttl { ttl_ms: u64 },
    /// It stays as it was set.
    Set,
}

/// A check as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Check {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) notes: String,
    pub(crate) status: Status,
    pub(crate) output: String,
    pub(crate) service_id: String,
    pub(crate) service_name: String,
    pub(crate) service_tags: Vec<String>,
    pub(crate) probe: Probe,
    pub(crate) interval_ms: u64,
    pub(crate) timeout_ms: u64,
    /// Critical for so long, its service is deregistered.
    pub(crate) deregister_after_ms: Option<u64>,
    /// Since when it is critical, ns after 1970.
    pub(crate) critical_since_ns: Option<i64>,
}

/// A node as it is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Node {
    pub(crate) address: String,
    pub(crate) meta: BTreeMap<String, String>,
}

/// A check as clients define it, alone or within a service.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct CheckDefinition {
    #[serde(rename = "CheckID", alias = "ID", alias = "id", alias = "check_id")]
    pub(crate) id: String,
    #[serde(rename = "Name", alias = "name")]
    pub(crate) name: String,
    #[serde(rename = "Notes", alias = "notes")]
    pub(crate) notes: String,
    #[serde(rename = "ServiceID", alias = "service_id", alias = "serviceid")]
    pub(crate) service_id: String,
    #[serde(rename = "Status", alias = "status")]
    pub(crate) status: String,
    #[serde(rename = "HTTP", alias = "http")]
    pub(crate) http: String,
    #[serde(rename = "Method", alias = "method")]
    pub(crate) method: String,
    #[serde(rename = "TCP", alias = "tcp")]
    pub(crate) tcp: String,
    #[serde(rename = "GRPC", alias = "grpc")]
    pub(crate) grpc: String,
    #[serde(rename = "TTL", alias = "ttl")]
    pub(crate) ttl: String,
    #[serde(rename = "Interval", alias = "interval")]
    pub(crate) interval: String,
    #[serde(rename = "Timeout", alias = "timeout")]
    pub(crate) timeout: String,
    #[serde(
        rename = "DeregisterCriticalServiceAfter",
        alias = "deregister_critical_service_after"
    )]
    pub(crate) deregister_after: String,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Weights {
    pub(crate) passing: u32,
    pub(crate) warning: u32,
}

/// A service as clients register it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub(crate) struct ServiceDefinition {
    #[serde(rename = "ID", alias = "id", default)]
    pub(crate) id: Option<String>,
    #[serde(rename = "Name", alias = "name")]
    pub(crate) name: String,
    #[serde(rename = "Address", alias = "address", default)]
    pub(crate) address: Option<String>,
    #[serde(rename = "Port", alias = "port", default)]
    pub(crate) port: Option<u16>,
    #[serde(
        rename = "Tags",
        alias = "tags",
        default,
        deserialize_with = "or_default"
    )]
    pub(crate) tags: Vec<String>,
    #[serde(
        rename = "Meta",
        alias = "meta",
        default,
        deserialize_with = "or_default"
    )]
    pub(crate) meta: BTreeMap<String, String>,
    #[serde(rename = "Weights", alias = "weights", default)]
    pub(crate) weights: Option<Weights>,
    #[serde(rename = "Check", alias = "check", default)]
    pub(crate) check: Option<CheckDefinition>,
    #[serde(
        rename = "Checks",
        alias = "checks",
        default,
        deserialize_with = "or_default"
    )]
    pub(crate) checks: Vec<CheckDefinition>,
}

/// Reads a body as Consul's clients send it.
pub(crate) fn body<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(bytes)
        .map_err(|error| Fault::request(format!("Request decode failed: {error}")))
}

/// Reads what is kept.
pub(crate) fn read<T: serde::de::DeserializeOwned>(item: &Item) -> Result<T, Fault> {
    serde_json::from_slice(&item.value).map_err(|error| {
        tracing::error!(%error, key = item.key, "an item of the catalogue cannot be read");
        Fault::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the catalogue is damaged",
        )
    })
}

/// Writes what is to be kept.
pub(crate) fn write(kept: &impl Serialize) -> Result<Vec<u8>, Fault> {
    serde_json::to_vec(kept)
        .map_err(|error| Fault::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

fn milliseconds(text: &str, otherwise: Duration, what: &str) -> Result<u64, Fault> {
    let length = if text.is_empty() {
        otherwise
    } else {
        durations::parse(text).ok_or_else(|| Fault::request(format!("Invalid {what} {text:?}")))?
    };
    Ok(u64::try_from(length.as_millis()).unwrap_or(u64::MAX))
}

impl CheckDefinition {
    /// The check that it defines, for a service or for the whole node.
    pub(crate) fn check(
        &self,
        service: Option<&Service>,
        default_id: String,
        now_ns: i64,
    ) -> Result<Check, Fault> {
        let kinds = [&self.http, &self.tcp, &self.grpc, &self.ttl];
        if kinds.iter().filter(|kind| !kind.is_empty()).count() > 1 {
            return Err(Fault::request(
                "A check is of one kind: HTTP, TCP, GRPC or TTL",
            ));
        }
        let probe = if !self.http.is_empty() {
            if !self.http.starts_with("http://") && !self.http.starts_with("https://") {
                return Err(Fault::request(
                    "Invalid HTTP check: an http or https URL is due",
                ));
            }
            Probe::Http {
                url: self.http.clone(),
                method: if self.method.is_empty() {
                    "GET".into()
                } else {
                    self.method.clone()
                },
            }
        } else if !self.tcp.is_empty() {
            Probe::Tcp {
                address: self.tcp.clone(),
            }
        } else if !self.grpc.is_empty() {
            let (address, service) = self.grpc.split_once('/').unwrap_or((&self.grpc, ""));
            Probe::Grpc {
                address: address.to_owned(),
                service: service.to_owned(),
            }
        } else if !self.ttl.is_empty() {
            Probe::Ttl {
                ttl_ms: milliseconds(&self.ttl, Duration::ZERO, "TTL")?,
            }
        } else {
            Probe::Set
        };
        let interval_ms = milliseconds(&self.interval, limits::CHECK_INTERVAL, "Interval")?;
        let least = u64::try_from(limits::CHECK_INTERVAL_AT_LEAST.as_millis()).unwrap_or(0);
        let status = match self.status.as_str() {
            // Until it is known to work it does not.
            "" => Status::Critical,
            text => Status::parse(text)
                .ok_or_else(|| Fault::request(format!("Invalid Status {text:?}")))?,
        };
        let id = if self.id.is_empty() {
            default_id
        } else {
            self.id.clone()
        };
        let name = match (self.name.is_empty(), service) {
            (false, _) => self.name.clone(),
            (true, Some(service)) => format!("Service '{}' check", service.name),
            (true, None) => id.clone(),
        };
        let deregister_after_ms = match self.deregister_after.as_str() {
            "" => None,
            text => Some(milliseconds(
                text,
                Duration::ZERO,
                "DeregisterCriticalServiceAfter",
            )?),
        };
        Ok(Check {
            id,
            name,
            notes: self.notes.clone(),
            status,
            output: String::new(),
            service_id: service
                .map(|service| service.id.clone())
                .unwrap_or_default(),
            service_name: service
                .map(|service| service.name.clone())
                .unwrap_or_default(),
            service_tags: service
                .map(|service| service.tags.clone())
                .unwrap_or_default(),
            probe,
            interval_ms: interval_ms.max(least),
            timeout_ms: milliseconds(&self.timeout, limits::CHECK_TIMEOUT, "Timeout")?,
            deregister_after_ms,
            critical_since_ns: (status == Status::Critical).then_some(now_ns),
        })
    }
}

impl Service {
    pub(crate) fn from_definition(definition: &ServiceDefinition) -> Result<Self, Fault> {
        let id = definition.id.clone().filter(|id| !id.is_empty());
        let id = id.unwrap_or_else(|| definition.name.clone());
        if definition.name.is_empty() {
            return Err(Fault::request("Missing service name"));
        }
        if id.contains('/') || definition.name.contains('/') {
            return Err(Fault::request("A service's id and name have no slash"));
        }
        let weights = definition.weights.unwrap_or(Weights {
            passing: 1,
            warning: 1,
        });
        Ok(Self {
            id,
            name: definition.name.clone(),
            address: definition.address.clone().unwrap_or_default(),
            port: definition.port.unwrap_or(0),
            tags: definition.tags.clone(),
            meta: definition.meta.clone(),
            weights: (weights.passing, weights.warning),
        })
    }

    /// As agents and health answers show it.
    pub(crate) fn shown(&self, item: &Item) -> Value {
        json!({
            "ID": self.id, "Service": self.name, "Tags": self.tags, "Address": self.address,
            "Meta": self.meta, "Port": self.port, "EnableTagOverride": false,
            "Weights": { "Passing": self.weights.0, "Warning": self.weights.1 },
            "Datacenter": DATACENTER, "CreateIndex": item.created, "ModifyIndex": item.modified,
        })
    }
}

impl Check {
    pub(crate) fn shown(&self, node: &str, item: &Item) -> Value {
        let kind = match &self.probe {
            Probe::Http { .. } => "http",
            Probe::Tcp { .. } => "tcp",
            Probe::Grpc { .. } => "grpc",
            Probe::Ttl { .. } => "ttl",
            Probe::Set => "",
        };
        json!({
            "Node": node, "CheckID": self.id, "Name": self.name, "Status": self.status,
            "Notes": self.notes, "Output": self.output, "ServiceID": self.service_id,
            "ServiceName": self.service_name, "ServiceTags": self.service_tags, "Type": kind,
            "Definition": {}, "CreateIndex": item.created, "ModifyIndex": item.modified,
        })
    }

    /// Takes a new status over; since when it is critical goes on counting.
    pub(crate) fn set(&mut self, status: Status, output: &str, now_ns: i64) {
        let mut output = output.to_owned();
        let mut end = limits::CHECK_OUTPUT_BYTES.min(output.len());
        while !output.is_char_boundary(end) {
            end -= 1;
        }
        output.truncate(end);
        self.critical_since_ns = match status {
            Status::Critical => self.critical_since_ns.or(Some(now_ns)),
            _ => None,
        };
        self.status = status;
        self.output = output;
    }
}

/// A service where it is registered.
pub(crate) struct Placed {
    pub(crate) node: String,
    pub(crate) item: Arc<Item>,
    pub(crate) service: Service,
}

/// A check where it is registered.
pub(crate) struct PlacedCheck {
    pub(crate) node: String,
    pub(crate) item: Arc<Item>,
    pub(crate) check: Check,
}

/// The node in a key of the form site, node, id.
fn node_of(item: &Item) -> String {
    item.key.split('/').nth(1).unwrap_or_default().to_owned()
}

impl Discovery {
    /// Services of a site, of one node or of all.
    pub(crate) fn services(&self, site: &str, node: Option<&str>) -> Result<Vec<Placed>, Fault> {
        let prefix = node.map_or(format!("{site}/"), |node| format!("{site}/{node}/"));
        let items = self.state.list(SERVICES, &prefix);
        items
            .into_iter()
            .map(|item| {
                let (node, service) = (node_of(&item), read(&item)?);
                Ok(Placed {
                    node,
                    item,
                    service,
                })
            })
            .collect()
    }

    /// Checks of a site, of one node or of all.
    pub(crate) fn checks(&self, site: &str, node: Option<&str>) -> Result<Vec<PlacedCheck>, Fault> {
        let prefix = node.map_or(format!("{site}/"), |node| format!("{site}/{node}/"));
        let items = self.state.list(CHECKS, &prefix);
        items
            .into_iter()
            .map(|item| {
                let (node, check) = (node_of(&item), read(&item)?);
                Ok(PlacedCheck { node, item, check })
            })
            .collect()
    }

    /// A node as it is shown.
    pub(crate) fn node_shown(&self, site: &str, name: &str) -> Result<Value, Fault> {
        let item = self.state.get(NODES, &format!("{site}/{name}"));
        let node: Node = item.as_deref().map(read).transpose()?.unwrap_or_default();
        let (created, modified) = item.map_or((0, 0), |item| (item.created, item.modified));
        Ok(json!({
            "ID": "", "Node": name, "Address": node.address, "Datacenter": DATACENTER,
            "TaggedAddresses": null, "Meta": node.meta,
            "CreateIndex": created, "ModifyIndex": modified,
        }))
    }
}
