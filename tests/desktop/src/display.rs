//! A screen of its own: an X server in memory.

use crate::process::Process;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// An Xvfb with one screen.
#[derive(Debug)]
pub struct Display {
    server: Process,
    name: String,
}

impl Display {
    /// A screen of this many pixels; its number is one that is free.
    ///
    /// # Panics
    /// When Xvfb does not start.
    #[must_use]
    pub fn new(width: u32, height: u32) -> Self {
        let mut server = Process::start(
            Command::new("Xvfb")
                .args(["-displayfd", "1", "-nolisten", "tcp", "-noreset"])
                .args(["-screen", "0", &format!("{width}x{height}x24")])
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::null()),
        );
        let out = server.child().stdout.take().expect("Xvfb's output");
        let mut number = String::new();
        BufReader::new(out)
            .read_line(&mut number)
            .expect("Xvfb says its number");
        let number: u32 = number
            .trim()
            .parse()
            .unwrap_or_else(|_| panic!("Xvfb did not start: {number:?}"));
        Self {
            server,
            name: format!(":{number}"),
        }
    }

    /// The value of DISPLAY.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Kills the X server, as a crash of the display would.
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// Presses a key combination of the keyboard itself ('ctrl+period'), at whatever has the focus.
    ///
    /// # Panics
    /// When xdotool fails.
    pub fn press(&self, keys: &str) {
        self.xdotool(&["key", "--clearmodifiers", keys]);
    }

    /// Gives the keyboard to the program's window: no window manager does it here.
    ///
    /// # Panics
    /// When there is no such window.
    pub fn focus(&self, title: &str) {
        self.xdotool(&[
            "search",
            "--sync",
            "--onlyvisible",
            "--name",
            title,
            "windowfocus",
            "--sync",
        ]);
    }

    /// Titles of the visible windows.
    #[must_use]
    pub fn titles(&self) -> Vec<String> {
        let out = Command::new("xdotool")
            .args([
                "search",
                "--onlyvisible",
                "--name",
                ".",
                "getwindowname",
                "%@",
            ])
            .env("DISPLAY", &self.name)
            .output()
            .expect("run xdotool");
        String::from_utf8_lossy(&out.stdout)
            .lines()
            .map(str::to_owned)
            .collect()
    }

    fn xdotool(&self, arguments: &[&str]) {
        let out = Command::new("xdotool")
            .args(arguments)
            .env("DISPLAY", &self.name)
            .output()
            .expect("run xdotool");
        assert!(out.status.success(), "xdotool {arguments:?}: {out:?}");
    }
}
