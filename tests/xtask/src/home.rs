//! Where build products live: outside the checkout, keyed by what makes them unusable.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::limits::OLD_TARGETS_KEPT;
use crate::shell;

/// `$XDG_CACHE_HOME/neurascale`, else `~/.cache/neurascale`, made when missing.
pub(crate) fn cache() -> Result<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| std::env::home_dir().map(|home| home.join(".cache")))
        .context(
            "cannot choose a cache folder: neither XDG_CACHE_HOME nor a home folder is known",
        )?;
    let folder = base.join("neurascale");
    fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make the cache folder {}", folder.display()))?;
    Ok(folder)
}

/// The target folder in use. `CARGO_TARGET_DIR` wins; else one per compiler and Cargo.lock, so that a
/// changed dependency never meets leftovers of another. Older ones are removed.
pub(crate) fn target() -> Result<PathBuf> {
    if let Some(chosen) = std::env::var_os("CARGO_TARGET_DIR").filter(|path| !path.is_empty()) {
        return std::path::absolute(&chosen).context("cannot resolve CARGO_TARGET_DIR");
    }
    let compiler = shell::read(shell::command("rustc").arg("-vV"))?;
    let lock = fs::read(shell::root().join("Cargo.lock")).context("cannot read Cargo.lock")?;
    let folder = cache()?.join(format!(
        "target-{:016x}",
        key(&[compiler.as_bytes(), &lock])
    ));
    fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make the target folder {}", folder.display()))?;
    touch(&folder)?;
    prune("target-", &folder, OLD_TARGETS_KEPT)?;
    Ok(folder)
}

/// Held for as long as a command builds or runs what stands in the target folder, so that two runs do
/// not exchange programs under each other's tests. The system releases it when the process ends.
#[derive(Debug)]
pub(crate) struct TargetLock {
    _file: File,
}

pub(crate) fn lock(target: &Path) -> Result<TargetLock> {
    fs::create_dir_all(target)
        .with_context(|| format!("cannot make the target folder {}", target.display()))?;
    let path = target.join(".xtask-lock");
    let file = File::create(&path).with_context(|| format!("cannot open {}", path.display()))?;
    if file.try_lock().is_err() {
        println!(
            "another run uses {}; waiting for it to end",
            target.display()
        );
        file.lock()
            .with_context(|| format!("cannot lock {}", path.display()))?;
    }
    Ok(TargetLock { _file: file })
}

/// Removes folders of the cache that begin with `prefix`, except `current` and the `keep` newest others.
/// One that another run holds is left alone.
pub(crate) fn prune(prefix: &str, current: &Path, keep: usize) -> Result<()> {
    let mut old = Vec::new();
    for entry in fs::read_dir(cache()?).context("cannot list the cache folder")? {
        let entry = entry.context("cannot list the cache folder")?;
        let path = entry.path();
        if path == current
            || !entry.file_name().to_string_lossy().starts_with(prefix)
            || !path.is_dir()
        {
            continue;
        }
        let used = fs::metadata(path.join(USED))
            .and_then(|mark| mark.modified())
            .ok();
        old.push((used, path));
    }
    old.sort();
    old.reverse();
    for (_, path) in old.into_iter().skip(keep) {
        let in_use =
            File::open(path.join(".xtask-lock")).is_ok_and(|file| file.try_lock().is_err());
        if !in_use {
            println!(
                "removing {} (no longer matches the checkout)",
                path.display()
            );
            fs::remove_dir_all(&path)
                .with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

/// File whose time says when a cache folder was last used; a folder's own time does not.
const USED: &str = ".used";

pub(crate) fn touch(folder: &Path) -> Result<()> {
    fs::write(folder.join(USED), [])
        .with_context(|| format!("cannot write to {}", folder.display()))
}

/// FNV-1a, 64 bits: a cache key, not a safeguard, and stable across compilers.
pub(crate) fn key(parts: &[&[u8]]) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    // The separator keeps ("ab", "c") apart from ("a", "bc").
    parts
        .iter()
        .flat_map(|part| part.iter().copied().chain([0xff]))
        .fold(OFFSET, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(PRIME)
        })
}

#[cfg(test)]
mod tests {
    use super::key;

    #[test]
    fn key_follows_content_and_its_division() {
        assert_eq!(key(&[]), 0xcbf2_9ce4_8422_2325);
        assert_ne!(key(&[b"ab", b"c"]), key(&[b"a", b"bc"]));
        assert_ne!(key(&[b"a"]), key(&[b"b"]));
        assert_eq!(key(&[b"same"]), key(&[b"same"]));
    }
}
