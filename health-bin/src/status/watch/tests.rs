use serde_json::Value;
use serde_json::json;

use super::super::answer::Detail;
use super::super::answer::Fleet;
use super::super::answer::Known;
use super::super::answer::Report;
use super::*;

#[test]
fn appended_are_the_rows_that_changed_below_the_titles_of_their_table() {
    let mut watch = Watch::new(OutputFormat::Table, false, false);
    let first = told(&mut watch, &report("Healthy", "Healthy", 1.0));
    assert_eq!(
        first,
        "\
STATUS    REASON   DECIDING   VERSION   UPTIME
Healthy   <none>   <none>     <none>    1s

NAME     STATUS    REASON   AGE   FAILURES   MESSAGE
engine   Healthy   <none>   1s    0
http     Healthy   <none>   1s    0

No transports: no heartbeats are sent.
"
    );
    let same = told(&mut watch, &report("Healthy", "Healthy", 99.0));
    assert_eq!(same, "", "an age alone is no news");
    let worse = told(&mut watch, &report("Healthy", "Unhealthy", 2.0));
    assert_eq!(
        worse,
        "
STATUS      REASON   DECIDING   VERSION   UPTIME
Unhealthy   <none>   <none>     <none>    2s

NAME     STATUS      REASON   AGE   FAILURES   MESSAGE
http     Unhealthy   <none>   2s    0
"
    );
    let mut one = report("Healthy", "Unhealthy", 3.0);
    one["components"].as_object_mut().unwrap().remove("engine");
    assert_eq!(
        told(&mut watch, &one),
        "engine   <gone>      <gone>\n",
        "the titles above are its own"
    );
}

#[test]
fn a_history_is_appended_in_the_order_of_time_and_what_drops_out_of_it_is_no_news() {
    let mut watch = Watch::new(OutputFormat::Table, false, false);
    let first = detail(&[("01", "Pending"), ("02", "Alive")]);
    watch.answered(&first, Timestamp::UNIX_EPOCH, None).unwrap();
    let then = detail(&[("02", "Alive"), ("03", "Suspect"), ("04", "Lost")]);
    let writing = watch.answered(&then, Timestamp::UNIX_EPOCH, None).unwrap();
    let verdicts: Vec<_> = writing
        .out
        .lines()
        .filter_map(|line| line.split_whitespace().nth(2))
        .collect();
    assert_eq!(verdicts, ["Suspect", "Lost"], "{}", writing.out);
}

#[test]
fn names_and_documents_are_told_when_something_changed() {
    for (format, first, then) in [
        (
            OutputFormat::Name,
            "component/engine\ncomponent/http\n",
            "component/http\n",
        ),
        (OutputFormat::Json, "{\n", "{\n"),
        (OutputFormat::Yaml, "components:\n", "---\ncomponents:\n"),
    ] {
        let mut watch = Watch::new(format, true, true);
        let text = told(&mut watch, &report("Healthy", "Healthy", 1.0));
        assert!(text.starts_with(first), "{text}");
        assert_eq!(told(&mut watch, &report("Healthy", "Healthy", 2.0)), "");
        let text = told(&mut watch, &report("Healthy", "Degraded", 2.0));
        assert!(text.starts_with(then), "{text}");
        assert!(
            !text.contains('\u{1b}'),
            "only a table is drawn in its place"
        );
    }
}

#[test]
fn that_nothing_answers_is_told_once_until_something_does() {
    let mut watch = Watch::new(OutputFormat::Table, false, false);
    told(&mut watch, &report("Healthy", "Healthy", 1.0));
    let failed = watch.failed("refused\u{1b}", None);
    assert_eq!(failed.err, "syncer-health: refused\\u{1b}; asking again\n");
    assert_eq!(watch.failed("refused", None), Writing::default());
    assert_eq!(told(&mut watch, &report("Healthy", "Healthy", 1.0)), "");
    assert!(!watch.failed("refused", None).err.is_empty());
}

#[test]
fn a_table_is_drawn_over_the_last_one_and_never_over_what_was_above() {
    let size = Some(Size {
        columns: 40,
        lines: 24,
    });
    let mut watch = Watch::new(OutputFormat::Table, true, false);
    let mut terminal = Terminal::default();
    terminal.write("$ syncer-health status --watch\n");
    for (status, lines) in [("Healthy", 8), ("Degraded", 8)] {
        let answer = answer(&report("Healthy", status, 1.0));
        let writing = watch
            .answered(&answer, Timestamp::UNIX_EPOCH, size)
            .unwrap();
        terminal.write(&writing.out);
        assert_eq!(terminal.lines.len(), 1 + lines, "{terminal:?}");
        assert_eq!(terminal.lines[0], "$ syncer-health status --watch");
        assert!(terminal.lines[2].starts_with(status), "{terminal:?}");
        assert!(terminal.lines.iter().all(|line| line.chars().count() <= 40));
    }
    terminal.write(&watch.failed("nothing answers", size).out);
    assert_eq!(terminal.lines[9], "nothing answers");
    assert!(
        terminal.lines[2].starts_with("Degraded"),
        "the last answer stays"
    );
    terminal.write(&watch.failed("nothing answers", size).out);
    assert_eq!(terminal.lines.len(), 10);
}

#[test]
fn what_a_terminal_has_no_lines_for_is_counted() {
    let agents: Vec<_> = (0..100)
        .map(|number| agent(&format!("edge-{number}")))
        .collect();
    let fleet = Fleet::of(&json!({"agents": agents, "matching": 100}));
    let answer = Answer {
        whole: Value::Null,
        known: Known::Fleet(fleet.unwrap()),
    };
    for lines in [1, 2, 3, 24, 104, 105, 200] {
        let mut watch = Watch::new(OutputFormat::Table, true, false);
        let size = Some(Size { columns: 80, lines });
        let mut terminal = Terminal::default();
        for _ in 0..3 {
            let writing = watch
                .answered(&answer, Timestamp::UNIX_EPOCH, size)
                .unwrap();
            terminal.write(&writing.out);
        }
        let drawn = terminal.lines.len();
        assert!(drawn < lines.max(2), "{lines}: {drawn}");
        let told = terminal.lines.last().unwrap();
        if lines < 105 {
            let hidden = 104 - (drawn - 1);
            assert_eq!(told, &format!("… and {hidden} more lines"));
        } else {
            assert_eq!(drawn, 104, "{told}");
        }
    }
}

/// As much of a terminal as is used: `ESC[nA`, `ESC[J`, CR and LF.
#[derive(Debug, Default)]
struct Terminal {
    lines: Vec<String>,
    at: usize,
}

impl Terminal {
    fn write(&mut self, text: &str) {
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            if let Some(up) = rest.strip_prefix("\u{1b}[") {
                let digits = up.len()
                    - up.trim_start_matches(|one: char| one.is_ascii_digit())
                        .len();
                let (number, tail) = up.split_at(digits);
                match tail.chars().next() {
                    Some('A') => self.at -= number.parse::<usize>().unwrap(),
                    Some('J') => self.lines.truncate(self.at),
                    other => panic!("not understood: {other:?}"),
                }
                rest = &tail[1..];
                continue;
            }
            match next {
                '\n' => {
                    self.at += 1;
                    self.lines.resize(self.at, String::new());
                }
                '\r' => {}
                next => {
                    self.lines.resize(self.at + 1, String::new());
                    self.lines[self.at].push(next);
                }
            }
            rest = &rest[next.len_utf8()..];
        }
    }
}

fn told(watch: &mut Watch, report: &Value) -> String {
    let writing = watch.answered(&answer(report), Timestamp::UNIX_EPOCH, None);
    let writing = writing.unwrap();
    assert_eq!(writing.err, "");
    writing.out
}

fn answer(report: &Value) -> Answer {
    Answer {
        whole: report.clone(),
        known: Known::Report(Report::of(report).unwrap()),
    }
}

/// An agent whose verdict does not change, and its transitions.
fn detail(transitions: &[(&str, &str)]) -> Answer {
    let transitions = transitions.iter().map(|(second, verdict)| {
        let at = format!("1970-01-01T00:00:{second}Z");
        json!({"at": at, "verdict": verdict, "reason": "Told"})
    });
    let mut agent = agent("a");
    agent["transitions"] = transitions.collect();
    Answer {
        known: Known::Detail(Box::new(Detail::of(&agent).unwrap())),
        whole: agent,
    }
}

/// The whole is as the component `http` is.
fn report(engine: &str, http: &str, age: f64) -> Value {
    json!({
        "status": http,
        "uptimeSeconds": age,
        "components": {
            "engine": {"status": engine, "ageSeconds": age},
            "http": {"status": http, "ageSeconds": age},
        },
    })
}

fn agent(name: &str) -> Value {
    json!({"workspace": "w", "name": name, "verdict": "Alive"})
}
