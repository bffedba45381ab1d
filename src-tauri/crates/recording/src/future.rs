//! Files as a later version might write them, for the tests of compatibility.

use crate::container::{FileKind, FrameWriter, Identity, frame_kind};
use crate::keys::{Entropy, KeysFile, StationKey, Unlock};
use crate::reader::Recording;
use crate::storage::OsStorage;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

struct Counting(u8);

impl Entropy for Counting {
    fn fill(&mut self, bytes: &mut [u8]) -> crate::Result<()> {
        for byte in bytes {
            self.0 = self.0.wrapping_mul(29).wrapping_add(17);
            *byte = self.0;
        }
        Ok(())
    }
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

/// Copies version 1's kept files under the version given, with things that version 1 lacks.
fn rewrite(target: &Path, version: (u16, u16)) {
    let source = golden("v1");
    assert!(!target.exists(), "kept files are not overwritten");
    std::fs::create_dir_all(target).unwrap();
    let unlock = Unlock::Station(StationKey::from_bytes([7; 32]));
    let recording = Recording::open(&source, &unlock, Arc::new(OsStorage)).unwrap();
    let keys = KeysFile {
        format: version.0,
        min_reader: version.1,
        ..KeysFile::read(&source, &OsStorage).unwrap()
    };
    keys.write(target, &OsStorage).unwrap();
    let mut entropy = Counting(3);
    let mut start = |identity: Identity| {
        FrameWriter::with_version(identity, recording.key(), &mut entropy, version).unwrap()
    };
    let id = recording.header().id;
    let mut header = start(Identity::header(id));
    let mut document = serde_json::to_value(recording.header()).unwrap();
    document["of_version_2"] = json!({"any": "thing"});
    let bytes = serde_json::to_vec(&document).unwrap();
    header.frame((frame_kind::HEADER, 0), (0, 1), 0, |out| {
        out.extend_from_slice(&bytes);
    });
    header.close();
    header.sync(&OsStorage, target).unwrap();
    for segment in recording
        .segments
        .iter()
        .flatten()
        .chain(&recording.event_segments)
    {
        let mut writer = start(segment.identity);
        let file = recording.pool.get(&segment.identity).unwrap();
        let mut buffer = Vec::new();
        // A frame of a kind that version 1 does not know.
        writer.frame((99, 3), (u64::MAX, 7), 0, |out| {
            out.extend_from_slice(b"of version 2");
        });
        for frame in recording.frames(segment).unwrap().iter() {
            let (_, payload) = file.frame(frame.offset, frame.len, &mut buffer).unwrap();
            let mut payload = payload.to_vec();
            if segment.identity.kind == FileKind::Events {
                let mut events: Vec<Value> = serde_json::from_slice(&payload).unwrap();
                events.push(json!({"kind": "of_version_2", "any": ["thing"]}));
                payload = serde_json::to_vec(&events).unwrap();
            }
            let place = (frame.first, frame.count);
            writer.frame((frame.kind, frame.level), place, frame.start, |out| {
                out.extend_from_slice(&payload);
            });
        }
        writer.close();
        writer.sync(&OsStorage, target).unwrap();
    }
}

/// Makes the kept files of a later version. Run by hand, never to make a test pass.
#[test]
#[ignore = "writes kept files"]
fn make() {
    rewrite(&golden("v2-readable"), (2, 1));
    rewrite(&golden("v2-only"), (2, 2));
}
