"""Plain HTTP for the page's tests, standard library only: nothing is repaired on the way."""
import re
import socket
import ssl
import time
import urllib.parse

from lazaret import split


class Http:
    """Plain HTTP/1.1 over TLS, without any library that would repair a request."""

    def __init__(self, base):
        self.base = base.rstrip("/")
        self.address = split(urllib.parse.urlsplit(self.base).netloc)
        self.host = f"{self.address[0]}:{self.address[1]}"
        self.cookies = {}

    def connect(self, timeout=30):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        raw = socket.create_connection(("127.0.0.1", self.address[1]), timeout)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return context.wrap_socket(raw, server_hostname="localhost")

    def raw(self, data, timeout=30):
        """Sends bytes on a connection of their own; all that came until the peer closed, or `timeout` passed."""
        with self.connect(timeout) as connection:
            try:
                connection.sendall(data)
            except OSError:
                pass  # it answered and closed before it had read all of it
            return drain(connection, timeout)

    def request(self, method, path, body=b"", headers=(), cookies=True, form="application/x-www-form-urlencoded", length=None):
        """An `Answer`; cookies are kept as a browser does."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.host}", "Connection: close"]
        if cookies and self.cookies:
            lines.append("Cookie: " + "; ".join(f"{k}={v}" for k, v in self.cookies.items()))
        if method == "POST":
            lines += [f"Content-Type: {form}", f"Content-Length: {len(body) if length is None else length}"]
        lines += [f"{k}: {v}" for k, v in headers]
        answer = Answer(self.raw("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body))
        for cookie in answer.all("set-cookie"):
            name, _, value = cookie.split(";")[0].partition("=")
            self.cookies[name] = value
        return answer

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, fields, **more):
        return self.request("POST", path, urllib.parse.urlencode(fields, doseq=True).encode(), **more)

    def sign_in(self, login, password="lazaret"):
        token = form_token(self.get("/sign-in").body)
        return self.post("/sign-in", {"csrf": token, "login": login, "password": password})


class Answer:
    """Status, fields and body of one answer."""

    def __init__(self, data):
        self.data = data
        head, _, self.body = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split()[1]) if lines[0].startswith("HTTP/1.") else 0
        self.fields = [(k.lower(), v.strip()) for k, _, v in (line.partition(":") for line in lines[1:])]
        if self.field("transfer-encoding") == "chunked":
            out, rest = b"", self.body
            while (size := int(rest.partition(b"\r\n")[0] or b"0", 16)):
                rest = rest.partition(b"\r\n")[2]
                out, rest = out + rest[:size], rest[size + 2:]
            self.body = out

    def all(self, name):
        return [v for k, v in self.fields if k == name]

    def field(self, name):
        return next(iter(self.all(name)), None)

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")


def drain(connection, timeout):
    """What comes until the peer closes, breaks off, or `timeout` passed."""
    data, deadline = b"", time.monotonic() + timeout
    while (left := deadline - time.monotonic()) > 0:
        connection.settimeout(left)
        try:
            piece = connection.recv(1 << 16)
        except OSError:
            break
        if not piece:
            break
        data += piece
    return data


def form_token(html):
    """The hidden field of the first form."""
    found = re.search(rb'name="csrf" value="([^"]*)"', html)
    if not found:
        raise RuntimeError("no form on this page")
    return found[1].decode()
