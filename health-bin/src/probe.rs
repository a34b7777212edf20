//! `probe`: ask a running agent, for exec probes in images without a shell.

use std::process::ExitCode;

use anyhow::Context;
use hyper::StatusCode;

use crate::cli::ProbeArgs;
use crate::http::Client;
use crate::run::say;
use crate::status::plain;

/// A probe's answer has a line for each component; more than this is not read.
const BODY_MAX: usize = 1024 * 1024;

/// Exit code 0 if the probe holds, 1 if not or if nothing answers.
pub(crate) async fn run(args: ProbeArgs) -> anyhow::Result<ExitCode> {
    let ProbeArgs { probe, url } = args;
    let client = Client::new(url, None);
    let (status, text) = client
        .get(&format!("/{probe}?verbose"), BODY_MAX)
        .await
        .with_context(|| {
            let url = client.url();
            format!("{probe}: nothing answers at {url} (--url is where the agent's server.bind is)")
        })?;
    let holds = match status {
        StatusCode::OK => true,
        StatusCode::SERVICE_UNAVAILABLE => false,
        other => {
            let url = client.url();
            anyhow::bail!("{probe}: {url}/{probe} answered {other}, so it is no probe of an agent")
        }
    };
    for line in text.lines() {
        say(&mut std::io::stdout(), &plain(line));
    }
    Ok(match holds {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
