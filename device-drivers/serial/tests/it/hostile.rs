//! What is no board, or none that answers.

use crate::{Board, clock};
use contract::{Driver as _, ErrorKind, Settings};
use emulators::Script;
use serial::CytonDriver;
use std::time::{Duration, Instant};

fn refused(script: &str) -> (ErrorKind, String, Duration) {
    let board = Board::new(|config| config.script = Script::parse(script).expect("a script"));
    let began = Instant::now();
    let error = board.open(&[]).expect_err("no board");
    (error.kind, error.to_string(), began.elapsed())
}

#[test]
fn a_board_that_never_answers_is_told_within_5_s_and_what_to_look_at() {
    let (kind, text, took) = refused("[answers]\nnever = true");
    assert_eq!(kind, ErrorKind::Protocol);
    assert!(
        text.contains("battery") && text.contains("dongle"),
        "{text}"
    );
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn wrong_answers_are_quoted() {
    let (kind, text, _) = refused("[answers]\ninstead = { v = \"hello there\" }");
    assert_eq!(kind, ErrorKind::Protocol);
    assert!(text.contains("hello there"), "{text}");
    let (kind, text, _) =
        refused("[answers]\ninstead = { x3060110X = \"Failure: too few chars\" }");
    assert_eq!(kind, ErrorKind::Protocol);
    assert!(
        text.contains("x3060110X") && text.contains("Failure"),
        "{text}"
    );
    let (_, text, _) = refused("[answers]\ninstead = { v = \"OpenBCI V3\\nFirmware: v1.0\" }");
    assert!(text.contains("firmware"), "{text}");
}

#[test]
fn a_port_that_is_none_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    std::fs::write(&file, "no port").expect("written");
    let opened = CytonDriver.open(file.to_str().expect("a text"), &Settings::new(), clock());
    assert!(opened.is_err());
    let opened = CytonDriver.open("/dev/no-such-port", &Settings::new(), clock());
    assert_eq!(opened.expect_err("no port").kind, ErrorKind::NotFound);
}

#[test]
fn a_daisy_that_is_not_there_cannot_be_asked_for() {
    let board = Board::new(|_| {});
    let error = board.open(&[("daisy", "on")]).expect_err("no Daisy");
    assert_eq!(error.kind, ErrorKind::Settings);
}
