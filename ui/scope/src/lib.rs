//! Live traces, review, and everything that stands on them: drawn with egui and egui_plot, as a module of
//! its own in the page (`web`) and natively in tests.
//!
//! A [`Scope`] takes in the bytes of feeds and pages (`feeds` to `view` to `buffer`), spreads the rows in
//! true millimetres (`layout`), decides which time stands at which pixel (`window`), draws columns that
//! changed into a ring of pixels (`raster`, `sheet`), and paints a frame (`paint`, `overlay`), of which only
//! what differs from the one before goes to the graphics side (`damage`). It decides nothing by a clock of
//! its own: time is passed in.

mod buffer;
#[cfg(any(target_arch = "wasm32", test))]
mod damage;
mod feeds;
mod layout;
mod limits;
mod overlay;
mod paint;
mod pointer;
mod raster;
mod scope;
mod sheet;
mod theme;
mod view;
#[cfg(target_arch = "wasm32")]
mod web;
mod window;
mod words;

pub use scope::{Scope, SettingsError};
pub use theme::fonts;
#[cfg(target_arch = "wasm32")]
pub use web::Canvas;
