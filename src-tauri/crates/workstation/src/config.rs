//! Where the engine keeps what.

use contract::{Clock, SystemClock};
use std::path::PathBuf;
use std::sync::Arc;

/// What a workstation is opened with.
#[derive(Debug, Clone)]
pub struct Config {
    /// Folder of everything below.
    pub data_dir: PathBuf,
    /// File that holds the passphrase of the station key, for services and continuous integration;
    /// from `NEURASCALE_PASSPHRASE_FILE`.
    pub passphrase_file: Option<PathBuf>,
    /// The site's policies, which outrank what is set here; from `NEURASCALE_POLICY_FILE`, else
    /// `/etc/neurascale/policy.toml`.
    pub policy_file: PathBuf,
    /// Host time and UTC.
    pub clock: Arc<dyn Clock>,
}

impl Config {
    /// The configuration of `data_dir` with what the environment says.
    #[must_use]
    pub fn new(data_dir: PathBuf) -> Self {
        let from_env = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty());
        Self {
            data_dir,
            policy_file: from_env("NEURASCALE_POLICY_FILE").map_or_else(
                || PathBuf::from("/etc/neurascale/policy.toml"),
                PathBuf::from,
            ),
            passphrase_file: from_env("NEURASCALE_PASSPHRASE_FILE").map(PathBuf::from),
            clock: Arc::new(SystemClock),
        }
    }

    /// Folder of recordings, one folder each.
    pub(crate) fn recordings(&self) -> PathBuf {
        self.data_dir.join("recordings")
    }

    /// Folder of sealed reports.
    pub(crate) fn reports(&self) -> PathBuf {
        self.data_dir.join("reports")
    }

    /// Folder of exports for which none other was named.
    pub(crate) fn exports(&self) -> PathBuf {
        self.data_dir.join("exports")
    }
}
