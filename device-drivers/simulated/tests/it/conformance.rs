//! Both drivers against the suite of the contract.

use crate::support::recordings;
use contract::conformance::{Expectations, check};
use contract::{Driver, SystemClock};
use simulated::{Playback, Simulator};
use std::sync::Arc;

fn conforms(driver: &dyn Driver, expected: &Expectations) {
    let findings = check(driver, expected, Arc::new(SystemClock));
    assert!(
        findings.is_empty(),
        "{}:\n{}",
        expected.address,
        findings.join("\n")
    );
}

#[test]
fn simulator_in_real_time() {
    for address in ["headset", "psg"] {
        conforms(&Simulator, &Expectations::new(address));
    }
    let amplifier = Expectations::new("amplifier")
        .with("counter_bits", "8")
        .with("jitter_ms", "20");
    conforms(&Simulator, &amplifier);
}

#[test]
fn simulator_at_other_speeds() {
    let marks =
        "[[mark]]\nat_s = 0.5\ntext = 'lights off'\n[[battery]]\nat_s = 1.0\npercent = 80\n";
    conforms(
        &Simulator,
        &Expectations::new("psg")
            .with("speed", "20")
            .with("script", marks),
    );
    conforms(
        &Simulator,
        &Expectations::new("headset").with("speed", "max"),
    );
    let short = Expectations::new("headset")
        .with("speed", "max")
        .with("duration_s", "3");
    conforms(&Simulator, &short);
}

#[test]
fn playback_at_every_speed() {
    let Some(folder) = recordings() else { return };
    let files = [
        "edge/discontinuous_derived.edf",
        "sleep/psg_somno_0000-0600s.edf",
        "bdf/biosemi_73ch_2048Hz.bdf",
    ];
    for file in files {
        for speed in ["1", "30", "max"] {
            let mut expected =
                Expectations::new(folder.join(file).to_str().unwrap()).with("speed", speed);
            expected.discoverable = false;
            conforms(&Playback, &expected);
        }
    }
}
