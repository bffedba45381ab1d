//! The engine itself.

use super::wire;
use crate::rpc::Calls;
use crate::serve::Shared;
use std::path::Path;
use ui_types::{
    ApiError, BackupCreate, BackupCreateReply, Doctor, DoctorReply, EngineStatus,
    EngineStatusReply, EngineStop, ErrorCode, Finding, FindingLevel, Nothing, PROTOCOL_VERSION,
    RecoveryCode, RecoveryCodeReply,
};
use workstation::Level;

pub(super) fn add(calls: Calls<Shared>) -> Calls<Shared> {
    calls
        .serve(|shared: Shared, _: EngineStatus, _| async move { Ok(status(&shared)) })
        .serve(|shared: Shared, call: EngineStop, _| async move {
            let running = shared.workstation.running_sessions();
            if !running.is_empty() && !call.force {
                return Err(ApiError::new(
                    ErrorCode::Conflict,
                    format!("{} session(s) are recording", running.len()),
                    "Stop them first, or use '--force': they go on at the next start.",
                ));
            }
            shared.life.stop();
            Ok(Nothing {})
        })
        .serve(|shared: Shared, _: RecoveryCode, _| async move {
            Ok(RecoveryCodeReply {
                code: shared.workstation.take_recovery_code(),
            })
        })
        .serve(|shared: Shared, _: Doctor, _| async move {
            let findings = shared.workstation.doctor().await;
            let findings = findings.into_iter().map(|finding| Finding {
                check: finding.check.to_owned(),
                level: match finding.level {
                    Level::Good => FindingLevel::Good,
                    Level::Warning => FindingLevel::Warning,
                    Level::Problem => FindingLevel::Problem,
                },
                found: finding.found,
                remedy: finding.remedy,
            });
            Ok(DoctorReply {
                findings: findings.collect(),
            })
        })
        .serve(|shared: Shared, call: BackupCreate, _| async move {
            let made = shared.workstation.backup(Path::new(&call.path)).await;
            let (bytes, sha256) = made.map_err(wire)?;
            Ok(BackupCreateReply {
                path: call.path,
                bytes,
                sha256,
            })
        })
}

fn status(shared: &Shared) -> EngineStatusReply {
    let problem = shared.workstation.store_problem();
    let sessions = shared.workstation.running_sessions();
    EngineStatusReply {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: PROTOCOL_VERSION,
        pid: std::process::id(),
        data_dir: shared.life.data_dir.to_string_lossy().into_owned(),
        store_open: problem.is_none(),
        problem: problem.map_or_else(String::new, |(what, remedy)| format!("{what} {remedy}")),
        running_sessions: sessions.iter().map(ToString::to_string).collect(),
        uptime_s: shared.life.started.elapsed().as_secs_f64(),
        resident_bytes: resident_bytes(),
    }
}

/// Resident memory as Linux tells it; 0 elsewhere.
fn resident_bytes() -> u64 {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else {
        return 0;
    };
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1_024
}
