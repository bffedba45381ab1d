//! `cargo xtask bench`: the figures, measured in release beside their peers.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::build::Environment;
use crate::setup::{self, Need};
use crate::workspace::Workspace;
use crate::{home, pyenv, shell, ui};

/// The README's section of figures stands between these lines.
const BEGIN: &str = "<!-- figures: written by `cargo xtask bench --readme` -->";
const END: &str = "<!-- end of figures -->";
const NO_SECTION: &str = "README.md lacks the lines between which the figures stand";

#[derive(Debug, clap::Args)]
pub(crate) struct BenchArgs {
    /// Write the table into the README as well; with filters, the rows that were measured, the others stay
    #[arg(long)]
    readme: bool,
    /// Watch for minutes what is otherwise watched for longer
    #[arg(long)]
    quick: bool,
    /// Further arguments for the benchmark program, such as names of figures
    filters: Vec<String>,
}

/// Builds in release, measures, prints the table. The benchmark program writes `{"machine": text,
/// "figures": [{"what", "bound", "aim", "measured": text, "met": bool}]}` to the file after `--json`.
pub(crate) fn bench(args: BenchArgs) -> Result<ExitCode> {
    setup::ensure(Need::Figures)?;
    let environment = Environment {
        target: home::target()?,
        pyenv: Some(pyenv::ensure()?),
        soak: false,
    };
    let _lock = home::lock(&environment.target)?;
    ui::ensure(&environment, &Workspace::load()?)?;
    let mut build = shell::cargo();
    build.args([
        "build",
        "--release",
        "--bins",
        "-p",
        "benches",
        "-p",
        "cli",
        "-p",
        "engine",
        "-p",
        "gateway",
        "-p",
        "neurascale-desktop",
    ]);
    shell::run(build.envs(environment.variables("release")))?;

    let written = environment.target.join("bench.json");
    let mut measure = shell::command(environment.programs("release").join("benches"));
    measure
        .arg("--json")
        .arg(&written)
        .args(args.quick.then_some("--quick"))
        .args(&args.filters)
        .envs(environment.variables("release"));
    let measured = shell::run(&mut measure);
    // A missed bound ends the program with an error, after it has written what it measured.
    let text = fs::read_to_string(&written)
        .with_context(|| format!("cannot read {}", written.display()))?;
    let report: Value = serde_json::from_str(&text)
        .with_context(|| format!("cannot read {}", written.display()))?;
    let table = table(&report)?;
    println!("\n{table}\nwritten to {}", written.display());
    if args.readme {
        let path = shell::root().join("README.md");
        if args.filters.is_empty() {
            write_readme(&path, &table)?;
        } else {
            let readme = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            let before = section(&readme).context(NO_SECTION)?;
            write_readme(&path, &merged(before, &table))?;
        }
        println!("README.md: figures replaced");
    }
    measured?;
    Ok(ExitCode::SUCCESS)
}

/// The report as a Markdown table, with the machine it was measured on.
fn table(report: &Value) -> Result<String> {
    let text = |value: &Value, what: &str| {
        value[what]
            .as_str()
            .map(|text| text.replace('|', "\\|"))
            .with_context(|| format!("a figure lacks `{what}`"))
    };
    let figures = report["figures"]
        .as_array()
        .context("the report lacks `figures`")?;
    if figures.is_empty() {
        bail!("the report holds no figure");
    }
    let mut table = format!("Measured on {}.\n\n", text(report, "machine")?);
    table.push_str("| what | bound | aim | measured | |\n| --- | --- | --- | --- | --- |\n");
    for figure in figures {
        let met = if figure["met"].as_bool().context("a figure lacks `met`")? {
            "met"
        } else {
            "**missed**"
        };
        let row = ["what", "bound", "aim", "measured"].map(|column| text(figure, column));
        for cell in row {
            table.push_str(&format!("| {} ", cell?));
        }
        table.push_str(&format!("| {met} |\n"));
    }
    Ok(table)
}

fn write_readme(path: &Path, table: &str) -> Result<()> {
    let readme =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let replaced = replace(&readme, table).context(NO_SECTION)?;
    fs::write(path, replaced).with_context(|| format!("cannot write {}", path.display()))
}

/// What stands between the lines.
fn section(readme: &str) -> Option<&str> {
    let (_, rest) = readme.split_once(BEGIN)?;
    Some(rest.split_once(END)?.0)
}

/// The rows of `table` in the place of those of the same name in the table `before`, new ones behind them. A
/// group of figures is always of one run, so that its ratios stay ratios of one run.
fn merged(before: &str, table: &str) -> String {
    let name = |row: &str| row.split(" | ").next().map(str::to_owned);
    let rows = |text: &str| -> Vec<String> {
        let lines = text.lines().skip_while(|line| !line.starts_with("| ---"));
        lines
            .skip(1)
            .take_while(|line| line.starts_with("| "))
            .map(str::to_owned)
            .collect()
    };
    let mut fresh = rows(table);
    let mut kept = rows(before);
    for row in &mut kept {
        if let Some(at) = fresh.iter().position(|one| name(one) == name(row)) {
            *row = fresh.remove(at);
        }
    }
    let head = table
        .split_inclusive('\n')
        .take_while(|line| !line.starts_with("| ---"));
    let mut whole: String = head.collect();
    whole.push_str("| --- | --- | --- | --- | --- |\n");
    for row in kept.iter().chain(&fresh) {
        whole.push_str(row);
        whole.push('\n');
    }
    whole
}

fn replace(readme: &str, table: &str) -> Option<String> {
    let (before, rest) = readme.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{table}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{BEGIN, END, merged, replace, section, table};

    #[test]
    fn the_section_is_replaced_and_nothing_else() {
        let readme = format!("# Title\n{BEGIN}\nold\n{END}\nrest\n");
        assert_eq!(
            replace(&readme, "new\n"),
            Some(format!("# Title\n{BEGIN}\nnew\n{END}\nrest\n"))
        );
        assert_eq!(replace("# Title\n", "new\n"), None);
    }

    #[test]
    fn a_part_of_the_figures_takes_the_place_of_its_rows() {
        let of = |machine: &str, rows: &[(&str, &str)]| {
            let figures: Vec<_> = rows
                .iter()
                .map(|(what, measured)| {
                    json!({"what": what, "bound": "1", "aim": "1", "measured": measured, "met": true})
                })
                .collect();
            table(&json!({"machine": machine, "figures": figures})).expect("a whole report")
        };
        let readme = format!("{BEGIN}\n{}{END}", of("old", &[("a", "1"), ("b", "2")]));
        let before = section(&readme).expect("a section");
        assert_eq!(
            merged(before, &of("new", &[("c", "4"), ("b", "3")])),
            of("new", &[("a", "1"), ("b", "3"), ("c", "4")])
        );
    }

    #[test]
    fn a_missed_bound_is_marked() {
        let report = json!({"machine": "two cores", "figures": [
            {"what": "a", "bound": "10 %", "aim": "2 %", "measured": "1 %", "met": true},
            {"what": "b", "bound": "10 ms", "aim": "1 ms", "measured": "11 ms", "met": false},
        ]});
        let table = table(&report).expect("a whole report");
        assert!(table.contains("| a | 10 % | 2 % | 1 % | met |"), "{table}");
        assert!(
            table.contains("| b | 10 ms | 1 ms | 11 ms | **missed** |"),
            "{table}"
        );
    }

    #[test]
    fn an_incomplete_report_is_refused() {
        assert!(table(&json!({"machine": "x", "figures": []})).is_err());
        assert!(table(&json!({"machine": "x", "figures": [{"what": "a"}]})).is_err());
    }
}
