//! Time-stamped annotation lists (EDF+ specification, 2.2) and their packing into data records.

use crate::limits::{ANNOTATION_MIN_BYTES, ANNOTATION_TEXT_BYTES};
use crate::number;
use std::collections::BTreeMap;

/// The bytes that structure an annotation.
const DURATION_MARK: char = '\u{15}';
const TEXT_MARK: char = '\u{14}';

/// An annotation on the file's time axis, ticks of 100 ns after the header's start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) onset: i64,
    pub(crate) duration: Option<u64>,
    pub(crate) text: String,
}

/// The time-keeping annotation that starts every data record.
pub(crate) fn time_keeping(onset: i64) -> String {
    format!("{}{TEXT_MARK}{TEXT_MARK}\0", number::signed_ticks(onset))
}

/// `text` without what would end an annotation early, cut at a character boundary; and whether it
/// was cut.
pub(crate) fn clean(text: &str) -> (String, bool) {
    let mut out: String = text
        .chars()
        .map(|c| match c {
            '\t' | '\n' | '\r' => c,
            c if c.is_control() => ' ',
            c => c,
        })
        .collect();
    let cut = out.len() > ANNOTATION_TEXT_BYTES;
    if cut {
        let mut end = ANNOTATION_TEXT_BYTES - '…'.len_utf8();
        while !out.is_char_boundary(end) {
            end -= 1;
        }
        out.truncate(end);
        out.push('…');
    }
    (out, cut)
}

fn list(mark: &Mark) -> String {
    let onset = number::signed_ticks(mark.onset);
    match mark.duration {
        Some(duration) => format!(
            "{onset}{DURATION_MARK}{}{TEXT_MARK}{}{TEXT_MARK}\0",
            number::unsigned_ticks(duration),
            mark.text
        ),
        None => format!("{onset}{TEXT_MARK}{}{TEXT_MARK}\0", mark.text),
    }
}

/// Annotations laid out over a file's data records.
#[derive(Debug)]
pub(crate) struct Layout {
    /// Bytes of the annotation signal in each record, a multiple of the sample width.
    pub(crate) bytes: usize,
    texts: BTreeMap<u64, String>,
}

impl Layout {
    /// Lays `marks`, sorted by onset, over `records` records of which `record_of` finds the one that
    /// covers an onset and `onset_of` the time a record starts. A mark stands in its own record or,
    /// where that is full, a later one, or an earlier one at the end of the file.
    pub(crate) fn new(
        marks: &[Mark],
        records: u64,
        width: usize,
        onset_of: impl Fn(u64) -> i64,
        record_of: impl Fn(i64) -> u64,
    ) -> Self {
        let lists: Vec<(u64, String)> = marks
            .iter()
            .map(|mark| (record_of(mark.onset), list(mark)))
            .collect();
        // Every record needs room for its time keeping; the last one's onset is the longest or the
        // first one's, which may carry more decimals.
        let keeping = [0, records / 2, records.saturating_sub(1)]
            .into_iter()
            .map(|record| time_keeping(onset_of(record)).len())
            .max()
            .unwrap_or(0)
            + 8;
        let longest = lists.iter().map(|(_, text)| text.len()).max().unwrap_or(0);
        let mut bytes = (keeping + longest)
            .max(ANNOTATION_MIN_BYTES)
            .next_multiple_of(width);
        loop {
            if let Some(texts) = pack(&lists, records, bytes - keeping) {
                return Self { bytes, texts };
            }
            bytes = (bytes * 2).next_multiple_of(width);
        }
    }

    /// Fills `out`, the annotation signal of `record`, which starts at `onset`.
    pub(crate) fn fill(&self, record: u64, onset: i64, out: &mut [u8]) {
        out.fill(0);
        let keeping = time_keeping(onset);
        out[..keeping.len()].copy_from_slice(keeping.as_bytes());
        if let Some(text) = self.texts.get(&record) {
            out[keeping.len()..keeping.len() + text.len()].copy_from_slice(text.as_bytes());
        }
    }
}

fn pack(lists: &[(u64, String)], records: u64, room: usize) -> Option<BTreeMap<u64, String>> {
    let mut texts: BTreeMap<u64, String> = BTreeMap::new();
    let mut late = Vec::new();
    let mut at = 0;
    for (wanted, text) in lists {
        at = (*wanted).max(at);
        while at < records && texts.get(&at).map_or(0, String::len) + text.len() > room {
            at += 1;
        }
        if at < records {
            texts.entry(at).or_default().push_str(text);
        } else {
            late.push(text);
        }
    }
    let mut at = 0;
    for text in late {
        while at < records && texts.get(&at).map_or(0, String::len) + text.len() > room {
            at += 1;
        }
        if at == records {
            return None;
        }
        texts.entry(at).or_default().push_str(text);
    }
    Some(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(onset: i64, text: &str) -> Mark {
        Mark {
            onset,
            duration: None,
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_full_record_passes_its_annotations_on() {
        let marks: Vec<_> = (0..40).map(|i| mark(9, &format!("event {i:02}"))).collect();
        let layout = Layout::new(&marks, 10, 2, |r| r as i64, |_| 9);
        let mut seen = String::new();
        for record in 0..10 {
            let mut bytes = vec![0; layout.bytes];
            layout.fill(record, 0, &mut bytes);
            seen += std::str::from_utf8(&bytes).unwrap();
        }
        for i in 0..40 {
            assert_eq!(seen.matches(&format!("event {i:02}")).count(), 1);
        }
    }

    #[test]
    fn structure_bytes_in_a_text_are_blanked() {
        assert_eq!(clean("a\u{14}b\u{0}c\u{15}d\n").0, "a b c d\n");
        let (text, cut) = clean(&"é".repeat(400));
        assert!(cut && text.len() <= ANNOTATION_TEXT_BYTES && text.ends_with('…'));
    }
}
