//! The station key: sources, protection, recovery.

use std::{ffi::OsString, fs, path::Path};

use store::{
    Store,
    keys::{
        KeyConfig, KeyError, KeySource, Passphrase, RecoveryCode, RecoveryCopy, RecoveryPublicKey,
        StationKey, install, open_sealed, unlock,
    },
};

use crate::support::{key, message, options, rng};

fn config(folder: &Path) -> KeyConfig {
    KeyConfig::new(folder)
}

/// Held against an independent computation (RFC 5869 written out in Python with `hmac`), so that no
/// change can shift a key under existing data.
#[test]
fn derivations_never_change() {
    let key = key();
    let hex = |bytes: &[u8; 32]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    assert_eq!(key.id().to_string(), "bff581e7556c0c90");
    assert_eq!(
        hex(&key.database_key()),
        "eb166bdb78386d078283cc0bbc5858f00853da14185d673e81acf51bbdae4a46"
    );
    assert_eq!(
        hex(&key.recording_key()),
        "019fee4b9ca33d9dbff1caeb2ce5156e66eb8a0804b8a9bb980bf051d5565e12"
    );
    assert_eq!(
        hex(&key.ledger_seed()),
        "19eda94dd5382980d322cc17477e1f66ca3e25ccf2b436363dda7ac83aa95450"
    );
    assert_eq!(
        hex(&key.document_key()),
        "d0b0b019b293e1c3dd8fd692c430076ef44cb5465d01879d1ebf324263ea2d97"
    );
    assert!(
        !format!("{key:?}").contains("2121"),
        "a key shows nothing of itself"
    );
}

#[test]
fn a_first_start_makes_a_key_file_with_a_warning_and_a_code() {
    let folder = tempfile::tempdir().unwrap();
    let first = unlock(&config(folder.path()), &mut rng(1)).unwrap();
    assert_eq!(first.source, KeySource::KeyFile);
    assert!(first.warning.unwrap().contains("plain file"));
    let Some(RecoveryCopy::Code(code)) = first.recovery else {
        panic!("no recovery code")
    };
    let again = unlock(&config(folder.path()), &mut rng(2)).unwrap();
    assert_eq!(again.key, first.key);
    assert!(again.recovery.is_none(), "shown once");

    // Spoken, typed and misread as people do.
    let typed = code
        .to_string()
        .to_lowercase()
        .replace('-', " ")
        .replace('0', "o");
    let recovered: RecoveryCode = typed.parse().unwrap();
    assert_eq!(recovered.into_key(), first.key);
    assert!(!format!("{code:?}").contains(&code.to_string()[..4]));
}

#[test]
fn every_single_wrong_character_of_a_code_is_noticed() {
    let code = RecoveryCode::of(&StationKey::random(&mut rng(3))).to_string();
    for (at, was) in code.char_indices().filter(|(_, c)| *c != '-') {
        for c in "0123456789ABCDEFGHJKMNPQRSTVWXYZU"
            .chars()
            .filter(|c| *c != was)
        {
            let mut wrong = code.clone();
            wrong.replace_range(at..=at, &c.to_string());
            assert!(wrong.parse::<RecoveryCode>().is_err(), "{at} {c}");
        }
    }
    for wrong in ["", "0", &code[1..], &format!("{code}0")] {
        assert!(wrong.parse::<RecoveryCode>().is_err());
    }
}

#[test]
#[cfg(unix)]
fn a_key_file_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    unlock(&config(folder.path()), &mut rng(1)).unwrap();
    let path = folder.path().join("station.key");
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    for mode in [0o640, 0o604, 0o666] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = unlock(&config(folder.path()), &mut rng(1)).unwrap_err();
        assert!(matches!(error, KeyError::Permissions { .. }), "{error}");
        assert!(error.to_string().contains("600"), "{error}");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    unlock(&config(folder.path()), &mut rng(1)).unwrap();
    if std::os::unix::fs::chown(&path, Some(1), None).is_ok() {
        let error = unlock(&config(folder.path()), &mut rng(1)).unwrap_err();
        assert!(matches!(error, KeyError::Owner { found: 1, .. }), "{error}");
    } else {
        eprintln!("SKIPPED: a key file of another user can be made by root only");
    }
}

#[test]
fn a_systemd_credential_comes_first() {
    let folder = tempfile::tempdir().unwrap();
    let credentials = tempfile::tempdir().unwrap();
    let variable =
        |name: &str| (name == "CREDENTIALS_DIRECTORY").then(|| OsString::from(credentials.path()));
    let config = KeyConfig::from_environment(folder.path(), variable);
    let fallback = unlock(&config, &mut rng(1)).unwrap();
    assert_eq!(fallback.source, KeySource::KeyFile, "no such credential");
    let credential = credentials.path().join("neurascale-station-key");
    for content in [
        vec![7_u8; 32],
        "07".repeat(32).into_bytes(),
        ("07".repeat(32) + "\n").into(),
    ] {
        fs::write(&credential, content).unwrap();
        let found = unlock(&config, &mut rng(1)).unwrap();
        assert_eq!(found.source, KeySource::SystemdCredential);
        assert_eq!(found.key, StationKey::from_bytes([7; 32]));
    }
    fs::write(&credential, "too short").unwrap();
    let error = unlock(&config, &mut rng(1)).unwrap_err();
    assert!(
        matches!(error, KeyError::Malformed { .. }),
        "never silently another key: {error}"
    );
}

#[test]
fn a_passphrase_opens_the_key_without_a_prompt() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("passphrase");
    fs::write(&secret, "correct horse battery staple\n").unwrap();
    let variable =
        |name: &str| (name == "NEURASCALE_PASSPHRASE_FILE").then(|| OsString::from(&secret));
    let from_file = KeyConfig::from_environment(folder.path(), variable);
    let first = unlock(&from_file, &mut rng(1)).unwrap();
    assert_eq!(first.source, KeySource::Passphrase);
    assert!(first.warning.is_none());
    assert!(!folder.path().join("station.key").exists());

    let mut typed = config(folder.path());
    let error = unlock(&typed, &mut rng(1)).unwrap_err();
    assert!(matches!(error, KeyError::PassphraseNeeded), "{error}");
    typed.passphrase = Some(Passphrase::new("correct horse battery staple".into()));
    assert_eq!(unlock(&typed, &mut rng(1)).unwrap().key, first.key);
    typed.passphrase = Some(Passphrase::new("another".into()));
    let error = unlock(&typed, &mut rng(1)).unwrap_err();
    assert!(matches!(error, KeyError::WrongPassphrase), "{error}");

    let path = folder.path().join("station.key.wrapped");
    let content = fs::read_to_string(&path).unwrap();
    let greedy = content.replace(
        "\"argon2id_memory_kib\": 65536",
        "\"argon2id_memory_kib\": 4294967295",
    );
    assert_ne!(greedy, content);
    fs::write(&path, greedy).unwrap();
    let error = unlock(&typed, &mut rng(1)).unwrap_err();
    assert!(matches!(error, KeyError::Malformed { .. }), "{error}");
}

#[test]
fn the_recovery_copy_opens_with_the_hospitals_key_alone() {
    let folder = tempfile::tempdir().unwrap();
    // An arbitrary X25519 pair, computed apart from this program.
    let private = hex("77076d0a7318a57d3c16c17251b26645c6c2b0c1b0a5d1b6f6b7f9d9c6d4e0a1").unwrap();
    let public: RecoveryPublicKey =
        "7e57a4e15750c4b2fb2bb41fd5103de43e854ff5e1048c455e6148f275e68637"
            .parse()
            .unwrap();
    let mut config = config(folder.path());
    config.recovery_key = Some(public);
    let first = unlock(&config, &mut rng(1)).unwrap();
    let Some(RecoveryCopy::Sealed(path)) = first.recovery else {
        panic!("not sealed")
    };
    let sealed = fs::read_to_string(path).unwrap();
    assert_eq!(open_sealed(&sealed, &private).unwrap(), first.key);
    let error = open_sealed(&sealed, &[1; 32]).unwrap_err();
    assert!(matches!(error, KeyError::NotSealedToThis), "{error}");
    for (at, _) in sealed.char_indices() {
        let mut changed = sealed.clone().into_bytes();
        changed[at] ^= 1;
        let Ok(changed) = String::from_utf8(changed) else {
            continue;
        };
        if let Ok(key) = open_sealed(&changed, &private) {
            assert_eq!(key, first.key, "only case and white space may differ");
        }
    }
}

fn hex(text: &str) -> Option<[u8; 32]> {
    let parse = |at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..32).map(|i| parse(i * 2)).collect();
    bytes?.try_into().ok()
}

#[tokio::test]
async fn a_lost_key_is_recovered_and_never_silently_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let first = unlock(&config(folder.path()), &mut rng(1)).unwrap();
    Store::open(options(folder.path()), &first.key)
        .await
        .unwrap()
        .close()
        .await;
    let code = RecoveryCode::of(&first.key).to_string();
    fs::remove_file(folder.path().join("station.key")).unwrap();
    let error = unlock(&config(folder.path()), &mut rng(9)).unwrap_err();
    assert!(
        matches!(error, KeyError::Lost { .. }),
        "{}",
        message(&error)
    );
    assert!(error.to_string().contains("recover"), "{error}");

    let key = code.parse::<RecoveryCode>().unwrap().into_key();
    install(folder.path(), &key, None, &mut rng(2)).unwrap();
    let error = install(folder.path(), &key, None, &mut rng(2)).unwrap_err();
    assert!(
        matches!(error, KeyError::Io { .. }),
        "an installed key is not replaced: {error}"
    );
    let found = unlock(&config(folder.path()), &mut rng(3)).unwrap();
    Store::open(options(folder.path()), &found.key)
        .await
        .unwrap()
        .close()
        .await;
}
