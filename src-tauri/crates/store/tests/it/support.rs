//! A store in a folder of its own.

use std::{path::Path, sync::Arc};

use events::{RandomIds, SystemClock};
use rand::{SeedableRng, rngs::StdRng};
use store::{Store, StoreError, StoreOptions, keys::StationKey};

pub(crate) fn rng(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

pub(crate) fn key() -> StationKey {
    StationKey::from_bytes([0x21; 32])
}

pub(crate) fn other_key() -> StationKey {
    StationKey::from_bytes([0x43; 32])
}

pub(crate) fn options(folder: &Path) -> StoreOptions {
    StoreOptions {
        folder: folder.to_owned(),
        clock: Arc::new(SystemClock),
        ids: Arc::new(RandomIds::default()),
    }
}

pub(crate) async fn try_open(folder: &Path) -> Result<Store, StoreError> {
    Store::open(options(folder), &key()).await
}

pub(crate) async fn open(folder: &Path) -> Store {
    try_open(folder).await.unwrap()
}

pub(crate) fn step(number: u32) -> events::payloads::SessionStep {
    events::payloads::SessionStep {
        session_id: uuid::Uuid::from_u128(1),
        step: "collect".into(),
        state: events::payloads::StepState::Started,
        attempt: number,
        reason_code: None,
    }
}

/// The message with its causes, as a person would see it.
pub(crate) fn message(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
