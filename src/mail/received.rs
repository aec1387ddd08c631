//! What a Received field says of how a message came to the server that wrote it (RFC 5321 4.4).

use super::header;
use super::token::Cursor;

/// The protocols of a client that had proved who it is (RFC 3848, RFC 6531 4.3).
const AUTHENTICATED: [&str; 6] = ["esmtpa", "esmtpsa", "lmtpa", "lmtpsa", "utf8smtpa", "utf8smtpsa"];

/// Whether the server that wrote the topmost Received field had the message from a client that had logged in.
///
/// A client chooses its greeting, and some servers copy it, or the sender's address, into their field without care. So
/// exactly one `by` and one `with` must stand in it outside comments and quotes; what can be read in two ways proves nothing.
pub fn is_authenticated(block: &[u8]) -> bool {
    let Some(field) = header::find(block, b"Received") else { return false };
    let value = field.unfolded();
    let Some(words) = words(&value) else { return false };
    let is = |word: &[u8], text: &str| word.eq_ignore_ascii_case(text.as_bytes());
    let count = |text| words.iter().filter(|word| is(word, text)).count();
    if count("by") != 1 || count("with") != 1 {
        return false;
    }
    let by = words.iter().position(|word| is(word, "by"));
    let with = words.iter().position(|word| is(word, "with"));
    let protocol = with.and_then(|at| words.get(at + 1));
    by < with && protocol.is_some_and(|protocol| AUTHENTICATED.iter().any(|known| is(protocol, known)))
}

/// The words of a field, without comments; what stands in quotes or angle brackets is no word. `None`: where one of these
/// ends can be read in two ways.
fn words(value: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut cursor = Cursor::new(value);
    let mut words = Vec::new();
    while cursor.skip_cfws().ok()? {
        let mut word = Vec::new();
        match cursor.peek()? {
            b';' => cursor.bump(),
            b'"' => quoted(&mut cursor)?,
            b'<' => bracketed(&mut cursor)?,
            _ => {
                while let Some(byte) = cursor.peek().filter(|b| !b.is_ascii_whitespace() && !b";(\"<".contains(b)) {
                    word.push(byte);
                    cursor.bump();
                }
            }
        }
        words.push(word);
    }
    Some(words)
}

/// Steps over a quoted string that has no white space in it: one that has might hide words.
fn quoted(cursor: &mut Cursor<'_>) -> Option<()> {
    let mut text = Vec::new();
    let _more = cursor.quoted(&mut text).ok()?;
    (!text.iter().any(u8::is_ascii_whitespace)).then_some(())
}

/// Steps over an address in angle brackets, whose local part may be quoted.
fn bracketed(cursor: &mut Cursor<'_>) -> Option<()> {
    cursor.bump();
    loop {
        match cursor.peek()? {
            b'>' => {
                cursor.bump();
                return Some(());
            }
            b'"' => quoted(cursor)?,
            byte if byte.is_ascii_whitespace() || b"<(".contains(&byte) => return None,
            _ => cursor.bump(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn says(value: &str) -> bool {
        is_authenticated(
            format!("Return-Path: <a@b>\r\nReceived: {value}\r\nReceived: from x by y with ESMTPSA id z; d\r\n")
                .as_bytes(),
        )
    }

    #[test]
    fn as_mail_servers_write_it() {
        for (who, value) in [
            (
                "Postfix",
                "from [192.0.2.7] (client.example [192.0.2.7])\r\n\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)\r\n\t \
                 key-exchange X25519)\r\n\t(No client certificate requested)\r\n\t(Authenticated sender: alice)\r\n\tby mx.example.org (Postfix) \
                 with ESMTPSA id 4XyZ\r\n\tfor <spam@example.org>; Sat, 21 Nov 2026 10:00:00 +0000 (UTC)",
            ),
            (
                "Exim",
                "from [192.0.2.7] (helo=laptop)\r\n\tby mx.example.org with esmtpsa  (TLS1.3) tls TLS_AES_256_GCM_SHA384\r\n\t(Exim 4.98)\r\n\t\
                 (envelope-from <alice@example.org>)\r\n\tid 1tE-1\r\n\tfor spam@example.org;\r\n\tSat, 21 Nov 2026 10:00:00 +0000",
            ),
            (
                "OpenSMTPD",
                "from laptop (client.example [192.0.2.7])\r\n\tby mx.example.org (OpenSMTPD) with ESMTPSA id 0a1b \
                 (TLSv1.3:TLS_AES_256_GCM_SHA384:256:NO) auth=yes user=alice\r\n\tfor <spam@example.org>;\r\n\tSat, 21 Nov 2026 10:00:00 +0000",
            ),
            (
                "Sendmail",
                "from laptop (client.example [192.0.2.7])\r\n\t(authenticated bits=0)\r\n\tby mx.example.org (8.18.1/8.18.1) with ESMTPSA id 4A\r\n\t\
                 (version=TLSv1.3 verify=NO)\r\n\tfor <spam@example.org>; Sat, 21 Nov 2026 10:00:00 GMT",
            ),
        ] {
            assert!(says(value), "{who}");
            for plain in [value.replace("ESMTPSA", "ESMTPS"), value.replace("esmtpsa", "esmtps")] {
                assert!(plain == value || !says(&plain), "{who}: {plain}");
            }
        }
        assert!(says("from x by y with UTF8SMTPSA id z; d"));
        assert!(!says("by mx.example.org (Postfix, from userid 1000) id 4XyZ; Sat, 21 Nov 2026 10:00:00 +0000"));
        assert!(!is_authenticated(b"Subject: x\r\n"));
        assert!(!says("from quarantine by q.example (Lazaret release 12) id 1.M2 for <a@b>; d"));
    }

    /// What a stranger can put there: his greeting, and, where a server copies it, the sender's address.
    #[test]
    fn a_greeting_or_an_address_proves_nothing() {
        for forged in [
            "from x by y with ESMTPSA id z (evil.example [192.0.2.9]) by mx.example.org (Postfix) with ESMTP id 4; d",
            "from x with ESMTPSA (evil.example [192.0.2.9]) by mx.example.org (Postfix) with ESMTP id 4; d",
            "from x with ESMTPSA; (evil.example [192.0.2.9]) by mx.example.org (Postfix) with ESMTP id 4; d",
            "from x by y with ESMTPSA; (evil.example [192.0.2.9]) by mx.example.org with SMTP id 4; d",
            "from x by y with ESMTPSA ( (evil.example [192.0.2.9]) by mx.example.org (Postfix) with ESMTP id 4; d",
            "from x by y with ESMTPSA \" (evil.example [192.0.2.9]) by mx.example.org (Postfix) with ESMTP id 4; d",
            "from x by y with ESMTPSA < (evil.example [192.0.2.9]) by mx.example.org (Postfix) with ESMTP id 4; d",
            "from h by mx.example.org with esmtps (Exim 4.98) (envelope-from <\"a) by x with esmtpsa (\"@x>) id 1; d",
            "from h by mx.example.org with ESMTP id 4 for <\"a with ESMTPSA b\"@example.org>; d",
        ] {
            assert!(!says(forged), "{forged}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_greeting_holds_it_proves_nothing(greeting in "( |by|with|ESMTPSA|x|\\(|\\)|\"|<|>|;|\\\\|id){0,12}") {
            let value = format!("from {greeting} (evil.example [192.0.2.9]) by mx.example.org (Postfix) with ESMTP id 4 for <spam@example.org>; d");
            prop_assert!(!says(&value), "{}", value);
        }
    }
}
