//! Servers that are configured by hand: they announce themselves nowhere.

use crate::limits::{LOOK, MOST_HOSTS};
use crate::line::connect;
use contract::{DeviceClass, DeviceSummary};

/// Ids of network devices, between commas ('rda:10.0.0.5:51244,fieldtrip:localhost:1972').
const VARIABLE: &str = "NEURASCALE_NETWORK_DEVICES";

/// The configured devices of `driver`, each with whether its server answers; all are asked at once.
pub(crate) fn configured(driver: &str, model: &str) -> Vec<DeviceSummary> {
    let text = std::env::var(VARIABLE).unwrap_or_default();
    let addresses = addresses(&text, driver);
    std::thread::scope(|scope| {
        let asked: Vec<_> = addresses
            .iter()
            .map(|address| {
                let asking = std::thread::Builder::new()
                    .name(format!("look-{driver}"))
                    .spawn_scoped(scope, move || {
                        connect("look for servers", address, LOOK).is_ok()
                    });
                (address, asking)
            })
            .collect();
        asked
            .into_iter()
            .map(|(address, asking)| {
                let answers = asking.is_ok_and(|asking| asking.join().unwrap_or(false));
                DeviceSummary {
                    id: format!("{driver}:{address}"),
                    name: format!("{model} at {address}"),
                    class: DeviceClass::Research,
                    transport: "network".into(),
                    note: if answers { "" } else { "does not answer" }.into(),
                }
            })
            .collect()
    })
}

fn addresses(text: &str, driver: &str) -> Vec<String> {
    let mut found: Vec<String> = (text.split(','))
        .filter_map(|id| id.trim().strip_prefix(driver)?.strip_prefix(':'))
        .filter(|address| !address.is_empty())
        .map(str::to_owned)
        .take(MOST_HOSTS)
        .collect();
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::addresses;

    #[test]
    fn each_driver_finds_its_own() {
        let text = "rda:a:1, fieldtrip:b:2,rda:c:3,rda:,rdax:d:4,rda:a:1";
        assert_eq!(addresses(text, "rda"), ["a:1", "c:3"]);
        assert_eq!(addresses(text, "fieldtrip"), ["b:2"]);
    }
}
