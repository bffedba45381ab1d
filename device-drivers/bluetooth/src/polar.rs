//! The ECG of a Polar strap, beside its heart rate.

use crate::decoder::polar::{Frame, ecg};
use crate::link::Link;
use crate::protocol::{Place, give};
use contract::{DeviceEvent, Sink};
use signal::{
    Channel, ChannelKind, ClockSource, CounterSpec, DigitalRange, GapCause, HostNanos, Missing,
    Reference, SampleType, SamplingRate, StreamDescription, StreamIndex, StreamRole,
};
use uuid::Uuid;

// Polar's 'Measurement Data Specification': the control point and the data of its service.
pub(crate) const CONTROL: Uuid = Uuid::from_u128(0xfb00_5c81_02e7_f387_1cad_8acd_2d8d_f0c8);
pub(crate) const DATA: Uuid = Uuid::from_u128(0xfb00_5c82_02e7_f387_1cad_8acd_2d8d_f0c8);

/// Start ECG (0) with 130 Hz (setting 0) and 14 bits (setting 1); stop it.
pub(crate) const START: &[u8] = &[0x02, 0x00, 0x00, 0x01, 0x82, 0x00, 0x01, 0x01, 0x0E, 0x00];
pub(crate) const STOP: &[u8] = &[0x03, 0x00];

const HZ: u32 = 130;
const PERIOD_NS: f64 = 1e9 / HZ as f64;
/// Steps of the strap's clock beyond these were set, not lost or repeated: an hour on, or more than a second back, s.
const LOST_S: f64 = 3_600.0;
const REPEATED_S: f64 = -1.0;

/// Whether the strap gives its ECG.
pub(crate) fn is_there(link: &Link) -> bool {
    link.has(CONTROL) && link.has(DATA)
}

/// What is known between two frames; kept when streaming begins anew, since the strap's clock goes on.
#[derive(Debug, Default)]
pub(crate) struct Ecg {
    /// The strap's clock at the last sample that came, ns.
    last_ns: Option<u64>,
    /// Samples since it began, lost ones included.
    count: u64,
}

impl Ecg {
    pub(crate) fn stream() -> StreamDescription {
        StreamDescription {
            name: "ecg".into(),
            role: StreamRole::Signal,
            sample_type: SampleType::I24,
            rate: SamplingRate::hz(HZ),
            // Counted here, from the strap's clock.
            counter: Some(CounterSpec::SAMPLE),
            clock: ClockSource::HostArrival,
            channels: vec![Channel {
                kind: ChannelKind::Ecg,
                electrode: None,
                digital_range: Some(DigitalRange {
                    min: -(1 << 23),
                    max: (1 << 23) - 1,
                }),
                ..Channel::eeg("ECG", 1.0, Reference::Unknown)
            }],
        }
    }

    /// A frame; whether anything was given.
    pub(crate) fn take(
        &mut self,
        stream: StreamIndex,
        bytes: &[u8],
        at: HostNanos,
        sink: &mut dyn Sink,
    ) -> bool {
        let Some(frame) = ecg(bytes) else {
            sink.event(DeviceEvent::Garbage {
                bytes: bytes.len() as u64,
            });
            return true;
        };
        let first = self.first(&frame, stream, sink);
        let place = Place {
            stream,
            channels: 1,
            len: frame.count(),
            counter: Some(first),
            at,
        };
        give(sink, place, |_, n| frame.sample(n).unwrap_or(0));
        // A repeated frame goes back; what was counted stays.
        if first + frame.count() as u64 >= self.count {
            self.count = first + frame.count() as u64;
            self.last_ns = Some(frame.last_ns);
        }
        true
    }

    /// Number of the frame's first sample: what the strap's clock says was missed is counted.
    fn first(&self, frame: &Frame<'_>, stream: StreamIndex, sink: &mut dyn Sink) -> u64 {
        let Some(last_ns) = self.last_ns else {
            return self.count;
        };
        let passed_ns = frame.last_ns.wrapping_sub(last_ns) as i64 as f64;
        let missed = passed_ns / PERIOD_NS - frame.count() as f64;
        let hz = f64::from(HZ);
        if !(REPEATED_S * hz..=LOST_S * hz).contains(&missed) {
            sink.event(DeviceEvent::Discontinuity {
                stream,
                cause: GapCause::Transport,
                missing: Missing::Unknown,
            });
            return self.count;
        }
        self.count.saturating_add_signed(missed.round() as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::Collected;

    /// Counters of frames of ten samples whose last one the strap's clock puts at these samples, and what was said.
    fn counters(lasts: &[i64]) -> (Vec<u64>, usize) {
        let mut sink = Collected::new(&[Ecg::stream()]);
        let mut taken = Ecg::default();
        for last in lasts {
            let mut bytes = vec![0];
            let ns = 1 << 60;
            let clock = (ns + last * 1_000_000_000 / i64::from(HZ)).to_le_bytes();
            bytes.extend(clock);
            bytes.push(0);
            bytes.extend([0; 30]);
            taken.take(StreamIndex(0), &bytes, HostNanos(1), &mut sink);
        }
        let counters = sink.blocks.iter().filter_map(|block| block.counter);
        (counters.collect(), sink.events.len())
    }

    #[test]
    fn the_straps_clock_counts() {
        assert_eq!(counters(&[9, 19, 29]), (vec![0, 10, 20], 0));
        assert_eq!(counters(&[9, 29, 39]), (vec![0, 20, 30], 0), "one is lost");
        assert_eq!(
            counters(&[9, 19, 19, 29]),
            (vec![0, 10, 10, 20], 0),
            "one comes twice"
        );
        assert_eq!(
            counters(&[9, 29, 19, 39]),
            (vec![0, 20, 10, 30], 0),
            "two change places"
        );
        // Its clock was set, either way: nothing is taken for lost or repeated, and it is said.
        for set in [-100_000, 100_000_000] {
            assert_eq!(counters(&[9, set, set + 10]), (vec![0, 10, 20], 1));
        }
    }
}
