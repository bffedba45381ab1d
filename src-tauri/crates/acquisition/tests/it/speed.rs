//! What a block costs from the device's call to the queues.

use acquisition::{Acquisition, AcquisitionConfig, Consumers, FeedItem};
use contract::{Clock, Device, DeviceDescription, DeviceError, Read, Safety, Sink, SystemClock};
use signal::{CounterSpec, HostNanos, Impedance, Samples, StreamIndex};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Sends `total` blocks of `len` samples, every `pause`, and times the sink alone.
#[derive(Debug)]
struct Source {
    description: DeviceDescription,
    safety: Arc<crate::scripted::Stop>,
    len: usize,
    total: u64,
    sent: u64,
    pause: Duration,
    busy_ns: Arc<AtomicU64>,
    start: HostNanos,
}

impl Device for Source {
    fn description(&self) -> &DeviceDescription {
        &self.description
    }

    fn safety(&self) -> Arc<dyn Safety> {
        Arc::clone(&self.safety) as Arc<dyn Safety>
    }

    fn start(&mut self) -> Result<(), DeviceError> {
        Ok(())
    }

    fn read(&mut self, sink: &mut dyn Sink, _timeout: Duration) -> Result<Read, DeviceError> {
        if self.sent == self.total {
            return Ok(Read::Ended);
        }
        std::thread::sleep(self.pause);
        let stream = &self.description.streams[0];
        let (channels, len, sent) = (stream.channels.len(), self.len, self.sent);
        let offset = stream.rate.nanos_of(sent * len as u64);
        let mut filling = Duration::ZERO;
        let begin = Instant::now();
        sink.block(StreamIndex(0), &mut |block| {
            let begin = Instant::now();
            block.len = len;
            block.counter = Some(sent * len as u64);
            block.arrival = if self.pause.is_zero() {
                self.start.plus_nanos(offset)
            } else {
                SystemClock.host()
            };
            let Samples::I32(values) = &mut block.samples else {
                panic!("wrong sample type")
            };
            values.resize(channels * len, 7);
            filling = begin.elapsed();
        });
        let spent = begin.elapsed() - filling;
        self.busy_ns
            .fetch_add(u64::try_from(spent.as_nanos()).unwrap(), Ordering::Relaxed);
        self.sent += 1;
        Ok(Read::Progress)
    }

    fn stop(&mut self) -> Result<(), DeviceError> {
        Ok(())
    }

    fn measure_impedances(
        &mut self,
        _progress: &mut dyn FnMut(&Impedance) -> ControlFlow<()>,
    ) -> Result<Vec<Impedance>, DeviceError> {
        Ok(Vec::new())
    }

    fn calibration(&mut self, _on: bool) -> Result<(), DeviceError> {
        Ok(())
    }
}

fn source(channels: usize, rate: u32, len: usize, total: u64, pause: Duration) -> Source {
    Source {
        description: crate::scripted::description(rate, channels, CounterSpec::SAMPLE.into()),
        safety: Arc::default(),
        len,
        total,
        sent: 0,
        pause,
        busy_ns: Arc::default(),
        start: SystemClock.host(),
    }
}

#[test]
fn a_blocks_way_to_the_queues_is_short() {
    for (channels, rate, len, total) in [(64, 1_000, 20, 20_000), (4_096, 2_000, 20, 600)] {
        let source = source(channels, rate, len, total, Duration::ZERO);
        let busy = Arc::clone(&source.busy_ns);
        let clock = Arc::new(SystemClock);
        let handle = Acquisition::start(
            Box::new(source),
            Consumers::default(),
            clock,
            AcquisitionConfig::default(),
        )
        .unwrap();
        let feed = handle.subscribe(64).unwrap();
        drop(handle.wait());
        drop(feed);
        let each = busy.load(Ordering::Relaxed) / total;
        let share = each as f64 * f64::from(rate) / len as f64 / 1e9;
        eprintln!(
            "{channels} channels x {rate} Hz, blocks of {len}: {each} ns a block, {:.3} % of a core",
            share * 100.0
        );
        assert!(share < 0.10, "more than a tenth of a core: {share}");
    }
}

#[test]
fn a_block_reaches_its_feed_at_once() {
    let source = source(64, 1_000, 20, 200, Duration::from_millis(2));
    let handle = Acquisition::start(
        Box::new(source),
        Consumers::default(),
        Arc::new(SystemClock),
        AcquisitionConfig::default(),
    )
    .unwrap();
    let feed = handle.subscribe(256).unwrap();
    let mut delays = Vec::new();
    loop {
        match feed.next(Duration::from_secs(10)) {
            Some(FeedItem::Block(block)) => {
                delays.push(SystemClock.host().nanos_since(block.arrival));
            }
            Some(FeedItem::Gap(_)) => {}
            Some(FeedItem::Ended(_)) | None => break,
        }
    }
    drop(handle.wait());
    delays.sort_unstable();
    let at = |share: usize| delays[(delays.len() - 1) * share / 100] as f64 * 1e-3;
    eprintln!("device to feed: p50 {:.0} µs, p99 {:.0} µs", at(50), at(99));
    assert!(delays.len() > 150, "{}", delays.len());
    // The median: on a busy machine single threads wait for their turn.
    assert!(at(50) < 5_000.0, "{} µs", at(50));
}
