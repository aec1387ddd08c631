#!/usr/bin/python3
"""`lazaret doctor` beside a running server, with a real Postfix, rspamd, SpamAssassin and Dovecot: with everything in order all
steps hold and nothing is left behind; each fault is found at its own step, with its own advice, and is cleaned up after, too.
With the argument `all` also the way of rspamd's exporter, and what can be wrong on the way in (`scripts/interop doctor`).
Needs root.
"""
import atexit
import glob
import http.client
import imaplib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

import postfix
from exporter_site import TOKEN
from filters import Rspamd, Spamd, listens, mail
from lazaret import BINARY, ROOT, Checks, Server, certificate, free_port, need, ok, wait_for
from servers import MailServer

need("rspamd", "spamd", "openssl", "dovecot")
UNPACKED = postfix.need()
check = Checks()
home = tempfile.mkdtemp(prefix="doctor-")
atexit.register(shutil.rmtree, home, ignore_errors=True)
# Dovecot's user goes through it.
os.chmod(home, 0o755)
DATA = f"{home}/data"
CONFIG = f"{home}/lazaret.toml"
DOORS = {name: free_port() for name in ("rspamd", "spamd", "lmtp", "imap", "page", "exporter")}
ALICE = "alice@example.org"
SCRIPT = f"{ROOT}/scripts/bench/dovecot.sh"
# The script's ports end in 143, 993 and 024; another run of this test may have some.
PORTS = next(start for start in map(str, range(24, 32)) if not any(listens(int(start + end)) for end in ("143", "993", "024")))
IMAP, IMAPS = int(f"{PORTS}143"), int(f"{PORTS}993")


def configure(route, more="", milters=True):
    is_told = f'[[exporter]]\nlisten = "127.0.0.1:{DOORS["exporter"]}"\ntoken_file = "token"\n'
    asks = "".join(
        f'[[milter]]\nlisten = "127.0.0.1:{DOORS[name]}"\nfilter = "{word}"\nfilter_address = "127.0.0.1:{port}"\n'
        for name, word, port in (("rspamd", "rspamd", rspamd.port), ("spamd", "spamassassin", spamd.port))
    )
    with open(CONFIG, "w") as file:
        file.write(
            f'data = "data"\nhost_name = "mx.example.org"\n[imap]\ntls = ["0.0.0.0:{DOORS["imap"]}"]\nstarttls = []\n'
            f'[page]\ntls = ["127.0.0.1:{DOORS["page"]}"]\n{asks if milters else is_told}'
            f'[[lmtp]]\nlisten = "127.0.0.1:{DOORS["lmtp"]}"\nclass = "incoming"\n'
            f'[domains."example.org"]\n[domains."elsewhere.test"]\n[[route]]\nname = "back"\nhost = "127.0.0.1"\nport = {route}\n'
            f'[[sink]]\nname = "rspamd"\nlearns = ["ham"]\nto = "rspamd"\nurl = "http://127.0.0.1:{rspamd.controller}"\n{more}'
        )


class Lazaret:
    """A server with a route that leads to this port."""

    def __init__(self, route, more="", milters=True):
        configure(route, more, milters)
        doors = ("rspamd", "spamd", "lmtp", "imap", "page") if milters else ("exporter", "lmtp", "imap", "page")
        self.server = Server("serve", "--config", CONFIG, wait_json=False)
        if not wait_for(lambda: all(listens(DOORS[door]) for door in doors), 60):
            raise SystemExit(f"lazaret does not start:\n{self.server.logged()}")

    def __enter__(self):
        return self.server

    def __exit__(self, *_):
        check("lazaret ends cleanly", self.server.stop() == 0, self.server.logged())


class Report:
    """What the doctor said: steps by name, several of one name as a list."""

    def __init__(self, *arguments, through=None, to=ALICE):
        command = [BINARY, "--config", CONFIG, "doctor", "--json", "--to", to, "--through", f"127.0.0.1:{through or site.port}"]
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=300, check=False)
        self.code, self.errors = done.returncode, done.stderr
        self.steps = [json.loads(line) for line in done.stdout.splitlines()]

    def __repr__(self):
        return "\n" + "\n".join(f"{s['step']} {s['outcome']}: {s['text']} [{s['change']}]" for s in self.steps) + self.errors

    def step(self, name):
        return next((s for s in self.steps if s["step"] == name), {"outcome": "missing", "text": "", "change": ""})

    def failed(self):
        return [s["step"] for s in self.steps if s["outcome"] == "failed"]

    def outcome(self, name):
        return self.step(name)["outcome"]


def fails_at(report, name, text, change, others=()):
    """One step fails (and those that repeat it), with these words and this advice."""
    check(f"{name}: the exit code tells", report.code == 1, report)
    check(f"{name}: it is found at its own step", report.failed() == [name, *others], report)
    step = next((s for s in report.steps if s["step"] == name and s["outcome"] == "failed"), report.step(name))
    check(f"{name}: it says {text}", text in step["text"], report)
    check(f"{name}: it says to change {change}", change in (step["change"] or ""), report)


def nothing_is_left(what, report=None):
    """No message in any tree, nothing in the queue; the journal and empty directories may stay."""

    def left():
        places = [f"{DATA}/mail/**", f"{DATA}/queue/orders/**", f"{DATA}/queue/deliver/**", f"{DATA}/queue/train/**", f"{DATA}/trained/**"]
        paths = [path for place in places for path in glob.glob(place, recursive=True)]
        return [path for path in paths if os.path.isfile(path) and "dovecot-keywords" not in path]

    check(f"{what}: nothing is left behind", wait_for(lambda: not left(), 5), (left(), report))


def in_mailbox(mark=b"Lazaret doctor: test message"):
    return sum(mark in message for message in mailbox.messages())


def settled():
    """What has reached the mailbox, when nothing more comes: Postfix takes a release before the mailbox does."""
    count = -1
    while count != (count := in_mailbox()):
        time.sleep(2)
    return count


def reject_past_lazaret():
    """rspamd rejects a message of which Lazaret never hears."""
    connection = http.client.HTTPConnection("127.0.0.1", rspamd.port, timeout=60)
    fields = {"From": "<sender@spam.example>", "Rcpt": f"<{ALICE}>", "IP": "192.0.2.7"}
    connection.request("POST", "/checkv2", mail("reject-me", mark="past"), fields)
    check("rspamd rejects it", json.loads(connection.getresponse().read())["action"] == "reject")


class Mda:
    """Puts what reaches the mail server into a folder of alice's Dovecot, as a mailbox's rules do."""

    def __init__(self, folder):
        self.folder, self.appended, self.seen, self.ended = folder, 0, len(mailbox.messages()), threading.Event()
        self.imap = imaplib.IMAP4("127.0.0.1", IMAP, timeout=60)
        self.imap.login(ALICE, "pass")
        if folder != "INBOX":
            ok(self.imap.create(folder))
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while not self.ended.wait(0.1):
            for message in mailbox.messages()[self.seen:]:
                ok(self.imap.append(self.folder, None, None, message))
                self.seen, self.appended = self.seen + 1, self.appended + 1

    def count(self):
        with imaplib.IMAP4("127.0.0.1", IMAP, timeout=60) as imap:
            imap.login(ALICE, "pass")
            return int(ok(imap.select(self.folder))[0])

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()
        self.imap.logout()


def borrow(recipient=ALICE):
    """A pass as the doctor gets it, and the connection that keeps it."""
    control = socket.socket(socket.AF_UNIX)
    control.connect(f"{DATA}/state/control.sock")
    control.sendall(json.dumps({"do": "pass", "recipient": recipient, "from": ["127.0.0.1"]}).encode() + b"\n")
    return control, json.loads(control.makefile().readline())


def lets_in(user, password, source="127.0.0.1"):
    """What LOGIN over IMAP answers to a client at this address."""
    context = ssl.create_default_context(cafile=f"{home}/tls/cert.pem")
    plain = socket.create_connection(("127.0.0.1", DOORS["imap"]), 30, source_address=(source, 0))
    with context.wrap_socket(plain, server_hostname="localhost") as connection, connection.makefile("rwb") as file:
        file.readline()
        file.write(f'a LOGIN "{user}" "{password}"\r\n'.encode())
        file.flush()
        while not (line := file.readline()).startswith(b"a "):
            pass
        return line.startswith(b"a OK")


def the_pass():
    with check.part("the pass"):
        control, lent = borrow()
        user, password = lent["user"], lent["password"]
        check("it lets its holder in", lets_in(user, password))
        check("not from another address", not lets_in(user, password, "127.0.0.2"))
        check("not with another password", not lets_in(user, password[:-1] + ("A" if password[-1] != "A" else "B")))
        check("it is no password of the recipient's", not lets_in(ALICE, password))
        control.close()
        check("it ends with the connection that lent it", wait_for(lambda: not lets_in(user, password), 5))
        check("and is for recipients of ours only", borrow("bob@nowhere.test")[1]["is"] == "failed")


def in_order():
    with Lazaret(ports["plain"]) as server:
        with check.part("everything in order"):
            with open(f"{home}/users") as file:
                users = file.read()
            report = Report()
            check("nothing fails", report.code == 0 and not report.failed(), report)
            steps = ["server", "disk", "clock", "earlier", "door", "door", "door", "filter", "filter", "mail", "refused", "stored", "imap", "page",
                     "released", "handed", "not-caught-again", "delivered", "compared", "cleaned", "mailbox"]
            check("each step is told, in order", [s["step"] for s in report.steps] == steps, report)
            skipped = [s["step"] for s in report.steps if s["outcome"] != "ok"]
            check("only what nobody can see is skipped", skipped == ["delivered", "mailbox"], report)
            stored = report.step("stored")["text"]
            reference = stored.split(",")[0].removeprefix("reference ")
            check("the sender is told 550 and the reference", "550 5.7.1" in report.step("refused")["text"]
                  and reference in report.step("refused")["text"] and "which the sender was told" in stored, report)
            check("score and reasons are there", "GTUBE" in stored and "by the milter door, in caught of alice@example.org" in stored, report)
            check("the mail server's answer is told", '"back"' in report.step("handed")["text"] and "250 " in report.step("handed")["text"], report)
            check("the mailbox has it, once", in_mailbox() == 1)
            check("where to look is said", ALICE in report.step("mailbox")["text"], report)
            nothing_is_left("in order", report)
            the_pass()
            with open(f"{home}/users") as file:
                check("no account was made", file.read() == users)
            check("signing in was from this machine, by the pass", "user=<lazaret doctor " in server.logged(), server.logged())

        with check.part("for people"):
            command = [BINARY, "-c", CONFIG, "doctor", "--to", ALICE, "--through", f"127.0.0.1:{site.port}", "--no-release"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
            check("nothing fails", done.returncode == 0 and "FAILED" not in done.stdout, done.stdout + done.stderr)
            check("a line a step", all(line.split()[1] in ("ok", "skipped") for line in done.stdout.splitlines()), done.stdout)
            check("nothing was released", in_mailbox() == 1)
            nothing_is_left("without a release", done.stdout)

        with check.part("the mailbox is looked into"):
            for folder, url in (("INBOX", f"imaps://{ALICE}@127.0.0.1:{IMAPS}"), ("Junk", f"imap-plain://{ALICE}@localhost:{IMAP}")):
                with Mda(folder) as mda:
                    report = Report("--mailbox", url, "--mailbox-password-file", f"{home}/password")
                    if folder == "INBOX":
                        check("it is found there", report.code == 0 and "INBOX of alice@example.org" in report.step("delivered")["text"], report)
                    else:
                        fails_at(report, "delivered", "it is in Junk", "own_headers")
                    check(f"it is removed from {folder}, and that is no more said", mda.count() == 0 and report.outcome("mailbox") == "missing", report)
                    check(f"{folder}: it had arrived", mda.appended == 1)
                    nothing_is_left(folder, report)
            report = Report("--mailbox", f"imap-plain://nobody@localhost:{IMAP}", "--mailbox-password-file", f"{home}/password")
            fails_at(report, "delivered", "login or password is wrong", "--mailbox")

        with check.part("SpamAssassin's door"):
            report = Report(through=ports["spamd"])
            check("nothing fails", report.code == 0, report)
            check("SpamAssassin's reason is told", "GTUBE" in report.step("stored")["text"], report)
            nothing_is_left("SpamAssassin's door", report)

        with check.part("a filter behind the queue, and the LMTP door"):
            report = Report(through=ports["behind"])
            check("nothing fails", report.code == 0, report)
            check("accepted, and kept all the same", "accepted (250" in report.step("refused")["text"]
                  and "by the lmtp door" in report.step("stored")["text"], report)
            nothing_is_left("the LMTP door", report)

        for step in ("filter", "mail", "page", "handed"):
            with check.part(f"interrupted after {step}"):
                before = settled()
                command = [BINARY, "-c", CONFIG, "doctor", "--json", "--to", ALICE, "--through", f"127.0.0.1:{site.port}"]
                doctor = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
                seen, left = [], 2 if step == "filter" else 1
                for line in doctor.stdout:
                    seen.append(json.loads(line))
                    left -= seen[-1]["step"] == step
                    if left == 0:
                        # After the filters: while the message is handed over.
                        time.sleep(0.03 if step == "filter" else 0)
                        doctor.send_signal(signal.SIGINT)
                        left = -1
                code = doctor.wait(60)
                check("it ends, and says so", code == 1 and "interrupted" in [s["step"] for s in seen], seen)
                check("it has cleaned up", [s["outcome"] for s in seen if s["step"] == "cleaned"] in (["ok"], []), seen)
                nothing_is_left(f"interrupted after {step}", seen)
                said = sum(s["step"] == "mailbox" for s in seen)
                check("what reached the mailbox was said", wait_for(lambda n=before + said: in_mailbox() == n, 30), (in_mailbox() - before, seen))

        with check.part("--keep"):
            report = Report("--keep", "--no-release")
            kept = glob.glob(f"{DATA}/mail/example.org/alice/Caught/*/*")
            check("it stays, and its reference is said", report.code == 0 and len(kept) == 1 and report.outcome("cleaned") == "skipped"
                  and os.path.basename(kept[0]).split(",")[0] in report.step("cleaned")["text"], (kept, report))
            reference = os.path.basename(kept[0]).split(",")[0]
            for _ in range(2):
                subprocess.run([BINARY, "-c", CONFIG, "remove", reference], check=True, stdout=subprocess.DEVNULL)
            nothing_is_left("--keep, removed")


def by_the_exporter():
    with check.part("rspamd as the mail server's milter, which tells Lazaret"):
        with Lazaret(ports["plain"], milters=False):
            report = Report("--text", "reject-me", through=ports["exported"])
            check("nothing fails", report.code == 0, report)
            check("no filter is asked by Lazaret", report.outcome("filter") == "skipped", report)
            check("refused by rspamd, kept by the exporter's door", "the sender is told 554 5.7.1" in report.step("refused")["text"]
                  and "by the exporter door" in report.step("stored")["text"] and "LAZARET_REJECT" in report.step("stored")["text"], report)
            nothing_is_left("the exporter's door", report)

    with check.part("rspamd tells nothing of GTUBE"):
        with Lazaret(ports["plain"], milters=False):
            report = Report(through=ports["exported"])
            fails_at(report, "stored", "it is not here, though the mail server said: 5", "with --text")


def faults_of_the_way_in():
    with Lazaret(ports["plain"]) as server:
        with check.part("the milter is not set in Postfix"):
            before = in_mailbox()
            report = Report(through=ports["plain"])
            fails_at(report, "refused", "not kept within", "smtpd_milters", ["stored"])
            check("that it was delivered is said", "without being caught" in report.step("mailbox")["text"] and in_mailbox() == before + 1, report)
            check("nothing is released", report.outcome("released") == "skipped", report)

        with check.part("somebody refuses before Lazaret"):
            report = Report(through=ports["filtered"])
            fails_at(report, "stored", "it is not here, though the mail server said: 5", "Other filters?")

        with check.part("no mail server"):
            report = Report(through=free_port())
            fails_at(report, "mail", "refused", "--through")

        with check.part("no recipient of the mail server"):
            report = Report(to="bob@elsewhere.test")
            fails_at(report, "mail", "takes no mail for <bob@elsewhere.test>: 5", "relay_domains")

        with check.part("no recipient of ours"):
            report = Report(to="bob@nowhere.test")
            fails_at(report, "server", "bob@nowhere.test is not a recipient", '[domains."nowhere.test"]')

        with check.part("rspamd rejected something past Lazaret"):
            reject_past_lazaret()
            report = Report("--no-release")
            fails_at(report, "compared", "<past@spam.example>", "past the door")
        nothing_is_left("faults of the way in")
        check("no fault of ours", "panicked" not in server.logged(), server.logged())


def faults_of_the_way_out():
    with check.part("nobody listens at the route"):
        with Lazaret(free_port()):
            before = in_mailbox()
            fails_at(report := Report(), "handed", "Connection refused", '[[route]] "back"', past_compared())
            check("what waited for its next attempt was removed, too", report.outcome("cleaned") == "ok", report)
            nothing_is_left("a wrong route", report)
            check("nothing reached the mailbox", in_mailbox() == before)

    with check.part("the route's server asks the filter, and refuses"):
        with Lazaret(ports["filtered"]):
            fails_at(report := Report(), "handed", "refused it: 5", "without the filter", past_compared())
            nothing_is_left("a filtered route", report)

    with check.part("what is released is caught again"):
        with Lazaret(ports["behind"]):
            fails_at(report := Report(), "not-caught-again", "it came back by the lmtp door", "past the filter", past_compared())
            nothing_is_left("caught again", report)

    with check.part("recipients may only request a release"):
        rule = '[[policy.rules]]\nscope = "recipient"\nverbs = ["release"]\nmay = "request"\n'
        with Lazaret(ports["plain"], rule):
            report = Report()
            check("the request is granted, and released", "the request was granted" in report.step("released")["text"]
                  and report.outcome("handed") == "ok", report)
            nothing_is_left("granted", report)
            check("no request is left", not glob.glob(f"{DATA}/queue/requests/*"), os.listdir(f"{DATA}/queue"))


def past_compared():
    """What was rejected past Lazaret in an earlier part is found each time."""
    return ["compared"] if faults_of_the_way_in in PARTS else []


def faults_of_others():
    with check.part("the filter is stopped"):
        with Lazaret(ports["plain"]):
            before = in_mailbox()
            spamd.process.terminate()
            spamd.process.wait(20)
            report = Report(through=ports["spamd"])
            fails_at(report, "filter", "cannot connect", "start spamd", past_compared())
            check("nothing is sent", report.outcome("mail") == "skipped" and report.outcome("cleaned") == "missing", report)
            check("nothing reached the mailbox", in_mailbox() == before)
            nothing_is_left("a stopped filter", report)

    with check.part("Lazaret is stopped"):
        report = Report()
        fails_at(report, "server", "no running server answers", "lazaret serve", ["filter"])
        check("nothing is sent", report.outcome("mail") == "skipped", report)
        nothing_is_left("a stopped server", report)


PARTS = [in_order, faults_of_the_way_out, faults_of_others]
if sys.argv[1:] == ["all"]:
    PARTS[1:1] = [by_the_exporter, faults_of_the_way_in]
mailbox = MailServer()
certificate(f"{home}/tls")
with open(f"{home}/users", "w"):
    pass
with open(f"{home}/password", "w") as file:
    file.write("pass\n")
atexit.register(subprocess.run, [SCRIPT, "stop", f"{home}/dovecot"], check=False)
subprocess.run([SCRIPT, "start", f"{home}/dovecot"], check=True, env={**os.environ, "PORTS": PORTS}, stdout=subprocess.DEVNULL)
with open(f"{home}/dovecot/users", "w") as file:
    file.write(f"{ALICE}:{{PLAIN}}pass:::::::\n")
wait_for(lambda: listens(IMAP))
ports = {name: free_port() for name in ("plain", "filtered", "exported", "behind", "spamd")}
with open(f"{home}/token", "w") as file:
    file.write(f"{TOKEN}\n")
with open(f"{ROOT}/etc/rspamd/metadata_exporter.conf") as file:
    tells = file.read().replace("127.0.0.1:8025", f"127.0.0.1:{DOORS['exporter']}").replace('password = "TOKEN"', f'password = "{TOKEN}"')
with Rspamd() as rspamd, Rspamd({"metadata_exporter.conf": tells}) as teller, Spamd() as spamd:
    with open(f"{ROOT}/etc/postfix/milter.cf") as snippet:
        lines = snippet.read().replace("127.0.0.1:8026", f"127.0.0.1:{DOORS['rspamd']}")

    def service(name, *options):
        return f"127.0.0.1:{ports[name]} inet n - n - - smtpd\n" + "".join(f"  -o {option}\n" for option in options)

    services = (
        service("plain", "smtpd_milters=")
        + service("filtered", f"{{smtpd_milters = inet:127.0.0.1:{rspamd.proxy}}}")
        + service("exported", f"{{smtpd_milters = inet:127.0.0.1:{teller.proxy}}}")
        + service("behind", "smtpd_milters=", f"content_filter=lmtp:[127.0.0.1]:{DOORS['lmtp']}")
        + service("spamd", f"{{smtpd_milters = inet:127.0.0.1:{DOORS['spamd']}}}")
        + "lmtp unix - - n - - lmtp\n"
    )
    with postfix.Postfix(UNPACKED, mailbox.port, lines, services) as site:
        try:
            for part in PARTS:
                began = time.monotonic()
                part()
                print(f"{part.__name__}: {time.monotonic() - began:.0f} s", flush=True)
        finally:
            if check.failed:
                print(site.logged())
mailbox.stop()
check.finish()
