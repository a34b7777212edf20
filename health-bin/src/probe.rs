//! `probe`: ask a running agent, for exec probes in images without a shell.

use std::process::ExitCode;

use crate::cli::ProbeArgs;
use crate::http;
use crate::run::say;

/// Exit code 0 if the probe holds, 1 if not or if nothing answers.
pub(crate) async fn run(args: ProbeArgs) -> anyhow::Result<ExitCode> {
    let url = format!("{}/{}?verbose", args.url.trim_end_matches('/'), args.probe);
    let (status, text) = http::get(&url).await?;
    say(&mut std::io::stdout(), text.trim_end());
    Ok(if status.is_success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
