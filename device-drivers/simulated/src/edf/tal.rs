//! Time-stamped annotation lists (EDF+ specification, section 2.2.2).

use super::error::EdfError;
use super::text;
use crate::decimal::Decimal;

/// One list: texts that share onset and duration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimedAnnotations {
    /// Onset after the file's start, ns.
    pub onset_ns: i64,
    /// Duration, ns.
    pub duration_ns: Option<i64>,
    /// Whether its first text is empty, which makes a record's first list the record's own time.
    pub time_keeping: bool,
    /// The texts that are not empty.
    pub texts: Vec<String>,
}

const LIST_END: u8 = 0;
const TEXT_END: u8 = 20;
const DURATION: u8 = 21;

/// Reads the annotation bytes of one record. UTF-8, or Latin-1 where it is not.
///
/// # Errors
/// The first list that breaks the rules, with its byte offset.
pub fn parse_annotations(bytes: &[u8]) -> Result<Vec<TimedAnnotations>, EdfError> {
    let mut lists = Vec::new();
    let mut offset = 0;
    while let Some(start) = bytes[offset..].iter().position(|byte| *byte != LIST_END) {
        offset += start;
        let rest = &bytes[offset..];
        // A list cut off by the record's end is taken when its last text is complete.
        let len = rest
            .iter()
            .position(|byte| *byte == LIST_END)
            .unwrap_or(rest.len());
        lists.push(list(&rest[..len], offset)?);
        offset += len;
    }
    Ok(lists)
}

fn list(bytes: &[u8], offset: usize) -> Result<TimedAnnotations, EdfError> {
    let error = |at: usize, why| EdfError::Annotations {
        offset: offset + at,
        why,
    };
    let Some((&TEXT_END, body)) = bytes.split_last() else {
        return Err(error(0, "a list does not end with byte 20"));
    };
    let mut parts = body.split(|byte| *byte == TEXT_END);
    let time = parts.next().unwrap_or_default();
    let (onset, duration) = match time.iter().position(|byte| *byte == DURATION) {
        Some(at) => (&time[..at], Some((at + 1, &time[at + 1..]))),
        None => (time, None),
    };
    if !matches!(onset.first(), Some(b'+' | b'-')) {
        return Err(error(0, "an onset does not begin with + or -"));
    }
    let seconds = |at, text| {
        (Decimal::parse(text).and_then(Decimal::nanos)).ok_or_else(|| error(at, "is not a time"))
    };
    let duration_ns = match duration {
        Some((_, [])) | None => None,
        Some((at, text)) => Some(seconds(at, text)?).filter(|duration| *duration >= 0),
    };
    let texts: Vec<&[u8]> = parts.collect();
    Ok(TimedAnnotations {
        onset_ns: seconds(0, onset)?,
        duration_ns,
        time_keeping: texts.first().is_none_or(|text| text.is_empty()),
        texts: (texts.into_iter())
            .filter(|text| !text.is_empty())
            .map(text::decode)
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_the_specification() {
        let bytes = b"+180\x14Lights off\x14Close door\x14\0+1800.2\x1525.5\x14Apnea\x14\0\0\0";
        let lists = parse_annotations(bytes).unwrap();
        assert_eq!(lists.len(), 2);
        assert_eq!(lists[0].texts, ["Lights off", "Close door"]);
        assert_eq!(lists[0].onset_ns, 180_000_000_000);
        assert_eq!(lists[1].onset_ns, 1_800_200_000_000);
        assert_eq!(lists[1].duration_ns, Some(25_500_000_000));
        assert!(!lists[1].time_keeping);
    }

    #[test]
    fn time_keeping_may_carry_texts() {
        let lists = parse_annotations(b"+567\x14\x14Start\x14\0").unwrap();
        assert!(lists[0].time_keeping);
        assert_eq!(lists[0].texts, ["Start"]);
    }

    #[test]
    fn breaches_are_located() {
        for (bytes, offset) in [
            (&b"+1\x14\x14\0abc\x14\0"[..], 5),
            (b"+1\x14text", 0),
            (b"\0\0+x\x14\x14\0", 2),
            (b"+1\x15y\x14z\x14\0", 3),
        ] {
            let error = parse_annotations(bytes).unwrap_err();
            assert!(
                matches!(error, EdfError::Annotations { offset: found, .. } if found == offset),
                "{error}"
            );
        }
    }
}
