#!/usr/bin/python3
"""`lazaret serve` with a written configuration: releases go to mail servers of others, training to each kind of sink.

Routes: aiosmtpd (plain SMTP) for everything, OpenSMTPD for one domain. Sinks, one run each: a command (bogofilter with
word lists of its own), rspamd's HTTP API, a Maildir.
"""
import os
import shutil
import subprocess
import sys
import tempfile
import time

from dkimcheck import verifies
from lazaret import BINARY, RECEIVED, SAMPLES, Checks, Server, arrived, certificate, find, free_port, lmtp_send, marked, ok, read_tree, wait_for
from servers import MailServer, OpenSmtpd, Rspamd

check = Checks()
USERS = {"global": "g-secret", "example.org": "d-secret", "alice@example.org": "a-secret"}


def configuration(folder, ports, routes, training):
    """The text of a configuration file: two domains, three users, plain IMAP on loopback."""
    return f"""data = "{folder}/data"
users = "{folder}/users"
host_name = "quarantine.example.org"

[page]
tls = []
[imap]
tls = []
starttls = ["127.0.0.1:{ports['imap']}"]
plain_login_on_loopback = true

[[lmtp]]
listen = "127.0.0.1:{ports['lmtp']}"
class = "incoming"

[domains."example.org"]

[domains."example.net"]
route = "net"

{routes}
{training}
"""


class Served(Server):
    """`lazaret serve` with its own data, users made by `lazaret user add`."""

    def __init__(self, folder, routes, training):
        self.ports = {"imap": free_port(), "lmtp": free_port()}
        self.config = os.path.join(folder, "lazaret.toml")
        with open(self.config, "w") as file:
            file.write(configuration(folder, self.ports, routes, training))
        certificate(os.path.join(folder, "tls"))
        for login, password in USERS.items():
            added = subprocess.run([BINARY, "--config", self.config, "user", "add", login], input=password + "\n", capture_output=True, text=True)
            check(f"user add {login}", added.returncode == 0, added.stderr)
        super().__init__("--config", self.config, "serve", wait_json=False)
        self.info = {"lmtp": f"127.0.0.1:{self.ports['lmtp']}"}
        if not wait_for(self.answers, 20):
            self.kill()
            sys.exit(f"`lazaret serve` does not answer; its log:\n{self.logged()}")

    def answers(self):
        import socket

        if self.process.poll() is not None:
            return False
        try:
            for port in self.ports.values():
                socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except OSError:
            return False

    def login(self, login="global"):
        import imaplib

        imap = imaplib.IMAP4("127.0.0.1", self.ports["imap"], timeout=60)
        imap.login(login, USERS[login])
        ok(imap.select("Caught"))
        return imap


def route(port, net=None):
    """The first route, and one named `net` for example.net."""
    one = '[[route]]\nname = "{}"\nhost = "127.0.0.1"\nport = {}\ntls = "none"\n'
    return one.format("default", port) + one.format("net", net or port)


def releases(folder):
    far = MailServer()
    relay = None
    try:
        if shutil.which("smtpd") and os.geteuid() == 0:
            relay = OpenSmtpd(folder, far.port)
        else:
            print("skipped: OpenSMTPD (missing, or not root)")
        with Served(folder, route(far.port, relay and relay.port), "") as server:
            with open(os.path.join(SAMPLES, "dkim-signed.eml"), "rb") as file:
                signed = file.read()
            mail = {"r1": marked("r1"), "r2": marked("r2", "carol@example.net"), "r3": marked("r3", "refused@example.org")}
            door = server.info["lmtp"]
            lmtp_send(door, "orders@shop.example", ["alice@example.org"], signed)
            lmtp_send(door, "partner@partner.example", ["Alice+Tag@example.org"], mail["r1"])
            lmtp_send(door, "partner@partner.example", ["carol@example.net"], mail["r2"])
            lmtp_send(door, "partner@partner.example", ["refused@example.org"], mail["r3"])
            imap = server.login("alice@example.org")
            ok(imap.uid("MOVE", ok(imap.uid("SEARCH", "SUBJECT", '"order 7741"'))[0].split()[0], "Release"))
            check("aiosmtpd: the signed message arrives under one Received line", wait_for(lambda: arrived(far.messages(), signed, exact=True) == 1))
            message = next((m for m in far.messages() if m.endswith(signed)), b"")
            check("aiosmtpd: its DKIM signature verifies", message and verifies(message))
            ok(imap.uid("MOVE", find(imap, "r1")[0], "Release"))
            check("aiosmtpd: a marked message arrives to the byte", wait_for(lambda: arrived(far.messages(), mail["r1"], exact=True) == 1))
            envelope = next(((s, r) for s, r, m in far.mail if m.endswith(mail["r1"])), None)
            check("aiosmtpd: sender and recipient are the original ones", envelope == ("partner@partner.example", ["Alice+Tag@example.org"]), envelope)
            imap.logout()
            imap = server.login("global")
            if relay:
                ok(imap.uid("MOVE", find(imap, "r2")[0], "Release"))
                there = lambda: [m for m in far.messages() if m.endswith(mail["r2"])]  # noqa: E731
                if check("OpenSMTPD: the message arrives", wait_for(there, 30)):
                    top = there()[0][: -len(mail["r2"])]
                    check("OpenSMTPD: its Received line and ours stand above it", len(RECEIVED.findall(top)) == 2 and not RECEIVED.sub(b"", top), top)
            ok(imap.uid("MOVE", find(imap, "r3")[0], "Release"))
            check("a refused release comes back", wait_for(lambda: imap.noop() and ok(imap.uid("SEARCH", "KEYWORD", "$ReleaseFailed"))[0].split(), 30))
            imap.logout()
    finally:
        if relay:
            relay.stop()
        far.stop()


def train(server, mark):
    """A message to Not Spam and one to Spam; their bytes."""
    mail = {what: marked(f"{mark}-{what}") for what in ("ham", "spam")}
    imap = server.login("alice@example.org")
    for what, folder in (("ham", '"Not Spam"'), ("spam", "Spam")):
        server.lmtp("partner@partner.example", ["alice@example.org"], mail[what])
        ok(imap.uid("MOVE", find(imap, f"{mark}-{what}")[0], folder))
    imap.logout()
    return mail


def sink_maildir(folder):
    far = MailServer()
    try:
        with Served(folder, route(far.port), "") as server:
            mail = train(server, "md")
            for what, message in mail.items():
                check(f"Maildir: {what} arrives", wait_for(lambda w=what, m=message: m in read_tree(f"{folder}/data/trained/{w}")))
    finally:
        far.stop()


def sink_command(folder):
    if not shutil.which("bogofilter"):
        print("skipped: bogofilter missing")
        return
    words = os.path.join(folder, "words")
    os.mkdir(words)
    training = "".join(
        f'[[sink]]\nname = "{what}"\nlearns = ["{what}"]\nto = "command"\ncommand = ["bogofilter", "-d", "{words}", "{option}"]\n'
        for what, option in (("ham", "-n"), ("spam", "-s"))
    )
    far = MailServer()
    try:
        with Served(folder, route(far.port), training) as server:
            train(server, "bogo")

            def counts():
                shown = subprocess.run(["bogoutil", "-w", words, ".MSG_COUNT"], capture_output=True, text=True)
                numbers = [line.split()[1:3] for line in shown.stdout.splitlines() if line.startswith(".MSG_COUNT")]
                return numbers and numbers[0] == ["1", "1"]

            # Both begin on an empty word list: one may find it locked, and is tried again after a minute.
            check("command: bogofilter counts one spam and one ham", wait_for(counts, 90))
    finally:
        far.stop()


def sink_rspamd(folder):
    rspamd, far = Rspamd(), MailServer()
    with open(os.path.join(folder, "rspamd.password"), "w") as file:
        file.write("q1\n")
    training = f"""[[sink]]
name = "rspamd"
learns = ["ham", "spam"]
to = "rspamd"
url = "http://127.0.0.1:{rspamd.port}"
password_file = "rspamd.password"
"""
    try:
        with Served(folder, route(far.port), training) as server:
            mail = train(server, "rsp")
            for what, message in mail.items():
                check(f"rspamd: {what} is learned with its bytes", wait_for(lambda w=what, m=message: m in rspamd.learned[w]))
            # The same message again: rspamd says "already learned", which is success.
            imap = server.login("alice@example.org")
            server.lmtp("partner@partner.example", ["alice@example.org"], mail["ham"])
            ok(imap.uid("MOVE", find(imap, "rsp-ham")[0], '"Not Spam"'))
            time.sleep(2)
            failed = os.path.join(folder, "data/queue/failed")
            check("rspamd: already learned is no failure", not os.path.isdir(failed) or not os.listdir(failed))
            check("rspamd: the password was sent", rspamd.refused == 0, rspamd.refused)
            imap.logout()
    finally:
        rspamd.stop()
        far.stop()


for test in (releases, sink_maildir, sink_command, sink_rspamd):
    with check.part(test.__name__), tempfile.TemporaryDirectory(prefix="lazaret-routes-") as folder:
        os.chmod(folder, 0o755)
        test(folder)
check.finish()
