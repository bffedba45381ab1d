//! The annotations of a whole file, read before playback begins.
//!
//! An annotation may stand in any record, so those of a time are known only when all have been read;
//! only the annotation signals are.

use crate::edf::{Continuity, EdfError, Reader, RecordDuration, parse_annotations};
use crate::limits::{MAX_ANNOTATIONS, MAX_ONSET_NS, STRAY_NS};
use std::io::{Read, Seek};

/// An annotation of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) onset_ns: i64,
    pub(super) duration_ns: Option<i64>,
    pub(super) text: String,
}

/// When records begin, ns after the file's start.
#[derive(Debug)]
pub(super) enum Timeline {
    /// One after the other from here.
    Continuous { start_ns: i64 },
    /// Each by its own word.
    Onsets(Vec<i64>),
}

#[derive(Debug)]
pub(super) struct Scan {
    pub(super) timeline: Timeline,
    /// By onset.
    pub(super) marks: Vec<Mark>,
    pub(super) warnings: Vec<String>,
}

pub(super) fn scan<R: Read + Seek>(reader: &mut Reader<R>) -> Result<Scan, EdfError> {
    let signals: Vec<usize> = (reader.header().signals.iter().enumerate())
        .filter(|(_, signal)| signal.annotations)
        .map(|(index, _)| index)
        .collect();
    let discontinuous = reader.header().continuity == Continuity::Discontinuous;
    if discontinuous && signals.is_empty() {
        return Err(EdfError::Record {
            record: 1,
            why: "a discontinuous file needs an annotation signal with each record's time",
        });
    }
    let mut found = Found {
        duration: reader.header().record_duration,
        stray: 0,
        onsets: Vec::new(),
        start_ns: None,
        marks: Vec::new(),
        unreadable: 0,
    };
    let mut part = Vec::new();
    for record in 0..reader.layout().records {
        for (position, signal) in signals.iter().enumerate() {
            reader.read_signal(record, *signal, &mut part)?;
            found.take(record, position == 0, discontinuous, &part)?;
        }
    }
    Ok(found.finish(discontinuous))
}

struct Found {
    duration: RecordDuration,
    stray: u64,
    onsets: Vec<i64>,
    start_ns: Option<i64>,
    marks: Vec<Mark>,
    unreadable: u64,
}

impl Found {
    fn take(
        &mut self,
        record: u64,
        keeps_time: bool,
        discontinuous: bool,
        bytes: &[u8],
    ) -> Result<(), EdfError> {
        let time_needed = discontinuous && keeps_time;
        let lists = match parse_annotations(bytes) {
            Ok(lists) => lists,
            Err(_) if !time_needed => {
                self.unreadable += 1;
                return Ok(());
            }
            Err(_) => {
                return Err(EdfError::Record {
                    record: record + 1,
                    why: "its annotations, which tell its time, cannot be read",
                });
            }
        };
        if keeps_time {
            match lists.first().filter(|list| list.time_keeping) {
                Some(list) if list.onset_ns.unsigned_abs() > MAX_ONSET_NS.unsigned_abs() => {
                    return Err(EdfError::Record {
                        record: record + 1,
                        why: "its time lies more than ten years from the file's start",
                    });
                }
                Some(list) if discontinuous => self.onsets.push(list.onset_ns),
                Some(list) => self.check_continuity(record, list.onset_ns),
                None if discontinuous => {
                    return Err(EdfError::Record {
                        record: record + 1,
                        why: "it does not begin with its own time, as a discontinuous file's must",
                    });
                }
                None => {}
            }
        }
        for list in lists {
            for text in list.texts {
                self.marks.push(Mark {
                    onset_ns: list.onset_ns,
                    duration_ns: list.duration_ns,
                    text,
                });
            }
        }
        if self.marks.len() > MAX_ANNOTATIONS {
            return Err(EdfError::TooLarge {
                what: "the number of annotations",
                found: self.marks.len() as u64,
                limit: MAX_ANNOTATIONS as u64,
            });
        }
        Ok(())
    }

    /// In a continuous file the first record's time is the file's sub-second start, and the others
    /// follow from it.
    fn check_continuity(&mut self, record: u64, onset_ns: i64) {
        if record == 0 {
            self.start_ns = Some(onset_ns);
        }
        let expected = self
            .start_ns
            .unwrap_or(0)
            .saturating_add(self.duration.nanos_of(record));
        if expected.abs_diff(onset_ns) > STRAY_NS {
            self.stray += 1;
        }
    }

    fn finish(mut self, discontinuous: bool) -> Scan {
        self.marks.sort_by_key(|mark| mark.onset_ns);
        let mut warnings = Vec::new();
        if self.unreadable > 0 {
            warnings.push(format!(
                "the annotations of {} data records cannot be read and are left out",
                self.unreadable
            ));
        }
        if self.stray > 0 {
            warnings.push(format!(
                "{} data records of this file, which calls itself continuous, tell a time of their own; they are played as continuous",
                self.stray
            ));
        }
        Scan {
            timeline: if discontinuous {
                Timeline::Onsets(self.onsets)
            } else {
                Timeline::Continuous {
                    start_ns: self.start_ns.unwrap_or(0),
                }
            },
            marks: self.marks,
            warnings,
        }
    }
}
