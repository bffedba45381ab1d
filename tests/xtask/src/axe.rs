//! axe-core, which finds what on a page cannot be used without eyes or a mouse. A need of the tests, never of
//! the product; without npm its checks are left out, and the tests say so.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::{home, shell};

/// The package as npm names it, pinned: another version finds other things.
const PACKAGE: &str = "axe-core";
const VERSION: &str = "4.14.1";

/// Its one file, where it is there.
pub(crate) fn file() -> Option<PathBuf> {
    let file = folder().ok()?.join("package/axe.min.js");
    file.is_file().then_some(file)
}

/// Fetches it when it is missing.
pub(crate) fn ensure() {
    if file().is_some() {
        return;
    }
    if let Err(error) = fetch() {
        println!("axe-core is not to be had, its checks are left out: {error:#}");
    }
}

fn folder() -> Result<PathBuf> {
    Ok(home::cache()?.join(format!("{PACKAGE}-{VERSION}")))
}

/// Unpacked beside and then put in place: a folder that is there is whole.
fn fetch() -> Result<()> {
    let folder = folder()?;
    let next = folder.with_extension("next");
    remove(&next)?;
    fs::create_dir_all(&next).with_context(|| format!("cannot make {}", next.display()))?;
    let packed = shell::read(
        shell::command("npm")
            .args(["pack", "--silent", &format!("{PACKAGE}@{VERSION}")])
            .current_dir(&next),
    )?;
    let archive = packed.lines().last().unwrap_or_default().trim();
    shell::run(
        shell::command("tar")
            .args(["-xzf", archive])
            .current_dir(&next),
    )?;
    remove(&folder)?;
    fs::rename(&next, &folder).with_context(|| format!("cannot make {}", folder.display()))
}

fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(())
}
