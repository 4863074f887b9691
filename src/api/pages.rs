//! Lists without a total are counted page by page, up to a maximum number of pages, and
//! within the server's own limit for paging.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use url::Url;

use crate::clock::Moment;
use crate::fetch;
use crate::outcome::ErrorType;

use super::{Answer, Attempt, Verdict};
use crate::document::{Document, Top};

/// The maximum number of pages of one list.
const MAX_PAGES: usize = 20;
/// Mastodon allows a client 300 pages in 15 minutes. The bridge uses a tenth.
const BUDGET: usize = 30;
const WINDOW: Duration = Duration::from_secs(15 * 60);

/// When pages of a target were requested. First pages do not count.
#[derive(Debug, Default)]
pub struct Paging(Mutex<VecDeque<Moment>>);

impl Paging {
    /// Takes one page out of the budget, or returns how long the budget is used up.
    fn take(&self, now: Moment) -> Result<(), Duration> {
        let mut turned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while turned.front().is_some_and(|at| *at + WINDOW <= now) {
            turned.pop_front();
        }
        match turned.front() {
            Some(first) if turned.len() >= BUDGET => Err((*first + WINDOW).since(now)),
            _ => {
                turned.push_back(now);
                Ok(())
            }
        }
    }
}

/// How a list leads to its next page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// By `Link` with `rel="next"`.
    Link,
    /// By `offset`, in steps of this many items.
    Offset(usize),
}

impl Attempt<'_> {
    /// Reads all pages of a list. An error is the answer of a list that was not read to
    /// its end: it must not be reported. `read` returns the number of items of a page,
    /// or `None` if it cannot be read.
    pub(super) async fn pages(
        &self,
        path: &str,
        turn: Turn,
        mut read: impl FnMut(&mut Document) -> Option<usize>,
    ) -> Result<Answer, Answer> {
        let first = self.url(path);
        let mut url = first.clone();
        let mut seen: Vec<Url> = Vec::new();
        let mut before = Vec::new();
        let mut answer = Answer::new(self);
        for page in 0..MAX_PAGES {
            if page > 0
                && let Err(wait) = self.pacing.paging.take(self.now)
            {
                let why =
                    format!("the list has more pages than the {BUDGET} allowed for a target in 15 minutes");
                return Err(answer.failed(Verdict::Failed(ErrorType::TooLarge), &why).again_after(wait));
            }
            let asked = self.ask_url(url.clone()).after(answer).send().await;
            let Some(reply) = asked.reply else { return Err(asked.answer) };
            let (read_so_far, items) = asked.answer.decode(&reply, Top::Array, &mut read).await;
            answer = read_so_far;
            let Some(items) = items.flatten() else { return Err(answer) };
            seen.push(url);
            if let Turn::Offset(size) = turn {
                if items < size {
                    return Ok(answer);
                }
                if reply.body == before {
                    let why = "the server returned the same page again: it does not support `offset`";
                    return Err(answer.failed(Verdict::Failed(ErrorType::Decode), why));
                }
                before = reply.body;
                url = first.clone();
                url.query_pairs_mut().append_pair("offset", &((page + 1) * size).to_string());
                continue;
            }
            let Some(next) = reply.next else { return Ok(answer) };
            // The server may use its public name in links.
            let next = fetch::follow(self.target, &reply.url, &next);
            let (error, why) = match next {
                Ok(next) if next.origin() != self.target.url.origin() => {
                    (ErrorType::Redirect, "the next page is on another host".to_owned())
                }
                // The link leads to another list: Mastodon's administrator lists of
                // trends lead to the public ones.
                Ok(next) if next.path() != first.path() => {
                    (ErrorType::Redirect, format!("the next page is of another list, {}", next.path()))
                }
                Ok(next) if seen.contains(&next) => {
                    (ErrorType::Decode, "the next page is one that was read already".to_owned())
                }
                Ok(next) => {
                    url = next;
                    continue;
                }
                Err((error, why)) => (error, format!("the next page: {why}")),
            };
            return Err(answer.failed(Verdict::Failed(error), &why));
        }
        let why = format!("the list has more than {MAX_PAGES} pages");
        Err(answer.failed(Verdict::Failed(ErrorType::TooLarge), &why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_comes_back_as_time_goes_by() {
        let paging = Paging::default();
        let at = Moment::at(Duration::from_secs(1000));
        for _ in 0..BUDGET {
            assert_eq!(paging.take(at), Ok(()));
        }
        assert_eq!(paging.take(at + Duration::from_secs(100)), Err(Duration::from_secs(800)));
        assert_eq!(paging.take(at + WINDOW), Ok(()));
    }
}
