//! A browser of few words: looks at pages of ours and fills in a form, with the cookies that it is given. For
//! `lazaret doctor`, which sees on the page what a recipient sees.

use super::smtp::Tls;
use super::stream::Stream;
use crate::base::limits;
pub use crate::page::request::encoded;
use futures_rustls::TlsConnector;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{self, HeaderMap};
use hyper::{Method, Request};
use smol::Timer;
use smol::net::TcpStream;
use smol_hyper::rt::FuturesIo;
use std::fmt;
use std::net::SocketAddr;

/// One browser.
pub struct Browser {
    address: SocketAddr,
    tls: Option<Tls>,
    cookies: Vec<(String, String)>,
}

/// A page that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The status code.
    pub status: u16,
    /// Where a browser is sent instead.
    pub location: Option<String>,
    /// Its HTML.
    pub text: String,
}

impl Browser {
    /// A browser without cookies; it knows this server only. `tls`: it comes over HTTPS.
    pub fn new(address: SocketAddr, tls: Option<Tls>) -> Browser {
        Browser { address, tls, cookies: Vec::new() }
    }

    /// Looks at a path.
    ///
    /// # Errors
    /// In words: nobody is there, it takes too long, or the answer is no page.
    pub async fn get(&mut self, path: &str) -> Result<Page, String> {
        self.ask(Method::GET, path, Vec::new()).await
    }

    /// Sends a form.
    ///
    /// # Errors
    /// As [`Browser::get`].
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Result<Page, String> {
        let pairs = fields.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
        self.ask(Method::POST, path, pairs.collect::<Vec<_>>().join("&").into_bytes()).await
    }

    async fn ask(&mut self, method: Method, path: &str, form: Vec<u8>) -> Result<Page, String> {
        let late = async {
            Timer::after(limits::DOCTOR_REPLY).await;
            Err(format!("no answer within {} s", limits::DOCTOR_REPLY.as_secs()))
        };
        let (page, fields) = smol::future::or(self.exchange(method, path, form), late).await?;
        for (name, value) in fields.get_all(header::SET_COOKIE).iter().filter_map(|v| cookie(v.to_str().ok()?)) {
            self.cookies.retain(|(known, _)| *known != name);
            self.cookies.push((name, value));
        }
        Ok(page)
    }

    async fn exchange(&self, method: Method, path: &str, form: Vec<u8>) -> Result<(Page, HeaderMap), String> {
        let failed = |what: &str, why: &dyn fmt::Display| format!("{what}: {why}");
        let mut request = Request::builder().method(&method).uri(path).header(header::HOST, self.address.to_string());
        if !self.cookies.is_empty() {
            let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header(header::COOKIE, pairs.join("; "));
        }
        if method == Method::POST {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        let request = request.body(Full::new(Bytes::from(form))).map_err(|e| failed("cannot ask for it", &e))?;
        let stream = TcpStream::connect(self.address).await.map_err(|e| failed("cannot connect", &e))?;
        let stream: Box<dyn Stream> = match &self.tls {
            Some(tls) => {
                let connector = TlsConnector::from(tls.config.clone());
                let secured = connector.connect(tls.name.clone(), stream).await;
                Box::new(secured.map_err(|e| failed("TLS could not be agreed on", &e))?)
            }
            None => Box::new(stream),
        };
        let (mut sender, connection) =
            http1::handshake(FuturesIo::new(stream)).await.map_err(|e| failed("cannot speak HTTP", &e))?;
        let exchange = async {
            let response = sender.send_request(request).await.map_err(|e| failed("the request failed", &e))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, limits::DOCTOR_PAGE).collect().await;
            let body = body.map_err(|e| failed("the answer cannot be read", &e))?.to_bytes();
            let location = head.headers.get(header::LOCATION).and_then(|v| v.to_str().ok()).map(str::to_string);
            let text = String::from_utf8_lossy(&body).into_owned();
            Ok((Page { status: head.status.as_u16(), location, text }, head.headers))
        };
        let drive = async {
            // Its errors show in the exchange.
            drop(connection.await);
            smol::future::pending().await
        };
        smol::future::or(exchange, drive).await
    }
}

/// Name and value of a cookie that is set (RFC 6265 4.1.1).
fn cookie(field: &str) -> Option<(String, String)> {
    let (name, value) = field.split(';').next()?.split_once('=')?;
    Some((name.trim().to_string(), value.trim().to_string()))
}

/// The value of a hidden field of a form of ours.
pub fn hidden_field<'a>(html: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = html.split_once(&format!("name=\"{name}\" value=\""))?;
    rest.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::layout::sign_in;
    use crate::page::texts::Language;

    #[test]
    fn cookies_are_read() {
        let set = "__Host-lazaret=abc=; Path=/; Secure; HttpOnly";
        assert_eq!(cookie(set), Some(("__Host-lazaret".to_string(), "abc=".to_string())));
        assert_eq!(cookie("odd"), None);
    }

    #[test]
    fn the_sign_in_has_its_hidden_field() {
        let html = sign_in(Language::En, "se-al_1", "", None).into_string();
        assert_eq!(hidden_field(&html, "csrf"), Some("se-al_1"));
        assert_eq!(hidden_field(&html, "other"), None);
    }
}
