//! HTTP/1.1 connections of browsers (RFC 9112): read and bounded here, answered by whoever is handed the request.
//!
//! One parser, hyper's. What two parsers in a row could understand differently is refused before anything is done: a body
//! has a Content-Length or it is not read.

use super::serving::Refused;
use super::stream::Stream;
use super::{Stop, serving};
use crate::base::limits;
use crate::disk::wire::Reader;
use crate::mail::form;
use crate::page::request::{Fields, Method, Origin, Request};
use crate::page::response::{Body, Response};
use crate::page::texts::Language;
use crate::page::upload;
use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use smol::future::Boxed;
use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Who answers. Called once a request, after it was read whole.
pub trait Answers: Send + Sync + 'static {
    /// The answer, and for [`Body::Events`] the lines that follow it.
    fn answer(self: Arc<Self>, request: Request) -> Boxed<(Response, Option<Lines>)>;

    /// Room for a body of so many bytes, until it is dropped; `None`: there is none now.
    fn room(&self, bytes: usize) -> Option<Box<dyn Send>>;
}

/// Lines that are sent as they come; the sender notices when nobody reads them any more.
pub type Lines = smol::channel::Receiver<Vec<u8>>;

/// What is known of a connection before its first request.
#[derive(Debug, Clone)]
pub struct Caller {
    /// From where; `None`: by a Unix socket.
    pub peer: Option<IpAddr>,
    /// It is a proxy of ours: the last address of X-Forwarded-For is the browser's.
    pub is_proxy: bool,
    /// The host and port under which browsers know us, when it is configured.
    pub host: Option<String>,
}

/// Serves a connection to its end.
pub async fn serve<S: Stream + 'static>(
    stream: S,
    caller: Caller,
    answers: Arc<dyn Answers>,
    stop: Stop,
) -> io::Result<()> {
    let service = service_fn(move |request| {
        let (caller, answers) = (caller.clone(), answers.clone());
        async move { Ok::<_, Infallible>(respond(request, &caller, answers).await) }
    });
    serving::connection(stream, limits::HTTP_HEADER, service, stop).await
}

async fn respond(
    request: hyper::Request<Incoming>,
    caller: &Caller,
    answers: Arc<dyn Answers>,
) -> hyper::Response<Sent> {
    let is_head = request.method() == hyper::Method::HEAD;
    let read = match read(request, caller, &*answers).await {
        Ok(read) => read,
        // What is left of the request is not read: the connection ends.
        Err((status, why)) => return write(Response::text(status, why).with("connection", "close"), None, is_head),
    };
    let (response, lines) = answers.answer(read).await;
    write(response, lines, is_head)
}

async fn read(request: hyper::Request<Incoming>, caller: &Caller, answers: &dyn Answers) -> Result<Request, Refused> {
    let (head, body) = request.into_parts();
    let method = match head.method {
        hyper::Method::GET | hyper::Method::HEAD => Method::Get,
        hyper::Method::POST => Method::Post,
        _ => return Err((405, "this server knows GET, HEAD and POST\n")),
    };
    if head.uri.authority().is_some() || head.headers.get_all(header::HOST).iter().count() != 1 {
        // RFC 9112 3.2: a request has one Host; the absolute form is for proxies
        return Err((400, "the request must name one host, in its Host field\n"));
    }
    if head.headers.contains_key(header::TRANSFER_ENCODING) || head.headers.contains_key(header::EXPECT) {
        return Err((411, "send the length of the body first (Content-Length), and the body without waiting\n"));
    }
    let text = |name: HeaderName| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut read = Request {
        method,
        cookie: cookies(&head.headers),
        language: Language::wanted(text(header::ACCEPT_LANGUAGE)),
        peer: peer(&head.headers, caller),
        origin: origin(&head.headers, caller),
        ..Request::get(head.uri.path_and_query().map_or("/", |target| target.as_str()))
    };
    let length = body.size_hint().exact().unwrap_or(0);
    if length == 0 {
        return Ok(read);
    }
    let media_type = text(header::CONTENT_TYPE).to_string();
    let boundary = form::boundary(&media_type);
    let most = if boundary.is_some() { limits::UPLOAD_BYTES } else { limits::FORM_BYTES };
    if method == Method::Get {
        return Err((400, "a request that only looks has no body\n"));
    }
    if length > most as u64 {
        return Err((413, "that is too large\n"));
    }
    let _room =
        answers.room(length as usize).ok_or((503, "too much is uploaded at the moment: try again in a minute\n"))?;
    let bytes = serving::body(body, most).await?;
    match boundary {
        Some(boundary) => {
            let (fields, file) = upload::parse(&bytes, &boundary).ok_or((400, "the form is damaged\n"))?;
            (read.form, read.upload) = (fields, file);
        }
        None if media_type.starts_with("application/x-www-form-urlencoded") => read.form = Fields::parse(&bytes),
        None => return Err((415, "a form is sent as application/x-www-form-urlencoded or multipart/form-data\n")),
    }
    Ok(read)
}

/// All Cookie fields as one (RFC 6265 5.4 has one; proxies may split it).
fn cookies(fields: &HeaderMap) -> String {
    let values = fields.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    values.collect::<Vec<_>>().join("; ")
}

fn peer(fields: &HeaderMap, caller: &Caller) -> Option<IpAddr> {
    if caller.is_proxy {
        // The last one is what our proxy saw; those before it are what others told it.
        let last = fields.get_all("x-forwarded-for").iter().next_back().and_then(|value| value.to_str().ok());
        let last = last.and_then(|value| value.rsplit(',').next()).and_then(|value| value.trim().parse().ok());
        return last.or(caller.peer);
    }
    caller.peer
}

/// Whose page sent it. A browser says so with Sec-Fetch-Site, or at least with Origin when a form is sent.
fn origin(fields: &HeaderMap, caller: &Caller) -> Origin {
    let text = |name: &str| fields.get(name).and_then(|value| value.to_str().ok());
    match text("sec-fetch-site") {
        Some("same-origin" | "none") => return Origin::Ours,
        Some(_) => return Origin::Foreign,
        None => {}
    }
    let Some(origin) = text("origin") else { return Origin::Unknown };
    let host = caller.host.as_deref().or_else(|| text("host")).unwrap_or_default();
    let of = origin.split_once("://").map_or("", |(_, host)| host);
    if of == host { Origin::Ours } else { Origin::Foreign }
}

fn write(response: Response, lines: Option<Lines>, is_head: bool) -> hyper::Response<Sent> {
    let Response { status, fields, body, policy, in_frame } = response;
    let mut out = hyper::Response::new(Sent::Bytes(Bytes::new()));
    *out.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    let headers = out.headers_mut();
    let always = [
        ("content-security-policy", policy),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", if in_frame { "SAMEORIGIN" } else { "DENY" }),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ];
    for (name, value) in always {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if !fields.iter().any(|(name, _)| *name == "cache-control") {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    for (name, value) in fields {
        match HeaderValue::from_str(&value) {
            Ok(value) => drop(headers.append(HeaderName::from_static(name), value)),
            Err(_) => log::error!("the field {name} of an answer has characters that cannot be sent; it is left out"),
        }
    }
    *out.body_mut() = match (body, lines) {
        (Body::Bytes(bytes), _) => Sent::Bytes(bytes.into()),
        (Body::Held(bytes, room), _) => Sent::Held { bytes: bytes.into(), _room: room },
        (Body::File(range), _) if is_head => {
            headers.insert(header::CONTENT_LENGTH, range.len.into());
            Sent::Bytes(Bytes::new())
        }
        (Body::File(range), _) => Sent::File { left: range.len, reader: Reader::exact(range) },
        (Body::Events, Some(lines)) if !is_head => Sent::Lines(Box::pin(lines)),
        (Body::Events, _) => Sent::Bytes(Bytes::new()),
    };
    out
}

/// Bytes handed to hyper at once.
const PIECE: usize = 64 << 10;

/// What is sent, as hyper takes it.
enum Sent {
    Bytes(Bytes),
    /// The same, with what holds the room for them.
    Held {
        bytes: Bytes,
        _room: Box<dyn Send>,
    },
    /// Read where it is sent, in pieces of 64 KB at most: the page cache has what was just listed.
    File {
        left: u64,
        reader: Reader,
    },
    Lines(Pin<Box<Lines>>),
}

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Sent::Bytes(bytes) | Sent::Held { bytes, .. } if bytes.is_empty() => Poll::Ready(None),
            Sent::Bytes(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            // In pieces, so that the room is held as long as the peer takes.
            Sent::Held { bytes, .. } => Poll::Ready(Some(Ok(Frame::data(bytes.split_to(bytes.len().min(PIECE)))))),
            Sent::File { reader, .. } if reader.is_done() => Poll::Ready(None),
            Sent::File { left, reader } => Poll::Ready(Some(reader.next_piece().map(|piece| {
                *left = left.saturating_sub(piece.len() as u64);
                Frame::data(piece.into())
            }))),
            Sent::Lines(lines) => {
                let next = smol::stream::Stream::poll_next(lines.as_mut(), cx);
                next.map(|line| line.map(|line| Ok(Frame::data(line.into()))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Sent::Bytes(bytes) | Sent::Held { bytes, .. } => bytes.is_empty(),
            Sent::File { reader, .. } => reader.is_done(),
            Sent::Lines(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Sent::Bytes(bytes) | Sent::Held { bytes, .. } => SizeHint::with_exact(bytes.len() as u64),
            Sent::File { left, .. } => SizeHint::with_exact(*left),
            Sent::Lines(_) => SizeHint::default(),
        }
    }
}
