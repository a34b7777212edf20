//! `status` and `completions`, as a user types them.

use std::net::SocketAddr;

use tokio::io::AsyncBufReadExt;
use tokio::io::BufReader;
use tokio::io::Lines;
use tokio::process::ChildStdout;

use crate::probes::agent;
use crate::support::Program;
use crate::support::Service;
use crate::support::eventually;
use crate::support::get;
use crate::support::run_to_end;
use crate::support::secs;

#[cfg(feature = "hub")]
mod hub;

#[tokio::test]
async fn an_agent_is_shown_in_each_form() {
    let service = Service::start().await;
    let (agent, address) = agent(&service).await;
    agent.answers(address, "/readyz", 200).await;
    settled(address).await;
    let url = format!("http://{address}");
    let table = status(&["--url", &url]).await;
    let mut lines = table.lines().map(str::split_whitespace);
    let mut next = || lines.next().expect("a line").collect::<Vec<_>>();
    assert_eq!(
        next(),
        ["STATUS", "REASON", "DECIDING", "VERSION", "UPTIME"]
    );
    assert_eq!(next()[..4], ["Healthy", "Healthy", "<none>", "0.1.0"]);
    assert_eq!(next(), Vec::<&str>::new());
    let titles = ["NAME", "STATUS", "REASON", "AGE", "FAILURES", "MESSAGE"];
    assert_eq!(next(), titles);
    assert_eq!(next()[..2], ["engine", "Healthy"]);
    assert_eq!(next()[..2], ["runtime", "Healthy"]);
    assert_eq!(next()[..2], ["syncer", "Healthy"]);
    assert!(
        table.ends_with("\n\nNo transports: no heartbeats are sent.\n"),
        "{table}"
    );
    assert!(
        !table.contains('\u{1b}'),
        "a pipe is no terminal: {table:?}"
    );
    let names = status(&["--url", &url, "-o", "name"]).await;
    assert_eq!(
        names,
        "component/engine\ncomponent/runtime\ncomponent/syncer\n"
    );
    let json = status(&["--url", &url, "-o", "json"]).await;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let yaml = status(&["--url", &url, "-o", "yaml"]).await;
    let yaml: serde_json::Value = serde_saphyr::from_str(&yaml).expect("YAML");
    let answered = get(address, "/report", &[]).await.expect("a report").json();
    for shown in [json, yaml] {
        assert_eq!(keys(&shown), keys(&answered));
        let syncer = |report: &serde_json::Value| report["components"]["syncer"]["status"].clone();
        assert_eq!(syncer(&shown), syncer(&answered));
    }
}

#[tokio::test]
async fn status_exits_0_whatever_the_health_and_1_when_nothing_answers() {
    let mut service = Service::start().await;
    let (agent, address) = agent(&service).await;
    agent.answers(address, "/readyz", 200).await;
    service.stop().await;
    agent.answers(address, "/readyz", 503).await;
    let table = status(&["--url", &address.to_string()]).await;
    assert!(
        table
            .lines()
            .nth(1)
            .is_some_and(|line| line.starts_with("Unhealthy ")),
        "{table}"
    );
    let (code, out, err) = run_to_end(&["status", "--url", "http://127.0.0.1:1"], &[]).await;
    assert_eq!((code, out.as_str()), (1, ""));
    for told in [
        "cannot connect to 127.0.0.1:1",
        "for a hub try --url http://127.0.0.1:8083",
    ] {
        assert!(err.contains(told), "{err}");
    }
}

#[tokio::test]
async fn something_else_that_answers_is_told_apart() {
    let service = Service::start().await;
    let url = format!("http://{}", service.address());
    let (code, out, err) = run_to_end(&["status", "--url", &url], &[]).await;
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(
        err.contains("answers, but not as an agent or a hub does"),
        "{err}"
    );
    let agent = Program::start("run", "server: { bind: '127.0.0.1:0' }", &[]);
    let url = format!("http://{}", agent.address("address").await);
    for more in [
        &["--verdict", "lost"][..],
        &["root/edge-1"],
        &["--limit", "1"],
    ] {
        let args = [&["status", "--url", &url], more].concat();
        let (code, _, err) = run_to_end(&args, &[]).await;
        assert_eq!(code, 1, "{err}");
        assert!(
            err.contains("is no hub, and only a hub has agents"),
            "{err}"
        );
    }
    let (code, _, err) = run_to_end(&["probe", "livez", "--url", &format!("{url}/x")], &[]).await;
    assert_eq!(code, 1);
    assert!(
        err.contains("answered 404 Not Found, so it is no probe"),
        "{err}"
    );
}

#[tokio::test]
async fn usage_exits_2_and_says_what_would_be_right() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let token = folder.path().join("token");
    std::fs::write(&token, "s3cr3t\n").expect("it can be written");
    let token = token.to_str().expect("a path in UTF-8");
    for (args, told) in [
        (&["-o", "wide"][..], "table, json, yaml, name"),
        (&["edge-1"], "write it as WORKSPACE/NAME"),
        (
            &["--verdict", "dead"],
            "Pending, Alive, Suspect, Lost, Left",
        ),
        (&["a/b", "--limit", "1"], "cannot be used with '--limit"),
        (&["--limit", "0"], "0 is not in 1..=20000"),
        (&["--url", "https://hub"], "kubectl port-forward"),
        (&["--url", "http://me:s3cr3t@hub"], "do not belong into it"),
        (
            &["--token-file", "/nowhere/token"],
            "--token-file: cannot read \"/nowhere/token\"",
        ),
        (
            &["--token-file", token, "--url", "http://192.0.2.1"],
            "readable to 192.0.2.1",
        ),
    ] {
        let args = [&["status"], args].concat();
        let (code, out, err) = run_to_end(&args, &[]).await;
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}: {err}");
        assert!(err.contains(told), "{args:?}: {err}");
        assert!(
            !err.contains("configuration"),
            "a flag is no key of it: {err}"
        );
        let secret = err.replace("http://me:s3cr3t@hub", "");
        assert!(!secret.contains("s3cr3t"), "{args:?}: {err}");
    }
    let (code, _, err) = run_to_end(&["probe", "livez", "--url", "ftp://a"], &[]).await;
    assert_eq!(code, 2);
    assert!(err.contains("write it like http://127.0.0.1:8081"), "{err}");
}

#[tokio::test]
async fn watching_appends_what_changed_and_says_once_that_nothing_answers() {
    let mut service = Service::start().await;
    let (agent, address) = agent(&service).await;
    agent.answers(address, "/readyz", 200).await;
    let mut watch = Watch::start(&["--url", &address.to_string()]);
    watch.line("STATUS ").await;
    watch.line("syncer ").await;
    watch.line("No transports").await;
    service.stop().await;
    let mut line = watch.line("syncer ").await;
    if line.contains(" ConnectionLost ") {
        // A look was under way.
        line = watch.line("syncer ").await;
    }
    assert!(
        line.contains(" Unhealthy ") && line.contains(" ConnectionRefused "),
        "{line}"
    );
    drop(agent);
    let told = watch.program.logged("asking again", secs(10)).await;
    assert!(told.contains("cannot connect to"), "{told}");
    watch.program.signal("INT").await;
    assert_eq!(
        watch.program.ended().await,
        Some(0),
        "{}",
        watch.program.log()
    );
    assert_eq!(
        watch.program.log().lines().count(),
        1,
        "{}",
        watch.program.log()
    );
}

#[tokio::test]
async fn watching_ends_cleanly_with_its_reader_and_at_a_signal() {
    let agent = Program::start("run", "server: { bind: '127.0.0.1:0' }", &[]);
    let address = agent.address("address").await;
    settled(address).await;
    let url = address.to_string();
    for format in ["table", "json", "yaml", "name"] {
        // Nothing changes, so nothing is written that would fail.
        let mut watch = Watch::start(&["--url", &url, "-o", format]);
        watch.line("").await;
        drop(watch.lines);
        assert_eq!(watch.program.ended().await, Some(0), "{format}");
        assert_eq!(watch.program.log(), "", "{format}");
    }
    for signal in ["INT", "TERM"] {
        let mut watch = Watch::start(&["--url", &url]);
        watch.line("NAME ").await;
        watch.program.signal(signal).await;
        assert_eq!(watch.program.ended().await, Some(0), "{signal}");
        assert_eq!(watch.program.log(), "", "{signal}");
    }
    let (code, _, err) = run_to_end(&["status", "--watch", "--url", "127.0.0.1:1"], &[]).await;
    assert_eq!(code, 1, "who never answered is not waited for: {err}");
}

#[tokio::test]
async fn a_reader_that_has_gone_is_no_error_and_a_full_disk_is_one() {
    let agent = Program::start("run", "server: { bind: '127.0.0.1:0' }", &[]);
    let url = agent.address("address").await.to_string();
    let (mut program, stdout) = Program::printing(&["status", "--url", &url]);
    drop(stdout);
    assert_eq!(program.ended().await, Some(0));
    assert_eq!(program.log(), "");
    let full = format!(
        "'{}' status --url {url} > /dev/full",
        env!("CARGO_BIN_EXE_syncer-health")
    );
    let (code, _, err) = shell("sh", &full).await;
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("cannot write to standard output"), "{err}");
}

#[tokio::test]
async fn bash_accepts_the_completions_and_completes_with_them() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (code, script, err) = run_to_end(&["completions", shell], &[]).await;
        assert_eq!((code, err.as_str()), (0, ""), "{shell}");
        assert!(script.contains("token-file"), "{shell}");
    }
    let (_, script, _) = run_to_end(&["completions", "bash"], &[]).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("syncer-health");
    std::fs::write(&file, script).expect("it can be written");
    let file = file.display();
    let (code, _, err) = shell("bash", &format!("bash -n '{file}'")).await;
    assert_eq!(
        (code, err.as_str()),
        (Some(0), ""),
        "bash finds fault with it"
    );
    for (words, at, completed) in [
        ("syncer-health st", 1, "status"),
        ("syncer-health probe ''", 2, "livez readyz startupz"),
        ("syncer-health status -o ''", 3, "table json yaml name"),
        ("syncer-health status --tok", 2, "--token-file"),
    ] {
        let complete = format!(
            "source '{file}'; COMP_WORDS=({words}); COMP_CWORD={at}
             [[ $(complete -p syncer-health) =~ -F\\ ([^ ]+) ]]
             ${{BASH_REMATCH[1]}} syncer-health \"${{COMP_WORDS[$COMP_CWORD]}}\" \
             \"${{COMP_WORDS[$COMP_CWORD-1]}}\"
             echo \"${{COMPREPLY[*]}}\""
        );
        let (_, out, err) = shell("bash", &complete).await;
        let out = out.trim();
        assert!(
            out.starts_with(completed) || out.ends_with(completed),
            "{words}: {out}{err}"
        );
    }
}

/// A `status --watch` whose lines are read.
pub(crate) struct Watch {
    pub(crate) program: Program,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watch {
    pub(crate) fn start(args: &[&str]) -> Self {
        let (program, stdout) = Program::printing(&[&["status", "--watch"], args].concat());
        Self {
            program,
            lines: BufReader::new(stdout).lines(),
        }
    }

    /// The next line that begins so.
    pub(crate) async fn line(&mut self, begin: &str) -> String {
        let wait = async {
            loop {
                let line = self.lines.next_line().await.expect("it prints text");
                let line = line.expect("it goes on");
                if line.starts_with(begin) {
                    return line;
                }
            }
        };
        let waited = tokio::time::timeout(secs(20), wait).await;
        waited.unwrap_or_else(|_| panic!("no line {begin:?}; {}", self.program.log()))
    }
}

/// What `status` prints, which must be all there is.
pub(crate) async fn status(args: &[&str]) -> String {
    let args = [&["status"], args].concat();
    let (code, out, err) = run_to_end(&args, &[]).await;
    assert_eq!((code, err.as_str()), (0, ""), "{args:?}: {out}");
    out
}

/// Waits until everything has had a first result, so that nothing changes any more.
async fn settled(address: SocketAddr) {
    eventually("a first result of everything", secs(20), || async {
        let report = get(address, "/report", &[]).await?.json();
        (report["status"] == "Healthy").then_some(())
    })
    .await;
}

/// Runs a line of a shell: exit code, standard output, standard error.
async fn shell(shell: &str, line: &str) -> (Option<i32>, String, String) {
    let run = tokio::process::Command::new(shell)
        .args(["-c", line])
        .output();
    let output = run.await.expect("a shell");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn keys(value: &serde_json::Value) -> Vec<&String> {
    value.as_object().expect("an object").keys().collect()
}
