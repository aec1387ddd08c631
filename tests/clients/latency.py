#!/usr/bin/python3
"""How long until those who wait know of new mail: 100 clients in IDLE and 100 with NOTIFY, none of which asks. From the 250 of
the LMTP door to the EXISTS of each, over real sockets, under TLS.

latency.py [ROUNDS [CLIENTS OF EACH KIND]]
"""
import selectors
import socket
import ssl
import statistics
import sys
import time

from lazaret import Checks, demo, expect, marked, split

check = Checks()
ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 20
CLIENTS = int(sys.argv[2]) if len(sys.argv) > 2 else 100
# What a person notices; the client is Python on the same cores, so much of the figure is its own.
MOST_MS = 100


class Waiting:
    """A client that has said all it wants."""

    def __init__(self, server, kind):
        account = server.account("alice@example.org")
        context = ssl.create_default_context(cafile=server.info["ca"])
        self.kind, self.text = kind, b""
        self.socket = context.wrap_socket(socket.create_connection(split(server.info["imaps"]), 30), server_hostname="localhost")
        self.until(b"* OK")
        self.say(f'a LOGIN {account["login"]} "{account["password"]}"', b"a OK")
        self.say("b SELECT Caught", b"b OK")
        if kind == "IDLE":
            self.say("c IDLE", b"+ ")
        else:
            self.say("c NOTIFY SET (selected (MessageNew MessageExpunge))", b"c OK")
        self.text = b""
        self.socket.setblocking(False)

    def until(self, beginning):
        while not any(line.startswith(beginning) for line in self.text.split(b"\r\n")):
            piece = self.socket.recv(65536)
            if not piece:
                raise RuntimeError(f"the connection ended after {self.text!r}")
            self.text += piece

    def say(self, command, beginning):
        self.socket.sendall(command.encode() + b"\r\n")
        self.until(beginning)

    def read(self):
        """What came is kept; whether EXISTS is in it."""
        try:
            while piece := self.socket.recv(65536):
                self.text += piece
        except ssl.SSLWantReadError:
            pass
        told = b" EXISTS\r\n" in self.text
        if told:
            self.text = self.text[self.text.rindex(b" EXISTS\r\n") + 9 :]
        return told


def door(server):
    """An LMTP connection that is kept, so that the 250 is all that is waited for."""
    import smtplib

    host, port = split(server.info["lmtp"])
    lmtp = smtplib.LMTP(host, port, timeout=60)
    lmtp.ehlo()
    return lmtp


with demo("--empty") as server:
    clients = [Waiting(server, kind) for kind in ("IDLE", "NOTIFY") for _ in range(CLIENTS)]
    selector = selectors.DefaultSelector()
    for client in clients:
        selector.register(client.socket, selectors.EVENT_READ, client)
    lmtp = door(server)
    took = {"IDLE": [], "NOTIFY": []}
    last = []
    for number in range(ROUNDS):
        time.sleep(0.3)
        for client in clients:
            client.read()
        expect(250, lmtp.mail("s@spam.example"))
        expect(250, lmtp.docmd("RCPT", "TO:<alice@example.org>"))
        expect(354, lmtp.docmd("DATA"))
        lmtp.send(marked(f"latency{number}").replace(b"\r\n.", b"\r\n..") + b".\r\n")
        expect(250, lmtp.getreply())
        began = time.monotonic()
        left = set(clients)
        while left and time.monotonic() < began + 10:
            for key, _ in selector.select(1):
                if key.data in left and key.data.read():
                    took[key.data.kind].append((time.monotonic() - began) * 1000)
                    left.discard(key.data)
        check(f"round {number}: everybody is told", not left, len(left))
        last.append((time.monotonic() - began) * 1000)
    for kind, times in took.items():
        print(f"{CLIENTS} clients with {kind}: median {statistics.median(times):.1f} ms, p99 {sorted(times)[len(times) * 99 // 100]:.1f} ms, max {max(times):.1f} ms")
    print(f"until the last of {len(clients)}: median {statistics.median(last):.1f} ms, max {max(last):.1f} ms, of {ROUNDS}")
    check(f"the last one is told within {MOST_MS} ms, in the median", statistics.median(last) < MOST_MS, last)
    for client in clients:
        client.socket.close()
check.finish()
