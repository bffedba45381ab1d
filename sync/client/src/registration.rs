//! A service that is entered in the gateway's registry for as long as it runs.

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;

use crate::{
    Error, Registry,
    discovery::{Source, Task, again},
    limits,
};

/// How the gateway learns that the service is well.
#[derive(Debug, Clone)]
pub enum Health {
    /// This program reports it, and is believed for so long.
    Ttl(Duration),
    /// The gateway asks this address so often.
    Http {
        /// Answers with 2xx while the service is well.
        url: String,
        /// Time between two questions.
        interval: Duration,
    },
}

/// What is entered.
#[derive(Debug, Clone)]
pub struct Registration {
    /// Unique at the gateway; entered again, it replaces what was there.
    pub id: String,
    /// What callers look for.
    pub name: String,
    /// Name or address of the host.
    pub address: String,
    /// Port there.
    pub port: u16,
    /// Labels.
    pub tags: Vec<String>,
    /// Further facts.
    pub meta: BTreeMap<String, String>,
    /// How its health is known.
    pub health: Health,
    /// Taken out after it was unwell for so long, if at all.
    pub forgotten_after: Option<Duration>,
}

/// An entry that is kept up. Dropped, it is no longer: the check turns critical and nobody finds it.
#[derive(Debug)]
pub struct Registered {
    source: Source,
    id: String,
    task: Task,
}

impl Registered {
    /// Takes the entry out: the orderly end.
    pub async fn deregister(self) -> Result<(), Error> {
        let Self { source, id, task } = self;
        // First, or it might be entered again.
        task.0.abort();
        let url = source.url(&["v1", "agent", "service", "deregister", &id])?;
        match source.put(url, None).await {
            // Gone already.
            Err(Error::Refused(problem)) if problem.status == 404 => Ok(()),
            other => other,
        }
    }
}

impl Registry {
    /// Enters a service, keeps its check passing where that is reported from here, and enters it again
    /// where the gateway has lost it.
    pub async fn register_service(&self, registration: Registration) -> Result<Registered, Error> {
        let source = self.source.clone();
        enter(&source, &registration).await?;
        let id = registration.id.clone();
        let task = Task(tokio::spawn(keep_up(source.clone(), registration)));
        Ok(Registered { source, id, task })
    }
}

fn milliseconds(duration: Duration) -> String {
    format!("{}ms", duration.as_millis())
}

async fn enter(source: &Source, service: &Registration) -> Result<(), Error> {
    let mut check = match &service.health {
        Health::Ttl(ttl) => json!({ "TTL": milliseconds(*ttl) }),
        Health::Http { url, interval } => {
            json!({ "HTTP": url, "Interval": milliseconds(*interval) })
        }
    };
    check["CheckID"] = check_id(&service.id).into();
    if let Some(after) = service.forgotten_after {
        check["DeregisterCriticalServiceAfter"] = milliseconds(after).into();
    }
    let body = json!({
        "ID": service.id, "Name": service.name, "Address": service.address, "Port": service.port,
        "Tags": service.tags, "Meta": service.meta, "Check": check,
    });
    let mut url = source.url(&["v1", "agent", "service", "register"])?;
    url.set_query(Some("replace-existing-checks"));
    source.put(url, Some(serde_json::to_vec(&body)?)).await?;
    match service.health {
        Health::Ttl(_) => passing(source, &service.id).await,
        Health::Http { .. } => Ok(()),
    }
}

fn check_id(id: &str) -> String {
    format!("service:{id}")
}

async fn passing(source: &Source, id: &str) -> Result<(), Error> {
    let url = source.url(&["v1", "agent", "check", "pass", &check_id(id)])?;
    source.put(url, None).await
}

async fn keep_up(source: Source, service: Registration) {
    let every = match &service.health {
        Health::Ttl(ttl) => *ttl / limits::REPORTS_A_TTL,
        Health::Http { interval, .. } => *interval,
    };
    let mut pause = every;
    let mut failures = 0;
    loop {
        tokio::time::sleep(pause).await;
        let still = match &service.health {
            Health::Ttl(_) => passing(&source, &service.id).await,
            Health::Http { .. } => there(&source, &service.id).await,
        };
        let outcome = match still {
            Err(Error::Refused(problem)) if problem.status == 404 => enter(&source, &service).await,
            other => other,
        };
        failures = outcome.map_or(failures + 1_u32, |()| 0);
        pause = if failures == 0 {
            every
        } else {
            again(failures).min(every)
        };
    }
}

async fn there(source: &Source, id: &str) -> Result<(), Error> {
    let url = source.url(&["v1", "agent", "service", id])?;
    source.get(url).await
}
