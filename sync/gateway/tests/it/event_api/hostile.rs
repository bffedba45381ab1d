//! Whatever arrives, the answer is one for who sent it, and nothing is appended.

use std::sync::Arc;

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde_json::{Value, json};

use super::support::{Replica, step};

/// JSON of some depth, from the names that the API knows and others.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(json!(step(1))),
    ];
    let name = prop_oneof![
        Just("events".to_owned()),
        Just("positions".to_owned()),
        Just("lease".to_owned()),
        Just("max".to_owned()),
        Just("start".to_owned()),
        Just("types".to_owned()),
        Just("$ref".to_owned()),
        ".{0,6}",
    ];
    leaf.prop_recursive(3, 24, 4, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((name.clone(), inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

#[test]
fn no_body_and_no_path_is_answered_with_a_failure_of_ours() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let replica = Arc::new(runtime.block_on(Replica::in_memory()));
    runtime.block_on(replica.done("PUT", "/v1/consumers/known", json!({})));
    let body = prop_oneof![
        any_json().prop_map(|value| value.to_string().into_bytes()),
        vec(any::<u8>(), 0..64),
    ];
    let route = prop_oneof![
        Just(("POST", "/v1/events")),
        Just(("GET", "/v1/events?after={}")),
        Just(("GET", "/v1/events?type={}")),
        Just(("GET", "/v1/events?time={}")),
        Just(("PUT", "/v1/schemas/{}/1")),
        Just(("PUT", "/v1/schemas/made.up/{}")),
        Just(("PUT", "/v1/consumers/{}")),
        Just(("PUT", "/v1/consumers/known")),
        Just(("POST", "/v1/consumers/known/ack")),
        Just(("POST", "/v1/consumers/known/nack")),
        Just(("POST", "/v1/consumers/known/dead/{}/retry")),
        Just(("GET", "/v1/consumers/{}/dead")),
    ];
    let mut runner = TestRunner::new(Config::with_cases(512));
    let ran = runner.run(
        &(route, "[!-~]{0,80}", body),
        |((method, path), word, body)| {
            let word: String = word.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let path = path.replace("{}", &word);
            let answer = runtime.block_on(replica.open(method, &path, &[], body));
            let status = answer.status().as_u16();
            prop_assert!(status < 500, "{method} {path}: {status}");
            Ok(())
        },
    );
    ran.expect("no failure of ours");
}
