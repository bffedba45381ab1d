//! What the façade offers of displays.

use crate::error::{Error, ErrorKind, Result};
use crate::facade::Workstation;
use crate::limits::PAGES_AT_ONCE;
use crate::records::SessionRecord;
use crate::view::feed::{self, FeedRequest, Source};
use crate::view::messages::{ViewMessage, ViewMessages};
use crate::view::page::{self, PageRequest};
use crate::view::plan::{self, FiltersByKind, MontageOffer};
use crate::view::shelf::Kept;
use clinic::SessionId;
use recording::Unlock;
use signal::StreamDescription;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Pages computed at once, over all clients.
static PAGES: Semaphore = Semaphore::const_new(PAGES_AT_ONCE);

/// What can be chosen for a display.
#[derive(Debug, Clone, PartialEq)]
pub struct ViewChoices {
    /// Montages in the order of the menu.
    pub montages: Vec<MontageOffer>,
    /// Montage to begin with.
    pub default_montage: String,
    /// Filters of each kind when nothing is chosen.
    pub default_filters: FiltersByKind,
}

impl Workstation {
    /// The live feed of a running session.
    ///
    /// # Errors
    /// The session is not recording, or the request makes no sense.
    pub fn feed(&self, session: SessionId, request: &FeedRequest) -> Result<ViewMessages> {
        let live = self.room.live.get(session).ok_or_else(|| {
            Error::new(
                ErrorKind::Conflict,
                format!("session {session} is not recording"),
                "",
            )
        })?;
        let (room, recording) = (self.room.clone(), live.recording);
        let journal = move || {
            let unlock = Unlock::Station(room.key_of(recording)?);
            let folder = crate::collect::folder(&room, recording);
            room.shelf.take(recording, &folder, &unlock, true)
        };
        let source = Source {
            hub: live.hub.clone(),
            streams: live.streams(),
            provenance: crate::collect::provenance(live.device.class),
            zone: live.zone,
            started: live.anchor.utc,
            resumed: live.resumed,
            journal: Box::new(journal),
        };
        feed::open(source, request)
    }

    /// A stretch of a recording, under way or finished, named by its own id or its session's.
    ///
    /// # Errors
    /// No such recording, a request that makes no sense or is too great, damage.
    pub async fn page(&self, id: &str, request: PageRequest) -> Result<Vec<ViewMessage>> {
        let session = self.room.records()?.session_by_any_id(id).await?;
        let turn = PAGES.acquire().await;
        let turn = turn.map_err(|error| Error::internal("wait for a page's turn", &error))?;
        let kept = self.kept(&session);
        let rendered = tokio::task::spawn_blocking(move || page::render(&kept()?.read(), &request))
            .await
            .map_err(|error| Error::internal("compute the page", &error))?;
        drop(turn);
        rendered
    }

    /// Opens a session's recording, or finds it open; blocking.
    pub(crate) fn kept(
        &self,
        session: &SessionRecord,
    ) -> impl FnOnce() -> Result<Arc<Kept>> + Send + use<> {
        let room = self.room.clone();
        let (id, recording) = (session.id, session.recording);
        move || {
            let unlock = Unlock::Station(room.key_of(recording)?);
            let folder = crate::collect::folder(&room, recording);
            let grows = room.live.get(id).is_some();
            room.shelf.take(recording, &folder, &unlock, grows)
        }
    }

    /// What can be chosen for a display; of a session or recording when `id` names one.
    ///
    /// # Errors
    /// No such session or recording.
    pub async fn view_choices(&self, id: Option<&str>) -> Result<ViewChoices> {
        let streams = match id {
            Some(id) => Some(self.streams_of(id).await?),
            None => None,
        };
        let (montages, default_montage) = plan::offers(streams.as_deref());
        Ok(ViewChoices {
            montages,
            default_montage,
            default_filters: plan::default_filters(),
        })
    }

    async fn streams_of(&self, id: &str) -> Result<Vec<StreamDescription>> {
        let running = id.trim().parse::<SessionId>().ok();
        if let Some(live) = running.and_then(|session| self.room.live.get(session)) {
            return Ok(live.streams());
        }
        let session = self.room.records()?.session_by_any_id(id).await?;
        let kept = self.kept(&session);
        tokio::task::spawn_blocking(move || Ok(kept()?.read().streams().to_vec()))
            .await
            .map_err(|error| Error::internal("look into the recording", &error))?
    }
}
