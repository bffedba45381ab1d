//! Sleep, shutdown and restart are held off while something records.
//!
//! What asks the system stands in one module a system. On Linux that is [`logind`]. Windows
//! (`SetThreadExecutionState`, `ShutdownBlockReasonCreate`) and macOS
//! (`IOPMAssertionCreateWithName`) are not written: there this says that nothing is held off. Log-off
//! needs no lock on Linux: the engine is a session of its own, or a service, and goes on.
//!
//! A system that does not answer or refuses keeps nobody from recording. It is asked again until it
//! gives way, and people are told: in the session's alerts and by the doctor. What sleep costs all
//! the same, by force or an empty battery, is a gap in the record.

#[cfg(target_os = "linux")]
mod logind;
#[cfg(target_os = "linux")]
use logind as system;
#[cfg(not(target_os = "linux"))]
mod unwritten;
#[cfg(not(target_os = "linux"))]
use unwritten as system;

use crate::limits::{AWAKE_ANSWER, AWAKE_RETRY};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// Why sleep is not held off, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Obstacle {
    /// Whether something is there that could be asked; where nothing is, nothing is known to put
    /// the computer to sleep by itself either.
    pub(crate) manager: bool,
    pub(crate) why: String,
    pub(crate) remedy: &'static str,
}

/// What is held off just now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing records.
    Idle,
    /// The system is being asked.
    Asking,
    /// Held off, but for what the system refused, in its own words ('shutdown').
    Held(Vec<&'static str>),
    /// Not held off although something records.
    Not(Obstacle),
}

/// Holds sleep off as long as one recording at least is under way. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Awake(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// How many recordings want it.
    wanted: watch::Sender<usize>,
    standing: Mutex<Standing>,
}

/// While this lives, sleep is to be held off.
#[derive(Debug)]
pub(crate) struct KeptAwake(Arc<Inner>);

impl Drop for KeptAwake {
    fn drop(&mut self) {
        self.0.wanted.send_modify(|count| *count -= 1);
    }
}

impl Awake {
    /// Needs a tokio runtime: a task of its own asks the system.
    pub(crate) fn start() -> Self {
        let awake = Self(Arc::new(Inner {
            wanted: watch::Sender::new(0),
            standing: Mutex::new(Standing::Idle),
        }));
        tokio::spawn(keep(awake.0.clone()));
        awake
    }

    /// Holds sleep off until the guard is dropped. Returns at once, whatever the system says.
    pub(crate) fn hold(&self) -> KeptAwake {
        self.0.wanted.send_modify(|count| *count += 1);
        KeptAwake(self.0.clone())
    }

    pub(crate) fn standing(&self) -> Standing {
        self.0
            .standing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What would come of it: takes what [`Self::hold`] takes, and lets it go again.
    pub(crate) async fn trial(&self) -> Result<Vec<&'static str>, Obstacle> {
        ask().await.map(|held| held.refused())
    }
}

impl Inner {
    fn stand(&self, new: Standing) {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        if *standing == new {
            return;
        }
        match &new {
            Standing::Idle => tracing::info!("sleep is not held off any more"),
            Standing::Asking => {}
            Standing::Held(refused) => tracing::info!(?refused, "sleep is held off"),
            Standing::Not(obstacle) => {
                tracing::warn!(why = obstacle.why, "sleep is not held off");
            }
        }
        *standing = new;
    }
}

async fn ask() -> Result<system::Locks, Obstacle> {
    let answer = tokio::time::timeout(AWAKE_ANSWER, system::take()).await;
    answer.unwrap_or_else(|_| {
        Err(Obstacle {
            manager: true,
            why: "the service that manages sleep does not answer".to_owned(),
            remedy: "Keep the computer from sleeping by hand until that service answers again.",
        })
    })
}

/// Takes the locks when they are wanted, anew when they are lost, and lets them go.
async fn keep(inner: Arc<Inner>) {
    let mut wanted = inner.wanted.subscribe();
    // Kept until others stand in their place.
    let mut locks: Option<system::Locks> = None;
    loop {
        if wanted.wait_for(|count| *count > 0).await.is_err() {
            return;
        }
        if locks.is_none() {
            inner.stand(Standing::Asking);
        }
        let lost = match ask().await {
            Ok(taken) => {
                inner.stand(Standing::Held(taken.refused()));
                let taken = locks.insert(taken);
                tokio::select! {
                    () = taken.lost() => true,
                    _ = wanted.wait_for(|count| *count == 0) => false,
                }
            }
            Err(obstacle) => {
                inner.stand(Standing::Not(obstacle));
                tokio::select! {
                    () = tokio::time::sleep(AWAKE_RETRY) => true,
                    _ = wanted.wait_for(|count| *count == 0) => false,
                }
            }
        };
        if !lost {
            locks = None;
            inner.stand(Standing::Idle);
        }
    }
}
