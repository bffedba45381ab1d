//! The board's commands and what it answers (OpenBCI 'Cyton Board SDK'; firmware 3).

use crate::limits::{ANSWER, GREETING, RESETS};
use crate::link::Link;
use crate::settings::{BoardMode, CytonSettings};
use contract::{DeviceError, ErrorKind};

/// Names of the 16 channels in commands.
const CHANNELS: [char; 16] = [
    '1', '2', '3', '4', '5', '6', '7', '8', 'Q', 'W', 'E', 'R', 'T', 'Y', 'U', 'I',
];

/// What the board said when it was reset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Greeting {
    pub(crate) firmware: String,
    pub(crate) daisy: bool,
}

/// Resets the board and reads its greeting.
pub(crate) fn reset(link: &mut Link, operation: &str) -> Result<Greeting, DeviceError> {
    link.send(operation, "s")?;
    link.drain(operation)?;
    for _ in 0..RESETS {
        if let Some(text) = link.ask(operation, "v", GREETING)? {
            return greeting(operation, &text);
        }
    }
    Err(DeviceError::new(
        ErrorKind::Protocol,
        operation,
        "the board does not answer: check its battery and its switch (PC), and the dongle's (GPIO 6)",
    ))
}

/// A greeting such as 'OpenBCI V3 8-16 channel … LIS3DH Device ID: 0x33 / Firmware: v3.1.2'.
fn greeting(operation: &str, text: &str) -> Result<Greeting, DeviceError> {
    let said: String = text.chars().filter(|c| !c.is_control()).take(60).collect();
    if text.contains("Device failed to poll Host") || text.contains("No Board") {
        return Err(DeviceError::new(
            ErrorKind::Protocol,
            operation,
            "the dongle does not reach the board: switch the board on, or bring it nearer",
        ));
    }
    if !text.contains("OpenBCI V3") {
        return Err(DeviceError::new(
            ErrorKind::Protocol,
            operation,
            format!("this is no OpenBCI Cyton; it answers '{said}'"),
        ));
    }
    let firmware = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("Firmware:"))
        .map(|version| version.trim().trim_start_matches('v').to_owned())
        .unwrap_or_default();
    // Firmware 1 has neither channel settings with answers nor time stamps.
    if !(firmware.starts_with("2.") || firmware.starts_with("3.")) {
        return Err(DeviceError::new(
            ErrorKind::Protocol,
            operation,
            format!("its firmware '{firmware}' is not known here; 2 and 3 are: update the board"),
        ));
    }
    Ok(Greeting {
        firmware,
        daisy: text.contains("On Daisy ADS1299"),
    })
}

/// Sends a command and requires its answer to contain `word`.
pub(crate) fn command(
    link: &mut Link,
    operation: &str,
    command: &str,
    word: &str,
) -> Result<(), DeviceError> {
    match link.ask(operation, command, ANSWER)? {
        Some(answer) if answer.contains(word) => Ok(()),
        Some(answer) => {
            let said: String = answer
                .chars()
                .filter(|c| !c.is_control())
                .take(60)
                .collect();
            Err(DeviceError::new(
                ErrorKind::Protocol,
                operation,
                format!(
                    "the board answers '{said}' to '{command}' where '{word}' is expected; switch it off and on"
                ),
            ))
        }
        None => Err(DeviceError::new(
            ErrorKind::Disconnected,
            operation,
            format!("the board does not answer '{command}'"),
        )),
    }
}

/// Brings a freshly reset board to `settings`, every step verified by its answer.
pub(crate) fn configure(
    link: &mut Link,
    operation: &str,
    settings: &CytonSettings,
    daisy: bool,
) -> Result<(), DeviceError> {
    if daisy {
        command(link, operation, "C", "16")?;
    } else {
        command(link, operation, "c", "8")?;
    }
    let count = if daisy { 16 } else { 8 };
    for channel in 0..count {
        input(link, operation, channel, settings.gain.code, '0')?;
    }
    let mode = match settings.mode {
        BoardMode::Accelerometer => ("/0", "default"),
        BoardMode::Analog => ("/2", "analog"),
        BoardMode::Digital => ("/3", "digital"),
        BoardMode::Marker => ("/4", "marker"),
    };
    command(link, operation, mode.0, mode.1)?;
    if settings.stamps {
        command(link, operation, "<", "ON")?;
    }
    Ok(())
}

/// Connects a channel's input: '0' to its electrode, '5' to the test signal. In bias, with SRB2 as reference,
/// without SRB1: the board's default.
pub(crate) fn input(
    link: &mut Link,
    operation: &str,
    channel: usize,
    gain: char,
    source: char,
) -> Result<(), DeviceError> {
    let name = CHANNELS.get(channel).copied().unwrap_or('1');
    let bias = if source == '0' { "110" } else { "000" };
    let text = format!("x{name}0{gain}{source}{bias}X");
    command(link, operation, &text, "Channel set for")
}

/// The command that switches the test current at a channel's electrode; the electrode is at the negative input
/// where the wiring inverts.
pub(crate) fn lead_off(channel: usize, inverting: bool, on: bool) -> String {
    let name = CHANNELS.get(channel).copied().unwrap_or('1');
    let (p, n) = match (on, inverting) {
        (false, _) => (0, 0),
        (true, true) => (0, 1),
        (true, false) => (1, 0),
    };
    format!("z{name}{p}{n}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "OpenBCI V3 8-16 channel\r\nOn Board ADS1299 Device ID: 0x3E\r\nOn Daisy ADS1299 Device ID: 0x3E\r\nLIS3DH Device ID: 0x33\r\nFirmware: v3.1.2\r\n";

    #[test]
    fn a_greeting_tells_firmware_and_daisy() {
        let told = greeting("open", WHOLE).expect("a greeting");
        assert_eq!((told.firmware.as_str(), told.daisy), ("3.1.2", true));
        let without = WHOLE.replace("On Daisy ADS1299 Device ID: 0x3E\r\n", "");
        assert!(!greeting("open", &without).expect("a greeting").daisy);
    }

    #[test]
    fn what_is_no_cyton_is_told_so() {
        for (text, word) in [
            ("hello", "no OpenBCI"),
            ("OpenBCI V3 16 channel\nFirmware: v1.0", "firmware"),
            ("OpenBCI V3", "firmware"),
            (
                "Failure: Communications timeout - Device failed to poll Host",
                "dongle",
            ),
        ] {
            let error = greeting("open", text).expect_err(text);
            assert_eq!(error.kind, ErrorKind::Protocol);
            assert!(error.message.contains(word), "{text}: {}", error.message);
        }
    }

    #[test]
    fn the_current_goes_to_the_side_of_the_electrode() {
        assert_eq!(lead_off(2, true, true), "z301Z");
        assert_eq!(lead_off(8, false, true), "zQ10Z");
        assert_eq!(lead_off(15, true, false), "zI00Z");
    }
}
