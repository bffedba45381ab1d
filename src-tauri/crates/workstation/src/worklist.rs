//! The worklist: orders, and where every session of a day stands.

use crate::error::{Error, ErrorKind, Result};
use crate::facade::Workstation;
use crate::limits::{
    MAX_NOTE_CHARS, MAX_WORKLIST_PATIENTS, MAX_WORKLIST_ROWS, MAX_WORKLIST_SESSIONS, TO_SIGN_DAYS,
};
use crate::records::{PatientRecord, SessionRecord};
use crate::sessions::SessionState;
use crate::times::{day_of, span_of_day};
use clinic::{PatientId, Protocol, SessionId};
use events::Timestamp;
use events::payloads::{OrderAdded, OrderCancelled};
use logstore::UnitOfWork;
use signal::{UtcNanos, ZoneOffset};
use std::collections::HashMap;
use store::rows::{self, OrderId, OrderRow, OrderState};
use store::write;
use time::Date;
use uuid::Uuid;

/// Where an item of the worklist stands, in the order in which it is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WorklistState {
    /// Records or is being reported.
    Running,
    /// Was interrupted; can be resumed.
    Interrupted,
    /// Ordered, not begun.
    Planned,
    /// Recorded and reported, not signed.
    ToSign,
    /// Signed.
    Signed,
    /// Could not be done.
    Failed,
    /// A patient found by a search, with nothing on this day.
    None,
}

/// One line of the worklist.
#[derive(Debug, Clone)]
pub struct WorklistItem {
    /// Whom for.
    pub patient: PatientRecord,
    /// Where it stands.
    pub state: WorklistState,
    /// Protocol's id; empty where there is none.
    pub protocol: String,
    /// Protocol's title.
    pub protocol_title: String,
    /// Begin, or when it is planned for, with the zone's offset then.
    pub time: Option<(UtcNanos, ZoneOffset)>,
    /// The session, once it has begun.
    pub session: Option<SessionId>,
    /// The order, while it is planned.
    pub order: Option<Uuid>,
    /// Note of the order.
    pub note: Note,
    /// Recorded so far, s.
    pub recorded_s: f64,
}

/// A note of an order; it may name the patient, and is never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Note(pub String);

impl std::fmt::Debug for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Note(withheld)")
    }
}

/// A session to be ordered.
#[derive(Debug, Clone)]
pub struct NewOrder {
    /// Whom for.
    pub patient: PatientId,
    /// Protocol's id.
    pub protocol: String,
    /// When.
    pub planned: UtcNanos,
    /// The zone's offset then.
    pub zone: ZoneOffset,
    /// Note.
    pub note: Note,
}

impl Workstation {
    /// The worklist of a day (today when absent). With a search: every patient that matches, with
    /// all of theirs, whatever the day.
    ///
    /// # Errors
    /// The store.
    pub async fn worklist(
        &self,
        date: Option<Date>,
        search: &str,
    ) -> Result<(Date, Vec<WorklistItem>)> {
        let now = self.room.clock.utc();
        let today = day_of(now);
        let date = date.unwrap_or(today);
        let mut list = List {
            workstation: self,
            day: span_of_day(date)?,
            patients: HashMap::new(),
            titles: Protocol::shipped()
                .into_iter()
                .map(|protocol| (protocol.id, protocol.title))
                .collect(),
            items: Vec::new(),
        };
        if search.trim().is_empty() {
            list.add_day(date == today, now).await?;
        } else {
            list.add_found(search).await?;
        }
        let mut items = list.items;
        items.sort_by_key(|item| (item.state, item.time.map_or(i64::MAX, |(time, _)| time.0)));
        items.truncate(MAX_WORKLIST_ROWS);
        let shown = u32::try_from(items.len()).unwrap_or(u32::MAX);
        self.note_search(search, shown).await;
        Ok((date, items))
    }

    /// Orders a session.
    ///
    /// # Errors
    /// No such patient or protocol; a note that is too long; the store.
    pub async fn add_order(&self, new: NewOrder) -> Result<Uuid> {
        let protocol = self.room.protocol(&new.protocol)?;
        let patient = self.room.records()?.patient(new.patient).await?;
        if new.note.0.chars().count() > MAX_NOTE_CHARS {
            let message = format!("a note may have at most {MAX_NOTE_CHARS} characters");
            return Err(Error::new(ErrorKind::Invalid, message, ""));
        }
        let id = Uuid::now_v7();
        let by = self.room.by_user_id();
        let row = OrderRow {
            id: OrderId(id),
            patient_id: rows::PatientId(patient.id.0),
            protocol: protocol.id.clone(),
            planned_at: Timestamp(new.planned.0),
            zone_s: new.zone.0,
            note: new.note.0.trim().to_owned(),
            state: OrderState::Open,
            session_id: None,
            by_user_id: by.map(rows::UserId),
            created_at: Timestamp(self.room.clock.utc().0),
        };
        let payload = OrderAdded {
            order_id: id,
            patient_id: patient.id.0,
            protocol: protocol.id,
            by_user_id: by,
        };
        let unit = UnitOfWork::new()
            .statement(write::insert_order(&row))
            .event(self.event_of(id, &payload)?);
        self.room.store()?.commit(unit).await?;
        Ok(id)
    }

    /// Takes an order back.
    ///
    /// # Errors
    /// No such order, or one that was begun or taken back already; the store.
    pub async fn cancel_order(&self, id: Uuid) -> Result<()> {
        let store = self.room.store()?;
        if store.order(OrderId(id)).await?.is_none() {
            return Err(Error::not_found("order", id));
        }
        let payload = OrderCancelled {
            order_id: id,
            by_user_id: self.room.by_user_id(),
        };
        let unit = UnitOfWork::new()
            .statement(write::cancel_order(OrderId(id)))
            .event(self.event_of(id, &payload)?);
        match store.commit(unit).await {
            Ok(_) => Ok(()),
            Err(error) if crate::people::is_conflict(&error) => Err(not_open(id)),
            Err(error) => Err(error.into()),
        }
    }

    /// The order `id`, if it can be carried out now for `patient`: what is ordered for one patient is
    /// never recorded for another.
    pub(crate) async fn order_for(&self, id: Uuid, patient: PatientId) -> Result<OrderId> {
        let order = self.room.store()?.order(OrderId(id)).await?;
        let order = order.ok_or_else(|| Error::not_found("order", id))?;
        if order.state != OrderState::Open {
            return Err(not_open(id));
        }
        if order.patient_id.0 != patient.0 {
            return Err(Error::new(
                ErrorKind::Conflict,
                "that order is another patient's",
                "Check whom the session is for.",
            ));
        }
        Ok(order.id)
    }
}

pub(crate) fn not_open(id: Uuid) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!("order {id} was begun or taken back already"),
        "",
    )
}

/// A worklist in the making.
struct List<'a> {
    workstation: &'a Workstation,
    day: (UtcNanos, UtcNanos),
    patients: HashMap<PatientId, PatientRecord>,
    titles: HashMap<String, String>,
    items: Vec<WorklistItem>,
}

impl List<'_> {
    async fn add_day(&mut self, is_today: bool, now: UtcNanos) -> Result<()> {
        let records = self.workstation.room.records()?;
        let store = records.store();
        let (from, until) = (Timestamp(self.day.0.0), Timestamp(self.day.1.0));
        let limit = MAX_WORKLIST_ROWS as u32;
        let mut sessions = records.sessions_between(from, until, limit).await?;
        if is_today {
            let since = Timestamp(now.0 - TO_SIGN_DAYS * 86_400 * 1_000_000_000);
            sessions.extend(records.unsigned_sessions(since, from, limit).await?);
        }
        for session in sessions {
            let of_day = (from.0..until.0).contains(&session.started.0);
            // What goes on belongs to today, whenever it began.
            if of_day || is_today {
                self.add_session(session).await?;
            }
        }
        for order in store.open_orders(until, limit).await? {
            // An order that was not carried out on its day is still to be carried out today.
            if is_today || order.planned_at >= from {
                self.add_order(order).await?;
            }
        }
        Ok(())
    }

    async fn add_found(&mut self, search: &str) -> Result<()> {
        let records = self.workstation.room.records()?;
        let mut found = records.patients(search).await?;
        found.truncate(MAX_WORKLIST_PATIENTS);
        for patient in found {
            let id = patient.id;
            self.patients.insert(id, patient.clone());
            let before = self.items.len();
            let sessions = records.sessions_of(id, MAX_WORKLIST_SESSIONS).await?;
            for session in sessions {
                self.add_session(session).await?;
            }
            let orders = records.store().open_orders_of(rows::PatientId(id.0));
            for order in orders.await? {
                self.add_order(order).await?;
            }
            let (from, until) = self.day;
            let on_this_day = self.items[before..].iter().any(|item| {
                item.time
                    .is_some_and(|(time, _)| (from..until).contains(&time))
            });
            if !on_this_day {
                self.items.push(WorklistItem {
                    patient,
                    state: WorklistState::None,
                    protocol: String::new(),
                    protocol_title: String::new(),
                    time: None,
                    session: None,
                    order: None,
                    note: Note::default(),
                    recorded_s: 0.0,
                });
            }
        }
        Ok(())
    }

    async fn add_session(&mut self, session: SessionRecord) -> Result<()> {
        let records = self.workstation.room.records()?;
        let patient = self.patient(session.patient).await?;
        let status = self.workstation.listed(session).await?;
        let signed = status.signed;
        let session = status.record;
        let order = records.store().order_of(rows::SessionId(session.id.0));
        let note = order.await?.map(|order| Note(order.note));
        self.items.push(WorklistItem {
            patient,
            state: match status.state {
                SessionState::Running => WorklistState::Running,
                SessionState::Interrupted => WorklistState::Interrupted,
                SessionState::Completed if signed => WorklistState::Signed,
                SessionState::Completed => WorklistState::ToSign,
                SessionState::Failed => WorklistState::Failed,
            },
            protocol_title: self.title(&session.protocol),
            protocol: session.protocol,
            time: Some((session.started, session.zone)),
            session: Some(session.id),
            order: None,
            note: note.unwrap_or_default(),
            recorded_s: status.recorded_s,
        });
        Ok(())
    }

    async fn add_order(&mut self, order: OrderRow) -> Result<()> {
        let patient = self.patient(PatientId(order.patient_id.0)).await?;
        self.items.push(WorklistItem {
            patient,
            state: WorklistState::Planned,
            protocol_title: self.title(&order.protocol),
            protocol: order.protocol,
            time: Some((UtcNanos(order.planned_at.0), ZoneOffset(order.zone_s))),
            session: None,
            order: Some(order.id.0),
            note: Note(order.note),
            recorded_s: 0.0,
        });
        Ok(())
    }

    async fn patient(&mut self, id: PatientId) -> Result<PatientRecord> {
        if let Some(known) = self.patients.get(&id) {
            return Ok(known.clone());
        }
        let found = self.workstation.room.records()?.patient(id).await?;
        self.patients.insert(id, found.clone());
        Ok(found)
    }

    fn title(&self, protocol: &str) -> String {
        let title = self.titles.get(protocol);
        title.cloned().unwrap_or_else(|| protocol.to_owned())
    }
}
