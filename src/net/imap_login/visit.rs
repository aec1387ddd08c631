//! A short visit of a mailbox: sign in, look for one message, move it. For `lazaret doctor`, which sees over IMAP what a
//! recipient's mail program sees.

use super::super::smtp::Security;
use super::talk::Talk;
use super::{begin, within};
use crate::base::limits;
use crate::mail::token::quote;
use crate::net::stream::Stream;
use imap_proto::Status;
use smol::net::TcpStream;
use std::fmt;

/// Somebody who is signed in.
pub struct Visit {
    talk: Talk<Box<dyn Stream>>,
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The connection is of no more use, or nobody is there.
    Broken(String),
    /// The server said no: its words.
    Refused(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Broken(why) => f.write_str(why),
            Trouble::Refused(text) => write!(f, "it refuses: {text}"),
        }
    }
}

impl Visit {
    /// Connects to a host name or IP address, and signs in.
    pub async fn sign_in(at: (&str, u16), security: &Security, user: &str, password: &str) -> Result<Visit, Trouble> {
        let stream = in_time(async { TcpStream::connect(at).await.map_err(|e| format!("cannot connect: {e}")) });
        let stream: Box<dyn Stream> = Box::new(stream.await?);
        let (mut talk, offers) = in_time(begin(stream, security)).await?;
        match in_time(talk.log_in(&offers, user.as_bytes(), password.as_bytes())).await? {
            true => Ok(Visit { talk }),
            false => Err(Trouble::Refused("login or password is wrong".to_string())),
        }
    }

    /// Opens a folder (RFC 3501 6.3.1), by its name in modified UTF-7.
    pub async fn select(&mut self, folder: &str) -> Result<(), Trouble> {
        self.command(&[b"SELECT ", quoted(folder).as_slice()].concat()).await.map(drop)
    }

    /// UIDs of the messages in the open folder that have this Message-ID (RFC 3501 6.4.4).
    pub async fn with_message_id(&mut self, id: &str) -> Result<Vec<u32>, Trouble> {
        let lines = self.command(&[b"UID SEARCH HEADER Message-ID ", quoted(id).as_slice()].concat()).await?;
        Ok(found(&lines))
    }

    /// Moves a message of the open folder (RFC 6851 3.2).
    pub async fn move_to(&mut self, uid: u32, folder: &str) -> Result<(), Trouble> {
        self.command(&[format!("UID MOVE {uid} ").as_bytes(), &quoted(folder)].concat()).await.map(drop)
    }

    /// Removes a message of the open folder for good (RFC 4315 2.1).
    pub async fn remove(&mut self, uid: u32) -> Result<(), Trouble> {
        self.command(format!("UID STORE {uid} +FLAGS.SILENT (\\Deleted)").as_bytes()).await?;
        self.command(format!("UID EXPUNGE {uid}").as_bytes()).await.map(drop)
    }

    /// Says goodbye.
    pub async fn leave(mut self) {
        within(limits::LINGER, self.talk.log_out()).await;
    }

    async fn command(&mut self, command: &[u8]) -> Result<Vec<Vec<u8>>, Trouble> {
        let (lines, status, text) = in_time(self.talk.ask(command)).await?;
        match status {
            Status::Ok => Ok(lines),
            _ => Err(Trouble::Refused(text)),
        }
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, Trouble> {
    match within(limits::DOCTOR_REPLY, work).await {
        Some(done) => done.map_err(Trouble::Broken),
        None => Err(Trouble::Broken(format!("no answer within {} s", limits::DOCTOR_REPLY.as_secs()))),
    }
}

fn quoted(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    quote(text.as_bytes(), &mut out);
    out
}

/// The numbers of `* SEARCH` (RFC 3501 7.2.5).
fn found(lines: &[Vec<u8>]) -> Vec<u32> {
    let text = lines.iter().map(|line| String::from_utf8_lossy(line).into_owned());
    let numbers = text.filter_map(|line| {
        let rest = line.strip_prefix("* SEARCH")?;
        Some(rest.split_whitespace().filter_map(|word| word.parse().ok()).collect::<Vec<u32>>())
    });
    numbers.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_a_search() {
        let lines = |text: &[&str]| text.iter().map(|line| line.as_bytes().to_vec()).collect::<Vec<_>>();
        assert_eq!(found(&lines(&["* SEARCH 3 17\r\n", "* 4 EXISTS\r\n"])), [3, 17]);
        assert!(found(&lines(&["* SEARCH\r\n"])).is_empty());
        assert_eq!(found(&lines(&["* SEARCH 9 (MODSEQ 5)\r\n"])), [9]);
        assert!(found(&lines(&["* OK SEARCH 3\r\n"])).is_empty());
    }

    #[test]
    fn folders_are_quoted() {
        assert_eq!(quoted("Caught (Outgoing)"), b"\"Caught (Outgoing)\"");
    }
}
