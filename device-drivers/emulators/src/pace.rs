//! When the device takes its samples: its own clock, which drifts, against the host's.

use crate::Script;
use contract::Clock;
use signal::HostNanos;
use std::sync::Arc;
use std::time::Duration;

/// Waits until each packet is due by a drifting clock.
#[derive(Debug)]
pub struct Pace {
    clock: Arc<dyn Clock>,
    began: HostNanos,
    packet_s: f64,
    drift: f64,
    ramp_per_s: f64,
    free: bool,
}

impl Pace {
    /// A pace of `packets_per_s` by the device's clock, which deviates as `script` says. `free` never
    /// waits: as fast as the other side takes it.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, packets_per_s: f64, script: &Script, free: bool) -> Self {
        Self {
            began: clock.host(),
            clock,
            packet_s: 1.0 / packets_per_s,
            drift: script.drift_ppm * 1e-6,
            ramp_per_s: script.drift_ramp_ppm_h * 1e-6 / 3_600.0,
            free,
        }
    }

    /// Host time at which packet `number` is complete.
    #[must_use]
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
    pub fn due(&self, number: u64) -> HostNanos {
        // Device time t passes at 1 + drift + ramp·t of host time; solved for host time to first order.
        let device_s = (number + 1) as f64 * self.packet_s;
        let rate = 1.0 + self.drift + self.ramp_per_s * device_s / 2.0;
        self.began.plus_nanos((device_s / rate * 1e9) as i64)
    }

    /// How long until packet `number` is due; zero when it is, or when nothing is waited for.
    #[must_use]
    pub fn wait(&self, number: u64) -> Duration {
        if self.free {
            return Duration::ZERO;
        }
        let nanos = self.due(number).nanos_since(self.clock.host());
        Duration::from_nanos(nanos.max(0).unsigned_abs())
    }

    /// How long until packet `number` has been held for `held` after it was due; zero when it has. Packets
    /// that wait for one before them follow at once, as they do on a line that stalls.
    #[must_use]
    pub fn hold(&self, number: u64, held: Duration) -> Duration {
        if self.free || held.is_zero() {
            return Duration::ZERO;
        }
        let held = i64::try_from(held.as_nanos()).unwrap_or(i64::MAX);
        let until = self.due(number).plus_nanos(held);
        let nanos = until.nanos_since(self.clock.host());
        Duration::from_nanos(nanos.max(0).unsigned_abs())
    }
}
