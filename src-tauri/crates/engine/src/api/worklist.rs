//! The worklist and its orders.

use super::patient::view as patient_view;
use super::{id, wire};
use crate::rpc::Calls;
use crate::serve::Shared;
use ui_types::{
    ApiError, ErrorCode, Nothing, OrderAdd, OrderAddReply, OrderCancel, Worklist, WorklistReply,
    WorklistRow, WorklistState,
};
use workstation::{NewOrder, Note, WorklistItem, parse_date, parse_time, rfc3339};

pub(super) fn add(calls: Calls<Shared>) -> Calls<Shared> {
    calls
        .serve(|shared: Shared, call: Worklist, _| async move {
            let date = match &call.date {
                None => None,
                Some(text) => Some(parse_date(text).ok_or_else(|| {
                    ApiError::new(ErrorCode::Invalid, "a day is written YYYY-MM-DD", "")
                })?),
            };
            let (date, items) = shared
                .workstation
                .worklist(date, &call.search)
                .await
                .map_err(wire)?;
            Ok(WorklistReply {
                date: date.to_string(),
                rows: items.into_iter().map(row).collect(),
            })
        })
        .serve(|shared: Shared, call: OrderAdd, _| async move {
            let (planned, zone) = parse_time(&call.time).ok_or_else(|| {
                ApiError::new(
                    ErrorCode::Invalid,
                    "a time is written as in '2026-03-29T09:30:00+01:00'",
                    "",
                )
            })?;
            let order = NewOrder {
                patient: id("patient", &call.patient)?,
                protocol: call.protocol,
                planned,
                zone,
                note: Note(call.note),
            };
            let added = shared.workstation.add_order(order).await.map_err(wire)?;
            Ok(OrderAddReply {
                id: added.to_string(),
            })
        })
        .serve(|shared: Shared, call: OrderCancel, _| async move {
            let cancelled = shared
                .workstation
                .cancel_order(id("order", &call.id)?)
                .await;
            cancelled.map(|()| Nothing {}).map_err(wire)
        })
}

fn row(item: WorklistItem) -> WorklistRow {
    WorklistRow {
        patient: patient_view(item.patient),
        state: match item.state {
            workstation::WorklistState::Running => WorklistState::Running,
            workstation::WorklistState::Interrupted => WorklistState::Interrupted,
            workstation::WorklistState::Planned => WorklistState::Planned,
            workstation::WorklistState::ToSign => WorklistState::ToSign,
            workstation::WorklistState::Signed => WorklistState::Signed,
            workstation::WorklistState::Failed => WorklistState::Failed,
            workstation::WorklistState::None => WorklistState::None,
        },
        protocol: item.protocol,
        protocol_title: item.protocol_title,
        time: item
            .time
            .map_or_else(String::new, |(time, zone)| rfc3339(time, zone)),
        session: item.session.map(|id| id.to_string()),
        order: item.order.map(|id| id.to_string()),
        note: item.note.0,
        recorded_s: item.recorded_s,
    }
}
