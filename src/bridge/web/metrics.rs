//! What other programs watch: whether we can do our work, and figures in the OpenMetrics text format. Neither names anybody.

use super::Site;
use crate::mail::Kept;
use crate::page::response::Response;
use crate::store::Reach;
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use std::collections::BTreeMap;

/// A label and its value.
type Label = [(&'static str, String); 1];

impl Site {
    /// 200, or 503 and why mail is not taken.
    pub(super) fn health(&self) -> Response {
        match self.quarantine.store.disk().space() {
            None => Response::text(503, "the data directory cannot be read\n"),
            Some(_) if !self.quarantine.has_space() => Response::text(503, "too little space: doors defer mail\n"),
            Some(_) => Response::text(200, "ok\n"),
        }
    }

    /// All figures, made when they are asked for.
    pub(super) fn metrics(&self) -> Response {
        let mut out = String::new();
        // It fails when the writer does, and a text takes everything.
        let _ = text::encode(&mut out, &self.registry());
        Response::bytes(200, "application/openmetrics-text; version=1.0.0; charset=utf-8", out.into_bytes())
    }

    fn registry(&self) -> Registry {
        let quarantine = &self.quarantine;
        let mut registry = Registry::with_prefix("lazaret");
        registry.register("build", "This program", Info::new([("version", env!("CARGO_PKG_VERSION"))]));

        let views =
            Kept::ALL.map(|kept| (kept.directory().to_string(), quarantine.store.view(Reach::All, kept).view()));
        let messages = views.iter().map(|(name, view)| (name.clone(), i64::from(view.list.len())));
        registry.register("messages", "Messages in each folder, of all recipients", gauges("folder", messages));
        let sizes = views.iter().map(|(name, view)| (name.clone(), whole(view.bytes)));
        registry.register_with_unit("messages_size", "Their size", Unit::Bytes, gauges("folder", sizes));

        let counts = quarantine.queue.counts();
        let parts = [("orders", counts.orders), ("deliveries", counts.deliveries), ("trainings", counts.trainings)];
        let parts = parts.map(|(part, count)| (part.to_string(), whole(count as u64)));
        registry.register("queue", "What was asked for and is not done", gauges("part", parts));
        if let Some(oldest) = counts.oldest {
            registry.register_with_unit("queue_oldest", "When it was asked for", Unit::Seconds, gauge(oldest));
        }
        if let Some((free, all)) = quarantine.store.disk().space() {
            registry.register_with_unit("disk_free", "Free in the data's file system", Unit::Bytes, gauge(free));
            registry.register_with_unit("disk_size", "Size of the data's file system", Unit::Bytes, gauge(all));
        }

        let events = counters("event", quarantine.journal.noted().counts());
        registry.register("events", "What happened to messages since the start, as the journal calls it", events);
        let deferred = counters("why", quarantine.deferred.counts());
        registry.register("deferred", "What doors did not take since the start (4xx), by reason", deferred);
        let attempts = counters("outcome", self.accounts.attempts().counts());
        registry.register("logins", "Attempts to sign in, over IMAP and on the page, since the start", attempts);

        let digests = quarantine.digest_state();
        let outcomes = BTreeMap::from([("sent".to_string(), digests.sent), ("failed".to_string(), digests.failed)]);
        registry.register(
            "digests",
            "Digests that the mail server took, or did not, since the start",
            counters("outcome", outcomes),
        );
        registry.register("digests_waiting", "Digests on their way", gauge(digests.waiting as u64));
        let times = [
            ("digest_last_success", "When the mail server last took a digest", digests.last_success),
            ("digest_last_failure", "When it last did not", digests.last_failure.map(|(at, _)| at)),
            ("digest_next", "When the next period ends", digests.next),
        ];
        for (name, help, at) in times {
            if let Some(at) = at {
                registry.register_with_unit(name, help, Unit::Seconds, gauge(at.secs()));
            }
        }
        registry
    }
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn gauge(number: u64) -> Gauge {
    let gauge = Gauge::default();
    gauge.set(whole(number));
    gauge
}

fn gauges(label: &'static str, values: impl IntoIterator<Item = (String, i64)>) -> Family<Label, Gauge> {
    let family = Family::<Label, Gauge>::default();
    for (name, value) in values {
        family.get_or_create(&[(label, name)]).set(value);
    }
    family
}

fn counters(label: &'static str, values: BTreeMap<String, u64>) -> Family<Label, Counter> {
    let family = Family::<Label, Counter>::default();
    for (name, value) in values {
        family.get_or_create(&[(label, name)]).inc_by(value);
    }
    family
}
