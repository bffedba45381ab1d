//! What the edge counts, by route. Whoever renders metrics reads it; nothing here waits.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::http::StatusCode;

use super::BreakerState;
use crate::limits::{edge as limits, service::LATENCY_BUCKETS_S};

/// Durations in buckets, those of `LATENCY_BUCKETS_S` and one for all above.
#[derive(Debug, Default)]
pub struct Latency {
    buckets: [AtomicU64; LATENCY_BUCKETS_S.len() + 1],
    sum_ns: AtomicU64,
}

/// A reading of a [`Latency`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LatencyReading {
    /// Durations in each bucket alone, the last without an upper bound.
    pub buckets: [u64; LATENCY_BUCKETS_S.len() + 1],
    /// Their sum.
    pub sum: Duration,
}

impl Latency {
    pub(crate) fn add(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let at = LATENCY_BUCKETS_S.partition_point(|&bound| bound < seconds);
        self.buckets[at].fetch_add(1, Relaxed);
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.sum_ns.fetch_add(ns, Relaxed);
    }

    pub(crate) fn read(&self) -> LatencyReading {
        LatencyReading {
            buckets: std::array::from_fn(|at| self.buckets[at].load(Relaxed)),
            sum: Duration::from_nanos(self.sum_ns.load(Relaxed)),
        }
    }
}

/// Counters of one route.
#[derive(Debug, Default)]
pub struct RouteStats {
    answers: [AtomicU64; 5],
    upstream: Latency,
    gateway: Latency,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    retries: AtomicU64,
    retries_refused: AtomicU64,
    broken_bodies: AtomicU64,
    tunnels: AtomicU64,
    ejections: AtomicU64,
    to_closed: AtomicU64,
    to_open: AtomicU64,
    to_half_open: AtomicU64,
}

/// A reading of [`RouteStats`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RouteReading {
    /// Answers of 1xx, 2xx, 3xx, 4xx, 5xx.
    pub answers: [u64; 5],
    /// From a request's being sent to its answer's beginning, all attempts together.
    pub upstream: LatencyReading,
    /// What the gateway took beside that.
    pub gateway: LatencyReading,
    /// Bytes of requests' bodies.
    pub bytes_in: u64,
    /// Bytes of answers' bodies.
    pub bytes_out: u64,
    /// Attempts after the first.
    pub retries: u64,
    /// Retries that the budget refused.
    pub retries_refused: u64,
    /// Answers that broke off.
    pub broken_bodies: u64,
    /// Connections that were upgraded.
    pub tunnels: u64,
    /// Ejections of instances.
    pub ejections: u64,
    /// Breakers that closed, opened, became half-open.
    pub breakers: [u64; 3],
}

impl RouteStats {
    pub(super) fn answered(&self, status: StatusCode, upstream: Duration, whole: Duration) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        self.answers[class].fetch_add(1, Relaxed);
        if !upstream.is_zero() {
            self.upstream.add(upstream);
        }
        self.gateway.add(whole.saturating_sub(upstream));
    }

    pub(super) fn bytes_in(&self, bytes: usize) {
        self.bytes_in.fetch_add(bytes as u64, Relaxed);
    }

    pub(super) fn bytes_out(&self, bytes: usize) {
        self.bytes_out.fetch_add(bytes as u64, Relaxed);
    }

    pub(super) fn retried(&self, allowed: bool) {
        let counter = if allowed {
            &self.retries
        } else {
            &self.retries_refused
        };
        counter.fetch_add(1, Relaxed);
    }

    pub(super) fn body_broke(&self) {
        self.broken_bodies.fetch_add(1, Relaxed);
    }

    pub(super) fn tunnel(&self) {
        self.tunnels.fetch_add(1, Relaxed);
    }

    pub(super) fn ejected(&self) {
        self.ejections.fetch_add(1, Relaxed);
    }

    pub(super) fn breaker(&self, state: BreakerState) {
        let counter = match state {
            BreakerState::Closed => &self.to_closed,
            BreakerState::Open => &self.to_open,
            BreakerState::HalfOpen => &self.to_half_open,
        };
        counter.fetch_add(1, Relaxed);
    }

    /// What they are now.
    pub fn read(&self) -> RouteReading {
        let of = |counter: &AtomicU64| counter.load(Relaxed);
        RouteReading {
            answers: std::array::from_fn(|at| of(&self.answers[at])),
            upstream: self.upstream.read(),
            gateway: self.gateway.read(),
            bytes_in: of(&self.bytes_in),
            bytes_out: of(&self.bytes_out),
            retries: of(&self.retries),
            retries_refused: of(&self.retries_refused),
            broken_bodies: of(&self.broken_bodies),
            tunnels: of(&self.tunnels),
            ejections: of(&self.ejections),
            breakers: [
                of(&self.to_closed),
                of(&self.to_open),
                of(&self.to_half_open),
            ],
        }
    }
}

/// Counters of every route.
#[derive(Debug, Default)]
pub struct EdgeStats(RwLock<BTreeMap<String, Arc<RouteStats>>>);

impl EdgeStats {
    /// Those of a route; beyond a number of routes, those of `other`.
    pub(super) fn route(&self, name: &str) -> Arc<RouteStats> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(stats) = known.get(name) {
            return Arc::clone(stats);
        }
        let name = if known.len() < limits::COUNTED_ROUTES {
            name
        } else {
            "other"
        };
        drop(known);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(name.to_owned()).or_default())
    }

    /// Every route's name (`site/service`) and what was counted there.
    pub fn read(&self) -> Vec<(String, RouteReading)> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known
            .iter()
            .map(|(name, stats)| (name.clone(), stats.read()))
            .collect()
    }
}
