//! Reading orders, drafts, signatures and break-glass.

use events::Timestamp;

use crate::{
    Store, StoreError,
    read::{Reader, bytes},
    rows::{
        BreakGlassRow, DocumentId, DraftRow, OrderId, OrderRow, OrderState, PatientId, SessionId,
        SignatureRow, UserId,
    },
};

/// A constant SELECT of orders with what follows it.
macro_rules! orders {
    ($rest:literal) => {
        concat!(
            "SELECT id, patient_id, protocol, planned_ns, zone_s, note, state, session_id, \
             by_user_id, created_ns FROM orders",
            $rest
        )
    };
}

impl Store {
    /// An order.
    pub async fn order(&self, id: OrderId) -> Result<Option<OrderRow>, StoreError> {
        let query = sqlx::query(orders!(" WHERE id = ?")).bind(bytes(id.0));
        Ok(self.all("reading an order", query, order).await?.pop())
    }

    /// Open orders planned before `until`, the earliest first: those that were not carried out on
    /// their day do not vanish.
    pub async fn open_orders(
        &self,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<OrderRow>, StoreError> {
        let sql =
            orders!(" WHERE state = 'open' AND planned_ns < ? ORDER BY planned_ns, id LIMIT ?");
        let query = sqlx::query(sql).bind(until.0).bind(limit);
        self.all("listing orders", query, order).await
    }

    /// A patient's open orders, the earliest first.
    pub async fn open_orders_of(&self, patient: PatientId) -> Result<Vec<OrderRow>, StoreError> {
        let sql = orders!(" WHERE patient_id = ? AND state = 'open' ORDER BY planned_ns, id");
        let query = sqlx::query(sql).bind(bytes(patient.0));
        self.all("listing orders", query, order).await
    }

    /// The order that a session carries out.
    pub async fn order_of(&self, session: SessionId) -> Result<Option<OrderRow>, StoreError> {
        let query = sqlx::query(orders!(" WHERE session_id = ?")).bind(bytes(session.0));
        Ok(self.all("reading an order", query, order).await?.pop())
    }

    /// What was written of a session's report.
    pub async fn draft(&self, session: SessionId) -> Result<Option<DraftRow>, StoreError> {
        let sql = "SELECT session_id, impression, conclusion, by_user_id, updated_ns \
                   FROM report_drafts WHERE session_id = ?";
        let query = sqlx::query(sql).bind(bytes(session.0));
        let read = |row: Reader<'_>| {
            Ok(DraftRow {
                session_id: SessionId(row.id(0)?),
                impression: row.get(1)?,
                conclusion: row.get(2)?,
                by_user_id: row.optional_id(3)?.map(UserId),
                updated_at: row.time(4)?,
            })
        };
        Ok(self.all("reading a draft", query, read).await?.pop())
    }

    /// Signatures of a session's report and its addenda, oldest first.
    pub async fn signatures(&self, session: SessionId) -> Result<Vec<SignatureRow>, StoreError> {
        let sql = "SELECT session_id, number, document_id, addendum, by_user_id, name, meaning, \
                   at_ns, zone_s, document_sha256, recording_sha256, event_id FROM signatures \
                   WHERE session_id = ? ORDER BY number";
        let query = sqlx::query(sql).bind(bytes(session.0));
        self.all("reading signatures", query, |row| {
            Ok(SignatureRow {
                session_id: SessionId(row.id(0)?),
                number: row.get(1)?,
                document_id: DocumentId(row.id(2)?),
                addendum: row.get(3)?,
                by_user_id: UserId(row.id(4)?),
                name: row.get(5)?,
                meaning: row.get(6)?,
                at: row.time(7)?,
                zone_s: row.get(8)?,
                document_sha256: row.get(9)?,
                recording_sha256: row.get(10)?,
                event_id: row.id(11)?,
            })
        })
        .await
    }

    /// Who came in by break-glass, the latest first.
    pub async fn break_glass(&self, limit: u32) -> Result<Vec<BreakGlassRow>, StoreError> {
        let sql = "SELECT id, name, reason, at_ns, expires_ns FROM break_glass \
                   ORDER BY at_ns DESC LIMIT ?";
        let query = sqlx::query(sql).bind(limit);
        self.all("listing break-glass", query, |row| {
            Ok(BreakGlassRow {
                id: UserId(row.id(0)?),
                name: row.get(1)?,
                reason: row.get(2)?,
                at: row.time(3)?,
                expires_at: row.time(4)?,
            })
        })
        .await
    }
}

fn order(row: Reader<'_>) -> Result<OrderRow, StoreError> {
    Ok(OrderRow {
        id: OrderId(row.id(0)?),
        patient_id: PatientId(row.id(1)?),
        protocol: row.get(2)?,
        planned_at: row.time(3)?,
        zone_s: row.get(4)?,
        note: row.get(5)?,
        state: row.word(6, OrderState::parse)?,
        session_id: row.optional_id(7)?.map(SessionId),
        by_user_id: row.optional_id(8)?.map(UserId),
        created_at: row.time(9)?,
    })
}
