//! Password hashes in Dovecot's spelling: `{SCHEME}hash`.

use super::scram::Scram;
use crate::base::secret::same;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, Params, PasswordHasher, PasswordVerifier};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use aws_lc_rs::{hmac, pbkdf2};
use base64::Engine;
use sha_crypt::ShaCrypt;
use std::fmt::{self, Write};
use std::num::NonZeroU32;

/// How a password is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Argon2id; what new passwords get.
    Argon2id,
    /// bcrypt; looks at the first 72 bytes of a password only.
    BlfCrypt,
    /// SHA-512 of crypt(3).
    Sha512Crypt,
    /// PBKDF2 with HMAC-SHA1 and 160 bits, as Dovecot has it.
    Pbkdf2,
    /// What SCRAM-SHA-256 needs (RFC 7677): a client logs in without sending the password.
    ScramSha256,
    /// As it is. Only where the file says so.
    Plain,
}

/// A checked hash: its form and its cost were looked at when it was read.
#[derive(Clone, PartialEq, Eq)]
pub struct Hash {
    scheme: Scheme,
    text: String,
}

/// Most memory that one Argon2 check may take, in KiB: logins are checked one at a time, so this is also the total.
const ARGON2_KIB: u32 = 1 << 20;
/// Most passes over that memory.
const ARGON2_PASSES: u32 = 32;
/// bcrypt's cost is an exponent: 16 takes some seconds.
const BLF_COST: u32 = 16;
/// Most rounds of SHA512-CRYPT and PBKDF2: some seconds.
const ROUNDS: u32 = 5_000_000;

/// Each login costs the client so many. Some clients refuse more than 65,536.
const SCRAM_ROUNDS: u32 = 20_000;
const PBKDF2_BYTES: usize = 20;

impl Scheme {
    /// Every scheme that is understood.
    pub const ALL: [Scheme; 6] =
        [Scheme::Argon2id, Scheme::BlfCrypt, Scheme::Sha512Crypt, Scheme::Pbkdf2, Scheme::ScramSha256, Scheme::Plain];

    /// Its name between the braces.
    pub fn name(self) -> &'static str {
        match self {
            Scheme::Argon2id => "ARGON2ID",
            Scheme::BlfCrypt => "BLF-CRYPT",
            Scheme::Sha512Crypt => "SHA512-CRYPT",
            Scheme::Pbkdf2 => "PBKDF2",
            Scheme::ScramSha256 => "SCRAM-SHA-256",
            Scheme::Plain => "PLAIN",
        }
    }

    /// The scheme with this name, in any case.
    pub fn from_name(name: &str) -> Option<Scheme> {
        Scheme::ALL.into_iter().find(|s| s.name().eq_ignore_ascii_case(name))
    }

    /// "ARGON2ID, BLF-CRYPT, …"
    pub fn list() -> String {
        Scheme::ALL.map(Scheme::name).join(", ")
    }
}

impl Hash {
    /// Reads `{SCHEME}hash`; the error says what is wrong with it, without repeating it.
    pub fn parse(field: &str) -> Result<Hash, String> {
        let (name, text) = field.strip_prefix('{').and_then(|rest| rest.split_once('}')).ok_or_else(|| {
            format!("the password has no scheme: expected {{SCHEME}}hash with one of {}", Scheme::list())
        })?;
        let scheme = Scheme::from_name(name).ok_or_else(|| {
            format!("unknown password scheme {{{}}}: expected one of {}", clean(name), Scheme::list())
        })?;
        check(scheme, text).map_err(|why| format!("bad {{{}}} hash: {why}", scheme.name()))?;
        Ok(Hash { scheme, text: text.to_string() })
    }

    /// Hashes a new password with fresh salt.
    pub fn make(scheme: Scheme, password: &[u8]) -> Result<Hash, String> {
        let mut salt = [0; 16];
        SystemRandom::new().fill(&mut salt).map_err(|_| "the system has no random bytes".to_string())?;
        let text = match scheme {
            Scheme::Argon2id => {
                Argon2::default().hash_password_with_salt(password, &salt).map_err(|e| e.to_string())?.to_string()
            }
            Scheme::BlfCrypt if password.len() > 72 => return Err("BLF-CRYPT looks at 72 bytes only".to_string()),
            Scheme::BlfCrypt => bcrypt::hash_with_salt(password, 10, salt)
                .map_err(|e| e.to_string())?
                .format_for_version(bcrypt::Version::TwoY),
            Scheme::Sha512Crypt => {
                // 12 bytes are the 16 characters of salt that crypt(3) looks at.
                let salt = salt.get(..12).unwrap_or(&salt);
                let params = sha_crypt::Params::new(100_000).map_err(|e| e.to_string())?;
                let crypt = ShaCrypt::new(sha_crypt::Algorithm::Sha512Crypt, params);
                crypt.hash_password_with_salt(password, salt).map_err(|e| e.to_string())?.to_string()
            }
            Scheme::Pbkdf2 => {
                let salt = base64::engine::general_purpose::STANDARD_NO_PAD.encode(salt).replace(['+', '/'], ".");
                let mut out = [0; PBKDF2_BYTES];
                let rounds = NonZeroU32::new(100_000).unwrap_or(NonZeroU32::MIN);
                pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA1, rounds, salt.as_bytes(), password, &mut out);
                format!("$1${salt}${rounds}${}", hex(&out))
            }
            // RFC 4013 2: such passwords are the same in any client's preparation.
            Scheme::ScramSha256 if !password.iter().all(|b| matches!(b, b' '..=b'~')) => {
                return Err("SCRAM-SHA-256 keeps printable ASCII only, which every client prepares alike".to_string());
            }
            Scheme::ScramSha256 => {
                let rounds = NonZeroU32::new(SCRAM_ROUNDS).unwrap_or(NonZeroU32::MIN);
                Scram::new(password, salt.to_vec(), rounds).to_string()
            }
            Scheme::Plain => String::from_utf8(password.to_vec()).map_err(|_| "PLAIN keeps UTF-8 only".to_string())?,
        };
        check(scheme, &text)?;
        Ok(Hash { scheme, text })
    }

    /// Whether this is the password. Takes as long for a wrong one as for the right one.
    pub fn verify(&self, password: &[u8]) -> bool {
        let text = self.text.as_str();
        match self.scheme {
            Scheme::Argon2id => Argon2::default().verify_password(password, text).is_ok(),
            Scheme::BlfCrypt => bcrypt::verify(password, text).unwrap_or(false),
            Scheme::Sha512Crypt => ShaCrypt::default().verify_password(password, text).is_ok(),
            Scheme::Pbkdf2 => parse_pbkdf2(text).is_some_and(|(salt, rounds, expected)| {
                pbkdf2::verify(pbkdf2::PBKDF2_HMAC_SHA1, rounds, salt, password, &expected).is_ok()
            }),
            Scheme::ScramSha256 => Scram::parse(text).is_some_and(|scram| scram.verify(password)),
            Scheme::Plain => {
                // Both hashed under one key: comparing takes the same time whatever the lengths.
                let key = hmac::Key::new(hmac::HMAC_SHA256, b"compare");
                let (a, b) = (hmac::sign(&key, text.as_bytes()), hmac::sign(&key, password));
                same(a.as_ref(), b.as_ref())
            }
        }
    }

    /// What SCRAM-SHA-256 needs, if it was kept.
    pub fn scram(&self) -> Option<Scram> {
        if self.scheme == Scheme::ScramSha256 { Scram::parse(&self.text) } else { None }
    }

    /// Its scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// As it stands in the file.
    pub fn field(&self) -> String {
        format!("{{{}}}{}", self.scheme.name(), self.text)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}}}…", self.scheme.name())
    }
}

fn check(scheme: Scheme, text: &str) -> Result<(), String> {
    match scheme {
        Scheme::Argon2id => check_argon2id(text),
        Scheme::BlfCrypt => {
            let parts: bcrypt::HashParts = text.parse().map_err(|_| "expected $2y$cost$salt-and-hash".to_string())?;
            within("cost", parts.get_cost(), BLF_COST)
        }
        Scheme::Sha512Crypt => check_sha512(text),
        Scheme::Pbkdf2 => {
            let expected = "expected $1$salt$rounds$hash, the hash with 40 hexadecimal digits";
            let (_, rounds, _) = parse_pbkdf2(text).ok_or(expected)?;
            within("rounds", rounds.get(), ROUNDS)
        }
        Scheme::ScramSha256 => {
            let scram =
                Scram::parse(text).ok_or("expected rounds,salt,StoredKey,ServerKey, the last three in base64")?;
            within("rounds", scram.rounds.get(), ROUNDS)
        }
        Scheme::Plain if text.is_empty() => Err("an empty password would let anybody in".to_string()),
        Scheme::Plain if text.contains([':', '\n', '\r', '\0']) => {
            Err("a colon, a line end or NUL cannot stand in this file: use another scheme".to_string())
        }
        Scheme::Plain => Ok(()),
    }
}

fn within(what: &str, value: u32, most: u32) -> Result<(), String> {
    if value <= most { Ok(()) } else { Err(format!("{what} {value} is over {most}: each login would take too long")) }
}

fn check_argon2id(text: &str) -> Result<(), String> {
    let expected = || "expected $argon2id$v=19$m=…,t=…,p=…$salt$hash".to_string();
    let hash = PasswordHash::new(text).map_err(|_| expected())?;
    if hash.algorithm.as_str() != "argon2id" || hash.salt.is_none() || hash.hash.is_none() {
        return Err(expected());
    }
    let params = Params::try_from(&hash).map_err(|_| expected())?;
    within("memory (m)", params.m_cost(), ARGON2_KIB)?;
    within("passes (t)", params.t_cost(), ARGON2_PASSES)
}

fn check_sha512(text: &str) -> Result<(), String> {
    let expected = || "expected $6$[rounds=n$]salt$hash".to_string();
    let mut fields = text.strip_prefix("$6$").ok_or_else(expected)?.split('$').peekable();
    if let Some(rounds) = fields.peek().and_then(|f| f.strip_prefix("rounds=")) {
        within("rounds", rounds.parse().map_err(|_| expected())?, ROUNDS)?;
        fields.next();
    }
    let crypt = |field: &str| field.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/'));
    match (fields.next(), fields.next(), fields.next()) {
        // 86 characters are 64 bytes (crypt(3)).
        (Some(salt), Some(hash), None) if salt.len() <= 16 && hash.len() == 86 && crypt(hash) => Ok(()),
        _ => Err(expected()),
    }
}

/// `$1$salt$rounds$hex`
fn parse_pbkdf2(text: &str) -> Option<(&[u8], NonZeroU32, [u8; PBKDF2_BYTES])> {
    let mut fields = text.strip_prefix("$1$")?.split('$');
    let (salt, rounds, digits) = (fields.next()?, fields.next()?, fields.next()?);
    let hash = unhex(digits)?.try_into().ok()?;
    (fields.next().is_none() && !salt.is_empty()).then_some((salt.as_bytes(), rounds.parse().ok()?, hash))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, b| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{b:02x}");
        text
    })
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) || !digits.len().is_multiple_of(2) {
        return None;
    }
    (0..digits.len()).step_by(2).map(|i| u8::from_str_radix(digits.get(i..i + 2)?, 16).ok()).collect()
}

/// What was typed, fit for a message.
fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From Dovecot's own tests (src/auth/test-password-scheme.c), made by `doveadm pw` (SHA512-CRYPT without rounds, the
    /// UTF-8 ones), and from the specification of SHA-crypt.
    const VECTORS: [(&str, &str); 9] = [
        ("test", "{PBKDF2}$1$bUnT4Pl7yFtYX0KU$5000$50a83cafdc517b9f46519415e53c6a858908680a"),
        ("test", "{BLF-CRYPT}$2y$05$11ipvo5dR6CwkzwmhwM26OXgzXwhV2PyPuLV.Qi31ILcRcThQpEiW"),
        (
            "test",
            "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$vBb99oJ12p3WAdYlaMHz1A$jtFOtbo/sYV9OSlTxDo/nVNq3uArHd5GJSEx0ty85Cc",
        ),
        (
            "pässword 1",
            "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$Ndt7ZAlbj25Tq4kDC6d78A$ToG6S6Vu2lsKwgQ+az5O48SUkNfAUo+8tWbsc/wfXXA",
        ),
        ("pässword 1", "{BLF-CRYPT}$2y$05$i78O.Ar4RBCHMlPtHtpZCugYWcpll2zWDp9r6GdQIqFCeFyH3v5z2"),
        (
            "pässword 1",
            "{SHA512-CRYPT}$6$ow.14CeCEjhezCue$R9RooTb9b1aP/qzJDSksNY8eAWyc4AAbKAOXn57Usruzy03YhRRcEkTnmzFDqO7TEWV7UGx6OYYmQlkQ93ybz/",
        ),
        ("pässword 1", "{PBKDF2}$1$eVDwbfl29Fahr2R3$5000$0784fc96d6e70cdc666a208f43393f28d067538b"),
        (
            "Hello world!",
            "{SHA512-CRYPT}$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.",
        ),
        ("open sesame", "{plain}open sesame"),
    ];

    #[test]
    fn vectors_of_others() {
        for (password, field) in VECTORS {
            let hash = Hash::parse(field).unwrap_or_else(|e| panic!("{field}: {e}"));
            assert!(hash.verify(password.as_bytes()), "{field}");
            assert!(!hash.verify(format!("{password} ").as_bytes()), "{field}");
            assert!(!hash.verify(b""), "{field}");
            assert!(!format!("{hash:?}").contains(&hash.text), "Debug shows no hash");
        }
    }

    #[test]
    fn own_hashes_verify() {
        for scheme in Scheme::ALL {
            let password = if scheme == Scheme::ScramSha256 { "grau 7" } else { "grün 7" };
            let hash = Hash::make(scheme, password.as_bytes()).unwrap();
            let again = Hash::parse(&hash.field()).unwrap();
            assert!(again.verify(password.as_bytes()) && !again.verify(b"grun 7"), "{scheme:?}");
            assert!(scheme == Scheme::Plain || Hash::make(scheme, password.as_bytes()).unwrap() != hash, "fresh salt");
        }
    }

    #[test]
    fn bad_hashes() {
        for (field, why) in [
            ("secret", "has no scheme"),
            ("{SSHA}x", "unknown password scheme {SSHA}"),
            ("{PLAIN}", "let anybody in"),
            ("{PLAIN}a\0", "cannot stand in this file"),
            (
                "{ARGON2ID}$argon2i$v=19$m=65536,t=3,p=1$vBb99oJ12p3WAdYlaMHz1A$jtFOtbo/sYV9OSlTxDo",
                "expected $argon2id$",
            ),
            (
                "{ARGON2ID}$argon2id$v=19$m=4294967295,t=3,p=1$vBb99oJ12p3WAdYlaMHz1A$jtFOtbo/sYV9OSlTxDo/nVNq3uArHd5GJSEx0ty85Cc",
                "",
            ),
            (
                "{ARGON2ID}$argon2id$v=19$m=65536,t=900,p=1$vBb99oJ12p3WAdYlaMHz1A$jtFOtbo/sYV9OSlTxDo/nVNq3uArHd5GJSEx0ty85Cc",
                "passes (t) 900",
            ),
            ("{BLF-CRYPT}$2y$31$11ipvo5dR6CwkzwmhwM26OXgzXwhV2PyPuLV.Qi31ILcRcThQpEiW", "cost 31 is over 16"),
            ("{BLF-CRYPT}x", "expected $2y$"),
            ("{SHA512-CRYPT}$5$a$b", "expected $6$"),
            ("{SHA512-CRYPT}$6$rounds=999999999$a$b", "rounds 999999999"),
            ("{SHA512-CRYPT}$6$salt$short", "expected $6$"),
            ("{PBKDF2}$1$salt$0$50a83cafdc517b9f46519415e53c6a858908680a", "expected $1$"),
            ("{PBKDF2}$1$salt$5000$50a8", "40 hexadecimal digits"),
            ("{SCRAM-SHA-256}4096,QQ==,QQ==,QQ==", "expected rounds,salt"),
            ("{SCRAM-SHA-256}0,QQ==", "expected rounds,salt"),
            (
                "{SCRAM-SHA-256}9999999,QQ==,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
                "rounds 9999999",
            ),
        ] {
            let error = Hash::parse(field).expect_err(field);
            assert!(error.contains(why), "{field}: {error}");
        }
    }
}
