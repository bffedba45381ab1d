//! Figures of the gateway, as Prometheus reads them.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::{
    edge::{BreakerState, Latency, LatencyReading, Proxy, RouteReading},
    limits::service::LATENCY_BUCKETS_S,
    traces::Reading,
};

/// Requests by route, method, consumer and status, how long they took and how large they were. Labels are the
/// program's own words and the configuration's: a route's path as it is written, never a value in it, so that there
/// is a bounded number of them.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    series: RwLock<BTreeMap<Key, Arc<RouteSeries>>>,
}

/// Route, method, consumer.
type Key = (&'static str, &'static str, String);

/// Figures of one route, method and consumer.
#[derive(Debug, Default)]
pub(crate) struct RouteSeries {
    by_status: Mutex<BTreeMap<u16, u64>>,
    took: Latency,
    received: AtomicU64,
    sent: AtomicU64,
}

impl RouteSeries {
    pub(crate) fn count(&self, status: u16, took: Duration) {
        let mut by_status = self
            .by_status
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *by_status.entry(status).or_default() += 1;
        drop(by_status);
        self.took.add(took);
    }

    pub(crate) fn received(&self, bytes: u64) {
        self.received.fetch_add(bytes, Relaxed);
    }

    pub(crate) fn sent(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Relaxed);
    }
}

/// A method as one of few words.
pub(crate) fn known(method: &str) -> &'static str {
    ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("other")
}

/// Begins a figure: what it is, and of which type.
fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

/// One series of a histogram.
fn histogram(text: &mut String, name: &str, labels: &str, reading: &LatencyReading) {
    let mut below = 0;
    for (bound, count) in LATENCY_BUCKETS_S.iter().zip(reading.buckets) {
        below += count;
        let _ = writeln!(text, "{name}_bucket{{{labels},le=\"{bound}\"}} {below}");
    }
    let all: u64 = reading.buckets.iter().sum();
    let sum = reading.sum.as_secs_f64();
    let _ = writeln!(
        text,
        "{name}_bucket{{{labels},le=\"+Inf\"}} {all}\n\
         {name}_sum{{{labels}}} {sum}\n\
         {name}_count{{{labels}}} {all}"
    );
}

impl Metrics {
    /// The figures of requests to a route.
    pub(crate) fn series(
        &self,
        route: &'static str,
        method: &'static str,
        consumer: &str,
    ) -> Arc<RouteSeries> {
        let key = (route, method, consumer.to_owned());
        let known = self.series.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(series) = known.get(&key) {
            return Arc::clone(series);
        }
        drop(known);
        let mut known = self.series.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(key).or_default())
    }

    /// The exposition format of Prometheus, version 0.0.4; `gauges` are names, help texts and values.
    pub(crate) fn render(
        &self,
        gauges: &[(&str, &str, f64)],
        proxy: &Proxy,
        traces: Option<&Reading>,
    ) -> String {
        let mut text = String::new();
        let known = self.series.read().unwrap_or_else(PoisonError::into_inner);
        let series: Vec<_> = known
            .iter()
            .map(|((route, method, consumer), one)| {
                let consumer = label(consumer);
                let labels =
                    format!("route=\"{route}\",method=\"{method}\",consumer=\"{consumer}\"");
                (labels, Arc::clone(one))
            })
            .collect();
        drop(known);
        let name = "neurascale_requests_total";
        let help = "Requests by route, method, consumer and status.";
        head(&mut text, name, "counter", help);
        for (labels, one) in &series {
            let by_status = one.by_status.lock().unwrap_or_else(PoisonError::into_inner);
            for (status, count) in by_status.iter() {
                let _ = writeln!(text, "{name}{{{labels},code=\"{status}\"}} {count}");
            }
        }
        let name = "neurascale_request_seconds";
        let help = "Time from a request's head to its answer's.";
        head(&mut text, name, "histogram", help);
        for (labels, one) in &series {
            histogram(&mut text, name, labels, &one.took.read());
        }
        type Bytes = fn(&RouteSeries) -> &AtomicU64;
        let bytes: [(&str, &str, Bytes); 2] = [
            (
                "neurascale_received_bytes_total",
                "Bytes of requests' bodies.",
                |one| &one.received,
            ),
            (
                "neurascale_sent_bytes_total",
                "Bytes of answers' bodies.",
                |one| &one.sent,
            ),
        ];
        for (name, help, figure) in bytes {
            head(&mut text, name, "counter", help);
            for (labels, one) in &series {
                let _ = writeln!(text, "{name}{{{labels}}} {}", figure(one).load(Relaxed));
            }
        }
        edge(&mut text, proxy);
        if let Some(reading) = traces {
            spans(&mut text, reading);
        }
        for (name, help, value) in gauges {
            head(&mut text, name, "gauge", help);
            let _ = writeln!(text, "{name} {value}");
        }
        text
    }
}

/// What becomes of spans.
fn spans(text: &mut String, reading: &Reading) {
    for (name, kind, help, value) in [
        (
            "neurascale_spans_exported_total",
            "counter",
            "Spans that the receiver took.",
            reading.exported,
        ),
        (
            "neurascale_spans_dropped_total",
            "counter",
            "Spans that found no place in the queue, or that the receiver did not take.",
            reading.dropped,
        ),
        (
            "neurascale_spans_waiting",
            "gauge",
            "Spans that wait for being sent.",
            reading.waiting as u64,
        ),
    ] {
        head(text, name, kind, help);
        let _ = writeln!(text, "{name} {value}");
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
    head(
        text,
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
    type Took = fn(&RouteReading) -> &LatencyReading;
    let took: [(&str, &str, Took); 2] = [
        (
            "neurascale_edge_upstream_seconds",
            "Time that services took, up to the head of their answer, all attempts together.",
            |r| &r.upstream,
        ),
        (
            "neurascale_edge_gateway_seconds",
            "Time that the gateway took beside them.",
            |r| &r.gateway,
        ),
    ];
    for (name, help, of) in took {
        head(text, name, "histogram", help);
        for (service, reading) in &routes {
            let labels = format!("service=\"{}\"", label(service));
            histogram(text, name, &labels, of(reading));
        }
    }
    type Figure = fn(&RouteReading) -> f64;
    let figures: [(&str, &str, Figure); 7] = [
        ("broken_bodies_total", "Answers that broke off.", |r| {
            r.broken_bodies as f64
        }),
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
    let name = "neurascale_edge_breaker_changes_total";
    head(text, name, "counter", "Breakers that came to a state.");
    for (service, reading) in &routes {
        let service = label(service);
        for (state, count) in ["closed", "open", "half_open"].iter().zip(reading.breakers) {
            let _ = writeln!(
                text,
                "{name}{{service=\"{service}\",state=\"{state}\"}} {count}"
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
