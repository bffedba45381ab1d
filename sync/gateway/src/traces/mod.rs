//! Traces: where a request comes from and what follows from it, exported over OTLP where that is configured.
//!
//! A request's context is taken from its client or begun here, goes on to the routed service and to the events
//! that it publishes, and stands in each line of the log. Spans say routes, statuses, services and kinds of
//! consumers: no identifier, no path, no query. What a client says in `tracestate` is passed on and not exported.
//!
//! A span ends with the head of the answer, as latencies do: a stream of events is no request of an hour.

mod context;
mod export;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use events::{Clock, Timestamp};
use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::{Span, Status, span::SpanKind, status::StatusCode},
};
use tokio::{sync::mpsc, task::JoinHandle};

pub use context::Context;
pub(crate) use context::{TRACEPARENT, TRACESTATE};
pub use export::Reading;
use export::{Counts, Exporter};

use crate::{limits::traces as limits, random::Random};

/// Which side of a call a span is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Server,
    Client,
    Producer,
}

/// What begins spans. Clones are one tracer.
#[derive(Clone)]
pub struct Tracer(Arc<Inner>);

struct Inner {
    random: Random,
    clock: Arc<dyn Clock>,
    /// Share of traces begun here that are recorded, 0 to 1.
    sample: f64,
    /// None where nothing is exported.
    queue: Option<mpsc::Sender<Span>>,
    exporter: Mutex<Option<Exporter>>,
    counts: Arc<Counts>,
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracer")
            .field("sample", &self.0.sample)
            .field("exports", &self.0.queue.is_some())
            .finish_non_exhaustive()
    }
}

impl Tracer {
    /// Exports to the traces' path of a receiver (`http://collector:4318`), or nowhere; `sample` is the share of
    /// traces begun here that are recorded. What comes with a context is recorded as its client decided.
    pub fn new(
        endpoint: Option<&str>,
        sample: f64,
        instance: &str,
        clock: Arc<dyn Clock>,
        random: Random,
    ) -> Self {
        let counts = Arc::new(Counts::default());
        let (queue, exporter) = match endpoint {
            None => (None, None),
            Some(endpoint) => {
                let (queue, spans) = mpsc::channel(limits::QUEUE);
                let exporter = Exporter::new(endpoint, instance, spans, Arc::clone(&counts));
                (Some(queue), Some(exporter))
            }
        };
        Self(Arc::new(Inner {
            random,
            clock,
            sample,
            queue,
            exporter: Mutex::new(exporter),
            counts,
        }))
    }

    /// Begins to send, where something is to be sent.
    pub(crate) fn start(&self, client: reqwest::Client) -> Option<JoinHandle<()>> {
        let exporter = &self.0.exporter;
        let exporter = exporter
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        exporter.map(|exporter| tokio::spawn(exporter.run(client)))
    }

    /// Sends what is left and ends.
    pub(crate) async fn stop(&self, sending: JoinHandle<()>) {
        self.0.counts.close();
        if tokio::time::timeout(limits::FLUSH_WITHIN, sending)
            .await
            .is_err()
        {
            tracing::warn!("the last spans were not sent");
        }
    }

    /// What was counted; none where nothing is exported.
    pub fn read(&self) -> Option<Reading> {
        let queue = self.0.queue.as_ref()?;
        let waiting = queue.max_capacity() - queue.capacity();
        Some(self.0.counts.read(waiting))
    }

    /// By the trace's id, so that every gateway decides alike (OpenTelemetry's `TraceIdRatioBased`).
    fn samples(&self, trace: [u8; 16]) -> bool {
        let low = u128::from_be_bytes(trace) as u64 >> 1;
        // A double is exact enough for a share.
        (low as f64) < self.0.sample * (1_u64 << 63) as f64
    }

    /// Begins a span under a parent, or a trace of its own.
    pub(crate) fn begin(&self, parent: Option<Context>, kind: Kind) -> Open {
        let exports = self.0.queue.is_some();
        let random = &self.0.random;
        let context = match parent {
            // Nobody would see a span of this gateway: what follows hangs under the one before.
            Some(parent) if !exports => parent,
            Some(parent) => Context {
                span: random.bytes(),
                ..parent
            },
            None => {
                let trace = random.bytes();
                Context {
                    trace,
                    span: random.bytes(),
                    sampled: exports && self.samples(trace),
                }
            }
        };
        let recorded = (exports && context.sampled).then(|| {
            Box::new(Span {
                trace_id: context.trace.to_vec(),
                span_id: context.span.to_vec(),
                parent_span_id: parent.map_or_else(Vec::new, |parent| parent.span.to_vec()),
                kind: match kind {
                    Kind::Server => SpanKind::Server,
                    Kind::Client => SpanKind::Client,
                    Kind::Producer => SpanKind::Producer,
                } as i32,
                start_time_unix_nano: ns(self.0.clock.now()),
                flags: 1,
                ..Span::default()
            })
        });
        Open {
            tracer: self.clone(),
            context,
            recorded,
        }
    }
}

fn ns(at: Timestamp) -> u64 {
    u64::try_from(at.as_nanos()).unwrap_or(0)
}

/// A span that is under way; it ends when it is dropped.
pub(crate) struct Open {
    tracer: Tracer,
    context: Context,
    recorded: Option<Box<Span>>,
}

impl Open {
    pub(crate) fn context(&self) -> Context {
        self.context
    }

    /// What spans begin under that follow from this one: an extension of requests.
    pub(crate) fn current(&self) -> Current {
        Current {
            tracer: self.tracer.clone(),
            context: self.context,
        }
    }

    pub(crate) fn name(&mut self, name: impl FnOnce() -> String) {
        if let Some(span) = &mut self.recorded {
            span.name = name();
        }
    }

    pub(crate) fn text(&mut self, key: &str, value: &str) {
        self.attribute(key, || Value::StringValue(value.to_owned()));
    }

    pub(crate) fn number(&mut self, key: &str, value: impl Into<i64>) {
        self.attribute(key, || Value::IntValue(value.into()));
    }

    fn attribute(&mut self, key: &str, value: impl FnOnce() -> Value) {
        if let Some(span) = &mut self.recorded {
            span.attributes.push(attribute(key, value()));
        }
    }

    /// It did not do what it was for.
    pub(crate) fn fail(&mut self) {
        if let Some(span) = &mut self.recorded {
            span.status = Some(Status {
                code: StatusCode::Error as i32,
                ..Status::default()
            });
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let inner = &self.tracer.0;
        if let (Some(mut span), Some(queue)) = (self.recorded.take(), &inner.queue) {
            span.end_time_unix_nano = ns(inner.clock.now());
            if queue.try_send(*span).is_err() {
                inner.counts.drop_spans(1);
            }
        }
    }
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

/// The span that a request is in.
#[derive(Debug, Clone)]
pub(crate) struct Current {
    tracer: Tracer,
    context: Context,
}

impl Current {
    /// Begins a span that follows from it.
    pub(crate) fn begin(&self, kind: Kind) -> Open {
        self.tracer.begin(Some(self.context), kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracer(endpoint: Option<&str>, sample: f64) -> Tracer {
        let clock = Arc::new(events::SystemClock);
        Tracer::new(endpoint, sample, "test", clock, Random::from_seed(1))
    }

    #[test]
    fn the_client_decides_what_is_recorded_and_else_the_share() {
        for sample in [0.0, 1.0] {
            let tracer = tracer(Some("http://127.0.0.1:1"), sample);
            for sampled in [true, false] {
                let flags = u8::from(sampled);
                let parent = format!("00-{}-{}-0{flags}", "4b".repeat(16), "0f".repeat(8));
                let parent = Context::parse(parent.as_bytes());
                let span = tracer.begin(parent, Kind::Server);
                assert_eq!(span.recorded.is_some(), sampled);
                assert_eq!(span.context().trace_id(), "4b".repeat(16));
                assert_ne!(Some(span.context()), parent, "a span of its own");
            }
            let root = tracer.begin(None, Kind::Server);
            assert_eq!(root.context().is_sampled(), sample > 0.5);
        }
        let half = tracer(Some("http://127.0.0.1:1"), 0.5);
        let recorded = (0..1_000)
            .filter(|_| half.begin(None, Kind::Server).context().is_sampled())
            .count();
        assert!((400..600).contains(&recorded), "{recorded}");
    }

    #[test]
    fn without_a_receiver_a_context_passes_through() {
        let tracer = tracer(None, 1.0);
        let parent = format!("00-{}-{}-01", "4b".repeat(16), "0f".repeat(8));
        let parent = Context::parse(parent.as_bytes());
        assert_eq!(Some(tracer.begin(parent, Kind::Server).context()), parent);
        assert!(!tracer.begin(None, Kind::Server).context().is_sampled());
        assert!(tracer.read().is_none());
    }

    #[test]
    fn what_finds_no_place_in_the_queue_is_dropped_and_counted() {
        let tracer = tracer(Some("http://127.0.0.1:1"), 1.0);
        for _ in 0..limits::QUEUE + 10 {
            drop(tracer.begin(None, Kind::Server));
        }
        let reading = tracer.read().unwrap();
        assert_eq!((reading.waiting, reading.dropped), (limits::QUEUE, 10));
    }
}
