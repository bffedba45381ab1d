//! Who gets in, and what stands of it afterwards.

use desktop_tests::{Bedside, PATIENCE, Person};
use serde_json::Value;

const PASSWORD: &str = "correct horse battery staple";

#[test]
fn wrong_passwords_delay_and_break_glass_opens() {
    let bedside = Bedside::new();
    let window = bedside.open();
    let ada = Person { page: &window.page };
    ada.makes_first_administrator("ada", PASSWORD);
    ada.press("sign-out");
    for _ in 0..2 {
        ada.tries_to_sign_in("ada", "not the password");
        ada.waits(PATIENCE, "the refusal", || ada.sees("error"));
        assert!(!ada.sees("nav"), "nobody is in");
    }
    ada.press("break-glass");
    ada.fill("break-glass-name", "Dr. Night");
    ada.fill("break-glass-reason", "Nobody with a password is here");
    ada.press("break-glass-now");
    ada.find("nav");
    assert!(ada.reads("user").contains("Dr. Night"));
    let failed = bedside.station.ok(&[
        "events",
        "replay",
        "--type",
        "security.authentication_failed",
    ]);
    assert!(
        failed["events"]
            .as_array()
            .is_some_and(|all| all.len() >= 2)
    );
    assert!(ledger_names_break_glass(&bedside));
}

/// Whether any entry of the ledger speaks of the emergency access.
fn ledger_names_break_glass(bedside: &Bedside) -> bool {
    let shown: Value = bedside.station.ok(&["ledger", "show"]);
    shown["entries"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|entry| entry.to_string().contains("break_glass"))
}
