//! `cargo xtask test`: one run that shows everything, each phase timed against the budget.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::build::{self, Built, Environment};
use crate::exec::{self, Outcome, seconds};
use crate::limits::{SLOW, SLOWEST_SHOWN, SOAK_BINARY_TIMEOUT, TEST_BINARY_TIMEOUT, TEST_BUDGET};
use crate::setup::{self, Need};
use crate::tally::Tally;
use crate::workspace::{self, ARCHITECTURE, Member, Selection, Workspace};
use crate::{axe, bundle, home, pyenv, shell, ui};

/// Members that are modules of the window, embed them, or open them.
const OF_THE_WINDOW: &[&str] = &["app", "scope", "desktop", "shell"];

/// The parts of a test run, in their order. What is cheap and often wrong comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Phase {
    /// System packages, installed when missing
    Setup,
    /// The Python environment of the interop tests, made when missing
    Python,
    /// Formatting
    Fmt,
    /// Lints, warnings as errors
    Clippy,
    /// The modules of the window, which its programs embed and its tests open
    Ui,
    /// Programs and tests, built together
    Build,
    /// Who may depend on whom, licences and sources, habits of the tree
    #[value(alias = "licences", alias = "licenses")]
    Architecture,
    /// Unit, property, integration and interop tests
    Tests,
    /// Examples in the documentation
    Docs,
    /// The package: made, installed in a clean root, started, upgraded, removed
    Installer,
}

#[derive(Debug, Default, clap::Args)]
pub(crate) struct TestArgs {
    /// Only members whose files changed (against origin/main, else the commit before), and those that
    /// depend on them
    #[arg(long)]
    affected: bool,
    /// Only these members
    #[arg(long, short, value_delimiter = ',', conflicts_with = "affected")]
    package: Vec<String>,
    /// Only these phases
    #[arg(long, value_delimiter = ',')]
    only: Vec<Phase>,
    /// All but these phases
    #[arg(long, value_delimiter = ',', conflicts_with = "only")]
    skip: Vec<Phase>,
    /// Only tests whose name contains one of these
    filters: Vec<String>,
}

impl TestArgs {
    pub(crate) fn everything() -> Self {
        Self::default()
    }
}

/// A phase that ran, for the closing table.
#[derive(Debug)]
struct Done {
    phase: Phase,
    took: Duration,
    problem: Option<String>,
}

#[derive(Debug)]
struct Run {
    args: TestArgs,
    selection: Selection,
    workspace: Workspace,
    environment: Environment,
    built: Option<Built>,
    outcomes: Vec<Outcome>,
}

/// Runs every phase, whatever became of those before it, and fails when one failed.
pub(crate) fn test(args: TestArgs) -> Result<ExitCode> {
    let started = Instant::now();
    let workspace = Workspace::load()?;
    let selection = select(&args, &workspace)?;
    let environment = Environment {
        target: home::target()?,
        pyenv: None,
        soak: false,
    };
    println!("target folder: {}", environment.target.display());
    let _lock = home::lock(&environment.target)?;
    let mut run = Run {
        args,
        selection,
        workspace,
        environment,
        built: None,
        outcomes: Vec::new(),
    };
    let mut done = Vec::new();
    for &phase in Phase::value_variants() {
        if !wanted(&run.args, phase) {
            continue;
        }
        println!("\n== {} ==", name(phase));
        let phase_started = Instant::now();
        let problem = run.phase(phase).err().map(|error| format!("{error:#}"));
        if let Some(problem) = &problem {
            println!("{problem}");
        }
        done.push(Done {
            phase,
            took: phase_started.elapsed(),
            problem,
        });
    }
    Ok(close(&done, &run.outcomes, started.elapsed()))
}

/// `cargo xtask soak`: the tests of faults, whole sessions, the window and devices, with their counts multiplied.
pub(crate) fn soak_tests(environment: Environment, filters: Vec<String>) -> Result<ExitCode> {
    let started = Instant::now();
    let workspace = Workspace::load()?;
    const SOAKED: [&str; 5] = ["faults", "end-to-end", "desktop-tests", "serial", "network"];
    ui::ensure(&environment, &workspace)?;
    let programs = ["cli", "emulators", "engine", "neurascale-desktop"];
    let selection = Selection::of(&[&programs[..], &SOAKED[..]].concat());
    let built = build::tests(&selection, &environment, &workspace)?;
    let mut outcomes = Vec::new();
    for test in built
        .tests
        .iter()
        .filter(|test| SOAKED.contains(&test.package.as_str()))
    {
        outcomes.push(exec::test(
            test,
            &filters,
            &environment,
            SOAK_BINARY_TIMEOUT,
        )?);
    }
    let problem = (!built.complete)
        .then(|| "does not compile".to_owned())
        .or_else(|| failures(&outcomes));
    let done = [Done {
        phase: Phase::Tests,
        took: started.elapsed(),
        problem,
    }];
    Ok(close(&done, &outcomes, Duration::ZERO))
}

fn select(args: &TestArgs, workspace: &Workspace) -> Result<Selection> {
    if args.affected {
        let selection = workspace.affected_by(&workspace::changed_files()?);
        println!(
            "affected: {}",
            selection.arguments().join(" ").replace("-p ", "")
        );
        return Ok(selection);
    }
    if args.package.is_empty() {
        return Ok(Selection::All);
    }
    for name in &args.package {
        if !workspace.members.contains_key(name) {
            bail!("no member is called {name}");
        }
    }
    Ok(Selection::Some(args.package.iter().cloned().collect()))
}

fn wanted(args: &TestArgs, phase: Phase) -> bool {
    let chosen = args.only.is_empty() || args.only.contains(&phase);
    // Without fresh binaries there would be nothing to run, and without the environment much left out.
    let implied = [Phase::Ui, Phase::Build, Phase::Python].contains(&phase)
        && args.only.contains(&Phase::Tests);
    // With a filter a person looks for certain tests; the rest would only be in the way.
    let in_the_way = !args.filters.is_empty()
        && args.only.is_empty()
        && [
            Phase::Fmt,
            Phase::Clippy,
            Phase::Architecture,
            Phase::Docs,
            Phase::Installer,
        ]
        .contains(&phase);
    (chosen || implied) && !args.skip.contains(&phase) && !in_the_way
}

fn name(phase: Phase) -> String {
    phase
        .to_possible_value()
        .map(|value| value.get_name().to_owned())
        .unwrap_or_default()
}

impl Run {
    fn phase(&mut self, phase: Phase) -> Result<()> {
        match phase {
            Phase::Setup => {
                setup::ensure(Need::Tests)?;
                axe::ensure();
                Ok(())
            }
            Phase::Python => {
                self.environment.pyenv = Some(pyenv::ensure()?);
                Ok(())
            }
            Phase::Fmt => self.fmt(),
            Phase::Clippy => self.clippy(),
            Phase::Ui => self.ui(),
            Phase::Build => self.build(),
            Phase::Architecture => self.architecture(),
            Phase::Tests => self.tests(),
            Phase::Docs => self.docs(),
            Phase::Installer => self.installer(),
        }
    }

    fn fmt(&self) -> Result<()> {
        let mut command = shell::cargo();
        command.arg("fmt");
        match &self.selection {
            Selection::All => command.arg("--all"),
            Selection::Some(_) => command.args(self.selection.arguments()),
        };
        shell::run(command.args(["--", "--check"]))
    }

    fn clippy(&self) -> Result<()> {
        let mut command = shell::cargo();
        command
            .arg("clippy")
            .args(self.selection.arguments())
            .args(["--all-targets", "--keep-going"]);
        let natively = shell::run(
            command
                .envs(self.environment.variables("debug"))
                .args(["--", "-D", "warnings"]),
        );
        // Both are looked at, whatever the first has found.
        ui::clippy(&self.environment, |module| self.selection.contains(module)).and(natively)
    }

    fn ui(&self) -> Result<()> {
        if !OF_THE_WINDOW
            .iter()
            .any(|name| self.selection.contains(name))
        {
            return Ok(());
        }
        ui::ensure(&self.environment, &self.workspace).map(|_| ())
    }

    fn build(&mut self) -> Result<()> {
        let built = build::tests(&self.selection, &self.environment, &self.workspace)?;
        let complete = built.complete;
        self.built = Some(built);
        if !complete {
            bail!("not everything compiles; what does is tested all the same");
        }
        Ok(())
    }

    fn architecture(&mut self) -> Result<()> {
        let apart;
        let built = match &self.built {
            Some(built) => built,
            None => {
                apart = build::tests(
                    &Selection::of(&[ARCHITECTURE]),
                    &self.environment,
                    &self.workspace,
                )?;
                &apart
            }
        };
        let before = self.outcomes.len();
        for test in built
            .tests
            .iter()
            .filter(|test| test.package == ARCHITECTURE)
        {
            self.outcomes.push(exec::test(
                test,
                &[],
                &self.environment,
                TEST_BINARY_TIMEOUT,
            )?);
        }
        if self.outcomes.len() == before && self.selection.contains(ARCHITECTURE) {
            bail!("the architecture test did not compile");
        }
        failures(&self.outcomes[before..]).map_or(Ok(()), |problem| bail!(problem))
    }

    fn tests(&mut self) -> Result<()> {
        let architecture_ran = wanted(&self.args, Phase::Architecture);
        let before = self.outcomes.len();
        let Some(built) = &self.built else {
            bail!("nothing was built")
        };
        for test in &built.tests {
            let chosen = self.selection.contains(&test.package);
            if chosen && !(architecture_ran && test.package == ARCHITECTURE) {
                self.outcomes.push(exec::test(
                    test,
                    &self.args.filters,
                    &self.environment,
                    TEST_BINARY_TIMEOUT,
                )?);
            }
        }
        failures(&self.outcomes[before..]).map_or(Ok(()), |problem| bail!(problem))
    }

    fn docs(&mut self) -> Result<()> {
        let with_library = |(name, member): (&String, &Member)| {
            self.selection.contains(name) && member.folder.join("src/lib.rs").exists()
        };
        if !self.workspace.members.iter().any(with_library) {
            return Ok(());
        }
        // The selection as it is, programs included: another set would resolve other features, and build anew.
        let mut command = shell::cargo();
        command
            .args(["test", "--doc", "--no-fail-fast"])
            .args(self.selection.arguments());
        command.envs(self.environment.variables("debug"));
        println!("$ {}", shell::shown(&command));
        let outcome = exec::run("doc tests", command, &self.environment, TEST_BINARY_TIMEOUT)?;
        let problem =
            (outcome.tally.failed > 0).then(|| format!("{} failed", outcome.tally.failed));
        self.outcomes.push(outcome);
        problem.map_or(Ok(()), |problem| bail!(problem))
    }

    fn installer(&self) -> Result<()> {
        let whole = matches!(self.selection, Selection::All);
        if !whole || !self.built.as_ref().is_some_and(|built| built.complete) {
            println!("left out: it packs the programs of a whole run");
            return Ok(());
        }
        bundle::trial(&self.environment)
    }
}

fn failures(outcomes: &[Outcome]) -> Option<String> {
    let failed: Vec<_> = outcomes
        .iter()
        .filter(|outcome| outcome.tally.failed > 0)
        .map(|outcome| outcome.name.as_str())
        .collect();
    (!failed.is_empty()).then(|| format!("failed: {}", failed.join(", ")))
}

/// The closing table, and last of all one plain line with the counts.
fn close(done: &[Done], outcomes: &[Outcome], total: Duration) -> ExitCode {
    let mut sum = Tally::default();
    for outcome in outcomes {
        sum += outcome.tally;
    }
    let skipped: Vec<_> = outcomes
        .iter()
        .flat_map(|outcome| {
            outcome
                .skipped
                .iter()
                .map(move |line| (&outcome.name, line))
        })
        .collect();
    if !skipped.is_empty() {
        println!("\nleft out:");
        skipped
            .iter()
            .for_each(|(name, line)| println!("  {name}: {line}"));
    }
    let mut slowest: Vec<_> = outcomes
        .iter()
        .filter(|outcome| outcome.took > SLOW)
        .collect();
    slowest.sort_by_key(|outcome| std::cmp::Reverse(outcome.took));
    if !slowest.is_empty() {
        println!("\nslowest:");
        let shown = slowest.iter().take(SLOWEST_SHOWN);
        shown.for_each(|outcome| {
            println!("  {:<36} {:>8.1} s", outcome.name, seconds(outcome.took));
        });
    }
    println!("\nphase              time  result");
    for Done {
        phase,
        took,
        problem,
    } in done
    {
        println!(
            "{:<14} {:>6.1} s  {}",
            name(*phase),
            seconds(*took),
            if problem.is_none() { "ok" } else { "FAILED" }
        );
    }
    let minutes = |duration: Duration| seconds(duration) / 60.0;
    if total > Duration::ZERO {
        println!(
            "{:<14} {:>6.1} s  of a budget of {:.0} minutes",
            "total",
            seconds(total),
            minutes(TEST_BUDGET)
        );
    }
    if total > TEST_BUDGET {
        println!(
            "WARNING: over the budget by {:.1} minutes",
            minutes(total - TEST_BUDGET)
        );
    }
    let failed: Vec<_> = done
        .iter()
        .filter(|done| done.problem.is_some())
        .map(|done| name(done.phase))
        .collect();
    if !failed.is_empty() {
        println!("failed phases: {}", failed.join(", "));
    }
    if sum.ignored > 0 {
        println!("{} ignored", sum.ignored);
    }
    println!("{} passed, {} failed", sum.passed, sum.failed);
    if failed.is_empty() && sum.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
