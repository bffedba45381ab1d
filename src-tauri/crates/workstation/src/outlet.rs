//! A session for other programs on the lab streaming layer, where an administrator allows it.
//!
//! It takes a feed of its own, whose oldest block is dropped when it falls behind: nothing here holds up the
//! record. Names and ids are opaque, and of marks only codes go out: a free text may name a person.

use crate::limits::{FEED_BLOCKS, OUTLET_MARKS, OUTLET_WAIT};
use acquisition::{AcquisitionHandle, FeedItem};
use contract::{Clock, DeviceDescription};
use crossbeam_channel::{Receiver, Sender, bounded};
use network::Outlet;
use recording::RecordingId;
use signal::HostNanos;
use std::sync::Arc;

/// A mark's code, and when it was made.
pub(crate) type CodedMark = (String, HostNanos);

/// Begins to publish what `handle` acquires; `None`, said in the log, when it cannot.
pub(crate) fn publish(
    handle: &AcquisitionHandle,
    device: &DeviceDescription,
    recording: RecordingId,
    clock: &Arc<dyn Clock>,
) -> Option<Sender<CodedMark>> {
    let feed = match handle.subscribe(FEED_BLOCKS) {
        Ok(feed) => feed,
        Err(error) => {
            tracing::warn!(%error, "the session is not published");
            return None;
        }
    };
    let (tell, marks) = bounded(OUTLET_MARKS);
    let (device, clock) = (device.clone(), Arc::clone(clock));
    let run = move || {
        let id = format!("neurascale-{recording}");
        let outlet = Outlet::new("NeuraScale", &id, &device, clock);
        give_out(&outlet, &feed, &marks);
    };
    let started = std::thread::Builder::new()
        .name("lsl-outlet".into())
        .spawn(run);
    match started {
        Ok(_) => Some(tell),
        Err(error) => {
            tracing::warn!(%error, "the session is not published");
            None
        }
    }
}

fn give_out(outlet: &Outlet, feed: &acquisition::BlockFeed, marks: &Receiver<CodedMark>) {
    loop {
        match feed.next(OUTLET_WAIT) {
            Some(FeedItem::Block(block)) => outlet.publish(&block),
            Some(FeedItem::Ended(_)) => return,
            // Other programs see the gap in the stamps.
            Some(FeedItem::Gap(_)) | None => {}
        }
        for (code, at) in marks.try_iter() {
            outlet.mark(&code, at);
        }
    }
}
