//! Following the log over gRPC: `proto/neurascale/events/v1/events.proto`.
//!
//! The messages are written here as that file says; a test lets another program read the file and talk to
//! this one.

use std::{convert::Infallible, pin::Pin};

use axum::{
    Extension,
    extract::{Request, State},
    response::Response,
};
use futures_util::{Stream, stream};
use protocol::Principal;
use tonic::{Status, server::ServerStreamingService};
use tonic_prost::ProstCodec;

use super::{
    EventApi,
    query::{self, Wanted},
    stream::Open,
};
use crate::{Failure, limits::events as limits};

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SubscribeRequest {
    #[prost(uint64, optional, tag = "1")]
    after: Option<u64>,
    #[prost(string, optional, tag = "2")]
    time: Option<String>,
    #[prost(string, repeated, tag = "3")]
    types: Vec<String>,
    #[prost(string, optional, tag = "4")]
    correlation: Option<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct RecordedEvent {
    #[prost(uint64, tag = "1")]
    position: u64,
    #[prost(string, tag = "2")]
    event_type: String,
    #[prost(string, tag = "3")]
    source_service: String,
    #[prost(string, tag = "4")]
    event_id: String,
    #[prost(string, tag = "5")]
    timestamp: String,
    #[prost(uint32, tag = "6")]
    schema_version: u32,
    #[prost(string, tag = "7")]
    data: String,
    #[prost(string, tag = "8")]
    correlation_id: String,
    #[prost(string, optional, tag = "9")]
    causation_id: Option<String>,
    #[prost(string, optional, tag = "10")]
    site: Option<String>,
    #[prost(string, optional, tag = "11")]
    traceparent: Option<String>,
}

impl From<&events::RecordedEvent> for RecordedEvent {
    fn from(recorded: &events::RecordedEvent) -> Self {
        let event = &recorded.event;
        Self {
            position: recorded.position.0,
            event_type: event.event_type.to_string(),
            source_service: event.source_service.clone(),
            event_id: event.event_id.to_string(),
            timestamp: event.timestamp.to_string(),
            schema_version: event.schema_version,
            data: event.data.to_string(),
            correlation_id: event.correlation_id.to_string(),
            causation_id: event.causation_id.map(|id| id.to_string()),
            site: event.site.clone(),
            traceparent: event.traceparent.clone(),
        }
    }
}

/// The code that tells a client what the HTTP status would have told it.
fn status_of(failure: Failure) -> Status {
    let problem = failure.0;
    let text = format!("{}: {}", problem.code, problem.detail);
    match problem.status {
        503 => Status::unavailable(text),
        status if status < 500 => Status::invalid_argument(text),
        _ => Status::internal(text),
    }
}

struct Subscribe {
    api: EventApi,
    site: String,
}

type Events = Pin<Box<dyn Stream<Item = Result<RecordedEvent, Status>> + Send>>;
type Answered = Pin<Box<dyn Future<Output = Result<tonic::Response<Events>, Status>> + Send>>;

impl ServerStreamingService<SubscribeRequest> for Subscribe {
    type Response = RecordedEvent;
    type ResponseStream = Events;
    type Future = Answered;

    fn call(&mut self, request: tonic::Request<SubscribeRequest>) -> Answered {
        let (api, site) = (self.api.clone(), self.site.clone());
        Box::pin(async move { subscribe(&api, &site, request.into_inner()).await })
    }
}

async fn subscribe(
    api: &EventApi,
    site: &str,
    request: SubscribeRequest,
) -> Result<tonic::Response<Events>, Status> {
    let correlation = request.correlation.as_deref().map(str::parse).transpose();
    let correlation =
        correlation.map_err(|_| Status::invalid_argument("a correlation is a UUID"))?;
    let filter = query::filter(site, request.types, correlation).map_err(status_of)?;
    let start = Wanted::start_at(request.after, request.time.as_deref()).map_err(status_of)?;
    let open = Open::over(api, filter, start).await.map_err(status_of)?;
    let events = stream::unfold(Some(open), |open| async {
        let mut open = open?;
        match open.next().await {
            Some(delivered) => Some((Ok(RecordedEvent::from(&*delivered)), Some(open))),
            // An orderly end would say that there is nothing more to come.
            None => Some((
                Err(Status::unavailable("resume behind the last position")),
                None,
            )),
        }
    });
    Ok(tonic::Response::new(Box::pin(events)))
}

pub(super) async fn serve(
    State(api): State<EventApi>,
    Extension(Principal { site, .. }): Extension<Principal>,
    request: Request,
) -> Result<Response, Infallible> {
    let codec = ProstCodec::<RecordedEvent, SubscribeRequest>::default();
    let mut grpc =
        tonic::server::Grpc::new(codec).max_decoding_message_size(limits::MAX_PEER_MESSAGE_BYTES);
    let answer = grpc
        .server_streaming(Subscribe { api, site }, request)
        .await;
    Ok(answer.map(axum::body::Body::new))
}
