//! Where a service's healthy instances are: looked up for every request that is routed.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use super::{
    Discovery, Fault,
    model::{CHECKS, NODES, Placed, SERVICES, Status},
};
use crate::limits::discovery as limits;

/// One instance of a service.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Instance {
    /// Its id.
    pub id: String,
    /// Its host: a name or an address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How much of the load it takes, beside the others' weights.
    pub weight: u32,
}

/// Healthy instances, remembered until something changes.
#[derive(Debug)]
pub struct Instances {
    discovery: Discovery,
    known: RwLock<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Index of the state that the lists are of.
    index: u64,
    lists: HashMap<(String, String), Arc<[Instance]>>,
}

impl Instances {
    /// Of what is discovered.
    pub fn new(discovery: Discovery) -> Self {
        Self {
            discovery,
            known: RwLock::default(),
        }
    }

    /// Instances of a site's service of which no check is critical. In memory, in well under a microsecond
    /// where nothing has changed.
    pub fn healthy(&self, site: &str, service: &str) -> Arc<[Instance]> {
        let state = &self.discovery.state;
        let last = state.space_index(SERVICES).max(state.space_index(CHECKS));
        let last = last.max(state.space_index(NODES));
        let key = (site.to_owned(), service.to_owned());
        {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            if known.index == last
                && let Some(list) = known.lists.get(&key)
            {
                return Arc::clone(list);
            }
        }
        let list = self
            .look_up(site, service)
            .unwrap_or_else(|_| Arc::from([]));
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.index != last || known.lists.len() >= limits::REMEMBERED_SERVICES {
            known.lists.clear();
            known.index = last;
        }
        known.lists.insert(key, Arc::clone(&list));
        list
    }

    fn look_up(&self, site: &str, name: &str) -> Result<Arc<[Instance]>, Fault> {
        let checks = self.discovery.checks(site, None)?;
        let healthy = |placed: &Placed| {
            !checks.iter().any(|one| {
                let own =
                    one.check.service_id.is_empty() || one.check.service_id == placed.service.id;
                one.node == placed.node && own && one.check.status == Status::Critical
            })
        };
        let mut instances = Vec::new();
        for placed in self.discovery.services(site, None)? {
            if placed.service.name != name || !healthy(&placed) {
                continue;
            }
            let host = if placed.service.address.is_empty() {
                let node = self.discovery.node_shown(site, &placed.node)?;
                node["Address"].as_str().unwrap_or_default().to_owned()
            } else {
                placed.service.address
            };
            instances.push(Instance {
                id: placed.service.id,
                host,
                port: placed.service.port,
                weight: placed.service.weights.0.max(1),
            });
        }
        Ok(instances.into())
    }
}
