//! The pages of the window. Logic (state, words, formats, checks, hot keys) stands in plain modules
//! that the host tests; components exist on WebAssembly only.

#[cfg(target_arch = "wasm32")]
mod page;

/// Called by the module's loader once the page is there.
#[cfg(target_arch = "wasm32")]
#[wasm_bindgen::prelude::wasm_bindgen(start)]
pub fn start() {
    console_error_panic_hook::set_once();
    leptos::mount::mount_to_body(page::program);
}
