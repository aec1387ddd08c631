//! A small HTTP client for services on this machine or next to it (rspamd). One request a connection.

use super::dial::Dial;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request};
use smol::Timer;
use smol_hyper::rt::FuturesIo;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

/// Where to send requests: `http://host:port/path`, or `unix:` and the path of a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    dial: Dial,
    path: String,
}

impl FromStr for Target {
    type Err = HttpError;

    fn from_str(text: &str) -> Result<Self, HttpError> {
        let bad = |why: &str| {
            HttpError(format!(
                "{text:?} is no address of a service: {why}; write http://host:port/path, or unix: and the path of a socket"
            ))
        };
        if text.starts_with("unix:") {
            return Ok(Target { dial: text.parse().map_err(bad)?, path: "/".to_string() });
        }
        let rest = text.strip_prefix("http://").ok_or_else(|| bad("it does not begin with http://"))?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if path.contains(|c: char| c.is_control() || c.is_whitespace() || !c.is_ascii()) {
            return Err(bad("a character cannot be part of it"));
        }
        let host_end = authority.rfind(']').map_or(0, |at| at + 1);
        let has_port = authority.get(host_end..).is_some_and(|rest| rest.contains(':'));
        let authority = if has_port { authority.to_string() } else { format!("{authority}:80") };
        let dial = authority.parse::<Dial>().map_err(bad)?;
        Ok(Target { dial, path: if path.is_empty() { "/".to_string() } else { path.to_string() } })
    }
}

impl Target {
    /// The same service, another path.
    pub fn with_path(&self, path: &str) -> Target {
        Target { dial: self.dial.clone(), path: path.to_string() }
    }

    /// The socket when it is one of Unix.
    pub fn socket(&self) -> Option<&Path> {
        match &self.dial {
            Dial::Unix(path) => Some(path),
            Dial::Tcp(_) => None,
        }
    }

    /// For the Host field (RFC 9110 7.2).
    fn host(&self) -> &str {
        match &self.dial {
            Dial::Tcp(authority) => authority,
            Dial::Unix(_) => "localhost",
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.dial {
            Dial::Tcp(authority) => write!(f, "http://{authority}{}", self.path),
            Dial::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// What the service answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The whole body. Empty for 204, whatever was sent (RFC 9112 6.3; rspamd does send one).
    pub body: Vec<u8>,
}

/// Why there is no answer: which service, what failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpError(String);

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for HttpError {}

/// Sends one POST over a connection of its own and reads the answer, all within `timeout`; an answer of more than
/// `most` bytes is an error.
pub async fn post(
    target: &Target,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
    timeout: Duration,
    most: usize,
) -> Result<Response, HttpError> {
    within(target, timeout, send(target, Method::POST, headers, body.into(), most)).await
}

/// Sends one GET; otherwise as [`post`].
pub async fn get(
    target: &Target,
    headers: &[(&str, &str)],
    timeout: Duration,
    most: usize,
) -> Result<Response, HttpError> {
    within(target, timeout, send(target, Method::GET, headers, Bytes::new(), most)).await
}

async fn within(
    target: &Target,
    timeout: Duration,
    exchange: impl Future<Output = Result<Response, HttpError>>,
) -> Result<Response, HttpError> {
    let late = async {
        Timer::after(timeout).await;
        Err(HttpError(format!("{target} did not answer within {} s", timeout.as_secs_f32())))
    };
    // The request first: an answer that is there counts, however late.
    smol::future::or(exchange, late).await
}

async fn send(
    target: &Target,
    method: Method,
    headers: &[(&str, &str)],
    body: Bytes,
    most: usize,
) -> Result<Response, HttpError> {
    let failed = |what: &str, why: &dyn fmt::Display| HttpError(format!("{target}: {what}: {why}"));
    let mut request =
        Request::builder().method(method).uri(&target.path).header("Host", target.host()).header("Connection", "close");
    for (name, value) in headers {
        // Bytes: rspamd takes addresses in UTF-8 (RFC 6531).
        request = request.header(*name, value.as_bytes());
    }
    let request = request.body(Full::new(body)).map_err(|e| failed("a header cannot be sent", &e))?;
    let socket = target.dial.connect().await.map_err(|e| failed("cannot connect", &e))?;
    let (mut sender, connection) =
        http1::handshake(FuturesIo::new(socket)).await.map_err(|e| failed("cannot speak HTTP", &e))?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(|e| failed("the request failed", &e))?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), most).collect().await;
        let body = body.map_err(|e| failed("the answer cannot be read", &e))?.to_bytes().to_vec();
        Ok(Response { status, body })
    };
    let drive = async {
        // Its errors show in the exchange; what is wrong after the answer is of no interest.
        drop(connection.await);
        smol::future::pending().await
    };
    smol::future::or(exchange, drive).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn targets() {
        let t = |s: &str| s.parse::<Target>().map(|t| t.to_string());
        assert_eq!(t("http://127.0.0.1:11334/learnspam").unwrap(), "http://127.0.0.1:11334/learnspam");
        assert_eq!(t("http://[::1]").unwrap(), "http://[::1]:80/");
        for bad in ["https://a", "http://", "http://a:b/", "http://a b/", "http://a/\r\nX: y", "http://u@a/"] {
            assert!(t(bad).is_err(), "{bad}");
        }
    }

    /// Answers one request with fixed bytes and returns what was asked.
    fn service(answer: &'static [u8]) -> (Target, std::thread::JoinHandle<String>) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let target = format!("http://{}/learn", listener.local_addr().unwrap()).parse().unwrap();
        let thread = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"message") {
                let mut buffer = [0; 1024];
                let n = socket.read(&mut buffer).unwrap();
                assert!(n > 0);
                request.extend_from_slice(&buffer[..n]);
            }
            socket.write_all(answer).unwrap();
            String::from_utf8(request).unwrap()
        });
        (target, thread)
    }

    fn ask(target: &Target, timeout: u64) -> Result<Response, HttpError> {
        let headers = [("Password", "x"), ("Rcpt", "a@b")];
        smol::block_on(post(target, &headers, b"message".to_vec(), Duration::from_millis(timeout), 20))
    }

    #[test]
    fn answers_and_failures() {
        let (target, thread) = service(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        assert_eq!(ask(&target, 5000).unwrap(), Response { status: 200, body: b"ok".to_vec() });
        let request = thread.join().unwrap();
        assert!(request.starts_with("POST /learn HTTP/1.1\r\n") && request.contains("assword: x"), "{request}");

        let (target, thread) = service(b"HTTP/1.1 204 No\r\nContent-Length: 4\r\n\r\n{\"a\"");
        assert_eq!(ask(&target, 5000).unwrap().status, 204);
        thread.join().unwrap();

        let (target, thread) = service(b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n012345678901234567890123456789");
        assert!(ask(&target, 5000).unwrap_err().to_string().contains("cannot be read"));
        thread.join().unwrap();
        let error = ask(&target, 5000).unwrap_err().to_string();
        assert!(error.contains("cannot connect") && error.contains("127.0.0.1"), "{error}");

        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let silent: Target = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        assert!(ask(&silent, 50).unwrap_err().to_string().contains("did not answer"));
    }
}
