//! Bodies on their way through: frame by frame, with limits and counts, never held whole.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use axum::body::{Body, Bytes};
use http_body_util::BodyExt as _;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::time::{Sleep, sleep};

use super::{pool::Lease, stats::RouteStats};
use crate::limits::edge as limits;

/// What is wrong with what a client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum ClientFault {
    #[error("the request's body broke off")]
    Broke,
    #[error("the request's body is too large")]
    TooLarge,
    #[error("the request's body did not come in time")]
    Stalled,
}

/// How far a request's body has come: who waits for the answer reads it.
#[derive(Debug)]
pub(super) struct Progress {
    began: Instant,
    last_ms: AtomicU64,
    awaits_client: AtomicBool,
    fault: AtomicU8,
}

impl Progress {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            last_ms: AtomicU64::new(0),
            awaits_client: AtomicBool::new(false),
            fault: AtomicU8::new(0),
        })
    }

    fn moved(&self) {
        let ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(ms, Relaxed);
        self.awaits_client.store(false, Relaxed);
    }

    /// Time since the last byte moved, or since the beginning.
    pub(super) fn still_for(&self) -> Duration {
        let last = Duration::from_millis(self.last_ms.load(Relaxed));
        self.began.elapsed().saturating_sub(last)
    }

    /// Whether it is the client that others wait for.
    pub(super) fn awaits_client(&self) -> bool {
        self.awaits_client.load(Relaxed)
    }

    fn fail(&self, fault: ClientFault) -> ClientFault {
        self.fault.store(fault as u8 + 1, Relaxed);
        fault
    }

    pub(super) fn fault(&self) -> Option<ClientFault> {
        [
            ClientFault::Broke,
            ClientFault::TooLarge,
            ClientFault::Stalled,
        ]
        .into_iter()
        .find(|&fault| fault as u8 + 1 == self.fault.load(Relaxed))
    }
}

/// A body that is sent once, or kept for another attempt.
#[derive(Debug)]
pub(super) enum Payload {
    Stream(Option<Body>),
    Kept(Bytes),
}

impl Payload {
    /// Keeps a body that is small and says so, while it may be needed again.
    pub(super) async fn of(
        body: Body,
        keep: bool,
        patience: Duration,
        stats: &RouteStats,
    ) -> Result<Self, ClientFault> {
        if body.is_end_stream() {
            return Ok(Self::Kept(Bytes::new()));
        }
        let small = body
            .size_hint()
            .exact()
            .is_some_and(|size| size <= limits::REPLAY_BYTES);
        if !keep || !small {
            return Ok(Self::Stream(Some(body)));
        }
        let whole = tokio::time::timeout(patience, body.collect()).await;
        let bytes = whole
            .map_err(|_| ClientFault::Stalled)?
            .map_err(|_| ClientFault::Broke)?
            .to_bytes();
        stats.bytes_in(bytes.len());
        Ok(Self::Kept(bytes))
    }

    /// Whether there is a body left to send.
    pub(super) fn can_be_sent(&self) -> bool {
        !matches!(self, Self::Stream(None))
    }

    pub(super) fn take(
        &mut self,
        progress: &Arc<Progress>,
        stats: &Arc<RouteStats>,
        limit: u64,
    ) -> Body {
        match self {
            Self::Kept(bytes) if bytes.is_empty() => Body::empty(),
            Self::Kept(bytes) => Body::from(bytes.clone()),
            Self::Stream(body) => Body::new(RequestBody {
                inner: body.take().unwrap_or_default(),
                left: limit,
                progress: Arc::clone(progress),
                stats: Arc::clone(stats),
            }),
        }
    }
}

/// A client's body.
struct RequestBody {
    inner: Body,
    left: u64,
    progress: Arc<Progress>,
    stats: Arc<RouteStats>,
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = ClientFault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ClientFault>>> {
        let this = &mut *self;
        let polled = Pin::new(&mut this.inner).poll_frame(cx);
        if polled.is_pending() {
            this.progress.awaits_client.store(true, Relaxed);
        } else {
            this.progress.moved();
        }
        Poll::Ready(match ready!(polled) {
            None => None,
            Some(Err(_)) => Some(Err(this.progress.fail(ClientFault::Broke))),
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                this.stats.bytes_in(bytes);
                match this.left.checked_sub(bytes as u64) {
                    Some(left) => {
                        this.left = left;
                        Some(Ok(frame))
                    }
                    None => Some(Err(this.progress.fail(ClientFault::TooLarge))),
                }
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Why an answer broke off.
#[derive(Debug, thiserror::Error)]
pub(super) enum AnswerFault {
    #[error("the instance's answer broke off")]
    Broke(#[source] hyper::Error),
    #[error("the instance's answer did not go on")]
    Stalled,
}

/// An instance's body. The instance counts as busy until its end.
pub(super) struct ResponseBody {
    inner: Incoming,
    lease: Option<Lease>,
    stats: Arc<RouteStats>,
    idle: Option<Pin<Box<Sleep>>>,
    waiting: bool,
    limit: Duration,
}

impl ResponseBody {
    pub(super) fn new(
        inner: Incoming,
        lease: Lease,
        stats: Arc<RouteStats>,
        limit: Duration,
    ) -> Self {
        let lease = (!inner.is_end_stream()).then_some(lease);
        Self {
            inner,
            lease,
            stats,
            idle: None,
            waiting: false,
            limit,
        }
    }

    /// Whether it has been silent for too long. Only the time counts in which it is waited for, not that in
    /// which the client takes nothing.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let limit = self.limit;
        let idle = self.idle.get_or_insert_with(|| Box::pin(sleep(limit)));
        if !self.waiting {
            self.waiting = true;
            idle.as_mut().reset(tokio::time::Instant::now() + limit);
        }
        idle.as_mut().poll(cx)
    }
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = AnswerFault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerFault>>> {
        let this = &mut *self;
        let polled = Pin::new(&mut this.inner).poll_frame(cx);
        let frame = match polled {
            Poll::Pending => {
                ready!(this.poll_idle(cx));
                Some(Err(AnswerFault::Stalled))
            }
            Poll::Ready(frame) => frame.map(|frame| frame.map_err(AnswerFault::Broke)),
        };
        this.waiting = false;
        match &frame {
            Some(Ok(frame)) => this.stats.bytes_out(frame.data_ref().map_or(0, Bytes::len)),
            Some(Err(_)) => {
                this.stats.body_broke();
                this.lease = None;
            }
            None => this.lease = None,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
