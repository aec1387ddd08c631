//! Telling what came to and left the results of searches (RFC 5267 4.3), after the changes themselves were told.

use super::{After, Flow, Job, Session};
use crate::base::{Step, UidRanges};
use crate::imap::gather::Order;
use crate::imap::question::{Answer, Question, Search};
use crate::imap::results::Lines;
use crate::imap::write::push;
use std::collections::VecDeque;

/// What goes on.
#[derive(Debug)]
pub(super) enum ContextsJob {
    /// The messages that changed are looked at with the key of one search after the other.
    Looking(Box<Looking>),
    /// What is different is written.
    Writing(VecDeque<Lines>, After),
}

#[derive(Debug)]
pub(super) struct Looking {
    /// Which of them.
    at: usize,
    search: Search,
    hits: UidRanges,
    lines: VecDeque<Lines>,
    after: After,
}

impl Session {
    /// What has to be done before `after`, if anything has changed that may be in a result.
    pub(super) fn contexts_due(&mut self, after: After) -> Result<Flow, After> {
        let now = self.now;
        let Some(view) = self.view_mut() else { return Err(after) };
        let changed = std::mem::take(&mut view.contexts.changed);
        let Some(first) = view.contexts.all.first().filter(|_| !changed.is_empty()) else { return Err(after) };
        let search = Search {
            list: view.list.within(&changed).collect(),
            from: 0,
            key: first.key.clone(),
            recent: view.recent.clone(),
            now,
            order: Order::Mailbox,
            with_modseqs: false,
            with_scores: false,
        };
        Ok(look(Box::new(Looking { at: 0, search, hits: UidRanges::new(), lines: VecDeque::new(), after })))
    }

    pub(super) fn contexts_go(&mut self, job: ContextsJob, out: &mut Vec<u8>) -> Flow {
        match job {
            ContextsJob::Looking(looking) => look(looking),
            ContextsJob::Writing(mut lines, after) => {
                let Some(view) = self.view() else { return self.after_contexts(after) };
                while let Some(line) = lines.front_mut() {
                    if !line.write(&view.list, out) {
                        return Flow::Step(Step::Again, Job::Contexts(ContextsJob::Writing(lines, after)));
                    }
                    lines.pop_front();
                }
                self.after_contexts(after)
            }
        }
    }

    pub(super) fn contexts_answered(&mut self, job: ContextsJob, answer: Answer, out: &mut Vec<u8>) -> Flow {
        let (ContextsJob::Looking(mut looking), Some(view)) = (job, self.view_mut()) else {
            return Flow::Next(Job::Read);
        };
        let Answer::Found(found) = answer else {
            // what is in the results is not known any more
            for context in view.contexts.all.drain(..) {
                push(out, format_args!("* NO [NOUPDATE \"{}\"] the server is busy: search again\r\n", context.tag));
            }
            return self.after_contexts(looking.after);
        };
        found.uids.iter().for_each(|&uid| looking.hits.add(uid, uid));
        if let Some(next) = found.next.filter(|&next| next > looking.search.from) {
            looking.search.from = next;
            return look(looking);
        }
        let looked: Vec<u32> = looking.search.list.iter().collect();
        if let Some(context) = view.contexts.all.get_mut(looking.at) {
            looking.lines.extend(context.looked(&looked, &looking.hits));
        }
        looking.at += 1;
        match view.contexts.all.get(looking.at) {
            Some(context) => {
                looking.search.key = context.key.clone();
                (looking.search.from, looking.hits) = (0, UidRanges::new());
                look(looking)
            }
            None => Flow::Next(Job::Contexts(ContextsJob::Writing(looking.lines, looking.after))),
        }
    }
}

fn look(looking: Box<Looking>) -> Flow {
    Flow::Ask(Question::Search(looking.search.clone()), Job::Contexts(ContextsJob::Looking(looking)))
}
