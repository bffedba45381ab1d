//! A real recording: a Cyton with eight electrodes; blinks, a jaw clench, then closed eyes.

use dsp::{QualityLimits, QualityMonitor, Scaling, Spectrum, Welch, band_powers, peak_alpha};
use signal::{Channel, Reference, SampleBlock, SampleType, Samples, StreamIndex};
use std::path::{Path, PathBuf};

const RATE_HZ: f64 = 250.0;
/// The eyes are closed from about 20 s on.
const CLOSED: usize = 21 * 250;

fn folder() -> PathBuf {
    std::env::var_os("NEURASCALE_RECORDINGS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/recordings"),
        PathBuf::from,
    )
}

/// Eight rows of microvolts; `None`, said loudly, where the recordings are not.
fn cyton() -> Option<Vec<Vec<f64>>> {
    let path = folder().join("openbci/cyton8_gui_v6_0-46s.txt");
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!(
            "SKIPPED: no recording openbci/cyton8_gui_v6_0-46s.txt; set NEURASCALE_RECORDINGS"
        );
        return None;
    };
    let mut rows = vec![Vec::new(); 8];
    for line in text
        .lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_digit()))
    {
        let fields = line.split(',').skip(1);
        for (row, field) in rows.iter_mut().zip(fields) {
            row.push(field.trim().parse().unwrap());
        }
    }
    assert_eq!(rows[7].len(), 11_500);
    Some(rows)
}

fn density(samples: &[f64]) -> Spectrum {
    Welch::new(RATE_HZ, 512, 256, Scaling::Density)
        .unwrap()
        .channel(samples)
        .unwrap()
}

#[test]
fn alpha_comes_when_the_eyes_close() {
    let Some(rows) = cyton() else { return };
    for row in &rows[6..] {
        let (open, closed) = (density(&row[..CLOSED]), density(&row[CLOSED..]));
        let [before, after] = [open, closed.clone()].map(|s| band_powers(&s).absolute_uv2[2]);
        assert!(after > 2.0 * before, "{before} {after}");
        let alpha = peak_alpha(&closed).unwrap();
        assert!((9.5..12.0).contains(&alpha.peak_hz.unwrap()), "{alpha:?}");
    }
    // SciPy 1.17: welch(x[7, 5250:11500], 250, nperseg=512), centre of gravity over 8-13 Hz.
    let alpha = peak_alpha(&density(&rows[7][CLOSED..])).unwrap();
    assert!(
        (alpha.centre_of_gravity_hz - 10.860_424_837_679_721).abs() < 1e-6,
        "{alpha:?}"
    );
}

#[test]
fn a_jaw_clench_is_muscle_and_rest_is_not() {
    let Some(rows) = cyton() else { return };
    let channels: Vec<Channel> = (1..=8)
        .map(|n| Channel::eeg(&format!("X{n}"), 1.0, Reference::Unknown))
        .collect();
    // This was recorded where the mains have 60 Hz.
    let mut monitor =
        QualityMonitor::new(&channels, RATE_HZ, 60.0, QualityLimits::default()).unwrap();
    let len = rows[0].len();
    let mut block = SampleBlock::with_capacity(StreamIndex(0), SampleType::F64, 8, len);
    block.len = len;
    block.samples = Samples::F64(rows.concat());
    let mut verdicts = Vec::new();
    monitor.push(&block, &mut verdicts).unwrap();
    let muscle = |from: u64, until: u64| {
        let second = |first: u64| (from..until).contains(&(first / 250));
        let seen = verdicts
            .iter()
            .filter(|v| second(v.first_index) && v.flags.muscle);
        seen.count()
    };
    let (clenched, closed) = (muscle(0, 20), muscle(22, 46));
    assert!(clenched >= 10, "{clenched}");
    // Of 192 seconds of channels at rest under hum of up to 200 µV, at most one in twenty.
    assert!(closed <= 9, "{closed}");
    let flagged = |channel: usize, second: u64| {
        let here = |v: &&dsp::QualityVerdict| v.channel == channel && v.first_index == second * 250;
        verdicts.iter().find(here).unwrap().flags.muscle
    };
    // Where the 30-100 Hz amplitude is above 50 µV in SciPy's spectrum.
    for (channel, second) in [(2, 8), (4, 8), (3, 10), (5, 10), (2, 12), (5, 13)] {
        assert!(
            flagged(channel, second),
            "channel {channel} second {second}"
        );
    }
    // Unshielded, every channel hums throughout, and its EEG is there all the same.
    assert!(verdicts.iter().all(|v| v.flags.mains));
    assert!(verdicts.iter().skip(2 * 8).all(|v| v.flags.is_usable()));
}
