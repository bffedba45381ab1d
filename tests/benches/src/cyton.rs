//! How fast a Cyton's bytes become samples, and the same stream through BrainFlow's driver.

use crate::figure::{Figure, Row};
use crate::filters::number;
use crate::folders;
use crate::limits::{CYTON_FOR, PASSES};
use crate::measure::{best, digits, time};
use anyhow::{Context as _, Result, anyhow};
use contract::{DeviceEvent, Driver as _, Settings, Sink, SystemClock};
use emulators::cyton::CytonConfig;
use emulators::{DeliveryLog, Running};
use serial::CytonDriver;
use serial::decoder::Framer;
use signal::{HostNanos, SampleBlock, SampleType, StreamDescription, StreamIndex};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) const ROWS: [Row; 1] = [Row {
    what: "Cyton decoding on one core; beside it the whole driver and BrainFlow's on the same emulated stream",
    bound: "10,000 × real time",
    aim: "faster than BrainFlow",
}];

/// Packets a second in real time.
const RATE_HZ: f64 = 250.0;
/// Packets decoded at once: two hours.
const PACKETS: usize = 1_800_000;
/// Bytes of a read: what a dongle hands over in 16 ms.
const READ: usize = 132;
/// × real time.
const BOUND: f64 = 10_000.0;

pub(crate) fn run() -> Result<Vec<Figure>> {
    let bytes = stream();
    let took = best(PASSES, Framer::default, |framer| {
        let mut sum = 0_i64;
        for (n, read) in bytes.chunks(READ).enumerate() {
            framer.push(read, HostNanos(n as i64), |packet, _| {
                sum += i64::from(packet.values[0]);
            });
        }
        black_box(sum);
    });
    let times = PACKETS as f64 / took / RATE_HZ;
    let beside = match both() {
        Ok(text) => text,
        Err(error) => format!("the drivers side by side: not measured ({error:#})"),
    };
    let text = format!(
        "{} × real time ({PACKETS} packets in {}); {beside}",
        digits(times),
        time(took)
    );
    Ok(vec![ROWS[0].measured(times >= BOUND, text)])
}

/// Packets as the board sends them, values running.
fn stream() -> Vec<u8> {
    let mut bytes = Vec::with_capacity(PACKETS * 33);
    for n in 0..PACKETS {
        bytes.extend([0xA0, n as u8]);
        for channel in 0..8_usize {
            let value = ((n * 7_919 + channel * 104_729) & 0xFF_FFFF) as u32;
            bytes.extend(&value.to_be_bytes()[1..]);
        }
        bytes.extend([0, 0, 0, 0, 0, 0, 0xC0]);
    }
    bytes
}

/// The whole driver and BrainFlow, one after the other, on a board that sends as fast as it is read.
fn both() -> Result<String> {
    let (ours, of) = ours()?;
    let Some(mut python) = folders::python("cyton.py") else {
        return Err(anyhow!(folders::NO_PYTHON));
    };
    let board = Board::new()?;
    python
        .arg(&board.port)
        .arg(CYTON_FOR.as_secs_f64().to_string());
    let told = folders::answer(python)?;
    let samples = number(&told, "samples")?;
    let peer = samples / number(&told, "seconds")? / RATE_HZ;
    let peer_cpu = number(&told, "cpu_s")? / samples * 1e6;
    Ok(format!(
        "through a terminal line that the emulator fills as fast as it is read: ours {} × real time, {} µs of \
         processor time a sample; BrainFlow {} ×, {} µs",
        digits(ours),
        digits(of),
        digits(peer),
        digits(peer_cpu)
    ))
}

struct Board {
    port: std::path::PathBuf,
    _emulator: Running,
    _folder: tempfile::TempDir,
}

impl Board {
    fn new() -> Result<Self> {
        let folder = folders::scratch()?;
        let port = folder.path().join("port");
        let mut config = CytonConfig::new(port.clone());
        config.free = true;
        let clock = Arc::new(SystemClock);
        let emulator = config.start(DeliveryLog::default(), clock)?;
        Ok(Self {
            port,
            _emulator: emulator,
            _folder: folder,
        })
    }
}

/// Counts samples; lends one block again and again.
struct Counter {
    blocks: Vec<SampleBlock>,
    samples: usize,
}

impl Counter {
    fn new(streams: &[StreamDescription]) -> Self {
        let block = |(index, stream): (u16, &StreamDescription)| {
            let sample_type: SampleType = stream.sample_type;
            SampleBlock::with_capacity(StreamIndex(index), sample_type, stream.channels.len(), 64)
        };
        Self {
            blocks: (0..).zip(streams).map(block).collect(),
            samples: 0,
        }
    }
}

impl Sink for Counter {
    fn block(&mut self, stream: StreamIndex, fill: &mut dyn FnMut(&mut SampleBlock)) {
        let block = &mut self.blocks[usize::from(stream.0)];
        block.reset();
        fill(block);
        if stream.0 == 0 {
            self.samples += block.len;
        }
    }

    fn event(&mut self, _event: DeviceEvent) {}
}

/// Times real time, and µs of this thread's processor time a sample.
fn ours() -> Result<(f64, f64)> {
    let board = Board::new()?;
    let port = board.port.to_str().context("the port has no name")?;
    let mut device = CytonDriver.open(port, &Settings::new(), Arc::new(SystemClock))?;
    let mut counter = Counter::new(&device.description().streams);
    device.start()?;
    let (began, cpu) = (Instant::now(), thread_cpu_s());
    while began.elapsed() < CYTON_FOR {
        device.read(&mut counter, Duration::from_millis(50))?;
    }
    let (took, cpu) = (began.elapsed().as_secs_f64(), thread_cpu_s() - cpu);
    device.stop()?;
    let samples = counter.samples as f64;
    Ok((samples / took / RATE_HZ, cpu / samples * 1e6))
}

/// Processor time of this thread, s.
fn thread_cpu_s() -> f64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}
