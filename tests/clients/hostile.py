#!/usr/bin/python3
"""Clients that mean harm, or are broken: the server's memory and the other sessions' latency stay flat."""
import contextlib
import socket
import ssl
import threading
import time

from lazaret import Checks, bring, demo, ok, split

check = Checks()
# What one hostile kind may cost: resident memory, and the slowest of a hundred NOOPs of somebody else.
MEMORY_MB, SLOWEST_MS = 40, 250
USER = "alice@example.org"


def resident(server):
    with open(f"/proc/{server.process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


class Raw:
    """A connection without TLS or a library."""

    def __init__(self, server, login=True):
        self.socket = socket.create_connection(split(server.info["imap"]), 30)
        context = ssl.create_default_context(cafile=server.info["ca"])
        self.line()
        self.socket.sendall(b"s STARTTLS\r\n")
        self.line()
        self.socket = context.wrap_socket(self.socket, server_hostname=split(server.info["imap"])[0])
        if login:
            account = server.account(USER)
            self.say(f'l LOGIN {account["login"]} {account["password"]}')
            self.until(b"l OK")

    def say(self, text):
        self.socket.sendall(text.encode() + b"\r\n")

    def line(self):
        got = b""
        while not got.endswith(b"\n"):
            piece = self.socket.recv(1)
            if not piece:
                return got
            got += piece
        return got

    def until(self, wanted):
        """Reads until this comes; None when the connection ends first."""
        got = b""
        while wanted not in got:
            try:
                piece = self.socket.recv(65536)
            except ConnectionError:
                return None
            if not piece:
                return None
            got = got[-200:] + piece
        return got


def closed(raw):
    """Whether the server ends the connection within some seconds."""
    raw.socket.settimeout(10)
    try:
        while raw.socket.recv(65536):
            pass
        return True
    except ConnectionError:
        return True
    except OSError:
        return False


def pipelining(server):
    raw = Raw(server)
    raw.socket.sendall(b"".join(b"p%d NOOP\r\n" % number for number in range(10_000)))
    check("10,000 commands in one piece are answered", raw.until(b"p9999 OK") is not None)
    return [raw]


def half_commands(server):
    raws = [Raw(server) for _ in range(40)]
    for number, raw in enumerate(raws):
        raw.socket.sendall([b"h SELECT Cau", b"h SEARCH TEXT {1000+}\r\nabc", b'h LOGIN "', b"h"][number % 4])
    return raws


def giant_literals(server):
    raw = Raw(server)
    began = time.monotonic()
    raw.say("g APPEND Spam {99999999999}")
    check("a giant literal is refused before it is sent", b"g " in (raw.until(b"\r\n") or b""))
    raw.say("g SEARCH TEXT {99999999}")
    check("so is one in a command", raw.until(b"TOOBIG") is not None)
    raw.say("g SEARCH TEXT {4294967295+}")
    check("one that comes unasked ends the connection", closed(raw))
    check("all that at once", time.monotonic() - began < 5)
    return []


def bad_commands(server):
    sent = ended = 0
    while sent < 10_000:
        raw = Raw(server)
        with contextlib.suppress(ConnectionError, BrokenPipeError):
            raw.socket.sendall(b"b NONSENSE\r\n" * 500)
        ended += closed(raw)
        sent += 500
    check("who makes only errors is shown out", ended == 20, ended)
    return []


def endless_idle(server):
    raws = [Raw(server) for _ in range(40)]
    for raw in raws:
        raw.say("i SELECT Caught")
        raw.until(b"i OK")
        raw.say("i IDLE")
    bring(server, ["idle"])
    for raw in raws:
        check("IDLE is told of new mail", raw.until(b"EXISTS") is not None)
    for raw in raws[:10]:
        raw.socket.sendall(b"x" * 100_000)
    return raws


def never_reads(server):
    raws = [Raw(server) for _ in range(20)]
    for raw in raws:
        raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.say("n SELECT Caught")
        raw.until(b"n OK")
        raw.socket.sendall(b"n FETCH 1:* (BODY.PEEK[] ENVELOPE BODYSTRUCTURE)\r\n" * 50)
    return raws


with demo("--empty") as server:
    bring(server, [f"m{number}" for number in range(200)])
    server.lmtp("s@spam.example", [USER], b"Subject: large\r\n\r\n" + b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 100_000)
    other = server.imap(server.account(USER))
    ok(other.select("Caught"))
    for kind in (pipelining, half_commands, giant_literals, bad_commands, endless_idle, never_reads):
        before = resident(server)
        with check.part(kind.__name__):
            times, stop = [], threading.Event()

            def watch():
                while not stop.is_set() or len(times) < 100:
                    began = time.monotonic()
                    other.noop()
                    times.append((time.monotonic() - began) * 1000)
                    time.sleep(0.005)

            watcher = threading.Thread(target=watch)
            watcher.start()
            held = kind(server)
            time.sleep(1)
            most = resident(server)
            stop.set()
            watcher.join()
            for raw in held:
                raw.socket.close()
            times.sort()
            slowest, middle = times[len(times) * 99 // 100], times[len(times) // 2]
            print(f"{kind.__name__}: memory {before:.1f} -> {most:.1f} MB, NOOP of another p50 {middle:.1f} p99 {slowest:.1f} ms", flush=True)
            check(f"{kind.__name__}: memory stays flat", most - before < MEMORY_MB, (before, most))
            check(f"{kind.__name__}: others are served", slowest < SLOWEST_MS, slowest)
    other.logout()
check.finish()
