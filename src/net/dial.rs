//! A service on this machine or next to it, by TCP or a Unix socket.

use super::stream::{Socket, write_all};
use smol::Timer;
use smol::io::AsyncReadExt;
use smol::net::TcpStream;
use smol::net::unix::UnixStream;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Where a service listens: `host:port`, or `unix:` and a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dial {
    /// `host:port`; an IPv6 address stands in brackets.
    Tcp(String),
    /// A Unix socket.
    Unix(PathBuf),
}

impl Dial {
    /// Connects; small pieces are sent at once.
    ///
    /// # Errors
    /// Nobody listens there, the name is unknown, or it is not reached.
    pub async fn connect(&self) -> io::Result<Socket> {
        match self {
            Dial::Tcp(at) => {
                let stream = TcpStream::connect(at).await?;
                stream.set_nodelay(true)?;
                Ok(Socket::Tcp(stream))
            }
            Dial::Unix(path) => Ok(Socket::Unix(UnixStream::connect(path).await?)),
        }
    }

    /// Sends a request over a connection of its own, and returns the whole answer, up to its end.
    ///
    /// # Errors
    /// In words: it cannot be reached, takes longer than `time`, or answers more than `most` bytes.
    pub async fn exchange(&self, request: &[&[u8]], most: usize, time: Duration) -> Result<Vec<u8>, String> {
        let late = async {
            Timer::after(time).await;
            Err(format!("it did not answer within {} s", time.as_secs_f32()))
        };
        let talk = async {
            let mut socket = self.connect().await.map_err(|error| format!("cannot connect: {error}"))?;
            let mut answer = Vec::new();
            let sent = async {
                for part in request {
                    write_all(&mut socket, part).await?;
                }
                Ok(())
            };
            let sent: io::Result<()> = sent.await;
            // What it says of a request that it did not read to the end tells more than that writing failed.
            let read = (&mut socket).take(most as u64 + 1).read_to_end(&mut answer).await;
            if answer.is_empty() {
                sent.and(read.map(drop)).map_err(|error| error.to_string())?;
            }
            if answer.len() > most { Err(format!("its answer is over {most} bytes")) } else { Ok(answer) }
        };
        // The answer first: one that is there counts, however late.
        smol::future::or(talk, late).await
    }
}

impl FromStr for Dial {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Dial, &'static str> {
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.starts_with('/') {
                Ok(Dial::Unix(path.into()))
            } else {
                Err("the path of a socket begins with /")
            };
        }
        let unfit = |c: char| c.is_control() || c.is_whitespace() || !c.is_ascii() || matches!(c, '/' | '@');
        let (host, port) = text.rsplit_once(':').ok_or("the port is missing")?;
        if host.is_empty() || text.contains(unfit) {
            return Err("the host is missing, or a character cannot be part of it");
        }
        let in_brackets = host.starts_with('[') && host.ends_with(']');
        if host.contains(':') && !in_brackets {
            return Err("an IPv6 address stands in brackets");
        }
        port.parse::<u16>().map_err(|_| "the port is no number")?;
        Ok(Dial::Tcp(text.to_string()))
    }
}

impl fmt::Display for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dial::Tcp(at) => f.write_str(at),
            Dial::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in ["127.0.0.1:783", "[::1]:783", "mail.example.org:11333", "unix:/run/spamd.sock"] {
            assert_eq!(good.parse::<Dial>().unwrap().to_string(), good);
        }
        for bad in ["", "a", "a:b", ":1", "::1:783", "unix:run", "a b:1", "http://a:1", "a:99999", "u@a:1"] {
            assert!(bad.parse::<Dial>().is_err(), "{bad}");
        }
    }
}
