//! SCRAM-SHA-256 without channel binding (RFC 5802, RFC 7677): the server's side of one exchange.
//!
//! A login without such a hash gets a challenge too, and fails at the end: its salt follows from the login and from a hash
//! in the file of accounts, so it stays the same over restarts and looks like any other.

use super::account::{Account, Accounts, Verdict};
use crate::base::{Timestamp, limits};
use crate::store::passwd::{Passwd, Scheme, Scram};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::net::IpAddr;

/// An exchange after the server's first message.
pub struct Exchange {
    /// As typed.
    user: String,
    login: String,
    /// `None`: it fails, whatever comes.
    account: Option<Account>,
    scram: Scram,
    /// `c=` of the last message.
    binding: String,
    nonce: String,
    /// The first two of the three messages that are signed.
    messages: String,
}

/// How an exchange begins.
pub enum Begun {
    /// The server's first message is this.
    Challenge(Box<Exchange>, String),
    /// The client's first message is none; why.
    Broken(&'static str),
    /// Too many wrong passwords.
    Later(std::time::Duration),
}

/// How it ends.
pub enum Ended {
    /// The account, and the server's last message.
    Good(Account, String),
    /// As for a password.
    Bad(Verdict),
}

/// Bytes of randomness in the server's part of the nonce.
const NONCE: usize = 18;

impl Accounts {
    /// Whether this is announced: any account can log in like this, and no domain has all its passwords elsewhere, whose
    /// users would fail with the mechanism that their programs like best.
    pub fn has_scram(&self, now: Timestamp) -> bool {
        !self.asks_elsewhere() && self.users(now).accounts().any(|(_, hash)| hash.scheme() == Scheme::ScramSha256)
    }

    /// Takes the client's first message.
    pub fn scram_begin(&self, first: &[u8], peer: Option<IpAddr>, now: Timestamp) -> Begun {
        let mut random = [0; NONCE];
        if SystemRandom::new().fill(&mut random).is_err() {
            return Begun::Broken("the system has no random bytes");
        }
        self.scram_begin_with(first, &STANDARD.encode(random), peer, now)
    }

    fn scram_begin_with(&self, first: &[u8], ours: &str, peer: Option<IpAddr>, now: Timestamp) -> Begun {
        let first = match std::str::from_utf8(first).map_err(|_| "a SCRAM message is UTF-8").and_then(First::parse) {
            Ok(first) => first,
            Err(why) => return Begun::Broken(why),
        };
        let (users, login, scope) = self.find(&first.user, now);
        if let Some(wait) = self.refused(peer, &first.user, &login, now) {
            return Begun::Later(wait);
        }
        let real = users.get(&login).and_then(|hash| hash.scram());
        let account = match (&real, scope) {
            (Some(_), Some(scope)) => Some(Account { login: login.clone(), scope }),
            _ => None,
        };
        let Some(scram) = real.or_else(|| stand_in(&users, &login)) else {
            return Begun::Broken("no account can log in with SCRAM-SHA-256");
        };
        let nonce = format!("{}{ours}", first.nonce);
        let challenge = format!("r={nonce},s={},i={}", STANDARD.encode(&scram.salt), scram.rounds);
        let exchange = Exchange {
            login,
            account,
            binding: STANDARD.encode(first.header),
            messages: format!("{},{challenge}", first.bare),
            nonce,
            scram,
            user: first.user,
        };
        Begun::Challenge(Box::new(exchange), challenge)
    }

    /// Takes the client's last message.
    pub fn scram_end(&self, exchange: Exchange, last: &[u8], peer: Option<IpAddr>, now: Timestamp) -> Ended {
        match (exchange.proved(last), &exchange.account) {
            (Some(signature), Some(account)) => {
                self.right(&exchange.login);
                Ended::Good(account.clone(), format!("v={signature}"))
            }
            // Each counts: nothing tells whether it is the same wrong password again.
            _ => Ended::Bad(self.wrong(&exchange.user, &exchange.login, exchange.nonce.as_bytes(), peer, now)),
        }
    }
}

impl Exchange {
    /// The server's signature, if the client has proved that it knows the password (RFC 5802 3).
    fn proved(&self, last: &[u8]) -> Option<String> {
        let (before, proof) = std::str::from_utf8(last).ok()?.rsplit_once(",p=")?;
        let mut fields = before.split(',');
        let binding = fields.next()?.strip_prefix("c=")?;
        let nonce = fields.next()?.strip_prefix("r=")?;
        if binding != self.binding || nonce != self.nonce {
            return None;
        }
        let message = format!("{},{before}", self.messages);
        let signature = sign(&self.scram.stored_key, message.as_bytes());
        let proof = STANDARD.decode(proof).ok()?;
        if proof.len() != signature.as_ref().len() {
            return None;
        }
        let key: Vec<u8> = proof.iter().zip(signature.as_ref()).map(|(a, b)| a ^ b).collect();
        let hashed = digest::digest(&digest::SHA256, &key);
        let same = hashed.as_ref().iter().zip(&self.scram.stored_key).fold(0, |differs, (a, b)| differs | (a ^ b));
        (same == 0).then(|| STANDARD.encode(sign(&self.scram.server_key, message.as_bytes())))
    }
}

fn sign(key: &[u8], message: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message)
}

/// What a login without a hash of its own is asked with: as many rounds, and as long a salt, as somebody else's.
fn stand_in(users: &Passwd, login: &str) -> Option<Scram> {
    let like = users.accounts().find_map(|(_, hash)| hash.scram())?;
    let salt = sign(&like.server_key, login.as_bytes());
    let salt = salt.as_ref().iter().copied().cycle().take(like.salt.len()).collect();
    Some(Scram { salt, ..like })
}

/// The client's first message (RFC 5802 7 `client-first-message`).
struct First<'a> {
    /// The GS2 header.
    header: &'a str,
    bare: &'a str,
    user: String,
    nonce: &'a str,
}

impl First<'_> {
    fn parse(text: &str) -> Result<First<'_>, &'static str> {
        const FORM: &str = "a SCRAM exchange begins with n,,n=login,r=nonce";
        let (flag, rest) = text.split_once(',').ok_or(FORM)?;
        if !matches!(flag, "n" | "y") {
            return Err("there is no channel binding here");
        }
        let (other, bare) = rest.split_once(',').ok_or(FORM)?;
        let header = text.strip_suffix(bare).ok_or(FORM)?;
        let mut fields = bare.split(',');
        let user = name(fields.next().and_then(|f| f.strip_prefix("n=")).ok_or(FORM)?).ok_or(FORM)?;
        let nonce = fields.next().and_then(|f| f.strip_prefix("r=")).ok_or(FORM)?;
        if nonce.is_empty() || !nonce.bytes().all(|b| b.is_ascii_graphic()) || user.len() > limits::CREDENTIAL {
            return Err(FORM);
        }
        if !other.is_empty() && other.strip_prefix("a=").and_then(name).as_ref() != Some(&user) {
            return Err("nobody may act for somebody else here");
        }
        Ok(First { header, bare, user, nonce })
    }
}

/// `saslname`: a comma and an equals sign are escaped.
fn name(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut parts = text.split('=');
    out.push_str(parts.next()?);
    for part in parts {
        let (escape, rest) = part.split_at_checked(2)?;
        out.push(match escape {
            "2C" => ',',
            "3D" => '=',
            _ => return None,
        });
        out.push_str(rest);
    }
    (!out.is_empty()).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quarantine::directory::{Directory, Domain};
    use crate::store::passwd::{self, Hash};
    use std::path::PathBuf;
    use std::sync::Arc;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    fn accounts(name: &str, hashes: &[(&str, &str)]) -> (Accounts, PathBuf) {
        let path = std::env::temp_dir().join(format!("lazaret-scram-{name}-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        for (login, hash) in hashes {
            passwd::edit(&path, &path, |file| file.add(login, Hash::parse(hash).unwrap())).unwrap();
        }
        let directory = Arc::new(Directory::new([("example.org", &Domain::default())]).unwrap());
        (Accounts::open(&path, directory).unwrap(), path)
    }

    fn stored(password: &[u8], salt: &[u8]) -> String {
        let rounds = std::num::NonZeroU32::new(4096).unwrap();
        format!("{{SCRAM-SHA-256}}{}", Scram::new(password, salt.to_vec(), rounds))
    }

    /// The client's side, written from the RFC's formulas.
    fn client(first_bare: &str, challenge: &str, binding: &str, password: &str) -> String {
        let field = |key: &str| challenge.split(',').find_map(|f| f.strip_prefix(key)).unwrap().to_string();
        let salt = STANDARD.decode(field("s=")).unwrap();
        let hash = Scram::new(password.as_bytes(), salt, field("i=").parse().unwrap());
        let keys = hash.client_key(password.as_bytes());
        let before = format!("c={binding},r={}", field("r="));
        let signature = sign(&hash.stored_key, format!("{first_bare},{challenge},{before}").as_bytes());
        let proof: Vec<u8> = keys.iter().zip(signature.as_ref()).map(|(a, b)| a ^ b).collect();
        format!("{before},p={}", STANDARD.encode(proof))
    }

    #[test]
    fn the_exchange_of_rfc_7677() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let hash = stored(b"pencil", &salt);
        let (a, path) = accounts("rfc", &[("example.org", &hash)]);
        let begun =
            a.scram_begin_with(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", None, NOW);
        let Begun::Challenge(mut exchange, _) = begun else { panic!() };
        // no account can be called `user` here; the rest is as in the RFC
        exchange.scram.salt = salt;
        let challenge = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        exchange.messages = format!("n=user,r=rOprNGfwEbeRWgbNEkqO,{challenge}");
        let last = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        assert_eq!(exchange.proved(last.as_bytes()).unwrap(), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        assert_eq!(exchange.proved(last.replace("c=biws", "c=eSws").as_bytes()), None);
        assert_eq!(exchange.proved(last.replace("p=dH", "p=dG").as_bytes()), None);
        assert!(matches!(a.scram_end(*exchange, last.as_bytes(), None, NOW), Ended::Bad(Verdict::Wrong(_))));
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn good_wrong_and_unknown() {
        let scram = stored(b"right", b"0123456789ab");
        let plain = Hash::make(Scheme::Plain, b"right").unwrap().field();
        let (a, path) = accounts("logins", &[("alice@example.org", &scram), ("bob@example.org", &plain)]);
        assert!(a.has_scram(NOW));
        let run = |user: &str, password: &str, header: &str| {
            let bare = format!("n={user},r=abc");
            let Begun::Challenge(exchange, challenge) = a.scram_begin(format!("{header}{bare}").as_bytes(), None, NOW)
            else {
                panic!("{user}")
            };
            let last = client(&bare, &challenge, &STANDARD.encode(header), password);
            (a.scram_end(*exchange, last.as_bytes(), None, NOW), challenge)
        };
        for (user, header) in [
            ("alice@example.org", "n,,"),
            ("ALICE@example.org", "y,,"),
            ("alice@example.org", "n,a=alice@example.org,"),
        ] {
            let (Ended::Good(account, message), _) = run(user, "right", header) else { panic!("{user}") };
            assert!(account.login == "alice@example.org" && message.starts_with("v="));
        }
        for (user, password) in
            [("alice@example.org", "wrong"), ("bob@example.org", "right"), ("nobody@example.org", "right")]
        {
            assert!(matches!(run(user, password, "n,,").0, Ended::Bad(Verdict::Wrong(_))), "{user}");
        }
        let salt =
            |challenge: String| challenge.split(',').find_map(|f| f.strip_prefix("s=").map(str::to_string)).unwrap();
        let [first, second, other] =
            ["nobody@example.org", "nobody@example.org", "eve@example.org"].map(|u| salt(run(u, "x", "n,,").1));
        assert!(first == second && first != other, "a made-up salt stays the same");
        assert_eq!(first.len(), salt(run("alice@example.org", "x", "n,,").1).len());
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn guessing_is_slowed() {
        let scram = stored(b"right", b"0123456789ab");
        let (a, path) = accounts("guess", &[("alice@example.org", &scram)]);
        for n in 0.. {
            assert!(n < 20, "it is never slowed");
            match a.scram_begin(b"n,,n=alice@example.org,r=x", None, NOW) {
                Begun::Challenge(exchange, _) => drop(a.scram_end(*exchange, b"c=biws,r=x,p=", None, NOW)),
                Begun::Later(_) => break,
                Begun::Broken(why) => panic!("{why}"),
            }
        }
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn broken_messages() {
        let scram = stored(b"right", b"0123456789ab");
        let (a, path) = accounts("broken", &[("alice@example.org", &scram)]);
        for first in [
            "",
            "n",
            "n,,",
            "n,,n=",
            "n,,n=a",
            "n,,n=a,r=",
            "n,,n=a=2c,r=x",
            "p=tls-unique,,n=a,r=x",
            "n,a=b,n=a,r=x",
            "n,,m=x,n=a,r=x",
            "n,,n=a,r=\u{e9}",
        ] {
            assert!(matches!(a.scram_begin(first.as_bytes(), None, NOW), Begun::Broken(_)), "{first}");
        }
        assert!(matches!(a.scram_begin(b"n,,n=\xff,r=x", None, NOW), Begun::Broken(_)));
        assert_eq!(name("a=2Cb=3D").as_deref(), Some("a,b="));
        let plain = Hash::make(Scheme::Plain, b"x").unwrap().field();
        let (b, other) = accounts("none", &[("alice@example.org", &plain)]);
        assert!(!b.has_scram(NOW) && matches!(b.scram_begin(b"n,,n=a,r=x", None, NOW), Begun::Broken(_)));
        for path in [path, other] {
            std::fs::remove_file(path).unwrap();
        }
    }
}
