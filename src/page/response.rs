//! What a browser is answered, as values. Every answer carries the fields that keep hostile mail harmless; only the place
//! that sends says which of two policies holds.

use crate::base::FileRange;
use maud::Markup;

/// What documents of ours may load: nothing but our own style, script and picture, and nobody may frame them.
pub const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                          frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// One answer.
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Fields besides those that every answer has.
    pub fields: Vec<(&'static str, String)>,
    /// What follows.
    pub body: Body,
    /// What the document may load: Content-Security-Policy.
    pub policy: &'static str,
    /// The document may stand in a frame of ours.
    pub in_frame: bool,
}

/// What follows the fields.
pub enum Body {
    /// These bytes.
    Bytes(Vec<u8>),
    /// These bytes, and what holds the room for them until they were sent.
    Held(Vec<u8>, Box<dyn Send>),
    /// A part of a stored message.
    File(FileRange),
    /// Lines as they come: server-sent events, until the peer has enough.
    Events,
}

impl Response {
    /// Bytes of a type.
    pub fn bytes(status: u16, media_type: &str, bytes: Vec<u8>) -> Response {
        let fields = vec![("content-type", media_type.to_string())];
        Response { status, fields, body: Body::Bytes(bytes), policy: POLICY, in_frame: false }
    }

    /// A document.
    pub fn html(status: u16, document: Markup) -> Response {
        Response::bytes(status, "text/html; charset=utf-8", document.into_string().into_bytes())
    }

    /// Lines for programs.
    pub fn text(status: u16, text: impl Into<String>) -> Response {
        Response::bytes(status, "text/plain; charset=utf-8", text.into().into_bytes())
    }

    /// Go there and look (303): after every form, so that going back sends nothing twice.
    pub fn see(target: impl Into<String>) -> Response {
        Response { status: 303, ..Response::text(303, "") }.with("location", target)
    }

    /// With another field.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Response {
        self.fields.push((name, value.into()));
        self
    }

    /// With another policy.
    pub fn under(mut self, policy: &'static str) -> Response {
        self.policy = policy;
        self
    }

    /// The whole body, when it is in memory.
    pub fn body_text(&self) -> &str {
        match &self.body {
            Body::Bytes(bytes) => std::str::from_utf8(bytes).unwrap_or_default(),
            _ => "",
        }
    }

    /// A field's first value.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
    }
}
