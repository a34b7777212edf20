//! This tree beside another commit, measured in turns.

use std::path::PathBuf;

use anyhow::Context;
use xshell::Shell;
use xshell::cmd;

use super::Args;
use super::Suite;
use super::measure;
use super::row::Row;
use super::row::table;

/// Where the other commit is checked out and built; it is kept for the next time.
const OTHER: &str = "target/bench/other";

/// Measures both, and prints what has a budget, this tree's beside the other commit's.
///
/// A machine that others use too is another one after a minute, so none is measured after all of the
/// other: the two take turns, each goes first every second time, and the middle of the turns counts.
pub(super) fn run(sh: &Shell, args: &Args, suites: &[Suite], commit: &str) -> anyhow::Result<()> {
    let other = check_out(sh, commit)?;
    let name = cmd!(sh, "git -C {other} describe --always")
        .quiet()
        .read()?;
    for suite in suites {
        let mut turns = [Vec::new(), Vec::new()];
        for turn in 0..args.turns {
            let order = if turn % 2 == 0 { [0, 1] } else { [1, 0] };
            for whose in order {
                let _dir = (whose == 1).then(|| sh.push_dir(&other));
                let measured = measure(sh, args, *suite).with_context(|| {
                    let whose = ["this tree", &name][whose];
                    format!("the suite {:?} failed in {whose}", suite.name())
                });
                turns[whose].push(measured?);
            }
        }
        let [ours, theirs] = &turns;
        println!(
            "\n{}\n\n{}",
            suite.name(),
            table(&beside(ours, theirs, &name))
        );
    }
    Ok(())
}

/// The commit in a folder of its own, so that this tree may be changed and need not be committed.
fn check_out(sh: &Shell, commit: &str) -> anyhow::Result<PathBuf> {
    let revision = format!("{commit}^{{commit}}");
    let commit = cmd!(sh, "git rev-parse --verify --quiet {revision}")
        .quiet()
        .read()
        .with_context(|| format!("{commit:?} is no commit of this repository"))?;
    let other = sh.current_dir().join(OTHER);
    if other.join(".git").exists() {
        cmd!(sh, "git -C {other} checkout --quiet --detach {commit}").run()?;
    } else {
        // One that was deleted by hand is still on git's list.
        cmd!(sh, "git worktree prune").run()?;
        cmd!(sh, "git worktree add --quiet --detach {other} {commit}").run()?;
    }
    Ok(other)
}

/// What has a budget in this tree, in the middle of its turns, beside the same of the other commit;
/// and where it was measured beside something, the ratios of both. What only one of them has is left
/// out.
fn beside(ours: &[Vec<Row>], theirs: &[Vec<Row>], name: &str) -> Vec<Row> {
    let budgeted = ours.first().into_iter().flatten();
    let budgeted = budgeted.filter(|row| row.budget.is_some());
    let mut rows = Vec::new();
    for row in budgeted {
        let what = row.what.as_str();
        let mut add = |what: String, unit: &str, ours, theirs: Option<f64>| {
            rows.extend(theirs.map(|theirs| Row {
                what,
                unit: unit.to_owned(),
                value: ours,
                beside: Some((name.to_owned(), theirs)),
                budget: None,
            }));
        };
        let [our, their] = [ours, theirs].map(|turns| middle(turns, what, |row| row.value));
        add(what.to_owned(), &row.unit, our, their);
        if let Some((peer, _)) = &row.beside {
            let share = |row: &Row| row.share(peer);
            let [our, their] = [ours, theirs].map(|turns| middle(turns, what, share));
            add(format!("{what}, to {peer}"), "×", our, their);
        }
    }
    rows
}

/// The middle of what a row's turns gave.
fn middle(turns: &[Vec<Row>], what: &str, of: impl Fn(&Row) -> Option<f64>) -> Option<f64> {
    let rows = turns.iter().flatten().filter(|row| row.what == what);
    let mut values: Vec<_> = rows.filter_map(of).collect();
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = values[(values.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(round: f64, echo: f64, bare: f64) -> Vec<Row> {
        [
            format!(r#"{{"what":"round","unit":"µs","value":{round},"budget":"≤ 2"}}"#),
            format!(r#"{{"what":"steady","unit":"s","value":{round}}}"#),
            format!(
                r#"{{"what":"echo","unit":"µs","value":{echo},"peer":"bare","peer_value":{bare},"budget":"≤ 1.2 ×"}}"#
            ),
        ]
        .map(|line| Row::parse(&line).unwrap())
        .into()
    }

    #[test]
    fn the_middle_of_the_turns_stands_beside_the_other_s_with_its_ratio() {
        let ours = [
            turn(1.0, 6.0, 5.0),
            turn(9.0, 12.0, 10.0),
            turn(2.0, 9.0, 6.0),
        ];
        let theirs = [turn(3.0, 10.0, 10.0), turn(5.0, 20.0, 10.0)];
        let expected = "\
| what          | measured | beside     | ratio  | budget |  |
| ------------- | -------- | ---------- | ------ | ------ |  |
| round         | 2 µs     | v1: 4 µs   | 0.50 × |        |  |
| echo          | 9 µs     | v1: 15 µs  | 0.60 × |        |  |
| echo, to bare | 1.20 ×   | v1: 1.50 × | 0.80 × |        |  |";
        assert_eq!(table(&beside(&ours, &theirs, "v1")), expected);
    }

    #[test]
    fn what_the_other_commit_does_not_measure_is_left_out() {
        let shown = |theirs: Vec<Row>| -> Vec<_> {
            let rows = beside(&[turn(1.0, 6.0, 5.0)], &[theirs], "v1");
            rows.into_iter().map(|row| row.what).collect()
        };
        let mut theirs = turn(1.0, 6.0, 5.0);
        theirs.retain(|row| row.what != "echo");
        assert_eq!(shown(theirs), ["round"]);
        let mut theirs = turn(1.0, 6.0, 5.0);
        theirs[2].beside = Some(("another".to_owned(), 1.0));
        assert_eq!(shown(theirs), ["round", "echo"], "no ratio to two things");
    }
}
