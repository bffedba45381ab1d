//! Opening the parts of the gateway over its data folder.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
};

use events::{Bus, Clock, Ids};
use logstore::{LogStoreError, LogStoreOptions};
use sha2::{Digest as _, Sha256};

use super::{
    Audit, KeyError, MainKey,
    audit::{DayFiles, replica_or},
    ledger::Ledger,
    map::Map,
    metrics::Metrics,
    reload::{Live, rate},
    set_up::SetUp,
    storage::Storage,
};
use crate::{
    access::{PolicyError, Routes, RoutesError},
    config::{Config, IssuerConfig, RuleConfig},
    discovery::{Discovery, Instances},
    edge::{OptionsError, Proxy, ProxyOptions, RateLimit},
    event_api::EventApi,
    oidc::{self, Providers},
    passkeys::{self, Passkeys},
    people::{People, PeopleError, Sessions},
    random::Random,
    sealing::Sealer,
    state::{State, StateError},
    tickets::Tickets,
    traces::Tracer,
    trust::{
        Authority, AuthorityError, Enrolment, ExternalIssuer, KeySet, KeySource, Keyring,
        KeyringError, Tls, TlsError, Tokens, hex,
    },
};

/// The database in the data folder.
pub(crate) const DATABASE: &str = "gateway.sqlite";
/// Held while a gateway runs on the folder.
const LOCK: &str = "gateway.lock";
/// Day files of the audit.
pub(super) const AUDIT: &str = "audit";

/// Why the gateway did not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A file or folder.
    #[error("{operation} {path}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// What on.
        path: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// Another gateway runs on the folder.
    #[error(
        "another gateway runs on {0}; stop it first, or give this one a data folder of its own"
    )]
    Locked(PathBuf),
    /// The key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The database.
    #[error("opening the gateway's database")]
    Log(#[from] LogStoreError),
    /// The ledger's key.
    #[error("the key of the ledger's signatures")]
    Ledger(#[from] ledger::NoteError),
    /// The state.
    #[error("reading the gateway's state")]
    State(#[from] StateError),
    /// The certificate authority.
    #[error("opening the certificate authority")]
    Authority(#[from] AuthorityError),
    /// The signing keys.
    #[error("opening the signing keys")]
    Keyring(#[from] KeyringError),
    /// TLS.
    #[error("setting up TLS")]
    Tls(#[from] TlsError),
    /// People.
    #[error("opening the list of people")]
    People(#[from] PeopleError),
    /// The client that asks providers.
    #[error("making the client that asks identity providers")]
    Outside(#[from] reqwest::Error),
    /// Policies.
    #[error("reading the policies")]
    Policies(#[from] PolicyError),
    /// The edge's rules.
    #[error("the rules of the edge")]
    Rules(#[from] OptionsError),
    /// Routes.
    #[error("two routes contradict each other")]
    Routes(#[from] RoutesError),
}

/// The parts of a gateway that runs.
pub struct Gateway {
    pub(crate) config: Config,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
    pub(crate) log: Storage,
    pub(crate) ledger: Ledger,
    pub(crate) state: State,
    pub(crate) live: Live,
    pub(crate) routes: Routes,
    pub(crate) people: People,
    pub(crate) sessions: Sessions,
    pub(crate) oidc: Providers,
    pub(crate) passkeys: Passkeys,
    pub(crate) authority: Arc<Authority>,
    pub(crate) enrolment: Enrolment,
    pub(crate) discovery: Discovery,
    pub(crate) events: EventApi,
    pub(crate) proxy: Proxy,
    pub(crate) rate_limit: Arc<RateLimit>,
    pub(crate) tokens: Tokens,
    pub(crate) tls: Tls,
    pub(crate) audit: Audit,
    pub(crate) set_up: SetUp,
    pub(crate) metrics: Metrics,
    pub(crate) tracer: Tracer,
    /// Told to end: serves what comes, and wants nothing new.
    pub(crate) draining: AtomicBool,
    pub(crate) map: Map,
    pub(crate) instances: Arc<Instances>,
    _lock: fs::File,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

pub(crate) fn failed<'a>(
    operation: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> OpenError + use<'a> {
    move |source| OpenError::Io {
        operation,
        path: path.to_owned(),
        source,
    }
}

fn make_folder(path: &Path) -> Result<(), OpenError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder
        .create(path)
        .map_err(failed("making the folder", path))
}

pub(crate) fn take_lock(folder: &Path) -> Result<fs::File, OpenError> {
    let path = folder.join(LOCK);
    let mut file = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(failed("opening", &path))?;
    match file.try_lock() {
        Ok(()) => {
            // The process id is a courtesy for who looks.
            let _ = file
                .set_len(0)
                .and_then(|()| writeln!(file, "{}", std::process::id()));
            Ok(file)
        }
        Err(fs::TryLockError::WouldBlock) => Err(OpenError::Locked(folder.to_owned())),
        Err(fs::TryLockError::Error(error)) => Err(failed("locking", &path)(error)),
    }
}

fn external(config: &IssuerConfig) -> ExternalIssuer {
    let source = if config.jwks.starts_with("https://") || config.jwks.starts_with("http://") {
        KeySource::Url(config.jwks.clone())
    } else {
        KeySource::File(config.jwks.clone().into())
    };
    ExternalIssuer {
        iss: config.iss.clone(),
        audience: config.audience.clone(),
        consumer: config.consumer.clone(),
        site: config.site.clone(),
        roles: config.roles.clone(),
        keys: KeySet::new(source),
    }
}

impl Gateway {
    /// Opens everything; makes what a first start needs. Needs a tokio runtime.
    pub async fn open(
        config: Config,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        random: Random,
    ) -> Result<Arc<Self>, OpenError> {
        let folder = config.data_dir.clone();
        make_folder(&folder)?;
        let lock = take_lock(&folder)?;
        let database = folder.join(DATABASE);
        let key = MainKey::load(&folder, database.exists(), &random)?;
        let options = LogStoreOptions::new(Arc::clone(&clock), Arc::clone(&ids));
        let (log, backend) = Storage::open(&config.storage, &database, &key, options).await?;
        let state = State::open(backend).await?;
        let sealer = Sealer::new(key.derive("secrets in the state"));
        let authority = Authority::open(
            state.clone(),
            sealer.clone(),
            Arc::clone(&clock),
            random.clone(),
        );
        let authority = Arc::new(authority.await?);
        let keyring = Keyring::open(
            state.clone(),
            sealer.clone(),
            Arc::clone(&clock),
            random.clone(),
        );
        let keyring = Arc::new(keyring.await?);
        let external: Vec<_> = config.issuers.iter().map(external).collect();
        // By its root, which replicas share: they listen under names and ports of their own.
        let root = Sha256::digest(authority.root()?);
        let issuer = format!("urn:neurascale:gateway:{}", hex(&root[..16]));
        let tokens = Tokens::new(
            keyring,
            &issuer,
            external,
            Arc::clone(&clock),
            Arc::clone(&ids),
        );
        let tls = Tls::new(Arc::clone(&authority), config.names.clone())?;
        let people = People::new(
            state.clone(),
            sealer.clone(),
            Arc::clone(&clock),
            Arc::clone(&ids),
            random.clone(),
        )?;
        let sessions = Sessions::new(
            state.clone(),
            Arc::clone(&clock),
            Arc::clone(&ids),
            random.clone(),
        );
        let tickets = |used| {
            Tickets::new(
                state.clone(),
                sealer.clone(),
                Arc::clone(&clock),
                random.clone(),
                used,
            )
        };
        let oidc = Providers::new(
            &config.providers,
            &super::serve::asking(&tls)?,
            state.clone(),
            Arc::clone(&clock),
            tickets(oidc::USED),
            random.clone(),
        );
        let passkeys = Passkeys::new(
            config.passkeys.clone(),
            state.clone(),
            Arc::clone(&clock),
            tickets(passkeys::USED),
        );
        let enrolment = Enrolment::new(
            state.clone(),
            Arc::clone(&authority),
            Arc::clone(&clock),
            Arc::clone(&ids),
            random.clone(),
        );
        let discovery = Discovery::new(
            state.clone(),
            Arc::clone(&clock),
            Arc::clone(&ids),
            &config.site,
        );
        let bus = Bus::new(log.event_log(), Arc::clone(&clock), Arc::clone(&ids));
        let events = EventApi::new(bus, state.clone(), Arc::clone(&clock));
        let instances = Arc::new(Instances::new(discovery.clone()));
        let proxy = Proxy::new(
            ProxyOptions::new(config.site.clone()),
            instances.clone(),
            random.clone(),
        );
        proxy.set_rules(config.rules.iter().map(RuleConfig::rule).collect())?;
        let rate_limit = RateLimit::new(rate(&config));
        let live = Live::new(&config)?;
        let audit_folder = folder.join(AUDIT);
        make_folder(&audit_folder)?;
        let fresh = ids.next(clock.now()).to_string();
        let files = DayFiles {
            replica: replica_or(&audit_folder, fresh)
                .map_err(failed("naming the replica in", &audit_folder))?,
            folder: audit_folder,
        };
        let replica = files.replica.clone();
        let audit = Audit::start(log.clone(), files, Arc::clone(&clock));
        let ledger = Ledger::new(log.clone(), &key)?;
        let routes = Routes::new(super::serve::ROUTES)?;
        let tracer = Tracer::new(
            config.observability.endpoint(),
            config.observability.sample,
            &replica,
            Arc::clone(&clock),
            random.clone(),
        );
        let set_up = SetUp::new(state.clone(), random);
        Ok(Arc::new(Self {
            config,
            clock,
            ids,
            log,
            ledger,
            state,
            live,
            routes,
            people,
            sessions,
            oidc,
            passkeys,
            authority,
            enrolment,
            discovery,
            events,
            proxy,
            rate_limit,
            tokens,
            tls,
            audit,
            set_up,
            metrics: Metrics::default(),
            tracer,
            draining: AtomicBool::new(false),
            map: Map::new(),
            instances,
            _lock: lock,
        }))
    }

    /// Writes what waits and closes the database.
    pub async fn close(&self) {
        self.audit.flush().await;
        if let Err(error) = self.ledger.checkpoint().await {
            tracing::warn!(%error, "the ledger's last state was not signed");
        }
        self.log.close().await;
    }
}
