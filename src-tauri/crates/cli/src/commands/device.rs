//! `neurascale device`

use crate::Context;
use crate::args::DeviceCommand;
use crate::output::{advance, field, table};
use engine_client::{Client, ClientError};
use serde_json::json;
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;
use ui_types::{DeviceList, DeviceProbe, DeviceView, ImpedanceView};

/// Rest between two looks; a look takes up to 2 s itself.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

pub(super) async fn run(
    context: &Context,
    command: DeviceCommand,
) -> Result<ExitCode, ClientError> {
    let client = context.client().await?;
    match command {
        DeviceCommand::List { watch: true } => watch(context, &client).await?,
        DeviceCommand::List { watch: false } => {
            let reply = client.call(&DeviceList {}).await?;
            context.output.result(&reply, |reply, out| {
                let rows: Vec<_> = reply
                    .devices
                    .iter()
                    .map(|d| {
                        vec![
                            d.id.clone(),
                            d.name.clone(),
                            d.class.clone(),
                            d.note.clone(),
                        ]
                    })
                    .collect();
                table(out, &["ID", "NAME", "CLASS", "NOTE"], &rows);
                for problem in &reply.problems {
                    out.push_str(problem);
                    out.push('\n');
                }
            });
        }
        DeviceCommand::Probe { id, settings } => {
            let bar = context.output.bar();
            let call = DeviceProbe {
                id,
                settings: settings.into_iter().collect(),
            };
            let reply = client
                .call_with_progress(&call, |p| advance(&bar, p))
                .await?;
            bar.finish_and_clear();
            context.output.result(&reply, |reply, out| {
                field(out, "model", &reply.model);
                field(out, "serial", &reply.serial);
                field(out, "firmware", &reply.firmware);
                field(out, "class", &reply.class);
                for stream in &reply.streams {
                    let rate = stream
                        .rate_hz
                        .map_or("irregular".to_owned(), |hz| format!("{hz} Hz"));
                    let text = format!("{rate}, {}", stream.sample_type);
                    field(out, &format!("stream {}", stream.name), text);
                    let rows: Vec<_> = stream
                        .channels
                        .iter()
                        .map(|c| {
                            let gain = format!("{:.6} {}", c.gain, c.unit);
                            vec![c.label.clone(), c.kind.clone(), gain, c.reference.clone()]
                        })
                        .collect();
                    table(out, &["CHANNEL", "KIND", "A COUNT", "REFERENCE"], &rows);
                }
                impedances(&reply.impedances, out);
            });
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Tells what comes and goes, a line each, until someone interrupts it.
async fn watch(context: &Context, client: &Client) -> Result<(), ClientError> {
    let mut there: BTreeMap<String, DeviceView> = BTreeMap::new();
    let mut problems: Vec<String> = Vec::new();
    loop {
        let reply = client.call(&DeviceList {}).await?;
        let now: BTreeMap<String, DeviceView> = (reply.devices.into_iter())
            .map(|device| (device.id.clone(), device))
            .collect();
        for device in there.values().filter(|old| !now.contains_key(&old.id)) {
            context
                .output
                .line(&told("gone", device), &format!("- {}", device.id));
        }
        for device in now.values().filter(|new| !there.contains_key(&new.id)) {
            let text = format!("+ {}  {}  {}", device.id, device.name, device.class);
            context.output.line(&told("came", device), &text);
        }
        for problem in reply.problems.iter().filter(|one| !problems.contains(one)) {
            let told = json!({ "event": "problem", "problem": problem });
            context.output.line(&told, &format!("! {problem}"));
        }
        (there, problems) = (now, reply.problems);
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

fn told(event: &str, device: &DeviceView) -> serde_json::Value {
    json!({ "event": event, "device": device })
}

/// A table of impedances.
pub(super) fn impedances(values: &[ImpedanceView], out: &mut String) {
    let rows: Vec<_> = values
        .iter()
        .map(|i| {
            let value = i
                .impedance_kohm
                .map_or("-".to_owned(), |z| format!("{z:.1}"));
            vec![i.electrode.clone(), value, i.grade.clone()]
        })
        .collect();
    if !rows.is_empty() {
        table(out, &["ELECTRODE", "kΩ", "GRADE"], &rows);
    }
}
