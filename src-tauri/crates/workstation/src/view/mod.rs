//! What displays are given: live feeds of running sessions, pages of recordings, and what can be
//! chosen for both.
//!
//! A [`plan`] says which rows there are and computes them; live and review share it, so that both
//! show the same. Beside each running session stands a [`hub`] with the last seconds of its blocks:
//! a [`feed`] begins with history from there and from the journal, and goes on with what comes, on
//! a thread of its own. A [`page`] reads the journal alone. Nothing here can hold up the record.

mod annotate;
mod columns;
mod feed;
mod hub;
mod messages;
mod page;
mod plan;
mod shelf;
#[cfg(test)]
mod tests;
mod views;

pub use annotate::NewAnnotation;
pub use feed::FeedRequest;
pub(crate) use hub::{Hub, HubStart};
pub use messages::{
    Envelope, MarkView, OpenGap, StreamRows, ViewDescription, ViewMessage, ViewMessages,
};
pub use page::PageRequest;
pub use plan::{AS_RECORDED, FiltersByKind, MontageOffer, RowPlan, ViewSpec};
pub(crate) use shelf::Shelf;
pub use views::ViewChoices;
