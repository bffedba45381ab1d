//! Makes a module of ours loadable by a browser: `wasm-bindings MODULE.wasm NAME FOLDER` writes NAME.js and
//! NAME_bg.wasm. wasm-bindgen as a library, in the very version the modules are compiled with.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let mut next = |what: &'static str| arguments.next().context(what);
    let usage = "usage: wasm-bindings MODULE.wasm NAME FOLDER";
    let module = PathBuf::from(next(usage)?);
    let name = next(usage)?;
    let folder = PathBuf::from(next(usage)?);
    let mut bindgen = Bindgen::new();
    bindgen
        .web(true)?
        .typescript(false)
        // The module finds its bytes beside itself.
        .omit_default_module_path(false)
        // A third of the size, and of use to nobody: a panic reports its place in the source.
        .remove_name_section(true)
        .remove_producers_section(true)
        .input_path(&module)
        .out_name(&name.to_string_lossy());
    bindgen
        .generate(&folder)
        .with_context(|| format!("cannot bind {}", module.display()))
}
