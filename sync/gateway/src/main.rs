//! `neurascale-gateway`: the gateway of a fleet.

mod try_out;

use std::{
    io::{IsTerminal as _, Write as _},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand};
use events::{RandomIds, SystemClock};
use gateway::{
    config::{self, Loaded, LogFormat},
    random::Random,
    service::{Gateway, KEY_NAME, Verification, backup, bind, policies, restore, verify},
};
use logstore::LogStoreOptions;

/// Edge, trust, discovery, configuration and events of a fleet of workstations.
#[derive(Debug, Parser)]
#[command(name = "neurascale-gateway", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run until told to stop. Needs no configuration: listens on loopback, and prints a set-up code.
    Serve(Settings),
    /// Say whether a configuration holds, and where each value comes from.
    CheckConfig {
        #[command(flatten)]
        settings: Settings,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// See it at work: sets the first person up, registers a service of its own and calls it through the gateway.
    TryOut(try_out::TryOut),
    /// Check the whole record: the ledger's entries and signatures, and the lines of the audit. The gateway may run.
    Verify {
        #[command(flatten)]
        settings: Settings,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the OpenAPI document of the HTTP API, which is kept as `sync/gateway/openapi.json`.
    Openapi,
    /// Copy the database, encrypted, while the gateway runs or does not. Keep `gateway.key` apart from it.
    Backup(Copy),
    /// Put a backup in place of the database. What was there is kept beside it. No gateway may run.
    Restore(Copy),
}

/// A backup, and the gateway that it is of.
#[derive(Debug, Args)]
struct Copy {
    #[command(flatten)]
    settings: Settings,
    /// File of the backup.
    file: PathBuf,
}

#[derive(Debug, Args)]
struct Settings {
    /// Configuration file (TOML).
    #[arg(long, env = "NEURASCALE_GATEWAY_CONFIG")]
    config: Option<PathBuf>,
    /// Folder of state, keys and log.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Address and port to listen on.
    #[arg(long)]
    listen: Option<String>,
    /// Any setting, as `name=value`; `check-config` lists the names.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    set: Vec<String>,
}

impl Settings {
    fn load(&self) -> Result<Loaded> {
        let mut given = Vec::new();
        for pair in &self.set {
            let (name, value) = pair
                .split_once('=')
                .with_context(|| format!("--set {pair}: `name=value` is due"))?;
            given.push((name.trim().to_owned(), value.trim().to_owned()));
        }
        if let Some(folder) = &self.data_dir {
            let folder = folder
                .to_str()
                .context("--data-dir: a path in UTF-8 is due")?;
            given.push(("data_dir".to_owned(), folder.to_owned()));
        }
        if let Some(listen) = &self.listen {
            given.push(("listen".to_owned(), listen.clone()));
        }
        let environment = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Ok(config::load(self.config.as_deref(), environment, &given)?)
    }
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<ExitCode> {
    let done = match arguments.command {
        Command::Verify { settings, json } => return verified(&settings.load()?.config, json),
        Command::Serve(settings) => serve(&settings),
        Command::CheckConfig { settings, json } => check(&settings.load()?, json),
        Command::TryOut(try_out) => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(try_out.run(&config::Config::default().data_dir))
        }
        Command::Openapi => {
            let document = gateway::openapi::document()?;
            Ok(std::io::stdout().lock().write_all(document.as_bytes())?)
        }
        Command::Backup(copy) => copied(&copy, true),
        Command::Restore(copy) => copied(&copy, false),
    };
    done.map(|()| ExitCode::SUCCESS)
}

/// Exit code 1 where something does not hold.
fn verified(config: &config::Config, json: bool) -> Result<ExitCode> {
    let random = Random::from_system().context("the system gives no randomness")?;
    let options = LogStoreOptions::new(Arc::new(SystemClock), Arc::new(RandomIds::default()));
    let terminal = std::io::stderr().is_terminal();
    let mut progress = |entries: u64| {
        if terminal {
            let _ = write!(std::io::stderr(), "\r{entries} entries");
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let found = runtime.block_on(verify(config, options, &random, &mut progress));
    if terminal {
        let _ = writeln!(std::io::stderr());
    }
    let found = found?;
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, &found)?;
        writeln!(out)?;
    } else {
        tell(&mut out, &found)?;
    }
    Ok(if found.sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn tell(out: &mut impl std::io::Write, found: &Verification) -> Result<()> {
    let (ledger, audit) = (&found.ledger, &found.audit);
    writeln!(
        out,
        "{} entries, {} signed states hold",
        ledger.entries, ledger.checkpoints_held
    )?;
    writeln!(
        out,
        "{} batches of the audit hold, {} lines",
        audit.batches, audit.lines
    )?;
    if audit.elsewhere > 0 {
        writeln!(
            out,
            "{} batches of other replicas: verify them there",
            audit.elsewhere
        )?;
    }
    if audit.unhashed_bytes > 0 {
        writeln!(
            out,
            "{} bytes of day files have no hash in the ledger and are no evidence",
            audit.unhashed_bytes
        )?;
    }
    if let (Some(sequence), Some(reason)) = (ledger.first_bad_sequence, &ledger.first_bad_reason) {
        writeln!(out, "BAD: entry {sequence}: {reason}")?;
    }
    for note in &ledger.checkpoints_untrusted {
        writeln!(out, "BAD: a signature that does not hold:\n{note}")?;
    }
    for bad in &audit.bad {
        writeln!(out, "BAD: entry {}: {}", bad.sequence, bad.reason)?;
    }
    writeln!(out, "key: {}", found.key)?;
    if let Some(checkpoint) = &found.checkpoint {
        writeln!(
            out,
            "last signed state, to be kept where nobody of here can change it:\n{checkpoint}"
        )?;
    }
    writeln!(out, "{}", if found.sound { "sound" } else { "NOT SOUND" })?;
    Ok(())
}

fn check(loaded: &Loaded, json: bool) -> Result<()> {
    policies(&loaded.config)?;
    let mut out = std::io::stdout().lock();
    if json {
        let rows: Vec<_> = loaded
            .table()
            .into_iter()
            .map(|(name, value, source)| {
                serde_json::json!({ "name": name, "value": value, "source": source.to_string() })
            })
            .collect();
        serde_json::to_writer_pretty(&mut out, &rows)?;
        writeln!(out)?;
        return Ok(());
    }
    for (name, value, source) in loaded.table() {
        writeln!(out, "{name:24} {value:40} {source}")?;
    }
    Ok(())
}

fn copied(copy: &Copy, out: bool) -> Result<()> {
    let config = copy.settings.load()?.config;
    anyhow::ensure!(
        config.storage == "sqlite",
        "this gateway keeps its data in PostgreSQL: back it up and restore it with pg_dump and pg_restore, \
         and keep {} with it",
        config.data_dir.join(KEY_NAME).display()
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut said = std::io::stdout().lock();
    if out {
        runtime.block_on(backup(&config.data_dir, &copy.file))?;
        writeln!(said, "{}", copy.file.display())?;
    } else if let Some(kept) = runtime.block_on(restore(&config.data_dir, &copy.file))? {
        writeln!(said, "what was there before: {}", kept.display())?;
    }
    Ok(())
}

fn serve(settings: &Settings) -> Result<()> {
    let loaded = settings.load()?;
    let filter = tracing_subscriber::EnvFilter::try_new(&loaded.config.log)
        .with_context(|| format!("log: {:?} is no filter", loaded.config.log))?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match loaded.config.observability.log_format {
        LogFormat::Json => lines.json().init(),
        LogFormat::Text => lines.init(),
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("gateway")
        .enable_all()
        .build()
        .context("starting the gateway's threads")?;
    runtime.block_on(async {
        let random = Random::from_system().context("the system gives no randomness")?;
        let gateway = Gateway::open(
            loaded.config,
            Arc::new(SystemClock),
            Arc::new(RandomIds::default()),
            random,
        )
        .await?;
        let bound = bind(Arc::clone(&gateway)).await?;
        greet(&gateway, &bound).await?;
        tokio::select! {
            () = bound.serve(told_to_stop()) => {}
            // Never ends by itself.
            () = reloads(&gateway, settings) => {}
        }
        Ok(())
    })
}

/// Reads the configuration again whenever it is asked to by SIGHUP (`systemctl reload`). What does not hold changes
/// nothing.
async fn reloads(gateway: &Gateway, settings: &Settings) {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut asked) = signal(SignalKind::hangup()) else {
            return std::future::pending().await;
        };
        while asked.recv().await.is_some() {
            let reloaded = match settings.load() {
                Ok(loaded) => gateway.reload(&loaded.config).await.map_err(Into::into),
                Err(error) => Err(error),
            };
            match reloaded {
                Ok(waiting) if waiting.is_empty() => {
                    tracing::warn!("the configuration was read again");
                }
                Ok(waiting) => tracing::warn!(
                    ?waiting,
                    "the configuration was read again; these settings hold from the next start on"
                ),
                Err(error) => {
                    let reason = format!("{error:#}");
                    tracing::error!(reason, "reading the configuration again");
                }
            }
        }
    }
    #[cfg(not(unix))]
    let _ = (gateway, settings);
    std::future::pending::<()>().await;
}

/// What whoever started it has to know: where it listens and, the first time, how to begin.
async fn greet(gateway: &Gateway, bound: &gateway::service::Bound) -> Result<()> {
    let address = bound.address()?;
    let root = gateway.data_dir().join("ca.pem");
    std::fs::write(&root, gateway.root_pem()?)
        .with_context(|| format!("writing {}", root.display()))?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "listening on https://{address}")?;
    writeln!(out, "certificate to trust: {}", root.display())?;
    if let Some(code) = gateway.set_up_code().await? {
        writeln!(
            out,
            "\nNobody runs this gateway yet. Set-up code, good once: {code}\n\
             Next: curl --cacert {} https://localhost:{}/v1/set-up --json \\\n  \
             '{{\"code\":\"{code}\",\"login\":\"…\",\"password\":\"…\"}}'",
            root.display(),
            address.port(),
        )?;
    }
    out.flush()?;
    Ok(())
}

async fn told_to_stop() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = interrupt.await;
}
