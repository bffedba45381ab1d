//! The rules of resolution, one by one, and as properties over any montage and any channels.

use proptest::prelude::*;
use signal::{
    Blank, Channel, ChannelKind, Electrode, Montage, Reference, ResolvedDerivation, Unit,
    as_recorded,
};

fn cap(names: &[&str], reference: &Reference) -> Vec<Channel> {
    names
        .iter()
        .map(|name| Channel::eeg(name, 0.1, reference.clone()))
        .collect()
}

fn named(name: &str) -> Reference {
    Reference::Named(name.to_owned())
}

/// The derivation called `label` in a montage of that one derivation.
fn one(label: &str, channels: &[Channel], rejected: &[usize]) -> ResolvedDerivation {
    let text = format!(
        "name = 't'\ntitle = 't'\nsystem = '10-20'\n\
         [[chain]]\nname = 'c'\nderivations = ['{label}']\n\
         [neighbours]\nC3 = {{ F3 = 1.0, Cz = 1.0, P3 = 2.0 }}\n"
    );
    Montage::parse(&text)
        .unwrap()
        .resolve(channels, rejected)
        .remove(0)
}

/// Weights as (label, weight), labels in the channels' order.
fn weights(derivation: &ResolvedDerivation, channels: &[Channel]) -> Vec<(String, f64)> {
    let each = derivation.weights.iter();
    each.map(|w| (channels[w.channel].label.clone(), w.weight))
        .collect()
}

#[track_caller]
fn check(label: &str, channels: &[Channel], expected: &[(&str, f64)]) {
    let found = one(label, channels, &[]);
    assert_eq!(found.blank, None, "{label}");
    let expected: Vec<_> = expected
        .iter()
        .map(|(name, w)| ((*name).to_owned(), *w))
        .collect();
    assert_eq!(weights(&found, channels), expected, "{label}");
}

#[track_caller]
fn check_blank(label: &str, channels: &[Channel], expected: &Blank) {
    let found = one(label, channels, &[]);
    assert_eq!(found.blank.as_ref(), Some(expected), "{label}");
    assert!(found.weights.is_empty());
}

fn missing(names: &[&str]) -> Blank {
    Blank::Missing(names.iter().map(|name| (*name).to_owned()).collect())
}

#[test]
fn a_difference_is_input_1_less_input_2() {
    let channels = cap(&["F7", "Fp1"], &Reference::Unknown);
    check("Fp1-F7", &channels, &[("F7", -1.0), ("Fp1", 1.0)]);
}

#[test]
fn old_and_new_names_are_one() {
    let channels = cap(&["T3", "T5", "FP1"], &Reference::Unknown);
    check("T7-P7", &channels, &[("T3", 1.0), ("T5", -1.0)]);
    check("T3-T5", &channels, &[("T3", 1.0), ("T5", -1.0)]);
    check("Fp1-T7", &channels, &[("T3", -1.0), ("FP1", 1.0)]);
}

#[test]
fn the_named_reference_is_an_input_of_zero() {
    let channels = cap(&["C3", "Pz"], &named("Cz"));
    check("Cz-Pz", &channels, &[("Pz", -1.0)]);
    check("C3-Cz", &channels, &[("C3", 1.0)]);
    check("C3-Pz", &channels, &[("C3", 1.0), ("Pz", -1.0)]);
    check_blank("Cz-Fz", &channels, &missing(&["Cz", "Fz"]));
}

#[test]
fn what_is_missing_is_named() {
    let channels = cap(&["Fp1"], &Reference::Unknown);
    check_blank("Fp1-F7", &channels, &missing(&["F7"]));
    check_blank("F7-T7", &channels, &missing(&["F7", "T7"]));
    check_blank("ECG", &channels, &missing(&["ECG"]));
    assert_eq!(
        one("Fp1-F7", &channels, &[]).blank.unwrap().to_string(),
        "not recorded: F7"
    );
}

#[test]
fn references_that_differ_do_not_cancel() {
    let mut channels = cap(&["C3"], &named("A2"));
    channels.extend(cap(&["C4"], &named("A1")));
    let differ = Blank::References(vec!["A2".to_owned(), "A1".to_owned()]);
    check_blank("C3-C4", &channels, &differ);
    check("C3-A2", &channels, &[("C3", 1.0)]);
    check("C4-A1", &channels, &[("C4", 1.0)]);
    channels[1].reference = Reference::Unknown;
    assert!(matches!(
        one("C3-C4", &channels, &[]).blank,
        Some(Blank::References(_))
    ));
    assert!(matches!(
        one("C3-AVG", &channels, &[]).blank,
        Some(Blank::References(_))
    ));
}

#[test]
fn bipolar_channels_serve_the_derivation_they_are() {
    let mut channels = cap(&["Fp1"], &Reference::Bipolar("F7".to_owned()));
    channels.extend(cap(&["T3"], &Reference::Bipolar("F7".to_owned())));
    check("Fp1-F7", &channels, &[("Fp1", 1.0)]);
    check("F7-T7", &channels, &[("T3", -1.0)]);
    check_blank("Fp1-REF", &channels, &missing(&["Fp1"]));
    check_blank("Fp1-T7", &channels, &missing(&["Fp1", "T7"]));
}

#[test]
fn averages_list_whom_they_hold() {
    let mut channels = cap(&["Fp1", "C3", "C4", "A1", "M2", "O1"], &Reference::Unknown);
    channels[5].kind = ChannelKind::Eog;
    let found = one("C3-AVG", &channels, &[]);
    assert_eq!(found.members, ["Fp1", "C3", "C4"]);
    let third = 1.0 / 3.0;
    let expected = [("Fp1", -third), ("C3", 1.0 - third), ("C4", -third)];
    check("C3-AVG", &channels, &expected);
    let found = one("C3-AVG", &channels, &[2]);
    assert_eq!(found.members, ["Fp1", "C3"]);
    // A rejected electrode is still shown against the others, and said to be rejected.
    let found = one("C4-AVG", &channels, &[2]);
    assert_eq!(
        (found.members.len(), found.rejected),
        (2, vec!["C4".to_owned()])
    );
    let average = Montage::by_name("average-10-20")
        .unwrap()
        .clone()
        .without_frontal_in_average();
    let found = average.resolve(&channels, &[]);
    let fp1 = found.iter().find(|d| d.label == "Fp1-AVG").unwrap();
    assert_eq!(fp1.members, ["C3", "C4"]);
    assert_eq!(
        one("C3-AVG", &channels[..1], &[]).blank,
        Some(missing(&["C3"]))
    );
}

#[test]
fn a_scalp_reference_belongs_to_the_average() {
    let channels = cap(&["C3", "C4"], &named("Cz"));
    let found = one("Cz-AVG", &channels, &[]);
    assert_eq!(found.members, ["C3", "Cz", "C4"]);
    check(
        "Cz-AVG",
        &channels,
        &[("C3", -1.0 / 3.0), ("C4", -1.0 / 3.0)],
    );
    let ear = cap(&["C3", "C4"], &named("A1"));
    assert_eq!(one("C3-AVG", &ear, &[]).members, ["C3", "C4"]);
}

#[test]
fn rejected_neighbours_are_left_out_and_missing_ones_blank() {
    let channels = cap(&["C3", "F3", "Cz", "P3"], &Reference::Unknown);
    check(
        "C3-LAP",
        &channels,
        &[("C3", 1.0), ("F3", -0.25), ("Cz", -0.25), ("P3", -0.5)],
    );
    let found = one("C3-LAP", &channels, &[3]);
    assert_eq!(found.members, ["Cz", "F3"]);
    assert_eq!(
        weights(&found, &channels)[1..],
        [("F3".to_owned(), -0.5), ("Cz".to_owned(), -0.5)]
    );
    check_blank("C3-LAP", &channels[..3], &missing(&["P3"]));
}

#[test]
fn a_referential_label_names_the_reference() {
    let label = |reference: Reference| one("C3-REF", &cap(&["C3"], &reference), &[]).label;
    assert_eq!(label(named("a1")), "C3-A1");
    assert_eq!(label(Reference::Average), "C3-AVG");
    assert_eq!(label(Reference::Unknown), "C3-REF");
}

#[test]
fn what_is_no_voltage_is_not_drawn_as_one() {
    let mut channels = cap(&["C3", "C4"], &Reference::Unknown);
    channels[1].unit = Unit::Count;
    check_blank("C3-C4", &channels, &Blank::NotAVoltage("C4".to_owned()));
    assert_eq!(one("C3-AVG", &channels, &[]).members, ["C3"]);
    let shown = as_recorded(&channels, &[1]);
    assert_eq!(shown[0].blank, None);
    assert_eq!(shown[1].rejected, ["C4"]);
    assert!(shown[1].blank.is_some());
}

#[test]
fn faulty_montages_are_refused() {
    let text = |derivations: &str, rest: &str| {
        format!(
            "name = 't'\ntitle = 't'\nsystem = 's'\n{rest}[[chain]]\nname = 'c'\nderivations = {derivations}\n"
        )
    };
    for (derivations, rest) in [
        ("['Fp1-']", ""),
        ("['Fp1']", ""),
        ("['Fp1-F7-T7']", ""),
        ("['Fp1-F7', 'Fp1-F7']", ""),
        ("['C3-LAP']", ""),
        ("['C3-LAP']", "neighbours = { C3 = { F3 = -1.0 } }\n"),
        ("['C3-LAP']", "neighbours = { C3 = { C3 = 1.0 } }\n"),
        ("['C3-AVG']", "leave_out = ['Q9']\n"),
        ("['C3-AVG']", "unheard_of = 1\n"),
        ("3", ""),
    ] {
        assert!(
            Montage::parse(&text(derivations, rest)).is_err(),
            "{derivations} {rest}"
        );
    }
    assert!(Montage::parse(&text("['LA1-LA2']", "")).is_ok());
}

fn reference() -> impl Strategy<Value = Reference> {
    prop_oneof![
        3 => Just(Reference::Unknown),
        1 => Just(named("Cz")),
        1 => Just(named("A1")),
        1 => Just(Reference::Average),
        1 => Just(Reference::Bipolar("F7".to_owned())),
    ]
}

proptest! {
    /// Were every electrode's potential known, each derivation that is not blank would show exactly
    /// the difference that its inputs promise, whatever is recorded against what.
    #[test]
    fn what_is_shown_is_what_is_promised(
        picks in prop::collection::vec((0_usize..93, reference()), 1..40),
        montage in 0_usize..11,
        rejected in prop::collection::vec(0_usize..40, 0..4),
    ) {
        let all: Vec<Electrode> = Electrode::all().collect();
        let channels: Vec<Channel> = picks
            .iter()
            .map(|(at, reference)| Channel::eeg(all[*at].name(), 0.1, reference.clone()))
            .collect();
        let potential = |name: &str| {
            let at = all.iter().position(|e| Some(*e) == Electrode::parse(name)).unwrap();
            ((at * 7919) % 1009) as f64
        };
        let against = |reference: &Reference| match reference {
            Reference::Unknown => 123.0,
            Reference::Average => 77.0,
            Reference::Named(name) | Reference::Bipolar(name) => potential(name),
        };
        let recorded = |channel: &Channel| {
            potential(channel.electrode.as_deref().unwrap()) - against(&channel.reference)
        };
        let montage = &Montage::shipped()[montage];
        for (derivation, resolved) in montage.derivations.iter().zip(montage.resolve(&channels, &rejected)) {
            let shown: f64 =
                resolved.weights.iter().map(|w| w.weight * recorded(&channels[w.channel])).sum();
            if resolved.blank.is_some() {
                prop_assert!(resolved.weights.is_empty());
                continue;
            }
            let (first, second) = derivation.label.split_once('-').unwrap();
            let mean = |members: &[String]| {
                members.iter().map(|m| potential(m)).sum::<f64>() / members.len() as f64
            };
            let expected = match second {
                "AVG" => potential(first) - mean(&resolved.members),
                "REF" | "LAP" => continue,
                other => potential(first) - potential(other),
            };
            prop_assert!((shown - expected).abs() < 1e-6, "{} {} {}", resolved.label, shown, expected);
            let ascending = resolved.weights.windows(2).all(|pair| pair[0].channel < pair[1].channel);
            prop_assert!(ascending);
        }
    }
}
