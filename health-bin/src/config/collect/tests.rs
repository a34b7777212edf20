use crate::config::AGENT_VARIABLES;
use crate::config::AgentConfig;
use crate::config::Environment;
use crate::config::Source;
use crate::config::load;
use crate::config::problem::Place;

/// One of each class, in one file, and each is told with its place.
#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let text = "\
# what can go wrong
syncTarget: { name: [a], workspace: 5 }
server:
  bind: here
  drainDelay: 5
log: { level: inof, format: xml }
probes: yes please
push: { enabled: 'true' }
checks:
  interval: soon
  defaultProbes: [readiness, livenes]
  components:
    - name: no-url
      http: { headers: { a: [1] }, latencySeconds: { degraded: much } }
    - http: { url: 'ftp://x' }
    - a text
    - name: typo
      htpp: { url: 'http://x' }
    - { name: two, tcp: { address: 'a:1' }, file: { path: /x } }
    - { name: positional, tcp: ['a:1'] }
    - { name: list-is-missing, exec: { evn: {} } }
    - { name: negative, failureThreshold: -1, tcp: { address: 'a:1' } }
heartbeat:
  interval: 10s
  intervall: 5s
  failureThreshold: 2.5
  interval: 20s
cluster: { inCluster: true }
heartBeat: {}
";
    let environment = [
        ("SYNCER_HEALTH_HEARTBEAT_TIMEOUT", "long"),
        ("SYNCER_HEALTH_CLUSTER_ENABLED", "maybe"),
    ];
    check(
        text,
        &environment,
        &[
            "2:21: syncTarget.name: is a list; give a text, in quotes where it looks like \
             something else",
            "2:37: syncTarget.workspace: is the number 5; give a text, in quotes where it looks \
             like something else",
            "4:9: server.bind: \"here\" is no address; write it like 127.0.0.1:8081 or [::]:8081",
            "5:15: server.drainDelay: is the number 5; give a duration, like 10s, 1m30s or 250ms",
            "6:15: log.level: is \"inof\"; give one of: error, warn, info, debug, trace; did you \
             mean \"info\"?",
            "6:29: log.format: is \"xml\"; give one of: text, json",
            "7:9: probes: is the text \"yes please\"; give a map of keys and values",
            "8:18: push.enabled: is the text \"true\"; give true or false",
            "10:13: checks.interval: \"soon\" is not a duration (expected number at 0); write it \
             like 10s, 1m30s or 250ms",
            "11:30: checks.defaultProbes[1]: is \"livenes\"; give one of: liveness, readiness, \
             startup; did you mean \"liveness\"?",
            "14:7: checks.components[0].http.url: is missing; it must be given",
            "14:29: checks.components[0].http.headers.a: is a list; give a text, in quotes where \
             it looks like something else",
            "14:64: checks.components[0].http.latencySeconds.degraded: is the text \"much\"; give \
             a number",
            "15:7: checks.components[1].name: is missing; it must be given",
            "15:7: checks.components[1].http: the URL must begin with http:// or https:// and \
             name a host",
            "16:7: checks.components[2]: is the text \"a text\"; give a map of keys and values",
            "18:7: checks.components[3].htpp: unknown key; did you mean \"http\"?",
            "19:45: checks.components[4].file: is a kind beside tcp; give exactly one of: http, tcp, exec, \
             prometheus, kubernetesApi, disk, file, resources, push",
            "20:32: checks.components[5].tcp: is a list; give a map of keys and values",
            "21:32: checks.components[6].exec.command: is missing; it must be given",
            "21:40: checks.components[6].exec.evn: unknown key; did you mean \"env\"?",
            "22:43: checks.components[7].failureThreshold: is the number -1; give a whole number \
             from 0 to 4294967295",
            "25:3: heartbeat.intervall: unknown key; did you mean \"interval\"?",
            "26:21: heartbeat.failureThreshold: is the number 2.5; give a whole number from 0 to \
             4294967295",
            "27:3: heartbeat.interval: is there twice, first in line 24; keep one of the two",
            "29:1: heartBeat: unknown key; did you mean \"heartbeat\"?",
            "SYNCER_HEALTH_CLUSTER_ENABLED: cluster.enabled: is the text \"maybe\"; give true or \
             false",
            "SYNCER_HEALTH_HEARTBEAT_TIMEOUT: heartbeat.timeout: \"long\" is not a duration \
             (expected number at 0); write it like 10s, 1m30s or 250ms",
        ],
    );
}

#[test]
fn what_follows_from_what_was_told_is_not_told() {
    for (text, lines) in [
        // The timeout is too short for the default interval only.
        (
            "heartbeat: { interval: 1x, timeout: 4s }",
            &[
                "1:24: heartbeat.interval: \"1x\" is not a duration (unknown time unit \"x\", \
               supported units: ns, us/µs, ms, sec, min, hours, days, weeks, months, years (and \
               few variations)); write it like 10s, 1m30s or 250ms",
            ][..],
        ),
        (
            "heartbeat: { intervl: 1s, timeout: 4s }",
            &["1:14: heartbeat.intervl: unknown key; did you mean \"interval\"?"],
        ),
        // The token's file is wanted for an address that was not read.
        (
            "{ push: { enabled: true }, server: { bind: 1 } }",
            &[
                "1:44: server.bind: is the number 1; give an address, like 127.0.0.1:8081 or \
               [::]:8081",
            ],
        ),
        (
            "checks: { components: [{ name: a, tpc: {} }, { name: b }] }",
            &[
                "1:35: checks.components[0].tpc: unknown key; did you mean \"tcp\"?",
                "1:46: checks.components[1]: has no kind; give exactly one of: http, tcp, exec, \
                 prometheus, kubernetesApi, disk, file, resources, push",
            ],
        ),
        // Neither follows from the other.
        (
            "{ checks: { components: [{ name: a, interval: 5, tcp: { address: 'a:1' }, file: { path: /x } }] } }",
            &[
                "1:47: checks.components[0].interval: is the number 5; give a duration, like 10s, \
                 1m30s or 250ms",
                "1:75: checks.components[0].file: is a kind beside tcp; give exactly one of: http, \
                 tcp, exec, prometheus, kubernetesApi, disk, file, resources, push",
            ],
        ),
        // Of a file that is no YAML nobody knows what it would say.
        (
            "{ heartbeat: { timeout: 1s }, a: b: c }",
            &[
                "1:35: this is not YAML: while parsing a flow mapping, did not find expected ',' or '}'",
            ],
        ),
    ] {
        check(text, &[], lines);
    }
}

#[test]
fn a_threshold_that_is_no_pair_is_shown_one() {
    check(
        "checks: { components: [{ name: a, disk: { path: /, usedRatio: 0.9 } }] }\n",
        &[],
        &[
            "1:63: checks.components[0].disk.usedRatio: is the number 0.9; \
           give thresholds, like { degraded: 10, unhealthy: 20 }",
        ],
    );
}

#[test]
fn a_section_without_anything_says_so() {
    check(
        "server:\nlog: { level: }\n",
        &[],
        &[
            "1:7: server: is empty; give a map of keys and values",
            "2:13: log.level: is empty; give a text, in quotes where it looks like something else",
        ],
    );
}

/// A header is a secret often enough, and a number would be shown otherwise.
#[test]
fn what_may_be_a_secret_is_not_shown() {
    let text = "
checks:
  components:
    - { name: a, http: { url: 'http://x', headers: { authorization: 12345 } } }
    - { name: b, exec: { command: [x], env: { PASSWORD: 67890, OTHER: true } } }
";
    let wanted = "give a text, in quotes where it looks like something else";
    check(
        text,
        &[],
        &[
            &format!(
                "4:69: checks.components[0].http.headers.authorization: is the number; {wanted}"
            ),
            &format!("5:57: checks.components[1].exec.env.PASSWORD: is the number; {wanted}"),
            &format!("5:71: checks.components[1].exec.env.OTHER: is the truth value; {wanted}"),
        ],
    );
}

#[test]
fn an_alias_is_mended_at_its_anchor() {
    check(
        "log: &it { level: loud }\nprobes: *it\n",
        &[],
        &[
            "1:12: probes.level: unknown key; known here: readyWhenDegraded",
            "1:19: log.level: is \"loud\"; give one of: error, warn, info, debug, trace",
        ],
    );
}

#[test]
fn of_too_much_that_is_wrong_the_first_is_told() {
    let mut text = String::new();
    for number in 0..1_000 {
        text.push_str(&format!("zzzzzzzzzzzzzzzz{number}: 1\n"));
    }
    let lines = lines(&text, &[]);
    assert_eq!(lines.len(), 101);
    assert!(lines[0].starts_with("f.yaml:1:1: zzzzzzzzzzzzzzzz0: unknown key;"));
    let more = "f.yaml:1:1: there is more wrong than is told here; mend this first";
    assert_eq!(lines[1], more);
    assert_eq!(lines[100], "configuration: 101 more problems are not shown");
}

/// Text that was damaged by chance: what is wrong is told in lines that point into the file, and the
/// end comes.
#[test]
fn whatever_is_written_each_problem_is_a_line_with_a_place_that_there_is() {
    const LONG: &str = "
heartbeat: &it { interval: 5s, timeout: 20s, websocket: { url: 'ws://127.0.0.1:1/tunnel' } }
syncTarget: { name: a }
checks:
  components:
    - { name: a, http: { url: 'http://x', headers: { a.b: 'c' } }, trends: { x: { window: 10m } } }
    - { name: b, exec: { command: [x, y], env: { A: b } }, probes: [liveness] }
";
    const MARKS: &[u8] = b"{}[]:,-&*!|'\"\n #a1~";
    let mut random = fastrand::Rng::with_seed(1);
    let mut wrong = 0;
    for round in 0..1_000 {
        let mut text: Vec<char> = LONG.chars().collect();
        for _ in 0..=random.usize(..4) {
            let at = random.usize(..text.len());
            match random.u8(..3) {
                0 => drop(text.remove(at)),
                1 => text.insert(at, char::from(*random.choice(MARKS).unwrap())),
                _ => {
                    let end = (at + random.usize(..40)).min(text.len());
                    let part = text[at..end].to_vec();
                    let to = random.usize(..text.len());
                    text.splice(to..to, part);
                }
            }
        }
        let text: String = text.into_iter().collect();
        let draft = load::<AgentConfig>(source(&text), &Environment::new(), AGENT_VARIABLES);
        let Err(error) = draft.check(|config| config.validate(None)) else {
            continue;
        };
        wrong += 1;
        let shown = error.to_string();
        assert_eq!(
            shown.lines().count(),
            error.0.len(),
            "{round}: {text}\n{shown}"
        );
        let lines = text.split('\n').count() as u64;
        for problem in &error.0 {
            let Some(Place::File { line, column, .. }) = &problem.place else {
                panic!("{round}: {text}\n{problem}");
            };
            // What ends too early is missed in the line after the last.
            assert!(
                (1..=lines + 1).contains(line) && *column > 0,
                "{round}: {text}\n{problem}"
            );
        }
    }
    assert!(wrong > 300, "{wrong}");
}

#[track_caller]
fn check(text: &str, environment: &[(&str, &str)], expected: &[&str]) {
    let lines = lines(text, environment);
    let lines: Vec<_> = lines
        .iter()
        .map(|line| line.strip_prefix("f.yaml:").unwrap_or(line))
        .collect();
    assert_eq!(lines, expected, "{text}\n{}", lines.join("\n"));
}

fn lines(text: &str, environment: &[(&str, &str)]) -> Vec<String> {
    let environment: Environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let draft = load::<AgentConfig>(source(text), &environment, AGENT_VARIABLES);
    let error = draft.check(|config| config.validate(None)).unwrap_err();
    error.to_string().lines().map(str::to_owned).collect()
}

const fn source(text: &str) -> Source<'_> {
    Source {
        file: Some("f.yaml"),
        text,
    }
}
