//! The device's clock against the host's: drift with ramps, and late packets.

use super::noise::hash_unit;
use super::script::{DriftChange, Jitter};

/// One stretch of device time in which the deviation changes evenly.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    device_s: f64,
    host_s: f64,
    /// Deviation at its begin (1e-6 is one ppm fast) and its change a second.
    deviation: f64,
    slope: f64,
}

impl Stretch {
    fn deviation_at(&self, device_s: f64) -> f64 {
        self.deviation + self.slope * (device_s - self.device_s)
    }

    /// Host time at `device_s`: the integral of 1 / (1 + deviation).
    fn host_at(&self, device_s: f64) -> f64 {
        let passed = device_s - self.device_s;
        let (from, to) = (1.0 + self.deviation, 1.0 + self.deviation_at(device_s));
        let mean_pace = if self.slope == 0.0 {
            from.recip()
        } else {
            (to / from).ln() / (to - from)
        };
        self.host_s
            + if passed == 0.0 {
                0.0
            } else {
                passed * mean_pace
            }
    }
}

/// Device time and host time since the device's first start, each from the other.
#[derive(Debug, Clone)]
pub(crate) struct Drift(Vec<Stretch>);

impl Drift {
    pub(crate) fn new(drift_ppm: f64, script: &[DriftChange]) -> Self {
        let mut stretches = vec![Stretch {
            device_s: 0.0,
            host_s: 0.0,
            deviation: drift_ppm * 1e-6,
            slope: 0.0,
        }];
        for change in script {
            let (at, ramp) = (change.at_s, change.ramp_s.unwrap_or(0.0));
            // A change during a ramp begins from where the ramp has come.
            while stretches.len() > 1 && stretches.last().is_some_and(|s| s.device_s >= at) {
                stretches.pop();
            }
            let target = change.drift_ppm * 1e-6;
            let Some(last) = stretches.last().copied() else {
                continue;
            };
            if ramp > 0.0 {
                let deviation = last.deviation_at(at);
                stretches.push(Stretch {
                    device_s: at,
                    host_s: last.host_at(at),
                    deviation,
                    slope: (target - deviation) / ramp,
                });
            }
            let Some(last) = stretches.last().copied() else {
                continue;
            };
            stretches.push(Stretch {
                device_s: at + ramp,
                host_s: last.host_at(at + ramp),
                deviation: target,
                slope: 0.0,
            });
        }
        Self(stretches)
    }

    /// Host seconds when the device's clock says `device_s`.
    pub(crate) fn host_at(&self, device_s: f64) -> f64 {
        let after = self.0.partition_point(|s| s.device_s <= device_s);
        (self.0.get(after.saturating_sub(1))).map_or(device_s, |s| s.host_at(device_s))
    }

    /// What the device's clock says after `host_s`.
    pub(crate) fn device_at(&self, host_s: f64) -> f64 {
        // Deviations are at most a hundredth, so each turn gains two decimal places.
        (0..8).fold(host_s, |device_s, _| {
            device_s + host_s - self.host_at(device_s)
        })
    }
}

/// How late packets come.
#[derive(Debug, Clone)]
pub(crate) struct Lateness {
    seed: u64,
    jitter_ms: f64,
    script: Vec<Jitter>,
}

impl Lateness {
    pub(crate) const fn new(seed: u64, jitter_ms: f64, script: Vec<Jitter>) -> Self {
        Self {
            seed,
            jitter_ms,
            script,
        }
    }

    /// Delay of the packet that ends with sample `sample` of a stream, s: uniform up to the jitter
    /// that is set at the time.
    pub(crate) fn of(&self, stream: u16, sample: u64, device_s: f64) -> f64 {
        let scripted = (self.script.iter().rev())
            .find(|e| (e.at_s..e.at_s + e.duration_s).contains(&device_s))
            .map_or(self.jitter_ms, |e| e.jitter_ms);
        if scripted == 0.0 {
            return 0.0;
        }
        scripted * 1e-3 * hash_unit(self.seed, 0x1A7E + u64::from(stream), sample)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(at_s: f64, drift_ppm: f64, ramp_s: f64) -> DriftChange {
        DriftChange {
            at_s,
            drift_ppm,
            ramp_s: Some(ramp_s),
        }
    }

    #[test]
    fn a_fast_clock_is_ahead() {
        let drift = Drift::new(100.0, &[]);
        let device_s = drift.device_at(1_000.0);
        assert!((device_s - 1_000.1).abs() < 1e-9, "{device_s}");
    }

    #[test]
    fn ramps_are_integrated_and_inverted() {
        let drift = Drift::new(
            0.0,
            &[change(100.0, 200.0, 100.0), change(150.0, -50.0, 10.0)],
        );
        // By device time 150 the ramp has reached 100 ppm: 50 s at 50 ppm on average.
        assert!((150.0 - drift.host_at(150.0) - 0.0025).abs() < 1e-6);
        for device_s in [0.0, 99.0, 120.0, 155.0, 400.0] {
            let back = drift.device_at(drift.host_at(device_s));
            assert!((back - device_s).abs() < 1e-9, "{device_s}");
        }
        let slow = drift.host_at(400.0) - drift.host_at(300.0) - 100.0;
        assert!((slow - 0.005).abs() < 1e-6, "{slow}");
    }
}
