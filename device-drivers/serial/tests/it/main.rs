//! The Cyton's driver against a board that exists as bytes, over a real terminal line.
#![cfg(unix)]
#![allow(clippy::print_stderr, reason = "what a test skips, it says")]

mod conformance;
mod daisy;
mod faults;
mod hostile;
mod signals;
mod vectors;

use acquisition::{
    Acquisition, AcquisitionConfig, BlockRecorder, Consumers, Record, RecorderFailure, Summary,
};
use contract::{Clock, Device, DeviceError, Driver as _, Settings, SystemClock};
use emulators::cyton::{CytonConfig, CytonEmulator};
use emulators::{DeliveryLog, Script};
use serial::CytonDriver;
use signal::{Gap, HostNanos, Samples, StreamIndex};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

/// A board and the folder with its port.
struct Board {
    emulator: CytonEmulator,
    port: PathBuf,
    _folder: TempDir,
}

impl Board {
    /// Switches on a board whose last channel numbers its samples.
    fn numbered(script: &str) -> Self {
        Self::new(|config| {
            config.numbered = true;
            config.script = Script::parse(script).expect("a script");
        })
    }

    fn new(change: impl FnOnce(&mut CytonConfig)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = folder.path().join("port");
        let mut config = CytonConfig::new(port.clone());
        change(&mut config);
        let emulator =
            CytonEmulator::start(config, DeliveryLog::default(), clock()).expect("a board");
        Self {
            emulator,
            port,
            _folder: folder,
        }
    }

    fn address(&self) -> String {
        self.port.to_str().expect("a text").to_owned()
    }

    fn open(&self, settings: &[(&str, &str)]) -> Result<Box<dyn Device>, DeviceError> {
        let settings: Settings = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        CytonDriver.open(&self.address(), &settings, clock())
    }

    fn log(&self) -> &DeliveryLog {
        self.emulator.log()
    }
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

/// What a recorder was given of the potentials: index and last channel of each sample, and the gaps.
#[derive(Debug, Default, Clone)]
struct Kept {
    samples: Vec<(u64, i32)>,
    gaps: Vec<Gap>,
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
            Record::Block(block) if block.stream == StreamIndex(0) => {
                let Samples::I24(values) = &block.samples else {
                    panic!("{:?}", block.samples)
                };
                let last = &values[(block.channels - 1) * block.len..];
                let indices = block.first_index..;
                kept.samples.extend(indices.zip(last.iter().copied()));
            }
            Record::Gap(gap) if gap.stream == StreamIndex(0) => kept.gaps.push(*gap),
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

/// Every delivered sample is kept once, in order, with its own number, up to the last kept one.
fn assert_nothing_lost(kept: &Kept, log: &DeliveryLog) {
    let numbers: Vec<u64> = (kept.samples.iter())
        .map(|(_, number)| u64::try_from(*number).expect("a number"))
        .collect();
    assert!(
        numbers.windows(2).all(|two| two[0] < two[1]),
        "once and in order"
    );
    assert!(
        kept.samples.windows(2).all(|two| two[0].0 < two[1].0),
        "indices ascend"
    );
    let last = *numbers.last().expect("something is kept");
    // The board enters what it has sent after it was sent; its thread may be a little behind.
    let began = std::time::Instant::now();
    while log.delivered_samples().last() < Some(&last) && began.elapsed() < Duration::from_secs(5) {
        std::thread::sleep(Duration::from_millis(10));
    }
    let delivered: Vec<u64> = (log.delivered_samples().into_iter())
        .filter(|number| *number <= last)
        .collect();
    let missing: Vec<_> = delivered
        .iter()
        .filter(|n| numbers.binary_search(n).is_err())
        .collect();
    assert!(missing.is_empty(), "delivered and not kept: {missing:?}");
    let invented: Vec<_> = numbers
        .iter()
        .filter(|n| delivered.binary_search(n).is_err())
        .collect();
    assert!(
        invented.is_empty(),
        "kept and never delivered: {invented:?}"
    );
    // What is missing lies in a gap, and nothing else does.
    for two in kept.samples.windows(2) {
        let (after, before) = (two[0].0 + 1, two[1].0);
        let gap = kept
            .gaps
            .iter()
            .find(|gap| gap.first_missing == after && gap.resumes_at >= after);
        let step = two[1].1 - two[0].1;
        if step == 1 {
            assert_eq!(after, before, "{two:?}");
        } else {
            let gap = gap.unwrap_or_else(|| panic!("no gap at {after}: {two:?}"));
            assert_eq!(gap.resumes_at, before);
        }
    }
}
