//! The lab streaming layer, by liblsl on both sides.

use crate::{Kept, clock, record};
use ::lsl::{ChannelFormat, ExPushable as _, Pullable as _, StreamInfo, StreamInlet, StreamOutlet};
use acquisition::EndReason;
use contract::conformance::{Expectations, check};
use contract::{Collected, Driver as _, ErrorKind, Settings};
use network::{LslDriver, Outlet};
use signal::{SampleBlock, SampleType, Samples, StreamIndex};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const RATE_HZ: f64 = 250.0;
/// Samples of a chunk.
const CHUNK: u64 = 10;

/// A program that sends a numbered stream of floats, and a marker at every 250th sample.
struct Sender {
    stop: Arc<AtomicBool>,
    /// Samples sent so far; the numbers go on when it is started again.
    sent: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Sender {
    fn start(id: &str, from: u64) -> Self {
        let (stop, sent) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(from)),
        );
        let (stopping, counting, id) = (Arc::clone(&stop), Arc::clone(&sent), id.to_owned());
        let thread = std::thread::Builder::new()
            .name("sender".into())
            .spawn(move || send(&id, &stopping, &counting))
            .expect("a thread");
        Self {
            stop,
            sent,
            thread: Some(thread),
        }
    }

    fn end(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("once").join().expect("no panic");
        self.sent.load(Ordering::Relaxed)
    }
}

fn send(id: &str, stop: &AtomicBool, sent: &AtomicU64) {
    let mut info =
        StreamInfo::new("numbers", "EEG", 3, RATE_HZ, ChannelFormat::Float32, id).expect("info");
    let mut channels = info.desc().append_child("channels");
    for (label, kind) in [("Fp1", "EEG"), ("Cz", "EEG"), ("number", "Trigger")] {
        let mut channel = channels.append_child("channel");
        channel.append_child_value("label", label);
        channel.append_child_value("unit", "microvolts");
        channel.append_child_value("type", kind);
    }
    let outlet = StreamOutlet::new(&info, 0, 360).expect("an outlet");
    let marks = StreamInfo::new(
        "marks",
        "Markers",
        1,
        ::lsl::IRREGULAR_RATE,
        ChannelFormat::String,
        &format!("{id}-marks"),
    );
    let marks = StreamOutlet::new(&marks.expect("info"), 0, 360).expect("an outlet");
    let (began, first) = (::lsl::local_clock(), sent.load(Ordering::Relaxed));
    while !stop.load(Ordering::Relaxed) {
        let number = sent.load(Ordering::Relaxed);
        let due = began + (number - first + CHUNK) as f64 / RATE_HZ;
        let wait = due - ::lsl::local_clock();
        if wait > 0.0 {
            std::thread::sleep(Duration::from_secs_f64(wait));
        }
        let samples: Vec<Vec<f32>> = (number..number + CHUNK)
            .map(|n| vec![n as f32 / 7.0, -1.5, n as f32])
            .collect();
        // The stamp of the last sample; the others are deduced.
        let last = due - 1.0 / RATE_HZ;
        outlet.push_chunk_ex(&samples, last, true).expect("pushed");
        for n in (number..number + CHUNK).filter(|n| n.is_multiple_of(250)) {
            let at = last - (number + CHUNK - 1 - n) as f64 / RATE_HZ;
            marks
                .push_sample_ex(&vec![format!("at {n}")], at, true)
                .expect("pushed");
        }
        sent.store(number + CHUNK, Ordering::Relaxed);
    }
}

fn id(name: &str) -> String {
    // Streams of other tests and programs on this machine have other names.
    format!("{name}-{}", std::process::id())
}

fn open(id: &str, settings: &[(&str, &str)]) -> Box<dyn contract::Device> {
    let settings: Settings = settings
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    LslDriver.open(id, &settings, clock()).expect("opened")
}

/// Numbers are kept once, in order, and every hole is a gap.
fn assert_numbered(kept: &Kept) {
    for two in kept.samples.windows(2) {
        assert!(two[0].1 < two[1].1, "{two:?}");
        if two[1].1 - two[0].1 == 1 {
            assert_eq!(two[1].0 - two[0].0, 1, "{two:?}");
        } else {
            assert!(
                kept.gaps
                    .iter()
                    .any(|gap| gap.first_missing == two[0].0 + 1),
                "{two:?}: {:?}",
                kept.gaps
            );
        }
    }
}

#[test]
fn it_keeps_to_the_contract() {
    let id = id("contract");
    let sender = Sender::start(&id, 0);
    let mut expected = Expectations::new(&id);
    expected.patience = Duration::from_secs(1);
    assert_eq!(check(&LslDriver, &expected, clock()), [""; 0]);
    sender.end();
}

#[test]
fn floats_stay_floats_and_marks_stand_at_their_sample() {
    let id = id("marks");
    let sender = Sender::start(&id, 0);
    let device = open(&id, &[("markers", &format!("{id}-marks"))]);
    let stream = &device.description().streams[0];
    assert_eq!(stream.sample_type, SampleType::F32);
    assert_eq!(stream.channels[0].electrode.as_deref(), Some("Fp1"));
    assert_eq!(stream.channels[2].kind, signal::ChannelKind::Trigger);
    let (kept, summary) = record(device, Duration::from_secs(8), |kept| kept.marks.len() >= 6);
    assert_eq!(summary.reason, EndReason::Stopped);
    sender.end();
    assert!(kept.samples.len() > 800, "{}", kept.samples.len());
    assert_numbered(&kept);
    assert_eq!(kept.gaps, []);
    assert!(kept.marks.len() >= 4, "{:?}", kept.marks);
    for mark in &kept.marks {
        let number: u64 = mark
            .text
            .strip_prefix("at ")
            .expect(&mark.text)
            .parse()
            .expect("a number");
        let found = kept.sample_at(mark.onset, RATE_HZ).expect("a sample");
        assert!(found.abs_diff(number) <= 1, "{mark:?} stands at {found}");
    }
}

#[test]
fn a_markers_own_time_and_its_offset_are_kept() {
    let id = id("times");
    let sender = Sender::start(&id, 0);
    let mut device = open(&id, &[("markers", &format!("{id}-marks"))]);
    let mut sink = Collected::new(&device.description().streams);
    device.start().expect("started");
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(4) {
        device
            .read(&mut sink, Duration::from_millis(50))
            .expect("read");
    }
    let (lsl_now, host_now) = (::lsl::local_clock(), clock().host());
    sender.end();
    let marks = (sink.events.iter())
        .filter(|(_, event)| matches!(event, contract::DeviceEvent::MarkAt { .. }));
    let mut times = 0;
    for block in sink
        .blocks
        .iter()
        .filter(|block| block.stream == StreamIndex(1))
    {
        let Samples::F64(values) = &block.samples else {
            panic!("{:?}", block.samples)
        };
        for n in 0..block.len {
            let (source, offset) = (values[n], values[block.len + n]);
            let ago = lsl_now - (source + offset);
            let here = host_now.seconds_since(signal::HostNanos(block.stamps[n]));
            assert!((ago - here).abs() < 0.005, "{ago} s and {here} s ago");
            times += 1;
        }
    }
    assert!(times >= 3, "{times}");
    assert_eq!(times, marks.count(), "one for each mark");
}

#[test]
fn a_source_that_is_started_again_is_read_again() {
    let times = driver_tests::reconnects();
    let id = id("again");
    let mut sender = Some(Sender::start(&id, 0));
    let device = open(&id, &[]);
    let state = std::sync::Mutex::new((&mut sender, 0_usize, Instant::now()));
    let (kept, _) = record(device, Duration::from_secs(12 * times as u64), |kept| {
        let mut state = state.lock().expect("no panic");
        let (sender, breaks, since) = &mut *state;
        // Broken once it is read; the next one begins where it ended.
        let read = kept.samples.len() > 60 * (*breaks + 1) && kept.broken() == *breaks;
        if read && since.elapsed() > Duration::from_millis(300) {
            let from = sender.take().expect("it runs").end();
            if *breaks == times {
                return true;
            }
            std::thread::sleep(Duration::from_millis(150));
            **sender = Some(Sender::start(&id, from));
            (*breaks, *since) = (*breaks + 1, Instant::now());
        }
        false
    });
    assert!(kept.broken() >= times, "{} breaks", kept.broken());
    assert_numbered(&kept);
}

#[test]
fn what_is_not_there_is_told_within_5_s() {
    let began = Instant::now();
    let opened = LslDriver.open("no-such-stream", &Settings::new(), clock());
    assert_eq!(opened.expect_err("nothing").kind, ErrorKind::NotFound);
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn sixty_four_bit_integers_are_refused_and_eight_bit_ones_widened() {
    let make = |format, name: &str| {
        let info = StreamInfo::new("plain", "Misc", 2, 100.0, format, &id(name)).expect("info");
        StreamOutlet::new(&info, 0, 10).expect("an outlet")
    };
    let _wide = make(ChannelFormat::Int64, "wide");
    let opened = LslDriver.open(&id("wide"), &Settings::new(), clock());
    assert_eq!(opened.expect_err("64 bits").kind, ErrorKind::Protocol);
    let narrow = make(ChannelFormat::Int8, "narrow");
    let mut device = open(&id("narrow"), &[]);
    assert_eq!(device.description().streams[0].sample_type, SampleType::I16);
    let mut sink = Collected::new(&device.description().streams);
    device.start().expect("started");
    assert!(narrow.wait_for_consumers(5.0));
    for n in 0..20_i8 {
        narrow
            .push_sample_ex(&vec![n, -n], 0.0, true)
            .expect("pushed");
    }
    let began = Instant::now();
    let values = |sink: &Collected| -> Vec<f64> {
        let row = |block: &SampleBlock| -> Vec<f64> {
            (block.len..2 * block.len)
                .filter_map(|at| block.samples.as_f64(at))
                .collect()
        };
        sink.blocks.iter().flat_map(row).collect()
    };
    while values(&sink).len() < 20 && began.elapsed() < Duration::from_secs(5) {
        device
            .read(&mut sink, Duration::from_millis(50))
            .expect("read");
    }
    let expected: Vec<f64> = (0..20).map(|n| f64::from(-n)).collect();
    assert_eq!(values(&sink), expected);
}

#[test]
fn our_own_streams_go_out_scaled_and_triggers_as_they_are() {
    let device = simulated_description();
    let (name, id) = ("session", id("out"));
    let outlet = Outlet::new(name, &id, &device, clock());
    let find = |stream: &str| {
        let found = ::lsl::resolve_byprop("source_id", &format!("{id}-{stream}"), 1, 5.0)
            .expect("resolved");
        let inlet = StreamInlet::new(&found[0], 360, 0, false).expect("an inlet");
        let mut info = inlet.info(5.0).expect("the description");
        inlet.open_stream(5.0).expect("open");
        let channel = info.desc().child("channels").child("channel");
        let told = (
            channel.child_value_named("label"),
            channel.child_value_named("unit"),
        );
        (inlet, told, info.channel_format())
    };
    let (eeg, told, format) = find("eeg");
    assert_eq!(
        (told.0.as_str(), told.1.as_str(), format),
        ("Fp1", "microvolts", ChannelFormat::Float32)
    );
    let (trigger, _, format) = find("trigger");
    assert_eq!(format, ChannelFormat::Int32);
    let (marks, _, _) = find("markers");
    std::thread::sleep(Duration::from_millis(300));

    let mut block = SampleBlock::with_capacity(StreamIndex(0), SampleType::I24, 2, 3);
    (block.channels, block.len) = (2, 3);
    block.samples = Samples::I24(vec![100, -200, 300, 4, 5, 6]);
    block.arrival = clock().host();
    outlet.publish(&block);
    let mut codes = SampleBlock::with_capacity(StreamIndex(1), SampleType::I32, 1, 3);
    (codes.channels, codes.len) = (1, 3);
    codes.samples = Samples::I32(vec![0, 16_777_217, 0]);
    codes.arrival = block.arrival;
    outlet.publish(&codes);
    outlet.mark("eyes_open", block.arrival);

    let pulled: Vec<(Vec<f32>, f64)> = (0..3)
        .map(|_| eeg.pull_sample(5.0).expect("a sample"))
        .collect();
    let values: Vec<Vec<f32>> = pulled.iter().map(|(values, _)| values.clone()).collect();
    assert_eq!(
        values,
        [vec![-50.0, -2.0], vec![100.0, -2.5], vec![-150.0, -3.0]]
    );
    let step = pulled[2].1 - pulled[1].1;
    assert!((step - 1.0 / 256.0).abs() < 1e-6, "{step}");
    let codes: Vec<Vec<i32>> = (0..3)
        .map(|_| trigger.pull_sample(5.0).expect("a sample").0)
        .collect();
    assert_eq!(codes, [[0], [16_777_217], [0]]);
    let (mark, at): (Vec<String>, f64) = marks.pull_sample(5.0).expect("a mark");
    assert_eq!(mark, ["eyes_open"]);
    assert!((at - pulled[2].1).abs() < 0.01, "{at} and {}", pulled[2].1);
}

/// Two inverted electrodes and a trigger word.
fn simulated_description() -> contract::DeviceDescription {
    use signal::{Channel, ClockSource, Reference, SamplingRate, StreamDescription, StreamRole};
    let stream = |name: &str, sample_type, channels| StreamDescription {
        name: name.into(),
        role: StreamRole::Signal,
        sample_type,
        rate: SamplingRate::hz(256),
        counter: None,
        clock: ClockSource::HostArrival,
        channels,
    };
    let eeg = ["Fp1", "Cz"]
        .map(|name| Channel::eeg(name, -0.5, Reference::Unknown))
        .to_vec();
    contract::DeviceDescription {
        id: "test:1".into(),
        model: "Test".into(),
        serial: "secret".into(),
        firmware: String::new(),
        class: contract::DeviceClass::Simulated,
        pacing: contract::Pacing::RealTime,
        capabilities: contract::Capabilities::default(),
        streams: vec![
            stream("eeg", SampleType::I24, eeg),
            stream(
                "trigger",
                SampleType::I32,
                vec![Channel::trigger("trigger")],
            ),
        ],
    }
}
