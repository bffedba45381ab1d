//! Digital and physical limits: the line on which a reader places every count.

use crate::label;
use crate::limits::{GAIN_ERROR_LIMIT, GAIN_ERROR_WARNING};
use crate::number;
use crate::outcome::SignalScale;
use signal::{Channel, StreamIndex};

/// Counts that 16 and 24 bits hold.
pub(crate) const I16_RANGE: [i32; 2] = [-0x8000, 0x7FFF];
pub(crate) const I24_RANGE: [i32; 2] = [-0x80_0000, 0x7F_FFFF];

/// A channel's place on the line.
#[derive(Debug)]
pub(crate) struct Fitted {
    pub(crate) scale: SignalScale,
    /// What a reader computes: units a count, and units at the first digital limit.
    pub(crate) read_gain: f64,
    pub(crate) read_start: f64,
    pub(crate) warning: Option<String>,
}

/// Places an integer channel: its counts stay as they are. `own` is the range of its sample type,
/// `file` that of the file's.
pub(crate) fn integer(
    channel: &Channel,
    id: (StreamIndex, usize),
    own: [i32; 2],
    file: [i32; 2],
) -> Result<Fitted, String> {
    let declared = channel.digital_range.and_then(|range| {
        let min = i32::try_from(range.min).ok()?;
        let max = i32::try_from(range.max).ok()?;
        (min < max && min >= file[0] && max <= file[1]).then_some([min, max])
    });
    let digital = declared.unwrap_or(own);
    let (unit, factor) = label::unit(channel);
    let gain = channel.scale.gain * factor;
    let offset = channel.scale.offset * factor;
    if !gain.is_finite() || !offset.is_finite() || gain == 0.0 {
        return Err(format!("channel {} has no usable scale", id.1 + 1));
    }
    let exact = |count: i32| f64::from(count).mul_add(gain, offset);
    let stated = |count: i32, stated: Option<f64>| match stated.map(|value| value * factor) {
        // The source's own decimal is kept where it is the same line: it was written in eight
        // characters before.
        Some(value) if (value - exact(count)).abs() <= 1e-6 * gain.abs() * 65_536.0 => value,
        _ => exact(count),
    };
    let range = declared.and(channel.physical_range);
    let ends = [
        stated(digital[0], range.map(|range| range.min)),
        stated(digital[1], range.map(|range| range.max)),
    ];
    let fitted = place(id, unit, [gain, offset], digital, ends)?;
    let read = |count: i32| {
        (f64::from(count) - f64::from(digital[0])).mul_add(fitted.read_gain, fitted.read_start)
    };
    // Both are lines, so they differ most at an end.
    let bound = file
        .iter()
        .map(|count| (read(*count) - exact(*count)).abs())
        .fold(0.0, f64::max);
    Ok(Fitted {
        scale: SignalScale {
            rounding_bound: bound,
            ..fitted.scale
        },
        ..fitted
    })
}

/// Places a channel of floats whose values lie within `least..=greatest`, in the channel's own
/// counts: they are quantised to 24 bits on the very line that the header states, so that rounding
/// the header's limits adds nothing.
pub(crate) fn float(
    channel: &Channel,
    id: (StreamIndex, usize),
    least: f64,
    greatest: f64,
) -> Result<Fitted, String> {
    let (unit, factor) = label::unit(channel);
    let gain = channel.scale.gain * factor;
    let offset = channel.scale.offset * factor;
    if !gain.is_finite() || !offset.is_finite() || gain == 0.0 {
        return Err(format!("channel {} has no usable scale", id.1 + 1));
    }
    let a = least.mul_add(gain, offset);
    let b = greatest.mul_add(gain, offset);
    // A little wider than the values, because eight characters round inwards as well.
    let (low, high) = (a.min(b), a.max(b));
    let margin = ((high - low) * 1e-3)
        .max(low.abs().max(high.abs()) * 1e-4)
        .max(1e-3);
    let fitted = place(
        id,
        unit,
        [gain, offset],
        I24_RANGE,
        [low - margin, high + margin],
    )?;
    Ok(Fitted {
        scale: SignalScale {
            rounding_bound: 0.0,
            // Half a step, and what 64-bit arithmetic itself rounds away.
            quantisation_bound: fitted.read_gain.abs() * 0.501
                + low.abs().max(high.abs()) * 4.0 * f64::EPSILON,
            ..fitted.scale
        },
        warning: None,
        ..fitted
    })
}

fn place(
    (stream, channel): (StreamIndex, usize),
    unit: String,
    [gain, offset]: [f64; 2],
    digital: [i32; 2],
    ends: [f64; 2],
) -> Result<Fitted, String> {
    let too_large = || {
        format!(
            "channel {} has a physical range that eight characters do not hold",
            channel + 1
        )
    };
    let first = number::fit(ends[0]).ok_or_else(too_large)?;
    let second = number::fit(ends[1]).ok_or_else(too_large)?;
    let read_start: f64 = first.parse().map_err(|_| too_large())?;
    let read_end: f64 = second.parse().map_err(|_| too_large())?;
    let read_gain = (read_end - read_start) / (f64::from(digital[1]) - f64::from(digital[0]));
    let line_gain = (ends[1] - ends[0]) / (f64::from(digital[1]) - f64::from(digital[0]));
    let error = ((read_gain - line_gain) / line_gain).abs();
    if error.is_nan() || error > GAIN_ERROR_LIMIT {
        return Err(format!(
            "channel {} has a physical range too small for eight characters",
            channel + 1
        ));
    }
    let warning = (error > GAIN_ERROR_WARNING).then(|| {
        format!(
            "stream {} channel {}: the header's eight characters change the gain by {:.1e} of itself; the manifest has the exact scale",
            stream.0,
            channel + 1,
            error
        )
    });
    Ok(Fitted {
        scale: SignalScale {
            label: String::new(),
            stream,
            channel,
            unit,
            gain,
            offset,
            digital,
            physical: [first, second],
            rounding_bound: 0.0,
            quantisation_bound: 0.0,
        },
        read_gain,
        read_start,
        warning,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use signal::{DigitalRange, PhysicalRange, Reference, Scale};

    const ID: (StreamIndex, usize) = (StreamIndex(0), 0);

    #[test]
    fn the_sources_own_limits_come_back() {
        let mut channel = Channel::eeg("Fp1", 6_400.0 / 4_095.0, Reference::Unknown);
        channel.digital_range = Some(DigitalRange {
            min: -2048,
            max: 2047,
        });
        channel.physical_range = Some(PhysicalRange {
            min: -3_200.0,
            max: 3_200.0,
        });
        channel.scale.offset = -3_200.0 + 2048.0 * 6_400.0 / 4_095.0;
        let fitted = integer(&channel, ID, I16_RANGE, I16_RANGE).unwrap();
        assert_eq!(fitted.scale.physical, ["-3200", "3200"]);
        assert_eq!(fitted.scale.digital, [-2048, 2047]);
        assert!(fitted.scale.rounding_bound < 1e-9);
    }

    #[test]
    fn an_inverted_gain_stays_inverted() {
        let channel = Channel::eeg("Fp1", -0.022_351_741_790_771, Reference::Unknown);
        let fitted = integer(&channel, ID, I24_RANGE, I24_RANGE).unwrap();
        assert_eq!(fitted.scale.physical, ["187500", "-187500"]);
        assert!(fitted.read_gain < 0.0);
        assert!(
            fitted.scale.rounding_bound < 0.03,
            "{}",
            fitted.scale.rounding_bound
        );
        assert!(fitted.scale.rounding_bound > 0.0);
    }

    #[test]
    fn what_eight_characters_cannot_tell_apart_is_refused() {
        let mut channel = Channel::eeg("Fp1", 1e-15, Reference::Unknown);
        assert!(integer(&channel, ID, I16_RANGE, I16_RANGE).is_err());
        channel.scale = Scale {
            gain: 1e6,
            offset: 0.0,
        };
        assert!(integer(&channel, ID, I24_RANGE, I24_RANGE).is_err());
        channel.scale = Scale {
            gain: 0.0,
            offset: 0.0,
        };
        assert!(integer(&channel, ID, I16_RANGE, I16_RANGE).is_err());
    }
}
