//! Hostile bytes: no panic, no unbounded memory, and every byte is accounted for.

use network::rda::{Front, GUID, front};
use network::{fieldtrip, rda};
use proptest::prelude::*;

/// A block of `points` samples of two channels.
fn block(number: u32, points: u32) -> Vec<u8> {
    let mut body = Vec::new();
    for word in [number, points, 0] {
        body.extend(word.to_le_bytes());
    }
    body.extend(vec![0x55; points as usize * 4]);
    let mut bytes = GUID.to_vec();
    bytes.extend((24 + body.len() as u32).to_le_bytes());
    bytes.extend(2_u32.to_le_bytes());
    bytes.extend(body);
    bytes
}

/// Numbers of the blocks found, and bytes that were garbage or are left.
fn read(mut bytes: &[u8]) -> (Vec<u32>, usize, usize) {
    let (mut blocks, mut garbage) = (Vec::new(), 0);
    loop {
        match front(bytes, 2) {
            Front::Incomplete => return (blocks, garbage, bytes.len()),
            Front::Garbage(count) => {
                assert!(count > 0 && count <= bytes.len());
                garbage += count;
                bytes = &bytes[count..];
            }
            Front::Whole(message, count) => {
                if let rda::Message::Data(data) = message {
                    blocks.push(data.block);
                }
                bytes = &bytes[count..];
            }
        }
    }
}

proptest! {
    #[test]
    fn garbage_and_cut_messages_hide_no_whole_one(
        pieces in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..60), 0_usize..60, any::<bool>()), 1..12),
    ) {
        let (mut bytes, mut sent) = (Vec::new(), Vec::new());
        for (number, (garbage, cut, whole)) in (0_u32..).zip(&pieces) {
            // Garbage in the place of what was cut off would make a whole message of other values: nothing in
            // the protocol could tell.
            if sent.last() == number.checked_sub(1).as_ref() {
                bytes.extend(garbage);
            }
            let message = block(number, 5);
            if *whole {
                bytes.extend(&message);
                sent.push(number);
            } else {
                // Cut after its GUID and size, or it would be no message at all.
                bytes.extend(&message[..message.len() - 1 - cut.min(&19)]);
            }
        }
        bytes.extend(block(999, 1));
        sent.push(999);
        let total = bytes.len();
        let (found, garbage, left) = read(&bytes);
        prop_assert_eq!(&found, &sent);
        prop_assert!(garbage + left <= total);
    }

    #[test]
    fn no_bytes_break_a_decoder(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&bytes);
        let _ = fieldtrip::header(&bytes);
        let _ = fieldtrip::data(&bytes, 3, 9);
        let _ = fieldtrip::events(&bytes);
    }
}
