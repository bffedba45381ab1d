//! `neurascale-gateway`: the gateway of a fleet.

mod try_out;

use std::{io::Write as _, path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand};
use events::{RandomIds, SystemClock};
use gateway::{
    config::{self, Loaded},
    random::Random,
    service::{Gateway, KEY_NAME, backup, bind, restore},
};

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
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<()> {
    match arguments.command {
        Command::Serve(settings) => serve(settings.load()?),
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
    }
}

fn check(loaded: &Loaded, json: bool) -> Result<()> {
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

fn serve(loaded: Loaded) -> Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(&loaded.config.log)
        .with_context(|| format!("log: {:?} is no filter", loaded.config.log))?;
    tracing_subscriber::fmt()
        .json()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
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
        bound.serve(told_to_stop()).await;
        Ok(())
    })
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
