"""What every client test needs: start and stop the program, bring mail in, look at what came out, count checks.

Python 3 of the system, standard library only. LAZARET names the binary (default: target/debug/lazaret of this tree).
"""
import contextlib
import email.utils
import glob
import imaplib
import json
import os
import random
import re
import select
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.environ.get("LAZARET", os.path.join(os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target")), "debug/lazaret"))
SAMPLES = os.path.join(ROOT, "tests/mail/demo")
# What every message says of its date: filters give points to what is old.
TODAY = email.utils.formatdate()
ACTIONS = ["Release & Train", "Release", "Not Spam", "Spam"]
imaplib._MAXLINE = 10_000_000  # samples have long lines


class Checks:
    """Counts what held and what did not; `finish` prints the sum and ends the process."""

    def __init__(self):
        self.passed, self.failed = 0, []

    def __call__(self, what, held, detail=""):
        if held:
            self.passed += 1
        else:
            self.failed.append(what)
            print(f"FAILED: {what}" + (f": {detail}" if detail != "" else ""), flush=True)
        return bool(held)

    @contextlib.contextmanager
    def part(self, name):
        """A part of a test; an exception in it is one failure, and the next part goes on."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever went wrong, it is reported with its place
            line = error.__traceback__.tb_next.tb_lineno if error.__traceback__.tb_next else 0
            self(name, False, f"{type(error).__name__}: {error} (line {line})")

    def finish(self):
        print(f"{self.passed} passed, {len(self.failed)} failed", flush=True)
        sys.exit(1 if self.failed or not self.passed else 0)


def need(*programs):
    """Ends the test as skipped (exit code 77), by name, when a program is missing."""
    missing = [p for p in programs if not (shutil.which(p) or os.path.exists(p))]
    if missing:
        print(f"skipped: {', '.join(missing)} missing", flush=True)
        sys.exit(77)


class Server:
    """A running `lazaret`. As a context manager it is stopped at the end, and must end cleanly."""

    def __init__(self, *arguments, wait_json=True, seconds=60, program=(BINARY,)):
        if not os.access(BINARY, os.X_OK):
            sys.exit(f"{BINARY} is missing: run `cargo build` first, or set LAZARET")
        self.log = tempfile.NamedTemporaryFile(prefix="lazaret-log-", delete=False)
        self.process = subprocess.Popen([*program, *arguments], stdout=subprocess.PIPE, stderr=self.log)
        self.info = {}
        if wait_json:
            line = self._line(seconds)
            try:
                self.info = json.loads(line)
            except ValueError:
                self.kill()
                sys.exit(f"`lazaret {' '.join(arguments)}` printed {line!r} instead of one line of JSON; its log:\n{self.logged()}")

    def _line(self, seconds):
        deadline, line = time.monotonic() + seconds, b""
        while not line.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                self.kill()
                sys.exit(f"no line of JSON within {seconds} s; the log:\n{self.logged()}")
            piece = os.read(self.process.stdout.fileno(), 65536)
            if not piece:
                break
            line += piece
        return line

    def logged(self):
        with open(self.log.name, errors="replace") as log:
            return log.read()[-4000:]

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self, seconds=20):
        """SIGTERM; the exit code, or None when it had to be killed."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
                return None
        return self.process.returncode

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _):
        code = self.stop()
        if kind is not None or code != 0:
            print(f"--- log of lazaret (exit {code}) ---\n{self.logged()}", file=sys.stderr)
        self.process.stdout.close()
        os.unlink(self.log.name)
        if kind is None and code != 0:
            raise RuntimeError(f"lazaret did not end cleanly on SIGTERM: {code}")

    # What the line of JSON says.

    def account(self, login):
        """The account with this login, or None."""
        return next((a for a in self.info["accounts"] if a["login"] == login), None)

    def imap(self, account, tls=True):
        """An imaplib connection, logged in: implicit TLS, or STARTTLS. The certificate and its name are checked."""
        context = ssl.create_default_context(cafile=self.info["ca"])
        host, port = split(self.info["imaps" if tls else "imap"])
        if tls:
            connection = imaplib.IMAP4_SSL(host, port, ssl_context=context, timeout=60)
        else:
            connection = imaplib.IMAP4(host, port, timeout=60)
            connection.starttls(context)
        connection.login(account["login"], account["password"])
        return connection

    def lmtp(self, sender, recipients, message):
        """Brings one message in by the LMTP door, bytes as they are."""
        lmtp_send(self.info["lmtp"], sender, recipients, message)

    def delivered(self):
        """Messages that reached the built-in mail server."""
        return read_tree(self.info["delivered"])

    def trained(self, what):
        """Messages in the sink for `ham` or `spam`."""
        return read_tree(os.path.join(self.info["trained"], what))


def demo(*arguments):
    """`lazaret demo --json`."""
    return Server("demo", "--json", *arguments)


def split(address):
    """host:port"""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def certificate(folder):
    """cert.pem and key.pem for localhost, self-signed."""
    os.makedirs(folder, exist_ok=True)
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem"]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


def free_port():
    """One that nobody listens on. It is none of those that the kernel gives to connections, which might take it before it is
    bound, and no other test that runs now (`run` names a folder for them) is given it as well."""
    taken = os.environ.get("TAKEN_PORTS")
    while True:
        port = random.randrange(12_000, 32_000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                if taken:
                    os.close(os.open(os.path.join(taken, str(port)), os.O_CREAT | os.O_EXCL))
                return port
            except OSError:
                continue


def lmtp_send(address, sender, recipients, message):
    """One LMTP transaction; smtplib would repair line ends, so DATA is written here."""
    host, port = split(address)
    door = smtplib.LMTP(host, port, timeout=60)
    try:
        options = ["SMTPUTF8", "BODY=8BITMIME"] if not sender.isascii() else ["BODY=8BITMIME"]
        door.ehlo()
        door.command_encoding = "utf-8"
        expect(250, door.mail(sender, options if door.has_extn("8bitmime") else []))
        for recipient in recipients:
            expect(250, door.docmd("RCPT", f"TO:<{recipient}>"))
        expect(354, door.docmd("DATA"))
        stuffed = re.sub(rb"(^|\r\n)\.", rb"\1..", message)
        door.send(stuffed + b".\r\n")
        for _ in recipients:
            expect(250, door.getreply())
    finally:
        door.close()


def expect(code, reply):
    if reply[0] != code:
        raise RuntimeError(f"the LMTP door answered {reply[0]} {reply[1]!r}, not {code}")


def read_tree(folder):
    """The bytes of every file below, except in tmp and hidden ones."""
    found = []
    for path in glob.glob(os.path.join(folder, "**"), recursive=True):
        if os.path.isfile(path) and os.path.basename(os.path.dirname(path)) != "tmp":
            with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
                found.append(file.read())
    return found


def wait_for(look, seconds=20):
    """Calls until it gives something true; gives its last answer."""
    deadline = time.monotonic() + seconds
    while True:
        answer = look()
        if answer or time.monotonic() > deadline:
            return answer
        time.sleep(0.05)


def marked(mark, recipient="alice@example.org"):
    """A message that no other resembles, with what tends to break on the way: dots, trailing blanks, 8 bit."""
    return (
        f"Received: from mail.partner.example (mail.partner.example [192.0.2.7])\r\n\tby mx.example.org with ESMTP id {mark};"
        f" {TODAY}\r\nFrom: Partner <partner@partner.example>\r\nTo: {recipient}\r\nSubject: mark {mark}\r\n"
        f"Message-ID: <{mark}@partner.example>\r\nDate: {TODAY}\r\nMIME-Version: 1.0\r\n"
        f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        f"mark {mark} \r\n.\r\n..two dots\r\n\tGrüße  \r\nFrom the start of a line\r\n\r\n"
    ).encode()


def bring(server, marks, recipient="alice@example.org"):
    """Brings marked messages in; their bytes by mark."""
    messages = {mark: marked(mark, recipient) for mark in marks}
    for message in messages.values():
        server.lmtp("partner@partner.example", [recipient], message)
    return messages


def quoted(folder):
    """A folder name for an IMAP command: modified UTF-7, quoted."""
    return '"' + folder.replace("&", "&-") + '"'


def find(connection, mark):
    """UIDs of the messages in the open folder whose subject has the mark."""
    connection.noop()
    return ok(connection.uid("SEARCH", "SUBJECT", f'"mark {mark}"'))[0].split()


def ok(answer):
    """The data of an imaplib answer that must be OK."""
    if answer[0] != "OK":
        raise RuntimeError(f"the server answered {answer[0]} {answer[1]!r}")
    return answer[1]


def body(connection, uid):
    """BODY.PEEK[] of one message."""
    data = ok(connection.uid("FETCH", uid, "(BODY.PEEK[])"))
    return next(item[1] for item in data if isinstance(item, tuple))


RECEIVED = re.compile(rb"Received: [^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*")


def arrived(messages, original, exact=False):
    """How many of these are the original under one more Received line (below what the receiver itself put on top), but for
    the names of fields that were put aside."""
    count = 0
    for message in messages:
        message = message.replace(b"\nX-Pre-Release-", b"\n")
        if not message.endswith(original):
            continue
        top = message[: len(message) - len(original)]
        if exact:
            count += RECEIVED.fullmatch(top) is not None
        else:
            count += len(re.findall(rb"(?m)^Received: ", top)) in (1, 2) and top.endswith(b"\r\n")
    return count
