//! In steady state nothing is allocated for a block, on the device's thread or the recorder's.

use acquisition::{
    Acquisition, AcquisitionConfig, BlockRecorder, Consumers, Record, RecorderFailure,
};
use contract::{Clock, Device, DeviceDescription, DeviceError, Read, Safety, Sink, SystemClock};
use signal::{CounterSpec, HostNanos, Impedance, Samples, StreamIndex};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, counting by thread.
struct Counting;

fn count() {
    // A thread that is being torn down counts no more.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

#[allow(unsafe_code)]
// SAFETY: every call is passed on unchanged to the system's allocator, which upholds the contract;
// the counter is a plain thread-local cell without a destructor and allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations() -> u64 {
    ALLOCATIONS.with(Cell::get)
}

const WARM: u64 = 3_000;
const BLOCKS: u64 = 20_000;

/// Sends blocks at full speed, a few at a time, and counts what its thread allocates.
#[derive(Debug)]
struct Plain {
    description: DeviceDescription,
    safety: Arc<crate::scripted::Stop>,
    sent: u64,
    at_warm: u64,
    allocated: Arc<AtomicU64>,
    recorded: Arc<AtomicU64>,
    told: Arc<AtomicU64>,
    subscribed: Arc<AtomicBool>,
    start: HostNanos,
}

impl Device for Plain {
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
        if !self.subscribed.load(Ordering::SeqCst) {
            return Ok(Read::Idle);
        }
        if self.sent == BLOCKS {
            self.allocated
                .store(allocations() - self.at_warm, Ordering::SeqCst);
            return Ok(Read::Ended);
        }
        let channels = self.description.streams[0].channels.len();
        let sent = self.sent;
        sink.block(StreamIndex(0), &mut |block| {
            block.len = 20;
            block.counter = Some(sent * 20);
            let offset = i64::try_from(sent).unwrap() * 20_000_000;
            block.arrival = self.start.plus_nanos(offset);
            let Samples::I32(values) = &mut block.samples else {
                panic!("wrong sample type")
            };
            values.resize(channels * 20, 7);
        });
        self.sent += 1;
        self.told.store(self.sent, Ordering::SeqCst);
        if self.sent < WARM && self.sent.is_multiple_of(200) {
            // The recorder waits for the first time: the queue's own waiting list is made. On a busy
            // machine it must first have caught up.
            while self.recorded.load(Ordering::SeqCst) < self.sent {
                std::thread::yield_now();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        if self.sent == WARM {
            self.at_warm = allocations();
        }
        // Never as far ahead of the recorder as at first: the pool grows for deeper queues only.
        let ahead = if self.sent < WARM { 128 } else { 32 };
        while self.sent > self.recorded.load(Ordering::SeqCst) + ahead {
            std::thread::yield_now();
        }
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

struct Counter {
    blocks: u64,
    sent: Arc<AtomicU64>,
    recorded: Arc<AtomicU64>,
    at_warm: u64,
    allocated: Arc<AtomicU64>,
}

impl BlockRecorder for Counter {
    fn record(&mut self, record: &Record) -> Result<(), RecorderFailure> {
        if matches!(record, Record::Block(_)) {
            self.blocks += 1;
            if self.blocks == WARM {
                self.at_warm = allocations();
            }
            self.allocated
                .store(allocations() - self.at_warm, Ordering::SeqCst);
            // The first blocks are taken late, so that the queue is deep once.
            if self.blocks >= 128 {
                self.recorded.store(self.blocks, Ordering::SeqCst);
            }
            while self.sent.load(Ordering::SeqCst) < 128 {
                std::thread::yield_now();
            }
        }
        Ok(())
    }

    fn tick(&mut self, _now: HostNanos) -> Result<(), RecorderFailure> {
        Ok(())
    }
}

#[test]
fn the_hot_path_allocates_nothing_in_steady_state() {
    let (on_device, on_recorder) = (
        Arc::new(AtomicU64::new(u64::MAX)),
        Arc::new(AtomicU64::new(0)),
    );
    let recorded = Arc::new(AtomicU64::new(0));
    let told = Arc::new(AtomicU64::new(0));
    let subscribed = Arc::new(AtomicBool::new(false));
    let device = Plain {
        description: crate::scripted::description(1_000, 64, CounterSpec::SAMPLE.into()),
        safety: Arc::default(),
        sent: 0,
        at_warm: 0,
        allocated: Arc::clone(&on_device),
        recorded: Arc::clone(&recorded),
        told: Arc::clone(&told),
        subscribed: Arc::clone(&subscribed),
        start: SystemClock.host(),
    };
    let consumers = Consumers {
        recorder: Some(Box::new(Counter {
            blocks: 0,
            sent: Arc::clone(&told),
            recorded: Arc::clone(&recorded),
            at_warm: 0,
            allocated: Arc::clone(&on_recorder),
        })),
        analyser: None,
    };
    let handle = Acquisition::start(
        Box::new(device),
        consumers,
        Arc::new(SystemClock),
        AcquisitionConfig::default(),
    )
    .unwrap();
    let feed = handle.subscribe(64).unwrap();
    subscribed.store(true, Ordering::SeqCst);
    let summary = handle.wait();
    assert_eq!(
        on_device.load(Ordering::SeqCst),
        0,
        "on the device's thread: {summary:?}"
    );
    assert_eq!(
        on_recorder.load(Ordering::SeqCst),
        0,
        "on the recorder's thread"
    );
    drop(feed);
}
