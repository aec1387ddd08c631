#!/usr/bin/python3
"""Settings and live behaviour: write-only folders that open empty, INBOX as Caught, plain names, a Unix socket, a door
that rejects and keeps, SIGHUP with live connections, new mail in a hundred idle sessions, and a third session's patience
while two others stream."""
import os
import signal
import socket
import ssl
import statistics
import subprocess
import tempfile
import threading
import time

from lazaret import BINARY, Checks, Server, certificate, free_port, lmtp_send, marked, ok, wait_for

check = Checks()
PASSWORD = "p-secret"


class Served(Server):
    def __init__(self, folder, extra):
        self.folder = folder
        self.ports = {name: free_port() for name in ("imap", "imaps", "lmtp", "reject")}
        self.config = os.path.join(folder, "lazaret.toml")
        with open(self.config, "w") as file:
            file.write(f"""data = "{folder}/data"
users = "{folder}/users"
host_name = "quarantine.example.org"
{extra}
[page]
tls = []
[imap]
tls = ["127.0.0.1:{self.ports['imaps']}"]
starttls = ["127.0.0.1:{self.ports['imap']}"]
plain_login_on_loopback = true
[[lmtp]]
listen = "127.0.0.1:{self.ports['lmtp']}"
class = "incoming"
[[lmtp]]
listen = "unix:{folder}/lmtp.sock"
class = "incoming"
[[lmtp]]
listen = "127.0.0.1:{self.ports['reject']}"
class = "incoming"
kind = "phish"
reply = "reject"
before_queue = true
[domains."example.org"]
""")
        certificate(os.path.join(folder, "tls"))
        self.user("alice@example.org", PASSWORD)
        super().__init__("--config", self.config, "serve", wait_json=False)
        wait_for(lambda: self.open() or True)

    def user(self, login, password, what="add"):
        done = subprocess.run([BINARY, "--config", self.config, "user", what, login], input=password + "\n", capture_output=True, text=True)
        check(f"user {what} {login}", done.returncode == 0, done.stderr)

    def open(self, login="alice@example.org", password=PASSWORD):
        return Raw(self.ports["imap"], login, password)


class Raw:
    """A connection of which every line is seen."""

    def __init__(self, port, login, password):
        deadline = time.time() + 20
        while True:
            try:
                self.socket = socket.create_connection(("127.0.0.1", port), 20)
                break
            except OSError:
                if time.time() > deadline:
                    raise
                time.sleep(0.05)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = self.socket.makefile("rwb")
        self.greeting = self.stream.readline()
        self.login = self.say(f'LOGIN {login} "{password}"')[-1]

    def say(self, command):
        self.stream.write(b"t " + command.encode() + b"\r\n")
        self.stream.flush()
        lines = []
        while True:
            line = self.stream.readline()
            lines.append(line)
            if line.startswith(b"t ") or not line:
                return lines

    def close(self):
        self.stream.close()
        self.socket.close()


def lmtp_dialog(connect, lines):
    """Sends lines one by one and returns the last reply line of each; 'DATA' content is one item."""
    stream = connect.makefile("rwb")

    def reply():
        while True:
            line = stream.readline()
            if line[3:4] != b"-":
                return line

    replies = [reply()]
    for line in lines:
        stream.write(line + b"\r\n")
        stream.flush()
        replies.append(reply())
    connect.close()
    return replies


with tempfile.TemporaryDirectory() as folder, check.part("write_only = empty, inbox = caught, plain names"):
    extra = '[folders]\nwrite_only = "empty"\ninbox = "caught"\nfolder_names = "plain"\noutgoing = true\n'
    with Served(folder, extra) as server:
        client = server.open()
        listed = b"".join(client.say('LIST "" "*"'))
        check("INBOX is listed, Caught is not", b"INBOX" in listed and b"Caught\r\n" not in listed, listed)
        check("the plain name is listed", b'"Release and Train"' in listed and b"&-" not in listed, listed)
        lmtp_send(f"127.0.0.1:{server.ports['lmtp']}", "s@spam.test", ["alice@example.org"], marked("one"))
        client = server.open()
        selected = b"".join(client.say("SELECT INBOX"))
        check("INBOX holds what was caught", b"* 1 EXISTS" in selected, selected)
        opened = client.say("SELECT Spam")
        check("an action folder opens", opened[-1].startswith(b"t OK"), opened)
        joined = b"".join(opened)
        check("it is empty", b"* 0 EXISTS" in joined, joined)
        check("STATUS of it", b"MESSAGES 0" in b"".join(client.say("STATUS Release (MESSAGES UIDNEXT)")))
        # Thunderbird asks this of every folder that it opens.
        quota = client.say("GETQUOTAROOT Spam")
        check("it has no quota root, and that is no error", quota[-1].startswith(b"t OK") and b'""' not in b"".join(quota), quota)
        client.say("SELECT INBOX")
        for name in ("Release & Train", "Release and Train", "Release and Train/Not Spam"):
            encoded = name.replace("&", "&-")
            moved = client.say(f'COPY 1 "{encoded}"')
            check(f"{name} is accepted, without COPYUID", moved[-1].startswith(b"t OK") and b"COPYUID" not in b"".join(moved), moved)

with tempfile.TemporaryDirectory() as folder:
    with Served(folder, "") as server:
        with check.part("doors"):
            unix = socket.socket(socket.AF_UNIX)
            unix.connect(f"{folder}/lmtp.sock")
            message = marked("two").rstrip(b"\r\n") + b"\r\n."
            dialog = [b"LHLO x", b"MAIL FROM:<s@spam.test>", b"RCPT TO:<alice@example.org>", b"RCPT TO:<a@elsewhere.test>", b"DATA", message]
            replies = lmtp_dialog(unix, dialog)
            check("a Unix socket takes mail", replies[-1].startswith(b"250"), replies)
            check("an unknown domain is 451, never 5xx", replies[4].startswith(b"451 4.1.2"), replies)
            check("the alarm is in the log", "elsewhere.test" in server.logged(), server.logged())
            reject = socket.create_connection(("127.0.0.1", server.ports["reject"]))
            replies = lmtp_dialog(reject, [line for line in dialog if b"elsewhere" not in line])
            check("rejected and kept", replies[-1].startswith(b"550 5.7.1") and b"kept in quarantine, reference " in replies[-1], replies)
            reference = replies[-1].rsplit(b"reference ", 1)[1].strip().decode()
            client = server.open()
            client.say("SELECT Caught")
            found = client.say(f"SEARCH HEADER X-Lazaret-Id {reference}")[0]
            check("the reference is found by SEARCH", len(found.split()) == 3, found)

        with check.part("SIGHUP"):
            context = ssl._create_unverified_context()

            def fingerprint():
                with socket.create_connection(("127.0.0.1", server.ports["imaps"])) as plain, context.wrap_socket(plain) as tls:
                    tls.recv(100)
                    return tls.getpeercert(True)

            before = fingerprint()
            client = server.open()
            ok(("OK", client.say("SELECT Caught")))
            os.remove(f"{folder}/tls/cert.pem"), os.remove(f"{folder}/tls/key.pem")
            certificate(os.path.join(folder, "tls"))
            server.user("alice@example.org", "n-secret", "passwd")
            server.user("example.org", "d-secret")
            server.process.send_signal(signal.SIGHUP)
            check("the new certificate is shown", wait_for(lambda: fingerprint() != before, 10))
            check("the connection lives on", client.say("NOOP")[-1].startswith(b"t OK"))
            check("the new password works", server.open(password="n-secret").login.startswith(b"t OK"))
            check("the new account works", server.open("example.org", "d-secret").login.startswith(b"t OK"))
            began = time.time()
            check("the old password does not", server.open().login.startswith(b"t NO [AUTHENTICATIONFAILED]"))
            check("a wrong password is slowed", time.time() - began > 0.2, time.time() - began)

        with check.part("idle and patience"):
            idle = [server.open(password="n-secret") for _ in range(100)]
            for client in idle:
                client.say("SELECT Caught")
                client.stream.write(b"t IDLE\r\n")
                client.stream.flush()
                check("idling", client.stream.readline().startswith(b"+")) if client is idle[0] else client.stream.readline()
            took = []
            for round_ in range(5):
                lmtp_send(f"127.0.0.1:{server.ports['lmtp']}", "s@spam.test", ["alice@example.org"], marked(f"idle{round_}"))
                began = time.time()
                for client in idle:
                    while not client.stream.readline().endswith(b"EXISTS\r\n"):
                        pass
                took.append(time.time() - began)
            median = statistics.median(took) * 1000
            print(f"   new mail in 100 idle sessions: {median:.1f} ms (median of 5)")
            check("new mail shows in 100 idle sessions within a second", median < 1000, took)
            for client in idle:
                client.close()
            big = b"Subject: big\r\n\r\n" + (b"x" * 76 + b"\r\n") * 100_000
            lmtp_send(f"127.0.0.1:{server.ports['lmtp']}", "s@spam.test", ["alice@example.org"], big)
            readers = [server.open(password="n-secret") for _ in range(2)]
            going = True

            def stream(client):
                while going:
                    client.stream.write(b"t FETCH * BODY.PEEK[]\r\n")
                    client.stream.flush()
                    while not client.stream.readline().startswith(b"t "):
                        pass

            for client in readers:
                client.say("SELECT Caught")
            threads = [threading.Thread(target=stream, args=(client,), daemon=True) for client in readers]
            for thread in threads:
                thread.start()
            patient = server.open(password="n-secret")
            times = []
            for _ in range(200):
                began = time.time()
                patient.say("NOOP")
                times.append((time.time() - began) * 1000)
                time.sleep(0.005)
            going = False
            times.sort()
            print(f"   NOOP while two sessions stream 7.8 MB messages: p50 {times[100]:.1f} ms, p99 {times[197]:.1f} ms")
            # The client is Python on the same two cores, so the bound is wide; the figure is printed.
            check("a third session is served", times[197] < 250, times[-5:])
            for thread in threads:
                thread.join(30)

check.finish()
