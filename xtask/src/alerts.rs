//! Subcommand: cargo xtask alerts

use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use xshell::Shell;
use xshell::cmd;

use crate::project_root;
use crate::tool::Tool;

mod exposition;

mod promql;

mod rules;

mod stories;

mod dashboards;

mod reference;

use exposition::Known;
use exposition::Moment;
use stories::STORIES;

/// What is done with the scrapes.
#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// Write docs/metrics.md anew.
    #[arg(long)]
    write: bool,
    /// Use what the program answered the last time.
    #[arg(long)]
    kept: bool,
    /// Whether a machine without promtool is an error instead of a skip.
    #[arg(skip)]
    must_run: bool,
}

impl Args {
    /// CI never skips.
    pub(crate) const fn for_ci() -> Self {
        Self {
            write: false,
            kept: false,
            must_run: true,
        }
    }
}

const PROMTOOL: Tool = Tool {
    name: "promtool",
    packages: &["prometheus"],
};

const RULES: &str = "deploy/prometheus/alerts.yaml";
const RUNBOOK: &str = "docs/runbook.md";
const DASHBOARDS: &str = "deploy/grafana";

/// Has the program's tests leave what it answered, and tries rules, dashboards and docs on that.
pub(crate) fn run(sh: &Shell, args: &Args) -> anyhow::Result<()> {
    let Some(promtool) = PROMTOOL.find(sh) else {
        anyhow::ensure!(
            !args.must_run,
            "alerts: this machine has no promtool, and CI never skips"
        );
        println!("alerts: skipped, this machine has no promtool and it cannot be installed");
        return Ok(());
    };
    let folder = project_root()?.join("target/alerts");
    let scrapes = folder.join("scrapes");
    if !args.kept {
        sh.remove_path(&folder)?;
        sh.create_dir(&scrapes)?;
        scrape(sh, &scrapes)?;
    }
    let told = read(sh, &scrapes)?;
    let moments = told.iter().flat_map(|(_, moments)| moments);
    let known = Known::of(moments.clone());
    lint(sh, &promtool, moments)?;

    let text = sh.read_file(RULES)?;
    let alerts = rules::parse(&text)?;
    rules::check(&alerts, &known)?;
    rules::check_runbook(&alerts, &sh.read_file(RUNBOOK)?)?;
    cmd!(sh, "{promtool} check rules {RULES}").run()?;
    stories::check(&told, &alerts)?;
    let rules_file = project_root()?.join(RULES);
    for (story, moments) in &told {
        let test = stories::test(story, moments, &rules_file);
        let file = folder.join(format!("{}.yaml", story.name));
        sh.write_file(&file, test)?;
        let test = cmd!(sh, "{promtool} test rules {file}");
        let tried = test.quiet().ignore_status().output()?;
        anyhow::ensure!(
            tried.status.success(),
            "alerts: the story {}:\n{}{}",
            story.name,
            String::from_utf8_lossy(&tried.stdout),
            String::from_utf8_lossy(&tried.stderr)
        );
    }

    let boards = dashboards::read(sh, DASHBOARDS)?;
    let expressions = dashboards::check(&boards, &known)?;
    let file = folder.join("dashboards.yaml");
    sh.write_file(&file, dashboards::as_rules(&expressions))?;
    cmd!(sh, "{promtool} check rules {file}").quiet().run()?;

    reference::check(sh, &told, args.write)?;
    println!(
        "alerts: {} rules in {} stories, {} expressions of {} dashboards, {} metrics",
        alerts.len(),
        told.len(),
        expressions.len(),
        boards.len(),
        known.len()
    );
    Ok(())
}

/// A story, and what was answered at each of its moments.
type Told = Vec<(&'static stories::Story, Vec<Moment>)>;

/// Has each story told anew, by processes on loopback.
fn scrape(sh: &Shell, scrapes: &Path) -> anyhow::Result<()> {
    let _folder = sh.push_env("SYNCER_HEALTH_TEST_SCRAPES", scrapes);
    let target = ["-p", "health-bin", "--test", "integration"];
    let test = cmd!(sh, "cargo test --locked {target...} scrapes:: -- --ignored");
    Ok(test.run()?)
}

fn read(sh: &Shell, scrapes: &Path) -> anyhow::Result<Told> {
    let found: Vec<PathBuf> = sh.read_dir(scrapes)?;
    for path in &found {
        let name = path.file_name().unwrap_or_default();
        anyhow::ensure!(
            STORIES.iter().any(|story| *story.name == *name),
            "alerts: the story {name:?} is not in xtask/src/alerts/stories.rs"
        );
    }
    let read = |story: &'static stories::Story| {
        let folder = scrapes.join(story.name);
        let moments = sh
            .read_dir(&folder)
            .with_context(|| format!("alerts: the story {} was not told", story.name))?;
        let moments = moments.iter().map(|folder| Moment::read(sh, folder));
        Ok((story, moments.collect::<anyhow::Result<_>>()?))
    };
    STORIES.iter().map(read).collect()
}

/// What Prometheus' own conventions say of the names, the types and the help.
fn lint<'a>(
    sh: &Shell,
    promtool: &Path,
    moments: impl Iterator<Item = &'a Moment>,
) -> anyhow::Result<()> {
    for target in moments.flat_map(|moment| &moment.targets) {
        if target.text.is_empty() {
            continue;
        }
        let text = &target.text;
        let linted = cmd!(sh, "{promtool} check metrics")
            .quiet()
            .ignore_status()
            .stdin(text)
            .output()?;
        anyhow::ensure!(
            linted.status.success() && linted.stderr.is_empty(),
            "alerts: {} {} by Prometheus' conventions:\n{}",
            target.job,
            target.instance,
            String::from_utf8_lossy(&linted.stderr)
        );
    }
    Ok(())
}
