//! The network drivers against servers that exist as bytes, over real TCP.

mod decoders;
mod fieldtrip;
mod lsl;
mod rda;

use acquisition::{
    Acquisition, AcquisitionConfig, BlockRecorder, Consumers, Mark, Record, RecorderFailure,
    Summary,
};
use contract::{Clock, Device, SystemClock};
use emulators::DeliveryLog;
use signal::{Gap, GapCause, HostNanos, Samples, UtcNanos};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

/// Whether the long runs are wanted.
fn soak() -> bool {
    std::env::var_os("NEURASCALE_SOAK").is_some()
}

/// What a recorder was given: index, time and last channel of each sample, gaps, marks.
#[derive(Debug, Default, Clone)]
struct Kept {
    samples: Vec<(u64, u64)>,
    /// Index, fitted time and length of each block.
    blocks: Vec<(u64, HostNanos, usize)>,
    gaps: Vec<Gap>,
    marks: Vec<Mark>,
    anchor: Option<(HostNanos, UtcNanos)>,
}

impl Kept {
    /// The sample that is nearest to a time.
    fn sample_at(&self, time: UtcNanos, rate_hz: f64) -> Option<u64> {
        let (host, utc) = self.anchor?;
        let host = host.plus_nanos(time.nanos_since(utc));
        let block = self
            .blocks
            .iter()
            .rev()
            .find(|(_, fitted, _)| *fitted <= host)?;
        let offset = (host.seconds_since(block.1) * rate_hz).round() as u64;
        let index = block.0 + offset;
        let found = self
            .samples
            .binary_search_by_key(&index, |(index, _)| *index)
            .ok()?;
        Some(self.samples[found].1)
    }

    fn broken(&self) -> usize {
        (self.gaps.iter())
            .filter(|gap| gap.cause == GapCause::Disconnected)
            .count()
    }
}

#[derive(Debug, Clone, Default)]
struct Keeper(Arc<Mutex<Kept>>);

impl Keeper {
    fn kept(&self) -> Kept {
        self.0.lock().expect("no panic").clone()
    }
}

impl BlockRecorder for Keeper {
    fn record(&mut self, record: &Record) -> Result<(), RecorderFailure> {
        let mut kept = self.0.lock().expect("no panic");
        match record {
            Record::Block(block) => {
                let last = (block.channels - 1) * block.len;
                let numbers: Vec<u64> = match &block.samples {
                    Samples::F32(values) => values[last..].iter().map(|v| *v as u64).collect(),
                    Samples::I16(values) => values[last..].iter().map(|v| *v as u64).collect(),
                    other => panic!("{other:?}"),
                };
                let fitted = block.fitted.expect("a fitted time");
                kept.blocks.push((block.first_index, fitted, block.len));
                kept.samples.extend((block.first_index..).zip(numbers));
            }
            Record::Gap(gap) => kept.gaps.push(*gap),
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

/// Records from `device` until `enough` of what is kept says so, or for `longest`.
fn record(
    device: Box<dyn Device>,
    longest: Duration,
    enough: impl Fn(&Kept) -> bool,
) -> (Kept, Summary) {
    let keeper = Keeper::default();
    let consumers = Consumers {
        recorder: Some(Box::new(keeper.clone())),
        analyser: None,
    };
    let config = AcquisitionConfig::default();
    let handle = Acquisition::start(device, consumers, clock(), config).expect("acquisition");
    let began = std::time::Instant::now();
    while began.elapsed() < longest && !enough(&keeper.kept()) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let summary = handle.stop();
    (keeper.kept(), summary)
}

/// Every delivered sample from the first to the last kept one is kept once, in order, with its own number, and
/// every hole is a gap.
fn assert_nothing_lost(kept: &Kept, log: &DeliveryLog) {
    let numbers: Vec<u64> = kept.samples.iter().map(|(_, number)| *number).collect();
    assert!(
        numbers.windows(2).all(|two| two[0] < two[1]),
        "once and in order"
    );
    let range = numbers[0]..=numbers[numbers.len() - 1];
    // A server enters what it has sent after it was sent; its thread may be a little behind.
    let began = std::time::Instant::now();
    while log.delivered_samples().last() < Some(range.end())
        && began.elapsed() < Duration::from_secs(5)
    {
        std::thread::sleep(Duration::from_millis(10));
    }
    let delivered: Vec<u64> = (log.delivered_samples().into_iter())
        .filter(|number| range.contains(number))
        .collect();
    let lacking: Vec<_> = (delivered.iter())
        .filter(|n| numbers.binary_search(n).is_err())
        .collect();
    let invented: Vec<_> = (numbers.iter())
        .filter(|n| delivered.binary_search(n).is_err())
        .collect();
    assert!(lacking.is_empty(), "delivered and not kept: {lacking:?}");
    assert!(
        invented.is_empty(),
        "kept and never delivered: {invented:?}"
    );
    for two in kept.samples.windows(2) {
        let (after, before) = (two[0].0 + 1, two[1].0);
        if two[1].1 - two[0].1 > 1 {
            let gap = kept.gaps.iter().find(|gap| gap.first_missing == after);
            let gap = gap.unwrap_or_else(|| panic!("no gap at {after}: {two:?}"));
            assert_eq!(gap.resumes_at, before);
        } else {
            assert_eq!(after, before, "{two:?}");
        }
    }
}
