//! What the tests share.

use contract::{Collected, Device, Driver, ErrorKind, Read, Settings, SystemClock};
use signal::{SampleBlock, Samples, StreamIndex};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub(crate) fn settings(pairs: &[(&str, &str)]) -> Settings {
    (pairs.iter())
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

pub(crate) fn open(driver: &dyn Driver, address: &str, pairs: &[(&str, &str)]) -> Box<dyn Device> {
    driver
        .open(address, &settings(pairs), Arc::new(SystemClock))
        .unwrap()
}

/// Reads to the end, starting again after each disconnection; gives what came and how often the
/// device was gone.
pub(crate) fn read_all(device: &mut dyn Device) -> (Collected, usize) {
    let mut sink = Collected::new(&device.description().streams);
    let mut gone = 0;
    device.start().unwrap();
    loop {
        match device.read(&mut sink, Duration::from_millis(50)) {
            Ok(Read::Ended) => return (sink, gone),
            Ok(_) => {}
            Err(error) if error.kind == ErrorKind::Disconnected => {
                gone += 1;
                device.start().unwrap();
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// The integers of one channel, in order, whatever was lost between.
pub(crate) fn channel(sink: &Collected, stream: u16, channel: usize) -> Vec<i32> {
    blocks(sink, stream)
        .flat_map(|block| row(block, channel))
        .collect()
}

pub(crate) fn blocks(sink: &Collected, stream: u16) -> impl Iterator<Item = &SampleBlock> {
    sink.blocks
        .iter()
        .filter(move |block| block.stream == StreamIndex(stream))
}

pub(crate) fn row(block: &SampleBlock, channel: usize) -> Vec<i32> {
    let range = channel * block.len..(channel + 1) * block.len;
    match &block.samples {
        Samples::I16(values) => values[range]
            .iter()
            .map(|value| i32::from(*value))
            .collect(),
        Samples::I24(values) | Samples::I32(values) => values[range].to_vec(),
        other => panic!("no integers: {other:?}"),
    }
}

/// The folder of real recordings, or `None` after saying so loudly.
pub(crate) fn recordings() -> Option<PathBuf> {
    let folder = match std::env::var_os("NEURASCALE_RECORDINGS") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/recordings"),
    };
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("SKIPPED: no folder of recordings; set NEURASCALE_RECORDINGS");
    None
}

/// Plays bytes back as a file, as fast as possible.
pub(crate) fn play(
    bytes: &[u8],
) -> Result<(Vec<signal::StreamDescription>, Collected), contract::DeviceError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let path = file.path().to_str().unwrap();
    let mut device =
        simulated::Playback.open(path, &settings(&[("speed", "max")]), Arc::new(SystemClock))?;
    let streams = device.description().streams.clone();
    let mut sink = Collected::new(&streams);
    device.start()?;
    while device.read(&mut sink, Duration::ZERO)? != Read::Ended {}
    Ok((streams, sink))
}

/// The error of playing bytes back.
pub(crate) fn refusal(bytes: &[u8]) -> String {
    match play(bytes) {
        Ok(_) => panic!("played"),
        Err(error) => error.to_string(),
    }
}
