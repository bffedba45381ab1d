//! Which annotations are written, where, and what they say.

use crate::ExportOptions;
use crate::encode::Axis;
use crate::number::NANOS_PER_TICK;
use crate::tal::{self, Mark};
use signal::{Annotation, AnnotationId, AnnotationOrigin, UtcNanos};
use std::collections::HashSet;

/// An annotation as it leaves the house.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) onset: UtcNanos,
    pub(crate) duration_ns: Option<i64>,
    pub(crate) text: String,
    pub(crate) code: Option<String>,
    pub(crate) origin: AnnotationOrigin,
    pub(crate) channels: Vec<String>,
}

/// The annotations to write, by onset, and those dropped because they are free text nobody reviewed.
pub(crate) fn select(
    annotations: Vec<Annotation>,
    options: &ExportOptions,
    guarded: bool,
) -> (Vec<Kept>, Vec<AnnotationId>) {
    let replaced: HashSet<AnnotationId> = annotations
        .iter()
        .filter_map(|annotation| annotation.supersedes)
        .collect();
    let mut kept = Vec::new();
    let mut dropped = Vec::new();
    for annotation in annotations {
        if replaced.contains(&annotation.id) || annotation.text.trim().is_empty() {
            continue;
        }
        let free = options
            .deidentification()
            .is_some_and(|how| !how.annotations_reviewed);
        let text = match (free, &annotation.code) {
            (false, _) => annotation.text,
            // The protocol and the program speak for themselves; of anyone else's annotation only
            // the code is known to name no one.
            (true, Some(code)) => match annotation.origin {
                AnnotationOrigin::Protocol | AnnotationOrigin::Program => annotation.text,
                _ => code.clone(),
            },
            (true, None) => {
                dropped.push(annotation.id);
                continue;
            }
        };
        kept.push(Kept {
            onset: annotation.onset,
            duration_ns: annotation.duration_ns.filter(|ns| *ns >= 0),
            text,
            code: annotation.code,
            origin: annotation.origin,
            channels: if guarded {
                Vec::new()
            } else {
                annotation.channels
            },
        });
    }
    kept.sort_by_key(|annotation| annotation.onset);
    (kept, dropped)
}

/// The annotations on a file's axis; and how many texts were cut.
pub(crate) fn on_axis(kept: &[&Kept], axis: &Axis) -> (Vec<Mark>, usize) {
    let mut cuts = 0;
    let mut marks: Vec<Mark> = kept
        .iter()
        .map(|annotation| {
            let (text, cut) = tal::clean(&annotation.text);
            cuts += usize::from(cut);
            let onset = axis.place(annotation.onset);
            let duration = annotation.duration_ns.map(|ns| ns / NANOS_PER_TICK);
            Mark {
                onset,
                duration: duration.and_then(|ticks| u64::try_from(ticks).ok()),
                text,
            }
        })
        .collect();
    marks.sort_by_key(|mark| mark.onset);
    (marks, cuts)
}

/// For each file, by its start in ascending order, the annotations from there to the next file's
/// start; the first also takes what lies before it. Files that start together share one set, which
/// the first of them carries.
pub(crate) fn divide<'a>(starts: &[UtcNanos], kept: &'a [Kept]) -> Vec<Vec<&'a Kept>> {
    let mut sets = vec![Vec::new(); starts.len()];
    for annotation in kept {
        let after = starts.partition_point(|start| *start <= annotation.onset);
        let start = starts[after.saturating_sub(1)];
        let first = starts.partition_point(|other| *other < start);
        if let Some(set) = sets.get_mut(first) {
            set.push(annotation);
        }
    }
    sets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotation(id: u64, onset: i64, text: &str, code: Option<&str>) -> Annotation {
        Annotation {
            id: AnnotationId(id),
            onset: UtcNanos(onset),
            duration_ns: None,
            text: text.to_owned(),
            code: code.map(str::to_owned),
            origin: AnnotationOrigin::Person,
            channels: Vec::new(),
            supersedes: None,
        }
    }

    #[test]
    fn free_text_stays_in_the_house() {
        let mut all = vec![
            annotation(1, 5, "Test^Patient opens eyes", Some("eyes_open")),
            annotation(2, 3, "Test^Patient coughs", None),
            annotation(3, 1, "typo", None),
        ];
        all.push(Annotation {
            supersedes: Some(AnnotationId(3)),
            ..annotation(4, 1, "note", None)
        });
        let mut options = ExportOptions::deidentified("a", "s", 0);
        let (kept, dropped) = select(all.clone(), &options, false);
        assert_eq!(
            kept.iter().map(|k| k.text.as_str()).collect::<Vec<_>>(),
            ["eyes_open"]
        );
        assert_eq!(dropped, [AnnotationId(2), AnnotationId(4)]);
        if let crate::Privacy::Deidentified(how) = &mut options.privacy {
            how.annotations_reviewed = true;
        }
        let (kept, dropped) = select(all, &options, false);
        assert_eq!(
            kept.iter().map(|k| k.text.as_str()).collect::<Vec<_>>(),
            ["note", "Test^Patient coughs", "Test^Patient opens eyes"]
        );
        assert!(dropped.is_empty());
    }

    #[test]
    fn each_file_takes_its_own() {
        let all = [0, 10, 19, 20, 99].map(|at| annotation(1, at, "x", Some("c")));
        let (kept, _) = select(
            all.to_vec(),
            &ExportOptions::deidentified("a", "s", 0),
            false,
        );
        let sets = divide(&[UtcNanos(10), UtcNanos(20), UtcNanos(20)], &kept);
        assert_eq!(sets.iter().map(Vec::len).collect::<Vec<_>>(), [3, 2, 0]);
    }
}
