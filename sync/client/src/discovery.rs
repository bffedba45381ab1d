//! Services, found by name over the gateway's Consul-compatible API.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, PoisonError, RwLock, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use reqwest::{Method, Url};
use serde::{Deserialize, de::DeserializeOwned};
use tokio::{sync::Mutex, task::JoinHandle, time::Instant};

use crate::{Answer, Ask, Call, Client, Error, limits};

/// One place where a service answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Unique on its node.
    pub id: String,
    /// Name or address of the host.
    pub address: String,
    /// Port there.
    pub port: u16,
    /// As it was registered.
    pub tags: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    node: Node,
    service: Service,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Node {
    address: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Service {
    #[serde(rename = "ID")]
    id: String,
    address: String,
    port: u16,
    #[serde(default)]
    tags: Vec<String>,
}

impl std::convert::From<Entry> for Arc<Instance> {
    fn from(entry: Entry) -> Self {
        let own = Some(entry.service.address).filter(|address| !address.is_empty());
        Self::new(Instance {
            id: entry.service.id,
            // A service without an address is where its node is.
            address: own.unwrap_or(entry.node.address),
            port: entry.service.port,
            tags: entry.service.tags,
        })
    }
}

/// Ends with its owner.
#[derive(Debug)]
pub(crate) struct Task(pub(crate) JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A service as it was last heard of.
struct Known {
    instances: RwLock<Arc<[Arc<Instance>]>>,
    /// Whose turn it is.
    next: AtomicUsize,
    used: AtomicBool,
}

impl Known {
    fn choose(&self) -> Option<Arc<Instance>> {
        self.used.store(true, Ordering::Relaxed);
        let instances = self.instances();
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        instances.get(turn.checked_rem(instances.len())?).cloned()
    }

    fn instances(&self) -> Arc<[Arc<Instance>]> {
        let instances = self.instances.read();
        Arc::clone(&instances.unwrap_or_else(PoisonError::into_inner))
    }
}

#[derive(Default)]
struct Cache {
    services: RwLock<HashMap<String, (Arc<Known>, Task)>>,
    /// Held while a service is asked for the first time, so that many callers ask once.
    first: Mutex<()>,
}

impl Cache {
    fn find(&self, name: &str) -> Option<Arc<Known>> {
        let services = self.services.read().unwrap_or_else(PoisonError::into_inner);
        services.get(name).map(|(known, _)| Arc::clone(known))
    }

    fn forget(&self, name: &str) {
        let mut services = self
            .services
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        services.remove(name);
    }

    fn keep(&self, name: &str, known: Arc<Known>, task: Task) {
        let mut services = self
            .services
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        services.insert(name.to_owned(), (known, task));
    }

    fn len(&self) -> usize {
        let services = self.services.read().unwrap_or_else(PoisonError::into_inner);
        services.len()
    }
}

/// What says who asks.
#[derive(Clone)]
pub enum Credentials {
    /// What the client brings of its own: its certificate, and its service tokens if it has them.
    Client,
    /// A bearer token that somebody else keeps valid.
    Token(Arc<str>),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "Client",
            Self::Token(_) => "Token",
        })
    }
}

/// The gateway's registry and configuration. Clones share what is known of services.
#[derive(Clone)]
pub struct Registry {
    pub(crate) source: Source,
    cache: Arc<Cache>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

impl Registry {
    /// Of the gateway at this address.
    pub fn new(client: Client, gateway: Url, credentials: Credentials) -> Self {
        Self {
            source: Source {
                client,
                gateway,
                credentials,
            },
            cache: Arc::default(),
        }
    }

    /// What asks the gateway: how it fares is to be seen there.
    pub fn client(&self) -> &Client {
        &self.source.client
    }

    /// An instance that is passing; in turn, where there are several.
    ///
    /// The first time it is asked for, and from then on it is kept fresh by one blocking query, so that
    /// a look-up is one in memory. While the gateway is away, what was last known holds.
    pub async fn discover_service(&self, name: &str) -> Result<Arc<Instance>, Error> {
        let known = match self.cache.find(name) {
            Some(known) => known,
            None => self.first(name).await?,
        };
        known
            .choose()
            .ok_or_else(|| Error::NoInstance(name.to_owned()))
    }

    /// All instances that are passing, kept fresh as by [`Self::discover_service`].
    pub async fn instances(&self, name: &str) -> Result<Arc<[Arc<Instance>]>, Error> {
        let known = match self.cache.find(name) {
            Some(known) => known,
            None => self.first(name).await?,
        };
        known.used.store(true, Ordering::Relaxed);
        Ok(known.instances())
    }

    async fn first(&self, name: &str) -> Result<Arc<Known>, Error> {
        let _one = self.cache.first.lock().await;
        if let Some(known) = self.cache.find(name) {
            return Ok(known);
        }
        if self.cache.len() >= limits::SERVICES {
            return Err(Error::TooMany);
        }
        let mut url = self.source.url(&["v1", "health", "service", name])?;
        url.set_query(Some("passing"));
        let mut query = Query::new(self.source.clone(), url);
        let found = query.ask::<Vec<Entry>>().await?.unwrap_or_default();
        let known = Arc::new(Known {
            instances: RwLock::new(found.into_iter().map(Into::into).collect()),
            next: AtomicUsize::new(0),
            used: AtomicBool::new(true),
        });
        let fresh = keep_fresh(
            name.to_owned(),
            query,
            Arc::clone(&known),
            Arc::downgrade(&self.cache),
        );
        let task = Task(tokio::spawn(fresh));
        self.cache.keep(name, Arc::clone(&known), task);
        Ok(known)
    }
}

async fn keep_fresh(name: String, mut query: Query, known: Arc<Known>, cache: Weak<Cache>) {
    let mut used = Instant::now();
    loop {
        let found = query.next::<Vec<Entry>>().await.unwrap_or_default();
        let found: Arc<[_]> = found.into_iter().map(Into::into).collect();
        *known
            .instances
            .write()
            .unwrap_or_else(PoisonError::into_inner) = found;
        if known.used.swap(false, Ordering::Relaxed) {
            used = Instant::now();
        }
        if used.elapsed() > limits::IDLE {
            // Ends this very task.
            if let Some(cache) = cache.upgrade() {
                cache.forget(&name);
            }
            return;
        }
    }
}

/// The gateway and who asks it.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    client: Client,
    gateway: Url,
    credentials: Credentials,
}

impl Source {
    /// The address of a path, whatever its parts hold.
    pub(crate) fn url(&self, path: &[&str]) -> Result<Url, Error> {
        let mut url = self.gateway.clone();
        url.path_segments_mut()
            .map_err(|()| Error::Address)?
            .clear()
            .extend(path);
        Ok(url)
    }

    pub(crate) async fn put(&self, url: Url, body: Option<Vec<u8>>) -> Result<(), Error> {
        let ask = self.client.ask(Method::PUT, url, body);
        self.send(ask).await.map(drop)
    }

    /// Whether something is there.
    pub(crate) async fn get(&self, url: Url) -> Result<(), Error> {
        let ask = self.client.ask(Method::GET, url, None);
        self.send(ask).await.map(drop)
    }

    async fn send(&self, ask: Ask) -> Result<Answer, Error> {
        let token = match &self.credentials {
            Credentials::Client => None,
            Credentials::Token(token) => Some(&**token),
        };
        let call = Call {
            token,
            ..Call::default()
        };
        self.client.send(ask, call).await
    }
}

/// A question that is answered when the answer has changed (Consul's blocking queries).
pub(crate) struct Query {
    source: Source,
    url: Url,
    /// From where to wait; 0 does not wait.
    index: u64,
    failures: u32,
    asked: Instant,
}

impl Query {
    pub(crate) fn new(source: Source, url: Url) -> Self {
        Self {
            source,
            url,
            index: 0,
            failures: 0,
            asked: Instant::now(),
        }
    }

    /// The answer, now or once it may have changed; `None` where there is nothing of that name.
    pub(crate) async fn ask<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Error> {
        let mut ask = self.source.client.ask(Method::GET, self.url.clone(), None);
        ask.absent = true;
        ask.waits = self.index > 0;
        // Whoever waits has retries of its own and leaves everybody's budget alone.
        if self.index > 0 || self.failures > 0 {
            ask.attempts = 1;
        }
        if self.index > 0 {
            ask.url
                .query_pairs_mut()
                .append_pair("index", &self.index.to_string())
                .append_pair("wait", &format!("{}s", limits::WAIT.as_secs()));
            ask.attempt = limits::WAIT + limits::WAIT_MARGIN;
            ask.deadline = ask.attempt;
        }
        let answer = self.source.send(ask).await?;
        let index = answer.index.ok_or(Error::Lacks("X-Consul-Index"))?;
        self.index = following(self.index, index);
        if answer.body.is_empty() {
            return Ok(None);
        }
        Ok(Some(serde_json::from_slice(&answer.body)?))
    }

    /// The next answer, however long the gateway is away.
    pub(crate) async fn next<T: DeserializeOwned>(&mut self) -> Option<T> {
        loop {
            tokio::time::sleep_until(self.asked + limits::BETWEEN).await;
            self.asked = Instant::now();
            match self.ask().await {
                Ok(answer) => {
                    self.failures = 0;
                    return answer;
                }
                Err(_) => {
                    // Whoever answers next may count from elsewhere: what is true is asked for at once.
                    self.index = 0;
                    self.failures = self.failures.saturating_add(1);
                    tokio::time::sleep(again(self.failures)).await;
                }
            }
        }
    }
}

/// Where to go on from: an index that went back (a restored gateway) is no place to wait behind.
fn following(asked: u64, answered: u64) -> u64 {
    if answered < asked { 0 } else { answered.max(1) }
}

pub(crate) fn again(failures: u32) -> Duration {
    let doubled = 1_u32
        .checked_shl(failures.saturating_sub(1))
        .unwrap_or(u32::MAX);
    limits::AGAIN
        .saturating_mul(doubled)
        .min(limits::AGAIN_MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_that_goes_back_is_begun_anew() {
        assert_eq!(following(0, 7), 7);
        assert_eq!(following(7, 7), 7);
        assert_eq!(following(7, 6), 0);
        assert_eq!(following(0, 0), 1, "zero would not wait");
    }

    #[test]
    fn waits_double_to_a_bound() {
        assert_eq!(again(1), limits::AGAIN);
        assert_eq!(again(2), limits::AGAIN * 2);
        assert_eq!(again(u32::MAX), limits::AGAIN_MOST);
    }

    #[test]
    fn instances_take_turns() {
        let instance = |port| {
            Arc::new(Instance {
                id: String::new(),
                address: String::new(),
                port,
                tags: Vec::new(),
            })
        };
        let known = Known {
            instances: RwLock::new([1, 2, 3].map(instance).into()),
            next: AtomicUsize::new(0),
            used: AtomicBool::new(false),
        };
        let ports: Vec<_> = (0..6).filter_map(|_| known.choose()).collect();
        let ports: Vec<_> = ports.iter().map(|instance| instance.port).collect();
        assert_eq!(ports, [1, 2, 3, 1, 2, 3]);
        assert!(known.used.load(Ordering::Relaxed));
        *known.instances.write().unwrap() = Arc::new([]);
        assert_eq!(known.choose(), None);
    }
}
