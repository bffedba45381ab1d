//! Every shipped montage, resolved over a full cap, against golden/montages.txt.

use signal::{Channel, ChannelKind, ElectrodePositions, Input, Montage, Reference};
use std::fmt::Write as _;
use std::path::Path;

/// A cap of the montage's own system with ECG, against an unknown reference.
fn cap(system: &str) -> Vec<Channel> {
    let positions = match system {
        "10-20" => ElectrodePositions::ten_twenty(),
        _ => ElectrodePositions::ten_ten(),
    };
    let names = positions.iter().map(|(electrode, _)| electrode.name());
    let mut channels: Vec<Channel> = names
        .map(|name| Channel::eeg(name, 0.1, Reference::Unknown))
        .collect();
    let mut ecg = Channel::eeg("ECG", 0.1, Reference::Unknown);
    ecg.kind = ChannelKind::Ecg;
    ecg.electrode = None;
    channels.push(ecg);
    channels
}

/// One line a derivation: label, chain, colour, weights by channel label.
fn written(montage: &Montage) -> String {
    let channels = cap(&montage.system);
    let mut text = format!("== {} | {}\n", montage.name, montage.title);
    for derivation in montage.resolve(&channels, &[]) {
        assert_eq!(
            derivation.blank, None,
            "{} of {}",
            derivation.label, montage.name
        );
        write!(
            text,
            "{} | {} | {:?} |",
            derivation.label, derivation.chain, derivation.colour
        )
        .unwrap();
        let averaged = derivation.members.len() > 10;
        for weight in &derivation.weights {
            if averaged && weight.weight < 0.0 {
                continue;
            }
            write!(
                text,
                " {:+.4} {}",
                weight.weight, channels[weight.channel].label
            )
            .unwrap();
        }
        if averaged {
            write!(text, " of {} averaged", derivation.members.len()).unwrap();
        }
        text.push('\n');
    }
    text
}

#[test]
fn shipped_montages_are_as_they_were() {
    let found: String = Montage::shipped().iter().map(written).collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden/montages.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &found).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    for (number, (found, kept)) in found.lines().zip(kept.lines()).enumerate() {
        assert_eq!(found, kept, "line {}", number + 1);
    }
    assert_eq!(found.len(), kept.len());
}

#[test]
fn ecg_is_at_the_bottom_and_every_file_is_shipped() {
    for montage in Montage::shipped() {
        assert_eq!(
            montage.derivations.last().unwrap().label,
            "ECG",
            "{}",
            montage.name
        );
        assert_eq!(Montage::by_name(&montage.name), Some(montage));
    }
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../assets/montages");
    let files = std::fs::read_dir(assets).unwrap().count();
    assert_eq!(files, Montage::shipped().len());
}

#[test]
fn laplacian_weights_are_inverse_distances() {
    let at = |name: &str| {
        let electrode = signal::Electrode::parse(name).unwrap();
        ElectrodePositions::ten_ten().get(electrode).unwrap()
    };
    for system in ["10-20", "10-10"] {
        let montage = Montage::by_name(&format!("laplacian-{system}")).unwrap();
        for derivation in &montage.derivations {
            let (Input::Electrode(centre), Input::Weighted(list)) =
                (&derivation.input1, &derivation.input2)
            else {
                continue;
            };
            let nearness = |name: &str| 1.0 / at(centre).angle_to(at(name));
            let whole: f64 = list.iter().map(|(name, _)| nearness(name)).sum();
            assert!((3..=5).contains(&list.len()), "{centre}");
            for (name, weight) in list {
                let expected = nearness(name) / whole;
                assert!(
                    (weight - expected).abs() < 2e-4,
                    "{centre} {name}: {weight} {expected}"
                );
            }
        }
    }
}
