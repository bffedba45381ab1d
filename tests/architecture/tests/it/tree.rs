//! The checkout: its root, its metadata, the files that belong to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use cargo_metadata::{Metadata, MetadataCommand, Package};

pub(crate) fn root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../..")
            .canonicalize()
            .expect("the root of the checkout")
    })
}

pub(crate) fn metadata() -> &'static Metadata {
    static METADATA: OnceLock<Metadata> = OnceLock::new();
    METADATA.get_or_init(|| {
        MetadataCommand::new()
            .current_dir(root())
            .exec()
            .expect("cargo metadata describes the workspace")
    })
}

pub(crate) fn members() -> Vec<&'static Package> {
    metadata().workspace_packages()
}

/// Folder of a member relative to the root, with forward slashes.
pub(crate) fn folder(package: &Package) -> String {
    let manifest = Path::new(package.manifest_path.as_str());
    let folder = manifest.parent().expect("a manifest lies in a folder");
    folder
        .strip_prefix(root())
        .expect("members lie in the checkout")
        .to_string_lossy()
        .replace('\\', "/")
}

/// Files that git tracks or would track, relative to the root; without git (a source archive), all
/// files but build products.
pub(crate) fn files() -> &'static [String] {
    static FILES: OnceLock<Vec<String>> = OnceLock::new();
    FILES.get_or_init(|| {
        let listed = Command::new("git")
            .current_dir(root())
            .args([
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
            ])
            .output();
        let mut files = match listed {
            Ok(output) if output.status.success() => {
                let names = String::from_utf8(output.stdout).expect("file names are UTF-8");
                names
                    .split('\0')
                    .filter(|name| !name.is_empty())
                    .map(str::to_owned)
                    .collect()
            }
            _ => walk(root()),
        };
        // Deleted and not yet committed.
        files.retain(|file| root().join(file).is_file());
        assert!(
            files.len() > 50,
            "only {} files found: the tree was not listed",
            files.len()
        );
        files
    })
}

fn walk(folder: &Path) -> Vec<String> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("the checkout can be listed") {
        let path = entry.expect("the checkout can be listed").path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_dir() && !["target", ".git", "__pycache__"].contains(&name.as_str()) {
            files.extend(walk(&path));
        } else if path.is_file() {
            files.push(
                path.strip_prefix(root())
                    .expect("below the root")
                    .to_string_lossy()
                    .replace('\\', "/"),
            );
        }
    }
    files
}

pub(crate) fn read(file: &str) -> String {
    let bytes =
        fs::read(root().join(file)).unwrap_or_else(|error| panic!("cannot read {file}: {error}"));
    // Lossy: golden files are binary, and may hold a path all the same.
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Our own Rust files.
pub(crate) fn sources() -> impl Iterator<Item = &'static String> {
    files().iter().filter(|file| file.ends_with(".rs"))
}
