//! Each test on a bus of its own. The system's library reads the bus's address from the environment once, so that
//! each runs in a process of its own: this program again, with the address set.

use driver_tests::Bus;
use std::process::Command;

/// Runs the ignored test `name` of this program on a private bus.
pub(crate) fn on_a_bus(name: &str) {
    let Some(bus) = Bus::start() else { return };
    let ran = Command::new(std::env::current_exe().expect("this program"))
        .args([name, "--exact", "--ignored", "--nocapture"])
        .env("DBUS_SYSTEM_BUS_ADDRESS", bus.address())
        .output()
        .expect("this program again");
    let out = String::from_utf8_lossy(&ran.stdout);
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(
        ran.status.success() && out.contains("1 passed"),
        "{out}\n{said}"
    );
}

/// Address of the bus in the inner process.
pub(crate) fn address() -> String {
    std::env::var("DBUS_SYSTEM_BUS_ADDRESS").expect("run by on_a_bus")
}
