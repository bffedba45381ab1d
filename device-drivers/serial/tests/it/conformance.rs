//! The contract's suite.

use crate::{Board, clock};
use contract::conformance::{Expectations, check};
use serial::CytonDriver;
use std::time::Duration;

fn findings(board: &Board, more: &[(&str, &str)]) -> Vec<String> {
    let mut expected = Expectations::new(&board.address());
    expected.unknown_address = "/dev/no-such-port".into();
    // A pseudo-terminal is in no list of ports, and a variable of the environment cannot be set here.
    expected.discoverable = false;
    expected.patience = Duration::from_secs(1);
    for (name, value) in more {
        expected = expected.with(name, value);
    }
    check(&CytonDriver, &expected, clock())
}

#[test]
fn a_cyton_keeps_to_the_contract() {
    let board = Board::new(|_| {});
    assert_eq!(findings(&board, &[("aux", "digital")]), [""; 0]);
}

#[test]
fn a_cyton_with_a_daisy_keeps_to_the_contract() {
    let board = Board::new(|config| config.daisy = true);
    assert_eq!(findings(&board, &[]), [""; 0]);
}
