//! Figures of the gateway, as Prometheus reads them.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::{
    edge::{BreakerState, Proxy, RouteReading},
    limits::service::LATENCY_BUCKETS_S,
};

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
    pub(crate) fn render(&self, gauges: &[(&str, &str, f64)], proxy: &Proxy) -> String {
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
        edge(&mut text, proxy);
        for (name, help, value) in gauges {
            let _ = writeln!(
                text,
                "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}"
            );
        }
        text
    }
}

/// A value of a label: names of services are their owners' words.
fn label(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

/// Calls of services: answers, and how long the service took and the gateway beside it.
fn edge(text: &mut String, proxy: &Proxy) {
    let routes = proxy.stats().read();
    let mut head = |name: &str, kind: &str, help: &str| {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    };
    head(
        "neurascale_edge_answers_total",
        "counter",
        "Answers of services by class of their status.",
    );
    for (service, reading) in &routes {
        for (class, count) in ["1xx", "2xx", "3xx", "4xx", "5xx"]
            .iter()
            .zip(reading.answers)
        {
            let service = label(service);
            let _ = writeln!(
                text,
                "neurascale_edge_answers_total{{service=\"{service}\",class=\"{class}\"}} {count}"
            );
        }
    }
    type Figure = fn(&RouteReading) -> f64;
    let figures: [(&str, &str, Figure); 8] = [
        ("upstream_seconds_total", "Time that services took.", |r| {
            r.upstream.sum.as_secs_f64()
        }),
        (
            "gateway_seconds_total",
            "Time that the gateway took beside them.",
            |r| r.gateway.sum.as_secs_f64(),
        ),
        ("received_bytes_total", "Bytes of requests.", |r| {
            r.bytes_in as f64
        }),
        ("sent_bytes_total", "Bytes of answers.", |r| {
            r.bytes_out as f64
        }),
        ("retries_total", "Requests that were sent again.", |r| {
            r.retries as f64
        }),
        (
            "retries_refused_total",
            "Requests that the budget let nobody send again.",
            |r| r.retries_refused as f64,
        ),
        (
            "ejections_total",
            "Instances that were left alone for a while.",
            |r| r.ejections as f64,
        ),
        ("tunnels_total", "Connections that were upgraded.", |r| {
            r.tunnels as f64
        }),
    ];
    for (name, help, figure) in figures {
        let _ = writeln!(
            text,
            "# HELP neurascale_edge_{name} {help}\n# TYPE neurascale_edge_{name} counter"
        );
        for (service, reading) in &routes {
            let (service, value) = (label(service), figure(reading));
            let _ = writeln!(
                text,
                "neurascale_edge_{name}{{service=\"{service}\"}} {value}"
            );
        }
    }
    text.push_str(
        "# HELP neurascale_edge_breaker Breaker of an instance: 0 closed, 1 half open, 2 open.\n\
         # TYPE neurascale_edge_breaker gauge\n",
    );
    for one in proxy.instances() {
        let state = match one.breaker {
            BreakerState::Closed => 0,
            BreakerState::HalfOpen => 1,
            BreakerState::Open => 2,
        };
        let (service, instance) = (label(&one.service), label(&one.instance));
        let _ = writeln!(
            text,
            "neurascale_edge_breaker{{service=\"{service}\",instance=\"{instance}\"}} {state}"
        );
    }
}
