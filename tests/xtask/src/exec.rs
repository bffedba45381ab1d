//! Runs one test binary: its output kept whole in a log and shown where it matters.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::build::{Environment, TestBinary};
use crate::limits::OUTPUT_GRACE;
use crate::shell;
use crate::tally::Tally;

#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) name: String,
    pub(crate) tally: Tally,
    pub(crate) took: Duration,
    /// What tests said they left out, each once.
    pub(crate) skipped: Vec<String>,
}

/// Runs `test` with the filters a person gave, for at most `timeout`.
pub(crate) fn test(
    test: &TestBinary,
    filters: &[String],
    environment: &Environment,
    timeout: Duration,
) -> Result<Outcome> {
    let name = format!("{}::{}", test.package, test.target);
    let mut command = shell::command(&test.executable);
    command
        .current_dir(&test.folder)
        .env("CARGO_MANIFEST_DIR", &test.folder)
        .envs(environment.variables("debug"))
        // Without it a test that passes keeps its `SKIPPED:` to itself.
        .arg("--show-output")
        .args(filters);
    run(&name, command, environment, timeout)
}

/// Runs `command`, whose output holds `test result:` lines, and keeps all of it in a log.
pub(crate) fn run(
    name: &str,
    mut command: Command,
    environment: &Environment,
    timeout: Duration,
) -> Result<Outcome> {
    let log = log_path(&environment.target, name)?;
    let started = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {name}"))?;
    let out = collect(child.stdout.take())?;
    let err = collect(child.stderr.take())?;
    let ended = wait(&mut child, timeout).with_context(|| format!("cannot await {name}"))?;
    let output = received(&out) + &received(&err);
    fs::write(&log, &output).with_context(|| format!("cannot write {}", log.display()))?;

    let ended_well = ended.is_some_and(|status| status.success());
    let tally = Tally::of(&output, ended_well);
    let took = started.elapsed();
    if tally.passed + tally.failed > 0 {
        let verdict = if tally.failed == 0 {
            "ok    "
        } else {
            "FAILED"
        };
        println!(
            "{verdict} {name:<36} {:>4} passed {:>3} failed {:>7.1} s",
            tally.passed,
            tally.failed,
            seconds(took)
        );
    }
    match ended {
        None => println!(
            "{name} did not end within {:.0} s and was killed; see {}",
            seconds(timeout),
            log.display()
        ),
        Some(status) if !status.success() => {
            println!("{}\n{name} ended with {status}", without_successes(&output));
        }
        Some(_) => {}
    }
    Ok(Outcome {
        name: name.to_owned(),
        tally,
        took,
        skipped: skipped(&output),
    })
}

/// The exit status, or None when time ran out and the child was killed.
fn wait(child: &mut Child, timeout: Duration) -> std::io::Result<Option<ExitStatus>> {
    let started = Instant::now();
    // Short tests end within the first pauses; the pause grows so that long ones cost nothing.
    let mut pause = Duration::from_millis(2);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if started.elapsed() > timeout {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(200));
    }
}

/// What a pipe has given so far, and a message when it has ended.
struct Output {
    text: Arc<Mutex<Vec<u8>>>,
    ended: Receiver<()>,
}

/// Reads a pipe on a thread of its own.
fn collect(pipe: Option<impl Read + Send + 'static>) -> Result<Output> {
    let mut pipe = pipe.context("the child has no output")?;
    let (sender, ended) = sync_channel(1);
    let text = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&text);
    thread::Builder::new()
        .name("output".to_owned())
        .spawn(move || {
            let mut part = [0; 8192];
            while let Ok(bytes @ 1..) = pipe.read(&mut part) {
                sink.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend_from_slice(&part[..bytes]);
            }
            // Nobody listens any more when the grace is over.
            let _ = sender.send(());
        })
        .context("cannot start a thread")?;
    Ok(Output { text, ended })
}

/// All that arrived. A program that the child left behind may hold the pipe open; it is not waited for.
fn received(output: &Output) -> String {
    let _ = output.ended.recv_timeout(OUTPUT_GRACE);
    String::from_utf8_lossy(&output.text.lock().unwrap_or_else(PoisonError::into_inner))
        .into_owned()
}

fn log_path(target: &Path, name: &str) -> Result<PathBuf> {
    let folder = target.join("xtask-logs");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder.join(format!("{}.log", name.replace("::", "-"))))
}

/// The output of the failed tests; that of the others stays in the log.
fn without_successes(output: &str) -> String {
    let mut shown = true;
    let keep = output.lines().filter(|line| {
        match *line {
            "successes:" => shown = false,
            "failures:" => shown = true,
            _ => {}
        }
        shown && !line.ends_with("... ok")
    });
    keep.collect::<Vec<_>>().join("\n")
}

fn skipped(output: &str) -> Vec<String> {
    let mut lines: Vec<_> = output
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("SKIPPED"))
        .map(str::to_owned)
        .collect();
    lines.sort();
    lines.dedup();
    lines
}

pub(crate) fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::{Duration, Instant};

    use super::{run, skipped, without_successes};
    use crate::build::Environment;

    fn shell(script: &str, timeout: Duration) -> super::Outcome {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let environment = Environment {
            target: folder.path().to_owned(),
            pyenv: None,
            soak: false,
        };
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        run(
            &format!("self-{}", script.len()),
            command,
            &environment,
            timeout,
        )
        .expect("sh starts")
    }

    #[test]
    fn a_program_that_hangs_is_ended_and_counted() {
        let started = Instant::now();
        let outcome = shell("exec sleep 60", Duration::from_millis(100));
        assert_eq!(outcome.tally.failed, 1);
        assert!(started.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn skipped_tests_are_named_once() {
        let outcome = shell(
            "echo 'SKIPPED: b'; echo 'SKIPPED: a' >&2; echo '  SKIPPED: b'",
            Duration::from_secs(60),
        );
        assert_eq!(outcome.skipped, ["SKIPPED: a", "SKIPPED: b"]);
        assert!(skipped("not SKIPPED here").is_empty());
    }

    #[test]
    fn only_failures_are_shown() {
        let output =
            "test a ... ok\ntest b ... FAILED\n\nsuccesses:\nchatter\n\nfailures:\nb panicked\n";
        assert_eq!(
            without_successes(output),
            "test b ... FAILED\n\nfailures:\nb panicked"
        );
    }
}
