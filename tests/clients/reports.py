#!/usr/bin/python3
"""Reports by mail, both ways. In: what Thunderbird, Outlook and Apple Mail forward as attachments, and feedback reports, come to
report addresses at the LMTP door, over a real Postfix, too, and are trained byte for byte. Out: what is dragged to Spam and Not
Spam goes to a mail address as a feedback report, which Python's email and another Lazaret read.
"""
import base64
import email
import email.generator
import email.policy
import glob
import io
import json
import os
import re
import shutil
import smtplib
import subprocess
import tempfile
from email.mime.base import MIMEBase
from email.mime.message import MIMEMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

import postfix
from lazaret import BINARY, Checks, Server, certificate, expect, find, free_port, marked, ok, read_tree, wait_for
from servers import MailServer, OpenSmtpd

check = Checks()
ALICE = "alice@example.org"
home = tempfile.mkdtemp(prefix="reports-")
LOGGED_IN = b"Received: from laptop (client.example [192.0.2.7])\r\n\tby mx.example.org (Postfix) with ESMTPSA id 4Xy\r\n\tfor <spam@example.org>; Sat, 21 Nov 2026 10:00:00 +0000\r\n"
STRANGER = LOGGED_IN.replace(b"ESMTPSA", b"ESMTPS")


class Lazaret:
    """A quarantine for one domain: an LMTP door, an account, the report addresses spam@ and ham@, and what `more` says."""

    def __init__(self, name, domain, more):
        self.place, self.domain, self.door, self.imap = f"{home}/{name}", domain, free_port(), free_port()
        certificate(f"{self.place}/tls")
        with open(f"{self.place}/lazaret.toml", "w") as file:
            file.write(
                f'data = "data"\nhost_name = "q.{domain}"\n[imap]\ntls = ["127.0.0.1:{self.imap}"]\nstarttls = []\n[page]\ntls = []\n'
                f'[[lmtp]]\nlisten = "127.0.0.1:{self.door}"\nclass = "incoming"\n[domains."{domain}"]\n{more}'
            )
        self.run("user", "add", f"alice@{domain}", input=b"lazaret\n")
        self.server = Server("-c", f"{self.place}/lazaret.toml", "serve", wait_json=False)
        self.server.info = {"imaps": f"localhost:{self.imap}", "ca": f"{self.place}/tls/cert.pem"}

    def run(self, *arguments, **more):
        return subprocess.run([BINARY, "-c", f"{self.place}/lazaret.toml", *arguments], check=True, stdout=subprocess.DEVNULL, **more)

    def __enter__(self):
        self.server.__enter__()
        if not wait_for(self.answers, 30):
            raise RuntimeError(self.server.logged())
        return self

    def __exit__(self, *what):
        self.server.__exit__(*what)

    def answers(self):
        try:
            smtplib.LMTP("127.0.0.1", self.door, timeout=5).close()
            return True
        except OSError:
            return False

    def send(self, sender, recipients, message, forwarded=""):
        """One LMTP transaction; the reply for each recipient."""
        door = smtplib.LMTP("127.0.0.1", self.door, timeout=60)
        try:
            door.ehlo()
            if forwarded:
                expect(250, door.docmd("XFORWARD", forwarded))
            expect(250, door.docmd("MAIL", f"FROM:<{sender}> BODY=8BITMIME"))
            for recipient in recipients:
                expect(250, door.docmd("RCPT", f"TO:<{recipient}>"))
            expect(354, door.docmd("DATA"))
            door.send(re.sub(rb"(^|\r\n)\.", rb"\1..", message) + b".\r\n")
            return [door.getreply() for _ in recipients]
        finally:
            door.close()

    def login(self):
        return self.server.imap({"login": f"alice@{self.domain}", "password": "lazaret"})

    def trained(self, what):
        return read_tree(f"{self.place}/data/trained/{what}")

    def kept(self, local, folder):
        place = f"{self.place}/data/mail/{self.domain}/{local}/{folder}"
        return read_tree(f"{place}/new") + read_tree(f"{place}/cur")

    def caught(self, local):
        return self.kept(local, "Caught")

    def trash(self, local):
        return self.kept(local, "Trash")

    def journal(self):
        events = []
        for name in sorted(glob.glob(f"{self.place}/data/journal/*.jsonl")):
            with open(name) as file:
                events += [json.loads(line) for line in file]
        return events


def flat(message):
    """A mail made with Python's email, in wire form; what is attached keeps its lines."""
    out = io.BytesIO()
    email.generator.BytesGenerator(out, mangle_from_=False, maxheaderlen=0, policy=email.policy.compat32.clone(linesep="\r\n")).flatten(message)
    return out.getvalue()


def attached(original, name=None, disposition="attachment", encoding="8bit"):
    """message/rfc822 with a text in place of the original, which goes in afterwards: no library may repair it."""
    part = MIMEMessage(email.message_from_string("HOLE: " + str(len(HOLES)) + "\n\n"))
    HOLES.append(original)
    part["Content-Transfer-Encoding"] = encoding
    if name:
        part.set_param("name", name)
        part.add_header("Content-Disposition", disposition, filename=name)
    else:
        part.add_header("Content-Disposition", disposition)
    return part


HOLES = []


def filled(message, top=LOGGED_IN):
    return top + re.sub(rb"HOLE: (\d+)\r\n\r\n", lambda hole: HOLES[int(hole[1])], flat(message))


def thunderbird(originals):
    mail = MIMEMultipart("mixed", boundary="------------0cQ4nF8uVw2tR")
    mail["User-Agent"], mail["From"], mail["To"], mail["Subject"] = "Mozilla Thunderbird", ALICE, "spam@example.org", "Fwd: mark"
    mail.attach(MIMEText("\n", "plain", "utf-8"))
    for i, original in enumerate(originals):
        mail.attach(attached(original, f"mark {i}.eml"))
    return mail


def outlook(originals):
    mail = MIMEMultipart("mixed", boundary="_004_AM0PR01MB_")
    mail["From"], mail["To"], mail["Subject"], mail["Content-Language"] = ALICE, "ham@example.org", "FW: mark", "de-DE"
    text = MIMEMultipart("alternative", boundary="_000_AM0PR01MB_")
    text.attach(MIMEText("See attached", "plain", "iso-8859-1"))
    text.attach(MIMEText("<p>See attached</p>", "html", "iso-8859-1"))
    mail.attach(text)
    for original in originals:
        mail.attach(attached(original))
    return mail


def apple(originals):
    mail = MIMEMultipart("mixed", boundary="Apple-Mail=_7C2A1F52-0B5E-4C5F-8D0E-11D5A6C1D9AB")
    mail["From"], mail["To"], mail["X-Mailer"], mail["Mime-Version"] = ALICE, "spam@example.org", "Apple Mail (2.3774)", "1.0"
    mail.attach(MIMEText("\n", "plain", "us-ascii"))
    for original in originals:
        mail.attach(attached(original, "mark.eml"))
        mail.attach(MIMEText("\n\n", "plain", "us-ascii"))
    return mail


def feedback(kind, original):
    mail = MIMEMultipart("report", report_type="feedback-report")
    mail["From"], mail["Subject"] = "fbl@far.example", "mark"
    mail.attach(MIMEText("This is an abuse report.", "plain"))
    part = MIMEBase("message", "feedback-report")
    part.set_payload([email.message_from_string(f"Feedback-Type: {kind}\nUser-Agent: x/1\nVersion: 1\n\n")])
    mail.attach(part)
    mail.attach(attached(original, disposition="inline"))
    return mail


def comes_in():
    here = Lazaret("in", "example.org", '[reports]\nspam = ["spam@example.org", "Abuse@example.org"]\nham = ["ham@example.org"]\n')
    with here:
        thunder, many = [marked("thunder") + b"end without CRLF"], [marked("outlook1"), marked("outlook2")]
        reply = here.send(ALICE, ["spam@example.org"], filled(thunderbird(thunder)))
        check("Thunderbird's forward is taken", reply[0][0] == 250 and b"1 message was taken as spam" in reply[0][1], reply)
        reply = here.send("Alice@example.org", ["HAM@example.org"], filled(outlook(many)))
        check("Outlook's is, with two messages", reply[0][0] == 250 and b"2 messages were taken as wrongly caught" in reply[0][1], reply)
        fruit = marked("apple", "bob@example.org")
        reply = here.send("bob@example.org", ["abuse@example.org"], filled(apple([fruit])))
        check("Apple Mail's is", reply[0][0] == 250, reply)
        told = marked("told")
        reply = here.send("", ["spam@example.org"], filled(feedback("not-spam", told)))
        check("a feedback report is, and its word counts", reply[0][0] == 250 and b"wrongly caught" in reply[0][1], reply)
        body = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        body += base64.encodebytes(marked("encoded")).replace(b"\n", b"\r\n") + b"--b--\r\n"
        reply = here.send(ALICE, ["spam@example.org"], LOGGED_IN + body)
        check("one that some program encoded is", reply[0][0] == 250, reply)
        want = sorted([*thunder, fruit, marked("encoded")]), sorted([*many, told])
        there = wait_for(lambda: (sorted(here.trained("spam")), sorted(here.trained("ham"))) == want)
        check("all of it is trained, byte for byte", there, (here.trained("spam"), here.trained("ham")))
        check("a copy lies in the Trash of who reported", sorted(here.trash("alice")) == sorted([*thunder, *many, marked("encoded")]) and here.trash("bob") == [fruit] and here.trash("postmaster") == [told], [here.trash(who) for who in ("alice", "bob", "postmaster")])
        for _ in range(2):
            reply = here.send(ALICE, ["spam@example.org"], filled(thunderbird(thunder)))
            check("a report that comes again is taken", reply[0][0] == 250, reply)
        inline = LOGGED_IN + b"From: alice@example.org\r\nSubject: Fwd: x\r\n\r\n---------- Forwarded message ---------\r\nFrom: x\r\n"
        reply = here.send(ALICE, ["spam@example.org"], inline)
        check("an inline forward is told what to do", reply[0][0] == 550 and b"forward the message as an attachment" in reply[0][1], reply)
        reply = here.send(ALICE, ["spam@example.org", "carol@example.org"], filled(thunderbird([marked("both")])))
        check("each recipient has his own answer", reply[0][0] == 250 and b"kept, reference" in reply[1][1], reply)
        forged = filled(thunderbird([marked("poison")]), STRANGER + LOGGED_IN)
        reply = here.send(ALICE, ["spam@example.org"], forged)
        check("a stranger with alice's address teaches nothing: his mail is kept", reply[0][0] == 250 and b"kept, reference" in reply[0][1], reply)
        check("as mail like any other", len(here.caught("spam")) == 1 and here.caught("spam")[0].endswith(forged), here.caught("spam"))
        wait_for(lambda: marked("both") in here.trained("spam"))
        check("what was not to be trained was not, and nothing twice", sorted(here.trained("spam")) == sorted([*want[0], marked("both")]), here.trained("spam"))


def over_postfix():
    root = postfix.find()
    if root is None:
        print("left out: Postfix missing (or not root)", flush=True)
        return
    trust = Lazaret("known", "example.org", '[reports]\nspam = ["spam@example.org"]\n')
    maps = f"transport_maps = inline:{{ spam@example.org=lmtp:inet:127.0.0.1:{trust.door} }}\nsmtpd_sasl_auth_enable = no\n"
    with trust, postfix.Postfix(root, 9, maps, "lmtp unix - - n - - lmtp\n") as mta:

        def submit(message, user):
            client = smtplib.SMTP("127.0.0.1", mta.port, local_hostname="laptop.example", timeout=60)
            client.ehlo()
            if user:
                expect(220, client.docmd("XCLIENT", f"LOGIN={user} PROTO=ESMTP ADDR=192.0.2.7"))
                client.ehlo("laptop.example")
            client.sendmail("alice@example.org", ["spam@example.org"], message, ["BODY=8BITMIME"])
            client.quit()

        known, unknown = marked("postfix"), marked("stranger")
        submit(filled(thunderbird([known]), b""), "alice")
        there = wait_for(lambda: trust.trained("spam") == [known], 60)
        check("over Postfix: what a user who logged in reports is trained, byte for byte", there, (trust.trained("spam"), mta.logged()))
        submit(filled(thunderbird([unknown]), LOGGED_IN), None)
        there = wait_for(lambda: len(trust.caught("spam")) == 1, 60)
        check("over Postfix: a stranger's is not", there and trust.trained("spam") == [known], mta.logged())
        inline = b"From: alice@example.org\r\nSubject: Fwd: x\r\n\r\n> x\r\n"
        submit(inline, "alice")
        told = wait_for(lambda: "forward the message as an attachment" in mta.logged(), 60)
        check("over Postfix: an inline forward goes back with the advice", told, mta.logged())


def parts_of(mail):
    """The three parts of a report as Python's email reads them, and the raw bytes of the third."""
    read = email.message_from_bytes(mail, policy=email.policy.default)
    boundary = b"--" + read.get_boundary().encode()
    pieces = re.split(rb"\r\n" + re.escape(boundary) + rb"(?:--)?\r\n", b"\r\n" + mail.partition(b"\r\n\r\n")[2])
    return read, list(read.iter_parts()), pieces[-2].partition(b"\r\n\r\n")[2]


def goes_out():
    server, relay, folder = MailServer(), None, tempfile.mkdtemp(dir=home)
    port = server.port
    if os.geteuid() == 0 and os.access("/usr/sbin/smtpd", os.X_OK):
        relay = OpenSmtpd(folder, server.port)
        port = relay.port
    gone = free_port()
    more = (
        f'[[route]]\nname = "out"\nhost = "127.0.0.1"\nport = {port}\n[[route]]\nname = "gone"\nhost = "127.0.0.1"\nport = {gone}\n'
        '[[sink]]\nname = "trained"\nlearns = ["ham", "spam"]\nto = "maildir"\n'
        '[[sink]]\nname = "desk"\nlearns = ["ham", "spam"]\nto = "mail"\naddress = "desk@far.example"\n'
        '[[sink]]\nname = "list"\nlearns = ["spam"]\nto = "mail"\naddress = "list@far.example"\nform = "attachment"\nfrom = "abuse@example.org"\nsender = "post@example.org"\n'
        '[[sink]]\nname = "never"\nlearns = ["spam"]\nto = "mail"\naddress = "never@far.example"\nroute = "gone"\n'
    )
    here = Lazaret("out", "example.org", more)
    try:
        with here:
            spam, ham, dots = marked("spam"), marked("ham"), marked("dots") + b".\r\n..\r\n"
            for message in (spam, ham, dots):
                expect(250, here.send("bounce@partner.example", ["Alice+x@example.org"], message, "ADDR=192.0.2.7 NAME=mail.partner.example")[0])
            alice = here.login()
            ok(alice.select("Caught"))
            ok(alice.uid("MOVE", find(alice, "spam")[0], "Spam"))
            ok(alice.uid("MOVE", find(alice, "ham")[0], '"Not Spam"'))
            ok(alice.uid("MOVE", find(alice, "dots")[0], "Spam"))
            arrived = wait_for(lambda: len(server.mail) >= 5 and list(server.mail), 60)
            check("five reports came", arrived and len(arrived) == 5, len(server.mail))
            desk = [mail for _, to, mail in server.mail if to == ["desk@far.example"]]
            for original, kind, mark in ((spam, "abuse", "spam"), (ham, "not-spam", "ham")):
                mail = next(mail for mail in desk if original in mail)
                read, (text, facts, message), raw = parts_of(mail)
                check(f"{kind}: the form of RFC 5965", read.get_content_type() == "multipart/report" and read.get_param("report-type") == "feedback-report")
                check(f"{kind}: the parts", [p.get_content_type() for p in (text, facts, message)] == ["text/plain", "message/feedback-report", "message/rfc822"])
                told = facts.get_payload()[0]
                want = {
                    "Feedback-Type": kind, "Version": "1", "Reporting-MTA": "dns; q.example.org", "Original-Mail-From": "<bounce@partner.example>",
                    "Original-Rcpt-To": "<Alice+x@example.org>", "Source-IP": "192.0.2.7", "Reported-Domain": "partner.example",
                }
                check(f"{kind}: what is told", {name: told[name] for name in want} == want, told.as_string())
                check(f"{kind}: when it came", abs((email.utils.parsedate_to_datetime(told["Arrival-Date"]) - email.utils.parsedate_to_datetime(read["Date"])).total_seconds()) < 120)
                check(f"{kind}: nobody answers it", read["Auto-Submitted"] == "auto-generated" and read["From"].addresses[0].addr_spec == "lazaret@q.example.org")
                check(f"{kind}: the subject is the message's", read["Subject"] == f"mark {mark}", read["Subject"])
                check(f"{kind}: the message, byte for byte", raw == original, raw)
                check(f"{kind}: no line is too long, and none ends in half", not re.search(rb"(?<!\r)\n|\r(?!\n)", mail) and max(map(len, mail.split(b"\r\n"))) <= 998)
            senders = {to[0]: sender for sender, to, _ in server.mail}
            check("from nobody, or from whom the configuration says", senders["desk@far.example"] in ("", "<>") and senders["list@far.example"] == "post@example.org", senders)
            for sender, to, mail in server.mail:
                if to == ["list@far.example"]:
                    read = email.message_from_bytes(mail, policy=email.policy.default)
                    original = spam if spam in mail else dots
                    check("an attachment is one", read.get_content_type() == "multipart/mixed" and original in mail and read["From"].addresses[0].addr_spec == "abuse@example.org")
            both = [mail for _, to, mail in server.mail if dots in mail]
            check("dots are whole, in both forms", len(both) == 2)
            states = [(e["event"], e["part"].split()[-1] if "part" in e else "never") for e in here.journal() if e["event"] in ("trained", "deferred")]
            check("one sink that fails holds up no other", wait_for(lambda: sorted(here.trained("spam")) == sorted([spam, dots])) and states.count(("trained", "desk")) == 3 and ("trained", "never") not in states, states)
    finally:
        if relay:
            relay.stop()
        server.stop()


def from_one_to_the_other():
    other = Lazaret("other", "example.net", '[reports]\nspam = ["reports@example.net"]\nfrom = "all"\n')
    more = (
        f'[[route]]\nname = "other"\nprotocol = "lmtp"\nhost = "127.0.0.1"\nport = {other.door}\n'
        '[[sink]]\nname = "other"\nlearns = ["ham", "spam"]\nto = "mail"\naddress = "reports@example.net"\n'
    )
    here = Lazaret("one", "example.org", more)
    with other, here:
        spam, ham, odd = marked("spam"), marked("ham"), marked("odd") + b"x" * 3000 + b"\r\nbare\rcr \0 nul \xff\r\n"
        for message in (spam, ham, odd):
            expect(250, here.send("bounce@partner.example", [ALICE], message)[0])
        alice = here.login()
        ok(alice.select("Caught"))
        for mark, folder in (("spam", "Spam"), ("ham", '"Not Spam"'), ("odd", "Spam")):
            ok(alice.uid("MOVE", find(alice, mark)[0], folder))
        want = sorted([spam, odd]), [ham]
        there = wait_for(lambda: (sorted(other.trained("spam")), other.trained("ham")) == want, 60)
        check("a report becomes an order in another Lazaret, byte for byte", there, (other.trained("spam"), other.trained("ham"), here.journal()))


try:
    for part in (comes_in, over_postfix, goes_out, from_one_to_the_other):
        with check.part(part.__name__):
            part()
finally:
    shutil.rmtree(home, ignore_errors=True)
check.finish()
