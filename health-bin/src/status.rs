//! `status`: how an agent or a hub's fleet is, for people and for pipes.
//!
//! What is asked, what an answer means, what stands in which table and when to ask again is decided
//! without I/O ([`ask`], [`view`], [`watch`], [`pace`]); the rest asks and writes.

mod answer;

mod ask;

mod fetch;

mod view;

mod table;

mod format;

mod watch;

mod pace;

mod screen;

#[cfg(fuzzing)]
mod fuzzing;

#[cfg(fuzzing)]
pub use fuzzing::answers as fuzz_answers;
#[cfg(fuzzing)]
pub use fuzzing::events as fuzz_events;

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use secrecy::SecretString;

use answer::Known;
pub(crate) use ask::AGENT_URL;
pub(crate) use ask::AGENTS_MAX;
use ask::Filter;
pub(crate) use ask::HUB_URL;
use ask::Question;
use fetch::fetch;
use pace::EventFinder;
use pace::Pace;
use screen::Reader;
use screen::Screen;
use table::Look;
pub(crate) use table::text::plain;
use watch::Watch;
use watch::Writing;

use crate::cli::StatusArgs;
use crate::clock;
use crate::config::ConfigError;
use crate::config::Environment;
use crate::http::Client;
use crate::http::Open;
use crate::http::Url;
use crate::run::say;
use crate::signals;

/// Who is asked for what.
#[derive(Debug)]
struct Inquiry {
    client: Client,
    has_token: bool,
    question: Question,
}

/// What comes next while one watches.
enum Step {
    Ask,
    Open,
    /// A piece of the stream, or its end.
    Piece(Option<hyper::body::Bytes>),
}

/// Exit code 0 whatever the health is, 1 when nothing answers or it refuses.
pub(crate) async fn run(args: StatusArgs, environment: &Environment) -> anyhow::Result<ExitCode> {
    let (format, is_watch) = (args.output, args.watch);
    let inquiry = Inquiry::of(args)?;
    let screen = Screen::new(environment);
    if is_watch {
        let watch = Watch::new(format, screen.is_terminal, screen.colour);
        return tokio::select! {
            ended = follow(&inquiry, &screen, watch) => ended,
            // What was asked to go on until then has not failed.
            stopped = signals::end_asked() => stopped.map(|()| ExitCode::SUCCESS),
            () = screen::reader_gone() => Ok(ExitCode::SUCCESS),
        };
    }
    let answer = inquiry.ask().await?;
    let look = Look {
        colour: screen.colour,
        width: None,
    };
    let text = format::write(&answer, format, look, clock::wall())?;
    screen.write(text).await?;
    if let Some(note) = view::note(&answer.known) {
        say(&mut std::io::stderr(), &plain(&note));
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks again and again, until nobody reads any more.
async fn follow(inquiry: &Inquiry, screen: &Screen, mut watch: Watch) -> anyhow::Result<ExitCode> {
    let answer = inquiry.ask().await?;
    let tells = matches!(answer.known, Known::Fleet(_) | Known::Detail(_));
    let first = watch.answered(&answer, clock::wall(), screen.size())?;
    drop(answer);
    let mut pace = Pace::new(tells, Instant::now());
    let mut reader = write(screen, first).await?;
    let mut events: Option<Open> = None;
    let mut finder = EventFinder::default();
    while reader == Reader::There {
        let step = tokio::select! {
            () = until(Some(pace.ask_at())) => Step::Ask,
            () = until(pace.open_at()) => Step::Open,
            piece = next(&mut events) => Step::Piece(piece),
        };
        match step {
            Step::Ask => {
                pace.asking(Instant::now());
                let size = screen.size();
                let writing = match inquiry.ask().await {
                    Ok(answer) => watch.answered(&answer, clock::wall(), size)?,
                    Err(error) => watch.failed(&format!("{error:#}"), size),
                };
                pace.asked(Instant::now());
                reader = write(screen, writing).await?;
            }
            Step::Open => {
                events = inquiry.events().await;
                finder = EventFinder::default();
                match events {
                    Some(_) => pace.opened(),
                    None => pace.closed(Instant::now()),
                }
            }
            Step::Piece(Some(piece)) => {
                if finder.find(&piece) {
                    pace.told();
                }
            }
            Step::Piece(None) => {
                events = None;
                pace.closed(Instant::now());
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

// === impl Inquiry ===

impl Inquiry {
    fn of(args: StatusArgs) -> Result<Self, ConfigError> {
        let filter = Filter {
            verdicts: args.verdict,
            workspaces: args.workspace,
            search: args.search,
            limit: args.limit.unwrap_or(AGENTS_MAX).into(),
        };
        let question = match args.agent {
            Some(id) => Question::Agent(id),
            None if filter.is_all() && args.limit.is_none() => Question::Either(filter),
            None => Question::Fleet(filter),
        };
        let url = args.url.unwrap_or_else(|| usual_url(&question));
        let token = args.token_file.as_deref().map(read_token).transpose()?;
        if token.is_some() && !url.is_loopback() && !args.allow_plaintext {
            let what = format!(
                "the token would travel readable to {}; forward the port (kubectl port-forward) and \
                 ask on loopback, or say --allow-plaintext",
                url.host()
            );
            return Err(ConfigError::one("--token-file", what));
        }
        Ok(Self {
            has_token: token.is_some(),
            client: Client::new(url, token),
            question,
        })
    }

    async fn ask(&self) -> anyhow::Result<answer::Answer> {
        fetch(&self.client, self.has_token, &self.question).await
    }

    /// The hub's stream of changes, if it has a place for one more reader.
    async fn events(&self) -> Option<Open> {
        let opened = self.client.open(&self.question.events()).await;
        opened.ok().filter(|open| open.status.is_success())
    }
}

fn read_token(file: &Path) -> Result<SecretString, ConfigError> {
    let wrong = |what: String| ConfigError::one("--token-file", what);
    let text = std::fs::read_to_string(file)
        .map_err(|error| wrong(format!("cannot read {file:?}: {error}")))?;
    match text.trim() {
        "" => Err(wrong(format!("the file {file:?} is empty"))),
        token => Ok(token.into()),
    }
}

/// The address that an agent, or a hub, has unless it was given another.
fn usual_url(question: &Question) -> Url {
    let url = match question {
        Question::Either(_) => AGENT_URL,
        Question::Fleet(_) | Question::Agent(_) => HUB_URL,
    };
    url.parse().expect("our own addresses are URLs")
}

async fn write(screen: &Screen, writing: Writing) -> anyhow::Result<Reader> {
    if !writing.err.is_empty() {
        say(&mut std::io::stderr(), writing.err.trim_end());
    }
    match writing.out.is_empty() {
        true => Ok(Reader::There),
        false => screen.write(writing.out).await,
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

async fn next(events: &mut Option<Open>) -> Option<hyper::body::Bytes> {
    match events {
        Some(events) => events.next().await,
        None => std::future::pending().await,
    }
}
