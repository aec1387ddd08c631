#!/usr/bin/python3
"""curl as each of the three scopes: list folders, fetch a message, move messages to each action folder."""
import os
import re
import subprocess

from lazaret import ACTIONS, Checks, arrived, bring, demo, need, wait_for

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
