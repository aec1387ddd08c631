#!/usr/bin/env python3
"""seeds.py TARGET FOLDER DICTIONARY: writes a fuzz target's seeds, made of the dialogs and the mail of the tests, and its
dictionary: the words that stand in the source which the target reaches."""

import glob
import os
import re
import sys

WORDS = {
    "imap": ["src/imap/*.rs", "src/imap/session/*.rs", "src/mail/kinds.rs", "src/base/flags.rs"],
    "lmtp": ["src/lmtp/*.rs"],
    "milter": ["src/milter/*.rs"],
    "mime": ["src/mail/mime/*.rs", "src/mail/*.rs", "src/imap/envelope.rs", "src/imap/structure.rs"],
    "page": ["src/page/sanitise/*.rs", "src/page/target.rs"],
    "trace": ["src/mail/trace.rs", "src/mail/name.rs", "src/mail/header.rs", "src/base/path.rs"],
    "verdict": ["src/verdict/*.rs"],
}
MORE = {
    "imap": [b"{3}\r\n", b"{3+}\r\n", b"1:*", b"*:1", b"11,13", b"\\Seen", b"\\Deleted", b"$Junk", b"(", b")", b'"', b"[1.2.MIME]",
             b"BODY.PEEK[", b"]<0.10>", b".NOT (", b"2-Jan-2006", b'" 2-Jan-2006 15:04:05 +0100"', b"x UID ", b"\r\nx ",
             b"Caught", b"Trash", b"Release", b"\"Release & Train\"", b"INBOX", b"&-", b"%", b"DONE\r\n", b"BAD", b"AGFsaWNlAHNlY3JldA==",
             b"\xfd1", b"\xfd2", b"\xfdd", b"\xfda", b"\xfdb", b"\xfds", b"\xfdm", b"(FLAGS)", b".SILENT"],
    "lmtp": [b"\r\n.\r\n", b"\r\n", b"<>", b"<a@b>", b"FROM:<", b"TO:<", b"NOTIFY=SUCCESS,FAILURE", b"ORCPT=rfc822;a@b", b"ENVID=",
             b"\"a b\"@c", b"[IPv6:::1]", b"+3D"],
    "milter": [b"\0\0\0\x01E", b"\0\0\0\x01A", b"\0\0\0\x01N", b"\0\0\0\x07M<a@b>\0", b"\0\0\0\x07R<c@d>\0", b"\0\0\0\x06LX\0 y\0",
               b"\0\0\0\x03Bxx", b"\0i\0", b"\0{auth_authen}\0", b"\0\x1f\xff\xff", b"4\0\x19192.0.2.1\0", b"IPv6:"],
    "mime": [b"--b\r\n", b"--b--\r\n", b"boundary=b", b"\r\n\r\n", b"\r\n ", b"=?utf-8?q?", b"=?utf-8?b?", b"?=", b"name*0*=",
             b"filename*=utf-8''", b"multipart/digest", b"multipart/mixed", b"message/rfc822", b"group: a@b;", b"<a@b>", b"\"a\\\"\" <a@b>",
             b"Mon, 2 Jan 2006 15:04:05 +0000", b"quoted-printable", b"charset="],
    "page": [b"<", b">", b"</", b"<!--", b"-->", b"<a href=", b"<img src=", b"&#x", b"https://a@b/", b"javascript:", b"(1.5)[", b"../"],
    "trace": [b"\r\n", b"\r\n ", b"X-Lazaret-", b"%2E", b",S=", b",U=", b":2,", b"Return-Path: ", b"Delivered-To: ", b"Received: "],
    "verdict": [b'{"', b'":"', b'":{"', b'":[', b"},", b"SPAMD/1.1 0 EX_OK\r\n", b"Spam: True ; ", b" / ", b"---- ----\n", b"\r\n\t* ",
                b"score=", b"tests=[", b"(1.50)[", b"];\r\n\t", b"default: True ["],
}
# Where a session stands (bits 2 and 3), a mailbox with odd messages (bit 5); see targets/imap.rs.
LOGGED_IN, SELECTED, EXAMINED, WHOLE, MANY, STARTTLS = 4, 8, 12, 16, 32, 64
ESCAPE = re.compile(r"\\(\*(\d+)(.)|x(..)|.)")


def unescape(text):
    plain = {"r": "\r", "n": "\n", "t": "\t", "0": "\0"}

    def one(found):
        if found[2]:
            return found[3] * min(int(found[2]), 300)
        return chr(int(found[4], 16)) if found[4] else plain.get(found[1], found[1])

    return ESCAPE.sub(one, text).encode("latin-1", "replace")


def dialogs(target):
    for path in sorted(glob.glob(f"tests/dialog/{target}/*.txt")):
        with open(path, encoding="utf-8") as file:
            yield from file.read().split("\n---\n")


def imap_dialog(part):
    start, sent, who = 0, b"", "1"
    for line in part.split("\n"):
        found = re.match(r"([CR])(\d?): ?(.*)", line)
        if found:
            if (found[2] or "1") != who:
                who = found[2] or "1"
                sent += b"\xfd" + who.encode()
            sent += found[3].encode() + b"\r\n" if found[1] == "C" else unescape(found[3])
        elif line == "login":
            start = LOGGED_IN
        elif line.startswith("open"):
            sent += b'o SELECT "' + line.split(" ", 1)[1].encode() + b'"\r\n'
        elif line.startswith("given tls offered"):
            start |= STARTTLS
        elif line.startswith("deliver"):
            sent += b"\xfdd"
        elif line.startswith("remove Caught"):
            sent += b"\xfd" + bytes([ord("a") + max(int(line.split()[2]) - 11, 0) % 26])
        elif line.startswith("full"):
            sent += b"\xfdf"
        elif line.startswith("+"):
            sent += b"\xfdm" if line.endswith("m") else b"\xfds"
    return start, sent


def words(target):
    found = set()
    for pattern in WORDS[target]:
        for path in glob.glob(pattern):
            with open(path, encoding="utf-8") as file:
                source = file.read().split("#[cfg(test)]")[0]
            source = re.sub(r"^\s*//.*$", "", source, flags=re.M)
            found |= {word.encode() for word in re.findall(r'"((?:UID )?[A-Za-z$][A-Za-z0-9.\-=/]{1,23} ?)"', source)}
    return sorted(found | set(MORE[target]))


def seeds(target):
    if target == "imap":
        for start, sent in map(imap_dialog, dialogs(target)):
            yield bytes([start]) + sent
            yield bytes([start | WHOLE | MANY | 1]) + sent
        keys = [w for w in words(target) if re.fullmatch(rb"[A-Z0-9.-]+", w)]
        yield bytes([SELECTED | MANY | 2]) + b"".join(b"k FETCH 1:* (%s)\r\n" % key for key in keys[:10])
        for key in (b"ALL", b"BODY", b"BODYSTRUCTURE ENVELOPE", b"BODY[1.2.HEADER]<3.9>", b"BODY.PEEK[HEADER.FIELDS (To Date)]", b"BODY[TEXT]"):
            yield bytes([SELECTED | MANY | WHOLE]) + b"A001 FETCH 1:* (%s)\r\n" % key
            yield bytes([EXAMINED | MANY]) + b"A002 UID FETCH 11:* (%s)\r\n" % key
        for key in (b"TEXT a", b"BODY e", b"OR FROM a NOT TO b", b"SENTBEFORE 2-Jan-2006", b"HEADER Subject x", b"LARGER 300 SUBJECT \"\""):
            yield bytes([SELECTED | MANY | WHOLE]) + b"A003 SEARCH %s\r\n" % key
            yield bytes([SELECTED | MANY | 2]) + b"A004 UID SEARCH RETURN (MIN ALL) CHARSET UTF-8 %s\r\n" % key
    elif target == "lmtp":
        for part in dialogs(target):
            sent = b""
            for line in part.split("\n"):
                found = re.match(r"([CR]): ?(.*)", line)
                if found:
                    sent += found[2].encode() + b"\r\n" if found[1] == "C" else unescape(found[2])
            yield b"\x1f\xff" + sent
            yield b"\x20\x50" + sent
        yield b"\x00\xff" + b"".join(line + b"\r\n" for line in (
            b"LHLO mail.example.org", b"MAIL FROM:<bob@example.net> SIZE=30", b"RCPT TO:<alice@example.org>",
            b"RCPT TO:<carol+tag@example.org> NOTIFY=NEVER", b"DATA", b"Subject: x", b"", b"..", b".", b"QUIT"))
        # The shortest that has all: few bytes to change, so that a change more often hits a value.
        yield b"\x00\xffLHLO a\r\nMAIL FROM:<someone@example.net>\r\nRCPT TO:<c@d>\r\nDATA\r\n.\r\n"
    elif target == "milter":
        def packet(content):
            return len(content).to_bytes(4, "big") + content

        for part in dialogs(target):
            sent = b""
            for line in part.split("\n"):
                found = re.match(r"([CRO]): ?(.*)", line)
                if found and found[1] == "O":
                    sent += packet(b"O" + b"".join(int(n, 16).to_bytes(4, "big") for n in found[2].split()))
                elif found:
                    sent += packet(unescape(found[2])) if found[1] == "C" else unescape(found[2])
            yield b"\x1f\xff" + sent
            yield b"\x20\x11" + sent
        # As above.
        yield b"\x00\xff" + b"".join(map(packet, (b"M<someone@example.net>\0", b"R<c@d>\0", b"LA\0b\0", b"Bx", b"E")))
    elif target == "page":
        with open("tests/xss/html.txt", "rb") as file:
            yield from (section.split(b"\n", 1)[1] for section in file.read().split(b"\n=== ")[1:])
        yield b"R_SPF_FAIL(1.50)[-all]\n* -0.1 DKIM_VALID x\nBAYES_99=3.5\nGTUBE\n"
    elif target == "verdict":
        for path in sorted(glob.glob("tests/verdict/*")):
            with open(path, "rb") as file:
                kind = {".json": b"\x00", ".txt": b"\x01", ".eml": b"\x03"}[os.path.splitext(path)[1]]
                yield kind + file.read()[:4000]
        yield b'\x02{"action":"reject","qid":"A","rcpt":["a@b"],"from":"unknown","score":1.5,"symbols":[{"name":"C","score":1,"options":["d"]}],' \
            b'"message":"U3ViamVjdDogeA0KDQo=","header_to":["e"],"size":7}'
        yield b'\x00{"action":"rewrite subject","subject":"x","symbols":{"A":{"score":1.5,"options":["b"],"description":"c"}},' \
            b'"messages":{"smtp_message":"d"},"dkim-signature":["e"],"milter":{"remove_headers":{"F":0,"G":[1,-2]},' \
            b'"add_headers":{"H":"i","J":[{"value":"k","order":-3}]},"spam_header":{"L":"m"},"no_action":false,"reject":"n"}}'
        yield b"\x03X-Envelope-From: <a@b>\r\nX-Quarantine-ID: <c>\r\nX-Amavis-Alert: BANNED, d\r\nX-Spam-Flag: YES\r\nX-Spam-Score: 5.1\r\n" \
            b"X-Spam-Status: Yes, score=5.1..6 tag2=5\r\n\ttests=[E=1.5, F=2] autolearn=no\r\nX-Spam-Report: \r\n\t* 1.5 E words\r\n\t*  more\r\n" \
            b"X-Spamd-Result: default: True [7.50 / 5.00];\r\n\tG(1.50)[h, i];\r\n\tJ(0.00)[]\r\nX-Virus-Status: Infected (k)\r\n\r\n"
    else:
        mail = []
        for path in sorted(glob.glob("tests/mail/*/*.eml")):
            with open(path, "rb") as file:
                mail.append(file.read(4096))
        if target == "mime":
            for message in mail:
                yield b"\x20" + message
                yield b"\x07" + message.replace(b"\r\n", b"\n")
            return
        yield from (message[:1000] for message in mail)
        yield b"1763000000.M1P2Q3.host,S=100,W=104,U=7,T=300,C=is,E=1763000000,L=3:2,FS"
        yield from (b"%2E%2E", b"a%20b", b'"a b"@example.org', b"a@[127.0.0.1]")
        names = "Id Arrived Sender From Recipient To Class Kind Door Client-Address Client-Name Client-Helo Queue-Id User Score Reason Cut-From Moved"
        yield "".join(f"X-Lazaret-{name}: alice@example.org\r\n" for name in names.split()).encode()


def main():
    target, folder, dictionary = sys.argv[1:]
    for number, seed in enumerate(dict.fromkeys(seeds(target))):
        with open(os.path.join(folder, f"{number:04}"), "wb") as file:
            file.write(seed)
    with open(dictionary, "w", encoding="ascii") as file:
        for word in words(target):
            file.write('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n')


main()
