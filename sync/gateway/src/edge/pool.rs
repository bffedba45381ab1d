//! Services, their instances, and how each of those does.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::http::uri::Authority;

use super::{
    Breaker, BreakerOptions, BreakerState, Permit,
    balance::{Candidate, Outlier, may_eject, pick},
    budget::RetryBudget,
    stats::{EdgeStats, RouteStats},
};
use crate::{
    discovery::{Instance, Instances},
    limits::edge as limits,
};

/// Where healthy instances of a service are. Asked for every request: it answers from memory.
pub trait Healthy: Send + Sync + std::fmt::Debug {
    /// Those of a site's service; none where there is no such service.
    fn healthy(&self, site: &str, service: &str) -> Arc<[Instance]>;
}

impl Healthy for Instances {
    fn healthy(&self, site: &str, service: &str) -> Arc<[Instance]> {
        Instances::healthy(self, site, service)
    }
}

/// How an instance does, for whoever runs the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceReading {
    /// `site/service`.
    pub service: String,
    /// Id of the instance.
    pub instance: String,
    /// State of its breaker.
    pub breaker: BreakerState,
    /// Whether it is ejected.
    pub ejected: bool,
    /// Requests that it has not answered whole.
    pub outstanding: u32,
}

#[derive(Debug)]
struct Standing {
    breaker: Breaker,
    outlier: Outlier,
}

#[derive(Debug)]
pub(super) struct Upstream {
    instance: Instance,
    pub(super) authority: Authority,
    outstanding: AtomicU32,
    standing: Mutex<Standing>,
}

impl Upstream {
    fn new(instance: &Instance, options: BreakerOptions) -> Option<Self> {
        let (host, port) = (&instance.host, instance.port);
        let bare_v6 = host.contains(':') && !host.starts_with('[');
        let text = if bare_v6 {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        };
        let Ok(authority) = Authority::try_from(text) else {
            tracing::warn!(instance = %instance.id, "an instance's address is none, nothing is sent there");
            return None;
        };
        Some(Self {
            instance: instance.clone(),
            authority,
            outstanding: AtomicU32::new(0),
            standing: Mutex::new(Standing {
                breaker: Breaker::new(options),
                outlier: Outlier::default(),
            }),
        })
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Clone)]
struct Listed {
    from: Arc<[Instance]>,
    upstreams: Arc<[Arc<Upstream>]>,
}

/// A service that requests have been sent to.
#[derive(Debug)]
pub(super) struct Service {
    name: String,
    listed: RwLock<Listed>,
    budget: Mutex<RetryBudget>,
    options: BreakerOptions,
    pub(super) stats: Arc<RouteStats>,
}

impl Service {
    fn upstreams(&self) -> Arc<[Arc<Upstream>]> {
        let listed = self.listed.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&listed.upstreams)
    }

    /// Takes over a new list; an instance that stays keeps its standing.
    fn update(&self, instances: &Arc<[Instance]>) {
        {
            let listed = self.listed.read().unwrap_or_else(PoisonError::into_inner);
            if Arc::ptr_eq(&listed.from, instances) {
                return;
            }
        }
        let mut listed = self.listed.write().unwrap_or_else(PoisonError::into_inner);
        if *listed.from != **instances {
            let kept: HashMap<&Instance, &Arc<Upstream>> = listed
                .upstreams
                .iter()
                .map(|upstream| (&upstream.instance, upstream))
                .collect();
            let upstreams = instances
                .iter()
                .filter_map(|instance| match kept.get(instance) {
                    Some(&upstream) => Some(Arc::clone(upstream)),
                    None => Upstream::new(instance, self.options).map(Arc::new),
                })
                .collect();
            listed.upstreams = upstreams;
        }
        listed.from = Arc::clone(instances);
    }

    pub(super) fn count_request(&self, now: Duration) {
        self.budget().request(now);
    }

    pub(super) fn may_retry(&self, now: Duration) -> bool {
        let allowed = self.budget().retry(now);
        self.stats.retried(allowed);
        allowed
    }

    fn budget(&self) -> MutexGuard<'_, RetryBudget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An instance that is not among the `tried`; one that is ejected only where no other is left.
    pub(super) fn choose(
        self: &Arc<Self>,
        now: Duration,
        draw: u64,
        tried: &[Arc<Upstream>],
    ) -> Option<Lease> {
        let upstreams = self.upstreams();
        let mut open: Vec<&Arc<Upstream>> = Vec::with_capacity(upstreams.len());
        let mut last_resort = Vec::new();
        for upstream in &*upstreams {
            if tried.iter().any(|tried| Arc::ptr_eq(tried, upstream)) {
                continue;
            }
            let standing = upstream.standing();
            if !standing.breaker.allows(now) {
                continue;
            }
            if standing.outlier.is_ejected(now) {
                last_resort.push(upstream);
            } else {
                open.push(upstream);
            }
        }
        if open.is_empty() {
            open = last_resort;
        }
        while !open.is_empty() {
            let candidates: Vec<_> = open
                .iter()
                .map(|upstream| Candidate {
                    weight: upstream.instance.weight,
                    outstanding: upstream.outstanding.load(Relaxed),
                })
                .collect();
            let upstream = open.swap_remove(pick(draw, &candidates)?);
            let mut standing = upstream.standing();
            let probing = standing.breaker.is_probing();
            // Another request may have taken the last probe in between.
            if let Some(permit) = standing.breaker.acquire(now) {
                if !probing && standing.breaker.is_probing() {
                    self.stats.breaker(BreakerState::HalfOpen);
                }
                drop(standing);
                upstream.outstanding.fetch_add(1, Relaxed);
                return Some(Lease {
                    service: Arc::clone(self),
                    upstream: Arc::clone(upstream),
                    permit: Some(permit),
                });
            }
        }
        None
    }

    /// How long until an instance is tried again, where breakers keep all of them away.
    pub(super) fn opens_again_in(&self, now: Duration) -> Option<Duration> {
        self.upstreams()
            .iter()
            .map(|upstream| upstream.standing().breaker.opens_again_in(now))
            .min()
    }

    fn ejected(&self, now: Duration) -> (usize, usize) {
        let upstreams = self.upstreams();
        let ejected = upstreams
            .iter()
            .filter(|upstream| upstream.standing().outlier.is_ejected(now))
            .count();
        (upstreams.len(), ejected)
    }
}

/// How a request to an instance went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// An answer that is no server error.
    Good,
    /// A server error that says nothing of the instance as a whole (500, 501 and the like).
    ServerError,
    /// No connection, no answer, or one that says that it cannot serve (502, 503, 504).
    Failed,
}

/// A request's hold on an instance: it counts as outstanding until this goes.
#[derive(Debug)]
pub(super) struct Lease {
    service: Arc<Service>,
    pub(super) upstream: Arc<Upstream>,
    permit: Option<Permit>,
}

impl Lease {
    pub(super) fn record(&mut self, outcome: Outcome, took: Duration, now: Duration) {
        let Some(permit) = self.permit.take() else {
            return;
        };
        // Counted before the instance's own lock is taken, which counting takes as well.
        let may = outcome != Outcome::Good && {
            let (all, ejected) = self.service.ejected(now);
            may_eject(all, ejected)
        };
        let stats = &self.service.stats;
        let mut standing = self.upstream.standing();
        let before = standing.breaker.state(now);
        standing
            .breaker
            .record(permit, outcome != Outcome::Failed, took, now);
        let after = standing.breaker.state(now);
        if before != after {
            stats.breaker(after);
        }
        if outcome == Outcome::Good {
            standing.outlier.succeeded(now);
        } else if standing.outlier.failed(now, may) {
            stats.ejected();
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.upstream.outstanding.fetch_sub(1, Relaxed);
        if let Some(permit) = self.permit.take() {
            self.upstream.standing().breaker.release(permit);
        }
    }
}

/// Every service that requests have been sent to.
#[derive(Debug)]
pub(super) struct Pool {
    healthy: Arc<dyn Healthy>,
    options: BreakerOptions,
    services: RwLock<HashMap<String, Arc<Service>>>,
    stats: Arc<EdgeStats>,
}

impl Pool {
    pub(super) fn new(healthy: Arc<dyn Healthy>, options: BreakerOptions) -> Self {
        Self {
            healthy,
            options,
            services: RwLock::default(),
            stats: Arc::default(),
        }
    }

    pub(super) fn stats(&self) -> &Arc<EdgeStats> {
        &self.stats
    }

    /// A service with its instances of now; `None` where it has none and never had.
    pub(super) fn service(&self, site: &str, name: &str) -> Option<Arc<Service>> {
        let instances = self.healthy.healthy(site, name);
        let key = format!("{site}/{name}");
        {
            let services = self.services.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(service) = services.get(&key) {
                service.update(&instances);
                return Some(Arc::clone(service));
            }
        }
        // Whoever asks for services that do not exist makes nothing be remembered.
        if instances.is_empty() {
            return None;
        }
        let mut services = self
            .services
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if services.len() >= limits::REMEMBERED_SERVICES {
            services.retain(|_, service| !service.upstreams().is_empty());
            if services.len() >= limits::REMEMBERED_SERVICES {
                services.clear();
            }
        }
        let service = services.entry(key.clone()).or_insert_with(|| {
            Arc::new(Service {
                stats: self.stats.route(&key),
                name: key,
                listed: RwLock::new(Listed {
                    from: Arc::from([]),
                    upstreams: Arc::from([]),
                }),
                budget: Mutex::new(RetryBudget::new()),
                options: self.options,
            })
        });
        service.update(&instances);
        Some(Arc::clone(service))
    }

    pub(super) fn instances(&self, now: Duration) -> Vec<InstanceReading> {
        let services = self.services.read().unwrap_or_else(PoisonError::into_inner);
        let mut readings = Vec::new();
        for service in services.values() {
            for upstream in &*service.upstreams() {
                let standing = upstream.standing();
                readings.push(InstanceReading {
                    service: service.name.clone(),
                    instance: upstream.instance.id.clone(),
                    breaker: standing.breaker.state(now),
                    ejected: standing.outlier.is_ejected(now),
                    outstanding: upstream.outstanding.load(Relaxed),
                });
            }
        }
        readings
    }
}
