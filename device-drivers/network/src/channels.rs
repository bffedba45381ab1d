//! Channels as servers name them: a label, and what a count is worth.

use signal::{Channel, ChannelKind, Reference, SamplingRate, Scale, Unit};

/// A channel of `label`, whose counts are worth `uv` microvolts where it is a potential. Trigger and status
/// channels stay unscaled.
pub(crate) fn channel(label: &str, uv: f64) -> Channel {
    let parsed = signal::parse_label(label);
    let trigger = parsed.kind == ChannelKind::Trigger;
    let gain = if trigger || !uv.is_finite() || uv == 0.0 {
        1.0
    } else {
        uv
    };
    Channel {
        kind: parsed.kind,
        unit: if trigger {
            Unit::Count
        } else {
            Unit::Microvolt
        },
        scale: Scale { gain, offset: 0.0 },
        electrode: parsed.electrode,
        reference: parsed.reference,
        ground: Reference::Unknown,
        ..Channel::trigger(label)
    }
}

/// `hz` as a ratio of small numbers; `None` when it is none that a device would have.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss
)]
pub(crate) fn rate(hz: f64) -> Option<SamplingRate> {
    if !(hz.is_finite() && hz > 1e-3 && hz <= crate::limits::MOST_HZ) {
        return None;
    }
    // 512 Hz is an interval of 1953.125 µs, and 1000/3 Hz one of 3000: rates are ratios.
    (1..=1_000_u64).find_map(|seconds| {
        let samples = (hz * seconds as f64).round();
        let close = (samples / seconds as f64 / hz - 1.0).abs() < 1e-7;
        (close && samples >= 1.0).then(|| SamplingRate::new(samples as u64, seconds))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_ratios() {
        assert_eq!(rate(500.0), Some(SamplingRate::hz(500)));
        assert_eq!(rate(1e6 / 1_953.125), Some(SamplingRate::hz(512)));
        assert_eq!(rate(1e6 / 3_000.0), SamplingRate::new(1_000, 3));
        assert_eq!(rate(0.1), SamplingRate::new(1, 10));
        for none in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e9] {
            assert_eq!(rate(none), None);
        }
    }

    #[test]
    fn labels_tell_electrodes_and_triggers_have_no_scale() {
        let fp1 = channel("Fp1", 0.5);
        assert_eq!(
            (fp1.electrode.as_deref(), fp1.scale.gain),
            (Some("Fp1"), 0.5)
        );
        let status = channel("Status", 0.5);
        assert_eq!(
            (status.kind, status.scale),
            (ChannelKind::Trigger, Scale::UNITY)
        );
    }
}
