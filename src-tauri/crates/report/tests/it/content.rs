//! A report with something in every part.

use report::{
    Analysis, BandRow, Calibration, ChannelQuality, ClockRow, Event, Excerpt, Fact, GapRow,
    ImpedanceCheck, LossRow, Provenance, ReportContent, Signature, SpectrumCurve, Trace,
    TraceColour,
};
use signal::{Impedance, ImpedanceLimits, UtcNanos};

const ELECTRODES: [&str; 19] = [
    "Fp1", "Fp2", "F7", "F3", "Fz", "F4", "F8", "T7", "C3", "Cz", "C4", "T8", "P7", "P3", "Pz",
    "P4", "P8", "O1", "O2",
];

const CHAINS: [(&str, TraceColour, [&str; 5]); 4] = [
    (
        "left temporal",
        TraceColour::Left,
        ["Fp1", "F7", "T7", "P7", "O1"],
    ),
    (
        "right temporal",
        TraceColour::Right,
        ["Fp2", "F8", "T8", "P8", "O2"],
    ),
    (
        "left parasagittal",
        TraceColour::Left,
        ["Fp1", "F3", "C3", "P3", "O1"],
    ),
    (
        "right parasagittal",
        TraceColour::Right,
        ["Fp2", "F4", "C4", "P4", "O2"],
    ),
];

fn wave(n: usize, phase: f32) -> f32 {
    let t = n as f32 / 250.0;
    if (3.0..4.2).contains(&t) {
        return f32::NAN;
    }
    35.0 * (t * 63.0 + phase).sin() + 12.0 * (t * 17.0 + phase * 3.0).sin()
}

fn excerpt() -> Excerpt {
    let mut traces = Vec::new();
    for (chain, colour, electrodes) in CHAINS {
        for pair in electrodes.windows(2) {
            traces.push(Trace {
                label: format!("{}-{}", pair[0], pair[1]),
                chain: chain.to_owned(),
                colour,
                rate_hz: 250.0,
                values_uv: (0..2_500).map(|n| wave(n, traces.len() as f32)).collect(),
                blank: None,
            });
        }
    }
    traces.push(Trace {
        label: "Fz-Cz".to_owned(),
        chain: "midline".to_owned(),
        colour: TraceColour::Midline,
        rate_hz: 250.0,
        values_uv: Vec::new(),
        blank: Some("Cz was not recorded".to_owned()),
    });
    Excerpt {
        title: "Emergency stop".to_owned(),
        start: "12:04:07".to_owned(),
        duration_s: 10.0,
        montage: "Longitudinal bipolar".to_owned(),
        filters: "LFF 0.5 Hz, HFF 70 Hz, notch off".to_owned(),
        sensitivity_uv_mm: 7.0,
        traces,
        annotations: vec![
            (1.5, "eyes closed".to_owned()),
            (7.0, "Emergency stop".to_owned()),
        ],
        gaps: vec![(3.0, 4.2)],
    }
}

fn event(at: &str, text: &str, severe: bool) -> Event {
    Event {
        at: at.to_owned(),
        duration: String::new(),
        text: text.to_owned(),
        origin: "A. Clinician".to_owned(),
        severe,
    }
}

pub(crate) fn content() -> ReportContent {
    let curve = |label: &str, scale: f64| SpectrumCurve {
        label: label.to_owned(),
        hz: (0..100).map(|n| f64::from(n) * 0.5).collect(),
        power: (0..100)
            .map(|n| {
                let hz = f64::from(n) * 0.5;
                scale * (100.0 / (1.0 + hz * hz) + 8.0 * (-(hz - 10.0).powi(2)).exp())
            })
            .collect(),
    };
    let check = |title: &str| ImpedanceCheck {
        title: title.to_owned(),
        at: "12:00:05".to_owned(),
        limits: ImpedanceLimits::default(),
        values: ELECTRODES
            .iter()
            .chain(&["REF", "GND"])
            .enumerate()
            .map(|(n, electrode)| Impedance {
                electrode: (*electrode).to_owned(),
                impedance_kohm: (n % 7 != 6).then_some([2.1, 4.9, 7.5, 14.0, 0.05][n % 5]),
                at: UtcNanos(0),
            })
            .collect(),
    };
    ReportContent {
        title: "Routine EEG".to_owned(),
        institution: "General Hospital, Neurophysiology".to_owned(),
        provenance: Provenance::Simulated,
        patient: vec![
            Fact::new("Name", "Test^Patient"),
            Fact::new("Patient number", "TRAIN-0042"),
            Fact::new("Date of birth", "2 May 1951"),
            Fact::new("Sex", "female"),
        ],
        session: vec![
            Fact::new("Protocol", "Routine EEG, 20 min"),
            Fact::new("Beginning", "2026-11-23 12:00:00 +01:00"),
            Fact::new("End", "2026-11-23 12:05:00 +01:00"),
            Fact::new("Recorded by", "A. Clinician"),
        ],
        device: vec![
            Fact::new("Model", "Simulated headset"),
            Fact::new("Class", "not a medical device"),
            Fact::new("Reference, ground", "A1, unknown"),
        ],
        consent: "Given in writing, version 3.".to_owned(),
        impedances: vec![check("Start"), check("End")],
        calibration: Calibration {
            method: "Device test signal, 100 µV square wave".to_owned(),
            result: "99.8 µV, within 1 %".to_owned(),
        },
        events: vec![event(
            "12:04:14",
            "Emergency stop: stimulation ended after 31 ms",
            true,
        )],
        annotations: (0..60)
            .map(|n| event(&format!("12:00:{n:02}"), "eyes closed – Augen zu", false))
            .collect(),
        analysis: Analysis {
            quality: ELECTRODES
                .iter()
                .map(|label| ChannelQuality {
                    label: (*label).to_owned(),
                    good: 0.93,
                    seconds: 300,
                    findings: vec![("mains".to_owned(), 0.05), ("muscle".to_owned(), 0.02)],
                })
                .collect(),
            spectra: vec![curve("O1", 1.0), curve("O2", 1.3), curve("Cz", 0.6)],
            spectra_method: "Welch, Hann windows of 2 s, half overlapping, gaps left out."
                .to_owned(),
            bands: vec![
                ("delta".to_owned(), 0.5, 4.0),
                ("theta".to_owned(), 4.0, 8.0),
                ("alpha".to_owned(), 8.0, 13.0),
            ],
            band_powers: vec![BandRow {
                label: "O1".to_owned(),
                power: vec![12.345, 4.0, 33.3],
            }],
            peak_alpha: "10.2 Hz at O1-O2, 42 eyes-closed epochs".to_owned(),
            excerpts: vec![excerpt()],
            gaps: vec![GapRow {
                stream: "eeg".to_owned(),
                at: "12:04:10.000".to_owned(),
                duration: "1.200 s".to_owned(),
                missing: "300".to_owned(),
                cause: "transport".to_owned(),
            }],
            clocks: vec![ClockRow {
                stream: "eeg".to_owned(),
                nominal_hz: Some(250.0),
                found_hz: Some(250.0123),
                drift_ppm: Some(49.2),
                jitter_ms: Some(1.23),
                samples: 74_700,
                lost: 300,
                losses: vec![LossRow {
                    cause: "transport".to_owned(),
                    gaps: 1,
                    samples: 300,
                    uncertain: 0,
                }],
            }],
        },
        recording_id: "019aa000-0000-7000-8000-000000000001".to_owned(),
        hash_root: "5f".repeat(32),
        software: "NeuraScale Workstation 0.1.0".to_owned(),
        created_at: UtcNanos(1_795_435_200_000_000_000),
        created: "2026-11-23 13:00:00 +01:00".to_owned(),
        ..ReportContent::default()
    }
}

/// Texts that a hostile or broken source could send.
pub(crate) const HOSTILE: [&str; 8] = [
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "\u{202e}tneitaP\u{202c} \u{2066}x\u{2069}",
    "שלום עולם مرحبا",
    "👩‍⚕️🧠 e\u{301}\u{301}\u{301} \u{f8ff}\u{10fffd}",
    "\u{0}\u{1}\u{7f}\u{9b}\r\n\t\u{2028}",
    "\"'>&amp;]]>--><!--",
    "",
    "W\u{200b}W",
];

pub(crate) fn hostile() -> ReportContent {
    let mut content = content();
    let long = "LongName".repeat(2_000);
    let texts: Vec<&str> = HOSTILE.into_iter().chain([long.as_str()]).collect();
    content.patient = texts.iter().map(|text| Fact::new(text, *text)).collect();
    content.annotations = texts.iter().map(|text| event(text, text, false)).collect();
    content.title = HOSTILE[0].to_owned();
    content.institution = HOSTILE[3].to_owned();
    content.recording_id = HOSTILE[5].to_owned();
    content.software = HOSTILE[1].to_owned();
    content.impression = format!("{}\n{long}", HOSTILE.join("\n"));
    content.conclusion = HOSTILE[0].to_owned();
    content.signature = Some(Signature {
        name: HOSTILE[0].to_owned(),
        meaning: long.clone(),
        ..Signature::default()
    });
    let excerpt = &mut content.analysis.excerpts[0];
    excerpt.title = HOSTILE[2].to_owned();
    excerpt.annotations = texts.iter().map(|text| (1.0, (*text).to_owned())).collect();
    excerpt.duration_s = 0.0;
    excerpt.sensitivity_uv_mm = 0.0;
    excerpt.gaps = vec![(9.0, 1.0), (f64::NAN, f64::INFINITY)];
    excerpt.traces[0].rate_hz = 0.0;
    excerpt.traces[1].values_uv = vec![f32::INFINITY, f32::MAX, -f32::MAX];
    content.analysis.spectra[0].power = vec![f64::NAN, -1.0, f64::INFINITY, 0.0];
    content.impedances[0].values[0].impedance_kohm = Some(f64::NAN);
    content.impedances[0].values[1].electrode = HOSTILE[0].to_owned();
    content
}
