#!/usr/bin/python3
"""curl as each of the three scopes: list folders, fetch a message, move messages to each action folder; in both modes of
write-only folders: look into one, and every form of address."""
import os
import re
import subprocess
import tempfile

from changing import Quarantine
from lazaret import ACTIONS, Checks, arrived, bring, demo, marked, need, wait_for

need("curl")
check = Checks()


def curl(server, account, path, *more, tls=True):
    """The exit code and the output; a folder's name goes into the address percent-encoded."""
    scheme, address = ("imaps", server.info["imaps"]) if tls else ("imap", server.info["imap"])
    command = ["curl", "--silent", "--show-error", "--max-time", "60", "--ssl-reqd", "--cacert", server.info["ca"]]
    command += ["--user", f"{account['login']}:{account['password']}", f"{scheme}://{address}/{path}", *more]
    done = subprocess.run(command, capture_output=True, env={**os.environ, "LC_ALL": "C"}, timeout=120)
    return done.returncode, done.stdout, done.stderr.decode(errors="replace")


def uid_of(server, account, mark):
    _, out, _ = curl(server, account, "Caught", "--request", f'UID SEARCH SUBJECT "mark {mark}"')
    found = re.findall(rb"\d+", out)
    return found[0].decode() if found else ""


def act(server, account):
    scope = account["scope"]
    word = "curl-" + re.sub(r"\W", "", account["login"])[:8]
    code, out, err = curl(server, account, "")
    check(f"{scope}: curl lists folders", code == 0 and all(a.split()[0].encode() in out for a in ["Caught", "Trash", *ACTIONS]), (code, out, err))
    marks = {action: f"{word}-{i}" for i, action in enumerate(ACTIONS)}
    mail = bring(server, marks.values())
    for action, mark in marks.items():
        uid = uid_of(server, account, mark)
        if not check(f"{scope}: curl finds {mark}", uid != ""):
            continue
        code, out, err = curl(server, account, f"Caught;UID={uid}")
        check(f"{scope}: curl reads {mark} to the byte", code == 0 and out.endswith(mail[mark]), (code, out[-80:], err))
        name = action.replace("&", "&-")
        code, out, err = curl(server, account, "Caught", "--request", f'UID MOVE {uid} "{name}"')
        check(f"{scope}: curl moves to {action}", code == 0, (code, err))
        check(f"{scope}: it left Caught", uid_of(server, account, mark) == "")
        if action.startswith("Release"):
            check(f"{scope}: {action} delivered", wait_for(lambda m=mark: arrived(server.delivered(), mail[m]) == 1))
        if action != "Release":
            sink = "spam" if action == "Spam" else "ham"
            check(f"{scope}: {action} trained", wait_for(lambda m=mark, s=sink: mail[m] in server.trained(s)))


def look(mode, folder):
    """Write-only folders, and the addresses of RFC 5092 that curl knows."""
    with Quarantine(folder, mode) as server:
        server.info["ca"] = server.ca
        server.deliver("c0")
        alice = {"login": "alice@example.org", "password": "a-secret"}
        code, out, err = curl(server, alice, "Spam", "--request", "SEARCH ALL")
        check(f"{mode}: curl looks into Spam", (code, out) == (0, b"* SEARCH\r\n") if mode == "empty" else code == 67, (code, out, err))
        code, out, err = curl(server, alice, "", "--request", "STATUS Spam (MESSAGES)")
        check(f"{mode}: curl asks STATUS of Spam", b"MESSAGES 0" in out if mode == "empty" else code == 21, (code, out, err))
        for path, wanted in (
            ("Caught?SUBJECT%20c0", b"* SEARCH 1\r\n"),
            ("Caught;UID=1;SECTION=HEADER.FIELDS%20(SUBJECT)", b"Subject: mark c0\r\n\r\n"),
            ("Caught;MAILINDEX=1;SECTION=TEXT", marked("c0").partition(b"\r\n\r\n")[2]),
        ):
            code, out, err = curl(server, alice, path)
            check(f"{mode}: curl gets {path}", out == wanted, (code, out, err))


for mode in ("refuse", "empty"):
    with check.part(mode), tempfile.TemporaryDirectory(prefix="lazaret-curl-") as folder:
        look(mode, folder)
with demo() as server:
    for account in server.info["accounts"]:
        with check.part(account["scope"]):
            act(server, account)
    with check.part("STARTTLS"):
        alice = server.account("alice@example.org")
        code, out, err = curl(server, alice, "", tls=False)
        check("curl lists folders after STARTTLS", code == 0 and b"Caught" in out, (code, out, err))
    with check.part("a wrong password"):
        code, _, err = curl(server, {"login": "global", "password": "wrong"}, "")
        check("curl is refused with a wrong password", code == 67, (code, err))
    with check.part("APPEND"):
        file = os.path.join(server.info["data"], "report.eml")
        report = b"From: x@y.example\r\nSubject: reported with curl\r\n\r\nspam\r\n"
        with open(file, "wb") as out:
            out.write(report)
        code, _, err = curl(server, server.account("alice@example.org"), "Spam", "--upload-file", file)
        check("curl appends to Spam", code == 0, (code, err))
        os.unlink(file)
        check("what was appended is trained", wait_for(lambda: report in server.trained("spam")))
check.finish()
