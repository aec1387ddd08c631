"""The two servers that are compared, each with a corpus in its own form."""
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import imapload

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
#: What is released: without the checks and the debug information that tests want.
BINARY = os.path.join(os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target")), "release/lazaret")


def run(*command, **more):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **more).stdout


def build():
    subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=ROOT, check=True)


def corpus(place, count, seed, form):
    """A Maildir of `count` messages; made once. `form`: crlf or lf."""
    folder = os.path.join(place, f"{form}-{count}-{seed}")
    if not os.path.exists(folder + ".whole"):
        os.makedirs(place, exist_ok=True)
        need = count * 20_000 * 4
        if shutil.disk_usage(place).free < need:
            sys.exit(f"{place}: {need >> 30} GB are needed")
        shutil.rmtree(folder, ignore_errors=True)
        run(sys.executable, f"{HERE}/spamgen.py", "maildir", folder, str(count), "--seed", str(seed), *(["--crlf"] if form == "crlf" else []))
        open(folder + ".whole", "w").close()
    return folder


def machine():
    with open("/proc/cpuinfo") as file:
        model = re.search(r"model name\s*:\s*(.*)", file.read())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
    return f"{os.cpu_count()} cores of {model[1] if model else platform.machine()}, {memory} GB, Linux {platform.release()}"


def memory(pid, which):
    """Bytes of memory of a process and all below it, as the kernel calls them (proc(5), `status`)."""
    total = 0
    for one in imapload.tree(pid):
        try:
            with open(f"/proc/{one}/status") as status:
                total += int(re.search(rf"{which}:\s+(\d+)", status.read())[1]) * 1024
        except (OSError, TypeError):
            pass
    return total


def anonymous(pid):
    """Bytes of memory that are no file's, of a process and all below it."""
    return memory(pid, "RssAnon")


def ready(port, patience=600):
    deadline = time.monotonic() + patience
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), 1) as connection:
                if connection.recv(100).startswith(b"* OK"):
                    return
        except OSError:
            pass
        if time.monotonic() > deadline:
            sys.exit(f"nothing answers at port {port}")
        time.sleep(0.002)


class Server:
    pid = None
    #: Bytes of memory in use at once, at the most, its program and libraries included, of those processes that lived to a stop.
    peak = 0

    def note_peak(self):
        self.peak = max(self.peak, memory(self.pid, "VmHWM"))

    def alone(self):
        """Nothing else may answer in its place."""
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                sys.exit(f"another program listens on port {self.port}, which {self.name} needs here; stop it (`ss -ltnp` shows it)")

    def restart(self, forget=False):
        self.stop()
        if forget:
            self.forget()
        self.start()
        if forget:
            self.read_all()

    def read_all(self):
        """Its mail, so that it is in memory: a kernel may drop what was not read for a minute, and then the disk is measured."""
        subprocess.run(["find", self.home, "-type", "f", "-size", "+0", "-exec", "cat", "{}", "+"], stdout=subprocess.DEVNULL, check=False)


class Lazaret(Server):
    name, port, tls_port, door, user, folder, recipient, target = "Lazaret", 12143, 12993, 12024, "big@example.org", "Caught", "big@example.org", "Release"
    #: How often the quick things are done, and how much mail is handed in.
    singles, mails, news, idlers = 500, 2_000, 20, 10_000

    def __init__(self, place, mail):
        self.home, self.mail, self.process = os.path.join(place, "lazaret"), mail, None
        self.maildir = f"{self.home}/data/mail/example.org/big/Caught"
        shutil.rmtree(self.home, ignore_errors=True)
        os.makedirs(f"{self.home}/tls")
        subject = ["-subj", "/CN=localhost", "-keyout", f"{self.home}/tls/key.pem", "-out", f"{self.home}/tls/cert.pem"]
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject, stderr=subprocess.DEVNULL)
        with open(f"{self.home}/lazaret.toml", "w") as file:
            # Nobody takes what is released: it waits in the queue, which is what a release that was answered costs.
            file.write(
                f'data = "{self.home}/data"\nusers = "{self.home}/users"\n[page]\ntls = []\n[imap]\ntls = ["127.0.0.1:{self.tls_port}"]\nstarttls = ["127.0.0.1:{self.port}"]\n'
                f'plain_login_on_loopback = true\n[[lmtp]]\nlisten = "127.0.0.1:{self.door}"\nclass = "incoming"\n'
                '[domains."example.org"]\n[retention]\nincoming = "none"\n[limits]\nconnections_per_address = 20000\n'
            )
        # As Dovecot has it here: what a hash costs on purpose is not compared.
        run(BINARY, "-c", f"{self.home}/lazaret.toml", "user", "add", "--scheme", "PLAIN", self.user, input="pass\n")

    def start(self):
        self.alone()
        with open(f"{self.home}/log", "a") as log:
            self.process = subprocess.Popen([BINARY, "-c", f"{self.home}/lazaret.toml", "serve"], stderr=log, stdout=log)
        self.pid = self.process.pid
        ready(self.port)

    def stop(self):
        if self.process:
            self.note_peak()
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(120)
            self.process = None

    def fill(self):
        """Gives it the mail; seconds that its adoption took."""
        os.makedirs(os.path.dirname(self.maildir))
        shutil.copytree(self.mail, self.maildir)
        # A start makes durable what it finds; that the copy is written back is not what is measured.
        os.sync()
        began = time.perf_counter()
        self.start()
        took = time.perf_counter() - began
        self.stop()
        return took

    def forget(self):
        shutil.rmtree(f"{self.home}/data/cache", ignore_errors=True)


class Dovecot(Server):
    name, port, tls_port, door, user, folder, recipient, target = "Dovecot", 11143, 11993, 11024, "big", "INBOX", "big", "Released"
    singles, mails, news, idlers = 30, 150, 3, 200

    def __init__(self, place, mail):
        self.home, self.mail = os.path.join(place, "dovecot"), mail
        shutil.rmtree(self.home, ignore_errors=True)
        os.environ["TUNED"] = "1"
        self.script("start")
        self.stop()

    def script(self, what, *more):
        return run(f"{HERE}/dovecot.sh", what, self.home, *more)

    def start(self):
        self.alone()
        command = ["setpriv", "--reuid=imapbench", "--regid=imapbench", "--init-groups", "dovecot", "-c", f"{self.home}/dovecot.conf"]
        subprocess.run(command, check=True)
        while not (text := self.master()):
            time.sleep(0.002)
        self.pid = int(text)
        ready(self.port)

    def master(self):
        """What its file with the process number says; "" while it has not been written."""
        try:
            with open(f"{self.home}/run/master.pid") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def stop(self):
        if self.pid:
            self.note_peak()
        self.pid = None
        self.script("stop")

    def fill(self):
        self.script("fill", "big", self.mail)
        self.start()
        run(sys.executable, f"{HERE}/imapload.py", "--port", str(self.port), "--user", "big", "--mailbox", "INBOX", "select", "--count", "1")
        c = imapload.Conn("127.0.0.1", self.port)
        c.login("big", "pass")
        c.cmd(f"CREATE {self.target}", ok=False)
        c.logout()
        self.stop()

    def forget(self):
        for top, _, names in os.walk(f"{self.home}/mail"):
            for name in names:
                if name.startswith("dovecot.index") or name.startswith("dovecot.list.index"):
                    os.unlink(os.path.join(top, name))
