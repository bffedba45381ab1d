//! Playback of files made for the purpose: what is kept, announced and refused.

use crate::support::{blocks, channel, open, play, read_all, refusal};
use crate::writer::{Signal, Spec};
use contract::{Collected, DeviceEvent};
use signal::{
    ChannelKind, ClockSource, GapCause, Missing, NANOS_PER_S, Reference, SamplingRate, StreamIndex,
    Unit, UtcNanos,
};
use simulated::edf::{Continuity, parse_header};

fn annotations(sink: &Collected) -> Vec<(i64, String)> {
    (sink.events.iter())
        .filter_map(|(_, event)| match event {
            DeviceEvent::Annotation { onset, text, .. } => Some((onset.0, text.clone())),
            _ => None,
        })
        .collect()
}

fn warnings(sink: &Collected) -> Vec<&str> {
    (sink.events.iter())
        .filter_map(|(_, event)| match event {
            DeviceEvent::Warning(text) => Some(text.as_str()),
            _ => None,
        })
        .collect()
}

fn breaks(sink: &Collected) -> Vec<(u16, Missing)> {
    (sink.events.iter())
        .filter_map(|(_, event)| match event {
            DeviceEvent::Discontinuity {
                stream,
                cause: GapCause::Source,
                missing,
            } => Some((stream.0, *missing)),
            _ => None,
        })
        .collect()
}

#[test]
fn each_rate_is_a_stream_with_the_files_integers() {
    let signals = vec![
        Signal::new("EEG Fp1-Ref", 128),
        Signal::new("SaO2", 4),
        Signal::new("EEG C3-Ref", 128),
    ];
    let spec = Spec::counting(signals, 3);
    let (streams, sink) = play(&spec.bytes()).unwrap();
    assert_eq!(streams.len(), 2);
    assert_eq!(streams[0].channels.len(), 2);
    assert_eq!(streams[1].rate, SamplingRate::hz(4));
    for (stream, row, signal) in [(0, 0, 0), (0, 1, 2), (1, 0, 1)] {
        let expected: Vec<i32> = spec
            .records
            .iter()
            .flat_map(|record| record[signal].clone())
            .collect();
        assert_eq!(channel(&sink, stream, row), expected, "signal {signal}");
    }
    // 2024-03-02T04:05:06, taken as UTC.
    let epoch = UtcNanos(1_709_352_306 * NANOS_PER_S);
    assert_eq!(streams[0].clock, ClockSource::Device { epoch });
    assert_eq!(
        streams[0].channels[0].reference,
        Reference::Named("REF".into())
    );
    assert_eq!(
        streams[0].channels[0].hardware_filter.high_pass_hz,
        Some(0.1)
    );
}

#[test]
fn a_negative_gain_turns_values_and_not_counts() {
    let mut signal = Signal::new("Fp1", 2);
    signal.physical = ("100".into(), "-100".into());
    signal.digital = ("-1000".into(), "1000".into());
    let mut spec = Spec::counting(vec![signal], 1);
    spec.records = vec![vec![vec![500, -500]]];
    let (streams, sink) = play(&spec.bytes()).unwrap();
    assert_eq!(channel(&sink, 0, 0), [500, -500]);
    let scale = streams[0].channels[0].scale;
    assert!((scale.apply(500.0) + 50.0).abs() < 1e-9, "{scale:?}");
}

#[test]
fn the_status_word_of_a_bdf_file_has_no_scale() {
    let mut signals = vec![Signal::new("Fp1", 2), Signal::new("Status", 2)];
    for signal in &mut signals {
        signal.digital = ("-8388608".into(), "8388607".into());
        signal.physical = ("-262144".into(), "262143".into());
    }
    let mut spec = Spec::counting(signals, 1);
    spec.bdf = true;
    spec.reserved = "24BIT".into();
    spec.records = vec![vec![vec![-8_388_608, 8_388_607], vec![-1, 65_536]]];
    let (streams, sink) = play(&spec.bytes()).unwrap();
    assert_eq!(channel(&sink, 0, 0), [-8_388_608, 8_388_607]);
    assert_eq!(channel(&sink, 0, 1), [-1, 65_536]);
    let status = &streams[0].channels[1];
    assert_eq!(
        (status.kind, &status.unit),
        (ChannelKind::Trigger, &Unit::Count)
    );
    assert_eq!(status.scale, signal::Scale::UNITY);
}

#[test]
fn breaks_are_exact_or_declared_unknown() {
    let lists = [
        "+0.5\x14\x14\0",
        "+1.5\x14\x14\0",
        "+5.5\x14\x14\0+5.75\x14after\x14\0",
        "+6.503\x14\x14\0",
    ];
    let spec = Spec::counting(vec![Signal::new("Fp1", 100), Signal::new("SaO2", 1)], 4)
        .with_annotations("EDF+D", &lists);
    let (_, sink) = play(&spec.bytes()).unwrap();
    let unknown = Missing::Unknown;
    let expected = [
        (0, Missing::Exact(300)),
        (1, Missing::Exact(3)),
        (0, unknown),
        (1, unknown),
    ];
    assert_eq!(breaks(&sink), expected);
    let starts: Vec<(u64, i64)> = blocks(&sink, 0)
        .map(|block| (block.counter.unwrap(), block.device_time.unwrap().0))
        .collect();
    let ms = |ms: i64| ms * 1_000_000;
    assert_eq!(
        starts,
        [
            (0, ms(500)),
            (100, ms(1_500)),
            (500, ms(5_500)),
            (600, ms(6_503))
        ]
    );
    assert_eq!(annotations(&sink), [(ms(5_750), "after".into())]);
    // The mark comes before the block it falls in, which is the third of stream 0.
    let position = sink
        .events
        .iter()
        .find(|(_, e)| matches!(e, DeviceEvent::Annotation { .. }));
    let before = position.unwrap().0;
    assert_eq!(sink.blocks[before].stream, StreamIndex(0));
    assert_eq!(sink.blocks[before].counter, Some(500));
}

#[test]
fn a_record_that_goes_back_is_said_and_does_not_turn_the_counter() {
    let lists = ["+0\x14\x14\0", "+0.25\x14\x14\0"];
    let spec = Spec::counting(vec![Signal::new("Fp1", 100)], 2).with_annotations("EDF+D", &lists);
    let (_, sink) = play(&spec.bytes()).unwrap();
    assert_eq!(breaks(&sink), [(0, Missing::Unknown)]);
    assert!(warnings(&sink)[0].contains("data record 2 begins before"));
    let counters: Vec<u64> = blocks(&sink, 0).filter_map(|block| block.counter).collect();
    assert_eq!(counters, [0, 100]);
}

#[test]
fn annotations_come_in_time_wherever_they_stand() {
    let lists = [
        "+0.125\x14\x14\0",
        "+1.125\x14\x14\0",
        "+2.125\x14\x14\0+0.5\x152.5\x14first\x14\0+9\x14last\x14\0",
    ];
    let spec = Spec::counting(vec![Signal::new("Fp1", 8)], 3).with_annotations("EDF+C", &lists);
    let (_, sink) = play(&spec.bytes()).unwrap();
    let found = annotations(&sink);
    assert_eq!(
        found,
        [
            (500_000_000, "first".into()),
            (9_000_000_000, "last".into())
        ]
    );
    assert_eq!(sink.events[0].0, 0, "before the first block");
    assert_eq!(sink.events[1].0, sink.blocks.len(), "after the last block");
    assert_eq!(sink.blocks[0].device_time.unwrap().0, 125_000_000);
}

#[test]
fn unreadable_annotations_are_said_where_time_does_not_need_them() {
    let lists = ["+0\x14\x14\0", "rubbish\0"];
    let mut spec = Spec::counting(vec![Signal::new("Fp1", 8)], 2).with_annotations("EDF+C", &lists);
    let (_, sink) = play(&spec.bytes()).unwrap();
    assert!(warnings(&sink)[0].contains("annotations of 1 data records cannot be read"));
    spec.reserved = "EDF+D".into();
    assert!(refusal(&spec.bytes()).contains("data record 2: its annotations"));
    spec.annotations[1] = b"+1\x14text\x14\0".to_vec();
    assert!(refusal(&spec.bytes()).contains("does not begin with its own time"));
    spec.annotations.clear();
    assert!(refusal(&spec.bytes()).contains("needs an annotation signal"));
}

#[test]
fn times_that_do_not_fit_are_said_or_refused() {
    let lists = ["+0\x14\x14\0", "+7\x14\x14\0"];
    let mut spec = Spec::counting(vec![Signal::new("Fp1", 8)], 2).with_annotations("EDF+C", &lists);
    let (_, sink) = play(&spec.bytes()).unwrap();
    assert!(warnings(&sink)[0].starts_with("1 data records"));
    assert_eq!(breaks(&sink), []);
    spec.reserved = "EDF+D".into();
    spec.annotations[1] = b"+9223372036\x14\x14\0".to_vec();
    assert!(refusal(&spec.bytes()).contains("data record 2: its time lies more than ten years"));
    spec.duration = "9E18".into();
    assert!(refusal(&spec.bytes()).contains("has more digits than are read"));
}

#[test]
fn extreme_rates_and_times_do_not_overflow() {
    for duration in ["9.9E9", "1E-9", "1E9", "99999999"] {
        let lists = [
            "+0\x14\x14\0+9000000000\x14late\x14\0",
            "-9000\x14\x14\0",
            "+300000000\x14\x14\0",
        ];
        let mut spec = Spec::counting(vec![Signal::new("Fp1", 8), Signal::new("Fp2", 1)], 3)
            .with_annotations("EDF+D", &lists);
        spec.duration = duration.into();
        let (_, sink) = play(&spec.bytes()).unwrap();
        assert_eq!(channel(&sink, 0, 0).len(), 24, "{duration}");
        assert_eq!(annotations(&sink).len(), 1);
    }
}

#[test]
fn cut_files_are_played_as_far_as_they_go() {
    let spec = Spec::counting(vec![Signal::new("Fp1", 100)], 5);
    let bytes = spec.bytes();
    let (_, sink) = play(&bytes[..bytes.len() - 250]).unwrap();
    assert_eq!(channel(&sink, 0, 0).len(), 300);
    assert!(warnings(&sink)[0].contains("2 data records"));
    assert!(warnings(&sink)[0].contains("150 bytes of an incomplete one"));
    let mut unknown = spec;
    unknown.count = "-1".into();
    let (_, sink) = play(&unknown.bytes()).unwrap();
    assert_eq!(channel(&sink, 0, 0).len(), 500);
    assert!(warnings(&sink).is_empty());
}

#[test]
fn signals_without_a_scale_are_shown_as_counts() {
    let mut signal = Signal::new("X1", 2);
    signal.physical = ("0".into(), "0".into());
    let (streams, sink) = play(&Spec::counting(vec![signal], 1).bytes()).unwrap();
    assert_eq!(streams[0].channels[0].scale, signal::Scale::UNITY);
    assert!(warnings(&sink)[0].contains("signal 1: physical minimum and maximum are equal"));
}

#[test]
fn a_shared_second_electrode_is_the_reference() {
    let label = |text: &str| Signal::new(text, 2);
    let (streams, _) =
        play(&Spec::counting(vec![label("EEG Fpz-Cz"), label("EEG O2-Cz")], 1).bytes()).unwrap();
    assert_eq!(
        streams[0].channels[0].reference,
        Reference::Named("Cz".into())
    );
    let (streams, _) =
        play(&Spec::counting(vec![label("C3-P3"), label("P3-O1")], 1).bytes()).unwrap();
    assert_eq!(
        streams[0].channels[0].reference,
        Reference::Bipolar("P3".into())
    );
}

#[test]
fn what_cannot_be_read_is_refused_with_place_and_reason() {
    let good = Spec::counting(vec![Signal::new("Fp1", 100)], 2);
    let put = |offset: usize, text: &str| {
        let mut bytes = good.bytes();
        bytes[offset..offset + text.len()].copy_from_slice(text.as_bytes());
        refusal(&bytes)
    };
    for (offset, text, reason) in [
        (0, "1", "no EDF or BDF file"),
        (
            168,
            "02/13/24",
            "byte 168, start date: is no day of the calendar",
        ),
        (176, "ab", "byte 176, start time: is not of the form"),
        (184, "768", "byte 184, number of header bytes"),
        (
            236,
            "x",
            "byte 236, number of data records: is not a number",
        ),
        (236, "-2", "byte 236, number of data records: is negative"),
        (244, "?", "byte 244, duration of a data record"),
        (244, "0", "is zero although the file holds signals"),
        (252, "9999", "the header needs 2560000 bytes"),
        (
            252,
            "0",
            "byte 252, number of signals: must be from 1 to 9999",
        ),
        (
            360,
            "nan     ",
            "byte 360, physical minimum of signal 1 ('Fp1'): is not finite",
        ),
        (
            368,
            "1e999   ",
            "physical maximum of signal 1 ('Fp1'): is not finite",
        ),
        (
            376,
            "32767   ",
            "byte 376, digital minimum of signal 1 ('Fp1'): equals",
        ),
        (376, "1.5     ", "is not a whole number"),
        (
            472,
            "99999999",
            "no data record: one needs 199999998 bytes, and 400 follow",
        ),
        (
            472,
            "-1      ",
            "number of samples in a record of signal 1 ('Fp1'): is negative",
        ),
    ] {
        let message = put(offset, text);
        assert!(message.contains(reason), "{reason}: {message}");
    }
    let bytes = good.bytes();
    assert!(refusal(&bytes[..100]).contains("the header needs 256 bytes and the file has 100"));
    assert!(refusal(&bytes[..300]).contains("the header needs 512 bytes and the file has 300"));
    assert!(refusal(&bytes[..600]).contains("no data record: one needs 200 bytes, and 88 follow"));
    assert!(refusal(b"").contains("the header needs"));
}

#[test]
fn who_was_recorded_stays_in_the_header() {
    let bytes = Spec::counting(vec![Signal::new("Fp1", 4)], 1).bytes();
    let header = parse_header(&bytes).unwrap();
    assert_eq!(header.identification().patient, "Test^Patient");
    assert_eq!(header.continuity, Continuity::Plain);
    assert!(!format!("{header:?}").contains("Test^Patient"));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &bytes).unwrap();
    let mut device = open(
        &simulated::Playback,
        file.path().to_str().unwrap(),
        &[("speed", "max")],
    );
    assert!(!format!("{:?}", device.description()).contains("Test^"));
    let (sink, _) = read_all(device.as_mut());
    assert!(!format!("{sink:?}").contains("Test^"));
}

#[test]
fn units_are_read_in_every_spelling() {
    for (unit, expected) in [
        (&b"uV"[..], Unit::Microvolt),
        (b"\xb5V", Unit::Microvolt),
        ("µV".as_bytes(), Unit::Microvolt),
        (b"mV", Unit::Millivolt),
        (b"%", Unit::Percent),
        (b"cmH2O", Unit::Other("cmH2O".into())),
    ] {
        let mut signal = Signal::new("Fp1", 2);
        signal.unit = unit.to_vec();
        let (streams, _) = play(&Spec::counting(vec![signal], 1).bytes()).unwrap();
        assert_eq!(streams[0].channels[0].unit, expected, "{unit:?}");
    }
}
