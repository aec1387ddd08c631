//! Where rspamd's exporter posts what it tells: one request a message, with the password that both know.

use super::serving::Refused;
use super::stream::Stream;
use super::{Stop, serving};
use crate::base::{Secret, limits};
use crate::bridge::exporter::Export;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::Full;
use hyper::body::{Body, Bytes, Incoming};
use hyper::header;
use hyper::service::service_fn;
use hyper::{Method, Response, StatusCode};
use smol::future::Boxed;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;

/// Who files what is told.
pub trait Files: Send + Sync + 'static {
    /// Files it; the status, and a line that says what became of it.
    fn file(self: Arc<Self>, export: Export) -> Boxed<(u16, String)>;

    /// Room for a body of so many bytes, until it is dropped; `None`: there is none now.
    fn room(&self, bytes: usize) -> Option<Box<dyn Send>>;
}

/// What is known of a connection.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The password; `None`: whoever may connect may tell.
    pub token: Option<Secret<String>>,
    /// The largest body.
    pub most: usize,
    /// Who connects, for the log.
    pub peer: String,
}

/// Serves a connection to its end.
pub async fn serve<S: Stream + 'static>(stream: S, rules: Rules, files: Arc<dyn Files>, stop: Stop) -> io::Result<()> {
    let service = service_fn(move |request| {
        let (rules, files) = (rules.clone(), files.clone());
        async move { Ok::<_, Infallible>(respond(request, &rules, files).await) }
    });
    serving::connection(stream, limits::EXPORT_HEADER, service, stop).await
}

async fn respond(request: hyper::Request<Incoming>, rules: &Rules, files: Arc<dyn Files>) -> Response<Full<Bytes>> {
    let (export, room) = match read(request, rules, &*files).await {
        Ok(read) => read,
        Err((status, why)) => {
            log::error!("exporter: {}: a message is not kept: {status} {}", rules.peer, why.trim_end());
            let mut response = write(status, why.trim_end());
            let close = header::HeaderValue::from_static("close");
            // What is left of the request is not read: the connection ends.
            response.headers_mut().insert(header::CONNECTION, close);
            return response;
        }
    };
    let (status, text) = files.file(export).await;
    drop(room);
    write(status, &text)
}

fn write(status: u16, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(format!("{text}\n"))));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let plain = header::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

async fn read(
    request: hyper::Request<Incoming>,
    rules: &Rules,
    files: &dyn Files,
) -> Result<(Export, Box<dyn Send>), Refused> {
    let (head, body) = request.into_parts();
    let text =
        |name: header::HeaderName| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if let Some(token) = &rules.token
        && !knows(text(header::AUTHORIZATION), token)
    {
        return Err((
            401,
            "the password is wrong or missing: set user and password of the rule in metadata_exporter\n",
        ));
    }
    if head.method != Method::POST {
        return Err((405, "a message is told of by POST\n"));
    }
    let length = match body.size_hint().exact() {
        Some(length) if !head.headers.contains_key(header::TRANSFER_ENCODING) => length,
        _ => return Err((411, "send the length of the body first (Content-Length)\n")),
    };
    if length > rules.most as u64 {
        return Err((413, "the message is larger than this listener's max_size allows\n"));
    }
    let room = files.room(length as usize).ok_or((503, "too many messages are told of at the moment\n"))?;
    let bytes = serving::body(body, rules.most).await?;
    let fields = head.headers.iter().filter(|(name, _)| name.as_str().starts_with("x-"));
    let fields = fields.map(|(name, value)| (name.as_str().to_string(), value.as_bytes().to_vec())).collect();
    Ok((Export { media_type: text(header::CONTENT_TYPE).to_string(), fields, body: bytes.into() }, room))
}

/// Whether an Authorization field holds the password: `Bearer` (RFC 6750 2.1), or `Basic` under any name (RFC 7617 2),
/// which is what rspamd's rules can send.
fn knows(authorization: &str, token: &Secret<String>) -> bool {
    let (scheme, value) = authorization.split_once(' ').unwrap_or_default();
    let value = value.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return token.is(value.as_bytes());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return false;
    }
    let decoded = STANDARD.decode(value).unwrap_or_default();
    let password = decoded.iter().position(|&b| b == b':').and_then(|colon| decoded.get(colon + 1..));
    password.is_some_and(|password| token.is(password))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords() {
        let token = Secret::new("geheim:1".to_string());
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        for good in ["Bearer geheim:1", "bearer  geheim:1", &basic("rspamd:geheim:1"), &basic(":geheim:1")] {
            assert!(knows(good, &token), "{good}");
        }
        for bad in [
            "",
            "Bearer",
            "Bearer geheim:12",
            "Bearer geheim",
            "geheim:1",
            &basic("geheim:1"),
            "Basic !",
            "Digest geheim:1",
        ] {
            assert!(!knows(bad, &token), "{bad}");
        }
    }
}
