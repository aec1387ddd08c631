//! SEARCH, SORT and THREAD (RFC 3501 6.4.4, RFC 4731, RFC 5182, RFC 5256, RFC 5267).

use super::reply::Reply;
use super::{Flow, Job, Session};
use crate::base::{Step, UidRanges};
use crate::imap::commands::Numbers;
use crate::imap::contexts::Context;
use crate::imap::gather::Order;
use crate::imap::query::{Query, Returns};
use crate::imap::question::{Answer, Found, Question, Search};
use crate::imap::results::Lines;
use crate::imap::search::Key;
use crate::imap::write::push;
use std::sync::Arc;

/// What goes on with a search.
#[derive(Debug)]
pub(super) enum SearchJob {
    /// Messages are looked at, piece by piece.
    Looking(Box<Looking>),
    /// The result is written.
    Writing(Lines),
}

/// A search under way.
#[derive(Debug)]
pub(super) struct Looking {
    search: Search,
    uid: bool,
    returns: Option<Returns>,
    /// What was found up to here.
    found: Found,
}

impl Session {
    pub(super) fn search(&mut self, uid: bool, query: Query, out: &mut Vec<u8>) -> Flow {
        let Query { key, order, returns } = query;
        let with_modseqs = key.any(&|key| matches!(key, Key::Modseq(_)));
        if with_modseqs {
            // RFC 7162 3.1: the key says that the client knows of MODSEQ
            self.condstore(out);
        }
        let Some(view) = self.view() else { return Flow::Next(Job::Reply(Reply::bug())) };
        if returns.is_some_and(|r| r.update) && view.contexts.has(&self.tag) {
            // RFC 5267 4.3
            return Flow::Next(Job::Reply(Reply::bad("a search with this tag is being kept up to date")));
        }
        let by_number = key.any(&|key| matches!(key, Key::Set { uid: false, .. }));
        let key = match key.resolve(&view.list, &view.saved) {
            Ok(key) => Arc::new(key),
            Err(bad) => return Flow::Next(Job::Reply(bad.into())),
        };
        let by_relevancy = |c: &crate::imap::sort::Criterion| c.field == crate::imap::sort::Field::Relevancy;
        let search = Search {
            list: view.list.clone(),
            from: 0,
            key,
            recent: view.recent.clone(),
            now: self.now,
            with_modseqs,
            with_scores: returns.is_some_and(|r| r.relevancy)
                || matches!(&order, Order::Sorted(criteria) if criteria.iter().any(by_relevancy)),
            order,
        };
        // RFC 9051 6.4.4: ESEARCH takes the place of SEARCH
        let returns = returns.or((self.enabled.rev2 && search.order == Order::Mailbox).then_some(Returns::ALL));
        if by_number {
            // RFC 7162 3.2.10.2
            self.numbers = Numbers::Stay;
        }
        look(Box::new(Looking { search, uid, returns, found: Found::default() }))
    }

    /// RFC 5182 2.1: a search that was to save its result and fails leaves an empty one.
    pub(super) fn bad_charset(&mut self, save: bool) -> Flow {
        self.forget_saved(save);
        self.finish(Reply::no("BADCHARSET (US-ASCII UTF-8)", "texts cannot be searched in that charset; UTF-8 is best"))
    }

    fn forget_saved(&mut self, save: bool) {
        if let Some(view) = self.view_mut().filter(|_| save) {
            view.saved = UidRanges::new();
        }
    }

    pub(super) fn search_go(&mut self, job: SearchJob, out: &mut Vec<u8>) -> Flow {
        match job {
            SearchJob::Looking(looking) => look(looking),
            SearchJob::Writing(mut lines) => {
                let Some(view) = self.view() else { return Flow::Next(Job::Reply(Reply::bug())) };
                match lines.write(&view.list, out) {
                    true => self.finish(Reply::ok("searched")),
                    false => Flow::Step(Step::Again, Job::Search(SearchJob::Writing(lines))),
                }
            }
        }
    }

    pub(super) fn search_answered(&mut self, job: SearchJob, answer: Answer, out: &mut Vec<u8>) -> Flow {
        let SearchJob::Looking(mut looking) = job else { return self.finish(Reply::bug()) };
        match answer {
            Answer::Found(found) => {
                let next = found.next.filter(|&next| next > looking.search.from);
                append(&mut looking.found, found);
                match next {
                    Some(next) => {
                        looking.search.from = next;
                        look(looking)
                    }
                    None => self.found(*looking, out),
                }
            }
            Answer::Ordering => look(looking),
            Answer::Threads(members) => {
                Flow::Next(Job::Search(SearchJob::Writing(Lines::threads(looking.uid, members))))
            }
            answer => {
                self.forget_saved(looking.returns.is_some_and(|r| r.save));
                match answer {
                    Answer::Refused(refusal) => self.finish(refusal.into()),
                    _ => self.finish(Reply::bug()),
                }
            }
        }
    }

    /// All was found: what is to be kept of it is kept, the rest is written.
    fn found(&mut self, looking: Looking, out: &mut Vec<u8>) -> Flow {
        let Looking { search, uid, returns, found } = looking;
        let word = if search.order == Order::Mailbox { "SEARCH" } else { "SORT" };
        let Some(returns) = returns else {
            let lines = Lines::plain(word, uid, found, search.with_modseqs);
            return Flow::Next(Job::Search(SearchJob::Writing(lines)));
        };
        let tag = self.tag.clone();
        let Some(view) = self.view_mut() else { return Flow::Next(Job::Reply(Reply::bug())) };
        if returns.save {
            let places = returns.saved(found.uids.len()).into_iter();
            let mut saved: Vec<u32> = places.flat_map(|at| found.uids.get(at).unwrap_or_default()).copied().collect();
            saved.sort_unstable();
            view.saved = saved.into_iter().collect();
        }
        if returns.update {
            let result = found.uids.iter().copied().collect();
            if !view.contexts.add(Context { tag: tag.clone(), uid, key: search.key, result }) {
                // RFC 5267 4.3.1
                push(out, format_args!("* NO [NOUPDATE \"{tag}\"] too many searches are kept up to date\r\n"));
            }
        }
        if returns.is_silent() {
            return self.finish(Reply::ok("searched, the result is saved"));
        }
        let lines = Lines::extended(&tag, uid, &returns, found, search.with_modseqs);
        Flow::Next(Job::Search(SearchJob::Writing(lines)))
    }

    pub(super) fn cancel_update(&mut self, tags: &[String]) -> Flow {
        let Some(view) = self.view_mut() else { return Flow::Next(Job::Reply(Reply::bug())) };
        if !tags.iter().all(|tag| view.contexts.has(tag)) {
            return Flow::Next(Job::Reply(Reply::bad("no search with that tag is being kept up to date")));
        }
        view.contexts.all.retain(|context| !tags.contains(&context.tag));
        self.finish(Reply::ok("no more updates"))
    }
}

fn look(looking: Box<Looking>) -> Flow {
    Flow::Ask(Question::Search(looking.search.clone()), Job::Search(SearchJob::Looking(looking)))
}

fn append(all: &mut Found, mut more: Found) {
    if all.uids.is_empty() {
        *all = more;
    } else {
        all.uids.append(&mut more.uids);
        all.modseqs.append(&mut more.modseqs);
        all.scores.append(&mut more.scores);
    }
}
