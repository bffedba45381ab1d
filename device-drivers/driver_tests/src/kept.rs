//! What a recorder was given of a device's first stream.

use acquisition::{BlockRecorder, Mark, Record, RecorderFailure};
use emulators::DeliveryLog;
use signal::{Gap, GapCause, HostNanos, StreamIndex, UtcNanos};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How the last channel numbers samples.
#[derive(Debug, Clone, Copy, Default)]
pub struct Numbering {
    /// Counts from one number to the next; 0 stands for 1.
    pub step: u32,
    /// Numbers begin again at 0 after so many; 0: never.
    pub modulus: u64,
    /// The count that stands for a lost sample.
    pub lost: Option<i64>,
}

/// What was kept.
#[derive(Debug, Default, Clone)]
pub struct Kept {
    /// Index in the record and number of each sample.
    pub samples: Vec<(u64, u64)>,
    /// Indices of samples whose last channel was lost and flagged so.
    pub stale: Vec<u64>,
    /// Index, fitted time and length of each block.
    blocks: Vec<(u64, HostNanos, usize)>,
    /// Gaps of the first stream.
    pub gaps: Vec<Gap>,
    /// Marks.
    pub marks: Vec<Mark>,
    anchor: Option<(HostNanos, UtcNanos)>,
}

#[derive(Debug, Clone)]
pub(crate) struct Keeper {
    numbering: Numbering,
    kept: Arc<Mutex<Kept>>,
}

impl Keeper {
    pub(crate) fn new(numbering: Numbering) -> Self {
        Self {
            numbering,
            kept: Arc::default(),
        }
    }

    pub(crate) fn kept(&self) -> Kept {
        self.kept.lock().expect("no panic").clone()
    }
}

impl Numbering {
    /// The number that `count` stands for, when `last` was the one before.
    fn number(self, count: f64, last: Option<u64>) -> u64 {
        let step = u64::from(self.step.max(1));
        assert!(
            count >= 0.0 && count.fract() == 0.0,
            "{count} is no number of the channel's"
        );
        // It is a small whole number.
        let number = count as u64;
        assert_eq!(number % step, 0, "{count} is no number of the channel's");
        let number = number / step;
        match last {
            Some(last) if self.modulus > 0 => {
                let turns = last / self.modulus;
                let here = turns * self.modulus + number;
                // One that repeats the last comes out as a turn ahead, and was then never delivered.
                if here > last {
                    here
                } else {
                    here + self.modulus
                }
            }
            _ => number,
        }
    }
}

impl BlockRecorder for Keeper {
    fn record(&mut self, record: &Record) -> Result<(), RecorderFailure> {
        let mut kept = self.kept.lock().expect("no panic");
        match record {
            Record::Block(block) if block.stream == StreamIndex(0) => {
                let fitted = block.fitted.expect("a fitted time");
                kept.blocks.push((block.first_index, fitted, block.len));
                for n in 0..block.len {
                    let index = block.first_index + n as u64;
                    let at = (block.channels - 1) * block.len + n;
                    let count = block.samples.as_f64(at).expect("a number");
                    if self.numbering.lost.is_some_and(|lost| count == lost as f64) {
                        kept.stale.push(index);
                        continue;
                    }
                    let last = kept.samples.last().map(|(_, number)| *number);
                    let number = self.numbering.number(count, last);
                    kept.samples.push((index, number));
                }
            }
            Record::Gap(gap) if gap.stream == StreamIndex(0) => kept.gaps.push(*gap),
            Record::Annotation(mark) => kept.marks.push(mark.clone()),
            Record::Anchor(anchor) if kept.anchor.is_none() => {
                kept.anchor = Some((anchor.host, anchor.utc));
            }
            _ => {}
        }
        Ok(())
    }

    fn tick(&mut self, _now: HostNanos) -> Result<(), RecorderFailure> {
        Ok(())
    }
}

impl Kept {
    /// How often the connection was gone.
    #[must_use]
    pub fn broken(&self) -> usize {
        let gone = |gap: &&Gap| gap.cause == GapCause::Disconnected;
        self.gaps.iter().filter(gone).count()
    }

    /// Number of the sample that is nearest to a time, at `rate_hz`.
    #[must_use]
    pub fn sample_at(&self, time: UtcNanos, rate_hz: f64) -> Option<u64> {
        let (host, utc) = self.anchor?;
        let host = host.plus_nanos(time.nanos_since(utc));
        let block = (self.blocks.iter().rev()).find(|(_, fitted, _)| *fitted <= host)?;
        let index = block.0 + (host.seconds_since(block.1) * rate_hz).round() as u64;
        let by_index = |(at, _): &(u64, u64)| *at;
        let found = self.samples.binary_search_by_key(&index, by_index).ok()?;
        Some(self.samples[found].1)
    }

    /// Every sample delivered between the first and the last kept one is kept once, in order, with its own
    /// number, no other is, and every hole is a gap.
    ///
    /// # Panics
    /// It is not so.
    pub fn assert_nothing_lost(&self, log: &DeliveryLog) {
        let numbers: Vec<u64> = self.samples.iter().map(|(_, number)| *number).collect();
        let ascend = |list: &[u64]| list.windows(2).all(|two| two[0] < two[1]);
        assert!(ascend(&numbers), "once and in order");
        let (first, last) = (numbers[0], numbers[numbers.len() - 1]);
        // The device enters what it has sent after it was sent; its thread may be a little behind.
        let began = Instant::now();
        while log.delivered_samples().last() < Some(&last)
            && began.elapsed() < Duration::from_secs(5)
        {
            std::thread::sleep(Duration::from_millis(10));
        }
        let delivered: Vec<u64> = (log.delivered_samples().into_iter())
            .filter(|number| (first..=last).contains(number))
            .collect();
        let without = |some: &[u64], others: &[u64]| -> Vec<u64> {
            let lacks = |number: &&u64| others.binary_search(number).is_err();
            some.iter().filter(lacks).copied().collect()
        };
        let (lacking, invented) = (without(&delivered, &numbers), without(&numbers, &delivered));
        assert!(lacking.is_empty(), "delivered and not kept: {lacking:?}");
        assert!(invented.is_empty(), "never delivered: {invented:?}");
        self.assert_holes_are_gaps();
    }

    fn assert_holes_are_gaps(&self) {
        for two in self.samples.windows(2) {
            let ((before, earlier), (after, later)) = (two[0], two[1]);
            assert!(before < after, "indices ascend: {two:?}");
            let from = self.stale.partition_point(|index| *index < before);
            let stale = self.stale[from..]
                .iter()
                .take_while(|index| **index < after);
            let mut whole = vec![before];
            whole.extend(stale);
            whole.push(after);
            let unbroken =
                later - earlier == after - before && whole.len() as u64 == after - before + 1;
            let gap = (self.gaps.iter()).find(|gap| {
                (before + 1..=after).contains(&gap.first_missing) && gap.resumes_at <= after
            });
            if unbroken {
                assert!(gap.is_none(), "nothing is missing at {two:?}: {gap:?}");
                continue;
            }
            let gap = gap.unwrap_or_else(|| panic!("no gap at {two:?}"));
            // It lies between two of what is kept, with nothing of it inside.
            assert!(whole.contains(&(gap.first_missing - 1)), "{two:?}: {gap:?}");
            assert!(whole.contains(&gap.resumes_at), "{two:?}: {gap:?}");
        }
    }
}
