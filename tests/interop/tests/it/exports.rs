//! EDF+C, EDF+D and BDF+ exports in mne, pyedflib and edfio: digital values, annotations, clock.

use crate::source::{Memory, START};
use export::{Continuity, Export, ExportOptions, Identity, export_edf};
use serde_json::{Value, json};
use signal::{NANOS_PER_S, SampleType, SamplingRate, UtcNanos};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;

const S: i64 = NANOS_PER_S;

fn export(memory: &Memory, folder: &Path, name: &str, continuity: Continuity) -> Export {
    let identity = Identity {
        name: "Test^Patient".to_owned(),
        ..Identity::default()
    };
    let options = ExportOptions {
        continuity,
        ..ExportOptions::identified(name, identity)
    };
    export_edf(memory, folder, &options, &mut |_| ControlFlow::Continue(())).unwrap()
}

/// What a reader must find in each of the export's files.
fn expected(memory: &Memory, export: &Export) -> Vec<Value> {
    let mut starts: Vec<UtcNanos> = export
        .signal_files()
        .map(|file| file.signals.as_ref().unwrap().start)
        .collect();
    starts.sort();
    export
        .signal_files()
        .map(|file| {
            let held = file.signals.as_ref().unwrap();
            let next = starts.iter().find(|start| **start > held.start).copied();
            let mut scales = held.scales.iter();
            let mut signals = Vec::new();
            for (stream, stretches) in held.streams.iter().zip(&held.ranges) {
                let channels = held
                    .scales
                    .iter()
                    .filter(|scale| scale.stream == *stream)
                    .count();
                for channel in 0..channels {
                    let scale = scales.next().unwrap();
                    let (row, rate) = memory.channel(*stream, channel);
                    let digital: Vec<i32> = stretches
                        .iter()
                        .flat_map(|(first, len)| {
                            row[*first as usize..(*first + *len) as usize].to_vec()
                        })
                        .collect();
                    signals.push(json!({
                    "label": scale.label, "rate": rate.as_hz().unwrap(), "digital": digital,
                    "gain": scale.gain, "offset": scale.offset, "rounding": scale.rounding_bound,
                }));
                }
            }
            let annotations: Vec<Value> = memory
                .marks()
                .iter()
                .filter(|mark| {
                    mark.onset >= held.start && next.is_none_or(|next| mark.onset < next)
                })
                .map(|mark| {
                    let duration = mark.duration_ns.map(|ns| ns as f64 / S as f64);
                    json!([mark.onset.seconds_since(held.start), duration, mark.text])
                })
                .collect();
            let since = held.start.nanos_since(UtcNanos(START)) / 1_000;
            json!({
                "path": file.path, "kind": serde_json::to_value(file.kind).unwrap(),
                "clock_of_sample_0": format!(
                    "2026-11-23T13:{:02}:{:02}.{:06}",
                    since / 60_000_000, since / 1_000_000 % 60, since % 1_000_000
                ),
                "signals": signals, "annotations": annotations,
            })
        })
        .collect()
}

#[test]
fn other_programs_read_what_was_recorded() {
    let Some(python) = crate::python("exports in mne, pyedflib and edfio") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let gap = [(S / 4, 1_100), (75 * S + S / 2, 700)];

    let uneven = Memory::new()
        .stream(SampleType::I16, SamplingRate::hz(100), &[0.1, -0.25], &gap)
        .stream(
            SampleType::I16,
            SamplingRate::new(64, 5).unwrap(),
            &[0.5],
            &[(S / 4, 144), (75 * S + S / 2, 90)],
        )
        .mark(S, None, "eyes closed")
        .mark(3 * S + 125_000_000, Some(2 * S), "睁眼 – Augen auf")
        .mark(77 * S, Some(S / 2), "after the gap");
    let broken = Memory::new()
        .stream(
            SampleType::I16,
            SamplingRate::hz(256),
            &[0.2; 3],
            &[(0, 2_560), (64 * S + S / 8, 1_280)],
        )
        .mark(2 * S, None, "before the gap")
        .mark(65 * S + S / 8, Some(S), "after the gap");
    let wide = Memory::new()
        .stream(
            SampleType::I24,
            SamplingRate::hz(250),
            &[0.022_351_741_790_771_5, -0.05],
            &[(0, 2_503)],
        )
        .mark(S / 2, None, "BDF+ annotation");

    let mut files = Vec::new();
    let mut add = |memory: &Memory, name: &str, continuity| {
        let export = export(memory, &at(name), name, continuity);
        assert!(export.omitted.is_empty());
        files.extend(expected(memory, &export));
    };
    add(&uneven, "uneven", Continuity::FilePerRun);
    add(&broken, "runs", Continuity::FilePerRun);
    add(&broken, "discontinuous", Continuity::Discontinuous);
    add(&wide, "wide", Continuity::FilePerRun);
    let kinds: Vec<&str> = files
        .iter()
        .filter_map(|file| file["kind"].as_str())
        .collect();
    for kind in ["EDF+C", "EDF+D", "BDF+C"] {
        assert!(kinds.contains(&kind), "no {kind} among {kinds:?}");
    }

    std::fs::write(at("expected.json"), json!({ "files": files }).to_string()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("python")
        .join("read_back.py");
    let output = Command::new(python)
        .args([script, at("expected.json")])
        .env("MNE_DONTWRITE_HOME", "true")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(
        said.lines().filter(|line| line.starts_with("ok")).count(),
        3 * files.len() - 1
    );
}
