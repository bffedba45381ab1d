//! Each electrode's impedance over time.

use super::noise::hash_unit;
use super::scalp;
use super::script::ImpedanceChange;
use signal::{Channel, Reference};

/// An electrode's values from their times on, s and kΩ; `None` while it is open.
type Course = Vec<(f64, Option<f64>)>;

/// Every electrode, reference and ground with its values by time.
#[derive(Debug, Clone)]
pub(crate) struct Impedances {
    electrodes: Vec<(String, Course)>,
}

impl Impedances {
    /// Well-prepared electrodes of 1.5 to 4.5 kΩ by the seed, then what the script says.
    ///
    /// Fails with the name of a scripted electrode that the device does not have.
    pub(crate) fn new(
        seed: u64,
        channels: &[Channel],
        script: &[ImpedanceChange],
    ) -> Result<Self, String> {
        let named = |reference: &Reference| match reference {
            Reference::Named(name) | Reference::Bipolar(name) => Some(name.clone()),
            Reference::Unknown | Reference::Average => None,
        };
        let own = channels
            .iter()
            .filter_map(|channel| channel.electrode.clone());
        let bipolar = channels
            .iter()
            .filter_map(|channel| named(&channel.reference));
        let ground = channels.iter().filter_map(|channel| named(&channel.ground));
        let mut seen = std::collections::HashSet::new();
        let mut electrodes: Vec<(String, Course)> = Vec::new();
        for name in own.chain(bipolar).chain(ground) {
            if seen.insert(name.clone()) {
                let kohm = 1.5 + 3.0 * hash_unit(seed, 0x1A, electrodes.len() as u64);
                electrodes.push((name, vec![(0.0, Some(kohm))]));
            }
        }
        for change in script {
            let name = scalp::modern_name(&change.electrode);
            let mut found = false;
            for (electrode, values) in &mut electrodes {
                if name == "all" || electrode == name {
                    values.push((change.at_s, change.impedance_kohm));
                    found = true;
                }
            }
            if !found {
                return Err(format!("script: impedance: no electrode '{name}' here"));
            }
        }
        Ok(Self { electrodes })
    }

    pub(crate) fn len(&self) -> usize {
        self.electrodes.len()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.electrodes.iter().map(|(name, _)| name.as_str())
    }

    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.names().position(|electrode| electrode == name)
    }

    /// Impedance of the electrode at `position` at time `t`, kΩ; `None` when it is open.
    pub(crate) fn at(&self, position: usize, t: f64) -> Option<f64> {
        let values = &self.electrodes.get(position)?.1;
        let after = values.partition_point(|(at, _)| *at <= t);
        values.get(after.saturating_sub(1))?.1
    }
}
