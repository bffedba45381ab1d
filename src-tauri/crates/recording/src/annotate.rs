//! Annotations that are added to a recording after its end.

use crate::catalog::Entry;
use crate::container::{FileKind, FrameWriter, Identity, NO_STREAM, frame_kind};
use crate::document;
use crate::error::{RecordingError, Result};
use crate::event::{self, Event};
use crate::keys::{Entropy, Unlock};
use crate::limits::MAX_ANNOTATION_TEXT;
use crate::reader::Recording;
use crate::recorder::ClosedSegment;
use crate::storage::Storage;
use signal::Annotation;
use std::path::Path;
use std::sync::Arc;

/// Adds `annotations` to a recording that nobody writes any more, as a segment of its own in the
/// event stream: what is closed is never appended to. The segment is put in place whole or not at
/// all. Annotations that supersede others leave those in the record.
///
/// No recorder may write the folder meanwhile: the caller sees to it.
///
/// # Errors
/// [`RecordingError::TooMuch`] for a text above the limit; as [`Recording::open`]; storage errors,
/// after which nothing has changed.
pub fn annotate(
    folder: &Path,
    unlock: &Unlock,
    storage: Arc<dyn Storage>,
    entropy: &mut dyn Entropy,
    annotations: &[Annotation],
) -> Result<ClosedSegment> {
    let recording = Recording::open(folder, unlock, Arc::clone(&storage))?;
    let mut events = Vec::with_capacity(annotations.len());
    for annotation in annotations {
        check(annotation)?;
        let annotation = annotation.clone();
        let value = event::to_value(&Event::Annotation { annotation });
        events.push(value.map_err(|e| document::invalid("event", e))?);
    }
    let bytes = serde_json::to_vec(&events).map_err(|e| document::invalid("events", e))?;
    let identity = |kind: FileKind| Identity {
        kind,
        stream: NO_STREAM,
        recording: recording.header().id,
        number: recording.next_number(kind, NO_STREAM),
    };
    let mut writer = FrameWriter::new(identity(FileKind::Events), recording.key(), entropy)?;
    let count = events.len() as u32;
    writer.frame((frame_kind::EVENTS, 0), (0, count), 0, |out| {
        out.extend_from_slice(&bytes);
    });
    let sha256 = writer.close();
    let segment = ClosedSegment {
        stream: None,
        number: writer.identity.number,
        file: writer.name().to_owned(),
        first_index: 0,
        end_index: events.len() as u64,
        sha256,
        bytes: writer.len(),
        complete: true,
    };
    document::write_bytes(&*storage, folder, &segment.file, &writer.into_bytes())?;
    let entry = Entry::new(&segment, &[], events);
    if let Err(error) = note(&recording, &entry, &*storage, folder, entropy) {
        // A cache: without it the segment is read anew at each opening, and repair builds it.
        tracing::warn!(%error, "catalog not written");
    }
    Ok(segment)
}

/// Refuses what would not fit a document.
///
/// # Errors
/// [`RecordingError::TooMuch`].
pub(crate) fn check(annotation: &Annotation) -> Result<()> {
    if annotation.text.len() > MAX_ANNOTATION_TEXT {
        return Err(RecordingError::TooMuch {
            what: "text of an annotation",
            limit: MAX_ANNOTATION_TEXT as u64,
        });
    }
    Ok(())
}

/// Notes the segment in a catalog of its own.
fn note(
    recording: &Recording,
    entry: &Entry,
    storage: &dyn Storage,
    folder: &Path,
    entropy: &mut dyn Entropy,
) -> Result<()> {
    let identity = Identity {
        kind: FileKind::Catalog,
        stream: NO_STREAM,
        recording: recording.header().id,
        number: recording.next_number(FileKind::Catalog, NO_STREAM),
    };
    let bytes = serde_json::to_vec(entry).map_err(|e| document::invalid("catalog", e))?;
    let mut writer = FrameWriter::new(identity, recording.key(), entropy)?;
    writer.frame((frame_kind::CATALOG, 0), (0, 1), 0, |out| {
        out.extend_from_slice(&bytes);
    });
    writer.close();
    document::write_bytes(storage, folder, &identity.file_name(), &writer.into_bytes())
}
