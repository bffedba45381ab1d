//! The pages themselves, in a browser.

mod app;
mod bridge;
mod dialog;
mod frame;
mod head_map;
mod ledger;
mod parts;
mod recordings;
mod report_sign;
mod reports;
mod review;
mod review_annotations;
mod scope_view;
mod session;
mod settings;
mod sign_in;
mod view_bar;
mod worklist;

pub(crate) use frame::program;
