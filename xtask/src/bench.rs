//! Subcommand: cargo xtask bench

mod against;

mod row;

use std::path::Path;

use clap::ValueEnum;
use row::Row;
use row::table;
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
    /// Measure this tree and another commit in turns, and print one beside the other: what the
    /// machine does to both says nothing, and what the change does shows.
    #[arg(long, value_name = "COMMIT", conflicts_with = "record")]
    against: Option<String>,
    /// How many turns each has then.
    #[arg(
        long,
        default_value_t = 3,
        requires = "against",
        value_parser = clap::value_parser!(u32).range(1..),
    )]
    turns: u32,
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
            against: None,
            turns: 1,
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
    /// Those of the tunnel: under load, beside bare messages, and when a hub restarts.
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
    /// A bench target of health-bin that looks at the program as users build it: a bench's own
    /// build of it has what the tests of its libraries switch on besides.
    Shipped(&'static str),
    /// An ignored test of the simulation.
    Simulation(&'static str),
}

const FILE: &str = "BENCHMARKS.md";

/// By what a bench is told which program to look at.
const SHIPPED: &str = "SYNCER_HEALTH_PROGRAM";
const BUILT: &str = "target/release/syncer-health";
const KEPT: &str = "target/bench/syncer-health";

/// Measures, prints a table for each suite, and fails where a budget is not met.
pub(crate) fn run(sh: &Shell, args: &Args) -> anyhow::Result<()> {
    let suites = match args.suite {
        Some(suite) => vec![suite],
        None => Suite::value_variants().to_vec(),
    };
    if let Some(commit) = &args.against {
        return against::run(sh, args, &suites, commit);
    }
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
            Self::Agent => &[Program::Shipped("agent")],
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
                let bench = cmd!(sh, "cargo bench --locked -p {package} --bench {program} --");
                Ok(bench.args(args.passed_on()).read()?)
            }
            Self::Shipped(program) => {
                cmd!(sh, "cargo build --release --locked -p health-bin").run()?;
                sh.create_dir("target/bench")?;
                // The bench's build would overwrite it.
                let _program = sh.push_env(SHIPPED, sh.current_dir().join(KEPT));
                sh.copy_file(BUILT, KEPT)?;
                Self::Bench("health-bin", program).run(sh, args)
            }
            Self::Simulation(test) => {
                let target = ["-p", "simulation", "--test", "simulation"];
                let run = cmd!(sh, "cargo test --profile sim --locked {target...} --");
                let flags = ["--ignored", "--nocapture", "--exact", test];
                let output = run.args(flags).read()?;
                // The runner tells its own story around it.
                let rows = output.lines().filter(|line| line.starts_with('{'));
                Ok(rows.collect::<Vec<_>>().join("\n"))
            }
        }
    }
}

/// Writes a suite's section of the file, and leaves the others as they are.
fn record(sh: &Shell, suite: Suite, table: &str) -> anyhow::Result<()> {
    let name = suite.name();
    let date = cmd!(sh, "date -u +%Y-%m-%d").quiet().read()?;
    let mut commit = cmd!(sh, "git describe --always").quiet().read()?;
    // The sections before this one have changed the file itself.
    let others = format!(":!{FILE}");
    let changed = cmd!(
        sh,
        "git status --porcelain --untracked-files=no -- . {others}"
    );
    if !changed.quiet().read()?.is_empty() {
        commit.push_str("-dirty");
    }
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
