//! Where a data folder is, and where its engine listens.

use crate::ClientError;
use std::path::{Path, PathBuf};

/// File in the data folder that names the engine's socket while an engine runs.
pub const ENDPOINT_FILE: &str = "engine.endpoint";

/// The data folder to use: the one given, else `NEURASCALE_DATA_DIR`, else the folder of the
/// system service when it exists, else the user's own (`$XDG_DATA_HOME/neurascale`,
/// `%LOCALAPPDATA%\NeuraScale`).
#[must_use]
pub fn data_dir(given: Option<PathBuf>) -> PathBuf {
    let from_env = |name: &str| {
        std::env::var_os(name)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    };
    if let Some(path) = given.or_else(|| from_env("NEURASCALE_DATA_DIR")) {
        return path;
    }
    if cfg!(windows) {
        return from_env("LOCALAPPDATA")
            .unwrap_or_else(|| PathBuf::from("."))
            .join("NeuraScale");
    }
    let service = PathBuf::from("/var/lib/neurascale");
    if service.join(ENDPOINT_FILE).exists() {
        return service;
    }
    from_env("XDG_DATA_HOME")
        .or_else(|| from_env("HOME").map(|home| home.join(".local/share")))
        .unwrap_or_else(|| PathBuf::from("."))
        .join("neurascale")
}

/// The socket named by the data folder's endpoint file.
pub(crate) fn endpoint(data_dir: &Path) -> Result<PathBuf, ClientError> {
    match std::fs::read_to_string(data_dir.join(ENDPOINT_FILE)) {
        Ok(text) => Ok(PathBuf::from(text.trim())),
        Err(_) => Err(ClientError::NotRunning(data_dir.to_owned())),
    }
}
