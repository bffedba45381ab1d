//! Figures of the gateway, as Prometheus reads them.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::limits::service::LATENCY_BUCKETS_S;

/// Requests by route, method and status, and how long they took. Labels are the program's own words: a
/// route's path as it is written, never a value in it, so that there is a bounded number of them.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    series: Mutex<BTreeMap<(&'static str, &'static str), Series>>,
}

#[derive(Debug, Default)]
struct Series {
    by_status: BTreeMap<u16, u64>,
    buckets: [u64; LATENCY_BUCKETS_S.len()],
    count: u64,
    sum_s: f64,
}

/// A method as one of few words.
fn known(method: &str) -> &'static str {
    ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("other")
}

impl Metrics {
    pub(crate) fn count(&self, route: &'static str, method: &str, status: u16, took: Duration) {
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let series = series.entry((route, known(method))).or_default();
        *series.by_status.entry(status).or_default() += 1;
        let took = took.as_secs_f64();
        if let Some(at) = LATENCY_BUCKETS_S.iter().position(|&bound| took <= bound) {
            series.buckets[at] += 1;
        }
        series.count += 1;
        series.sum_s += took;
    }

    /// The exposition format of Prometheus, version 0.0.4; `gauges` are names, help texts and values.
    pub(crate) fn render(&self, gauges: &[(&str, &str, f64)]) -> String {
        let mut text = String::new();
        let series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        text.push_str(
            "# HELP neurascale_requests_total Requests by route, method and status.\n\
             # TYPE neurascale_requests_total counter\n",
        );
        for ((route, method), one) in series.iter() {
            for (status, count) in &one.by_status {
                let _ = writeln!(
                    text,
                    "neurascale_requests_total{{route=\"{route}\",method=\"{method}\",code=\"{status}\"}} {count}"
                );
            }
        }
        text.push_str(
            "# HELP neurascale_request_seconds Time from a request's head to its answer's.\n\
             # TYPE neurascale_request_seconds histogram\n",
        );
        for ((route, method), one) in series.iter() {
            let labels = format!("route=\"{route}\",method=\"{method}\"");
            let mut below = 0;
            for (bound, count) in LATENCY_BUCKETS_S.iter().zip(one.buckets) {
                below += count;
                let _ = writeln!(
                    text,
                    "neurascale_request_seconds_bucket{{{labels},le=\"{bound}\"}} {below}"
                );
            }
            let _ = writeln!(
                text,
                "neurascale_request_seconds_bucket{{{labels},le=\"+Inf\"}} {count}\n\
                 neurascale_request_seconds_sum{{{labels}}} {sum}\n\
                 neurascale_request_seconds_count{{{labels}}} {count}",
                count = one.count,
                sum = one.sum_s,
            );
        }
        for (name, help, value) in gauges {
            let _ = writeln!(
                text,
                "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}"
            );
        }
        text
    }
}
