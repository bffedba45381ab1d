//! Linux: inhibitor locks of systemd-logind (<https://systemd.io/INHIBITOR_LOCKS/>).
//!
//! `org.freedesktop.login1.Manager.Inhibit` on the system bus answers with a file descriptor; what it
//! names is held off until the last copy of it is closed, so that a lock ends with a process that is
//! killed. In the mode 'block' nothing but a person with the right to do so sleeps or shuts down all
//! the same. Whether a lock is given, polkit decides: to people at the machine by default, to a
//! service by the rule in `assets/polkit`.

use super::Obstacle;
use futures_util::StreamExt;
use zbus::{Connection, MessageStream, OwnedFd};

const NAME: &str = "org.freedesktop.login1";
const PATH: &str = "/org/freedesktop/login1";
const MANAGER: &str = "org.freedesktop.login1.Manager";
/// When the name changes hands.
const OWNERS: &str = "type='signal',sender='org.freedesktop.DBus',\
    interface='org.freedesktop.DBus',member='NameOwnerChanged',arg0='org.freedesktop.login1'";

/// What is held off, in logind's words: the first is what this is about.
const SLEEP: &str = "sleep";
const WHAT: [&str; 4] = [SLEEP, "shutdown", "idle", "handle-lid-switch"];

/// Shown to whoever wants to shut down; names nobody.
const WHO: &str = "NeuraScale";
const WHY: &str = "A recording is under way";

const RULE: &str = "Let the engine's user do it (assets/polkit/60-neurascale.rules, which the packages \
                    install), or turn sleep off in the system's settings.";

/// Locks that were given, as long as this lives.
#[derive(Debug)]
pub(super) struct Locks {
    _held: Vec<OwnedFd>,
    refused: Vec<&'static str>,
    /// Tells when another logind takes the name, which may know nothing of these.
    owners: MessageStream,
    connection: Connection,
}

impl Locks {
    /// What was refused, in logind's words; never 'sleep'.
    pub(super) fn refused(&self) -> Vec<&'static str> {
        self.refused.clone()
    }

    /// Returns when the locks may have gone: the bus did, or another logind came.
    pub(super) async fn lost(&mut self) {
        loop {
            tokio::select! {
                () = self.connection.closed() => return,
                told = self.owners.next() => match told {
                    None | Some(Err(_)) => return,
                    Some(Ok(message)) => {
                        let owner = message.body().deserialize::<(String, String, String)>();
                        // That it went takes nothing away: it knows its locks again when it is back.
                        if owner.is_ok_and(|(_, _, new)| !new.is_empty()) {
                            return;
                        }
                    }
                },
            }
        }
    }
}

/// Takes the locks.
pub(super) async fn take() -> Result<Locks, Obstacle> {
    let nothing = |why: String| Obstacle {
        manager: false,
        why,
        remedy: "Turn off by hand whatever may put this computer to sleep.",
    };
    let connection = Connection::system()
        .await
        .map_err(|error| nothing(format!("no system bus to ask (D-Bus): {error}")))?;
    // Before the first lock, so that no change is missed.
    let owners = MessageStream::for_match_rule(OWNERS, &connection, None)
        .await
        .map_err(|error| nothing(format!("the system bus fails: {error}")))?;
    let mut locks = Locks {
        _held: Vec::new(),
        refused: Vec::new(),
        owners,
        connection,
    };
    match inhibit(&locks.connection, &WHAT.join(":")).await {
        Ok(lock) => {
            locks._held.push(lock);
            return Ok(locks);
        }
        Err(error) if is_absent(&error) => {
            return Err(nothing(format!("no logind answers: {error}")));
        }
        // All or nothing: what is allowed alone is found one by one.
        Err(error) => tracing::debug!(%error, "locks are asked for one by one"),
    }
    for what in WHAT {
        match inhibit(&locks.connection, what).await {
            Ok(lock) => locks._held.push(lock),
            Err(error) if what == SLEEP => {
                return Err(Obstacle {
                    manager: true,
                    why: format!("logind refuses: {error}"),
                    remedy: RULE,
                });
            }
            Err(_) => locks.refused.push(what),
        }
    }
    Ok(locks)
}

async fn inhibit(connection: &Connection, what: &str) -> zbus::Result<OwnedFd> {
    let body = (what, WHO, WHY, "block");
    let answer = connection
        .call_method(Some(NAME), PATH, Some(MANAGER), "Inhibit", &body)
        .await?;
    answer.body().deserialize()
}

/// Whether nobody has the name.
fn is_absent(error: &zbus::Error) -> bool {
    use zbus::fdo::Error;
    matches!(
        error,
        zbus::Error::FDO(of) if matches!(**of, Error::ServiceUnknown(_) | Error::NameHasNoOwner(_))
    )
}
