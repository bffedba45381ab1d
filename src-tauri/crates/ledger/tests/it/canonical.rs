//! Canonical JSON against RFC 8785 and random values.

use ledger::{CanonicalError, CanonicalJson};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

#[test]
fn members_are_ordered_as_in_rfc_8785_section_3_2_3() {
    let value: Value = serde_json::from_str(
        r#"{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh",
            "1":"One","\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control",
            "\u00f6":"Latin Small Letter O With Diaeresis"}"#,
    )
    .unwrap();
    let canonical = CanonicalJson::from_value(&value).unwrap();
    let places: Vec<_> = [
        "Carriage Return",
        "One",
        "Control",
        "Latin Small Letter O",
        "Euro Sign",
        "Emoji",
        "Hebrew",
    ]
    .iter()
    .map(|text| canonical.as_str().find(text).unwrap())
    .collect();
    assert!(places.is_sorted(), "{}", canonical.as_str());
}

#[test]
fn the_example_of_rfc_8785_section_3_2_2() {
    let value: Value = serde_json::from_str(
        r#"{"numbers":[333333333.33333329,4.50,2e-3,0.000000000000000000000000001],
            "string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}"#,
    )
    .unwrap();
    let expected = "{\"literals\":[null,true,false],\
        \"numbers\":[333333333.3333333,4.5,0.002,1e-27],\
        \"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}";
    assert_eq!(
        CanonicalJson::from_value(&value).unwrap().as_str(),
        expected
    );
}

#[test]
fn refuses_what_a_double_cannot_say_and_other_spellings() {
    let limit = 9_007_199_254_740_991_i64;
    for fine in [json!(limit), json!(-limit), json!(9.0e15)] {
        CanonicalJson::from_value(&fine).unwrap();
    }
    for refused in [
        json!(limit + 1),
        json!(-limit - 1),
        json!(u64::MAX),
        json!(1e16),
    ] {
        let error = CanonicalJson::from_value(&refused).unwrap_err();
        assert!(
            matches!(error, CanonicalError::NumberTooLarge(_)),
            "{error}"
        );
    }
    for text in [
        "{ }",
        "{\"b\":1,\"a\":2}",
        "1.0",
        "1e0",
        "\"\\u0041\"",
        "{\"a\":1,\"a\":1}",
        "-0",
        "[1,]",
        "",
    ] {
        assert!(CanonicalJson::parse(text).is_err(), "{text}");
    }
    let deep = (0..200).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
    assert!(matches!(
        CanonicalJson::from_value(&deep),
        Err(CanonicalError::TooDeep)
    ));
    let long = Value::from("x".repeat(ledger::limits::MAX_PAYLOAD_BYTES));
    assert!(matches!(
        CanonicalJson::from_value(&long),
        Err(CanonicalError::TooLong(_))
    ));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-9_007_199_254_740_991_i64..=9_007_199_254_740_991).prop_map(Value::from),
        any::<f64>()
            .prop_filter("in range", |f| f.is_finite() && f.abs() < 9.0e15)
            .prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..6)
                .prop_map(|members| Value::Object(Map::from_iter(members))),
        ]
    })
}

/// Equality of values as doubles see them: 1 and 1.0 are one number in JSON.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| same(v, w)))
        }
        _ => a == b,
    }
}

proptest! {
    #[test]
    fn canonical_text_means_the_same_and_is_stable(value in any_json()) {
        let canonical = CanonicalJson::from_value(&value).unwrap();
        let back = canonical.to_value().unwrap();
        prop_assert!(same(&value, &back), "{value} became {back}");
        prop_assert_eq!(CanonicalJson::parse(canonical.as_str()).unwrap(), canonical);
    }

    #[test]
    fn order_and_spacing_of_the_source_do_not_matter(value in any_json()) {
        let pretty: Value = serde_json::from_str(&serde_json::to_string_pretty(&value).unwrap()).unwrap();
        prop_assert_eq!(
            CanonicalJson::from_value(&value).unwrap(),
            CanonicalJson::from_value(&pretty).unwrap()
        );
    }
}
