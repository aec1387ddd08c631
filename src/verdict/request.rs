//! What a filter is told of a message besides its bytes.

use super::line;
use crate::base::{Timestamp, limits};
use crate::mail::trace::Client;
use std::net::IpAddr;

/// Who sends what to whom. Values come from strangers; they are made fit where they are used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// The reverse-path without brackets, "" for the null sender.
    pub sender: String,
    /// The recipients, verbatim.
    pub recipients: Vec<String>,
    /// Who hands it in: IP address, verified host name, HELO, queue id, authenticated user.
    pub client: Client,
    /// The name of the mail server that asks.
    pub server: String,
    /// When it came.
    pub at: Timestamp,
}

impl Request {
    /// The client's address, when it is one.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.client.address.as_deref()?.trim_matches(['[', ']']).parse().ok()
    }

    /// A value of the client for one line; `None`: nothing is known.
    pub(super) fn value(text: Option<&str>) -> Option<String> {
        let value = line(text?, limits::VERDICT_VALUE);
        // What Postfix writes for a client without a name.
        (!value.is_empty() && value != "unknown").then_some(value)
    }
}
