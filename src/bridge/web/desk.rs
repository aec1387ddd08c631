//! History, requests, status, reports.

use super::listing::{Opening, cut, kind_label, message_href, moment};
use super::reading::unreadable;
use super::{Answered, NoPage, Turned, Visit, label};
use crate::base::time::minute;
use crate::base::{Timestamp, UidRanges, limits};
use crate::bridge::content::Message;
use crate::page::desk::{self, Asked, Digests, Line, StatusView};
use crate::page::layout::Notice;
use crate::page::response::Response;
use crate::page::senders::SENDERS;
use crate::page::texts::{Desk, Senders};
use crate::quarantine::Scope;
use crate::quarantine::act::Failed;
use crate::quarantine::folders::{Folder, Verb};
use crate::quarantine::history::What;
use crate::quarantine::requests::Request;
use crate::store::Reach;
use std::time::Duration;

const HOUR: u64 = 3_600;
/// Hours of the chart.
const HOURS: u64 = 48;
const DAY: Duration = Duration::from_secs(86_400);

fn event(what: What, texts: &'static Desk) -> &'static str {
    match what {
        What::Asked => texts.asked,
        What::Undone => texts.undone,
        What::Appended => texts.appended,
        What::Released => texts.released,
        What::Deferred => texts.deferred,
        What::ReleaseFailed => texts.release_failed,
        What::Trained => texts.trained,
        What::TrainingFailed => texts.training_failed,
        What::Removed => texts.removed,
        What::Restored => texts.restored,
        What::Expunged => texts.expunged,
        What::Expired => texts.expired,
        What::Requested => texts.requested,
        What::Granted => texts.granted,
        What::Declined => texts.declined,
        What::Allowed => texts.allowed,
        What::Blocked => texts.blocked,
        What::Unlisted => texts.unlisted,
    }
}

fn verb(verb: Verb, texts: &'static Desk) -> &'static str {
    match verb {
        Verb::Release => texts.verb_release,
        Verb::TrainHam => texts.verb_train_ham,
        Verb::TrainSpam => texts.verb_train_spam,
        Verb::Remove => texts.verb_remove,
    }
}

fn verbs(verbs: &[Verb], texts: &'static Desk) -> String {
    verbs.iter().map(|one| verb(*one, texts)).collect::<Vec<_>>().join(", ")
}

impl Visit {
    fn desk(&self) -> &'static Desk {
        Desk::of(self.request.language)
    }

    pub(super) fn history(&self) -> Answered {
        let texts = self.desk();
        let before = self.request.query.get("before").and_then(|text| text.parse().ok());
        let account = &self.session.account;
        let (happened, next) = self.quarantine().history(account, before.as_ref(), limits::LIST_ROWS);
        let line = |told: crate::quarantine::history::Happened| {
            let asked: Vec<Verb> = told.verbs.iter().filter_map(|word| Verb::from_word(word)).collect();
            let what = event(told.what, texts);
            let by = told.asked_by.map_or_else(|| told.by.clone(), |asked_by| format!("{} ({asked_by})", told.by));
            let answer = [told.part, told.text].into_iter().flatten().collect::<Vec<_>>().join(": ");
            Line {
                time: (told.time.clone(), minute(&told.time)),
                event: if asked.is_empty() { what.to_string() } else { format!("{what}: {}", verbs(&asked, texts)) },
                href: if told.id.is_empty() { SENDERS.to_string() } else { message_href(&told.recipient, &told.id) },
                recipient: told.recipient,
                by,
                answer: cut(&answer),
            }
        };
        let lines: Vec<Line> = happened.into_iter().map(line).collect();
        let older = next.map(|cursor| format!("/history?before={cursor}"));
        let frame = self.frame(self.common().history, "/history")?;
        Ok(Turned::Done(Response::html(200, desk::history(&frame, &lines, older.as_deref()))))
    }

    pub(super) fn requests(&self) -> Answered {
        let account = &self.session.account;
        let to_decide = self.asked(self.quarantine().requests(account))?;
        let own = self.asked(self.quarantine().own_requests(account))?;
        let frame = self.frame(self.desk().requests, "/requests")?;
        Ok(Turned::Done(Response::html(200, desk::requests(&frame, &to_decide, &own))))
    }

    fn asked(&self, requests: Vec<Request>) -> Result<Vec<Asked>, NoPage> {
        let mut all = Vec::new();
        for request in requests.into_iter().take(limits::LIST_ROWS * 2) {
            let (mut subject, mut from) = (String::new(), String::new());
            let store = &self.quarantine().store;
            if let Some(row) = store.row(Reach::All, request.kept, request.uid) {
                let mut message = Message::new(store, Reach::All, request.kept, &row);
                match Opening::read(&mut message).map_err(unreadable) {
                    Ok(opening) => {
                        subject = cut(&opening.field(b"subject"));
                        from = cut(&opening.field(b"from"));
                    }
                    Err(NoPage::Gone) => continue,
                    Err(why) => return Err(why),
                }
            }
            all.push(Asked {
                href: message_href(&request.recipient, &request.id),
                id: request.id,
                time: moment(request.asked),
                by: request.by,
                what: verbs(&request.verbs, self.desk()),
                subject: if subject.is_empty() { self.common().no_subject.to_string() } else { subject },
                from,
                kind: kind_label(request.kind, self.texts()),
            });
        }
        Ok(all)
    }

    /// Grants or declines a request.
    pub(super) fn decide(&self) -> Answered {
        let (form, account, texts) = (&self.request.form, &self.session.account, self.desk());
        let id = form.text("id");
        let (done, batch) = match form.text("decision") {
            "grant" => match self.quarantine().grant(account, id, true) {
                Ok(done) => (Ok(texts.did_grant), done.batch),
                Err(failed) => (Err(failed), None),
            },
            "decline" => (self.quarantine().decline(account, id).map(|_| texts.did_decline), None),
            _ => return Err(NoPage::Missing),
        };
        self.tell(done)?;
        if let Some(batch) = batch {
            self.can_undo(batch);
        }
        Ok(Turned::Done(Response::see("/requests")))
    }

    /// What became of it stands on the next page.
    fn tell(&self, done: Result<&'static str, Failed>) -> Result<(), NoPage> {
        let (text, is_refusal) = match done {
            Ok(text) => (text.to_string(), false),
            Err(Failed::Denied(denied)) => (denied.text, true),
            Err(Failed::Disk(fault)) => return Err(NoPage::Trouble(fault)),
        };
        self.remembered().notice = Some(Notice { texts: vec![text], is_refusal, can_undo: false });
        Ok(())
    }

    pub(super) fn status(&self) -> Answered {
        let (quarantine, account) = (self.quarantine(), &self.session.account);
        let reach = quarantine.reach(account)?;
        let now = quarantine.store.now();
        let first_hour = (now.secs() / HOUR + 1).saturating_sub(HOURS);
        let mut view = StatusView { hours: vec![0; HOURS as usize], ..StatusView::default() };
        for kept in quarantine.folders().iter().filter_map(|listed| listed.row.kept) {
            let cell = quarantine.store.view(reach, kept).view();
            view.folders.push((label(kept, self.common()), cell.list.len(), size(cell.bytes)));
            quarantine.store.rows(reach, kept, &UidRanges::one(1, u32::MAX), |row, _| {
                let hour = (row.arrival() / HOUR).checked_sub(first_hour);
                if let Some(count) = hour.and_then(|hour| view.hours.get_mut(hour as usize)) {
                    *count += 1;
                }
                true
            });
            let due = quarantine.due(kept, now.after(DAY));
            let among = |(low, high): (u32, u32)| cell.list.rank(high.saturating_add(1)) - cell.list.rank(low);
            view.going += due.iter().map(among).sum::<u32>();
        }
        if account.scope == Scope::Global {
            let counts = quarantine.queue.counts();
            view.queue = Some(counts.orders + counts.deliveries + counts.trainings);
            view.oldest = counts.oldest.map(|secs| moment(Timestamp::from_secs(secs)));
            let digests = quarantine.digest_state();
            view.digests = digests.is_on.then(|| Digests {
                sent: digests.sent,
                last: digests.last_success.map(moment),
                failed: digests
                    .last_failure
                    .filter(|(at, _)| digests.last_success.is_none_or(|success| *at > success))
                    .map(|(at, why)| (moment(at), cut(&why))),
            });
            view.disk = quarantine
                .store
                .disk()
                .space()
                .map(|(free, all)| format!("{} ({} %)", size(free), (free * 100).checked_div(all).unwrap_or(0)));
        }
        if self.is_wide() {
            view.accounts = self.site.accounts.seen_by(&account.scope, now);
        }
        let frame = self.frame(self.desk().status, "/status")?;
        Ok(Turned::Done(Response::html(200, desk::status(&frame, &view))))
    }

    pub(super) fn show_report(&self) -> Answered {
        let frame = self.frame(self.desk().report, "/report")?;
        Ok(Turned::Done(Response::html(200, desk::report(&frame))))
    }

    /// A message that was uploaded goes where it would go if it were dragged into Spam or Not Spam.
    pub(super) fn report(&self) -> Answered {
        let texts = self.desk();
        let target = match self.request.form.text("as") {
            "spam" => Folder::Spam,
            "not-spam" => Folder::NotSpam,
            _ => return Err(NoPage::Missing),
        };
        let told = match self.request.upload.as_deref() {
            Some(bytes) if !bytes.is_empty() => self.hand_in(target, bytes).map(|()| texts.did_report),
            _ => Err(crate::quarantine::policy::Denied::impossible(texts.no_file).into()),
        };
        self.tell(told)?;
        Ok(Turned::Done(Response::see("/report")))
    }

    fn hand_in(&self, target: Folder, bytes: &[u8]) -> Result<(), Failed> {
        let account = &self.session.account;
        let mut appending = self.quarantine().append_start(account, target, bytes.len() as u64)?;
        appending.write(bytes)?;
        self.quarantine().append_end(account, vec![appending])
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1_000)),
        1_000_000..1_000_000_000 => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
        _ => format!("{}.{} GB", bytes / 1_000_000_000, bytes % 1_000_000_000 / 100_000_000),
    }
}

/// Where a page besides the lists is, and what it is called.
pub(super) fn others(visit: &Visit) -> Vec<(&'static str, &'static str)> {
    let texts = visit.desk();
    vec![
        ("/history", visit.common().history),
        ("/requests", texts.requests),
        (SENDERS, Senders::of(visit.request.language).senders),
        ("/report", texts.report),
        ("/status", texts.status),
    ]
}
