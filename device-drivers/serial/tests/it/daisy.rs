//! Sixteen channels in two packets.

use crate::Board;
use contract::{Collected, DeviceEvent};
use emulators::Script;
use signal::Samples;
use std::time::{Duration, Instant};

/// The count that stands where a half was lost.
const LOST: i32 = -(1 << 23);

#[test]
fn a_lost_half_flags_its_channels_and_repeats_nothing() {
    // Packet 0 is even: half of a sample that was never sent. 11 is a board's half, 22 a Daisy's.
    let script = "fault = [{ at = 11, kind = \"lost\" }, { at = 22, kind = \"lost\" }]";
    let board = Board::new(|config| {
        config.daisy = true;
        config.script = Script::parse(script).expect("a script");
    });
    let mut device = board.open(&[]).expect("opened");
    assert_eq!(device.description().streams[0].channels.len(), 16);
    let mut sink = Collected::new(&device.description().streams);
    device.start().expect("started");
    let began = Instant::now();
    let enough = |sink: &Collected| {
        let eeg = sink.blocks.iter().filter(|block| block.stream.0 == 0);
        eeg.map(|block| block.len).sum::<usize>() >= 20
    };
    while !enough(&sink) && began.elapsed() < Duration::from_secs(5) {
        device
            .read(&mut sink, Duration::from_millis(50))
            .expect("read");
    }
    let mut samples = Vec::new();
    for block in sink.blocks.iter().filter(|block| block.stream.0 == 0) {
        let Samples::I24(values) = &block.samples else {
            panic!("{:?}", block.samples)
        };
        let counter = block.counter.expect("a counter");
        for n in 0..block.len {
            let sample: Vec<i32> = (0..16).map(|row| values[row * block.len + n]).collect();
            samples.push((counter + 2 * n as u64, sample));
        }
    }
    let counters: Vec<u64> = samples
        .iter()
        .map(|(counter, _)| *counter)
        .take(15)
        .collect();
    let expected: Vec<u64> = (0..15).map(|n| 2 * n + 1).collect();
    assert_eq!(
        counters, expected,
        "no sample is left out for a lost half, none is made up"
    );
    let lost = |counter: u64, rows: std::ops::Range<usize>| {
        let (_, sample) = samples
            .iter()
            .find(|(at, _)| *at == counter)
            .expect("the sample");
        let gone: Vec<usize> = (0..16).filter(|row| sample[*row] == LOST).collect();
        assert_eq!(gone, rows.collect::<Vec<_>>(), "at {counter}");
    };
    lost(9, 0..0);
    lost(11, 0..8);
    lost(21, 8..16);
    lost(23, 0..0);
    let stale: Vec<(u16, Option<u64>)> = (sink.events.iter())
        .filter_map(|(_, event)| match event {
            DeviceEvent::Stale {
                channel, counter, ..
            } => Some((*channel, *counter)),
            _ => None,
        })
        .collect();
    let expected: Vec<_> = (0..8)
        .map(|n| (n, Some(11)))
        .chain((8..16).map(|n| (n, Some(21))))
        .collect();
    assert_eq!(stale, expected);
}
