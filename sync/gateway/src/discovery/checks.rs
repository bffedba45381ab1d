//! The checks that the gateway makes: one replica makes them all, which one is decided by a lease.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{Semaphore, mpsc, watch},
    task::JoinHandle,
};

use super::{
    Discovery, Fault,
    model::{CHECKS, Check, DEADLINES, Probe, Status, read, write},
    probes::{Found, look},
};
use crate::{
    limits::discovery as limits,
    state::{Expect, Op, Space, StateError},
};

/// Who does what for all: lease by name, with its holder and end.
const LEASES: Space = "leases";
const LEASE: &str = "checks";

/// Makes checks for as long as it is there.
#[derive(Debug)]
pub struct Checks {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Checks {
    /// Starts them; `replica` is this process's own name. Needs a tokio runtime.
    pub fn start(discovery: Discovery, replica: String, client: reqwest::Client) -> Self {
        let (stop, stopped) = watch::channel(false);
        let runner = Runner {
            discovery,
            replica,
            client,
            due: HashMap::new(),
            turns: Arc::new(Semaphore::new(limits::CHECKS_AT_A_TIME)),
        };
        let task = tokio::spawn(runner.run(stopped));
        Self { stop, task }
    }

    /// Ends them.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        let _ = self.task.await;
    }
}

struct Runner {
    discovery: Discovery,
    replica: String,
    client: reqwest::Client,
    /// When each check is due, by its key.
    due: HashMap<String, Due>,
    turns: Arc<Semaphore>,
}

struct Due {
    at: Instant,
    running: bool,
}

/// A part of a check's interval that follows from its key: checks that were registered together do not run
/// together.
fn spread(key: &str, interval: Duration) -> Duration {
    let sum = key.bytes().fold(17_u32, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(byte.into())
    });
    interval.mul_f64(f64::from(sum % 1_000) / 1_000.0)
}

impl Runner {
    async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        let (found, mut results) = mpsc::channel::<(String, Found)>(limits::CHECKS_AT_A_TIME);
        let mut tick = tokio::time::interval(limits::CHECK_LOOK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = stopped.changed() => return,
                _ = tick.tick() => {
                    if let Err(Fault(_, reason)) = self.turn(&found).await {
                        tracing::warn!(reason, "checks were not made");
                    }
                }
                Some((key, result)) = results.recv() => {
                    if let Some(due) = self.due.get_mut(&key) {
                        due.running = false;
                    }
                    if let Err(Fault(_, reason)) = self.note(&key, result).await {
                        tracing::warn!(reason, "a check's result was not noted");
                    }
                }
            }
        }
    }

    /// What is due now, if the lease is ours.
    async fn turn(&mut self, found: &mpsc::Sender<(String, Found)>) -> Result<(), Fault> {
        if !self.leased().await? {
            self.due.clear();
            return Ok(());
        }
        let now = Instant::now();
        let items = self.discovery.state.list(CHECKS, "");
        self.due.retain(|key, due| {
            due.running
                || items
                    .binary_search_by(|item| item.key.as_str().cmp(key))
                    .is_ok()
        });
        for item in items {
            let check: Check = read(&item)?;
            self.expire(&item.key, &check).await?;
            if matches!(check.probe, Probe::Ttl { .. } | Probe::Set) {
                continue;
            }
            let interval = Duration::from_millis(check.interval_ms);
            let due = self.due.entry(item.key.clone()).or_insert_with(|| Due {
                at: now + spread(&item.key, interval.min(limits::CHECK_INTERVAL_AT_LEAST)),
                running: false,
            });
            if due.running || due.at > now {
                continue;
            }
            let Ok(turn) = Arc::clone(&self.turns).try_acquire_owned() else {
                continue;
            };
            due.running = true;
            due.at = now + interval;
            let (found, client, key) = (found.clone(), self.client.clone(), item.key.clone());
            tokio::spawn(async move {
                let longest = Duration::from_millis(check.timeout_ms);
                if let Some(result) = look(&check.probe, longest, &client).await {
                    let _ = found.send((key, result)).await;
                }
                drop(turn);
            });
        }
        self.discovery.sweep_sessions().await
    }

    /// What time alone decides: reports that did not come, services that are critical for too long.
    async fn expire(&self, key: &str, check: &Check) -> Result<(), Fault> {
        let now_ns = self.discovery.clock.now().0;
        if matches!(check.probe, Probe::Ttl { .. }) && check.status != Status::Critical {
            let deadline = self.discovery.state.get(DEADLINES, key);
            let until = deadline.and_then(|item| String::from_utf8_lossy(&item.value).parse().ok());
            if until.is_none_or(|until: i64| until <= now_ns) {
                self.note(key, (Status::Critical, "TTL expired".to_owned()))
                    .await?;
            }
        }
        let (Some(after_ms), Some(since)) = (check.deregister_after_ms, check.critical_since_ns)
        else {
            return Ok(());
        };
        let after_ns = i64::try_from(after_ms)
            .unwrap_or(i64::MAX)
            .saturating_mul(1_000_000);
        let mut parts = key.splitn(3, '/');
        if now_ns.saturating_sub(since) >= after_ns
            && let (Some(site), Some(node)) = (parts.next(), parts.next())
            && !check.service_id.is_empty()
        {
            tracing::info!(
                service = check.service_id,
                "critical for too long: deregistered"
            );
            self.discovery
                .remove_service(site, node, &check.service_id)
                .await?;
        }
        Ok(())
    }

    /// Writes a result where it says something new.
    async fn note(&self, key: &str, (status, output): Found) -> Result<(), Fault> {
        let state = &self.discovery.state;
        loop {
            let Some(item) = state.get(CHECKS, key) else {
                return Ok(());
            };
            let mut check: Check = read(&item)?;
            let before = check.clone();
            check.set(status, &output, self.discovery.clock.now().0);
            // The output of a check that goes on as it was changes with every answer (a clock in it is
            // enough): that alone wakes nobody.
            if check.status == before.status && !before.output.is_empty() {
                return Ok(());
            }
            let written = state
                .commit(vec![
                    Op::require(CHECKS, key, Expect::Modified(item.modified)),
                    Op::put(CHECKS, key, write(&check)?),
                ])
                .await;
            match written {
                Ok(_) => return Ok(()),
                Err(StateError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Whether this replica makes the checks; takes the lease where it is free or has run out.
    async fn leased(&self) -> Result<bool, Fault> {
        let state = &self.discovery.state;
        let now_ns = self.discovery.clock.now().0;
        let held = state.get(LEASES, LEASE);
        let parsed = held.as_ref().and_then(|item| {
            let text = String::from_utf8_lossy(&item.value).into_owned();
            let (until, holder) = text.split_once(' ')?;
            Some((until.parse::<i64>().ok()?, holder.to_owned()))
        });
        let nanos = |length: Duration| i64::try_from(length.as_nanos()).unwrap_or(i64::MAX);
        if let Some((until, holder)) = &parsed {
            let left = until - now_ns;
            if *holder != self.replica && left > 0 {
                return Ok(false);
            }
            if *holder == self.replica && left > nanos(limits::LEASE_RENEW) {
                return Ok(true);
            }
        }
        let expect = held.map_or(Expect::Absent, |item| Expect::Modified(item.modified));
        let until = now_ns.saturating_add(nanos(limits::LEASE));
        let taken = state
            .commit(vec![
                Op::require(LEASES, LEASE, expect),
                Op::put(LEASES, LEASE, format!("{until} {}", self.replica)),
            ])
            .await;
        match taken {
            Ok(_) => Ok(true),
            Err(StateError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
