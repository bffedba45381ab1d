//! Opening and closing the workstation, and what belongs to no other subject.

use crate::activities::Activities;
use crate::config::Config;
use crate::devices::{Discovery, Probe};
use crate::doctor::Finding;
use crate::documents::{self, ExportRequest, MadeExport, MadeReport};
use crate::engine_room::{Evidence, Opened, Room};
use crate::error::{Error, ErrorKind, Result, chain};
use crate::limits::UNSTORED_STOP;
use crate::notary::Notary;
use crate::records::Records;
use clinic::{register_onboarding, register_session};
use contract::Settings;
use events::RandomIds;
use rand::SeedableRng;
use rand::rngs::{StdRng, SysRng};
use recording::{OsStorage, Recording, RecordingId, Unlock};
use signal::Impedance;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use store::keys::{KeyConfig, RecoveryCopy, StationKey, Unlocked, unlock};
use store::{Store, StoreError, StoreOptions};
use workflow::{Engine, EngineConfig, Registry};

/// Name under which this program publishes.
pub(crate) const SERVICE: &str = "engine";

/// The whole workstation behind one handle. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Workstation {
    pub(crate) room: Room,
}

impl Workstation {
    /// Opens key, store, bus and workflows, and takes up sessions that were under way.
    ///
    /// A store that cannot be opened does not fail this: everything that needs it then answers
    /// what is wrong and what to do, and the emergency stop works.
    ///
    /// # Errors
    /// When the data folder itself cannot be used.
    pub async fn open(config: Config) -> Result<Self> {
        for folder in [config.recordings(), config.reports(), config.exports()] {
            std::fs::create_dir_all(&folder)
                .map_err(|error| Error::file("make the folder", &folder, &error))?;
        }
        let config = Arc::new(config);
        let opened = match open_evidence(&config).await {
            Ok(evidence) => Opened::Open(Box::new(evidence)),
            Err((error, key)) => {
                tracing::error!(%error, "the store is not open");
                let remedy = error.remedy().to_owned();
                Opened::Closed {
                    problem: error.to_string(),
                    remedy,
                    key,
                }
            }
        };
        let workstation = Self {
            room: Room::new(config, opened),
        };
        if workstation.room.evidence().is_ok()
            && let Err(error) = workstation.enter_pending_annotations().await
        {
            tracing::error!(%error, "annotations of before may be missing in the ledger");
        }
        workstation.start_workflows().await;
        if workstation.room.evidence().is_ok() {
            crate::without_store::take_in_all(&workstation).await;
        } else {
            workstation.go_on_without_store();
        }
        Ok(workstation)
    }

    async fn start_workflows(&self) {
        let Ok(evidence) = self.room.evidence() else {
            return;
        };
        let activities = Arc::new(Activities {
            room: self.room.clone(),
        });
        let mut registry = Registry::new();
        register_session(&mut registry, activities.clone());
        register_onboarding(&mut registry, activities);
        let store = Arc::new(evidence.records.store().log().clone());
        let engine = match Engine::start(EngineConfig::new(store, registry)) {
            Ok(engine) => engine,
            Err(error) => {
                tracing::error!(error = %chain(&error), "the workflow engine cannot start");
                return;
            }
        };
        let engine = evidence.workflows.get_or_init(|| engine);
        match engine.resume_all().await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "workflows taken up"),
            Err(error) => tracing::error!(error = %chain(&error), "take workflows up"),
        }
    }

    /// Ends everything in order. Running sessions are interrupted whole and go on at the next
    /// start.
    pub async fn shutdown(&self) {
        self.end_without_store().await;
        let Ok(evidence) = self.room.evidence() else {
            return;
        };
        if let Some(engine) = evidence.workflows.get() {
            engine.stop().await;
        }
        for session in self.room.live.sessions() {
            // A collection that did not give way in time: stop its threads all the same.
            if let Some(handle) = self
                .room
                .live
                .get(session)
                .and_then(|live| live.take_handle())
            {
                let _ = tokio::task::spawn_blocking(move || drop(handle.stop())).await;
            }
        }
        self.room.flush().await;
        evidence.records.store().close().await;
    }

    /// Closes recordings that need no store; they go on at the next start.
    async fn end_without_store(&self) {
        for unstored in self.room.unstored.all() {
            unstored.give_way();
        }
        let closed = async {
            let running = || {
                let all = self.room.unstored.all();
                all.iter()
                    .any(|u| self.room.live.get(u.record.id).is_some())
            };
            while running() {
                tokio::time::sleep(crate::limits::COLLECT_BEAT).await;
            }
        };
        if tokio::time::timeout(UNSTORED_STOP, closed).await.is_err() {
            tracing::error!("a recording without store is not closed; what is stored is safe");
        }
    }

    /// The time, by the clock that everything here goes by.
    #[must_use]
    pub fn utc(&self) -> signal::UtcNanos {
        self.room.clock.utc()
    }

    /// Why the store is not open: the problem and what to do.
    #[must_use]
    pub fn store_problem(&self) -> Option<(String, String)> {
        self.room.store_problem()
    }

    /// The recovery code of a station key that was made at this start. It is given once: print it,
    /// lock it away.
    #[must_use]
    pub fn take_recovery_code(&self) -> Option<String> {
        let evidence = self.room.evidence().ok()?;
        let code = evidence
            .recovery
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        code.map(|code| code.to_string())
    }

    /// Devices that are there now.
    pub async fn discover(&self) -> Discovery {
        self.room.drivers.discover().await
    }

    /// Opens a device, describes it, and measures its impedances where it can.
    ///
    /// # Errors
    /// Whatever the device says.
    pub async fn probe(
        &self,
        id: String,
        settings: Settings,
        progress: impl FnMut(&Impedance) + Send + 'static,
    ) -> Result<Probe> {
        let drivers = self.room.drivers.clone();
        tokio::task::spawn_blocking(move || drivers.probe(&id, &settings, progress))
            .await
            .map_err(|error| Error::internal("probe the device", &error))?
    }

    /// Looks for what would get in the way of a session.
    pub async fn doctor(&self) -> Vec<Finding> {
        crate::doctor::examine(&self.room).await
    }

    pub(crate) async fn open_recording(&self, id: RecordingId) -> Result<Recording> {
        let folder = crate::collect::folder(&self.room, id);
        let unlock = Unlock::Station(self.room.key_of(id)?);
        tokio::task::spawn_blocking(move || {
            Ok(Recording::open(&folder, &unlock, Arc::new(OsStorage))?)
        })
        .await
        .map_err(|error| Error::internal("open the recording", &error))?
    }

    /// Exports the recording of a session (named by its own id or the recording's).
    ///
    /// # Errors
    /// No such recording, files in the way, no space, the store.
    pub async fn export(
        &self,
        id: &str,
        request: ExportRequest,
        progress: impl Fn(u64, u64) + Send + 'static,
    ) -> Result<MadeExport> {
        let session = self.room.records()?.session_by_any_id(id).await?;
        documents::export(&self.room, &session, request, None, progress).await
    }

    /// The session's report, made if there is none, written out where asked.
    ///
    /// # Errors
    /// No such session, no recording, files in the way, the store.
    pub async fn report(
        &self,
        id: &str,
        pdf: Option<PathBuf>,
        html: Option<PathBuf>,
    ) -> Result<(MadeReport, Vec<PathBuf>)> {
        let session = self.room.records()?.session_by_any_id(id).await?;
        let made = match session.report {
            Some(report) if pdf.is_some() || html.is_some() => {
                let bytes = documents::report_pdf(&self.room, report).await?;
                let sha256 = documents::hex(&<sha2::Sha256 as sha2::Digest>::digest(&bytes));
                MadeReport {
                    id: report,
                    path: documents::report_file(&self.room, report),
                    sha256,
                }
            }
            _ => documents::make_report(&self.room, &session, None).await?,
        };
        let mut written = Vec::new();
        if let Some(path) = pdf {
            documents::write_out(&path, &documents::report_pdf(&self.room, made.id).await?)?;
            written.push(path.clone());
            // What was added to a signed report stands beside it.
            for (number, id) in self.room.records()?.addenda(session.id).await? {
                let name = path.file_stem().unwrap_or_default().to_string_lossy();
                let beside = path.with_file_name(format!("{name}-addendum-{number}.pdf"));
                documents::write_out(&beside, &documents::report_pdf(&self.room, id).await?)?;
                written.push(beside);
            }
        }
        if let Some(path) = html {
            let text = documents::report_html(&self.room, &session).await?;
            documents::write_out(&path, text.as_bytes())?;
            written.push(path);
        }
        Ok((made, written))
    }

    /// Writes a backup of the store.
    ///
    /// # Errors
    /// A file in the way, no space, the store.
    pub async fn backup(&self, target: &Path) -> Result<(u64, String)> {
        self.room.store()?.backup(target, None).await?;
        let bytes = std::fs::read(target)
            .map_err(|error| Error::file("read the backup", target, &error))?;
        let sha256 = documents::hex(&<sha2::Sha256 as sha2::Digest>::digest(&bytes));
        Ok((bytes.len() as u64, sha256))
    }

    /// Puts a backup in place of the store; the old one stays beside it. No engine may run.
    ///
    /// # Errors
    /// Another key, a damaged backup, no space.
    pub async fn restore(config: Config, from: &Path) -> Result<Option<PathBuf>> {
        let unlocked = unlock_key(&config)?;
        let options = store_options(&config);
        Ok(Store::restore(&options, from, &unlocked.key, &unlocked.key).await?)
    }
}

fn store_options(config: &Config) -> StoreOptions {
    StoreOptions {
        folder: config.data_dir.clone(),
        clock: Arc::new(events::SystemClock),
        ids: Arc::new(RandomIds::default()),
    }
}

fn unlock_key(config: &Config) -> Result<Unlocked> {
    let mut keys = KeyConfig::from_environment(&config.data_dir, |name| std::env::var_os(name));
    if config.passphrase_file.is_some() {
        keys.passphrase_file.clone_from(&config.passphrase_file);
    }
    let mut rng = StdRng::try_from_rng(&mut SysRng)
        .map_err(|error| Error::new(ErrorKind::Internal, format!("no randomness: {error}"), ""))?;
    unlock(&keys, &mut rng).map_err(|error| {
        Error::new(
            ErrorKind::Store,
            format!("the station key cannot be had: {}", chain(&error)),
            "Recover it with its recovery code, or restore the key file from its backup.",
        )
    })
}

/// Opens key and store. With the error comes the key, where it is certain that it is the store's.
async fn open_evidence(
    config: &Config,
) -> std::result::Result<Evidence, (Error, Option<Box<StationKey>>)> {
    let keys = {
        let config = config.clone();
        // A passphrase is stretched for about a second.
        tokio::task::spawn_blocking(move || unlock_key(&config))
            .await
            .map_err(|error| (Error::internal("unlock the station key", &error), None))?
            .map_err(|error| (error, None))?
    };
    let store = match Store::open(store_options(config), &keys.key).await {
        Ok(store) => store,
        // Everything but this is noticed after the key was found to be the one that is noted.
        Err(error @ StoreError::WrongKey { .. }) => return Err((error.into(), None)),
        Err(error) => return Err((error.into(), Some(Box::new(keys.key)))),
    };
    let bus = store.bus();
    let recovery = match keys.recovery {
        Some(RecoveryCopy::Code(code)) => Some(code),
        Some(RecoveryCopy::Sealed(_)) | None => None,
    };
    Ok(Evidence {
        key: keys.key,
        key_source: keys.source,
        key_warning: keys.warning,
        recovery: Mutex::new(recovery),
        notary: Notary::new(bus.publisher(SERVICE)),
        records: Records::new(store),
        bus,
        workflows: OnceLock::new(),
    })
}
