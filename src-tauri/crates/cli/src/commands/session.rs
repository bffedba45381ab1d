//! `neurascale session`

use crate::Context;
use crate::args::{DurationArgument, SessionCommand, StartArguments};
use crate::commands::absolute;
use crate::output::{advance, field, table};
use engine_client::{Client, ClientError};
use indicatif::ProgressBar;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use ui_types::{
    EmergencyStop, Nothing, PatientChoice, ReportCreate, SessionAnnotate, SessionImpedance,
    SessionList, SessionPause, SessionReassign, SessionRelabel, SessionResume, SessionShow,
    SessionStart, SessionState, SessionStop, SessionView, StepState,
};

/// How often a running session is looked at.
const POLL: Duration = Duration::from_millis(250);

/// Exit code of `run` when the session ended as failed or interrupted.
const SESSION_FAILED: u8 = 12;

pub(super) async fn run(
    context: &Context,
    command: SessionCommand,
) -> Result<ExitCode, ClientError> {
    let client = context.client().await?;
    let done = |text: &'static str| {
        move |_: &Nothing, out: &mut String| {
            out.push_str(text);
            out.push('\n');
        }
    };
    match command {
        SessionCommand::Run { start, pdf } => {
            let reply = client.call(&request(start)).await?;
            if let Some(notice) = &reply.notice {
                context.output.say(notice);
            }
            let id = reply.id;
            return follow(context, &client, id, pdf.as_deref()).await;
        }
        SessionCommand::Start { start } => {
            let reply = client.call(&request(start)).await?;
            context.output.result(&reply, |reply, out| {
                field(out, "session", &reply.id);
                if let Some(notice) = &reply.notice {
                    field(out, "NOTICE", notice);
                }
            });
        }
        SessionCommand::Stop { id } => {
            let reply = client.call(&SessionStop { id }).await?;
            context
                .output
                .result(&reply, done("Recording ends; analysis and report follow."));
        }
        SessionCommand::Resume { id } => {
            let reply = client.call(&SessionResume { id }).await?;
            context.output.result(&reply, done("The session goes on."));
        }
        SessionCommand::Reassign {
            id,
            patient,
            reason,
        } => {
            let reply = client
                .call(&SessionReassign {
                    id,
                    patient,
                    reason,
                })
                .await?;
            context
                .output
                .result(&reply, done("The session belongs to the patient named."));
        }
        SessionCommand::Annotate { id, text, code } => {
            let call = SessionAnnotate {
                id,
                text,
                code,
                onset_utc_ns: None,
            };
            let reply = client.call(&call).await?;
            context.output.result(&reply, |reply, out| {
                field(out, "annotation", reply.annotation);
            });
        }
        SessionCommand::Impedance { id } => {
            let bar = context.output.bar();
            let reply = client
                .call_with_progress(&SessionImpedance { id }, |p| advance(&bar, p))
                .await?;
            bar.finish_and_clear();
            context.output.result(&reply, |reply, out| {
                super::device::impedances(&reply.impedances, out);
            });
        }
        SessionCommand::Pause { id, reason } => {
            let text = match reason {
                Some(_) => "The patient is off the device; alerts are muted.",
                None => "The patient is back; the same recording goes on.",
            };
            let reply = client.call(&SessionPause { id, reason }).await?;
            context.output.result(&reply, done(text));
        }
        SessionCommand::Relabel { id, from, to } => {
            let reply = client.call(&SessionRelabel { id, from, to }).await?;
            context
                .output
                .result(&reply, done("The channel has that label from now on."));
        }
        SessionCommand::EmergencyStop { id } => {
            let reply = client.call(&EmergencyStop { id }).await?;
            context.output.result(&reply, |reply, out| {
                let _ = writeln!(
                    out,
                    "Stimuli and test currents ended on {} device(s) in {:.1} ms. Recording goes on.",
                    reply.devices, reply.took_ms
                );
                for device in &reply.failed {
                    let _ = writeln!(out, "NOT REACHED: {device}. Disconnect it from the patient.");
                }
            });
            if !reply.failed.is_empty() {
                return Ok(ExitCode::from(ui_types::ErrorCode::Device.exit_code()));
            }
        }
        SessionCommand::List => {
            let reply = client.call(&SessionList {}).await?;
            context.output.result(&reply, |reply, out| {
                let rows: Vec<_> = reply.sessions.iter().map(row).collect();
                table(
                    out,
                    &["ID", "STARTED", "STATE", "PROTOCOL", "DEVICE", "RECORDED"],
                    &rows,
                );
                if rows.is_empty() {
                    out.push_str("No session yet. Run one with 'session run --training'.\n");
                }
            });
        }
        SessionCommand::Show { id } => {
            let reply = client.call(&SessionShow { id }).await?;
            context.output.result(&reply, describe);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn request(arguments: StartArguments) -> SessionStart {
    let patient = match (arguments.patient, arguments.training) {
        (Some(id), _) => PatientChoice::Id(id),
        (None, true) => PatientChoice::Training,
        // Computed data may not lie under a temporary identity, which becomes a real patient's.
        (None, false) if is_computed(&arguments.device) => PatientChoice::Training,
        (None, false) => PatientChoice::Temporary,
    };
    SessionStart {
        patient,
        device: arguments.device,
        settings: arguments.settings.into_iter().collect(),
        protocol: arguments.protocol,
        duration_s: match arguments.duration {
            Some(DurationArgument::Seconds(seconds)) => Some(seconds),
            Some(DurationArgument::Unlimited) | None => None,
        },
        unlimited: arguments.duration == Some(DurationArgument::Unlimited),
        start_now: arguments.now,
        export: arguments.export.map(Into::into),
        order: None,
    }
}

fn is_computed(device: &str) -> bool {
    device.starts_with("simulated:") || device.starts_with("playback:")
}

/// Shows a session until it is done, then says where everything lies.
async fn follow(
    context: &Context,
    client: &Client,
    id: String,
    pdf: Option<&Path>,
) -> Result<ExitCode, ClientError> {
    context.output.say(&format!("session {id}"));
    let bar = context.output.bar();
    let mut stopping = false;
    let view = loop {
        let view = client.call(&SessionShow { id: id.clone() }).await?;
        show_progress(&bar, &view);
        if view.state != SessionState::Running {
            break view;
        }
        tokio::select! {
            () = tokio::time::sleep(POLL) => {}
            _ = tokio::signal::ctrl_c() => {
                if stopping {
                    bar.finish_and_clear();
                    context.output.say(&format!(
                        "The engine finishes the session; see 'neurascale session show {id}'."
                    ));
                    return Ok(ExitCode::from(130));
                }
                stopping = true;
                context.output.say("Recording ends; waiting for the report (Ctrl-C again leaves).");
                client.call(&SessionStop { id: id.clone() }).await?;
            }
        }
    };
    bar.finish_and_clear();
    let mut written = None;
    if let (Some(path), Some(_)) = (pdf, &view.report) {
        let call = ReportCreate {
            id: id.clone(),
            pdf: Some(absolute(path)),
            html: None,
        };
        written = client.call(&call).await?.written.pop();
    }
    context.output.result(&view, |view, out| {
        describe(view, out);
        if let Some(path) = &written {
            field(out, "report (PDF)", path);
        } else if view.report.is_some() {
            let _ = writeln!(
                out,
                "\nThe report is sealed; 'neurascale report {} --pdf FILE' writes it out.",
                view.id
            );
        }
    });
    let completed = view.state == SessionState::Completed;
    Ok(if completed {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(SESSION_FAILED)
    })
}

fn show_progress(bar: &ProgressBar, view: &SessionView) {
    let running = view
        .steps
        .iter()
        .find(|step| step.state == StepState::Running);
    let name = running.map_or("starting", |step| step.name.as_str());
    let gaps = match view.gaps.len() {
        0 => String::new(),
        count => format!(", {count} gap(s)"),
    };
    bar.set_message(format!("{name} {:.0} s{gaps}", view.recorded_s));
    if let Some(planned) = view.duration_s {
        // Millisecond steps keep the bar smooth over short sessions.
        bar.set_length((planned * 1e3) as u64);
        bar.set_position(((view.recorded_s * 1e3) as u64).min(bar.length().unwrap_or(0)));
    }
}

fn row(view: &SessionView) -> Vec<String> {
    vec![
        view.id.clone(),
        view.started.clone(),
        state(view.state).to_owned(),
        view.protocol.clone(),
        view.device.clone(),
        format!("{:.1} s", view.recorded_s),
    ]
}

const fn state(state: SessionState) -> &'static str {
    match state {
        SessionState::Running => "running",
        SessionState::Interrupted => "interrupted",
        SessionState::Completed => "completed",
        SessionState::Failed => "failed",
    }
}

fn describe(view: &SessionView, out: &mut String) {
    field(out, "session", &view.id);
    field(out, "state", state(view.state));
    field(out, "patient", &view.patient);
    field(
        out,
        "device",
        format!("{} ({})", view.device, view.provenance),
    );
    field(out, "protocol", &view.protocol);
    field(out, "started", &view.started);
    field(out, "recorded", format!("{:.3} s", view.recorded_s));
    for step in &view.steps {
        let state = match step.state {
            StepState::Waiting => "waiting",
            StepState::Running => "running",
            StepState::Done => "done",
            StepState::Skipped => "left out",
            StepState::Failed => "FAILED",
        };
        field(out, &format!("  {}", step.name), state);
        for note in &step.notes {
            let _ = writeln!(out, "{:19}{note}", "");
        }
    }
    for stream in &view.streams {
        let rate = stream
            .rate_hz
            .map_or(String::new(), |hz| format!(", {hz:.3} Hz found"));
        let drift = stream
            .drift_ppm
            .map_or(String::new(), |ppm| format!(", drift {ppm:+.1} ppm"));
        let text = format!(
            "{} samples, {} gap(s){rate}{drift}",
            stream.samples, stream.gaps
        );
        field(out, &format!("  {}", stream.name), text);
    }
    for gap in &view.gaps {
        field(
            out,
            "  gap",
            format!(
                "{} {:.3} s {} {}",
                gap.from, gap.duration_s, gap.stream, gap.cause
            ),
        );
    }
    if let Some(reason) = &view.paused {
        field(out, "paused", reason);
    }
    for alert in view.alerts.iter().filter(|alert| alert.active) {
        field(out, "ALERT", &alert.text);
    }
    if let Some(path) = &view.recording_path {
        field(out, "recording", path);
    }
    if let Some(path) = &view.report_path {
        field(out, "report", path);
    }
    for path in &view.exports {
        field(out, "export", path);
    }
    if let Some(hours) = view.disk_hours_left {
        field(out, "disk lasts", format!("{hours:.0} h"));
    }
}
