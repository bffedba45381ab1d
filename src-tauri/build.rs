//! Embeds the pages that `NEURASCALE_UI_DIST` names, else one page that says how to get them; and
//! declares the commands, so that each needs its permission.

use std::path::Path;

/// Commands that the page may be permitted to call.
const COMMANDS: &[&str] = &[
    "call",
    "open_feed",
    "close_feed",
    "read_page",
    "emergency_stop",
    "heartbeat",
    "screen",
    "set_screen",
    "quit",
];

#[allow(
    clippy::print_stdout,
    reason = "a build script speaks to cargo that way"
)]
fn main() {
    println!("cargo:rerun-if-env-changed=NEURASCALE_UI_DIST");
    println!("cargo:rerun-if-changed=stand-in");
    if let Some(folder) = std::env::var_os("NEURASCALE_UI_DIST").filter(|value| !value.is_empty()) {
        let folder = Path::new(&folder);
        println!("cargo:rerun-if-changed={}", folder.display());
        if folder.is_absolute() && folder.join("index.html").is_file() {
            // Merged into tauri.conf.json where the pages are embedded.
            println!(
                "cargo:rustc-env=TAURI_CONFIG={{\"build\":{{\"frontendDist\":{:?}}}}}",
                folder.display().to_string()
            );
        } else {
            // Checks and lints need no pages; who packs them looks first.
            println!(
                "cargo:warning=no pages in {}: the window will say so",
                folder.display()
            );
        }
    }
    let attributes = tauri_build::Attributes::new()
        .app_manifest(tauri_build::AppManifest::new().commands(COMMANDS));
    if let Err(error) = tauri_build::try_build(attributes) {
        panic!("{error:#}");
    }
}
