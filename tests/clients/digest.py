#!/usr/bin/python3
"""The digest of the demonstration: it arrives by the route, Python's email reads it, a look at a link changes nothing, a
POST does what it says and once, nothing that was changed is believed, and one click ends it."""
import base64
import email
import email.policy
import html
import re
import ssl
import subprocess
import urllib.error
import urllib.parse
import urllib.request

from lazaret import BINARY, Checks, demo, marked, wait_for

check = Checks()
WHO = "alice@example.org"
HOSTILE = b"From: =?utf-8?q?=E2=80=AEgpj=2Eexe?= <x@far.test>\r\nSubject: =?utf-8?q?a=0D=0ABcc:_all@far.test_<script>?=\r\n\r\nx\r\n"


def run(*arguments):
    command = [BINARY, "--config", server.info["config"], "digest", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def fetch(url, data=None, kind="application/x-www-form-urlencoded"):
    """Status, text and header of an answer; with data: of a POST."""
    request = urllib.request.Request(url, data=data, headers={"Content-Type": kind} if data is not None else {})
    context = ssl.create_default_context(cafile=server.info["ca"])
    try:
        with urllib.request.urlopen(request, context=context, timeout=30) as answer:
            return answer.status, answer.read().decode(), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), error.headers


def digests():
    read = [email.message_from_bytes(m, policy=email.policy.default) for m in server.delivered()]
    return [m for m in read if m["Auto-Submitted"] == "auto-generated"]


def links(mail):
    """For each message the links by what they are called, from the text part; then those of the whole list."""
    text = mail.get_body(("plain",)).get_content().replace("\r\n", "\n")
    return [dict(re.findall(r"^(.+):\n(https://\S+)$", part, re.M)) for part in text.split("\n----\n")[1:]], text


def form(page):
    """Where the button of a page leads."""
    action = re.search(r'<form[^>]*method="post"[^>]*action="([^"]+)"', page)
    return urllib.parse.urljoin(server.info["page"], html.unescape(action.group(1))) if action else None


def listed():
    out = subprocess.run([BINARY, "--config", server.info["config"], "list", WHO], capture_output=True, text=True, timeout=60)
    check("the messages are listed", out.returncode == 0, out.stderr)
    return out.stdout


with demo("--empty") as server:
    marks = [f"digest-{i}" for i in range(4)]
    for mark in marks:
        server.lmtp("spam@far.test", [WHO], marked(mark))
    server.lmtp("x@far.test", [WHO], HOSTILE)
    server.lmtp("x@far.test", ["bob@example.org"], marked("of-bob"))

    with check.part("preview"):
        shown = run("--preview", "--for", WHO)
        check("the preview lists what is there", shown.returncode == 0 and all(m in shown.stdout for m in marks), shown.stdout[:600] + shown.stderr)
        check("as HTML, too", "<table" in run("--preview", "--html", "--for", WHO).stdout)
        check("by default nobody gets one", "nothing is new" in run().stdout)
        check("nothing was sent", not digests())

    with check.part("the mail"):
        sent = run("--now", "--for", WHO)
        check("it is sent", sent.returncode == 0 and WHO in sent.stdout, sent.stdout + sent.stderr)
        check("it arrives", wait_for(lambda: len(digests()) == 1))
        again = run("--now", "--for", WHO)
        _, figures, _ = fetch(server.info["page"].rstrip("/") + "/metrics")
        check("it is counted", 'lazaret_digests_total{outcome="sent"} 1' in figures and "lazaret_digest_last_success_seconds" in figures, figures)
        check("there is nothing new a second time", "nothing is new" in again.stdout, again.stdout)
        mail = digests()[0]
        check("subject", mail["Subject"] == "5 messages were kept for you", mail["Subject"])
        check("to its owner", WHO in mail["To"] and not mail["Bcc"], mail["To"])
        check("no defects", not mail.defects and not any(p.defects for p in mail.walk()), mail.defects)
        raw = next(m for m in server.delivered() if b"Auto-Submitted" in m)
        check("lines are short and ASCII", raw.isascii() and max(map(len, raw.split(b"\n"))) <= 999)
        check("one click", mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click")
        page = mail.get_body(("html",)).get_content()
        check("what spam says stays text", "<script" not in page and "\u202e" not in page and "&lt;script" in page)
        rows, text = links(mail)
        check("five messages and the end of the list", len(rows) == 6, len(rows))
        check("nobody else's mail", "of-bob" not in text)

    by_mark = {m: row for m in marks for row, part in zip(rows, text.split("\n----\n")[1:]) if m in part}

    with check.part("a look changes nothing"):
        before = listed()
        for row in rows:
            for href in row.values():
                status, _, header = fetch(href)
                if "/link/" in href:
                    check("a look is answered", status == 200, (status, href))
                    check("no cookie is set", not header["Set-Cookie"])
                    check("no trace is left", header["Referrer-Policy"] == "no-referrer" and "noindex" in header["X-Robots-Tag"])
        check("everything is where it was", listed() == before)
        _, page, _ = fetch(by_mark[marks[0]]["Release"])
        check("it says what would happen", marks[0] in page and WHO in page and "Deliver this message?" in page)

    with check.part("tampering"):
        good = by_mark[marks[1]]["Release"]
        base, token = good.rsplit("/", 1)
        bytes_ = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        said, mac = bytes_[:-32], bytes_[-32:]
        key, expires, verb, login, what = said.split(b"\n")
        other = base64.urlsafe_b64decode((by_mark[marks[2]]["Release"].rsplit("/", 1)[1]) + "==")[-32:]
        forged = {
            "another verb": b"\n".join([key, expires, b"t", login, what]) + mac,
            "a later end": b"\n".join([key, b"99999999999", verb, login, what]) + mac,
            "a wider account": b"\n".join([key, expires, verb, b"global", what]) + mac,
            "another key": b"\n".join([b"2", expires, verb, login, what]) + mac,
            "another message's MAC": said + other,
            "no MAC": said,
            "a flipped bit": said + bytes([mac[0] ^ 1]) + mac[1:],
        }
        for name, forgery in forged.items():
            url = base + "/" + base64.urlsafe_b64encode(forgery).decode().rstrip("=")
            check(f"{name}: refused", [fetch(url)[0], fetch(url, b"")[0]] == [403, 403])
        check("and nothing happened", listed() == before)

    with check.part("release, undo, release"):
        url = by_mark[marks[0]]["Release"]
        status, page, _ = fetch(form(fetch(url)[1]), b"")
        check("it is done", status == 200 and "delivered in a few seconds" in page, (status, page[-900:]))
        back = form(page)
        status, page, _ = fetch(url, b"")
        check("a second time is a no-op", status == 200 and "before" in page, (status, page[-600:]))
        status, page, _ = fetch(back, b"")
        check("it is taken back", status == 200 and "1 messages were taken back" in page, (status, page[-600:]))
        check("it is there again", marks[0] in listed())
        check("an undo works once", fetch(back, b"")[0] in (403, 410))
        check("and is released after all", fetch(url, b"")[0] == 200)
        check("it arrives", wait_for(lambda: any(marks[0].encode() in m and b"Auto-Submitted" not in m for m in server.delivered()), 40))
        status, _, _ = fetch(url, b"")
        check("then it is gone", status == 410, status)
        count = sum(marks[0].encode() in m and b"Auto-Submitted" not in m for m in server.delivered())
        check("once", count == 1, count)

    with check.part("delete, and all that was listed"):
        status, page, _ = fetch(by_mark[marks[1]]["Delete"], b"")
        check("it is deleted", status == 200 and marks[1] not in listed(), status)
        check("it is put back", fetch(form(page), b"")[0] == 200 and marks[1] in listed())
        check("and deleted", fetch(by_mark[marks[1]]["Delete"], b"")[0] == 200)
        check("deleted twice is a no-op", fetch(by_mark[marks[1]]["Delete"], b"")[0] == 200)
        server.lmtp("spam@far.test", [WHO], marked("came-later"))
        run("--now", "--for", WHO)
        check("a later digest arrives", wait_for(lambda: len(digests()) == 2))
        check("it has only what is new", "came-later" in links(digests()[1])[1] or "came-later" in links(digests()[0])[1])
        key = run("--new-key")
        check("a new key", key.returncode == 0 and "2 keys" in key.stdout, key.stdout + key.stderr)
        status, page, _ = fetch(rows[-1]["Delete all listed here"])
        check("three are left of the list", status == 200 and "Delete the 3 messages" in page, (status, page[-600:]))
        status, page, _ = fetch(rows[-1]["Delete all listed here"], b"")
        check("they are deleted", status == 200 and not any(m in listed() for m in marks), status)
        check("what came later stays", "came-later" in listed())
        check("they come back together", fetch(form(page), b"")[0] == 200 and all(m in listed() for m in marks[2:]))

    with check.part("no more"):
        url = mail["List-Unsubscribe"].strip("<>")
        status, page, _ = fetch(url)
        check("a look asks", status == 200 and "No more mails" in page)
        server.lmtp("spam@far.test", [WHO], marked("after-the-look"))
        check("and changes nothing", "after-the-look" in run("--preview", "--for", WHO).stdout)
        boundary = b"--b\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--b--\r\n"
        for data, kind in ((b"List-Unsubscribe=One-Click", "application/x-www-form-urlencoded"), (boundary, "multipart/form-data; boundary=b")):
            status, page, header = fetch(url, data, kind)
            check("one click", status == 200 and "no more such mails" in page and not header["Set-Cookie"], (status, kind))
        check("nothing comes", "nothing is new" in run("--now", "--for", WHO).stdout)
        check("until it is wanted again", fetch(form(page), b"")[0] == 200 and "after-the-look" in run("--preview", "--for", WHO).stdout)

check.finish()
