//! The stories, which alerts fire at their ends, and how promtool is told them.
//!
//! Names, labels and values are what the program answered. Only how long a moment lasts is decided
//! here, and that ages go on while it does.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use super::exposition::Moment;
use super::rules::Alert;

/// One story, which a test of `health-bin/tests/integration/scrapes.rs` tells.
pub(super) struct Story {
    pub(super) name: &'static str,
    /// How many minutes its last moment lasts.
    last: usize,
    /// Whether ages go on in its last moment: nothing happens any more that makes them young.
    ages: bool,
    /// The alerts that fire at its end, and how many of each. No other does.
    fires: &'static [(&'static str, usize)],
}

/// How many minutes the first of several moments lasts: all is well, and nothing may fire.
const FIRST: usize = 30;

/// How many minutes those between last.
const BETWEEN: usize = 1;

/// The story whose first moment is that of a fresh start, before checks and transports have answered.
/// That is over within seconds: two scrapes see it at most.
const FRESH: &str = "healthy";
const FRESH_LASTS: usize = 2;

const fn story(name: &'static str, last: usize, fires: &'static [(&'static str, usize)]) -> Story {
    Story {
        name,
        last,
        ages: false,
        fires,
    }
}

/// All stories.
pub(super) const STORIES: &[Story] = &[
    story(FRESH, 120, &[]),
    story("left", 120, &[]),
    story("standby", 120, &[]),
    story("demo", 1, &[]),
    story(
        "lost",
        10,
        &[("SyncerAgentLost", 1), ("SyncerHealthTargetDown", 1)],
    ),
    story(
        "failing",
        10,
        &[("SyncerCheckFailing", 2), ("SyncerUnhealthy", 1)],
    ),
    story("unknown", 10, &[("SyncerCheckStale", 1)]),
    Story {
        ages: true,
        ..story(
            "hub-gone",
            10,
            &[
                ("SyncerHealthTargetDown", 1),
                ("SyncerHeartbeatFailed", 1),
                ("SyncerHeartbeatOld", 1),
                ("SyncerHubGone", 1),
                ("SyncerTunnelDown", 1),
                ("SyncerUnhealthy", 1),
            ],
        )
    },
    Story {
        ages: true,
        ..story(
            "transport",
            10,
            &[("SyncerHeartbeatOld", 1), ("SyncerTunnelDown", 1)],
        )
    },
    story("reconnecting", 5, &[("SyncerTunnelReconnecting", 1)]),
    story("flapping", 5, &[("SyncerAgentsFlapping", 1)]),
    story("doubt", 3, &[("SyncerHubInDoubt", 1)]),
    story("leaderless", 5, &[("SyncerHubWithoutLeader", 1)]),
    story("conflicts", 5, &[("SyncerLeaseConflicts", 1)]),
    story("contended", 5, &[("SyncerLeaseContended", 1)]),
    story("stalled", 20, &[("SyncerSyncStalled", 1)]),
    story("errors", 25, &[("SyncerSyncsFail", 1)]),
    story("growing", 12, &[("SyncerQueueGrowing", 1)]),
];

/// Fails if an alert fires in no story, or a story has one that is not there.
pub(super) fn check(told: &[(&Story, Vec<Moment>)], alerts: &[Alert]) -> anyhow::Result<()> {
    let there: BTreeSet<_> = alerts.iter().map(|alert| alert.name.as_str()).collect();
    let fires = STORIES.iter().flat_map(|story| story.fires);
    let fired: BTreeSet<_> = fires.map(|(name, _)| *name).collect();
    anyhow::ensure!(
        there == fired,
        "alerts that fire in no story: {:?}; in a story and not there: {:?}",
        there.difference(&fired).collect::<Vec<_>>(),
        fired.difference(&there).collect::<Vec<_>>()
    );
    for (story, moments) in told {
        let name = story.name;
        anyhow::ensure!(!moments.is_empty(), "the story {name} has no moment");
    }
    Ok(())
}

/// promtool's test of a story.
pub(super) fn test(story: &Story, moments: &[Moment], rules: &Path) -> String {
    let lasts = lasts(story, moments.len());
    let mut text = format!(
        "rule_files: [{:?}]\nevaluation_interval: 1m\ntests:\n- interval: 1m\n  input_series:\n",
        rules.display().to_string()
    );
    // Writing to a String cannot fail.
    for (series, values) in series(moments) {
        let values = values.iter().zip(&lasts).enumerate();
        let mut was_there = false;
        let mut told = Vec::new();
        for (number, (value, lasts)) in values {
            let more = lasts - 1;
            let ages = story.ages && number + 1 == moments.len();
            told.push(match value {
                Some(value) if ages && series.contains("_age_seconds{") => {
                    format!("{value}+60x{more}")
                }
                Some(value) => format!("{value}+0x{more}"),
                // Prometheus marks the end of a series.
                None if was_there && more > 0 => format!("stale _x{more}"),
                None if was_there => "stale".to_owned(),
                None => format!("_x{lasts}"),
            });
            was_there = value.is_some();
        }
        let series = series.replace('\'', "''");
        let _ = writeln!(
            text,
            "  - series: '{series}'\n    values: '{}'",
            told.join(" ")
        );
    }
    let expression = "count by (alertname) (ALERTS{alertstate=\"firing\"})";
    text.push_str("  promql_expr_test:\n");
    let end: usize = lasts.iter().sum::<usize>() - 1;
    let mut expect = |minute: usize, fires: &[(&str, usize)]| {
        let _ = writeln!(text, "  - expr: '{expression}'\n    eval_time: {minute}m");
        text.push_str("    exp_samples:\n");
        for (name, count) in fires {
            let _ = writeln!(
                text,
                "    - labels: '{{alertname=\"{name}\"}}'\n      value: {count}"
            );
        }
    };
    if moments.len() > 1 {
        for minute in [1, lasts[0] - 1] {
            expect(minute, &[]);
        }
    }
    expect(end, story.fires);
    text
}

/// How many minutes each moment lasts.
fn lasts(story: &Story, moments: usize) -> Vec<usize> {
    let mut lasts = vec![BETWEEN; moments];
    lasts[0] = FIRST;
    if story.name == FRESH {
        lasts[0] = FRESH_LASTS;
    }
    lasts[moments - 1] = story.last;
    lasts
}

/// Each series with its value at each moment, as Prometheus keeps it.
fn series(moments: &[Moment]) -> BTreeMap<String, Vec<Option<String>>> {
    let mut all: BTreeMap<String, Vec<Option<String>>> = BTreeMap::new();
    let mut put = |series: String, number: usize, value: String| {
        let values = all.entry(series);
        values.or_insert_with(|| vec![None; moments.len()])[number] = Some(value);
    };
    for (number, moment) in moments.iter().enumerate() {
        for target in &moment.targets {
            let up = format!(
                "up{{job=\"{}\",instance=\"{}\"}}",
                target.job, target.instance
            );
            let answered = u8::from(!target.text.is_empty());
            put(up, number, answered.to_string());
            for sample in &target.samples {
                put(sample.series(target), number, sample.value.clone());
            }
        }
    }
    all
}
