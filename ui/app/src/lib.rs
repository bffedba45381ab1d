//! The pages of the window. Logic (words, formats, checks, hot keys, paging) stands in plain modules that
//! the host tests; components exist on WebAssembly only.

pub mod check;
pub mod electrode_positions;
pub mod format;
pub mod hotkeys;
pub mod identity;
pub mod limits;
pub mod live;
pub mod prefs;
pub mod report_html;
pub mod route;
pub mod test_ids;
pub mod timeline;
pub mod words;

#[cfg(target_arch = "wasm32")]
mod web;

/// Called by the module's loader once the page is there.
#[cfg(target_arch = "wasm32")]
#[wasm_bindgen::prelude::wasm_bindgen(start)]
pub fn start() {
    console_error_panic_hook::set_once();
    leptos::mount::mount_to_body(web::program);
}
