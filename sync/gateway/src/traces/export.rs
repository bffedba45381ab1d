//! Spans on their way to a receiver: OTLP over HTTP with protobuf, in the background.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    common::v1::{InstrumentationScope, any_value::Value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use prost::Message as _;
use reqwest::{StatusCode, header};
use tokio::sync::{mpsc, watch};

use super::attribute;
use crate::limits::traces as limits;

/// What becomes of spans.
#[derive(Debug)]
pub(super) struct Counts {
    exported: AtomicU64,
    dropped: AtomicU64,
    failing: AtomicBool,
    closing: watch::Sender<bool>,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            exported: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            failing: AtomicBool::new(false),
            closing: watch::Sender::new(false),
        }
    }
}

/// A reading of what became of spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Spans that wait for being sent.
    pub waiting: usize,
    /// Spans that the receiver took.
    pub exported: u64,
    /// Spans that found no place in the queue, or that the receiver did not take.
    pub dropped: u64,
    /// Whether the receiver took what it was sent last; true before anything was sent.
    pub healthy: bool,
}

impl Counts {
    pub(super) fn drop_spans(&self, spans: u64) {
        self.dropped.fetch_add(spans, Relaxed);
    }

    pub(super) fn close(&self) {
        self.closing.send_replace(true);
    }

    pub(super) fn read(&self, waiting: usize) -> Reading {
        Reading {
            waiting,
            exported: self.exported.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
            healthy: !self.failing.load(Relaxed),
        }
    }
}

/// Sends spans until the tracer closes.
pub(super) struct Exporter {
    url: String,
    resource: Resource,
    spans: mpsc::Receiver<Span>,
    counts: Arc<Counts>,
}

/// What the receiver said of a batch.
enum Sent {
    /// It took all but so many.
    Taken(u64),
    /// It may take it later.
    Later,
    /// It will never take it.
    Refused,
}

impl Exporter {
    pub(super) fn new(
        endpoint: &str,
        instance: &str,
        spans: mpsc::Receiver<Span>,
        counts: Arc<Counts>,
    ) -> Self {
        let said = |key, value: &str| attribute(key, Value::StringValue(value.to_owned()));
        Self {
            // As `OTEL_EXPORTER_OTLP_ENDPOINT` is read.
            url: format!("{}/v1/traces", endpoint.trim_end_matches('/')),
            resource: Resource {
                attributes: vec![
                    said("service.name", "neurascale-gateway"),
                    said("service.version", env!("CARGO_PKG_VERSION")),
                    said("service.instance.id", instance),
                ],
                ..Resource::default()
            },
            spans,
            counts,
        }
    }

    pub(super) async fn run(mut self, client: reqwest::Client) {
        let mut closing = self.counts.closing.subscribe();
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                taken = self.spans.recv_many(&mut batch, limits::BATCH) => if taken == 0 { return },
                _ = closing.wait_for(|closing| *closing), if !self.spans.is_closed() => {
                    // What is in the queue still comes.
                    self.spans.close();
                    continue;
                }
            }
            if batch.len() < limits::BATCH && !*closing.borrow() {
                tokio::select! {
                    () = tokio::time::sleep(limits::LINGER) => {}
                    _ = closing.wait_for(|closing| *closing) => {}
                }
                while batch.len() < limits::BATCH
                    && let Ok(span) = self.spans.try_recv()
                {
                    batch.push(span);
                }
            }
            self.export(&client, std::mem::take(&mut batch), &mut closing)
                .await;
        }
    }

    async fn export(
        &self,
        client: &reqwest::Client,
        spans: Vec<Span>,
        closing: &mut watch::Receiver<bool>,
    ) {
        let count = spans.len() as u64;
        let body = bytes::Bytes::from(self.message(spans).encode_to_vec());
        let mut wait = limits::RETRY;
        let mut attempt = 1;
        let refused = loop {
            match self.send(client, body.clone()).await {
                Sent::Taken(refused) => break refused.min(count),
                Sent::Refused => break count,
                Sent::Later if attempt >= limits::ATTEMPTS || *closing.borrow() => break count,
                Sent::Later => {
                    self.says(true);
                    pause(wait, closing).await;
                    wait *= 2;
                    attempt += 1;
                }
            }
        };
        self.counts.exported.fetch_add(count - refused, Relaxed);
        self.counts.drop_spans(refused);
        self.says(refused > 0);
    }

    /// Whether the receiver fails now; said in the log when that changes, not with every batch.
    fn says(&self, failing: bool) {
        if self.counts.failing.swap(failing, Relaxed) != failing {
            if failing {
                tracing::warn!("the receiver of traces takes none; spans will be dropped");
            } else {
                tracing::info!("the receiver of traces takes them again");
            }
        }
    }

    fn message(&self, spans: Vec<Span>) -> ExportTraceServiceRequest {
        ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(self.resource.clone()),
                scope_spans: vec![ScopeSpans {
                    scope: Some(InstrumentationScope {
                        name: "gateway".to_owned(),
                        ..InstrumentationScope::default()
                    }),
                    spans,
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            }],
        }
    }

    async fn send(&self, client: &reqwest::Client, body: bytes::Bytes) -> Sent {
        let request = client
            .post(&self.url)
            .header(header::CONTENT_TYPE, "application/x-protobuf")
            .timeout(limits::EXPORT_WITHIN)
            .body(body);
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::debug!(%error, "spans were not sent");
                return Sent::Later;
            }
        };
        let status = answer.status();
        if status.is_success() {
            // A receiver that took all need not say so in words.
            let said = answer.bytes().await.unwrap_or_default();
            let said = ExportTraceServiceResponse::decode(said).unwrap_or_default();
            let refused = said.partial_success.map_or(0, |part| part.rejected_spans);
            return Sent::Taken(refused.unsigned_abs());
        }
        tracing::debug!(%status, "spans were not taken");
        match status {
            // OTLP, "Retryable Response Codes".
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Sent::Later,
            _ => Sent::Refused,
        }
    }
}

async fn pause(wait: Duration, closing: &mut watch::Receiver<bool>) {
    tokio::select! {
        () = tokio::time::sleep(wait) => {}
        _ = closing.wait_for(|closing| *closing) => {}
    }
}
