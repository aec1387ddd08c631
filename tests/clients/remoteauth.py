#!/usr/bin/python3
"""`auth` of a domain: Dovecot knows the passwords. Over IMAP and on the page people come in with that of their mailbox;
wrong ones are refused and slowed; without the server nobody is called wrong; hostile servers cost nothing. Needs root and
Dovecot.
"""
import base64
import concurrent.futures
import http.client
import imaplib
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.parse

from lazaret import BINARY, ROOT, Checks, certificate, free_port, lmtp_send, marked, need, ok, wait_for

need("dovecot", "openssl")
if os.geteuid() != 0:
    print("skipped: Dovecot is started as root", flush=True)
    raise SystemExit(77)
check = Checks()
PORTS = "23"
SCRIPT = f"{ROOT}/scripts/bench/dovecot.sh"
# What one hostile server may cost in memory; a login reads 64 KB of its answer at most.
MEMORY_MB = 20


class Dovecot:
    """The domain's own mail server."""

    def __init__(self, place):
        self.place = f"{place}/dovecot"
        os.makedirs(self.place)
        # Not one that may sign others: rustls takes no such certificate from a server.
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
        command += ["-addext", "basicConstraints=critical,CA:FALSE", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        command += ["-keyout", f"{self.place}/key.pem", "-out", f"{self.place}/cert.pem"]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        self.passwords = {}

    def start(self):
        subprocess.run([SCRIPT, "start", self.place], check=True, env={**os.environ, "PORTS": PORTS}, stdout=subprocess.DEVNULL)
        self.set()
        wait_for(lambda: answers(int(f"{PORTS}993")))

    def set(self, **passwords):
        """Adds or changes passwords; Dovecot looks at the file at most once a second."""
        self.passwords.update(passwords)
        with open(f"{self.place}/users", "w") as file:
            file.writelines(f"{user}@example.org:{{PLAIN}}{password}:::::::\n" for user, password in self.passwords.items())
        time.sleep(2)

    def stop(self):
        subprocess.run([SCRIPT, "stop", self.place], check=False)


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def log_in(user, password):
    """What an IMAP login is answered: "OK", or the response code."""
    context = ssl.create_default_context(cafile=f"{home}/tls/cert.pem")
    with imaplib.IMAP4_SSL("localhost", IMAPS, ssl_context=context, timeout=60) as imap:
        try:
            imap.authenticate("PLAIN", lambda _: b"\0" + user.encode() + b"\0" + password)
            return "OK"
        except imaplib.IMAP4.error as error:
            return (re.findall(r"\[([A-Z]+)\]", str(error)) or [str(error)])[0]


class Browser:
    """A browser with cookies and without anything else."""

    def __init__(self):
        self.cookies = {}

    def ask(self, path, form=None):
        connection = http.client.HTTPSConnection("localhost", PAGE, context=ssl._create_unverified_context(), timeout=60)
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection.request("GET" if form is None else "POST", path, form and urllib.parse.urlencode(form), headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        for name, value in answer.getheaders():
            if name.lower() == "set-cookie":
                name, _, value = value.partition("=")
                self.cookies[name] = value.partition(";")[0]
        connection.close()
        return answer.status, text

    def sign_in(self, login, password):
        token = re.search(r'name="csrf" value="([^"]*)"', self.ask("/sign-in")[1]).group(1)
        return self.ask("/sign-in", {"csrf": token, "login": login, "password": password})[0]


def hostile(speak):
    """A server that speaks like this to everybody; its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            peer, _ = listener.accept()
            with peer:
                peer.settimeout(30)
                try:
                    speak(peer)
                except OSError:
                    pass

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1]


def endless(piece):
    def speak(peer):
        for _ in range(1 << 30):
            peer.sendall(piece)

    return speak


def repeats(peer):
    """Says what it hears, as an error."""
    peer.sendall(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] x\r\n")
    heard = peer.recv(4096)
    peer.sendall(b"a BAD " + heard.strip() + b" " + base64.b64decode(heard.split()[-1]).replace(b"\0", b" ") + b"\r\n")
    peer.recv(4096)


def slows(peer):
    """What Dovecot does, unless told otherwise, to an address with some wrong passwords: it answers after 15 s."""
    peer.sendall(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] x\r\n")
    tag = peer.recv(4096).split()[0]
    time.sleep(16)
    peer.sendall(tag + b" NO [AUTHENTICATIONFAILED] Authentication failed.\r\n")
    peer.recv(4096)


HOSTILE = {
    "greets for ever": endless(b"* OK hello\r\n" * 1000),
    "sends one line of a gigabyte": endless(b"x" * 65536),
    "says goodbye": lambda peer: peer.sendall(b"* BYE too many connections\r\n"),
    "lets everybody in": lambda peer: peer.sendall(b"* PREAUTH welcome\r\n"),
    "sends garbage": lambda peer: peer.sendall(bytes(range(256)) * 8 + b"\r\n"),
    "breaks the parser": lambda peer: peer.sendall("* OK [ALERT]ü\r\n* 1 FETCH (INTERNALDATE NIL)\r\n".encode()),
    "closes": lambda peer: None,
    "repeats the password": repeats,
    "says nothing": lambda peer: peer.recv(1 << 20),
}


def configure(auth):
    with open(f"{home}/lazaret.toml", "w") as file:
        file.write(f'data = "{home}/data"\nusers = "{home}/users"\nhost_name = "localhost"\n')
        file.write(f'[imap]\ntls = ["127.0.0.1:{IMAPS}"]\nstarttls = []\n[page]\ntls = ["127.0.0.1:{PAGE}"]\n')
        file.write(f'[[lmtp]]\nlisten = "127.0.0.1:{LMTP}"\nclass = "incoming"\n')
        file.write(f'[domains."example.org"]\nrecipients = ["alice", "bob", "carol", "dave", "erin"]\n{auth}')
        file.write('[domains."example.org".addresses]\ninfo = "alice"\n')
        for n, port in enumerate(bad):
            file.write(f'[domains."bad{n}.example"]\nauth = "imap-plain://127.0.0.1:{port}"\n')
        file.write(f'[domains."slow.example"]\nauth = "imap-plain://127.0.0.1:{slow}"\n')


def resident():
    with open(f"/proc/{process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


def logged():
    with open(f"{home}/log") as log:
        return log.read()


place = tempfile.mkdtemp(prefix="lazaret-remoteauth-")
os.chmod(place, 0o755)
home = f"{place}/lazaret"
IMAPS, PAGE, LMTP = free_port(), free_port(), free_port()
bad, slow = [hostile(speak) for speak in HOSTILE.values()], hostile(slows)
process, dovecot = None, Dovecot(place)
AUTH = f'auth = "imaps://127.0.0.1:{PORTS}993"\nauth_ca_file = "{dovecot.place}/cert.pem"\n'
SECRETS = {"alice": "Mailbox-Alice", "bob": "Mailbox-Bob", "carol": "Mailbox-Carol", "dave": 'Grün"\\-Dave', "erin": "Mailbox-Erin", "gone": "Mailbox-Gone"}
try:
    certificate(f"{home}/tls")
    configure(AUTH)
    user = [BINARY, "-c", f"{home}/lazaret.toml", "user"]
    subprocess.run([*user, "add", "--scheme", "SHA512-CRYPT", "carol@example.org"], input="Own-Carol\n", text=True, check=True, stdout=subprocess.DEVNULL)
    dovecot.set(**SECRETS)
    dovecot.start()
    log = open(f"{home}/log", "w")
    process = subprocess.Popen([BINARY, "-c", f"{home}/lazaret.toml", "serve"], stderr=log, stdout=log)
    check("the server starts", wait_for(lambda: answers(IMAPS) and answers(PAGE)), logged())
    browser = Browser()
    with check.part("the mailbox's password"):
        lmtp_send(f"127.0.0.1:{LMTP}", "partner@partner.example", ["info@example.org"], marked("first"))
        check("IMAP takes it", log_in("alice@example.org", b"Mailbox-Alice") == "OK", logged())
        context = ssl.create_default_context(cafile=f"{home}/tls/cert.pem")
        imap = imaplib.IMAP4_SSL("localhost", IMAPS, ssl_context=context, timeout=60)
        imap.login("INFO@example.org", "Mailbox-Alice")
        check("by an alias, and the mail is there", ok(imap.select("Caught")) == [b"1"])
        imap.logout()
        check("the page takes it", browser.sign_in("alice@example.org", "Mailbox-Alice") == 303)
        status, text = browser.ask("/caught")
        check("the page shows the mail", status == 200 and "mark first" in text and "alice@example.org" in text, status)
        check("with letters beyond ASCII, quotes and backslashes", log_in("dave@example.org", SECRETS["dave"].encode()) == "OK")
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            six = list(pool.map(lambda _: log_in("erin@example.org", b"Mailbox-Erin"), range(6)))
        check("six connections at once", six == ["OK"] * 6, six)
    with check.part("refused"):
        check("a wrong password", log_in("alice@example.org", b"wrong") == "AUTHENTICATIONFAILED")
        check("a wrong password on the page", Browser().sign_in("alice@example.org", "wrong") == 403)
        check("who has no mailbox there", log_in("bob+x@example.org", b"Mailbox-Bob") == "AUTHENTICATIONFAILED")
        check("who has one and is no recipient here", log_in("gone@example.org", b"Mailbox-Gone") == "AUTHENTICATIONFAILED")
        for odd in (b"", b"a\r\nb LOGOUT"):
            check(f"the password {odd}", log_in("erin@example.org", odd) == "AUTHENTICATIONFAILED")
        check("an account of the file has the file's password", log_in("carol@example.org", b"Own-Carol") == "OK")
        check("and no other", log_in("carol@example.org", b"Mailbox-Carol") == "AUTHENTICATIONFAILED")
        check("a wide login is not asked about", log_in("example.org", b"Mailbox-Alice") == "AUTHENTICATIONFAILED")
    with check.part("slowed"):
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            eight = list(pool.map(lambda n: log_in("bob@example.org", b"guess%d" % n), range(8)))
        check("guesses at once are slowed as those one by one", eight.count("UNAVAILABLE") >= 2 and eight.count("AUTHENTICATIONFAILED") >= 5, eight)
        # Each doubles the time in which nothing is looked at: 16 s from the last one, of which its own answer takes five.
        for n in range(4):
            wrong = wait_for(lambda n=n: log_in("bob@example.org", b"more%d" % n) == "AUTHENTICATIONFAILED", 40)
            check(f"guess {n} after them is looked at after a while", wrong, logged())
        check("the right one too", log_in("bob@example.org", b"Mailbox-Bob") == "UNAVAILABLE")
        check("on the page too", Browser().sign_in("bob@example.org", "Mailbox-Bob") == 429)
        check("until the time is over", wait_for(lambda: log_in("bob@example.org", b"Mailbox-Bob") == "OK", 40))
    with check.part("changed"):
        dovecot.set(alice="Changed-Alice")
        check("the old one is remembered", log_in("alice@example.org", b"Mailbox-Alice") == "OK")
        check("the new one works at once", log_in("alice@example.org", b"Changed-Alice") == "OK")
        check("and ends the old one", log_in("alice@example.org", b"Mailbox-Alice") == "AUTHENTICATIONFAILED")
        dovecot.set(dave="Changed-Dave")
        check("another's old one is remembered", log_in("dave@example.org", SECRETS["dave"].encode()) == "OK")
        subprocess.run([*user, "add", "--scheme", "SHA512-CRYPT", "global"], input="Own-Global\n", text=True, check=True, stdout=subprocess.DEVNULL)
        time.sleep(2)
        check("until the file of accounts changes", log_in("dave@example.org", SECRETS["dave"].encode()) == "AUTHENTICATIONFAILED")
        check("erin is known again", log_in("erin@example.org", b"Mailbox-Erin") == "OK")
        check("who is signed in on the page stays so", browser.ask("/caught")[0] == 200)
    with check.part("unreachable"):
        dovecot.stop()
        check("nobody is called wrong", log_in("dave@example.org", b"Changed-Dave") == "UNAVAILABLE")
        check("on the page neither", Browser().sign_in("dave@example.org", "Changed-Dave") == 503)
        check("who was remembered comes in", log_in("erin@example.org", b"Mailbox-Erin") == "OK")
        check("accounts of the file too", log_in("carol@example.org", b"Own-Carol") == "OK")
        for _ in range(8):
            log_in("dave@example.org", b"Changed-Dave")
        dovecot.start()
        check("it did not count", log_in("dave@example.org", b"Changed-Dave") == "OK", logged())
    with check.part("hostile"):
        before = resident()
        for n, name in enumerate(HOSTILE):
            began = time.monotonic()
            code = log_in(f"alice@bad{n}.example", b"Secret-Of-Alice")
            check(f"a server that {name}: try again later", code == "UNAVAILABLE", code)
            check(f"a server that {name}: soon", time.monotonic() - began < 25)
            check(f"a server that {name}: memory", resident() - before < MEMORY_MB, f"{resident() - before:.0f} MB more")
        check("a server that takes its time is waited for", log_in("alice@slow.example", b"Secret-Of-Alice") == "AUTHENTICATIONFAILED", logged())
        check("others came in meanwhile", log_in("erin@example.org", b"Mailbox-Erin") == "OK")
    with check.part("the setting goes"):
        configure("")
        process.send_signal(signal.SIGHUP)
        check("the page's session ends with it", wait_for(lambda: browser.ask("/caught")[0] == 303))
        check("the remembered login too", log_in("erin@example.org", b"Mailbox-Erin") == "AUTHENTICATIONFAILED")
    with check.part("the log"):
        text = logged()
        words = [*SECRETS.values(), "Changed-", "guess", "Secret-Of", base64.b64encode(b"\0alice@bad7.example\0Secret-Of-Alice").decode()]
        check("no password is in it", not any(word in text for word in words), text[-2000:])
        check("nothing panicked", "panic" not in text, text[-2000:])
        check("why a server could not be asked is", "too many connections" in text and "a line of more" in text and "PREAUTH" in text, text[-3000:])
        process.send_signal(signal.SIGTERM)
        check("it ends cleanly", process.wait(20) == 0)
finally:
    if process and process.poll() is None:
        process.kill()
    dovecot.stop()
    shutil.rmtree(place, ignore_errors=True)
check.finish()
