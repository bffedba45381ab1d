//! How a check looks: a request, a connection, a question of gRPC's health protocol.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::{Request, client::conn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream, time::timeout};

use super::{Status, model::Probe};
use crate::limits::discovery as limits;

/// What was found.
pub(crate) type Found = (Status, String);

fn critical(text: impl Into<String>) -> Found {
    (Status::Critical, text.into())
}

/// Looks once; takes no longer than `longest`.
pub(crate) async fn look(
    probe: &Probe,
    longest: Duration,
    client: &reqwest::Client,
) -> Option<Found> {
    let looking = async {
        match probe {
            Probe::Http { url, method } => Some(http(client, url, method).await),
            Probe::Tcp { address } => Some(match TcpStream::connect(address.as_str()).await {
                Ok(_) => (Status::Passing, format!("TCP connect {address}: Success")),
                Err(error) => critical(format!("TCP connect {address}: {error}")),
            }),
            Probe::Grpc { address, service } => Some(match grpc(address, service).await {
                Ok(found) => found,
                Err(error) => critical(format!("gRPC health check {address}: {error}")),
            }),
            Probe::Ttl { .. } | Probe::Set => None,
        }
    };
    match timeout(longest, looking).await {
        Ok(found) => found,
        Err(_) => Some(critical(format!("no answer within {longest:?}"))),
    }
}

/// 2xx passes and 429 warns, as in Consul.
async fn http(client: &reqwest::Client, url: &str, method: &str) -> Found {
    let Ok(method) = reqwest::Method::from_bytes(method.as_bytes()) else {
        return critical(format!("{method:?} is no method"));
    };
    let mut answer = match client.request(method.clone(), url).send().await {
        Ok(answer) => answer,
        Err(error) => return critical(error.without_url().to_string()),
    };
    let code = answer.status();
    let mut body = Vec::new();
    while body.len() < limits::CHECK_OUTPUT_BYTES {
        match answer.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) | Err(_) => break,
        }
    }
    let output = format!(
        "HTTP {method} {url}: {code} Output: {}",
        String::from_utf8_lossy(&body)
    );
    let status = match code.as_u16() {
        200..=299 => Status::Passing,
        429 => Status::Warning,
        _ => Status::Critical,
    };
    (status, output)
}

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// `grpc.health.v1.Health/Check` (grpc/grpc, health-checking.md). Its two messages have one field each, so
/// that they are written and read here by hand.
async fn grpc(address: &str, service: &str) -> Result<Found, AnyError> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) =
        conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    let running = tokio::spawn(connection);
    let length = u8::try_from(service.len())
        .ok()
        .filter(|length| *length < 128);
    let length = length.ok_or("the service's name is too long")?;
    let mut message = Vec::new();
    if length > 0 {
        // Field 1, length-delimited.
        message.extend([0x0a, length]);
        message.extend(service.as_bytes());
    }
    let mut framed = vec![0];
    framed.extend(u32::try_from(message.len())?.to_be_bytes());
    framed.extend(message);
    let request = Request::post(format!("http://{address}/grpc.health.v1.Health/Check"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::from(Bytes::from(framed)))?;
    let answer = sender.send_request(request).await?;
    let in_head = grpc_status(answer.headers());
    let body = answer.into_body().collect().await?;
    let status = in_head.or_else(|| body.trailers().and_then(grpc_status));
    let body = body.to_bytes();
    running.abort();
    if status != Some(0) {
        return Ok(critical(format!(
            "gRPC health check {address}: status {status:?}"
        )));
    }
    // Behind five bytes of framing: field 1, a number; 1 is SERVING.
    Ok(match body.get(5..) {
        Some([0x08, 1]) => (
            Status::Passing,
            format!("gRPC health check {address}: SERVING"),
        ),
        _ => critical(format!("gRPC health check {address}: not serving")),
    })
}

fn grpc_status(headers: &hyper::HeaderMap) -> Option<u32> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}
