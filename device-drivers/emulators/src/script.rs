//! What goes wrong, and when.

use crate::Error;
use crate::limits::{LONGEST_PAUSE, MOST_BYTES, MOST_DRIFT_PPM};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// What happens to a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It is not sent.
    Lost,
    /// It is sent twice.
    Repeated,
    /// It is sent after the one that follows it.
    Reordered,
    /// Its last `bytes` bytes are missing.
    Truncated,
    /// One of its bits is turned.
    Corrupt,
    /// `bytes` random bytes come before it.
    Garbage,
    /// Nothing is sent for `duration_ms`; what was taken meanwhile follows at once.
    Pause,
    /// The connection breaks and is back after `duration_ms`; the device goes on counting, and this packet and
    /// what it sends meanwhile are lost.
    Disconnect,
}

/// A fault at a known packet.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Number of the packet, counted from 0 when the device was switched on.
    pub at: u64,
    /// What happens.
    pub kind: Kind,
    /// To how many packets from there on.
    #[serde(default = "one")]
    pub count: u64,
    /// Again every so many packets.
    #[serde(default)]
    pub every: Option<u64>,
    /// How many bytes, for what has bytes.
    #[serde(default = "few")]
    pub bytes: usize,
    /// How long, ms, for what lasts.
    #[serde(default)]
    pub duration_ms: u64,
}

/// A fault by chance.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chance {
    /// What happens.
    pub kind: Kind,
    /// Probability for each packet, 0 to 1.
    pub chance: f64,
    /// How many bytes, for what has bytes.
    #[serde(default = "few")]
    pub bytes: usize,
    /// How long, ms, for what lasts.
    #[serde(default)]
    pub duration_ms: u64,
}

/// How the device answers commands.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Answers {
    /// It answers nothing and sends nothing.
    pub never: bool,
    /// Answers in place of its own, by command as the device's protocol writes it.
    pub instead: BTreeMap<String, String>,
    /// Each answer comes so much later, ms.
    pub delay_ms: u64,
}

/// A fault script, written in TOML:
///
/// ```toml
/// seed = 7
/// drift_ppm = 80          # the device's clock runs fast
/// drift_ramp_ppm_h = 20   # and faster by so much an hour
/// jitter_ms = 20          # packets are held for 0 to so long, evenly distributed, in order
///
/// [[fault]]
/// at = 500
/// kind = "lost"
/// count = 3
///
/// [[chance]]
/// kind = "garbage"
/// chance = 0.01
/// bytes = 17
///
/// [answers]
/// instead = { "v" = "hello" }
/// ```
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// Seed of everything that chance decides.
    pub seed: u64,
    /// Deviation of the device's clock, ppm; above zero it runs fast.
    pub drift_ppm: f64,
    /// Change of that deviation, ppm an hour.
    pub drift_ramp_ppm_h: f64,
    /// Longest time that the transport holds a packet, ms; evenly distributed from 0.
    pub jitter_ms: f64,
    /// Faults at known packets.
    pub fault: Vec<Fault>,
    /// Faults by chance.
    pub chance: Vec<Chance>,
    /// Answers to commands.
    pub answers: Answers,
}

const fn one() -> u64 {
    1
}

const fn few() -> usize {
    5
}

impl Script {
    /// A script from its text.
    ///
    /// # Errors
    /// What is wrong with it, with its place.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let script: Self =
            toml::from_str(text).map_err(|error| Error::Script(error.to_string()))?;
        script.check()?;
        Ok(script)
    }

    /// A script from a file.
    ///
    /// # Errors
    /// The file cannot be read, or is no script.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::io(format!("cannot read {}", path.display()), error))?;
        Self::parse(&text)
    }

    fn check(&self) -> Result<(), Error> {
        let refuse = |message: String| Err(Error::Script(message));
        if !(self.drift_ppm.abs() <= MOST_DRIFT_PPM
            && self.drift_ramp_ppm_h.abs() <= MOST_DRIFT_PPM)
        {
            return refuse(format!("drift must lie within {MOST_DRIFT_PPM} ppm"));
        }
        if !(0.0..=LONGEST_PAUSE.as_secs_f64() * 1e3).contains(&self.jitter_ms) {
            return refuse("jitter_ms must be from 0 to an hour".to_owned());
        }
        let lasting = (self
            .fault
            .iter()
            .map(|fault| (fault.bytes, fault.duration_ms)))
        .chain(
            self.chance
                .iter()
                .map(|fault| (fault.bytes, fault.duration_ms)),
        );
        for (bytes, duration_ms) in lasting {
            if bytes > MOST_BYTES || Duration::from_millis(duration_ms) > LONGEST_PAUSE {
                return refuse(format!(
                    "a fault has at most {MOST_BYTES} bytes and lasts at most {LONGEST_PAUSE:?}"
                ));
            }
        }
        if self.fault.iter().any(|fault| fault.every == Some(0)) {
            return refuse("every must be above 0".to_owned());
        }
        if (self.chance.iter()).any(|chance| !(0.0..=1.0).contains(&chance.chance)) {
            return refuse("chance must lie from 0 to 1".to_owned());
        }
        Ok(())
    }
}

impl Fault {
    /// Whether `packet` is one of those it happens to.
    pub(crate) fn hits(&self, packet: u64) -> bool {
        let Some(since) = packet.checked_sub(self.at) else {
            return false;
        };
        since.checked_rem(self.every.unwrap_or(0)).unwrap_or(since) < self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_hit_the_packets_they_name() {
        let script = Script::parse("[[fault]]\nat = 10\nkind = \"lost\"\ncount = 2\nevery = 5\n")
            .expect("a script");
        let hit: Vec<u64> = (0..23).filter(|n| script.fault[0].hits(*n)).collect();
        assert_eq!(hit, [10, 11, 15, 16, 20, 21]);
        let once = Fault {
            every: None,
            ..script.fault[0]
        };
        assert_eq!((0..23).filter(|n| once.hits(*n)).count(), 2);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, word) in [
            ("drift = 1", "unknown field"),
            ("drift_ppm = 1e9", "drift"),
            ("[[chance]]\nkind = \"lost\"\nchance = 2.0", "chance"),
            ("[[fault]]\nat = 1\nkind = \"lost\"\nevery = 0", "every"),
            ("[[fault]]\nat = 1\nkind = \"burnt\"", "burnt"),
        ] {
            let error = Script::parse(text).expect_err(text).to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
