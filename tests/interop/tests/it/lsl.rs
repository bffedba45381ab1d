//! The lab streaming layer with programs of others at the other end: what they send is what we read, and what we
//! publish is what they read.

use contract::{
    Capabilities, Clock as _, Collected, DeviceClass, DeviceDescription, Driver as _, Pacing,
    Settings, SystemClock,
};
use network::{LslDriver, Outlet};
use serde_json::Value;
use signal::{
    Channel, ClockSource, Reference, SampleBlock, SampleType, Samples, SamplingRate,
    StreamDescription, StreamIndex, StreamRole,
};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const COUNT: usize = 400;

struct Other(Child, BufReader<ChildStdout>);

impl Other {
    fn start(library: &str, task: &str, id: &str) -> Option<Self> {
        let python = crate::python(&format!("{library} on the lab streaming layer"))?;
        let mut child = Command::new(python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/python/lsl.py"))
            .args([library, task, id, &COUNT.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Some(Self(child, lines))
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.1.read_line(&mut line).unwrap();
        line
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn id(name: &str, library: &str) -> String {
    format!("{name}-{library}-{}", std::process::id())
}

#[test]
fn what_others_send_is_what_is_read() {
    for library in ["pylsl", "mne_lsl"] {
        let id = id("send", library);
        let Some(mut other) = Other::start(library, "send", &id) else {
            return;
        };
        assert_eq!(other.line().trim(), "ready", "{library}");
        let mut device = LslDriver
            .open(&id, &Settings::new(), Arc::new(SystemClock))
            .unwrap();
        let stream = device.description().streams[0].clone();
        let labels: Vec<&str> = stream.channels.iter().map(|c| c.label.as_str()).collect();
        assert_eq!(labels, ["Fp1", "Cz", "number"], "{library}");
        assert_eq!(
            stream.channels[0].unit,
            signal::Unit::Microvolt,
            "{library}"
        );
        let mut sink = Collected::new(&[stream]);
        device.start().unwrap();
        let (mut rows, began) = (vec![Vec::new(); 3], Instant::now());
        while rows[0].len() < COUNT && began.elapsed() < Duration::from_secs(30) {
            device.read(&mut sink, Duration::from_millis(50)).unwrap();
            for block in sink.blocks.drain(..) {
                let Samples::F32(values) = &block.samples else {
                    panic!("{block:?}")
                };
                for (row, values) in rows.iter_mut().zip(values.chunks_exact(block.len)) {
                    row.extend_from_slice(values);
                }
            }
        }
        for (n, ((a, b), c)) in rows[0].iter().zip(&rows[1]).zip(&rows[2]).enumerate() {
            let number = n as f32;
            assert_eq!(
                (*a, *b, *c),
                (number * 0.25 - 100.0, -number / 3.0, number),
                "{library}: {n}"
            );
        }
        assert_eq!(rows[0].len(), COUNT, "{library}");
    }
}

#[test]
fn what_we_publish_is_what_others_read() {
    for library in ["pylsl", "mne_lsl"] {
        let id = id("publish", library);
        let eeg = ["Fp1", "Cz"]
            .map(|name| Channel::eeg(name, -0.25, Reference::Unknown))
            .to_vec();
        let stream = StreamDescription {
            name: "eeg".into(),
            role: StreamRole::Signal,
            sample_type: SampleType::I24,
            rate: SamplingRate::hz(200),
            counter: None,
            clock: ClockSource::HostArrival,
            channels: eeg,
        };
        let device = DeviceDescription {
            id: "simulated:test".into(),
            model: "Test".into(),
            serial: String::new(),
            firmware: String::new(),
            class: DeviceClass::Simulated,
            pacing: Pacing::RealTime,
            capabilities: Capabilities::default(),
            streams: vec![stream],
        };
        let clock = Arc::new(SystemClock);
        let outlet = Outlet::new("NeuraScale", &id, &device, clock.clone());
        let Some(mut other) = Other::start(library, "read", &format!("{id}-eeg")) else {
            return;
        };
        assert_eq!(other.line().trim(), "open", "{library}");
        std::thread::sleep(Duration::from_millis(300));
        for first in (0..COUNT as i32).step_by(20) {
            let mut block = SampleBlock::with_capacity(StreamIndex(0), SampleType::I24, 2, 20);
            (block.channels, block.len, block.arrival) = (2, 20, clock.host());
            let numbers = first..first + 20;
            let values = numbers.clone().chain(numbers.map(|n| 1 - 8_388_608 + n));
            block.samples = Samples::I24(values.collect());
            outlet.publish(&block);
            std::thread::sleep(Duration::from_millis(100));
        }
        let read: Value = serde_json::from_str(&other.line()).unwrap();
        assert_eq!(
            read["labels"],
            serde_json::json!(["Fp1", "Cz"]),
            "{library}"
        );
        assert_eq!(
            read["units"],
            serde_json::json!(["microvolts", "microvolts"]),
            "{library}"
        );
        let samples = read["samples"].as_array().unwrap();
        assert_eq!(samples.len(), COUNT, "{library}");
        for (n, sample) in samples.iter().enumerate() {
            let number = n as f64;
            // As the channel's scale has it, in single precision.
            let expected =
                [number * -0.25, (1.0 - 8_388_608.0 + number) * -0.25].map(|v| f64::from(v as f32));
            let found = [0, 1].map(|row| sample[row].as_f64().unwrap());
            assert_eq!(found, expected, "{library}: {n}");
        }
        let stamps: Vec<f64> = read["stamps"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_f64)
            .collect();
        assert!(
            stamps.windows(2).all(|two| two[1] > two[0]),
            "{library}: stamps ascend"
        );
    }
}
