//! `neurascale ledger check-proof`: without an engine, so that whoever doubts a station need not ask it.

use crate::Context;
use crate::output::field;
use engine_client::ClientError;
use ledger::{ProofBundle, VerifierKey};
use serde_json::{Value, json};
use std::path::Path;
use std::process::ExitCode;
use ui_types::{ApiError, ErrorCode};

/// Larger than any proof: an entry of the largest payload and 64 hashes.
const MAX_PROOF_BYTES: u64 = 4 * 1024 * 1024;

pub(super) fn check(context: &Context, file: &Path, key: &str) -> Result<ExitCode, ClientError> {
    let invalid = |message: String, remedy: &str| {
        ClientError::Api(ApiError::new(ErrorCode::Invalid, message, remedy))
    };
    let key = VerifierKey::parse(key).map_err(|error| {
        let remedy = "`neurascale ledger verify` shows a station's key, GET /v1/audit/checkpoint a gateway's.";
        invalid(format!("the key cannot be read: {error}"), remedy)
    })?;
    let text = read(file)
        .map_err(|error| invalid(format!("cannot read {}: {error}", file.display()), ""))?;
    let bundle = bundle(&text)
        .map_err(|reason| invalid(format!("{} is no proof: {reason}", file.display()), ""))?;
    let holds = bundle.verify(&key);
    let entry = &bundle.entry;
    let reply = json!({
        "holds": holds.is_ok(),
        "reason": holds.as_ref().err().map(ToString::to_string),
        "entry": entry,
        "ledger": bundle.checkpoint.checkpoint().origin,
        "size": bundle.checkpoint.checkpoint().size,
        "root": bundle.checkpoint.checkpoint().root,
    });
    context.output.result(&reply, |_, out| {
        match &holds {
            Ok(()) => field(out, "proof", "holds"),
            Err(error) => field(out, "proof", format!("DOES NOT HOLD: {error}")),
        }
        field(out, "entry", entry.sequence);
        field(out, "kind", &entry.kind);
        field(out, "actor", &entry.actor);
        field(out, "payload", entry.payload.as_str());
        field(out, "ledger", &bundle.checkpoint.checkpoint().origin);
        field(out, "entries in it", bundle.checkpoint.checkpoint().size);
    });
    Ok(if holds.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(ErrorCode::Integrity.exit_code())
    })
}

fn read(file: &Path) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(file)?
        .take(MAX_PROOF_BYTES)
        .read_to_string(&mut text)?;
    Ok(text)
}

/// A proof as it stands, or as `neurascale ledger proof --json` wraps it.
fn bundle(text: &str) -> Result<ProofBundle, String> {
    let wrapped: Option<Value> = serde_json::from_str(text).ok();
    let inner = wrapped.as_ref().and_then(|value| value.get("bundle"));
    let text = inner.map_or_else(|| text.to_owned(), Value::to_string);
    ProofBundle::from_json(&text).map_err(|error| error.to_string())
}
