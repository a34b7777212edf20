//! What a fuzz target reaches of `status`: whatever is answered, no promise is broken.

use health_heartbeat::AgentId;
use hyper::StatusCode;
use jiff::Timestamp;
use serde_json::Value;

use super::answer::Answer;
use super::ask;
use super::ask::Filter;
use super::ask::Page;
use super::ask::Pages;
use super::ask::Question;
use super::ask::Reply;
use super::format;
use super::pace::EventFinder;
use super::table::Look;
use super::table::text;
use super::watch::Size;
use super::watch::Watch;
use crate::cli::OutputFormat;
use crate::http::Url;

const FORMATS: [OutputFormat; 4] = [
    OutputFormat::Table,
    OutputFormat::Json,
    OutputFormat::Yaml,
    OutputFormat::Name,
];

/// Agents that are asked for.
const LIMIT: usize = 3;

/// A small terminal.
const SIZE: Size = Size {
    columns: 30,
    lines: 6,
};

/// Takes these answers, one after the other, for each question that can be asked.
pub fn answers(answers: &[(u16, String)]) {
    let url: Url = ask::HUB_URL.parse().expect("it is one");
    let filter = Filter {
        limit: LIMIT,
        ..Filter::default()
    };
    let id = AgentId {
        workspace: "root".to_owned(),
        name: "edge-1".to_owned(),
    };
    for question in [
        Question::Either(filter.clone()),
        Question::Fleet(filter),
        Question::Agent(id),
    ] {
        let mut screens = FORMATS.map(|format| Watch::new(format, false, false));
        let mut drawn = Watch::new(OutputFormat::Table, true, false);
        let mut pages = Pages::default();
        for answer in answers {
            match read(&question, &mut pages, &url, answer) {
                Some(Ok(answer)) => {
                    written(&answer);
                    for screen in &mut screens {
                        let writing = screen.answered(&answer, Timestamp::UNIX_EPOCH, None);
                        let writing = writing.expect("it can be written");
                        reaches_no_terminal(&writing.out);
                    }
                    let writing = drawn.answered(&answer, Timestamp::UNIX_EPOCH, Some(SIZE));
                    fits(&writing.expect("it can be drawn").out);
                }
                Some(Err(error)) => {
                    // As it is told, once.
                    reaches_no_terminal(&text::plain(&format!("{error:#}")));
                    fits(&drawn.failed(&format!("{error:#}"), Some(SIZE)).out);
                }
                None => {}
            }
        }
    }
}

/// An answer as it is understood; nothing where another page or another place is asked for.
fn read(
    question: &Question,
    pages: &mut Pages,
    url: &Url,
    (status, said): &(u16, String),
) -> Option<anyhow::Result<Answer>> {
    let status = StatusCode::from_u16(*status).expect("it is a status");
    let place = question.place();
    let whole = match ask::judge(question, place, url, false, (status, said)) {
        Ok(Reply::Some(whole)) => whole,
        Ok(Reply::NoAgent) => return None,
        Err(error) => return Some(Err(error)),
    };
    let whole = match place {
        ask::Place::Fleet => match pages.add(whole, LIMIT) {
            Page::Next(cursor) => {
                let path = question.path(place, Some(&cursor), pages.had());
                assert!(path.bytes().all(|byte| byte.is_ascii_graphic()), "{path}");
                return None;
            }
            Page::Whole(whole) => {
                *pages = Pages::default();
                whole
            }
        },
        ask::Place::Report | ask::Place::Agent => whole,
    };
    let agents = whole.get("agents").and_then(Value::as_array);
    let is_cut = agents.is_none_or(|agents| agents.len() <= LIMIT);
    assert!(
        is_cut || place != ask::Place::Fleet,
        "more than were asked for"
    );
    Some(ask::understand(place, whole, url))
}

/// Each form of it reaches no terminal, and means what was answered.
fn written(answer: &Answer) {
    for format in FORMATS {
        let text = format::write(answer, format, Look::default(), Timestamp::UNIX_EPOCH);
        let text = text.expect("it can be written");
        reaches_no_terminal(&text);
        let back: Option<Value> = match format {
            OutputFormat::Json => serde_json::from_str(&text).ok(),
            OutputFormat::Yaml => serde_saphyr::from_str(&text).ok(),
            OutputFormat::Table | OutputFormat::Name => continue,
        };
        assert_eq!(back.as_ref(), Some(&answer.whole), "{text}");
    }
}

/// All that a terminal would obey is written out, but for the ends of lines.
fn reaches_no_terminal(written: &str) {
    let lines: Vec<_> = written.split('\n').collect();
    assert!(
        lines.iter().all(|line| text::plain(line) == **line),
        "{written:?}"
    );
}

/// No line is wrapped, and no more are written than there is room for.
fn fits(drawn: &str) {
    let (_, lines) = drawn.split_once("\r\u{1b}[J").expect("it begins anew");
    reaches_no_terminal(lines);
    assert!(lines.lines().count() < SIZE.lines, "{lines}");
    for line in lines.lines() {
        assert!(text::fit(line, SIZE.columns, '…') == line, "{line:?}");
    }
}

/// The same events are found wherever the pieces end: one for each line that begins so.
pub fn events(stream: &[u8]) {
    let begins = |line: &&[u8]| line.starts_with(b"event:");
    let lines = stream.split(|byte| matches!(byte, b'\n' | b'\r'));
    let expected = lines.filter(begins).count();
    let mut finder = EventFinder::default();
    let found = stream.iter().filter(|byte| finder.find(&[**byte])).count();
    assert_eq!(found, expected);
    let mut finder = EventFinder::default();
    let half = stream.len() / 2;
    let [before, behind] = [&stream[..half], &stream[half..]].map(|it| finder.find(it));
    assert_eq!(before || behind, expected > 0);
}
