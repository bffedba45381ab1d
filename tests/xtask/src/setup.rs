//! System packages: which, why, and how they come onto the machine.

use std::process::Command;

use anyhow::{Result, bail};

use crate::shell;

/// What a package is needed for. The product never needs what only tests and figures need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    Build,
    Tests,
    Figures,
}

#[derive(Debug)]
struct SystemPackage {
    /// Its name in Debian and Ubuntu.
    apt: &'static str,
    need: Need,
    reason: &'static str,
    /// A command that works when, and only when, what we need is there, however it came.
    probe: &'static [&'static str],
}

const PACKAGES: &[SystemPackage] = &[
    SystemPackage {
        apt: "build-essential",
        need: Need::Build,
        reason: "C compiler and linker for SQLCipher and ring",
        probe: &["cc", "--version"],
    },
    SystemPackage {
        apt: "pkg-config",
        need: Need::Build,
        reason: "finds the system libraries to link",
        probe: &["pkg-config", "--version"],
    },
    SystemPackage {
        apt: "cmake",
        need: Need::Build,
        reason: "builds liblsl, for streams of the lab streaming layer",
        probe: &["cmake", "--version"],
    },
    SystemPackage {
        apt: "libdbus-1-dev",
        need: Need::Build,
        reason: "BlueZ, for devices over Bluetooth",
        probe: &["pkg-config", "--exists", "dbus-1"],
    },
    SystemPackage {
        apt: "libssl-dev",
        need: Need::Build,
        reason: "cryptography under SQLCipher",
        probe: &["pkg-config", "--exists", "libcrypto"],
    },
    SystemPackage {
        apt: "libwebkit2gtk-4.1-dev",
        need: Need::Build,
        reason: "the web view of the desktop window",
        probe: &["pkg-config", "--exists", "webkit2gtk-4.1"],
    },
    SystemPackage {
        apt: "libgl1-mesa-dri",
        need: Need::Build,
        reason: "WebGL of the traces on a machine without a graphics card",
        probe: &[
            "sh",
            "-c",
            "find /usr/lib /usr/lib64 -name 'swrast_dri.so' 2>/dev/null | grep -q .",
        ],
    },
    SystemPackage {
        apt: "libegl1",
        need: Need::Build,
        reason: "the web view draws through it",
        probe: &[
            "sh",
            "-c",
            "find /usr/lib /usr/lib64 -name 'libEGL.so.1' 2>/dev/null | grep -q .",
        ],
    },
    SystemPackage {
        apt: "webkit2gtk-driver",
        need: Need::Tests,
        reason: "WebKitWebDriver, which drives the window",
        probe: &["sh", "-c", "command -v WebKitWebDriver"],
    },
    SystemPackage {
        apt: "xvfb",
        need: Need::Tests,
        reason: "a screen for the window on a machine that has none",
        probe: &["sh", "-c", "command -v Xvfb"],
    },
    SystemPackage {
        apt: "xdotool",
        need: Need::Tests,
        reason: "presses keys of the keyboard itself: the emergency stop of a page that hangs",
        probe: &["sh", "-c", "command -v xdotool"],
    },
    SystemPackage {
        apt: "git",
        need: Need::Tests,
        reason: "lists the tracked files that the architecture test reads",
        probe: &["git", "--version"],
    },
    SystemPackage {
        apt: "python3-venv",
        need: Need::Tests,
        reason: "environment of the readers that our files are checked with",
        probe: &["python3", "-c", "import venv, ensurepip"],
    },
    SystemPackage {
        apt: "faketime",
        need: Need::Tests,
        reason: "gives an engine a wall clock that the tests may step",
        probe: &["faketime", "-v"],
    },
    SystemPackage {
        apt: "postgresql",
        need: Need::Tests,
        reason: "the database that several gateways share",
        probe: &[
            "sh",
            "-c",
            "ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1",
        ],
    },
    SystemPackage {
        apt: "prometheus",
        need: Need::Tests,
        reason: "scrapes the gateway's metrics",
        probe: &["prometheus", "--version"],
    },
    SystemPackage {
        apt: "openssl",
        need: Need::Tests,
        reason: "reads the gateway's certificates, and makes requests for them, as others would",
        probe: &["openssl", "version"],
    },
    SystemPackage {
        apt: "dbus",
        need: Need::Tests,
        reason: "dbus-daemon: a bus of the tests' own, on which one plays logind",
        probe: &["dbus-daemon", "--version"],
    },
    SystemPackage {
        apt: "poppler-utils",
        need: Need::Tests,
        reason: "pdftotext and pdftoppm, which read the report back",
        probe: &["pdftotext", "-v"],
    },
    SystemPackage {
        apt: "haproxy",
        need: Need::Figures,
        reason: "a proxy that the gateway is measured beside",
        probe: &[
            "sh",
            "-c",
            "command -v haproxy || test -x /usr/sbin/haproxy",
        ],
    },
    SystemPackage {
        apt: "wrk",
        need: Need::Figures,
        reason: "asks proxies as fast as they answer",
        probe: &["sh", "-c", "command -v wrk"],
    },
];

/// For `cargo xtask ui` where the compiler in use lacks the target and cannot get it.
const WASM_PACKAGES: &[SystemPackage] = &[
    SystemPackage {
        apt: "rustc-web",
        need: Need::Build,
        reason: "compiler for the modules of the window",
        probe: &["/usr/bin/rustc", "--version"],
    },
    SystemPackage {
        apt: "cargo-web",
        need: Need::Build,
        reason: "builds them and their standard library",
        probe: &["/usr/bin/cargo", "--version"],
    },
    SystemPackage {
        apt: "rust-web-src",
        need: Need::Build,
        reason: "source of their standard library",
        probe: &["dpkg", "--status", "rust-web-src"],
    },
    SystemPackage {
        apt: "lld",
        need: Need::Build,
        reason: "links them",
        probe: &["wasm-ld", "--version"],
    },
];

/// For `cargo xtask bundle`; those for tests are needed to try what it made.
const INSTALLER_PACKAGES: &[SystemPackage] = &[
    SystemPackage {
        apt: "npm",
        need: Need::Build,
        reason: "npx, which runs the bundler",
        probe: &["npx", "--version"],
    },
    SystemPackage {
        apt: "debootstrap",
        need: Need::Tests,
        reason: "a clean Debian root in which the package is tried",
        probe: &[
            "sh",
            "-c",
            "command -v debootstrap || test -x /usr/sbin/debootstrap",
        ],
    },
];

/// Some packages are missing and this process may not install them; it says what to run.
#[derive(Debug)]
pub(crate) struct Missing {
    line: String,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "system packages are missing and cannot be installed without rights; run\n\n    {}\n",
            self.line
        )
    }
}

impl std::error::Error for Missing {}

/// Installs what `need` asks for and is missing. A prepared machine needs no network.
pub(crate) fn ensure(need: Need) -> Result<()> {
    install(&|| missing(PACKAGES, need))
}

/// Installs Debian's compiler for WebAssembly where it is missing.
pub(crate) fn ensure_wasm() -> Result<()> {
    install(&|| missing(WASM_PACKAGES, Need::Build))
}

/// Installs what making an installer needs, and with [`Need::Tests`] trying it.
pub(crate) fn ensure_installers(need: Need) -> Result<()> {
    install(&|| missing(INSTALLER_PACKAGES, need))
}

fn install(look: &dyn Fn() -> Vec<&'static SystemPackage>) -> Result<()> {
    let missing = look();
    if missing.is_empty() {
        println!("system packages: all present");
        return Ok(());
    }
    for package in &missing {
        println!("missing: {:<16} {}", package.apt, package.reason);
    }
    let names: Vec<_> = missing.iter().map(|package| package.apt).collect();
    let line = format!(
        "sudo apt-get update && sudo apt-get install -y --no-install-recommends {}",
        names.join(" ")
    );
    if !shell::works(Command::new("apt-get").arg("--version")) {
        bail!(
            "this machine has no apt-get; install the equivalents of: {}\n(on Debian or Ubuntu: {line})",
            names.join(", ")
        );
    }
    let Some(prefix) = privilege() else {
        return Err(Missing { line }.into());
    };
    shell::run(apt(prefix).arg("update"))?;
    shell::run(
        apt(prefix)
            .args(["install", "-y", "--no-install-recommends"])
            .args(&names),
    )?;
    let still: Vec<_> = look().iter().map(|package| package.apt).collect();
    if !still.is_empty() {
        bail!("installed, yet still not usable: {}", still.join(", "));
    }
    Ok(())
}

fn missing(packages: &'static [SystemPackage], need: Need) -> Vec<&'static SystemPackage> {
    packages
        .iter()
        .filter(|package| package.need <= need)
        .filter(|package| !shell::works(Command::new(package.probe[0]).args(&package.probe[1..])))
        .collect()
}

/// Words to put before a command so that it runs as root, or None when this person may not.
fn privilege() -> Option<&'static [&'static str]> {
    let user = shell::read(Command::new("id").arg("-u")).unwrap_or_default();
    if user.trim() == "0" {
        return Some(&[]);
    }
    shell::works(Command::new("sudo").args(["-n", "true"])).then_some(&["sudo", "-n"])
}

fn apt(prefix: &[&str]) -> Command {
    let words = [
        prefix,
        &["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"],
    ]
    .concat();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    command
}

#[cfg(test)]
mod tests {
    use super::{INSTALLER_PACKAGES, Need, PACKAGES, WASM_PACKAGES};

    #[test]
    fn every_package_has_a_reason_and_a_probe() {
        let all = [PACKAGES, WASM_PACKAGES, INSTALLER_PACKAGES];
        for package in all.into_iter().flatten() {
            assert!(
                !package.reason.is_empty() && !package.probe.is_empty(),
                "{package:?}"
            );
        }
    }

    #[test]
    fn tests_need_all_that_a_build_needs() {
        assert!(Need::Build < Need::Tests && Need::Tests < Need::Figures);
    }
}
