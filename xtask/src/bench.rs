//! Subcommand: cargo xtask bench

use std::fmt;
use std::path::Path;

use anyhow::Context;
use clap::ValueEnum;
use serde_json::Value;
use xshell::Shell;
use xshell::cmd;

/// What to measure, and what to do with it.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Whose budgets; without one, all of them.
    suite: Option<Suite>,
    /// Print only: a budget that is not met is no error.
    #[arg(long)]
    lenient: bool,
    /// Write the table to BENCHMARKS.md.
    #[arg(long)]
    record: bool,
    /// How many rounds the healthy checks among hostile ones run.
    #[arg(long, default_value_t = 10_000)]
    rounds: u32,
    /// How many tunnels the hub has.
    #[arg(long, default_value_t = 15_000)]
    tunnels: u32,
    /// How long each load lasts, in seconds: that on the tunnel, and a hub's tunnels before some of
    /// them are killed.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// How often a hub's agents beat, in seconds; a timeout is three of it.
    #[arg(long, default_value_t = 10)]
    interval: u32,
}

/// Enough to show that a bench runs and what it says.
const ROUNDS_OF_CI: u32 = 1000;
const TUNNELS_OF_CI: u32 = 1500;
const SECONDS_OF_CI: u32 = 10;
const INTERVAL_OF_CI: u32 = 2;

impl Args {
    /// CI prints what a budget costs, and is no place to judge it. The other suites build the program
    /// in other ways, for which CI has no time.
    pub(crate) const fn for_ci() -> Self {
        Self {
            suite: Some(Suite::Tunnel),
            lenient: true,
            record: false,
            rounds: ROUNDS_OF_CI,
            tunnels: TUNNELS_OF_CI,
            seconds: SECONDS_OF_CI,
            interval: INTERVAL_OF_CI,
        }
    }

    /// What the measuring programs are told; each takes what concerns it.
    fn passed_on(&self) -> Vec<String> {
        [
            ("--rounds", self.rounds),
            ("--tunnels", self.tunnels),
            ("--seconds", self.seconds),
            ("--interval", self.interval),
        ]
        .into_iter()
        .flat_map(|(flag, value)| [flag.to_owned(), value.to_string()])
        .collect()
    }
}

/// Budgets that are measured together.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Suite {
    /// Those of checks and probes.
    Health,
    /// Those of the tunnel: under load, beside a bare echo, and when a hub restarts.
    Tunnel,
    /// Those of a hub and its fleet.
    Hub,
    /// Those of the program beside a syncer: its size, its start, and what it takes when idle.
    Agent,
    /// How fast the simulation is.
    Sim,
}

/// A program that measures.
#[derive(Debug, Clone, Copy)]
enum Program {
    /// A package and its bench target.
    Bench(&'static str, &'static str),
    /// An ignored test of health-bin's simulation.
    Simulation(&'static str),
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    what: String,
    unit: String,
    /// Nothing where it could not be measured.
    value: Option<f64>,
    beside: Option<(String, f64)>,
    budget: Option<Budget>,
}

/// What a value may be.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Budget {
    AtMost(f64),
    AtLeast(f64),
    /// At least that share of what was measured beside it.
    ShareAtLeast(f64),
    /// At most that share of what was measured beside it.
    ShareAtMost(f64),
}

const FILE: &str = "BENCHMARKS.md";

const HEADER: [&str; 6] = ["what", "measured", "beside", "ratio", "budget", ""];

/// Measures, prints a table for each suite, and fails where a budget is not met.
pub(crate) fn run(sh: &Shell, args: &Args) -> anyhow::Result<()> {
    let suites = match args.suite {
        Some(suite) => vec![suite],
        None => Suite::value_variants().to_vec(),
    };
    let mut budgets = 0;
    let mut missed = Vec::new();
    for suite in suites {
        let rows = measure(sh, args, suite)?;
        let table = table(&rows);
        println!("\n{}\n\n{table}", suite.name());
        if args.record {
            record(sh, suite, &table)?;
        }
        budgets += rows.iter().filter(|row| row.budget.is_some()).count();
        let not_met = rows.into_iter().filter(|row| row.is_met() == Some(false));
        missed.extend(not_met.map(|row| row.what));
    }
    println!(
        "\nbench: {} of {budgets} budgets are met",
        budgets - missed.len()
    );
    anyhow::ensure!(
        args.lenient || missed.is_empty(),
        "bench: {} of {budgets} budgets are not met:\n  {}",
        missed.len(),
        missed.join("\n  ")
    );
    Ok(())
}

fn measure(sh: &Shell, args: &Args, suite: Suite) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for program in suite.programs() {
        let output = program.run(sh, args)?;
        let before = rows.len();
        for line in output.lines() {
            rows.push(Row::parse(line)?);
        }
        anyhow::ensure!(rows.len() > before, "{program:?} told nothing");
    }
    Ok(rows)
}

// === impl Suite ===

impl Suite {
    const fn programs(self) -> &'static [Program] {
        match self {
            Self::Health => &[
                Program::Bench("health-checks", "round"),
                Program::Bench("health-checks", "hostile"),
                Program::Bench("health-bin", "probes"),
            ],
            Self::Tunnel => &[Program::Bench("health-transport-ws", "tunnel")],
            Self::Hub => &[
                Program::Bench("health-heartbeat", "fleet"),
                Program::Bench("health-bin", "hub"),
            ],
            Self::Agent => &[Program::Bench("health-bin", "agent")],
            Self::Sim => &[Program::Simulation("speed_of_a_calm_world")],
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Tunnel => "tunnel",
            Self::Hub => "hub",
            Self::Agent => "agent",
            Self::Sim => "sim",
        }
    }
}

// === impl Program ===

impl Program {
    /// What it told, a line for each row.
    fn run(self, sh: &Shell, args: &Args) -> anyhow::Result<String> {
        match self {
            Self::Bench(package, program) => {
                let passed_on = args.passed_on();
                let bench = cmd!(sh, "cargo bench --locked -p {package} --bench {program} --");
                Ok(bench.args(passed_on).read()?)
            }
            Self::Simulation(test) => {
                let target = ["-p", "health-bin", "--test", "simulation"];
                let run = cmd!(sh, "cargo test --release --locked {target...} --");
                let flags = ["--ignored", "--nocapture", "--exact", test];
                let output = run.args(flags).read()?;
                // The runner tells its own story around it.
                let rows = output.lines().filter(|line| line.starts_with('{'));
                Ok(rows.collect::<Vec<_>>().join("\n"))
            }
        }
    }
}

// === impl Row ===

impl Row {
    /// Reads what a measuring program printed.
    fn parse(line: &str) -> anyhow::Result<Self> {
        let json: Value = serde_json::from_str(line)
            .with_context(|| format!("a measuring program printed {line:?}"))?;
        let text = |name: &str| json[name].as_str().map(str::to_owned);
        let budget = text("budget").map(|budget| Budget::parse(&budget));
        Ok(Self {
            what: text("what").with_context(|| format!("no \"what\" in {line}"))?,
            unit: text("unit").unwrap_or_default(),
            value: json["value"].as_f64(),
            beside: text("peer").zip(json["peer_value"].as_f64()),
            budget: budget.transpose()?,
        })
    }

    fn ratio(&self) -> Option<f64> {
        let (_, beside) = self.beside.as_ref().filter(|(_, value)| *value > 0.0)?;
        Some(self.value? / beside)
    }

    /// Whether the budget is met; what was not measured meets none.
    fn is_met(&self) -> Option<bool> {
        let budget = self.budget?;
        let held = match budget {
            Budget::AtMost(limit) => self.value.map(|value| value <= limit),
            Budget::AtLeast(limit) => self.value.map(|value| value >= limit),
            Budget::ShareAtLeast(limit) => self.ratio().map(|ratio| ratio >= limit),
            Budget::ShareAtMost(limit) => self.ratio().map(|ratio| ratio <= limit),
        };
        Some(held.unwrap_or(false))
    }

    fn cells(&self) -> [String; 6] {
        let shown = |value: Option<f64>| match value {
            Some(value) => format!("{} {}", short(value), self.unit)
                .trim_end()
                .to_owned(),
            None => "?".to_owned(),
        };
        let beside = self.beside.as_ref();
        let met = match self.is_met() {
            Some(true) => "met",
            Some(false) => "NOT MET",
            None => "",
        };
        [
            self.what.clone(),
            shown(self.value),
            beside.map_or_else(String::new, |(peer, value)| {
                format!("{peer}: {}", shown(Some(*value)))
            }),
            self.ratio()
                .map_or_else(String::new, |ratio| format!("{} ×", short(ratio))),
            self.budget
                .map_or_else(String::new, |budget| budget.to_string()),
            met.to_owned(),
        ]
    }
}

// === impl Budget ===

impl Budget {
    /// Reads `≤ 2`, `≥ 2`, `≥ 0.9 ×` or `≤ 1.2 ×`.
    fn parse(text: &str) -> anyhow::Result<Self> {
        let mut words = text.split(' ');
        let (sign, limit, times) = (words.next(), words.next(), words.next());
        let limit: f64 = limit
            .and_then(|limit| limit.parse().ok())
            .with_context(|| format!("{text:?} is no budget"))?;
        match (sign, times) {
            (Some("≤"), None) => Ok(Self::AtMost(limit)),
            (Some("≥"), None) => Ok(Self::AtLeast(limit)),
            (Some("≥"), Some("×")) => Ok(Self::ShareAtLeast(limit)),
            (Some("≤"), Some("×")) => Ok(Self::ShareAtMost(limit)),
            _ => anyhow::bail!("{text:?} is no budget"),
        }
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(limit) => write!(f, "≤ {}", short(*limit)),
            Self::AtLeast(limit) => write!(f, "≥ {}", short(*limit)),
            Self::ShareAtLeast(limit) => write!(f, "≥ {} ×", short(*limit)),
            Self::ShareAtMost(limit) => write!(f, "≤ {} ×", short(*limit)),
        }
    }
}

/// A table that people and Markdown can read.
fn table(rows: &[Row]) -> String {
    let header = HEADER.map(str::to_owned);
    let cells: Vec<_> = std::iter::once(header)
        .chain(rows.iter().map(Row::cells))
        .collect();
    let width = |column: usize| {
        let of = |row: &[String; 6]| row[column].chars().count();
        cells.iter().map(of).max().unwrap_or_default()
    };
    let widths = [0, 1, 2, 3, 4, 5].map(width);
    let mut lines: Vec<_> = cells
        .iter()
        .map(|row| {
            let padded = row.iter().zip(widths);
            let padded: Vec<_> = padded
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            format!("| {} |", padded.join(" | "))
        })
        .collect();
    let rule: Vec<_> = widths.iter().map(|width| "-".repeat(*width)).collect();
    lines.insert(1, format!("| {} |", rule.join(" | ")));
    lines.join("\n")
}

/// Three digits or so.
fn short(value: f64) -> String {
    let decimals = match value.abs() {
        size if size.fract() == 0.0 || size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 0.1 => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

/// Writes a suite's section of the file, and leaves the others as they are.
fn record(sh: &Shell, suite: Suite, table: &str) -> anyhow::Result<()> {
    let name = suite.name();
    let date = cmd!(sh, "date -u +%Y-%m-%d").quiet().read()?;
    let commit = cmd!(sh, "git describe --always --dirty").quiet().read()?;
    let rustc = cmd!(sh, "rustc --version").quiet().read()?;
    let machine = machine(sh)?;
    let section = format!(
        "## {name}\n\n`cargo xtask bench {name}` on {date} at `{commit}`, {rustc}, {machine}.\n\n{table}\n"
    );
    let old = match Path::new(&sh.current_dir()).join(FILE).exists() {
        true => sh.read_file(FILE)?,
        false => String::new(),
    };
    sh.write_file(FILE, with_section(&old, name, &section))?;
    println!("{FILE}: section {name:?} is written");
    Ok(())
}

/// The file with one section put in or replaced.
fn with_section(old: &str, name: &str, section: &str) -> String {
    const HEAD: &str = "# Benchmarks\n\nWhat the project promises to cost, and what it does cost; written by `cargo xtask bench --record`.\nA ratio is of two things that were measured in the same run.\n";
    let mut sections: Vec<_> = old
        .split("\n## ")
        .skip(1)
        .map(|rest| format!("## {}\n", rest.trim_end()))
        .collect();
    let place = sections
        .iter()
        .position(|old| old.lines().next() == Some(&format!("## {name}")));
    match place {
        Some(place) => section.clone_into(&mut sections[place]),
        None => sections.push(section.to_owned()),
    }
    format!("{HEAD}\n{}", sections.join("\n"))
}

/// What the numbers were measured on.
fn machine(sh: &Shell) -> anyhow::Result<String> {
    let cores = std::thread::available_parallelism()?;
    let cpuinfo = sh.read_file("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("an unknown processor", |(_, model)| model);
    Ok(format!("{cores} cores of {model}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_met_by_the_value_or_by_the_ratio() {
        for (value, beside, budget, met) in [
            ("1.9", "", "≤ 2", Some(true)),
            ("2.1", "", "≤ 2", Some(false)),
            ("null", "", "≤ 2", Some(false)),
            ("3", "", "≥ 2", Some(true)),
            (
                "9",
                r#","peer":"bare","peer_value":10"#,
                "≥ 0.9 ×",
                Some(true),
            ),
            (
                "8",
                r#","peer":"bare","peer_value":10"#,
                "≥ 0.9 ×",
                Some(false),
            ),
            ("8", "", "≥ 0.9 ×", Some(false)),
            (
                "12",
                r#","peer":"bare","peer_value":10"#,
                "≤ 1.2 ×",
                Some(true),
            ),
            (
                "13",
                r#","peer":"bare","peer_value":10"#,
                "≤ 1.2 ×",
                Some(false),
            ),
            ("8", "", "≤ 1.2 ×", Some(false)),
        ] {
            let line = format!(
                r#"{{"what":"a","unit":"ms","value":{value}{beside},"budget":"{budget}"}}"#
            );
            let row = Row::parse(&line).unwrap();
            assert_eq!(row.is_met(), met, "{line}");
        }
        let row = Row::parse(r#"{"what":"a","unit":"ms","value":1}"#).unwrap();
        assert_eq!(row.is_met(), None);
    }

    #[test]
    fn what_is_no_row_or_no_budget_is_told() {
        assert!(Row::parse("warming up").is_err());
        for budget in ["2", "< 2", "≤ two", "≤ 0.9 %"] {
            let line = format!(r#"{{"what":"a","value":1,"budget":"{budget}"}}"#);
            assert!(Row::parse(&line).is_err(), "{budget}");
        }
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [
            r#"{"what":"short","unit":"µs","value":1.234,"budget":"≤ 2"}"#,
            r#"{"what":"a longer one","unit":"","value":1234.5,"peer":"bare","peer_value":1000}"#,
        ];
        let rows = rows.map(|line| Row::parse(line).unwrap());
        let expected = "\
| what         | measured | beside     | ratio  | budget |     |
| ------------ | -------- | ---------- | ------ | ------ | --- |
| short        | 1.23 µs  |            |        | ≤ 2    | met |
| a longer one | 1234     | bare: 1000 | 1.23 × |        |     |";
        assert_eq!(table(&rows), expected);
    }

    #[test]
    fn a_section_is_replaced_where_it_stands() {
        let one = with_section("", "health", "## health\n\nold\n");
        let two = with_section(&one, "hub", "## hub\n\nhub\n");
        let three = with_section(&two, "health", "## health\n\nnew\n");
        assert!(three.starts_with("# Benchmarks\n"), "{three}");
        assert!(
            three.ends_with("\n## health\n\nnew\n\n## hub\n\nhub\n"),
            "{three}"
        );
    }
}
