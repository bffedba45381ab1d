//! `neurascale device`

use crate::Context;
use crate::args::DeviceCommand;
use crate::output::{advance, field, table};
use engine_client::ClientError;
use std::process::ExitCode;
use ui_types::{DeviceList, DeviceProbe, ImpedanceView};

pub(super) async fn run(
    context: &Context,
    command: DeviceCommand,
) -> Result<ExitCode, ClientError> {
    let client = context.client().await?;
    match command {
        DeviceCommand::List => {
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
