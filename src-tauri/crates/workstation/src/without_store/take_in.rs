//! Recordings that were made without the store become sessions of it.

use super::log::{self, Logged};
use super::{folder, session::is_recent};
use crate::error::{Error, ErrorKind, Result};
use crate::facade::Workstation;
use crate::limits::TAKE_IN_RETRY;
use crate::sessions::PatientChoice;
use clinic::SessionId;
use events::payloads::SessionStarted;
use recording::{
    ClockAnchor, KeyRing, OsEntropy, OsStorage, Recorder, Recording, RecordingError, StationKey,
    Unlock, rewrap,
};
use std::path::Path;
use std::sync::Arc;
use uuid::Uuid;

/// Takes in everything that lies there. What cannot be taken in stays and is told of.
pub(crate) async fn take_in_all(workstation: &Workstation) {
    let folder = folder(&workstation.room.config.data_dir);
    for session in log::sessions(&folder) {
        match take_in(workstation, session).await {
            Ok(()) => tracing::info!(%session, "a recording without store is a session now"),
            Err(error) => {
                tracing::error!(%session, %error, "a recording without store is not taken in");
            }
        }
    }
}

/// Takes in a session that has ended, as soon as the store takes commits again.
pub(super) async fn take_in_when_possible(workstation: &Workstation, session: SessionId) {
    loop {
        let taken = match workstation.room.takes_commits().await {
            Ok(()) => take_in(workstation, session.0).await,
            Err(error) => Err(error),
        };
        match taken {
            Ok(()) => {
                tracing::info!(%session, "a recording without store is a session now");
                return;
            }
            Err(error) if matches!(error.kind(), ErrorKind::Store | ErrorKind::DiskFull) => {
                tracing::debug!(%session, %error, "the store does not answer yet");
            }
            Err(error) => {
                tracing::error!(%session, %error, "a recording without store is not taken in");
                return;
            }
        }
        tokio::time::sleep(TAKE_IN_RETRY).await;
    }
}

/// Each step may be done again: an engine that dies in between begins anew.
async fn take_in(workstation: &Workstation, session: Uuid) -> Result<()> {
    let room = &workstation.room;
    let folder = folder(&room.config.data_dir);
    let station = room.station_key()?;
    let own = log::own_key(&folder, session)?;
    let logged = log::read(&folder, session, own.as_ref().unwrap_or(&station))?;
    let goes_on = !logged.ended && is_recent(room, session);
    let Logged {
        mut record, events, ..
    } = logged;
    let recording = crate::collect::folder(room, record.recording);
    let anchor = ClockAnchor {
        host: room.clock.host(),
        utc: room.clock.utc(),
    };
    let made = tokio::task::spawn_blocking(move || -> Result<bool> {
        if let Some(own) = own {
            to_station(&recording, own, &station)?;
        }
        settle(&recording, &station, goes_on, anchor)
    })
    .await
    .map_err(|error| Error::internal("take a recording in", &error))??;
    if !made {
        // Nothing was recorded yet when it ended: there is nothing to take in.
        return log::remove(&folder, session);
    }
    let records = room.records()?;
    match records.session(record.id).await {
        Ok(known) => record = known,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let choice = if record.device_class.is_live() {
                PatientChoice::Temporary
            } else {
                PatientChoice::Training
            };
            let patient = workstation.patient_for(choice, record.device_class).await?;
            record.patient = patient.id;
            record.without_store = !goes_on;
            let payload = SessionStarted {
                session_id: record.id.0,
                patient_id: patient.id.0,
                protocol: record.protocol.clone(),
                training: patient.training,
                start_now: true,
                by_user_id: None,
            };
            records.add_session(&record, None).await?;
            room.notary()?
                .say_once(record.id.0, "started", &payload)
                .await?;
        }
        Err(error) => return Err(error),
    }
    for event in events {
        room.notary()?.send(event).await?;
    }
    // From here on its events go to the store.
    room.unstored.leave(record.id);
    workstation.start_workflow(&record).await?;
    log::remove(&folder, session)
}

/// Wraps a recording that lies under a key of its own to the station's.
fn to_station(recording: &Path, own: StationKey, station: &StationKey) -> Result<()> {
    let ring = KeyRing {
        station: station.clone(),
        recovery: None,
        site: None,
    };
    let wrapped = rewrap(
        recording,
        &Unlock::Station(own),
        &ring,
        &OsStorage,
        &mut OsEntropy,
    );
    match wrapped {
        // Under the station key already: an engine died after it had wrapped it.
        Ok(()) | Err(RecordingError::WrongKey | RecordingError::NotARecording) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Closes the last segments of a recording that does not go on; says whether there is one.
fn settle(
    recording: &Path,
    station: &StationKey,
    goes_on: bool,
    anchor: ClockAnchor,
) -> Result<bool> {
    let unlock = Unlock::Station(station.clone());
    let storage = Arc::new(OsStorage);
    match Recording::open(recording, &unlock, storage.clone()) {
        Ok(_) => {}
        Err(RecordingError::NotARecording) => return Ok(false),
        Err(error) => return Err(error.into()),
    }
    if !goes_on {
        let mut recorder =
            Recorder::resume(recording, &unlock, storage, Box::new(OsEntropy), anchor)?;
        recorder.finish(anchor.host)?;
    }
    Ok(true)
}
