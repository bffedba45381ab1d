//! The suite finds what it is there to find: a device with one fault at a time.

use super::{Expectations, check};
use crate::{
    CalibrationSignal, Capabilities, Clock, Device, DeviceClass, DeviceDescription, DeviceError,
    DeviceSummary, Driver, ErrorKind, Pacing, Read, Safety, Settings, Sink, SystemClock,
};
use signal::{
    Channel, ClockSource, CounterSpec, DeviceNanos, HostNanos, Impedance, Reference, SampleType,
    Samples, SamplingRate, StreamDescription, StreamIndex, StreamRole, UtcNanos,
};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    NotListed,
    AnyAddress,
    AnySetting,
    NoScale,
    StartTwice,
    StopTwice,
    WrongShape,
    DeviceTimeUnasked,
    CounterJumps,
    CounterGoesBack,
    ArrivalGoesBack,
    OverstaysTimeout,
    DescriptionChanges,
    GroundNotMeasured,
    MeasuresWhileStreaming,
    CurrentComesBack,
    SafetyWaits,
    NoCalibrationAfterAll,
    StaysBusy,
}

#[derive(Debug)]
struct FaultyDriver {
    fault: Fault,
    busy: Arc<AtomicBool>,
}

#[derive(Debug)]
struct FaultyDevice {
    fault: Fault,
    description: DeviceDescription,
    clock: Arc<dyn Clock>,
    current: Arc<Current>,
    busy: Arc<AtomicBool>,
    streaming: bool,
    stopped: bool,
    counter: u64,
    blocks: u64,
}

#[derive(Debug)]
struct Current {
    fault: Fault,
    ended: AtomicBool,
}

impl Safety for Current {
    fn end_all(&self) -> Result<(), DeviceError> {
        if self.fault == Fault::SafetyWaits {
            SystemClock.sleep(Duration::from_millis(150));
        }
        self.ended.store(true, Ordering::SeqCst);
        Ok(())
    }
}

fn error(kind: ErrorKind) -> DeviceError {
    DeviceError::new(kind, "try", "refused")
}

impl Driver for FaultyDriver {
    fn name(&self) -> &'static str {
        "faulty"
    }

    fn discover(&self) -> Result<Vec<DeviceSummary>, DeviceError> {
        let summary = DeviceSummary {
            id: "faulty:one".into(),
            name: "One".into(),
            class: DeviceClass::Simulated,
            transport: "simulated".into(),
            note: String::new(),
        };
        Ok(if self.fault == Fault::NotListed {
            Vec::new()
        } else {
            vec![summary]
        })
    }

    fn open(
        &self,
        address: &str,
        settings: &Settings,
        clock: Arc<dyn Clock>,
    ) -> Result<Box<dyn Device>, DeviceError> {
        if address != "one" && self.fault != Fault::AnyAddress {
            return Err(error(ErrorKind::NotFound));
        }
        if !settings.is_empty() && self.fault != Fault::AnySetting {
            return Err(error(ErrorKind::Settings));
        }
        if self.busy.load(Ordering::SeqCst) {
            return Err(error(ErrorKind::Busy));
        }
        Ok(Box::new(FaultyDevice {
            fault: self.fault,
            description: description(address, self.fault),
            clock,
            current: Arc::new(Current {
                fault: self.fault,
                ended: AtomicBool::new(false),
            }),
            busy: Arc::clone(&self.busy),
            streaming: false,
            stopped: false,
            counter: 0,
            blocks: 0,
        }))
    }
}

fn description(address: &str, fault: Fault) -> DeviceDescription {
    let mut channel = Channel::eeg("Cz", 0.1, Reference::Named("REF".into()));
    channel.ground = Reference::Named("GND".into());
    if fault == Fault::NoScale {
        channel.scale.gain = 0.0;
    }
    DeviceDescription {
        id: format!("faulty:{address}"),
        model: "One".into(),
        serial: String::new(),
        firmware: String::new(),
        class: DeviceClass::Simulated,
        pacing: Pacing::RealTime,
        capabilities: Capabilities {
            impedance: true,
            calibration: Some(CalibrationSignal {
                amplitude_uv: 100.0,
                period_s: 2.0,
            }),
            acts_on_patient: true,
        },
        streams: vec![StreamDescription {
            name: "eeg".into(),
            role: StreamRole::Signal,
            sample_type: SampleType::I16,
            rate: SamplingRate::hz(1_000),
            counter: Some(CounterSpec::SAMPLE),
            clock: ClockSource::HostArrival,
            channels: vec![channel],
        }],
    }
}

impl Device for FaultyDevice {
    fn description(&self) -> &DeviceDescription {
        &self.description
    }

    fn safety(&self) -> Arc<dyn Safety> {
        Arc::clone(&self.current) as Arc<dyn Safety>
    }

    fn start(&mut self) -> Result<(), DeviceError> {
        if self.streaming && self.fault == Fault::StartTwice {
            return Err(error(ErrorKind::Protocol));
        }
        if self.stopped && !self.streaming && self.fault == Fault::CounterGoesBack {
            self.counter = 0;
        }
        self.streaming = true;
        Ok(())
    }

    fn read(&mut self, sink: &mut dyn Sink, timeout: Duration) -> Result<Read, DeviceError> {
        let slow = self.fault == Fault::OverstaysTimeout;
        self.clock.sleep(if slow {
            Duration::from_millis(250)
        } else {
            timeout / 4
        });
        self.blocks += 1;
        let (fault, counter, blocks) = (self.fault, self.counter, self.blocks);
        let now = self.clock.host();
        sink.block(StreamIndex(0), &mut |block| {
            block.len = 5;
            block.counter = Some(counter);
            block.arrival = if fault == Fault::ArrivalGoesBack {
                HostNanos(-now.0)
            } else {
                now
            };
            block.device_time = (fault == Fault::DeviceTimeUnasked).then_some(DeviceNanos(0));
            if let Samples::I16(samples) = &mut block.samples {
                samples.resize(if fault == Fault::WrongShape { 4 } else { 5 }, 0);
            }
        });
        self.counter += if fault == Fault::CounterJumps && blocks == 3 {
            7
        } else {
            5
        };
        Ok(Read::Progress)
    }

    fn stop(&mut self) -> Result<(), DeviceError> {
        if !self.streaming && self.fault == Fault::StopTwice {
            return Err(error(ErrorKind::Protocol));
        }
        if self.fault == Fault::DescriptionChanges {
            self.description.firmware = "2".into();
        }
        self.streaming = false;
        self.stopped = true;
        Ok(())
    }

    fn measure_impedances(
        &mut self,
        progress: &mut dyn FnMut(&Impedance) -> ControlFlow<()>,
    ) -> Result<Vec<Impedance>, DeviceError> {
        if self.streaming && self.fault != Fault::MeasuresWhileStreaming {
            return Err(error(ErrorKind::Busy));
        }
        if self.current.ended.load(Ordering::SeqCst) && self.fault != Fault::CurrentComesBack {
            return Err(error(ErrorKind::Unsupported));
        }
        let electrodes: &[&str] = match self.fault {
            Fault::GroundNotMeasured => &["Cz", "REF"],
            _ => &["Cz", "REF", "GND"],
        };
        let mut measured = Vec::new();
        for electrode in electrodes {
            measured.push(Impedance {
                electrode: (*electrode).into(),
                impedance_kohm: Some(3.0),
                at: UtcNanos(0),
            });
            if progress(&measured[measured.len() - 1]).is_break() {
                break;
            }
        }
        Ok(measured)
    }

    fn calibration(&mut self, _on: bool) -> Result<(), DeviceError> {
        match self.fault {
            Fault::NoCalibrationAfterAll => Err(error(ErrorKind::Unsupported)),
            _ => Ok(()),
        }
    }
}

impl Drop for FaultyDevice {
    fn drop(&mut self) {
        if self.fault == Fault::StaysBusy && self.streaming {
            self.busy.store(true, Ordering::SeqCst);
        }
    }
}

fn findings(fault: Fault) -> Vec<String> {
    let driver = FaultyDriver {
        fault,
        busy: Arc::default(),
    };
    let mut expected = Expectations::new("one");
    expected.stream_for = Duration::from_millis(60);
    expected.patience = Duration::from_millis(150);
    check(&driver, &expected, Arc::new(SystemClock))
}

#[test]
fn a_sound_device_conforms() {
    assert_eq!(findings(Fault::None), Vec::<String>::new());
}

#[test]
fn each_fault_is_found() {
    for (fault, expected) in [
        (Fault::NotListed, "does not list 'faulty:one'"),
        (Fault::AnyAddress, "open at an unknown address: succeeded"),
        (Fault::AnySetting, "open with an unknown setting: succeeded"),
        (Fault::NoScale, "channel 'Cz' of 'eeg' has no usable scale"),
        (Fault::StartTwice, "start again, first time"),
        (Fault::StopTwice, "stop again, first time"),
        (
            Fault::WrongShape,
            "block of 'eeg': block of 1 channels x 5 samples holds 4 values",
        ),
        (Fault::DeviceTimeUnasked, "device time does not fit"),
        (Fault::CounterJumps, "counter jumps unannounced"),
        (Fault::CounterGoesBack, "counter goes back"),
        (Fault::ArrivalGoesBack, "arrival goes back"),
        (Fault::OverstaysTimeout, "read: asked for"),
        (
            Fault::DescriptionChanges,
            "changed while the device was open",
        ),
        (Fault::GroundNotMeasured, "'GND' is not among them"),
        (Fault::MeasuresWhileStreaming, "measured while streaming"),
        (Fault::CurrentComesBack, "can be switched on again"),
        (Fault::SafetyWaits, "safety: took"),
        (Fault::NoCalibrationAfterAll, "calibration(true)"),
        (Fault::StaysBusy, "open: try: refused"),
    ] {
        let found = findings(fault);
        assert!(
            found.iter().any(|f| f.contains(expected)),
            "{fault:?}: {found:#?}"
        );
    }
}
