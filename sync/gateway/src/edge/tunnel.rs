//! Connections that have changed their protocol: bytes both ways, until either end is done.

use std::{
    io,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::stats::RouteStats;
use crate::limits::edge as limits;

/// Carries bytes between the two until both have ended, one has failed, or neither has said anything for
/// `idle`.
pub(super) async fn carry(
    client: Upgraded,
    instance: Upgraded,
    idle: Duration,
    stats: &RouteStats,
) {
    let (mut from_client, mut to_client) = tokio::io::split(TokioIo::new(client));
    let (mut from_instance, mut to_instance) = tokio::io::split(TokioIo::new(instance));
    let moved = AtomicU64::new(0);
    let both = async {
        tokio::try_join!(
            pump(&mut from_client, &mut to_instance, &moved, |n| stats
                .bytes_in(n)),
            pump(&mut from_instance, &mut to_client, &moved, |n| stats
                .bytes_out(n)),
        )
    };
    let silence = async {
        let mut seen = 0;
        loop {
            tokio::time::sleep(idle).await;
            let now = moved.load(Relaxed);
            if now == seen {
                break;
            }
            seen = now;
        }
    };
    tokio::select! {
        ended = both => if let Err(error) = ended {
            tracing::debug!(%error, "an upgraded connection broke off");
        },
        () = silence => tracing::debug!("an upgraded connection was silent for too long"),
    }
}

async fn pump(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    moved: &AtomicU64,
    count: impl Fn(usize),
) -> io::Result<()> {
    let mut buffer = vec![0; limits::TUNNEL_BYTES];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..read]).await?;
        to.flush().await?;
        moved.fetch_add(read as u64, Relaxed);
        count(read);
    }
}
