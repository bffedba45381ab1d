//! A bus of each test's own. The system's library reads the bus's address from the environment once, so that each
//! test runs in a process of its own: this program again, with the address set.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

/// Ends the daemon.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs the ignored test `name` of this program on a private bus.
pub(crate) fn on_a_bus(name: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("bus.conf");
    let text = format!(
        r#"<busconfig><type>system</type><listen>unix:dir={}</listen><auth>EXTERNAL</auth>
        <policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
        <allow own="*"/><allow user="*"/></policy></busconfig>"#,
        folder.path().display()
    );
    std::fs::write(&config, text).expect("a configuration");
    let daemon = Command::new("dbus-daemon")
        .arg(format!("--config-file={}", config.display()))
        .args(["--nofork", "--print-address=1"])
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut daemon) = daemon else {
        eprintln!("SKIPPED: {name} needs dbus-daemon (Debian: dbus)");
        return;
    };
    let stdout = daemon.stdout.take().expect("its output");
    let _daemon = Daemon(daemon);
    let mut address = String::new();
    BufReader::new(stdout)
        .read_line(&mut address)
        .expect("an address");
    let ran = Command::new(std::env::current_exe().expect("this program"))
        .args([name, "--exact", "--ignored", "--nocapture"])
        .env("DBUS_SYSTEM_BUS_ADDRESS", address.trim())
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
