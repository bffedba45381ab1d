//! Loss, drift and lateness, with numbered samples under a clock that the tests turn.

use crate::support::{blocks, channel, open, read_all, row, settings};
use crate::writer::{Signal, Spec};
use contract::{Clock, Collected, Device, DeviceEvent, Driver, ErrorKind, Read};
use signal::{HostNanos, StreamIndex, UtcNanos};
use simulated::Simulator;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// A clock that moves only when someone sleeps, or when it is set.
#[derive(Debug, Default)]
struct TurnedClock(AtomicI64);

impl Clock for TurnedClock {
    fn host(&self) -> HostNanos {
        HostNanos(self.0.load(Ordering::SeqCst))
    }

    fn utc(&self) -> UtcNanos {
        UtcNanos(1_700_000_000_000_000_000 + self.0.load(Ordering::SeqCst))
    }

    fn sleep(&self, duration: Duration) {
        let nanos = i64::try_from(duration.as_nanos()).unwrap();
        self.0.fetch_add(nanos, Ordering::SeqCst);
    }
}

fn open_turned(pairs: &[(&str, &str)]) -> (Box<dyn Device>, Arc<TurnedClock>) {
    let clock = Arc::new(TurnedClock::default());
    let mut all = settings(pairs);
    all.insert("numbered".into(), "true".into());
    all.insert("pattern".into(), "quiet".into());
    let device = Simulator
        .open("headset", &all, Arc::clone(&clock) as Arc<dyn Clock>)
        .unwrap();
    (device, clock)
}

/// Numbers carried by the last channel of the signal stream.
fn numbers(device: &dyn Device, sink: &Collected) -> Vec<i32> {
    channel(sink, 0, device.description().streams[0].channels.len() - 1)
}

#[test]
fn drop_outs_lose_what_they_say_and_the_counter_tells() {
    let script = "
[[dropout]]
at_s = 1.0
samples = 5
[[silence]]
at_s = 2.0
duration_s = 0.5
stream = 'eeg'
[[disconnect]]
at_s = 3.0
duration_s = 1.0
";
    let pairs = [
        ("speed", "max"),
        ("duration_s", "5"),
        ("script", script),
        ("numbered", "true"),
    ];
    let mut device = open(&Simulator, "headset", &pairs);
    let (sink, gone) = read_all(device.as_mut());
    assert_eq!(gone, 1);
    let kept =
        |i: &i32| !(256..261).contains(i) && !(512..640).contains(i) && !(768..1024).contains(i);
    let expected: Vec<i32> = (0..1280).filter(kept).collect();
    assert_eq!(numbers(device.as_ref(), &sink), expected);
    let last = device.description().streams[0].channels.len() - 1;
    for block in blocks(&sink, 0) {
        assert_eq!(
            block.counter,
            Some(u64::from(row(block, last)[0].unsigned_abs()))
        );
    }
}

#[test]
fn a_short_counter_wraps() {
    let pairs = [
        ("speed", "max"),
        ("duration_s", "4"),
        ("counter_bits", "8"),
        ("numbered", "true"),
    ];
    let mut device = open(&Simulator, "headset", &pairs);
    let (sink, _) = read_all(device.as_mut());
    let last = device.description().streams[0].channels.len() - 1;
    for block in blocks(&sink, 0) {
        let number = u64::from(row(block, last)[0].unsigned_abs());
        assert_eq!(block.counter, Some(number % 256));
    }
}

#[test]
fn drift_shows_in_arrivals_and_nowhere_else() {
    let script = "[[drift]]\nat_s = 100.0\ndrift_ppm = -100.0\nramp_s = 50.0\n";
    let (mut device, _) = open_turned(&[
        ("duration_s", "400"),
        ("drift_ppm", "200"),
        ("script", script),
    ]);
    let (sink, _) = read_all(device.as_mut());
    assert_eq!(
        numbers(device.as_ref(), &sink),
        (0..102_400).collect::<Vec<i32>>()
    );
    let arrival = |second: u64| {
        let end = second * 256;
        let block = blocks(&sink, 0)
            .find(|b| b.counter.unwrap() + b.len as u64 == end)
            .unwrap();
        block.arrival.0 as f64 / 1e9
    };
    // Fast by 200 ppm, then from there evenly to slow by 100 ppm, then so for good.
    assert!(
        (arrival(100) - (100.0 - 0.02)).abs() < 1e-5,
        "{}",
        arrival(100)
    );
    assert!((arrival(150) - arrival(100) - (50.0 - 0.0025)).abs() < 1e-5);
    assert!((arrival(400) - arrival(150) - (250.0 + 0.025)).abs() < 1e-5);
}

#[test]
fn jitter_delays_and_never_turns_arrivals_round() {
    let (mut device, _) = open_turned(&[("duration_s", "30"), ("jitter_ms", "100")]);
    let (sink, _) = read_all(device.as_mut());
    assert_eq!(
        numbers(device.as_ref(), &sink),
        (0..7_680).collect::<Vec<i32>>()
    );
    let delays: Vec<i64> = blocks(&sink, 0)
        .map(|b| b.arrival.0 - (b.counter.unwrap() + b.len as u64) as i64 * 1_000_000_000 / 256)
        .collect();
    assert!(delays.iter().all(|delay| (0..=100_000_001).contains(delay)));
    assert!(delays.iter().any(|d| *d > 80_000_000) && delays.iter().any(|d| *d < 20_000_000));
    assert!(
        sink.blocks
            .windows(2)
            .all(|pair| pair[0].arrival <= pair[1].arrival)
    );
}

#[test]
fn a_device_that_was_unplugged_comes_back_with_the_time_lost() {
    let script = "[[disconnect]]\nat_s = 1.0\nduration_s = 2.0\n";
    let (mut device, clock) = open_turned(&[("duration_s", "5"), ("script", script)]);
    let mut sink = Collected::new(&device.description().streams);
    device.start().unwrap();
    let timeout = Duration::from_millis(20);
    let error = loop {
        if let Err(error) = device.read(&mut sink, timeout) {
            break error;
        }
    };
    assert_eq!(error.kind, ErrorKind::Disconnected);
    assert_eq!(
        numbers(device.as_ref(), &sink),
        (0..256).collect::<Vec<i32>>()
    );
    assert_eq!(
        device.read(&mut sink, timeout).unwrap_err().kind,
        ErrorKind::Disconnected
    );
    assert_eq!(device.start().unwrap_err().kind, ErrorKind::Disconnected);
    clock.sleep(Duration::from_millis(2_500));
    device.start().unwrap();
    while device.read(&mut sink, timeout).unwrap() != Read::Ended {}
    let numbers = numbers(device.as_ref(), &sink);
    // Gone from 1.0 s, back at 3.5 s.
    assert_eq!(numbers[256], 896);
    assert_eq!(numbers.last(), Some(&1_279));
}

#[test]
fn what_a_late_reader_missed_is_lost_in_the_device() {
    let (mut device, clock) = open_turned(&[("duration_s", "60")]);
    let mut sink = Collected::new(&device.description().streams);
    device.start().unwrap();
    clock.sleep(Duration::from_secs(4));
    while numbers(device.as_ref(), &sink).len() < 1_024 {
        device.read(&mut sink, Duration::ZERO).unwrap();
    }
    assert_eq!(
        numbers(device.as_ref(), &sink),
        (0..1_024).collect::<Vec<i32>>()
    );
    // The computer slept for half a minute.
    clock.sleep(Duration::from_secs(30));
    while numbers(device.as_ref(), &sink).len() == 1_024 {
        device.read(&mut sink, Duration::from_millis(40)).unwrap();
    }
    let resumed = numbers(device.as_ref(), &sink)[1_024];
    assert!((8_700..8_720).contains(&resumed), "{resumed}");
}

#[test]
fn idle_reads_keep_to_their_time() {
    let script = "[[silence]]\nat_s = 0.5\nduration_s = 3.0\n";
    let (mut device, clock) = open_turned(&[("duration_s", "5"), ("script", script)]);
    let mut sink = Collected::new(&device.description().streams);
    device.start().unwrap();
    while clock.host().0 < 600_000_000 {
        device.read(&mut sink, Duration::from_millis(10)).unwrap();
    }
    let begin = clock.host();
    assert_eq!(
        device.read(&mut sink, Duration::from_millis(300)).unwrap(),
        Read::Idle
    );
    assert_eq!(clock.host().nanos_since(begin), 300_000_000);
}

#[test]
fn playback_keeps_its_pace_and_goes_on_where_it_was_stopped() {
    let spec = Spec::counting(vec![Signal::new("Fp1", 100)], 6);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), spec.bytes()).unwrap();
    let clock = Arc::new(TurnedClock::default());
    let shared = Arc::clone(&clock) as Arc<dyn Clock>;
    let path = file.path().to_str().unwrap();
    let mut device = simulated::Playback
        .open(path, &settings(&[("speed", "2")]), shared)
        .unwrap();
    let mut sink = Collected::new(&device.description().streams);
    let timeout = Duration::from_millis(40);
    device.start().unwrap();
    while blocks(&sink, 0).count() < 8 {
        device.read(&mut sink, timeout).unwrap();
    }
    assert_eq!(
        clock.host().0,
        1_000_000_000,
        "two seconds at twice the speed"
    );
    device.stop().unwrap();
    assert_eq!(device.read(&mut sink, timeout).unwrap(), Read::Idle);
    clock.sleep(Duration::from_secs(10));
    device.start().unwrap();
    let begin = clock.host();
    while device.read(&mut sink, timeout).unwrap() != Read::Ended {}
    assert_eq!(clock.host().nanos_since(begin), 2_000_000_000);
    let expected: Vec<i32> = spec
        .records
        .iter()
        .flat_map(|record| record[0].clone())
        .collect();
    assert_eq!(channel(&sink, 0, 0), expected);
    let counters: Vec<u64> = blocks(&sink, 0).filter_map(|block| block.counter).collect();
    assert_eq!(counters, (0..24).map(|n| n * 25).collect::<Vec<u64>>());
}

#[test]
fn a_stale_channel_holds_its_value_and_is_named() {
    let script = "
[[stale]]
at_s = 1.0
duration_s = 0.5
channel = 'Cz'
[[battery]]
at_s = 1.5
percent = 20
";
    let pairs = [("speed", "max"), ("duration_s", "2"), ("script", script)];
    let mut device = open(&Simulator, "headset", &pairs);
    let (sink, _) = read_all(device.as_mut());
    let events: Vec<&DeviceEvent> = sink.events.iter().map(|(_, event)| event).collect();
    let stale = DeviceEvent::Stale {
        stream: StreamIndex(0),
        channel: 17,
        counter: Some(256),
    };
    assert_eq!(events, [&stale, &DeviceEvent::Battery(20)]);
    assert_eq!(device.description().streams[0].channels[17].label, "Cz");
    let cz = channel(&sink, 0, 17);
    assert!(cz[256..384].iter().all(|count| *count == cz[256]));
    assert!(cz[384..].iter().any(|count| *count != cz[256]));
    let pz = channel(&sink, 0, 18);
    assert!(pz[256..384].iter().any(|count| *count != pz[256]));
}

#[test]
fn scripted_jitter_lasts_as_long_as_it_says() {
    let script = "[[jitter]]\nat_s = 10.0\nduration_s = 5.0\njitter_ms = 200.0\n";
    let (mut device, _) = open_turned(&[("duration_s", "30"), ("script", script)]);
    let (sink, _) = read_all(device.as_mut());
    for block in blocks(&sink, 0) {
        let end = (block.counter.unwrap() + block.len as u64) as i64 * 1_000_000_000 / 256;
        let late = block.arrival.0 - end;
        // A late packet may hold up those just after it.
        if !(10_000_000_000..15_300_000_000).contains(&end) {
            assert!(late.abs() < 10, "{end}: {late}");
        }
    }
    let most = blocks(&sink, 0)
        .map(|b| b.arrival.0 - (b.counter.unwrap() + b.len as u64) as i64 * 1_000_000_000 / 256)
        .max();
    assert!(most > Some(150_000_000), "{most:?}");
}
