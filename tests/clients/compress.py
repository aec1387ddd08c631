#!/usr/bin/python3
"""COMPRESS=DEFLATE with Python's zlib as the other side, over TLS and STARTTLS: the same bytes as without it, how many fewer,
and what an idle compressed session costs. BINARY, PREVIEW, SAVEDATE, EMAILID, QUOTA and MULTIAPPEND over the same connection."""
import imaplib
import re
import zlib

from lazaret import Checks, bring, demo, find, ok, wait_for

imaplib.Commands["COMPRESS"] = ("AUTH", "SELECTED")
check = Checks()
IDLE = 200


class Deflate:
    """Puts compression under an imaplib connection."""

    def __init__(self, connection):
        ok(connection._simple_command("COMPRESS", "DEFLATE"))
        self.sock, self.out = connection.sock, zlib.compressobj(9, zlib.DEFLATED, -15)
        self.into, self.buffer, self.wire, self.plain = zlib.decompressobj(-15), b"", 0, 0
        connection.send, connection.read, connection.readline = self.send, self.read, self.readline

    def send(self, data):
        self.sock.sendall(self.out.compress(bytes(data)) + self.out.flush(zlib.Z_SYNC_FLUSH))

    def more(self):
        piece = self.sock.recv(65536)
        if not piece:
            raise RuntimeError("the server closed the connection")
        plain = self.into.decompress(piece)
        self.wire, self.plain = self.wire + len(piece), self.plain + len(plain)
        self.buffer += plain

    def read(self, size):
        while len(self.buffer) < size:
            self.more()
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def readline(self):
        while b"\n" not in self.buffer:
            self.more()
        return self.read(self.buffer.index(b"\n") + 1)


def listing(connection):
    ok(connection.select("Caught", readonly=True))
    return ok(connection.uid("FETCH", "1:*", "(UID FLAGS ENVELOPE BODYSTRUCTURE BODY.PEEK[] PREVIEW)"))


def memory(server):
    with open(f"/proc/{server.process.pid}/statm") as file:
        return int(file.read().split()[1]) * 4096


def idle(server, account, count, compressed):
    """Bytes that an idle session costs, with a few commands behind it."""
    connections = []
    for _ in range(20):  # what the first ones cost belongs to the process
        connections.append(server.imap(account))
    before = memory(server)
    for _ in range(count):
        connection = server.imap(account)
        if compressed:
            Deflate(connection)
        ok(connection.select("Caught", readonly=True))
        ok(connection.fetch("1:*", "(FLAGS ENVELOPE)"))
        connections.append(connection)
    cost = (memory(server) - before) / count
    for connection in connections:
        connection.shutdown()
    return cost


with demo() as server:
    alice = server.account("alice@example.org")
    large = b"Subject: mark large\r\n\r\n" + b"0123456789abcdef" * 60 + b"\r\n"
    server.lmtp("a@partner.example", ["alice@example.org"], large + b"line of text\r\n" * 200_000)
    for tls in (True, False):
        with check.part(f"TLS {tls}"):
            plain, packed = server.imap(alice, tls), server.imap(alice, tls)
            layer = Deflate(packed)
            first, second = listing(plain), listing(packed)
            check(f"TLS {tls}: the same bytes", first == second and len(first) > 3)
            print(f"   {layer.plain} bytes were {layer.wire} on the wire ({100 * layer.wire / layer.plain:.1f} %)")
            check(f"TLS {tls}: fewer on the wire", layer.wire * 5 < layer.plain, (layer.wire, layer.plain))
            typ, data = packed._simple_command("COMPRESS", "DEFLATE")
            check(f"TLS {tls}: once is enough", typ == "NO" and b"COMPRESSIONACTIVE" in data[0], data)
            ok(packed.noop())
            packed.logout()
            plain.logout()
    with check.part("garbage"):
        broken = server.imap(alice)
        ok(broken._simple_command("COMPRESS", "DEFLATE"))
        broken.sock.sendall(b"a NOOP\r\n" * 100)
        check("garbage ends the connection", wait_for(lambda: broken.sock.recv(1000) == b""))
    with check.part("extensions"):
        imap = server.imap(alice)
        Deflate(imap)
        bring(server, ["binary-1"])
        ok(imap.select("Caught"))
        uid = wait_for(lambda: find(imap, "binary-1"))[0].decode()
        whole = ok(imap.uid("FETCH", uid, "(BINARY.PEEK[1] BINARY.SIZE[1] PREVIEW SAVEDATE EMAILID THREADID)"))
        text = b" ".join(part if isinstance(part, bytes) else b" ".join(part) for part in whole)
        check("a preview", b"mark binary-1 . ..two dots" in text, text)
        check("a size", re.search(rb"BINARY.SIZE\[1\] \d+", text), text)
        email = re.search(rb"EMAILID \(([A-Za-z0-9_-]+)\)", text)
        check("an EMAILID", email and b"THREADID NIL" in text, text)
        check("a save date", b'SAVEDATE "' in text, text)
        copied = ok(imap.uid("COPY", uid, "Trash"))
        ok(imap.select("Trash"))
        there = ok(imap.uid("FETCH", "1:*", "(EMAILID)"))
        check("a copy keeps its EMAILID", any(email.group(0) in line for line in there), (copied, there))
        quota = ok(imap.getquotaroot("Caught"))
        check("a quota root", re.search(rb"STORAGE \d+ \d+ MESSAGE \d+ 4294967295", b" ".join(quota[1])), quota)
        before = len(server.trained("spam"))
        mail = [f"Subject: append {n}\r\n\r\nx\r\n".encode() for n in range(3)]
        imap.literal = None
        tag = imap._new_tag()
        wire = tag + b" APPEND Spam"
        for message in mail:
            wire += b" {%d+}\r\n" % len(message) + message
        imap.send(wire + b"\r\n")
        while not (line := imap.readline()).startswith(tag):
            pass
        check("three messages at once", b"OK" in line, line)
        check("all three are trained", wait_for(lambda: len(server.trained("spam")) == before + 3))
        imap.logout()
    with check.part("memory"):
        bare, packed = idle(server, alice, IDLE, False), idle(server, alice, IDLE, True)
        print(f"   an idle session costs {bare / 1024:.1f} KB over TLS, {packed / 1024:.1f} KB compressed over TLS")
        check("a compressed session is small", packed < 120 * 1024, packed)
check.finish()
