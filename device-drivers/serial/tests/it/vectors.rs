//! Bytes and values that others wrote down.

use serial::decoder::{Framer, Packet};
use signal::HostNanos;
use std::path::{Path, PathBuf};

/// The folder of real recordings, or `None` after saying loudly that it is missing.
fn recordings() -> Option<PathBuf> {
    let folder = std::env::var_os("NEURASCALE_RECORDINGS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/recordings"),
        PathBuf::from,
    );
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!(
        "SKIPPED: no folder of real recordings at {}; set NEURASCALE_RECORDINGS",
        folder.display()
    );
    None
}

#[test]
fn every_pattern_of_24_bits_has_its_value() {
    let Some(folder) = recordings() else { return };
    let text = std::fs::read_to_string(folder.join("openbci/cyton_24bit_patterns.txt"))
        .expect("the patterns");
    let mut patterns = 0;
    for line in text.lines() {
        let numbers: Vec<i32> = (line.split_whitespace())
            .filter_map(|word| word.parse().ok())
            .collect();
        let [a, b, c, value] = numbers[..] else {
            continue;
        };
        let byte = |signed: i32| (signed & 0xFF) as u8;
        let mut bytes = [0; 33];
        bytes[0] = 0xA0;
        for at in (2..26).step_by(3) {
            bytes[at..at + 3].copy_from_slice(&[byte(a), byte(b), byte(c)]);
        }
        bytes[32] = 0xC0;
        let packet = Packet::read(&bytes).expect("a packet");
        assert_eq!(packet.values, [value; 8], "{line}");
        patterns += 1;
    }
    assert_eq!(patterns, 4_913, "of the file's patterns");
}

#[test]
fn garbage_costs_no_memory_and_no_panic() {
    let mut framer = Framer::default();
    let mut state = 1_u32;
    let mut packets = 0_u64;
    for n in 0..20_000 {
        let bytes: Vec<u8> = (0..97)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                // Half of the bytes look like starts and footers.
                [0xA0, 0xC0, 0xC6, (state >> 8) as u8][(state >> 30) as usize]
            })
            .collect();
        framer.push(&bytes, HostNanos(n), |_, _| packets += 1);
        framer.flush(HostNanos(n), |_, _| packets += 1);
    }
    assert!(packets > 0);
    assert!(framer.take_skipped() > 0);
}
