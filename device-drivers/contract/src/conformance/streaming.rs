//! The parts of the suite that stream.

use super::{Bench, Findings, SAFETY};
use crate::{Collected, Device, DeviceDescription, DeviceEvent, Pacing, Read};
use signal::{ClockSource, CounterSpec, HostNanos, SampleBlock, SamplingRate};
use std::time::Duration;

/// What one call of `read` may wait in the suite.
const TIMEOUT: Duration = Duration::from_millis(20);

/// Reads for the time expected, or to the source's end.
fn read(bench: &Bench<'_>, device: &mut dyn Device, findings: &mut Findings) -> (Collected, bool) {
    let mut sink = Collected::new(&device.description().streams);
    let begin = bench.clock.host();
    let wanted = i64::try_from(bench.expected.stream_for.as_nanos()).unwrap_or(i64::MAX);
    while bench.clock.host().nanos_since(begin) < wanted {
        let before = (sink.blocks.len(), sink.events.len());
        match device.read(&mut sink, TIMEOUT) {
            Ok(Read::Progress) => {}
            Ok(Read::Idle) => findings
                .expect(before == (sink.blocks.len(), sink.events.len()), || {
                    "read: delivered something and said Idle".into()
                }),
            Ok(Read::Ended) => return (sink, true),
            Err(error) => {
                findings.0.push(format!("read: {error}"));
                return (sink, false);
            }
        }
        // As fast as possible there is no end of a long source; this much shows all there is to see.
        if device.description().pacing == Pacing::AsFastAsPossible && sink.blocks.len() > 2_000 {
            break;
        }
    }
    (sink, false)
}

pub(super) fn start_stop_restart(bench: &Bench<'_>, findings: &mut Findings) {
    let Some(mut device) = bench.open(findings) else {
        return;
    };
    let description = device.description().clone();
    let mut ends = vec![None; description.streams.len()];
    for round in ["first", "second"] {
        for call in ["start", "start again"] {
            if let Err(error) = device.start() {
                return findings.0.push(format!("{call}, {round} time: {error}"));
            }
        }
        let (sink, ended) = read(bench, device.as_mut(), findings);
        let delivers = (description.streams.iter()).any(|s| s.rate != SamplingRate::Irregular);
        let had_ended = ended && round == "second";
        findings.expect(!sink.blocks.is_empty() || !delivers || had_ended, || {
            format!("read, {round} time: nothing came")
        });
        check_blocks(&description, &sink, &mut ends, findings);
        for call in ["stop", "stop again"] {
            if let Err(error) = device.stop() {
                findings.0.push(format!("{call}, {round} time: {error}"));
            }
        }
    }
    findings.expect(*device.description() == description, || {
        "description: changed while the device was open".into()
    });
}

/// Checks blocks against the description and each other; `ends` holds each stream's next counter
/// and goes on over a restart, where a jump forward is allowed.
fn check_blocks(
    description: &DeviceDescription,
    sink: &Collected,
    ends: &mut [Option<u64>],
    findings: &mut Findings,
) {
    let mut arrival = HostNanos(i64::MIN);
    let mut fresh = vec![true; ends.len()];
    for (position, block) in sink.blocks.iter().enumerate() {
        let index = usize::from(block.stream.0);
        let Some(stream) = description.streams.get(index) else {
            findings
                .0
                .push(format!("block: of stream {index}, which is not described"));
            continue;
        };
        let name = &stream.name;
        if let Err(error) = block.check() {
            findings.expect(false, || format!("block of '{name}': {error}"));
        }
        findings.expect(block.channels == stream.channels.len(), || {
            format!("block of '{name}': {} channels", block.channels)
        });
        findings.expect(block.samples.sample_type() == stream.sample_type, || {
            format!("block of '{name}': {:?}", block.samples.sample_type())
        });
        findings.expect(block.first_index == 0 && block.fitted.is_none(), || {
            format!("block of '{name}': fills in what is acquisition's")
        });
        let irregular = stream.rate == SamplingRate::Irregular;
        findings.expect(irregular != block.stamps.is_empty(), || {
            format!("block of '{name}': stamps do not fit its rate")
        });
        let device_clock = matches!(stream.clock, ClockSource::Device { .. });
        findings.expect(block.device_time.is_some() == device_clock, || {
            format!("block of '{name}': device time does not fit its clock source")
        });
        findings.expect(block.arrival >= arrival, || {
            format!("block of '{name}': arrival goes back")
        });
        arrival = arrival.max(block.arrival);
        findings.expect(block.counter.is_some() == stream.counter.is_some(), || {
            format!("block of '{name}': counter does not fit the description")
        });
        if let (Some(counter), Some(spec)) = (block.counter, stream.counter) {
            let announced = fresh[index] || announced(sink, position, block);
            let finding = counter_finding(counter, spec, ends[index], announced);
            findings.expect(finding.is_none(), || {
                format!("block of '{name}': counter {}", finding.unwrap_or_default())
            });
            ends[index] = Some(after(counter, spec, block.len as u64));
        }
        fresh[index] = false;
    }
}

/// Whether a break was announced since the stream's last block.
fn announced(sink: &Collected, position: usize, block: &SampleBlock) -> bool {
    let last = sink.blocks[..position]
        .iter()
        .rposition(|b| b.stream == block.stream);
    sink.events.iter().any(|(blocks_before, event)| {
        let here = last.is_none_or(|last| *blocks_before > last) && *blocks_before <= position;
        here && matches!(event, DeviceEvent::Discontinuity { stream, .. } if *stream == block.stream)
    })
}

fn after(counter: u64, spec: CounterSpec, samples: u64) -> u64 {
    let packets = samples / u64::from(spec.samples_per_packet.max(1));
    let next = counter.wrapping_add(packets.wrapping_mul(spec.step));
    next.checked_rem(spec.modulus).unwrap_or(next)
}

fn counter_finding(
    counter: u64,
    spec: CounterSpec,
    expected: Option<u64>,
    may_jump: bool,
) -> Option<&'static str> {
    if spec.modulus > 0 && counter >= spec.modulus {
        return Some("is beyond its modulus");
    }
    match expected {
        // A counter that wraps cannot be seen to go back over a jump.
        Some(expected) if may_jump && spec.modulus == 0 && counter < expected => Some("goes back"),
        Some(expected) if !may_jump && counter != expected => Some("jumps unannounced"),
        _ => None,
    }
}

pub(super) fn timeout(bench: &Bench<'_>, findings: &mut Findings) {
    let Some(mut device) = bench.open(findings) else {
        return;
    };
    if let Err(error) = device.start() {
        return findings.0.push(format!("start: {error}"));
    }
    let mut sink = Collected::new(&device.description().streams);
    for timeout in [Duration::ZERO, Duration::from_millis(50)] {
        let (_, took) = bench.elapsed(|| device.read(&mut sink, timeout));
        findings.expect(took <= timeout + bench.expected.patience, || {
            format!("read: asked for {timeout:?}, took {took:?}")
        });
    }
}

pub(super) fn safety_from_another_thread(bench: &Bench<'_>, findings: &mut Findings) {
    let Some(mut device) = bench.open(findings) else {
        return;
    };
    let safety = device.safety();
    if let Err(error) = device.start() {
        return findings.0.push(format!("start: {error}"));
    }
    let mut ended = None;
    std::thread::scope(|scope| {
        let clock = &bench.clock;
        let stopper = std::thread::Builder::new()
            .name("safety".into())
            .spawn_scoped(scope, move || {
                clock.sleep(Duration::from_millis(30));
                let begin = clock.host();
                let result = safety.end_all();
                (result, clock.host().nanos_since(begin))
            });
        // One long read is under way when the other thread acts.
        let mut sink = Collected::new(&device.description().streams);
        let _ = device.read(&mut sink, Duration::from_millis(200));
        ended = stopper.ok().and_then(|thread| thread.join().ok());
    });
    match ended {
        None => findings.0.push("safety: the call panicked".into()),
        Some((Err(error), _)) => findings.0.push(format!("safety: {error}")),
        Some((Ok(()), nanos)) => {
            let took = Duration::from_nanos(nanos.max(0).unsigned_abs());
            findings.expect(took <= SAFETY, || format!("safety: took {took:?}"));
        }
    }
    let capabilities = &device.description().capabilities;
    if capabilities.acts_on_patient && capabilities.impedance && device.stop().is_ok() {
        let measured = device.measure_impedances(&mut |_| std::ops::ControlFlow::Continue(()));
        findings.expect(measured.is_err(), || {
            "safety: the test current can be switched on again without opening anew".into()
        });
    }
}

pub(super) fn dropped_while_streaming(bench: &Bench<'_>, findings: &mut Findings) {
    for _ in 0..3 {
        let Some(mut device) = bench.open(findings) else {
            return;
        };
        if let Err(error) = device.start() {
            return findings
                .0
                .push(format!("start after a drop while streaming: {error}"));
        }
        let mut sink = Collected::new(&device.description().streams);
        if let Err(error) = device.read(&mut sink, TIMEOUT) {
            findings
                .0
                .push(format!("read after a drop while streaming: {error}"));
        }
    }
}
