//! Notes, checkpoints and cosignatures against their specifications.

use ledger::{
    Checkpoint, CheckpointError, Digest, KeyKind, NoteError, NoteSigner, SignedCheckpoint,
    SignedNote, VerifierKey,
};
use proptest::prelude::*;

use crate::support::{ORIGIN, checkpoint, entries, log_key};

/// The key and note of golang.org/x/mod/sumdb/note's own tests.
const GO_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const GO_SEED: [u8; 32] = [
    0x81, 0x0a, 0x14, 0x02, 0xd5, 0x14, 0x6c, 0x8d, 0x84, 0xf2, 0x44, 0x33, 0x30, 0xf5, 0x40, 0x80,
    0xeb, 0xf9, 0x8e, 0xe1, 0x7d, 0x9c, 0x74, 0xf6, 0x25, 0x2f, 0xc5, 0xd5, 0xc7, 0x28, 0x31, 0x73,
];
const GO_TEXT: &str = "If you think cryptography is the answer to your problem,\n\
                       then you don't know what your problem is.\n";
const GO_SIGNATURE: &str = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

#[test]
fn the_reference_note_verifies() {
    let key = VerifierKey::parse(GO_KEY).unwrap();
    assert_eq!(key.to_string(), GO_KEY);
    let note = SignedNote::parse(&format!("{GO_TEXT}\n{GO_SIGNATURE}")).unwrap();
    assert_eq!(note.text(), GO_TEXT);
    note.verify(&key).unwrap();
    let changed = note.to_string().replace("cryptography", "cryptographY");
    let error = SignedNote::parse(&changed)
        .unwrap()
        .verify(&key)
        .unwrap_err();
    assert!(matches!(error, NoteError::BadSignature(_)), "{error}");
}

#[test]
fn our_signature_is_the_reference_one() {
    // The reference encodes its seed behind an algorithm byte:
    // PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz
    let signer = NoteSigner::from_seed("PeterNeumann", KeyKind::Ed25519, &GO_SEED).unwrap();
    assert_eq!(signer.verifier().to_string(), GO_KEY);
    let mut note = SignedNote::unsigned(GO_TEXT.into()).unwrap();
    signer.sign(&mut note, 0);
    assert_eq!(note.to_string(), format!("{GO_TEXT}\n{GO_SIGNATURE}"));
}

#[test]
fn every_mangled_key_is_refused() {
    for start in 0..GO_KEY.len() {
        for end in start..=GO_KEY.len() {
            if (start, end) != (0, GO_KEY.len()) {
                assert!(VerifierKey::parse(&GO_KEY[start..end]).is_err());
            }
        }
    }
    for at in 0..GO_KEY.len() {
        let mut bytes = GO_KEY.as_bytes().to_vec();
        bytes[at] += 1;
        assert!(
            VerifierKey::parse(&String::from_utf8(bytes).unwrap()).is_err(),
            "byte {at}"
        );
    }
}

/// The example of C2SP tlog-cosignature: that its lines are read as they are meant, and come out
/// as they went in.
#[test]
fn the_specifications_example_is_read() {
    let text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
        — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
        — witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";
    let signed: SignedCheckpoint = text.parse().unwrap();
    assert_eq!(signed.checkpoint().size, 20_852_163);
    assert_eq!(signed.checkpoint().origin, "example.com/behind-the-sofa");
    assert_eq!(signed.to_string(), text);
    let witness = &signed.note().signatures()[1];
    assert_eq!((witness.key_id, witness.bytes.len()), (0x8d66cf3f, 8 + 64));
    assert_eq!(witness.bytes[..8], 1_679_315_147_u64.to_be_bytes());
}

#[test]
fn a_checkpoint_is_signed_witnessed_and_verified() {
    let mut signed = checkpoint(&entries(5));
    let witness =
        NoteSigner::from_seed("witness.test/w", KeyKind::CosignatureV1, &[2; 32]).unwrap();
    signed.verify(log_key().verifier()).unwrap();
    assert!(
        signed.verify_cosignature(witness.verifier()).is_err(),
        "not witnessed yet"
    );
    let mut copy = signed.clone();
    copy.cosign(&witness, 1_795_460_400).unwrap();
    signed.merge(&copy).unwrap();
    signed.merge(&copy).unwrap();
    assert_eq!(
        signed.note().signatures().len(),
        2,
        "merging twice adds once"
    );
    let read: SignedCheckpoint = signed.to_string().parse().unwrap();
    assert_eq!(read, signed);
    read.verify(log_key().verifier()).unwrap();
    assert_eq!(
        read.verify_cosignature(witness.verifier()).unwrap(),
        1_795_460_400
    );

    let key: VerifierKey = VerifierKey::parse(&witness.verifier().to_string()).unwrap();
    assert_eq!(&key, witness.verifier());
    // Roles are not interchangeable.
    assert!(read.verify(&key).is_err());
    assert!(read.verify_cosignature(log_key().verifier()).is_err());
    let other = NoteSigner::from_seed(ORIGIN, KeyKind::Ed25519, &[9; 32]).unwrap();
    let error = read.verify(other.verifier()).unwrap_err();
    assert!(
        matches!(error, CheckpointError::Note(NoteError::NotSigned(_))),
        "{error:?}"
    );
    let elsewhere = NoteSigner::from_seed("other.test", KeyKind::Ed25519, &[1; 32]).unwrap();
    let error = read.verify(elsewhere.verifier()).unwrap_err();
    assert!(matches!(error, CheckpointError::Origin { .. }), "{error:?}");
}

#[test]
fn what_the_format_cannot_say_is_not_signed() {
    let plain = Checkpoint {
        origin: ORIGIN.into(),
        size: 1,
        root: Digest::ZERO,
        extensions: vec!["extension".into()],
    };
    plain.clone().sign(&log_key()).unwrap();
    for extension in ["", "two\nlines", "tab\t"] {
        let bad = Checkpoint {
            extensions: vec![extension.into()],
            ..plain.clone()
        };
        assert!(bad.sign(&log_key()).is_err(), "{extension:?}");
    }
    assert!(
        Checkpoint {
            origin: "else".into(),
            ..plain
        }
        .sign(&log_key())
        .is_err()
    );
    for name in ["", "with space", "plus+plus", "line\n"] {
        assert!(
            NoteSigner::from_seed(name, KeyKind::Ed25519, &[0; 32]).is_err(),
            "{name:?}"
        );
    }
}

#[test]
fn every_flipped_byte_of_a_checkpoint_is_noticed() {
    let text = checkpoint(&entries(300)).to_string();
    let key = log_key();
    for at in 0..text.len() {
        for bit in 0..8 {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] ^= 1 << bit;
            let Ok(changed) = String::from_utf8(bytes) else {
                continue;
            };
            let held = changed
                .parse::<SignedCheckpoint>()
                .is_ok_and(|signed| signed.verify(key.verifier()).is_ok());
            assert!(!held, "byte {at}, bit {bit}: {changed}");
        }
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "(.|\n|— ){0,200}") {
        let _ = SignedNote::parse(&text);
        let _ = text.parse::<SignedCheckpoint>();
        let _ = VerifierKey::parse(&text);
    }
}
