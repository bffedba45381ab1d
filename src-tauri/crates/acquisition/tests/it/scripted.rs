//! A device that does what a script says, a clock that it drives, and a recorder that keeps all.

use acquisition::{
    AcquisitionConfig, BlockRecorder, Record, RecorderFailure, RecorderFailureKind, SuspendWatch,
};
use contract::{
    CalibrationSignal, Capabilities, Clock, Device, DeviceClass, DeviceDescription, DeviceError,
    DeviceEvent, ErrorKind, Pacing, Read, Safety, Sink,
};
use signal::{
    Channel, ClockSource, CounterSpec, Gap, HostNanos, Impedance, Reference, SampleType, Samples,
    SamplingRate, StreamDescription, StreamIndex, StreamRole, UtcNanos,
};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(crate) const MS: i64 = 1_000_000;

/// Time that only the device and sleepers move.
#[derive(Debug)]
pub(crate) struct TestClock {
    now: AtomicI64,
    /// UTC minus host time.
    pub(crate) offset: AtomicI64,
}

impl TestClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            now: AtomicI64::new(1_000_000 * MS),
            offset: AtomicI64::new(1_700_000_000_000 * MS),
        })
    }

    pub(crate) fn advance(&self, nanos: i64) {
        self.now.fetch_add(nanos, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn host(&self) -> HostNanos {
        HostNanos(self.now.load(Ordering::SeqCst))
    }

    fn utc(&self) -> UtcNanos {
        UtcNanos(self.host().0 + self.offset.load(Ordering::SeqCst))
    }

    fn sleep(&self, duration: Duration) {
        // Only the device thread's waits move time; the recorder's retries must not.
        if std::thread::current().name() == Some("recorder") {
            std::thread::sleep(Duration::from_millis(1));
        } else {
            self.advance(i64::try_from(duration.as_nanos()).unwrap());
            std::thread::yield_now();
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct TestSuspend(pub(crate) AtomicI64);

impl SuspendWatch for TestSuspend {
    fn slept_ns(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// One thing that the device does in a read.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// The next packet is taken and arrives, so many ms late.
    Packet { late_ms: i64 },
    /// So many packets are taken and lost.
    Lose(u64),
    /// The last packet sent comes again.
    Repeat,
    /// The next two packets come in the wrong order.
    Swap,
    /// Nothing is taken for so many ms; the counter stands still.
    Idle(i64),
    /// The connection breaks for so many ms and until `start` has failed so often; the device goes on
    /// taking packets. Its counter begins anew if so said.
    Disconnect { failures: u32, ms: i64, reset: bool },
    /// An event is told.
    Event(DeviceEvent),
    /// A block whose shape is wrong takes the next packet's place.
    Malformed,
    /// The computer sleeps for so many packets, which are lost.
    Sleep(u64),
    /// The wall clock is put forward, ms.
    PutForward(i64),
    /// The driver panics.
    Panic,
    /// Real time passes, so that other threads get on, ms.
    Yield(u64),
    /// Waits until a flag is set by the test.
    Until(Arc<AtomicBool>),
}

#[derive(Debug, Default)]
pub(crate) struct Stop(pub(crate) AtomicBool);

impl Safety for Stop {
    fn end_all(&self) -> Result<(), DeviceError> {
        self.0.store(true, Ordering::SeqCst);
        Ok(())
    }
}

#[derive(Debug)]
pub(crate) struct Scripted {
    description: DeviceDescription,
    clock: Arc<TestClock>,
    pub(crate) suspend: Arc<TestSuspend>,
    script: std::vec::IntoIter<Step>,
    safety: Arc<Stop>,
    counter: CounterSpec,
    packet_ns: i64,
    /// Packets taken so far; a sample's value is its number.
    taken: u64,
    /// One past the highest packet sent.
    sent: u64,
    /// What the counter's zero is now.
    counter_zero: u64,
    failing_starts: u32,
    /// Sample numbers that went out.
    pub(crate) delivered: Arc<Mutex<Vec<u64>>>,
    /// When the connection broke, and whether the counter begins anew.
    gone: Option<(HostNanos, bool)>,
    calibrating: bool,
}

pub(crate) fn description(
    rate: u32,
    channels: usize,
    counter: Option<CounterSpec>,
) -> DeviceDescription {
    DeviceDescription {
        id: "scripted:1".to_owned(),
        model: "scripted".to_owned(),
        serial: String::new(),
        firmware: String::new(),
        class: DeviceClass::Simulated,
        pacing: Pacing::RealTime,
        capabilities: Capabilities {
            impedance: true,
            calibration: Some(CalibrationSignal {
                amplitude_uv: 100.0,
                period_s: 1.0,
            }),
            acts_on_patient: true,
        },
        streams: vec![StreamDescription {
            name: "eeg".to_owned(),
            role: StreamRole::Signal,
            sample_type: SampleType::I32,
            rate: SamplingRate::hz(rate),
            counter,
            clock: ClockSource::HostArrival,
            channels: vec![Channel::eeg("Cz", 0.5, Reference::Unknown); channels],
        }],
    }
}

impl Scripted {
    pub(crate) fn new(
        description: DeviceDescription,
        clock: &Arc<TestClock>,
        script: Vec<Step>,
    ) -> Self {
        let stream = &description.streams[0];
        let counter = stream.counter.unwrap_or(CounterSpec::SAMPLE);
        let samples = u64::from(counter.samples_per_packet);
        let packet_ns = stream.rate.nanos_of(samples);
        Self {
            clock: Arc::clone(clock),
            suspend: Arc::new(TestSuspend::default()),
            script: script.into_iter(),
            safety: Arc::new(Stop::default()),
            counter,
            packet_ns,
            taken: 0,
            sent: 0,
            counter_zero: 0,
            failing_starts: 0,
            delivered: Arc::default(),
            gone: None,
            calibrating: false,
            description,
        }
    }

    fn send(&mut self, packet: u64, sink: &mut dyn Sink) {
        let samples = self.counter.samples_per_packet as usize;
        let stream = &self.description.streams[0];
        let counted = stream.counter.is_some();
        let first = packet * samples as u64;
        let raw = (packet - self.counter_zero) * self.counter.step;
        sink.block(StreamIndex(0), &mut |block| {
            block.len = samples;
            block.arrival = self.clock.host();
            block.counter = counted.then(|| match self.counter.modulus {
                0 => raw,
                modulus => raw % modulus,
            });
            let Samples::I32(values) = &mut block.samples else {
                panic!("wrong sample type")
            };
            for _ in 0..stream.channels.len() {
                for offset in 0..samples as u64 {
                    let number = first + offset;
                    let value = if self.calibrating {
                        // 100 µV peak to peak at half a microvolt a count.
                        if (number / 50).is_multiple_of(2) {
                            100
                        } else {
                            -100
                        }
                    } else {
                        i32::try_from(number).unwrap()
                    };
                    values.push(value);
                }
            }
        });
        let mut delivered = self.delivered.lock().unwrap();
        if packet >= self.sent {
            delivered.extend(first..first + samples as u64);
            self.sent = packet + 1;
        } else if !delivered.contains(&first) {
            delivered.extend(first..first + samples as u64);
            delivered.sort_unstable();
        }
    }

    fn take(&mut self) -> u64 {
        let packet = self.taken;
        self.taken += 1;
        self.clock.advance(self.packet_ns);
        packet
    }

    fn step(&mut self, step: Step, sink: &mut dyn Sink) -> Result<Read, DeviceError> {
        match step {
            Step::Packet { late_ms } => {
                let packet = self.take();
                self.clock.advance(late_ms * MS);
                self.send(packet, sink);
                self.clock.advance(-late_ms * MS);
            }
            Step::Lose(packets) => {
                for _ in 0..packets {
                    self.take();
                }
            }
            Step::Repeat => {
                let packet = self.sent - 1;
                self.send(packet, sink);
            }
            Step::Swap => {
                let (first, second) = (self.take(), self.take());
                self.send(second, sink);
                self.send(first, sink);
            }
            Step::Idle(ms) => {
                self.clock.advance(ms * MS);
                return Ok(Read::Idle);
            }
            Step::Disconnect {
                failures,
                ms,
                reset,
            } => {
                self.failing_starts = failures;
                self.gone = Some((self.clock.host(), reset));
                self.clock.advance(ms * MS);
                return Err(gone());
            }
            Step::Event(event) => sink.event(event),
            Step::Malformed => {
                self.take();
                sink.block(StreamIndex(0), &mut |block| {
                    block.len = 3;
                    block.arrival = self.clock.host();
                });
            }
            Step::Sleep(packets) => {
                for _ in 0..packets {
                    self.take();
                }
                let slept = self.packet_ns * i64::try_from(packets).unwrap();
                self.suspend.0.fetch_add(slept, Ordering::SeqCst);
            }
            Step::PutForward(ms) => {
                self.clock.offset.fetch_add(ms * MS, Ordering::SeqCst);
            }
            Step::Panic => panic!("driver fails on purpose"),
            Step::Yield(ms) => std::thread::sleep(Duration::from_millis(ms)),
            Step::Until(flag) => {
                while !flag.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        }
        Ok(Read::Progress)
    }
}

fn gone() -> DeviceError {
    DeviceError::new(ErrorKind::Disconnected, "read scripted", "unplugged")
}

impl Device for Scripted {
    fn description(&self) -> &DeviceDescription {
        &self.description
    }

    fn safety(&self) -> Arc<dyn Safety> {
        Arc::clone(&self.safety) as Arc<dyn Safety>
    }

    fn start(&mut self) -> Result<(), DeviceError> {
        if self.failing_starts > 0 {
            self.failing_starts -= 1;
            return Err(gone());
        }
        if let Some((since, reset)) = self.gone.take() {
            let away = self.clock.host().nanos_since(since);
            self.taken += u64::try_from(away / self.packet_ns).unwrap();
            if reset {
                self.counter_zero = self.taken;
            }
        }
        Ok(())
    }

    fn read(&mut self, sink: &mut dyn Sink, _timeout: Duration) -> Result<Read, DeviceError> {
        if self.calibrating {
            let packet = self.take();
            self.send(packet, sink);
            return Ok(Read::Progress);
        }
        match self.script.next() {
            Some(step) => self.step(step, sink),
            None => Ok(Read::Ended),
        }
    }

    fn stop(&mut self) -> Result<(), DeviceError> {
        Ok(())
    }

    fn measure_impedances(
        &mut self,
        progress: &mut dyn FnMut(&Impedance) -> ControlFlow<()>,
    ) -> Result<Vec<Impedance>, DeviceError> {
        let mut all = Vec::new();
        for (electrode, kohm) in [("Cz", Some(3.0)), ("REF", Some(12.0)), ("GND", None)] {
            let impedance = Impedance {
                electrode: electrode.to_owned(),
                impedance_kohm: kohm,
                at: self.clock.utc(),
            };
            let go_on = progress(&impedance);
            all.push(impedance);
            if go_on.is_break() {
                break;
            }
        }
        Ok(all)
    }

    fn calibration(&mut self, on: bool) -> Result<(), DeviceError> {
        self.calibrating = on;
        Ok(())
    }
}

/// What the recorder kept, as numbers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kept {
    Block {
        first: u64,
        values: Vec<i64>,
        fitted: Option<i64>,
    },
    Gap(Gap),
    Other(String),
}

/// How the recorder behaves; the test turns the knobs while it runs.
#[derive(Debug, Default)]
pub(crate) struct Knobs {
    /// Nothing is taken while set.
    pub(crate) stalled: AtomicBool,
    /// The disk is full while set.
    pub(crate) full: AtomicBool,
    /// Messages are taken and flushing fails while set.
    pub(crate) unflushed: AtomicBool,
    /// How often it was told the time.
    pub(crate) ticks: AtomicU64,
    /// Blocks from this index on are refused, once.
    pub(crate) refuse_at: AtomicU64,
    /// Real time for each message, µs.
    pub(crate) slow_us: AtomicU64,
}

#[derive(Debug)]
pub(crate) struct Keeper {
    pub(crate) kept: Arc<Mutex<Vec<Kept>>>,
    pub(crate) knobs: Arc<Knobs>,
}

impl Keeper {
    pub(crate) fn new() -> Self {
        let knobs = Knobs::default();
        knobs.refuse_at.store(u64::MAX, Ordering::SeqCst);
        Self {
            kept: Arc::default(),
            knobs: Arc::new(knobs),
        }
    }
}

impl BlockRecorder for Keeper {
    fn record(&mut self, record: &Record) -> Result<(), RecorderFailure> {
        while self.knobs.stalled.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_micros(
            self.knobs.slow_us.load(Ordering::SeqCst),
        ));
        let failure = |kind| {
            Err(RecorderFailure {
                kind,
                message: "on purpose".to_owned(),
            })
        };
        if self.knobs.full.load(Ordering::SeqCst) {
            return failure(RecorderFailureKind::DiskFull);
        }
        let kept = match record {
            Record::Block(block) if block.stream != StreamIndex(0) => {
                Kept::Other("another stream".to_owned())
            }
            Record::Gap(gap) if gap.stream != StreamIndex(0) => {
                Kept::Other("another stream".to_owned())
            }
            Record::Block(block) => {
                if block.first_index >= self.knobs.refuse_at.load(Ordering::SeqCst) {
                    self.knobs.refuse_at.store(u64::MAX, Ordering::SeqCst);
                    return failure(RecorderFailureKind::Rejected);
                }
                Kept::Block {
                    first: block.first_index,
                    // Every channel carries the same numbers: the last one proves the layout.
                    values: (0..block.len)
                        .map(|i| {
                            let at = (block.channels - 1) * block.len + i;
                            block.samples.as_f64(at).unwrap() as i64
                        })
                        .collect(),
                    fitted: block.fitted.map(|at| at.0),
                }
            }
            Record::Gap(gap) => Kept::Gap(*gap),
            other => Kept::Other(format!("{other:?}")),
        };
        self.kept.lock().unwrap().push(kept);
        Ok(())
    }

    fn tick(&mut self, _now: HostNanos) -> Result<(), RecorderFailure> {
        self.knobs.ticks.fetch_add(1, Ordering::SeqCst);
        if self.knobs.unflushed.load(Ordering::SeqCst) {
            return Err(RecorderFailure {
                kind: RecorderFailureKind::DiskFull,
                message: "on purpose".to_owned(),
            });
        }
        Ok(())
    }
}

pub(crate) fn packets(count: usize) -> Vec<Step> {
    vec![Step::Packet { late_ms: 0 }; count]
}

/// Room for everything, so that only what the test asks for is lost.
pub(crate) fn roomy(device: &Scripted) -> AcquisitionConfig {
    AcquisitionConfig {
        recorder_queue: 1 << 16,
        suspend: Arc::clone(&device.suspend) as Arc<dyn SuspendWatch>,
        ..AcquisitionConfig::default()
    }
}

/// Samples and gaps join without overlap or hole; returns values in order, with their indices.
pub(crate) fn joined(kept: &[Kept]) -> (Vec<(u64, i64)>, Vec<Gap>) {
    let (mut values, mut gaps, mut next) = (Vec::new(), Vec::new(), None);
    let mut fitted_before = i64::MIN;
    for item in kept {
        match item {
            Kept::Block {
                first,
                values: found,
                fitted,
            } => {
                assert_eq!(*first, next.unwrap_or(*first), "a block does not follow");
                next = Some(first + found.len() as u64);
                values.extend(
                    found
                        .iter()
                        .zip(*first..)
                        .map(|(value, index)| (index, *value)),
                );
                if let Some(fitted) = *fitted {
                    assert!(fitted > fitted_before, "time went back at {first}");
                    fitted_before = fitted;
                }
            }
            Kept::Gap(gap) => {
                assert_eq!(
                    gap.first_missing,
                    next.unwrap_or(gap.first_missing),
                    "{gap:?}"
                );
                assert!(gap.until >= gap.from, "{gap:?}");
                next = Some(gap.resumes_at);
                gaps.push(*gap);
            }
            Kept::Other(_) => {}
        }
    }
    (values, gaps)
}
