//! Policies, and the timing certificate.

use super::wire;
use crate::rpc::Calls;
use crate::serve::Shared;
use std::path::PathBuf;
use ui_types::{
    Nothing, PolicyList, PolicyListReply, PolicySet, PolicyView, TimingCertify, TimingCertifyReply,
};
use workstation::{PolicyRecord, PolicySource, TimingCertificate, rfc3339_here};

pub(super) fn add(calls: Calls<Shared>) -> Calls<Shared> {
    calls
        .serve(|shared: Shared, _: PolicyList, _| async move {
            let policies = shared.workstation.policies().await.map_err(wire)?;
            Ok(PolicyListReply {
                policies: policies.into_iter().map(view).collect(),
            })
        })
        .serve(|shared: Shared, call: PolicySet, _| async move {
            let set = shared.workstation.set_policy(&call.name, call.value).await;
            set.map(|()| Nothing {}).map_err(wire)
        })
        .serve(|shared: Shared, call: TimingCertify, progress| async move {
            let tell = move |done, total| progress.say("measuring", done, total);
            let made = shared
                .workstation
                .certify_timing(call.duration_s, call.path.map(PathBuf::from), tell)
                .await;
            made.map(certificate).map_err(wire)
        })
}

pub(super) fn view(policy: PolicyRecord) -> PolicyView {
    PolicyView {
        name: policy.name.to_owned(),
        description: policy.description.to_owned(),
        value: policy.value,
        unit: policy.unit.to_owned(),
        source: match policy.source {
            PolicySource::Default => "default",
            PolicySource::Administrator => "administrator",
            PolicySource::Site => "site",
        }
        .to_owned(),
        set_by: match policy.set_at {
            Some(at) => format!("{}, {}", policy.set_by, rfc3339_here(at)),
            None => String::new(),
        },
        changeable: policy.source != PolicySource::Site,
    }
}

fn certificate(made: TimingCertificate) -> TimingCertifyReply {
    let figures = made.figures;
    TimingCertifyReply {
        channels: figures.channels,
        rate_hz: figures.rate_hz,
        duration_s: figures.duration_s,
        latency_p50_ms: figures.latency_p50_ms,
        latency_p99_ms: figures.latency_p99_ms,
        latency_max_ms: figures.latency_max_ms,
        jitter_ms: figures.jitter_ms,
        samples_due: figures.samples_due,
        samples_lost: figures.samples_lost,
        clock_error_p99_us: figures.clock_error_p99_us,
        path: made.path.to_string_lossy().into_owned(),
        sha256: made.sha256,
    }
}
