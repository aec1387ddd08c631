#!/usr/bin/python3
"""Lists of senders at the milter door, behind a real Postfix, with rspamd and SpamAssassin as they are: whom a recipient allows
passes when SPF or DKIM proves it and else not, whom he blocks is refused and kept, recipients who disagree are told apart. Needs
root. DNS is rspamd's own table of answers."""
import glob
import os
import re
import shutil
import smtplib
import subprocess
import sys
import tempfile

import postfix
from filters import Rspamd, Spamd, listens, mail
from lazaret import BINARY, Checks, Server, free_port, need, wait_for
from servers import MailServer

need("rspamd", "spamd", "openssl")
sys.path.append("/usr/lib/python3/dist-packages")
try:
    import dkim
except ImportError:
    need("python3-dkim")
ROOT = postfix.need()
check = Checks()
home = tempfile.mkdtemp(prefix="milterlists-")
DATA = f"{home}/data"
ALICE, BOB = "alice@example.org", "bob@example.org"
PORTS = {name: free_port() for name in ("rspamd", "spamd", "headers")}
DOORS = {name: free_port() for name in PORTS}
GOOD, EVIL = "198.51.100.7", "198.51.100.66"


def key():
    """A key pair for signatures; the record for the DNS."""
    subprocess.run(["openssl", "genrsa", "-traditional", "-out", f"{home}/key", "2048"], check=True, stderr=subprocess.DEVNULL)
    public = subprocess.run(["openssl", "rsa", "-in", f"{home}/key", "-pubout"], check=True, capture_output=True, text=True).stdout
    return "v=DKIM1; k=rsa; p=" + "".join(line for line in public.splitlines() if "-" not in line)


def signed(message, domain):
    with open(f"{home}/key", "rb") as file:
        return dkim.sign(message, b"s", domain.encode(), file.read(), include_headers=[b"From", b"Subject"]) + message


def letter(subject, mark, author):
    """Spam for the filters when its subject says so."""
    return re.sub(rb"From: [^\r\n]*", f"From: Somebody <{author}>".encode(), mail(subject, mark=mark), count=1)


def send(door, message, recipients=(ALICE,), sender="bounce@mailer.example", address=GOOD):
    """The answer to each recipient, 452 for those that are to come by themselves, and to the message."""
    with smtplib.SMTP("127.0.0.1", DOORS[door], timeout=120) as smtp:
        smtp.ehlo("client.example")
        if smtp.docmd("XCLIENT", f"ADDR={address} NAME=client.example")[0] != 220:
            raise RuntimeError("Postfix does not take XCLIENT")
        smtp.ehlo("client.example")
        smtp.mail(sender)
        told = [smtp.docmd("RCPT", f"TO:<{recipient}>")[0] for recipient in recipients]
        smtp.docmd("DATA")
        smtp.send(re.sub(rb"(^|\r\n)\.", rb"\1..", message) + b".\r\n")
        return told, smtp.getreply()


def kept(mark, recipient=ALICE):
    local, domain = recipient.split("@")
    found = []
    for path in glob.glob(f"{DATA}/mail/{domain}/{local}/Caught/*/*,S=*"):
        with open(path, "rb") as file:
            found.append(file.read())
    return [message for message in found if mark.encode() + b"@" in message]


def arrived(mark):
    return [message for message in sink.messages() if mark.encode() + b"@" in message]


def lists(*words):
    subprocess.run([BINARY, "-c", f"{home}/lazaret.toml", *words], check=True, stdout=subprocess.DEVNULL)


def configure(rspamd, spamd):
    doors = {
        "rspamd": f'filter = "rspamd"\nfilter_address = "127.0.0.1:{rspamd}"',
        "spamd": f'filter = "spamassassin"\nfilter_address = "127.0.0.1:{spamd}"',
        "headers": 'filter = "headers"\nverdict = ["spamassassin"]\nauthenticated_by = ["mx.example.org"]',
    }
    milter = "".join(f'[[milter]]\nlisten = "127.0.0.1:{PORTS[name]}"\n{lines}\n' for name, lines in doors.items())
    with open(f"{home}/users", "w"):
        pass
    with open(f"{home}/lazaret.toml", "w") as file:
        file.write(
            f'data = "{DATA}"\nusers = "users"\nhost_name = "mx.example.org"\nlmtp = []\n{milter}[imap]\ntls = []\nstarttls = []\n'
            '[page]\ntls = []\n[domains."example.org"]\n'
        )


def allowed():
    with check.part("whom a recipient allows"):
        lists("allow", "--for", ALICE, "friend@far.com")
        _, answer = send("rspamd", letter("reject-me", "spf", "friend@far.com"), sender="bounce@far.com")
        check("passes when SPF proves it", answer[0] == 250 and wait_for(lambda: arrived("spf")), answer)
        _, answer = send("rspamd", signed(letter("reject-me", "dkim", "friend@far.com"), "far.com"))
        check("passes when DKIM proves it", answer[0] == 250 and wait_for(lambda: arrived("dkim")), answer)
        _, answer = send("rspamd", signed(letter("mark-me", "marked", "friend@far.com"), "far.com"))
        there = wait_for(lambda: arrived("marked"))
        check("passes without the mark of spam", answer[0] == 250 and there and not re.search(rb"(?mi)^X-Spam:", there[0]), there)
        check("none of it is kept", not kept("spf") and not kept("dkim") and not kept("marked"))
        for mark, message, more in (
            ("bare", letter("reject-me", "bare", "friend@far.com"), {}),
            ("softer", letter("reject-me", "softer", "friend@far.com"), {"sender": "bounce@far.com", "address": EVIL}),
            ("other", signed(letter("reject-me", "other", "friend@far.com"), "other.com"), {}),
            ("broken", signed(letter("reject-me", "broken", "friend@far.com"), "far.com").replace(b"Subject: reject-me", b"Subject: reject-me now"), {}),
            ("forged", b"Authentication-Results: mx.example.org; dkim=pass header.d=far.com\r\n" + letter("reject-me", "forged", "friend@far.com"), {}),
            ("foe", signed(letter("reject-me", "foe", "foe@far.com"), "far.com"), {}),
        ):
            _, answer = send("rspamd", message, **more)
            check(f"{mark}: is refused and kept without proof", answer[0] == 550 and len(kept(mark)) == 1, answer)
        _, answer = send("rspamd", signed(letter("virus-me", "virus", "friend@far.com"), "far.com"))
        check("a virus is refused and kept all the same", answer[0] == 550 and len(kept("virus")) == 1, answer)
        trace = kept("virus")[0].decode()
        check("the trace says what the sender was told", "X-Lazaret-Told: refused: 550 5.7.1 message refused as virus and kept\r\n" in trace, trace[:2000])
        _, answer = send("rspamd", signed(letter("reject-me", "bobs", "friend@far.com"), "far.com"), [BOB])
        check("another recipient has his own list", answer[0] == 550 and len(kept("bobs", BOB)) == 1, answer)


def blocked():
    with check.part("whom a recipient blocks"):
        lists("block", "--for", ALICE, "bores.com")
        for door in DOORS:
            mark = f"bore-{door}"
            _, answer = send(door, letter("hello", mark, "any@news.bores.com"))
            check(f"{door}: is refused and kept", answer[0] == 550 and len(kept(mark)) == 1, answer)
            trace = kept(mark)[0].decode() if kept(mark) else ""
            check(f"{door}: the trace says why", "X-Lazaret-Reason: LAZARET_BLOCKED[its recipients block this sender]\r\n" in trace, trace[:2000])
            _, answer = send(door, letter("hello", f"{mark}-bob", "any@news.bores.com"), [BOB])
            check(f"{door}: passes to another", answer[0] == 250 and wait_for(lambda: arrived(f"{mark}-bob")), answer)


def apart():
    with check.part("recipients who disagree"):
        told, answer = send("rspamd", letter("hello", "apart", "any@bores.com"), [BOB, ALICE], sender="any@bores.com")
        check("are told apart by the envelope's sender", told == [250, 452] and answer[0] == 250, (told, answer))
        told, answer = send("rspamd", letter("hello", "apart2", "any@bores.com"), [ALICE], sender="any@bores.com")
        check("the other way for the other", told == [250] and answer[0] == 550 and len(kept("apart2")) == 1, (told, answer))
        told, answer = send("rspamd", letter("hello", "unforeseen", "any@bores.com"), [BOB, ALICE])
        check("where it cannot be foreseen the filter decides", told == [250, 250] and answer[0] == 250 and wait_for(lambda: arrived("unforeseen")), (told, answer))


def other_filters():
    with check.part("with SpamAssassin, and with fields"):
        spam = letter("reject-me", "sa", "friend@far.com")
        _, answer = send("spamd", b"Authentication-Results: mx.example.org; dkim=pass header.d=far.com\r\n" + spam)
        check("a field of a server that the door does not name proves nothing", answer[0] == 550 and len(kept("sa")) == 1, answer)
        status = b"X-Spam-Status: Yes, score=9.1 required=5.0 tests=DKIM_VALID_AU\r\n"
        proof = b"Authentication-Results: mx.example.org; dkim=pass header.d=far.com\r\n"
        _, answer = send("headers", proof + status + letter("x", "field", "friend@far.com"))
        check("one of a server that it names, in front, does", answer[0] == 250 and wait_for(lambda: arrived("field")), answer)
        for mark, top in (("bare2", b""), ("below", b"Received: from x by y; z\r\n" + proof), ("under", proof.replace(b"pass", b"fail") + proof)):
            _, answer = send("headers", status + top + letter("x", mark, "friend@far.com"))
            check(f"{mark}: and nothing else", answer[0] == 550 and len(kept(mark)) == 1, answer)


sink = MailServer()
record = key()
records = {"s._domainkey.far.com": record, "s._domainkey.other.com": record, "far.com": f"v=spf1 ip4:{GOOD} -all"}
answers = "".join(f'{{ name = "{name}"; type = txt; replies = ["{text}"]; }},\n' for name, text in records.items())
local = {
    "options.inc": f'dns {{ nameserver = "127.0.0.1:1"; timeout = 0.1s; retransmits = 1; fake_records = [ {answers} ]; }}\n'
    'local_addrs = [];\nfilters = "regexp,dkim";\n',
    "spf.conf": "", "dkim.conf": "",
}
with Rspamd(local) as rspamd, Spamd() as spamd:
    services = "".join(
        f"127.0.0.1:{DOORS[name]} inet n - n - - smtpd\n  -o {{smtpd_milters = inet:127.0.0.1:{PORTS[name]}}}\n" for name in DOORS
    )
    with postfix.Postfix(ROOT, sink.port, "milter_protocol = 6\n", services) as server:
        configure(rspamd.port, spamd.port)
        with Server("serve", "-c", f"{home}/lazaret.toml", wait_json=False) as running:
            wait_for(lambda: listens(PORTS["headers"]), 60)
            for part in (allowed, blocked, apart, other_filters):
                part()
            if check.failed:
                print(running.logged(), server.logged(), sep="\n")
sink.stop()
shutil.rmtree(home)
check.finish()
