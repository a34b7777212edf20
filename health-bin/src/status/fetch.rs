//! Asks and reads, as far as it goes, page by page.

use anyhow::Context;

use super::answer::Answer;
use super::ask;
use super::ask::Page;
use super::ask::Pages;
use super::ask::Place;
use super::ask::Question;
use super::ask::Reply;
use crate::http::Client;

/// The most that is read of an answer: a page of 500 agents with eight long reasons each, or a report
/// of 10,000 components, comes to some MiB.
const BODY_MAX: usize = 16 * 1024 * 1024;

/// Asks whoever answers at the URL of `client`.
pub(super) async fn fetch(
    client: &Client,
    has_token: bool,
    question: &Question,
) -> anyhow::Result<Answer> {
    let mut place = question.place();
    let mut pages = Pages::default();
    let mut cursor: Option<String> = None;
    loop {
        let path = question.path(place, cursor.as_deref(), pages.had());
        let asked = client.get(&path, BODY_MAX).await;
        let (status, said) = asked.with_context(|| ask::unanswered(question, client.url()))?;
        let answer = (status, said.as_str());
        match ask::judge(question, place, client.url(), has_token, answer)? {
            Reply::NoAgent => place = Place::Fleet,
            Reply::Some(whole) if place == Place::Fleet => {
                match pages.add(whole, question.limit()) {
                    Page::Next(next) => cursor = Some(next),
                    Page::Whole(whole) => return ask::understand(place, whole, client.url()),
                }
            }
            Reply::Some(whole) => return ask::understand(place, whole, client.url()),
        }
    }
}
