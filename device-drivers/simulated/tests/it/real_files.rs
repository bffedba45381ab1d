//! Every EDF and BDF file of the recordings, against a decoding that shares nothing with ours.

use crate::support::{channel, open, play, read_all, recordings, settings};
use contract::{DeviceEvent, Driver, SystemClock};
use signal::{GapCause, Missing};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files that hold nothing to play, and what the refusal must name.
const REFUSED: [(&str, &str); 4] = [
    ("edge/annotations_only.edf", "holds no signal"),
    ("edge/header_only_records_minus1.edf", "no data record"),
    (
        "sleep/psg_somno_0000-0600s_hypnogram.edf",
        "holds no signal",
    ),
    ("sleep/SC4652EG-Hypnogram.edf", "holds no signal"),
];

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = (std::fs::read_dir(folder).unwrap())
        .flat_map(|group| match std::fs::read_dir(group.unwrap().path()) {
            Ok(entries) => entries.map(|entry| entry.unwrap().path()).collect(),
            Err(_) => Vec::new(),
        })
        .filter(|path| path.extension().is_some_and(|e| e == "edf" || e == "bdf"))
        .collect();
    files.sort();
    files
}

/// Label, samples a record and all integers of each ordinary signal, read the simplest way.
fn raw(bytes: &[u8]) -> Vec<(usize, Vec<i32>)> {
    let number = |range: std::ops::Range<usize>| {
        std::str::from_utf8(&bytes[range])
            .unwrap()
            .trim()
            .parse::<i64>()
            .unwrap()
    };
    let count = usize::try_from(number(252..256)).unwrap();
    let width = if bytes[0] == 255 { 3 } else { 2 };
    let samples: Vec<usize> = (0..count)
        .map(|i| 256 + 216 * count + 8 * i)
        .map(|at| usize::try_from(number(at..at + 8)).unwrap())
        .collect();
    let record: usize = samples.iter().sum::<usize>() * width;
    let data = &bytes[256 * (count + 1)..];
    let stated = usize::try_from(number(236..244)).unwrap_or(usize::MAX);
    let mut signals = Vec::new();
    for (index, samples_here) in samples.iter().enumerate() {
        let label = &bytes[256 + 16 * index..256 + 16 * (index + 1)];
        if label.starts_with(b"EDF Annotations") || label.starts_with(b"BDF Annotations") {
            continue;
        }
        let before: usize = samples[..index].iter().sum::<usize>() * width;
        let values = data
            .chunks_exact(record)
            .take(stated)
            .flat_map(|chunk| chunk[before..before + samples_here * width].chunks_exact(width))
            .map(|b| match *b {
                [low, high] => i32::from(i16::from_le_bytes([low, high])),
                [low, middle, high] => {
                    i32::from(low) + 256 * i32::from(middle) + 65_536 * i32::from(high as i8)
                }
                _ => unreachable!(),
            });
        signals.push((*samples_here, values.collect()));
    }
    signals
}

#[test]
fn what_is_played_is_what_the_file_holds() {
    let Some(folder) = recordings() else { return };
    let mut played = 0;
    for file in files(&folder) {
        let name = file
            .strip_prefix(&folder)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        if REFUSED.iter().any(|(refused, _)| *refused == name) {
            continue;
        }
        let expected = raw(&std::fs::read(&file).unwrap());
        let mut device = open(
            &simulated::Playback,
            file.to_str().unwrap(),
            &[("speed", "max")],
        );
        let (sink, _) = read_all(device.as_mut());
        let mut rates: Vec<usize> = Vec::new();
        let mut rows = vec![0; device.description().streams.len()];
        for (samples, values) in expected {
            let stream = rates
                .iter()
                .position(|rate| *rate == samples)
                .unwrap_or_else(|| {
                    rates.push(samples);
                    rates.len() - 1
                });
            let found = channel(&sink, u16::try_from(stream).unwrap(), rows[stream]);
            assert!(
                found == values,
                "{name}: stream {stream}, row {}",
                rows[stream]
            );
            rows[stream] += 1;
        }
        for (row, stream) in rows.iter().zip(&device.description().streams) {
            assert_eq!(*row, stream.channels.len(), "{name}: {}", stream.name);
        }
        for block in &sink.blocks {
            block.check().unwrap();
        }
        played += 1;
    }
    assert!(played >= 12, "only {played} files");
}

#[test]
fn files_without_a_signal_are_refused_by_name_of_the_reason() {
    let Some(folder) = recordings() else { return };
    for (file, reason) in REFUSED {
        let path = folder.join(file);
        let opened = simulated::Playback.open(
            path.to_str().unwrap(),
            &settings(&[]),
            Arc::new(SystemClock),
        );
        let message = opened.unwrap_err().to_string();
        assert!(message.contains(reason), "{file}: {message}");
    }
}

#[test]
fn the_derived_file_has_its_two_breaks() {
    let Some(folder) = recordings() else { return };
    let path = folder.join("edge/discontinuous_derived.edf");
    let mut device = open(
        &simulated::Playback,
        path.to_str().unwrap(),
        &[("speed", "max")],
    );
    let (sink, _) = read_all(device.as_mut());
    let mut breaks = Vec::new();
    for (before, event) in &sink.events {
        if let DeviceEvent::Discontinuity {
            cause: GapCause::Source,
            missing,
            ..
        } = event
        {
            let last = &sink.blocks[before - 1];
            let end = last.device_time.unwrap().0 + last.len as i64 * 1_000_000_000 / 128;
            breaks.push((end, *missing, sink.blocks[*before].device_time.unwrap().0));
        }
    }
    let seconds = 1_000_000_000;
    assert_eq!(breaks.len(), 2);
    for ((end, missing, resumes), (at_s, gap_s)) in breaks.into_iter().zip([(120, 60), (400, 120)])
    {
        assert_eq!(missing, Missing::Exact(gap_s * 128));
        assert_eq!(end / seconds, at_s);
        assert_eq!(resumes - end, gap_s as i64 * seconds);
    }
}

#[test]
fn annotations_of_real_files_are_all_told() {
    let Some(folder) = recordings() else { return };
    for (file, count) in [
        ("clinical/epviz_seizure.edf", 8),
        ("edge/utf8_annotations.edf", 5),
        ("other/oximeter_SaO2_HR.edf", 2),
    ] {
        let path = folder.join(file);
        let mut device = open(
            &simulated::Playback,
            path.to_str().unwrap(),
            &[("speed", "max")],
        );
        let (sink, _) = read_all(device.as_mut());
        let found = (sink.events.iter())
            .filter(|(_, event)| matches!(event, DeviceEvent::Annotation { .. }))
            .count();
        assert_eq!(found, count, "{file}");
    }
}

#[test]
fn damaged_real_files_are_played_or_refused() {
    let Some(folder) = recordings() else { return };
    let mut state = 1_u64;
    let mut random = move |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for file in [
        "edge/duplicate_labels.edf",
        "edge/uneven_rates.edf",
        "edge/fractional_record.edf",
    ] {
        let bytes = std::fs::read(folder.join(file)).unwrap();
        for _ in 0..100 {
            let mut damaged = bytes.clone();
            for _ in 0..1 + random(4) {
                let at = random(256 * 5);
                damaged[at] = b" 0123456789-+.eE\xff"[random(17)];
            }
            damaged.truncate(bytes.len() - random(2) * random(bytes.len()));
            if let Err(error) = play(&damaged) {
                assert!(!error.message.is_empty());
            }
        }
    }
}
