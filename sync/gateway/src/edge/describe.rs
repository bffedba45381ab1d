//! Routes to services, as the gateway's OpenAPI document describes them.

use crate::{
    limits::edge as limits,
    openapi::{Kind, Operation},
};

pub(crate) fn describe() -> Vec<Operation> {
    const CALL: &str = "Call a registered service; the answer is its own";
    let to = |path| {
        Operation::new("ANY", path, CALL)
            .with("service", Kind::Text, "The service's name.")
            .takes_raw("application/octet-stream")
            .at_most(limits::MAX_BODY_BYTES)
            .gives(200, Some("*/*"), "Whatever the service says.")
    };
    vec![
        to("/svc/{service}"),
        to("/svc/{service}/"),
        to("/svc/{service}/{*path}").with("path", Kind::Text, "What the service is asked for."),
    ]
}
