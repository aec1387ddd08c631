//! The sink that reports messages to a mail address: an abuse desk, a list of a blocking service, another quarantine.

use super::{Learned, Lesson};
use crate::base::{Form, Timestamp};
use crate::mail::report::{self, Opinion, Report};
use crate::net::smtp::{Parcel, Sent, compose};
use crate::queue::{Part, Verb};
use crate::work::clock::now;
use crate::work::routes::{Road, Route};
use std::fmt;
use std::sync::Arc;

/// The Received line of a mail that we make, by its id and recipient: should our own filter catch the mail, the line says so.
pub type Stamp = Arc<dyn Fn(&str, &str) -> String + Send + Sync>;

/// A mail address that learns.
#[derive(Clone)]
pub struct Mail {
    /// The address.
    pub to: String,
    /// From whom the reports say they are: an address.
    pub from: String,
    /// The envelope's sender; "": nobody, so that no bounce comes back.
    pub sender: String,
    /// What reports look like.
    pub form: report::Form,
    /// Our name.
    pub host: String,
    stamp: Stamp,
    road: Arc<Road>,
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mail({}, {:?})", self.to, self.form)
    }
}

impl Mail {
    /// Reports to this address in the form of RFC 5965, from nobody, over this route: the mail server behind it must let them
    /// pass its filter.
    pub fn new(to: String, from: String, host: String, route: Route, stamp: Stamp) -> Mail {
        let road = Arc::new(Road::new(route));
        Mail { to, from, sender: String::new(), form: report::Form::Arf, host, stamp, road }
    }

    pub(super) async fn learn(&self, lesson: Lesson) -> Learned {
        if self.road.rests(now()).is_some() {
            return Learned::Retry("the mail server could not be reached a moment ago".to_string());
        }
        let mut courier = self.road.courier();
        let sent = match self.compose(&lesson) {
            Ok(data) => {
                drop(lesson);
                let parcel = Parcel { sender: &self.sender, recipients: &[&self.to], data: &data };
                courier.deliver(&parcel).await.into_iter().next()
            }
            Err(e) => Some(Sent::Deferred(e.to_string())),
        };
        // Reports are few: the next one finds a server that has not closed the connection meanwhile.
        courier.close().await;
        self.road.give_back(courier, now());
        match sent {
            Some(Sent::Delivered(reply)) => Learned::Done(format!("reported to {}: {reply}", self.to)),
            Some(Sent::Refused(reply)) => Learned::Never(format!("the report to {} was refused: {reply}", self.to)),
            Some(Sent::Deferred(reason)) => Learned::Retry(reason),
            None => Learned::Retry("the mail server gave no reply".to_string()),
        }
    }

    fn compose(&self, lesson: &Lesson) -> std::io::Result<Vec<u8>> {
        let message = &lesson.entry.message;
        let sink = match &lesson.entry.part {
            Part::Train { sink, .. } => sink.as_str(),
            Part::Deliver(_) => "",
        };
        let opinion = match lesson.entry.part.verb() {
            Verb::TrainHam => Opinion::Ham,
            Verb::TrainSpam | Verb::Release => Opinion::Spam,
        };
        // Another try tells of the same report: the message id is that of the first.
        let id = format!("{}.{}.{sink}", message.id(), lesson.word());
        let form = if message.wire_size.is_some() { Form::Lf } else { Form::Crlf };
        let original = compose("", lesson.message.as_slice(), form, lesson.message.len())?;
        let report = Report {
            form: self.form,
            opinion,
            from: &self.from,
            to: &self.to,
            host: &self.host,
            id: &id,
            date: Timestamp::from_secs(now()),
            trace: &lesson.trace,
            original: &original,
        };
        let received = (self.stamp)(&format!("report.{}", message.id()), &self.to);
        Ok([received.as_bytes(), &report.render()].concat())
    }
}
