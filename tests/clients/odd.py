#!/usr/bin/python3
"""Hostile mail through the real door: it is stored, listed and fetched, and the server stays well.

The files of tests/mail/odd, and what is too large to store: 10,000 parts, depth 1,000, a header line of 1 MB, 50 MB.
"""
import os
import time

from lazaret import ROOT, Checks, arrived, body, demo, ok, wait_for

check = Checks()
ODD = os.path.join(ROOT, "tests/mail/odd")


def parts(count):
    part = b"--x\r\nContent-Type: text/plain\r\n\r\npart\r\n"
    return b'Subject: odd parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="x"\r\n\r\n' + part * count + b"--x--\r\n"


def deep(depth):
    head = b"Subject: odd depth\r\nMIME-Version: 1.0\r\n"
    inner = b"Content-Type: text/plain\r\n\r\nthe bottom\r\n"
    for level in range(depth):
        mark = b"b%d" % level
        inner = b'Content-Type: multipart/mixed; boundary="%s"\r\n\r\n--%s\r\n%s\r\n--%s--\r\n' % (mark, mark, inner, mark)
    return head + inner


def forwards(depth):
    return b"Subject: odd forwards\r\n" + b"Content-Type: message/rfc822\r\n\r\n" * depth + b"the bottom\r\n"


def long_line(size):
    return b"Subject: odd line\r\nX-Long: " + b"x" * size + b"\r\n\r\nbody\r\n"


def long_subject(size):
    return b"Subject: odd subject " + b"=?utf-8?Q?=C3=A4?= " * (size // 19) + b"\r\n\r\nbody\r\n"


def many_fields(count):
    return b"Subject: odd fields\r\n" + b"".join(b"X-%d: y\r\n" % i for i in range(count)) + b"\r\nbody\r\n"


def many_addresses(count):
    return b"Subject: odd addresses\r\nTo: " + b",\r\n ".join(b"a%d@b%d.example" % (i, i) for i in range(count)) + b"\r\n\r\nbody\r\n"


def large(size):
    line = b"0123456789abcdef" * 4 + b"\r\n"
    return b"Subject: odd size\r\n\r\n" + line * (size // len(line))


MADE = {
    "10,000 parts": parts(10_000),
    "100,000 parts": parts(100_000),
    "depth 1,000": deep(1_000),
    "10,000 forwards": forwards(10_000),
    "a header line of 1 MB": long_line(1 << 20),
    "a subject of 1 MB": long_subject(1 << 20),
    "100,000 header fields": many_fields(100_000),
    "10,000 addresses": many_addresses(10_000),
    "50 MB": large(50 << 20),
}


def all_mail():
    for name in sorted(os.listdir(ODD)):
        with open(os.path.join(ODD, name), "rb") as file:
            yield name, file.read()
    yield from MADE.items()


def imap_form(message):
    """NUL is sent as 0x80 outside BINARY: CHAR8 has no NUL (RFC 3501 section 9)."""
    return message.replace(b"\0", b"\x80")


with demo("--empty") as server:
    imap = server.imap(server.account("global"))
    for name, message in all_mail():
        with check.part(name):
            began = time.monotonic()
            server.lmtp("odd@odd.test", ["alice@example.org"], message)
            count = int(ok(imap.select("Caught"))[0])
            uid = ok(imap.uid("SEARCH", "ALL"))[0].split()[-1]
            got = body(imap, uid)
            check(f"{name}: read back to the byte", got.endswith(imap_form(message)), f"{len(got)} bytes for {len(message)}")
            data = ok(imap.uid("FETCH", uid, "(RFC822.SIZE ENVELOPE BODYSTRUCTURE)"))
            check(f"{name}: ENVELOPE and BODYSTRUCTURE answer", data and data[0])
            ok(imap.uid("SEARCH", "SUBJECT", "odd"))
            ok(imap.uid("SEARCH", "BODY", "bottom"))
            took = time.monotonic() - began
            check(f"{name}: within ten seconds", took < 10, f"{took:.1f} s")
            check(f"{name}: it is message {count}", count >= 1)
            if len(message) < 1 << 20:
                ok(imap.uid("MOVE", uid, "Release"))
                check(f"{name}: released with its bytes", wait_for(lambda m=message: arrived(server.delivered(), m) >= 1))
    with check.part("memory"):
        with open(f"/proc/{server.process.pid}/status") as status:
            peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
        check("the server never used more than 400 MB", peak < 400_000, f"{peak} KB")
    imap.logout()
check.finish()
