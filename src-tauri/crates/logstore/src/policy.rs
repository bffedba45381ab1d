//! Which events become ledger entries, and what such an entry holds.

use std::fmt::Write as _;

use events::{
    Payload, SystemEvent,
    payloads::{HealthCheck, LedgerEventRecorded},
};
use ledger::{CanonicalError, CanonicalJson, Draft};
use serde_json::Value;

/// Says whether an event becomes a ledger entry.
pub type LedgerPolicy = fn(&SystemEvent) -> bool;

/// Everything does, but `system.health_check`, which says nothing about a session, and
/// `ledger.event_recorded`, which would follow from itself for ever.
pub fn ledger_all(event: &SystemEvent) -> bool {
    event.event_type != HealthCheck::EVENT_TYPE && !announces_entries(event)
}

/// Whether the event is `ledger.event_recorded`, which no policy can make an entry of.
pub(crate) fn announces_entries(event: &SystemEvent) -> bool {
    event.event_type == LedgerEventRecorded::EVENT_TYPE
}

/// The entry of an event: its type, time and actor, and as payload the canonical JSON of
/// `causation_id`, `correlation_id`, `data`, `event_id`, `schema_version`, `site` where there is one, and
/// `source_service`.
/// The actor is the data's `by_user_id` or `user_id`, where there is one, or else the service.
pub(crate) fn draft_of(event: &SystemEvent) -> Result<Draft, CanonicalError> {
    let data = CanonicalJson::from_value(&event.data)?;
    let service = CanonicalJson::from_value(&Value::from(event.source_service.as_str()))?;
    let site = match &event.site {
        None => String::new(),
        Some(site) => {
            let site = CanonicalJson::from_value(&Value::from(site.as_str()))?;
            format!("\"site\":{},", site.as_str())
        }
    };
    let causation = event
        .causation_id
        .map_or("null".to_owned(), |id| format!("\"{id}\""));
    let mut payload = String::with_capacity(data.as_str().len() + 256);
    // Members in canonical order; each value is canonical by itself.
    let _ = write!(
        payload,
        r#"{{"causation_id":{causation},"correlation_id":"{}","data":{},"event_id":"{}","schema_version":{},{site}"source_service":{}}}"#,
        event.correlation_id,
        data.as_str(),
        event.event_id,
        event.schema_version,
        service.as_str(),
    );
    let user = |name| event.data.get(name).and_then(Value::as_str);
    let actor = user("by_user_id")
        .or_else(|| user("user_id"))
        .unwrap_or(&event.source_service);
    Ok(Draft {
        kind: event.event_type.to_string(),
        time_ns: event.timestamp.as_nanos(),
        actor: actor.to_owned(),
        payload: CanonicalJson::unchecked(payload),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_of_an_event_is_canonical() {
        let event = SystemEvent {
            event_type: events::EventType::new("session.started"),
            source_service: "a \"service\"\n".into(),
            event_id: uuid::Uuid::from_u128(1),
            timestamp: events::Timestamp(5),
            schema_version: 2,
            data: serde_json::json!({ "z": 1.50, "a": [null], "by_user_id": "someone" }),
            correlation_id: uuid::Uuid::from_u128(2),
            causation_id: Some(uuid::Uuid::from_u128(3)),
            site: None,
            traceparent: None,
        };
        for (causation_id, site) in [(event.causation_id, None), (None, Some("north \"1\""))] {
            let event = SystemEvent {
                causation_id,
                site: site.map(str::to_owned),
                ..event.clone()
            };
            let draft = draft_of(&event).unwrap();
            CanonicalJson::parse(draft.payload.as_str()).unwrap();
            let mut expected = serde_json::json!({
                "event_id": event.event_id, "data": event.data, "schema_version": 2,
                "source_service": event.source_service, "correlation_id": event.correlation_id,
                "causation_id": causation_id,
            });
            if let Some(site) = site {
                expected["site"] = site.into();
            }
            assert_eq!(draft.payload, CanonicalJson::from_value(&expected).unwrap());
            assert_eq!(draft.actor, "someone");
        }
    }
}
