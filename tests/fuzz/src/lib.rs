//! What must hold for every input of every parser: no panic, no hang, and what is accepted is written
//! back as it was read. Also included by a test in tests/faults, which replays the corpus.

use std::hint::black_box;

/// Asserts what must hold for one input; true when the parser accepted it.
pub type Target = fn(&[u8]) -> bool;

/// Every parser of bytes that come from outside: files, sockets, other programs.
pub const TARGETS: &[(&str, Target)] = &[
    ("bluetooth_notifications", bluetooth_notifications),
    ("cyton_stream", cyton_stream),
    ("edf_annotations", edf_annotations),
    ("edf_header", edf_header),
    ("edf_records", edf_records),
    ("electrode_positions_toml", electrode_positions_toml),
    ("feed_message", feed_message),
    ("fieldtrip_answer", fieldtrip_answer),
    ("journal_frame", journal_frame),
    ("ledger_checkpoint", ledger_checkpoint),
    ("ledger_note", ledger_note),
    ("ledger_payload", ledger_payload),
    ("ledger_proof", ledger_proof),
    ("montage_toml", montage_toml),
    ("protocol_toml", protocol_toml),
    ("rda_stream", rda_stream),
    ("rpc_request", rpc_request),
    ("scope_feed", scope_feed),
];

/// Notifications of a Bluetooth device, which the first byte chooses; each has its length before it. Values stay
/// within what their converter gives. Accepted: at least one could be read.
pub fn bluetooth_notifications(data: &[u8]) -> bool {
    use bluetooth::decoder::ganglion::{CHANNELS, Decoder, Firmware, Packet, impedance_kohm};
    use bluetooth::decoder::{athena, heart_rate, muse, polar};
    let Some((kind, mut rest)) = data.split_first() else {
        return false;
    };
    let firmware = [Firmware::Two, Firmware::Three][usize::from(kind / 4 % 2)];
    let (mut ganglion, mut read) = (Decoder::new(firmware), 0);
    while let Some((length, after)) = rest.split_first() {
        let (bytes, after) = after.split_at(usize::from(*length).min(after.len()));
        rest = after;
        let understood = match kind % 4 {
            0 => {
                let eeg = muse::eeg(bytes);
                let twelve_bits = |packet: &muse::Packet<12>| {
                    packet.samples.iter().all(|v| (0..1 << 12).contains(v))
                };
                assert!(eeg.as_ref().is_none_or(twelve_bits));
                black_box((muse::ppg(bytes), muse::motion(bytes)));
                let telemetry = muse::telemetry(bytes);
                assert!(telemetry.is_none_or(|t| t.percent() <= 100));
                eeg.is_some() || telemetry.is_some()
            }
            1 => {
                let (mut parts, mut used) = (0, 0);
                let skipped = athena::parts(bytes, |part| {
                    parts += 1;
                    let (channels, samples) = part.kind.shape();
                    used += channels * samples;
                    assert!(channels * samples <= athena::MOST_VALUES);
                    black_box(part.values());
                });
                assert!(skipped + used <= bytes.len(), "more was found than came");
                parts > 0
            }
            2 => match ganglion.take(bytes) {
                Some(Packet::Samples { samples, count, .. }) => {
                    assert!((1..=2).contains(&count) && samples[0].len() == CHANNELS);
                    let converter = -(1 << 23)..1 << 23;
                    assert!(samples.iter().flatten().all(|v| converter.contains(v)));
                    true
                }
                Some(Packet::Impedance { input, text }) => {
                    assert!(input <= CHANNELS);
                    black_box(impedance_kohm(text));
                    true
                }
                other => other.is_some(),
            },
            _ => {
                let beat = heart_rate::measurement(bytes).is_some_and(|found| {
                    assert!(found.intervals().count() <= heart_rate::MOST_INTERVALS);
                    true
                });
                let ecg = polar::ecg(bytes).is_some_and(|frame| {
                    assert!((0..frame.count()).all(|n| frame.sample(n).is_some()));
                    true
                });
                beat || ecg
            }
        };
        read += usize::from(understood);
    }
    read > 0
}

/// What comes from a Cyton's port, whichever way the system cuts it: every byte is in a packet, held or
/// counted as skipped, and halves make no more samples than packets. Accepted: at least one packet was found.
pub fn cyton_stream(data: &[u8]) -> bool {
    let (mut framer, mut pairing) = (
        serial::decoder::Framer::default(),
        serial::decoder::Pairing::default(),
    );
    let (mut packets, mut pairs) = (Vec::new(), 0_usize);
    // The first byte says how the rest is cut.
    let cut = usize::from(data.first().copied().unwrap_or(0)).max(1);
    for (n, bytes) in data.get(1..).unwrap_or_default().chunks(cut).enumerate() {
        let now = signal::HostNanos(n as i64);
        framer.push(bytes, now, |packet, at| packets.push((packet, at)));
    }
    framer.flush(signal::HostNanos(i64::MAX), |packet, at| {
        packets.push((packet, at));
    });
    let skipped = usize::try_from(framer.take_skipped()).expect("fewer than the bytes given");
    let used = packets.len() * 33 + skipped;
    assert!(
        used < data.len().max(1),
        "more bytes are accounted for than came"
    );
    assert!(
        data.len().max(1) - 1 - used < 66,
        "bytes are unaccounted for"
    );
    for (packet, at) in &packets {
        assert!(
            packet
                .values
                .iter()
                .all(|value| (-(1 << 23)..1 << 23).contains(value))
        );
        black_box((packet.acceleration(), packet.board_ms()));
        pairing.push(*packet, *at, |_, _| pairs += 1);
    }
    pairing.flush(signal::HostNanos(i64::MAX), |_, _| pairs += 1);
    assert!(pairs <= packets.len(), "samples were made up");
    !packets.is_empty()
}

/// What comes from an RDA server, for a recording of as many channels as the first byte says: it comes to an
/// end, and blocks hold as many values as they say. Accepted: at least one message was found.
pub fn rda_stream(data: &[u8]) -> bool {
    use network::rda::{Front, Message, front};
    let channels = usize::from(data.first().copied().unwrap_or(1));
    let (mut rest, mut messages) = (data.get(1..).unwrap_or_default(), 0);
    loop {
        let count = match front(rest, channels) {
            Front::Incomplete => return messages > 0,
            Front::Garbage(count) => count,
            Front::Whole(message, count) => {
                messages += 1;
                if let Message::Data(data) = message {
                    let width = if data.float { 4 } else { 2 };
                    assert_eq!(data.values.len(), data.points * channels * width);
                }
                count
            }
        };
        assert!(count > 0 && count <= rest.len(), "no way forward");
        rest = &rest[count..];
    }
}

/// The answers of a FieldTrip buffer; the first byte says which is expected. Accepted: it could be read.
pub fn fieldtrip_answer(data: &[u8]) -> bool {
    use network::fieldtrip::{DataType, data as samples, events, header};
    let (kind, body) = data
        .split_first()
        .map_or((0, data), |(kind, body)| (*kind, body));
    match kind % 3 {
        0 => header(body).is_some_and(|header| {
            assert!(header.names.is_empty() || header.names.len() == header.channels);
            assert!(header.resolutions.is_empty() || header.resolutions.len() == header.channels);
            true
        }),
        1 => samples(body, 2, 9).is_some_and(|(count, values)| {
            let width = DataType::of(9).map_or(0, DataType::width);
            assert_eq!(values.len(), count * 2 * width);
            true
        }),
        _ => events(body).is_some(),
    }
}

/// The headers of EDF and BDF files.
pub fn edf_header(data: &[u8]) -> bool {
    let Ok(header) = simulated::edf::parse_header(data) else {
        return false;
    };
    assert!(
        !header.signals.is_empty(),
        "a header without signals was accepted"
    );
    assert!(
        header.header_bytes <= data.len() as u64,
        "a header longer than its file was accepted"
    );
    // Saturates instead of overflowing, whatever the fields say.
    black_box(header.record_bytes());
    // Held to be identifying: must not reach a log through Debug.
    black_box(format!("{header:?}"));
    true
}

/// Whole EDF and BDF files: the records that the header promises can be read, each as long as it says.
pub fn edf_records(data: &[u8]) -> bool {
    let Ok(mut reader) = simulated::edf::Reader::new(std::io::Cursor::new(data)) else {
        return false;
    };
    let layout = reader.layout();
    assert!(
        layout.records > 0,
        "a file without a whole record was accepted"
    );
    let mut record = Vec::new();
    // The first and the last: those between are read alike.
    for index in [0, layout.records - 1] {
        reader
            .read_record(index, &mut record)
            .expect("a record that the layout counts can be read");
        assert_eq!(record.len() as u64, layout.record_bytes);
        for signal in 0..reader.header().signals.len() {
            let range = reader.signal_range(signal);
            assert!(
                range.end <= record.len(),
                "signal {signal} lies outside the record"
            );
            if reader.header().signals[signal].annotations {
                edf_annotations(&record[range]);
            }
        }
    }
    true
}

/// Every part of the journal's files: heads, frames, tables, samples.
pub fn journal_frame(data: &[u8]) -> bool {
    recording::decode_frame_bytes(data).is_ok()
}

/// Annotation signals of EDF+ and BDF+ records.
pub fn edf_annotations(data: &[u8]) -> bool {
    let Ok(lists) = simulated::edf::parse_annotations(data) else {
        return false;
    };
    let texts: usize = lists
        .iter()
        .flat_map(|list| &list.texts)
        .map(|text| text.chars().count())
        .sum();
    assert!(texts <= data.len(), "more text than bytes");
    assert!(
        lists
            .iter()
            .flat_map(|list| &list.texts)
            .all(|text| !text.is_empty()),
        "an empty text was kept"
    );
    true
}

/// The binary sample feed between engine and clients.
pub fn feed_message(data: &[u8]) -> bool {
    use ui_types::feed::Message;
    let mut rest = data;
    while let Ok(Some((message, used))) = Message::decode(rest) {
        assert!(
            used > 0 && used <= rest.len(),
            "a message of {used} of {} bytes",
            rest.len()
        );
        let mut again = Vec::new();
        message.encode(&mut again);
        let (back, _) = Message::decode(&again)
            .expect("what was encoded decodes")
            .expect("and is whole");
        let mut twice = Vec::new();
        back.encode(&mut twice);
        // Bytes, not values: a NaN is unequal to itself.
        assert_eq!(twice, again, "a message changed on its way");
        rest = &rest[used..];
    }
    rest.is_empty() && !data.is_empty()
}

/// Session protocols.
pub fn protocol_toml(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else {
        return false;
    };
    let Ok(protocol) = clinic::Protocol::parse(text) else {
        return false;
    };
    black_box(protocol.planned_duration());
    let limits = protocol.impedance_limits();
    assert!(
        limits.good_kohm <= limits.acceptable_kohm,
        "limits in disorder were accepted"
    );
    true
}

/// Montages.
pub fn montage_toml(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else {
        return false;
    };
    let Ok(montage) = signal::Montage::parse(text) else {
        return false;
    };
    let mut labels = std::collections::BTreeSet::new();
    for derivation in &montage.derivations {
        assert!(
            labels.insert(&derivation.label),
            "two rows of one label were accepted"
        );
        if let signal::Input::Weighted(weights) = &derivation.input2 {
            let sum: f64 = weights.iter().map(|(_, weight)| weight).sum();
            assert!(
                (sum - 1.0).abs() < 1e-9,
                "weights that add up to {sum} were accepted"
            );
        }
    }
    true
}

/// Electrode positions of systems and caps.
pub fn electrode_positions_toml(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else {
        return false;
    };
    let Ok(positions) = signal::ElectrodePositions::parse(text) else {
        return false;
    };
    for (electrode, place) in positions.iter() {
        let square = place.x * place.x + place.y * place.y + place.z * place.z;
        assert!(
            (square - 1.0).abs() < 1e-6,
            "{electrode} lies off the sphere and was accepted"
        );
    }
    true
}

/// What the canvas of the traces makes of a feed and of a page: it takes them in and can say what it shows.
pub fn scope_feed(data: &[u8]) -> bool {
    let show = |scope: &scope::Scope| {
        let state = scope.state();
        serde_json::to_string(&state).expect("what the canvas shows can be said");
        state.malformed == 0 && !state.rows.is_empty()
    };
    let mut feed = scope::Scope::new(ui_types::ScopeSettings::default());
    feed.begin_feed(1, 0.0);
    // The socket cuts where it likes.
    let (begin, end) = data.split_at(data.len() / 2);
    feed.push(1, begin, 0.0);
    feed.push(1, end, 0.1);
    black_box(feed.wants_frame(9.0));
    let mut page = scope::Scope::new(ui_types::ScopeSettings {
        mode: ui_types::ScopeMode::Review,
        ..ui_types::ScopeSettings::default()
    });
    page.show_page(data);
    black_box(show(&page));
    show(&feed)
}

/// Signed notes and the keys that verify them.
pub fn ledger_note(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else {
        return false;
    };
    if let Ok(note) = ledger::SignedNote::parse(text) {
        let written = note.to_string();
        let again = ledger::SignedNote::parse(&written).expect("a written note is read");
        assert_eq!(again.text(), note.text());
        assert_eq!(again.signatures().len(), note.signatures().len());
        return true;
    }
    let Ok(key) = ledger::VerifierKey::parse(text) else {
        return false;
    };
    assert_eq!(
        ledger::VerifierKey::parse(&key.to_string()).as_ref(),
        Ok(&key)
    );
    true
}

/// Checkpoints of the ledger.
pub fn ledger_checkpoint(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else {
        return false;
    };
    let Ok(checkpoint) = text.parse::<ledger::SignedCheckpoint>() else {
        return false;
    };
    let again: ledger::SignedCheckpoint = checkpoint
        .to_string()
        .parse()
        .expect("a written checkpoint is read");
    assert_eq!(again.checkpoint(), checkpoint.checkpoint());
    true
}

/// Canonical payloads: one spelling for one value, or nothing.
pub fn ledger_payload(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else {
        return false;
    };
    let Ok(payload) = ledger::CanonicalJson::parse(text) else {
        return false;
    };
    assert_eq!(
        payload.as_str(),
        text,
        "what is canonical is kept byte for byte"
    );
    let value = payload.to_value().expect("a canonical payload is JSON");
    let again = ledger::CanonicalJson::from_value(&value).expect("its value has a canonical form");
    assert_eq!(again.as_str(), text);
    true
}

/// Proof bundles, which come from whoever wants to be believed.
pub fn ledger_proof(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else {
        return false;
    };
    let Ok(bundle) = ledger::ProofBundle::from_json(text) else {
        return false;
    };
    black_box(format!("{bundle:?}"));
    true
}

/// Requests at the engine's socket, from any program of the same person: a line with the call's name, then
/// its body.
pub fn rpc_request(data: &[u8]) -> bool {
    fn check<C: ui_types::Call>(name: &str, body: &[u8]) -> bool {
        name == C::NAME && body_of::<C>(name, body)
    }
    fn body_of<C: serde::Serialize + serde::de::DeserializeOwned>(name: &str, body: &[u8]) -> bool {
        let Ok(call) = serde_json::from_slice::<C>(body) else {
            return false;
        };
        let written = serde_json::to_value(&call).expect("a request that was read can be written");
        let again: C = serde_json::from_value(written.clone()).expect("and read again");
        assert_eq!(
            serde_json::to_value(&again).expect("and written"),
            written,
            "{name}"
        );
        true
    }
    let mut parts = data.splitn(2, |byte| *byte == b'\n');
    let name = parts
        .next()
        .and_then(|name| std::str::from_utf8(name).ok())
        .unwrap_or_default();
    let body = parts.next().unwrap_or_default();
    match name {
        // These two answer with bytes instead of JSON.
        "feed" => return body_of::<ui_types::FeedRequest>(name, body),
        "page" => return body_of::<ui_types::PageRequest>(name, body),
        _ => {}
    }
    check::<ui_types::AnnotationAdd>(name, body)
        || check::<ui_types::BackupCreate>(name, body)
        || check::<ui_types::EmergencyStop>(name, body)
        || check::<ui_types::EventsReplay>(name, body)
        || check::<ui_types::ExportCreate>(name, body)
        || check::<ui_types::LedgerShow>(name, body)
        || check::<ui_types::PatientConsent>(name, body)
        || check::<ui_types::PatientRegister>(name, body)
        || check::<ui_types::SessionAnnotate>(name, body)
        || check::<ui_types::SessionReassign>(name, body)
        || check::<ui_types::SessionStart>(name, body)
}

/// A changed copy of `input`: bits flipped, pieces cut out, doubled, moved, cut short or overwritten with
/// values that break arithmetic. The same seed gives the same copy.
pub fn mutated(input: &[u8], seed: u64) -> Vec<u8> {
    let mut random = SplitMix(seed);
    let mut bytes = input.to_vec();
    for _ in 0..1 + random.below(4) {
        let at = random.below(bytes.len() + 1);
        let end = (at + 1 + random.below(32)).min(bytes.len());
        match random.below(7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => {
                bytes[at] = u8::try_from(random.below(256)).unwrap_or_default();
            }
            2 => bytes.truncate(at),
            3 if at < end => drop(bytes.drain(at..end)),
            4 if at < end => {
                let piece = bytes[at..end].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, piece);
            }
            5 if at < bytes.len() => {
                let value = [0x00, 0x7f, 0x80, 0xff, b'-', b'9', b' ', b'\n'][random.below(8)];
                bytes[at..end].fill(value);
            }
            _ => bytes.insert(at, u8::try_from(random.below(256)).unwrap_or_default()),
        }
    }
    bytes
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, seeded, the same everywhere.
struct SplitMix(u64);

impl SplitMix {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % (bound.max(1) as u64)).unwrap_or_default()
    }
}
