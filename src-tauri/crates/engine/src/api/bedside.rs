//! What people do to a session while it records.

use super::device::impedance_view;
use super::{id, wire};
use crate::rpc::Calls;
use crate::serve::Shared;
use ui_types::{Nothing, SessionImpedance, SessionImpedanceReply, SessionPause, SessionRelabel};

pub(super) fn add(calls: Calls<Shared>) -> Calls<Shared> {
    calls
        .serve(
            |shared: Shared, call: SessionImpedance, progress| async move {
                let session = id("session", &call.id)?;
                let mut measured = 0;
                let tell = move |found: &workstation::rooms::acquisition::GradedImpedance| {
                    measured += 1;
                    let view = impedance_view(&found.impedance, found.grade);
                    progress.found(&found.impedance.electrode, measured, 0, &view);
                };
                let found = shared.workstation.measure_impedances(session, tell).await;
                Ok(SessionImpedanceReply {
                    impedances: found
                        .map_err(wire)?
                        .iter()
                        .map(|found| impedance_view(&found.impedance, found.grade))
                        .collect(),
                })
            },
        )
        .serve(|shared: Shared, call: SessionPause, _| async move {
            let session = id("session", &call.id)?;
            let paused = shared.workstation.pause(session, call.reason).await;
            paused.map_err(wire).map(|()| Nothing {})
        })
        .serve(|shared: Shared, call: SessionRelabel, _| async move {
            let session = id("session", &call.id)?;
            let done = shared.workstation.relabel(session, &call.from, &call.to);
            done.await.map_err(wire).map(|()| Nothing {})
        })
}
