#!/usr/bin/python3
"""neomutt in a terminal (tmux), as each of the three scopes: open Caught, read, save messages to the action folders."""
import os
import re
import shlex
import subprocess
import tempfile
import time

from lazaret import ACTIONS, Checks, arrived, bring, demo, find, need, ok, wait_for

need("neomutt", "tmux")
check = Checks()
SOCKET = f"lazaret-{os.getpid()}"


def tmux(*arguments):
    return subprocess.run(["tmux", "-L", SOCKET, "-f", "/dev/null", *arguments], capture_output=True, text=True, timeout=30).stdout


def screen():
    return tmux("capture-pane", "-p", "-t", "mutt")


def shows(pattern, seconds=20):
    return wait_for(lambda: re.search(pattern, screen()), seconds)


def keys(*arguments):
    """Types; a name such as Enter is a key, anything else is text."""
    for argument in arguments:
        tmux("send-keys", "-t", "mutt", *(["Enter"] if argument == "Enter" else ["-l", argument]))
        time.sleep(0.15)


def act(server, account, folder):
    scope = account["scope"]
    word = "mutt-" + re.sub(r"\W", "", account["login"])[:8]
    marks = {action: f"{word}-{i}" for i, action in enumerate(ACTIONS)}
    mail = bring(server, marks.values())
    login = account["login"].replace("@", "%40")
    rc = os.path.join(folder, "muttrc")
    with open(rc, "w") as file:
        file.write(f"""set imap_user = "{account['login']}"
set imap_pass = "{account['password']}"
set folder = "imaps://{login}@{server.info['imaps']}/"
set spoolfile = "+Caught"
set ssl_force_tls = yes
set certificate_file = "{server.info['ca']}"
set confirmappend = no
set confirmcreate = no
set delete = yes
set quit = yes
set wait_key = no
set mail_check = 5
set sort = date-received
set header_cache = ""
set timeout = 5
set tmpdir = "{folder}"
set pager_stop
bind editor <space> noop
""")
    command = f"env HOME={shlex.quote(folder)} TERM=screen LC_ALL=C.UTF-8 neomutt -n -F {shlex.quote(rc)}"
    tmux("new-session", "-d", "-s", "mutt", "-x", "160", "-y", "90", command)
    try:
        # Should neomutt ask about the certificate, the screen stays without subjects and the check says so.
        if not check(f"{scope}: neomutt opens Caught", shows(f"mark {word}"), screen()):
            return
        for action, mark in marks.items():
            keys(f"/mark {mark}", "Enter")
            time.sleep(0.3)
            keys("Enter")
            check(f"{scope}: neomutt shows {mark}", shows("two dots"), screen())
            keys("i")
            shows("Mutt|NeoMutt", 5)
            keys("s")
            if not check(f"{scope}: neomutt asks where to save", shows("Save to mailbox"), screen()):
                continue
            tmux("send-keys", "-t", "mutt", "C-u")
            keys(f"={action}", "Enter")
            time.sleep(0.5)
            check(f"{scope}: neomutt saved to {action}", not re.search(r"(?i)error|denied|NOPERM|not permitted|refused", screen()), screen())
        keys("$")
        time.sleep(0.5)
        keys("q")
        check(f"{scope}: neomutt ends", wait_for(lambda: "mutt" not in tmux("list-sessions", "-F", "#{session_name}")), screen())
    finally:
        tmux("kill-server")
    for action, mark in marks.items():
        if action.startswith("Release"):
            check(f"{scope}: {action} delivered", wait_for(lambda m=mark: arrived(server.delivered(), mail[m]) == 1))
        if action != "Release":
            sink = "spam" if action == "Spam" else "ham"
            check(f"{scope}: {action} trained", wait_for(lambda m=mark, s=sink: mail[m] in server.trained(s)))
    imap = server.imap(account)
    ok(imap.select("Caught"))
    check(f"{scope}: what was saved left Caught", wait_for(lambda: not any(find(imap, m) for m in marks.values()), 10))
    imap.logout()


with demo() as server, tempfile.TemporaryDirectory(prefix="lazaret-mutt-") as folder:
    for account in server.info["accounts"]:
        with check.part(account["scope"]):
            act(server, account, folder)
check.finish()
