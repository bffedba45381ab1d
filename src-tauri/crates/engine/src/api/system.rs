//! The engine itself.

use super::wire;
use crate::limits::BUNDLE_LOG_BYTES;
use crate::rpc::Calls;
use crate::serve::Shared;
use std::path::Path;
use ui_types::{
    ApiError, BackupCreate, BackupCreateReply, Doctor, DoctorReply, EngineStatus,
    EngineStatusReply, EngineStop, ErrorCode, Finding, FindingLevel, Nothing, PROTOCOL_VERSION,
    PolicyInForce, RecoveryCode, RecoveryCodeReply, SupportBundle, SupportBundleReply,
};
use workstation::{Level, rfc3339_here};

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
            Ok(DoctorReply {
                findings: findings(&shared).await,
            })
        })
        .serve(|shared: Shared, _: SupportBundle, _| async move { Ok(bundle(&shared).await) })
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

async fn findings(shared: &Shared) -> Vec<Finding> {
    let findings = shared.workstation.doctor().await;
    let wire = findings.into_iter().map(|finding| Finding {
        check: finding.check.to_owned(),
        level: match finding.level {
            Level::Good => FindingLevel::Good,
            Level::Warning => FindingLevel::Warning,
            Level::Problem => FindingLevel::Problem,
        },
        found: finding.found,
        remedy: finding.remedy,
    });
    wire.collect()
}

/// Folder names can hold a person's: they give way to words wherever they stand.
async fn bundle(shared: &Shared) -> SupportBundleReply {
    let status = status(shared);
    let nameless = Nameless::new(&shared.life.data_dir);
    let policies = shared.workstation.policies().await.unwrap_or_default();
    let mut findings = findings(shared).await;
    for finding in &mut findings {
        finding.found = nameless.of(&finding.found);
        finding.remedy = nameless.of(&finding.remedy);
    }
    let log = crate::log_file::tail(&shared.life.data_dir.join("logs"), BUNDLE_LOG_BYTES);
    SupportBundleReply {
        made: rfc3339_here(shared.workstation.utc()),
        version: status.version,
        protocol: status.protocol,
        system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        store_open: status.store_open,
        running_sessions: u32::try_from(status.running_sessions.len()).unwrap_or(u32::MAX),
        uptime_s: status.uptime_s,
        resident_bytes: status.resident_bytes,
        findings,
        policies: policies
            .into_iter()
            .map(super::settings::view)
            .map(|policy| PolicyInForce {
                name: policy.name,
                value: policy.value,
                source: policy.source,
            })
            .collect(),
        log: log.lines().map(|line| nameless.of(line)).collect(),
    }
}

/// Replaces the folders of this machine's people.
struct Nameless {
    folders: Vec<(String, &'static str)>,
}

impl Nameless {
    fn new(data_dir: &Path) -> Self {
        let home = std::env::home_dir().filter(|home| home.components().count() > 1);
        let folders = [
            (Some(data_dir.to_owned()), "<data folder>"),
            (home, "<home folder>"),
        ];
        Self {
            folders: (folders.into_iter())
                .filter_map(|(folder, word)| Some((folder?.to_string_lossy().into_owned(), word)))
                .collect(),
        }
    }

    fn of(&self, text: &str) -> String {
        (self.folders.iter()).fold(text.to_owned(), |text, (folder, word)| {
            text.replace(folder, word)
        })
    }
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
