//! What is kept of a password for SCRAM-SHA-256 (RFC 5802 3, RFC 7677), in Dovecot's spelling:
//! `rounds,salt,StoredKey,ServerKey`, the last three in base64.

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::num::NonZeroU32;

/// Bytes of SHA-256.
const BYTES: usize = 32;

/// The server's part of the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Scram {
    /// How often the password is hashed.
    pub rounds: NonZeroU32,
    /// Mixed into it.
    pub salt: Vec<u8>,
    /// Proves that a client knows the password.
    pub stored_key: [u8; BYTES],
    /// Proves to it that we do.
    pub server_key: [u8; BYTES],
}

impl Scram {
    /// Of this password. Takes as long as a client takes for a login.
    pub fn new(password: &[u8], salt: Vec<u8>, rounds: NonZeroU32) -> Scram {
        let mut scram = Scram { rounds, salt, stored_key: [0; BYTES], server_key: [0; BYTES] };
        let salted = scram.salted(password);
        scram.server_key = sign(&salted, b"Server Key");
        scram.stored_key = hash(&sign(&salted, b"Client Key"));
        scram
    }

    /// Reads Dovecot's spelling.
    pub fn parse(text: &str) -> Option<Scram> {
        let mut fields = text.split(',');
        let rounds = fields.next()?.parse().ok()?;
        let mut bytes = || STANDARD.decode(fields.next()?).ok();
        let (salt, stored, server) = (bytes()?, bytes()?, bytes()?);
        let whole = fields.next().is_none() && !salt.is_empty();
        let (stored_key, server_key) = (stored.try_into().ok()?, server.try_into().ok()?);
        whole.then_some(Scram { rounds, salt, stored_key, server_key })
    }

    /// Whether this is the password.
    pub fn verify(&self, password: &[u8]) -> bool {
        let hashed = hash(&self.client_key(password));
        hashed.iter().zip(&self.stored_key).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
    }

    /// What a client with this password proves to have.
    pub fn client_key(&self, password: &[u8]) -> [u8; BYTES] {
        sign(&self.salted(password), b"Client Key")
    }

    fn salted(&self, password: &[u8]) -> [u8; BYTES] {
        let mut salted = [0; BYTES];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, self.rounds, &self.salt, password, &mut salted);
        salted
    }
}

impl fmt::Display for Scram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [salt, stored, server] =
            [&self.salt[..], &self.stored_key[..], &self.server_key[..]].map(|bytes| STANDARD.encode(bytes));
        write!(f, "{},{salt},{stored},{server}", self.rounds)
    }
}

impl fmt::Debug for Scram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scram with {} rounds", self.rounds)
    }
}

fn sign(key: &[u8], text: &[u8]) -> [u8; BYTES] {
    filled(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text).as_ref())
}

fn hash(bytes: &[u8]) -> [u8; BYTES] {
    filled(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// Both functions give as many bytes as there is room for.
fn filled(from: &[u8]) -> [u8; BYTES] {
    let mut out = [0; BYTES];
    out.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    out
}
